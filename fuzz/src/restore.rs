//! The state as a start reads it back from files.

use paddock::ids::{SessionId, Zxid};
use paddock::replica::Restored;
use paddock::storage::{Restore, Sections, SnapshotAclEntry, SnapshotStat, SnapshotVisitor};
use paddock::tree::data_tree::DataTree;
use paddock::tree::stat::{OwnerRules, StatFields};

/// Seed of the hashes: scenarios are the same in every run.
pub const SEED: u64 = 7;

/// TTL znodes are on, so that all kinds of owners are met.
pub const RULES: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };

/// What a snapshot and a log fill.
pub struct Target(pub Restored);

impl Default for Target {
    fn default() -> Self {
        Self(Restored::new(SEED, RULES, true))
    }
}

impl Target {
    /// The tree and the sessions.
    #[must_use]
    pub fn finish(self) -> (DataTree, Vec<(SessionId, i32)>) {
        self.0.finish()
    }
}

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
