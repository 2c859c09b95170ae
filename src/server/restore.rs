//! Storage reads, the replica takes in: the two meet here.

use crate::ids::{SessionId, Zxid};
use crate::replica::Restored;
use crate::storage::{Restore, Sections, SnapshotAclEntry, SnapshotStat, SnapshotVisitor};
use crate::tree::stat::StatFields;

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
