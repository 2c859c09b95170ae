//! The frozen state on its way to a learner.

use std::io;

use super::persistence::Walk;
use crate::ids::Zxid;
use crate::net::peers::SnapshotSource;
use crate::storage::put_signature;
use crate::tree::snapshot_walk::Walked;

/// The state at one zxid, for a learner.
pub(super) struct LearnerSnapshot {
    pub(super) walk: Walk,
    pub(super) zxid: Zxid,
    /// What comes before the znodes.
    pub(super) head: Vec<u8>,
    /// Bytes of znodes that are copied under one hold of the tree's read lock.
    pub(super) slice_bytes: usize,
}

impl SnapshotSource for LearnerSnapshot {
    fn next_slice(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if !self.head.is_empty() {
            out.append(&mut self.head);
            return Ok(true);
        }
        let tree = self.walk.shared.tree.read();
        match tree.continue_snapshot(&self.walk.id, self.slice_bytes, out) {
            Walked::More => Ok(true),
            Walked::Whole => {
                put_signature(out);
                Ok(false)
            }
            Walked::Ended => Err(io::Error::other(format!("the state at {} is no longer there", self.zxid))),
        }
    }
}
