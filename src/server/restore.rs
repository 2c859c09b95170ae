//! Storage reads, the replica takes in: the two meet here.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ids::{SessionId, Zxid};
use crate::replica::Restored;
use crate::storage::{Restore, Sections, SnapshotAclEntry, SnapshotStat, SnapshotVisitor};
use crate::tree::stat::StatFields;
use crate::zab::HistoryLimits;

/// The state that recovery fills.
pub struct Target(pub Restored);

impl SnapshotVisitor for Target {
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.0.session(SessionId(id), timeout_ms);
    }

    fn acl(&mut self, id: i64, entries: Vec<SnapshotAclEntry>) -> Result<(), String> {
        self.0.acl(id, entries)
    }

    fn znode(&mut self, path: &str, data: Option<&[u8]>, acl: i64, stat: SnapshotStat) -> Result<(), String> {
        let SnapshotStat { czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, pzxid } = stat;
        self.0.znode(path, data, acl, StatFields { czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner })
    }
}

impl Restore for Target {
    fn reset(&mut self, for_snapshot: bool) {
        self.0.reset(for_snapshot);
    }

    fn snapshot_loaded(&mut self, zxid: Zxid, sections: Sections) {
        self.0.snapshot_loaded(zxid, sections.digest);
    }

    fn txn(&mut self, _: Zxid, payload: &[u8]) -> Result<(), String> {
        self.0.txn(payload)
    }
}

/// A target that keeps the newest txns of the log, for learners that lack no more than these.
pub(super) struct Keeping {
    target: Target,
    limits: HistoryLimits,
    recent: VecDeque<(Zxid, Bytes)>,
    bytes: usize,
}

impl Keeping {
    pub(super) fn new(target: Target, limits: HistoryLimits) -> Self {
        Self { target, limits, recent: VecDeque::new(), bytes: 0 }
    }

    /// The target, and the txns in their order.
    pub(super) fn finish(self) -> (Target, Vec<(Zxid, Bytes)>) {
        (self.target, self.recent.into())
    }

    fn keep(&mut self, zxid: Zxid, payload: &[u8]) {
        if self.limits.delivered_count_max == 0 {
            return;
        }
        self.bytes += payload.len();
        self.recent.push_back((zxid, Bytes::copy_from_slice(payload)));
        while self.recent.len() > self.limits.delivered_count_max || self.bytes > self.limits.delivered_bytes_max {
            let Some((_, dropped)) = self.recent.pop_front() else { return };
            self.bytes -= dropped.len();
        }
    }
}

impl SnapshotVisitor for Keeping {
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.target.session(id, timeout_ms);
    }

    fn acl(&mut self, id: i64, entries: Vec<SnapshotAclEntry>) -> Result<(), String> {
        self.target.acl(id, entries)
    }

    fn znode(&mut self, path: &str, data: Option<&[u8]>, acl: i64, stat: SnapshotStat) -> Result<(), String> {
        self.target.znode(path, data, acl, stat)
    }
}

impl Restore for Keeping {
    fn reset(&mut self, for_snapshot: bool) {
        self.recent.clear();
        self.bytes = 0;
        self.target.reset(for_snapshot);
    }

    fn snapshot_loaded(&mut self, zxid: Zxid, sections: Sections) {
        self.target.snapshot_loaded(zxid, sections);
    }

    fn txn(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), String> {
        self.target.txn(zxid, payload)?;
        self.keep(zxid, payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Restored;
    use crate::tree::stat::OwnerRules;

    #[test]
    fn the_newest_txns_are_kept_within_both_limits() {
        for (count, bytes, expected) in [(0, 100, 0..0), (3, 100, 7..10), (10, 25, 8..10), (10, 9, 0..0)] {
            let limits = HistoryLimits { delivered_count_max: count, delivered_bytes_max: bytes };
            let mut keeping = Keeping::new(Target(Restored::new(1, OwnerRules::default(), true)), limits);
            (0..10).for_each(|zxid| keeping.keep(Zxid(zxid), &[0; 10]));
            let kept: Vec<i64> = keeping.finish().1.iter().map(|(zxid, _)| zxid.0).collect();
            assert_eq!(kept, expected.collect::<Vec<_>>());
        }
    }
}
