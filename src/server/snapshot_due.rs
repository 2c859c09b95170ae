//! When a snapshot is due.

/// Txns between two snapshots when the operator names no number.
const SNAP_COUNT_DEFAULT: u64 = 100_000;
/// When the operator names no number, the log must also have grown by this part of what the snapshot takes: a snapshot of a large tree
/// costs more than it saves the next start while the log behind the last one is short.
const WORTH_A_SNAPSHOT: u64 = 2;

/// Counts towards the next snapshot (`SyncRequestProcessor.shouldSnapshot`): after between half and all of the configured number of
/// txns or bytes, by chance, so that the members of an ensemble do not do it at once.
pub(super) struct SnapshotDue {
    snap_count: u64,
    is_count_given: bool,
    snap_bytes: Option<u64>,
    txns: u64,
    bytes: u64,
    chance: u64,
}

impl SnapshotDue {
    pub(super) fn new(snap_count: Option<u64>, snap_bytes: Option<u64>, seed: u64) -> Self {
        let is_count_given = snap_count.is_some();
        let snap_count = snap_count.unwrap_or(SNAP_COUNT_DEFAULT).max(2);
        Self { snap_count, is_count_given, snap_bytes, txns: 0, bytes: 0, chance: seed | 1 }
    }

    /// Counts what was logged; true when a snapshot is due. `snapshot_bytes` is what it would take.
    pub(super) fn count(&mut self, txns: u64, bytes: u64, snapshot_bytes: impl FnOnce() -> u64) -> bool {
        self.txns += txns;
        self.bytes += bytes;
        let half = self.snap_count / 2;
        let by_count =
            self.txns > half + self.chance % half.max(1) && (self.is_count_given || self.bytes > snapshot_bytes() / WORTH_A_SNAPSHOT);
        let by_bytes = self.snap_bytes.is_some_and(|limit| self.bytes > limit / 2 + self.chance % (limit / 2).max(1));
        if by_count || by_bytes {
            (self.txns, self.bytes) = (0, 0);
            // The odd multiplier of a linear congruential generator: all that is needed is that servers differ.
            self.chance = self.chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1) >> 1;
        }
        by_count || by_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_count_alone_decides() {
        let mut due = SnapshotDue::new(Some(10), None, 7);
        assert!(!due.count(5, 1, || u64::MAX));
        assert!(due.count(6, 1, || u64::MAX));
        assert!(!due.count(1, 1, || 0), "it counts from nothing again");
    }

    #[test]
    fn without_one_a_large_tree_waits_for_a_long_log() {
        let mut due = SnapshotDue::new(None, None, 7);
        assert!(!due.count(1_000_000, 500, || 1000));
        assert!(due.count(1, 1, || 1000));
        assert!(!due.count(10, 501, || 1000), "the count is needed too");
    }
}
