//! When a snapshot is due, and the thread that writes one while requests go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::node::Node;
use crate::ids::Zxid;
use crate::storage::{Compression, FileSystem, Sections, SnapshotWriter, StorageError};
use crate::tree::digest::DIGEST_VERSION;

/// Bytes of znodes that are written under one hold of the tree's read lock.
const SLICE_BYTES: usize = 256 << 10;

/// How and where snapshots are written.
#[derive(Clone)]
pub(super) struct SnapshotSettings {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) dir: PathBuf,
    pub(super) compression: Compression,
    pub(super) with_digest: bool,
    pub(super) with_last_zxid: bool,
}

/// Txns between two snapshots when the operator names no number.
const SNAP_COUNT_DEFAULT: u32 = 100_000;
/// When the operator names no number, the log must also have grown by this part of what the snapshot takes: a snapshot of a large tree
/// costs more than it saves the next start while the log behind the last one is short.
const WORTH_A_SNAPSHOT: u64 = 2;

/// Counts towards the next snapshot (`SyncRequestProcessor.shouldSnapshot`): after between half and all of the configured number of
/// txns or bytes, by chance, so that the members of an ensemble do not do it at once.
pub(super) struct Snapshots {
    settings: SnapshotSettings,
    snap_count: u64,
    is_count_given: bool,
    snap_bytes: Option<u64>,
    txns: u64,
    bytes: u64,
    chance: u64,
    is_running: Arc<AtomicBool>,
}

impl Snapshots {
    pub(super) fn new(settings: SnapshotSettings, snap_count: Option<u32>, snap_bytes: Option<u64>, seed: u64) -> Self {
        let is_count_given = snap_count.is_some();
        let snap_count = u64::from(snap_count.unwrap_or(SNAP_COUNT_DEFAULT).max(2));
        Self { settings, snap_count, is_count_given, snap_bytes, txns: 0, bytes: 0, chance: seed | 1, is_running: Arc::default() }
    }

    /// Counts what was logged; true when a snapshot is due. `snapshot_bytes` is what it would take.
    pub(super) fn is_due(&mut self, txns: u64, bytes: u64, snapshot_bytes: impl FnOnce() -> u64) -> bool {
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

    /// Starts the thread, unless one is at work still.
    pub(super) fn start(&self, node: &Arc<Node>) {
        if self.is_running.swap(true, Ordering::AcqRel) {
            tracing::warn!("Too busy to snap, skipping");
            return;
        }
        let (node, settings, is_running) = (Arc::clone(node), self.settings.clone(), Arc::clone(&self.is_running));
        let work = move || {
            let started = Instant::now();
            match write(&node, &settings) {
                Ok((zxid, path)) => {
                    tracing::info!(%zxid, path = %path.display(), took_ms = started.elapsed().as_millis() as u64, "snapshot written");
                }
                Err(error) => tracing::error!(%error, "snapshot failed"),
            }
            is_running.store(false, Ordering::Release);
        };
        if let Err(error) = thread::Builder::new().name("snapshot".to_owned()).spawn(work) {
            tracing::error!(%error, "snapshot thread could not start");
            self.is_running.store(false, Ordering::Release);
        }
    }
}

/// Writes a snapshot of what is applied now.
pub(super) fn write(node: &Node, settings: &SnapshotSettings) -> Result<(Zxid, PathBuf), StorageError> {
    let mut out = Vec::with_capacity(SLICE_BYTES * 2);
    let start = node.begin_snapshot(&mut out);
    let written = write_body(node, settings, start.zxid, out);
    node.shared.tree.write().end_snapshot();
    let sections = Sections {
        digest: settings.with_digest.then_some((start.zxid, DIGEST_VERSION, start.digest as i64)),
        last_zxid: settings.with_last_zxid.then_some(start.zxid),
    };
    Ok((start.zxid, written?.finish(sections)?))
}

fn write_body(node: &Node, settings: &SnapshotSettings, zxid: Zxid, mut out: Vec<u8>) -> Result<SnapshotWriter, StorageError> {
    let mut writer = SnapshotWriter::new(Arc::clone(&settings.fs), &settings.dir, zxid, settings.compression)?;
    loop {
        let more = node.shared.tree.read().continue_snapshot(SLICE_BYTES, &mut out);
        writer.write(&out)?;
        out.clear();
        if !more {
            return Ok(writer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RealFileSystem;

    fn counter(snap_count: Option<u32>) -> Snapshots {
        let settings = SnapshotSettings {
            fs: Arc::new(RealFileSystem),
            dir: PathBuf::new(),
            compression: Compression::None,
            with_digest: true,
            with_last_zxid: true,
        };
        Snapshots::new(settings, snap_count, None, 7)
    }

    #[test]
    fn a_given_count_alone_decides() {
        let mut snapshots = counter(Some(10));
        assert!(!snapshots.is_due(5, 1, || u64::MAX));
        assert!(snapshots.is_due(6, 1, || u64::MAX));
        assert!(!snapshots.is_due(1, 1, || 0), "it counts from nothing again");
    }

    #[test]
    fn without_one_a_large_tree_waits_for_a_long_log() {
        let mut snapshots = counter(None);
        assert!(!snapshots.is_due(1_000_000, 500, || 1000));
        assert!(snapshots.is_due(1, 1, || 1000));
        assert!(!snapshots.is_due(10, 501, || 1000), "the count is needed too");
    }
}
