//! The history of a server as far as it is in memory: delivered txns that learners may still need, and those not yet delivered.
//!
//! ```text
//!            floor        delivered            last
//!   disk only ]  delivered, kept for learners ]  in the log, not delivered ]
//! ```
//!
//! Invariants: floor <= delivered <= last; the entries are all txns in (floor, last], without a hole: an entry follows the one before it
//! either with the next counter, or as the first of a later epoch (ZOOKEEPER-4925 is impossible by construction).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ids::Zxid;

/// How much of the delivered history is kept in memory for learners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// `commitLogCount`.
    pub delivered_count_max: usize,
    /// So many bytes of delivered txns are kept, however few txns that are.
    pub delivered_bytes_max: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { delivered_count_max: 500, delivered_bytes_max: 32 << 20 }
    }
}

/// Whether no txn can be missing between two zxids.
#[must_use]
pub fn follows(last: Zxid, next: Zxid) -> bool {
    next == last.next() || (next.epoch() > last.epoch() && next.counter() == 1)
}

#[derive(Clone, Debug)]
struct Entry {
    zxid: Zxid,
    payload: Bytes,
}

/// The ordered txns of one server.
#[derive(Clone, Debug)]
pub struct History {
    limits: HistoryLimits,
    entries: VecDeque<Entry>,
    /// How many entries at the front are delivered.
    delivered_count: usize,
    /// Their bytes.
    delivered_bytes: usize,
    /// Those of the other entries.
    undelivered_bytes: usize,
    floor: Zxid,
    delivered: Zxid,
    last: Zxid,
}

impl History {
    /// A history that ends at `last`, all of it delivered and none of it in memory.
    #[must_use]
    pub fn new(limits: HistoryLimits, last: Zxid) -> Self {
        let entries = VecDeque::new();
        Self { limits, entries, delivered_count: 0, delivered_bytes: 0, undelivered_bytes: 0, floor: last, delivered: last, last }
    }

    /// A history that ends with these txns, all delivered. A hole in them, or an end elsewhere, and only the part behind it is taken.
    #[must_use]
    pub fn recovered(limits: HistoryLimits, last: Zxid, recent: impl IntoIterator<Item = (Zxid, Bytes)>) -> Self {
        let mut history: Option<Self> = None;
        for (zxid, payload) in recent {
            match &mut history {
                Some(history) if follows(history.last, zxid) => history.append(zxid, payload),
                _ => history = Some(Self::new(limits, zxid)),
            }
        }
        let mut history = history.filter(|history| history.last == last).unwrap_or_else(|| Self::new(limits, last));
        while history.deliver().is_some() {}
        history
    }

    /// The newest txn that is no longer in memory: what the first entry follows.
    #[must_use]
    pub fn floor(&self) -> Zxid {
        self.floor
    }

    /// The newest delivered txn.
    #[must_use]
    pub fn delivered(&self) -> Zxid {
        self.delivered
    }

    /// The newest txn.
    #[must_use]
    pub fn last(&self) -> Zxid {
        self.last
    }

    /// How many txns are not delivered.
    #[must_use]
    pub fn undelivered_count(&self) -> usize {
        self.entries.len() - self.delivered_count
    }

    /// Bytes of the txns that are not delivered.
    #[must_use]
    pub fn undelivered_bytes(&self) -> usize {
        self.undelivered_bytes
    }

    /// Adds the next txn.
    ///
    /// # Panics
    /// When it does not follow the last one: the caller has looked at [`follows`].
    pub fn append(&mut self, zxid: Zxid, payload: Bytes) {
        assert!(follows(self.last, zxid), "the history has no holes: {zxid} after {}", self.last);
        self.undelivered_bytes += payload.len();
        self.entries.push_back(Entry { zxid, payload });
        self.last = zxid;
    }

    /// The zxid of the oldest undelivered txn.
    #[must_use]
    pub fn next_undelivered(&self) -> Option<Zxid> {
        self.entries.get(self.delivered_count).map(|entry| entry.zxid)
    }

    /// Delivers the oldest undelivered txn.
    pub fn deliver(&mut self) -> Option<(Zxid, Bytes)> {
        if self.limits.delivered_count_max == 0 {
            // Nothing is kept: nothing need be shared.
            let entry = self.entries.pop_front()?;
            self.undelivered_bytes -= entry.payload.len();
            (self.delivered, self.floor) = (entry.zxid, entry.zxid);
            return Some((entry.zxid, entry.payload));
        }
        let entry = self.entries.get(self.delivered_count)?.clone();
        self.delivered_count += 1;
        self.undelivered_bytes -= entry.payload.len();
        self.delivered_bytes += entry.payload.len();
        self.delivered = entry.zxid;
        self.trim();
        Some((entry.zxid, entry.payload))
    }

    fn trim(&mut self) {
        while self.delivered_count > self.limits.delivered_count_max || self.delivered_bytes > self.limits.delivered_bytes_max {
            let Some(dropped) = self.entries.pop_front() else { return };
            self.floor = dropped.zxid;
            self.delivered_count -= 1;
            self.delivered_bytes -= dropped.payload.len();
        }
    }

    /// Drops every txn above `to`, delivered or not.
    ///
    /// # Panics
    /// When `to` lies above the end: there is nothing to drop then.
    pub fn truncate(&mut self, to: Zxid) {
        assert!(to <= self.last, "a truncation to {to} keeps nothing above {}", self.last);
        while self.entries.back().is_some_and(|entry| entry.zxid > to) {
            let dropped = self.entries.pop_back().expect("there is a last entry");
            if self.entries.len() < self.delivered_count {
                self.delivered_count -= 1;
                self.delivered_bytes -= dropped.payload.len();
            } else {
                self.undelivered_bytes -= dropped.payload.len();
            }
        }
        self.last = to;
        self.delivered = self.delivered.min(to);
        self.floor = self.floor.min(to);
    }

    /// Replaces everything by a snapshot at `to`.
    pub fn replace(&mut self, to: Zxid) {
        *self = Self::new(self.limits, to);
    }

    /// The newest txn at or below `zxid` that is known: an entry or the floor. `None` when only the disk can tell.
    #[must_use]
    pub fn at_or_below(&self, zxid: Zxid) -> Option<Zxid> {
        let above = self.entries.partition_point(|entry| entry.zxid <= zxid);
        match above.checked_sub(1) {
            Some(index) => Some(self.entries[index].zxid),
            None => (self.floor <= zxid).then_some(self.floor),
        }
    }

    /// The oldest txn above `zxid` that is in memory.
    #[must_use]
    pub fn first_above(&self, zxid: Zxid) -> Option<Zxid> {
        let above = self.entries.partition_point(|entry| entry.zxid <= zxid);
        self.entries.get(above).map(|entry| entry.zxid)
    }

    /// The txns above `zxid`, delivered or not, each with whether it is delivered.
    pub fn above(&self, zxid: Zxid) -> impl Iterator<Item = (Zxid, Bytes, bool)> + '_ {
        let first = self.entries.partition_point(|entry| entry.zxid <= zxid);
        (first..self.entries.len())
            .map(move |index| (self.entries[index].zxid, self.entries[index].payload.clone(), index < self.delivered_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zxid(epoch: i64, counter: u32) -> Zxid {
        Zxid::new(crate::ids::Epoch(epoch), counter)
    }

    fn txn(zxid: Zxid) -> Bytes {
        Bytes::from(zxid.to_string())
    }

    fn history(limits: HistoryLimits, zxids: &[Zxid]) -> History {
        let mut history = History::new(limits, Zxid::ZERO);
        for &zxid in zxids {
            history.append(zxid, txn(zxid));
        }
        history
    }

    fn zxids(history: &History, above: Zxid) -> Vec<(Zxid, bool)> {
        history.above(above).map(|(zxid, _, is_delivered)| (zxid, is_delivered)).collect()
    }

    #[test]
    fn counters_go_up_by_one_and_an_epoch_begins_at_one() {
        assert!(follows(zxid(1, 4), zxid(1, 5)) && follows(zxid(1, 4), zxid(3, 1)) && follows(zxid(2, 0), zxid(2, 1)));
        assert!(!follows(zxid(1, 4), zxid(1, 6)) && !follows(zxid(1, 4), zxid(2, 2)) && !follows(zxid(1, 4), zxid(1, 4)));
        assert!(!follows(zxid(2, 4), zxid(1, 1)), "an epoch never goes back");
    }

    #[test]
    #[should_panic(expected = "no holes")]
    fn zookeeper_4925_a_hole_is_impossible() {
        history(HistoryLimits::default(), &[zxid(1, 1), zxid(1, 3)]);
    }

    #[test]
    fn delivered_txns_are_kept_for_learners_up_to_the_limits() {
        let limits = HistoryLimits { delivered_count_max: 2, delivered_bytes_max: 1000 };
        let mut history = history(limits, &[zxid(1, 1), zxid(1, 2), zxid(1, 3), zxid(2, 1)]);
        for expected in [zxid(1, 1), zxid(1, 2), zxid(1, 3)] {
            assert_eq!(history.deliver(), Some((expected, txn(expected))));
        }
        assert_eq!((history.floor(), history.delivered(), history.last()), (zxid(1, 1), zxid(1, 3), zxid(2, 1)));
        assert_eq!(zxids(&history, zxid(1, 2)), [(zxid(1, 3), true), (zxid(2, 1), false)]);
        assert_eq!((history.undelivered_count(), history.next_undelivered()), (1, Some(zxid(2, 1))));
        let bytes = HistoryLimits { delivered_count_max: 9, delivered_bytes_max: 2 * txn(zxid(1, 1)).len() };
        let mut history = self::history(bytes, &[zxid(1, 1), zxid(1, 2), zxid(1, 3)]);
        while history.deliver().is_some() {}
        assert_eq!(history.floor(), zxid(1, 1), "two of them fit");
    }

    /// Truncation at every boundary keeps exactly what is at or below it (ZOOKEEPER-1156 removed one record too many).
    #[test]
    fn zookeeper_1156_truncation_is_exact_at_every_record() {
        let all = [zxid(1, 1), zxid(1, 2), zxid(1, 3), zxid(2, 1), zxid(2, 2)];
        for delivered in 0..=all.len() {
            for keep in 0..=all.len() {
                let mut history = history(HistoryLimits::default(), &all);
                (0..delivered).for_each(|_| drop(history.deliver()));
                let to = keep.checked_sub(1).map_or(Zxid::ZERO, |index| all[index]);
                history.truncate(to);
                let expected: Vec<_> = all[..keep].iter().enumerate().map(|(index, &zxid)| (zxid, index < delivered)).collect();
                assert_eq!(zxids(&history, Zxid::ZERO), expected, "keep {keep} of which {delivered} delivered");
                assert_eq!(history.last(), to);
                let waiting = expected.iter().filter(|(_, is_delivered)| !is_delivered);
                assert_eq!(history.undelivered_bytes(), waiting.map(|&(zxid, _)| txn(zxid).len()).sum::<usize>());
                assert_eq!(
                    history.delivered(),
                    if delivered < keep { delivered.checked_sub(1).map_or(Zxid::ZERO, |i| all[i]) } else { to }
                );
            }
        }
    }

    #[test]
    fn finds_the_common_point() {
        let mut history =
            history(HistoryLimits { delivered_count_max: 2, ..HistoryLimits::default() }, &[zxid(1, 1), zxid(1, 2), zxid(3, 1)]);
        while history.deliver().is_some() {}
        assert_eq!(history.at_or_below(zxid(2, 9)), Some(zxid(1, 2)));
        assert_eq!(history.at_or_below(zxid(9, 9)), Some(zxid(3, 1)));
        assert_eq!(history.at_or_below(zxid(1, 1)), Some(zxid(1, 1)), "the floor is known too");
        assert_eq!(history.at_or_below(Zxid::ZERO), None);
        assert_eq!((history.first_above(zxid(1, 2)), history.first_above(zxid(3, 1))), (Some(zxid(3, 1)), None));
    }

    #[test]
    fn what_recovery_read_is_taken_from_behind_the_last_hole() {
        let recent = [zxid(1, 1), zxid(1, 3), zxid(1, 4)].map(|zxid| (zxid, txn(zxid)));
        let history = History::recovered(HistoryLimits::default(), zxid(1, 4), recent.clone());
        assert_eq!((history.floor(), zxids(&history, Zxid::ZERO)), (zxid(1, 3), vec![(zxid(1, 4), true)]));
        let elsewhere = History::recovered(HistoryLimits::default(), zxid(2, 0), recent);
        assert_eq!((elsewhere.floor(), elsewhere.last()), (zxid(2, 0), zxid(2, 0)));
    }
}
