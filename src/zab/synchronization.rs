//! How a leader brings a learner up to date: the decision between DIFF, TRUNC and SNAP, as a pure function (quorum-protocol.md §2.4).
//!
//! What it rests on: a zxid with a counter above 0 was proposed once, by the one leader of its epoch, behind one history. So a learner whose
//! last txn is in the leader's history has a beginning of that history, and one whose last txn is not has, of the same epoch, everything
//! up to the last txn that the leader has of it.

use super::history::History;
use crate::ids::{Epoch, Zxid};

/// What is done with a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// DIFF: its history is a beginning of the leader's, and what lies above `after` is in memory.
    Diff {
        /// What it has, in terms of the leader's history.
        after: Zxid,
    },
    /// DIFF, if the log on disk holds `after` and everything behind it; else SNAP.
    DiffFromDisk {
        /// What it has.
        after: Zxid,
    },
    /// TRUNC, then what lies above `to`.
    Trunc {
        /// The last txn that both have.
        to: Zxid,
    },
    /// SNAP.
    Snap,
    /// It has txns of this epoch that are not committed yet: wait for that.
    Await,
    /// It claims a txn of this epoch that was never proposed.
    Refuse,
}

/// What the leader has to offer.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Its history. What is delivered counts as committed; before the epoch is established that is all of it.
    pub history: &'a History,
    /// The epoch of this leadership.
    pub epoch: Epoch,
    /// The epoch whose history it had adopted before.
    pub adopted: Epoch,
    /// Whether every txn of this epoch that anybody has is in the history: a leader's has them, a follower's may lag behind.
    pub knows_all: bool,
    /// Whether the log on disk may be read for learners (`snapshotSizeFactor`).
    pub reads_disk: bool,
    /// `forceSnapshotSync`.
    pub forces_snapshot: bool,
}

/// Chooses. `peer` is the learner's last zxid; `is_paddock` says that it truncates exactly.
///
/// A Java learner is never told to truncate: it keeps the first record above an absent target and reloads snapshots beyond it
/// (quorum-protocol.md §5: 1549, 4837, U1). It gets a snapshot.
#[must_use]
pub fn choose(peer: Zxid, is_paddock: bool, offer: &Offer<'_>) -> Plan {
    let history = offer.history;
    if offer.forces_snapshot || peer < Zxid::ZERO {
        return Plan::Snap;
    }
    let common = history.at_or_below(peer);
    if peer > history.delivered() && peer.epoch() == offer.epoch && peer.counter() > 0 {
        return if common == Some(peer) || !offer.knows_all { Plan::Await } else { Plan::Refuse };
    }
    match common {
        Some(common) if common == peer => Plan::Diff { after: peer },
        Some(common) if peer.counter() == 0 => begin_of_epoch(peer, common, offer),
        Some(common) if common.epoch() == peer.epoch() && common.counter() > 0 && is_paddock => Plan::Trunc { to: common },
        // An empty tree is the beginning of every history, but only one that begins in memory is known to begin there (ZOOKEEPER-4352).
        None if peer.counter() > 0 && offer.reads_disk => Plan::DiffFromDisk { after: peer },
        _ => Plan::Snap,
    }
}

/// A learner that has exactly the history with which the leader of an epoch began: it took a snapshot then. Leaders stamp such snapshots
/// before the epoch is established, so the number proves nothing by itself: the epoch has to be part of this leader's history.
fn begin_of_epoch(peer: Zxid, common: Zxid, offer: &Offer<'_>) -> Plan {
    let began = offer.history.first_above(peer).is_some_and(|next| next.epoch() == peer.epoch());
    let is_known = began || peer.epoch() == offer.epoch || peer.epoch() == offer.adopted;
    if is_known { Plan::Diff { after: common } } else { Plan::Snap }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::history::HistoryLimits;
    use super::*;

    fn zxid(epoch: i64, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    /// A history behind `floor`; all but the last `undelivered` are delivered.
    fn history(floor: Zxid, zxids: &[Zxid], undelivered: usize) -> History {
        let mut history = History::new(HistoryLimits::default(), floor);
        zxids.iter().for_each(|&zxid| history.append(zxid, Bytes::from_static(b"txn")));
        (undelivered..zxids.len()).for_each(|_| drop(history.deliver()));
        history
    }

    fn offer(history: &History, epoch: i64) -> Offer<'_> {
        Offer { history, epoch: Epoch(epoch), adopted: Epoch(epoch - 1), knows_all: true, reads_disk: true, forces_snapshot: false }
    }

    #[test]
    fn a_learner_with_a_beginning_of_the_history_gets_what_it_lacks() {
        let history = history(zxid(1, 5), &[zxid(1, 6), zxid(1, 7), zxid(3, 1)], 0);
        for peer in [zxid(1, 5), zxid(1, 6), zxid(1, 7), zxid(3, 1)] {
            assert_eq!(choose(peer, false, &offer(&history, 4)), Plan::Diff { after: peer });
        }
        assert_eq!(choose(zxid(1, 4), false, &offer(&history, 4)), Plan::DiffFromDisk { after: zxid(1, 4) });
        let no_disk = Offer { reads_disk: false, ..offer(&history, 4) };
        assert_eq!(choose(zxid(1, 4), false, &no_disk), Plan::Snap);
        let forced = Offer { forces_snapshot: true, ..offer(&history, 4) };
        assert_eq!(choose(zxid(3, 1), false, &forced), Plan::Snap);
    }

    /// quorum-protocol.md §6.4-4: TRUNC is exact for a Paddock learner; a Java learner gets SNAP.
    #[test]
    fn a_learner_with_txns_that_nobody_committed_drops_them() {
        let history = history(zxid(1, 5), &[zxid(1, 6), zxid(3, 1)], 0);
        assert_eq!(choose(zxid(1, 9), true, &offer(&history, 4)), Plan::Trunc { to: zxid(1, 6) });
        assert_eq!(choose(zxid(3, 2), true, &offer(&history, 4)), Plan::Trunc { to: zxid(3, 1) });
        assert_eq!(choose(zxid(1, 9), false, &offer(&history, 4)), Plan::Snap);
    }

    /// Of epoch 2 this leader has nothing: it cannot know where the learner left the common history (U1 at the learner).
    #[test]
    fn u1_without_a_common_txn_of_the_epoch_there_is_no_target_for_trunc() {
        let history = history(zxid(1, 5), &[zxid(1, 6), zxid(3, 1)], 0);
        assert_eq!(choose(zxid(2, 3), true, &offer(&history, 4)), Plan::Snap);
        let behind_snapshot = self::history(zxid(3, 0), &[], 0);
        assert_eq!(choose(zxid(3, 2), true, &offer(&behind_snapshot, 4)), Plan::Snap, "no log holds a record with counter 0");
    }

    /// The base of a fresh leader's history is not assumed to be the learner's.
    #[test]
    fn zookeeper_4352_an_empty_learner_gets_a_diff_only_from_the_very_beginning() {
        let whole = history(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2)], 0);
        assert_eq!(choose(Zxid::ZERO, false, &offer(&whole, 2)), Plan::Diff { after: Zxid::ZERO });
        let part = history(zxid(1, 1), &[zxid(1, 2)], 0);
        assert_eq!(choose(Zxid::ZERO, true, &offer(&part, 2)), Plan::Snap);
        assert_eq!(choose(Zxid(-1), true, &offer(&whole, 2)), Plan::Snap, "a server without a database");
    }

    /// What a learner reports includes what it logged of this epoch and nobody committed: no DIFF may declare that committed.
    #[test]
    fn outstanding_proposals_are_not_history_yet() {
        let history = history(zxid(1, 5), &[zxid(4, 1), zxid(4, 2)], 1);
        assert_eq!(choose(zxid(4, 1), false, &offer(&history, 4)), Plan::Diff { after: zxid(4, 1) });
        assert_eq!(choose(zxid(4, 2), false, &offer(&history, 4)), Plan::Await);
        assert_eq!(choose(zxid(4, 3), false, &offer(&history, 4)), Plan::Refuse);
    }

    /// An observer that comes from the leader may have heard of a commit before this follower does. Java tells it to truncate.
    #[test]
    fn a_follower_waits_for_what_an_observer_has_before_it() {
        let history = history(zxid(1, 5), &[zxid(4, 1), zxid(4, 2)], 1);
        let lagging = Offer { knows_all: false, ..offer(&history, 4) };
        for peer in [zxid(4, 2), zxid(4, 9)] {
            assert_eq!(choose(peer, true, &lagging), Plan::Await);
        }
        assert_eq!(choose(zxid(4, 1), true, &lagging), Plan::Diff { after: zxid(4, 1) });
    }

    #[test]
    fn the_beginning_of_an_epoch_counts_only_if_the_epoch_is_part_of_the_history() {
        let history = history(zxid(1, 5), &[zxid(1, 6), zxid(3, 1)], 0);
        assert_eq!(choose(zxid(3, 0), false, &offer(&history, 9)), Plan::Diff { after: zxid(1, 6) });
        assert_eq!(choose(zxid(2, 0), false, &offer(&history, 9)), Plan::Snap, "nobody knows what leader 2 began with");
        assert_eq!(choose(zxid(9, 0), false, &offer(&history, 9)), Plan::Diff { after: zxid(3, 1) }, "this leader's own stamp");
        let adopted = Offer { adopted: Epoch(8), ..offer(&history, 9) };
        assert_eq!(choose(zxid(8, 0), false, &adopted), Plan::Diff { after: zxid(3, 1) });
        assert_eq!(choose(zxid(7, 0), false, &adopted), Plan::Snap);
    }
}
