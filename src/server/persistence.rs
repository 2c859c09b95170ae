//! What a server keeps on disk, as plain calls without a thread or a clock: recovery and snapshots here, the log in `journal.rs`.
//!
//! The log thread and the snapshot thread make these calls; so does a simulator, one step at a time.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub use super::journal::{Journal, Truncated, Written};
use super::restore::{Keeping, Target};
use crate::ids::{SessionId, Zxid};
use crate::replica::{Restored, Shared};
use crate::storage::{
    Compression, Directories, FileSystem, Recovered, RecoveryOptions, Sections, SnapshotWriter, StorageError, TxnLogOptions, recover,
};
use crate::tree::data_tree::DataTree;
use crate::tree::digest::DIGEST_VERSION;
use crate::tree::snapshot_walk::{SnapshotStart, WalkId, Walked};
use crate::tree::stat::OwnerRules;
use crate::zab::HistoryLimits;

/// How the data is kept.
#[derive(Clone, Debug)]
pub struct PersistenceSettings {
    /// How the log is written.
    pub log: TxnLogOptions,
    /// A snapshot is due after between half and all of so many txns; `None`: of 100,000, and when the log has grown enough to be worth it.
    pub snap_count: Option<u64>,
    /// A snapshot is due after between half and all of so many bytes of log.
    pub snap_bytes: Option<u64>,
    /// Bytes of znodes that are written to a snapshot under one hold of the tree's read lock.
    pub slice_bytes: usize,
    /// How snapshots are compressed.
    pub compression: Compression,
    /// Whether a snapshot says the digest of its tree.
    pub with_digest: bool,
    /// Whether a snapshot says its zxid behind the body too.
    pub with_last_zxid: bool,
    /// How owners of znodes are read.
    pub owner_rules: OwnerRules,
    /// Whether the tree keeps a digest.
    pub digest_enabled: bool,
    /// Whether a log without a snapshot is replayed.
    pub trust_empty: bool,
    /// How much of the end of the log a start keeps in memory, for learners.
    pub kept: HistoryLimits,
}

/// What a start found.
pub struct Start {
    /// The tree.
    pub tree: DataTree,
    /// The sessions with their timeouts in ms.
    pub sessions: Vec<(SessionId, i32)>,
    /// How it was found.
    pub recovered: Recovered,
    /// How often a digest on disk did not match the tree.
    pub digest_mismatches: u64,
    /// The newest txns of the log.
    pub recent: Vec<(Zxid, Bytes)>,
}

impl Start {
    /// Whether there was no database at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recovered.snapshot.is_none() && self.recovered.last_zxid == Zxid::ZERO
    }
}

/// A tree, and the sessions with their timeouts in ms: what a replica takes over.
pub type State = (DataTree, Vec<(SessionId, i32)>);

/// Where a recovery looks.
pub(super) fn recovery_options(directories: &Directories, settings: &PersistenceSettings) -> RecoveryOptions {
    RecoveryOptions {
        snap_dir: directories.snap_dir().to_path_buf(),
        log_dir: directories.log_dir().to_path_buf(),
        trust_empty: settings.trust_empty,
    }
}

/// An empty state, to be filled by a recovery.
pub(super) fn target(settings: &PersistenceSettings, seed: u64) -> Target {
    Target(Restored::new(seed, settings.owner_rules, settings.digest_enabled))
}

/// Reads everything back. `seed` keys the hashes.
///
/// # Errors
/// When something durable is missing or damaged.
pub fn restore(
    fs: &Arc<dyn FileSystem>,
    directories: &Directories,
    settings: &PersistenceSettings,
    seed: u64,
) -> Result<Start, StorageError> {
    let mut keeping = Keeping::new(target(settings, seed), settings.kept);
    let recovered = recover(fs, &recovery_options(directories, settings), &mut keeping)?;
    let (Target(restored), recent) = keeping.finish();
    let digest_mismatches = restored.digest_mismatches();
    let (tree, sessions) = restored.finish();
    Ok(Start { tree, sessions, recovered, digest_mismatches, recent })
}

/// As long as it lives, changes of the tree leave their old form behind.
pub(super) struct Walk {
    pub(super) shared: Arc<Shared>,
    pub(super) id: WalkId,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.shared.tree.write().end_snapshot(&self.id);
    }
}

/// A snapshot being written, a slice at a time. Dropped before its end, it leaves nothing behind.
pub struct SnapshotJob {
    /// `None` when all znodes are written.
    walk: Option<Walk>,
    zxid: Zxid,
    sections: Sections,
    writer: SnapshotWriter,
    slice: Vec<u8>,
    slice_bytes: usize,
}

impl SnapshotJob {
    /// Takes over a snapshot that was begun on the tree, with the head that came out of it.
    ///
    /// # Errors
    /// When the file cannot be made; the tree's part is ended then.
    pub fn new(
        fs: &Arc<dyn FileSystem>,
        directories: &Directories,
        settings: &PersistenceSettings,
        shared: Arc<Shared>,
        start: SnapshotStart,
        head: Vec<u8>,
    ) -> Result<Self, StorageError> {
        let walk = Walk { shared, id: start.walk };
        let writer = SnapshotWriter::new(Arc::clone(fs), directories.snap_dir(), start.zxid, settings.compression)?;
        let sections = Sections {
            digest: settings.with_digest.then_some((start.zxid, DIGEST_VERSION, start.digest as i64)),
            last_zxid: settings.with_last_zxid.then_some(start.zxid),
        };
        Ok(Self { walk: Some(walk), zxid: start.zxid, sections, writer, slice: head, slice_bytes: settings.slice_bytes })
    }

    /// Writes the next slice. False when all znodes are written, and only [`Self::finish`] is left.
    ///
    /// # Errors
    /// When the disk refuses: the snapshot is given up.
    pub fn step(&mut self) -> Result<bool, StorageError> {
        let Some(walk) = &self.walk else { return Ok(false) };
        let walked = walk.shared.tree.read().continue_snapshot(&walk.id, self.slice_bytes, &mut self.slice);
        match walked {
            Walked::More => {}
            Walked::Whole => self.walk = None,
            Walked::Ended => return Err(StorageError::SnapshotGivenUp { zxid: self.zxid }),
        }
        self.writer.write(&self.slice)?;
        self.slice.clear();
        Ok(walked == Walked::More)
    }

    /// Writes what is left, makes the snapshot durable under its name, and gives both.
    ///
    /// # Errors
    /// When the disk refuses: there is no such snapshot then.
    pub fn finish(mut self) -> Result<(Zxid, PathBuf), StorageError> {
        while self.step()? {}
        Ok((self.zxid, self.writer.finish(self.sections)?))
    }
}
