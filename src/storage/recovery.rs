//! What a start reads back: the newest sound snapshot, then the log behind it (disk-formats.md §7, §12). And the same up to an earlier
//! txn, for a truncation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::log_reader::{End, LogFile, Next};
use super::names::{SnapshotName, TEMPORARY_LOG_PREFIX, TEMPORARY_PREFIX, TEMPORARY_SUFFIX, list_logs, list_snapshots};
use super::replacement;
use super::replay::{replay, replay_to};
use super::snapshot::{Sections, SnapshotVisitor, read_snapshot};
use crate::ids::Zxid;

/// So many snapshots are tried at most.
const CANDIDATES_MAX: usize = 100;

/// Takes in what a start reads back.
pub trait Restore: SnapshotVisitor {
    /// Forget everything: an attempt begins, with a snapshot or from nothing.
    fn reset(&mut self, for_snapshot: bool);
    /// The snapshot was whole.
    fn snapshot_loaded(&mut self, zxid: Zxid, sections: Sections);
    /// A txn of the log.
    ///
    /// # Errors
    /// A reason why it cannot be taken in.
    fn txn(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), String>;
}

/// What recovery is told.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    /// The `version-2` of `dataDir`.
    pub snap_dir: PathBuf,
    /// The `version-2` of `dataLogDir`.
    pub log_dir: PathBuf,
    /// `snapshot.trust.empty`: a log without any snapshot is replayed from nothing.
    pub trust_empty: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last txn.
    pub last_zxid: Zxid,
    /// The snapshot that was used.
    pub snapshot: Option<Zxid>,
    /// Txns replayed.
    pub txn_count: u64,
    /// Bytes of an unfinished batch that were cut off the end of the log.
    pub cut_bytes: u64,
    /// Snapshots that were damaged and passed over.
    pub damaged_snapshots: Vec<PathBuf>,
}

impl Recovered {
    /// Whether a snapshot is due before anything is served: what was replayed may stand in memory only, in files that a killed run, or
    /// one with a failed fsync, left behind.
    #[must_use]
    pub fn needs_snapshot(&self) -> bool {
        self.snapshot.is_none() || self.txn_count > 0
    }
}

/// Reads everything back into `target`, and cuts a torn end off the log before anything new is written. A truncation or an installation
/// that was cut short is completed first.
///
/// # Errors
/// When something durable is missing or damaged; the message says where, and what to do.
pub fn recover(fs: &Arc<dyn FileSystem>, options: &RecoveryOptions, target: &mut impl Restore) -> Result<Recovered, StorageError> {
    let fs = fs.as_ref();
    check_places(fs, options)?;
    replacement::complete(fs, options)?;
    for dir in [&options.snap_dir, &options.log_dir] {
        remove_left_overs(fs, dir)?;
    }
    sync_directories(fs, options)?;
    let snapshots = list_snapshots(fs, &options.snap_dir)?;
    let logs = list_logs(fs, &options.log_dir)?;
    let mut recovered = Recovered::default();
    let damaged = load_snapshot(fs, options, &snapshots, target, &mut recovered)?;
    if recovered.snapshot.is_none() {
        target.reset(false);
        if !options.trust_empty {
            refuse_records(fs, options, &logs)?;
        }
    }
    recovered.last_zxid = recovered.snapshot.unwrap_or(Zxid::ZERO);
    let clean_up = replay(fs, options, &logs, target, &mut recovered)?;
    if let Some((needed, path, reason)) = damaged.filter(|(needed, ..)| recovered.last_zxid < *needed) {
        let from = recovered.snapshot.unwrap_or(Zxid::ZERO);
        return Err(StorageError::SnapshotNotReplaceable { path, reason, from, reached: recovered.last_zxid, needed });
    }
    recovered.cut_bytes = clean_up.run(fs, &options.log_dir)?;
    Ok(recovered)
}

/// Reads back into `target` the state at exactly `to`, if snapshots and log lead there, and changes nothing. Tells whether they do.
///
/// # Errors
/// When something on the way is damaged or missing.
pub fn rebuild(fs: &dyn FileSystem, options: &RecoveryOptions, to: Zxid, target: &mut impl Restore) -> Result<bool, StorageError> {
    let mut snapshots = list_snapshots(fs, &options.snap_dir)?;
    snapshots.retain(|snapshot| snapshot.zxid <= to);
    let mut recovered = Recovered::default();
    load_snapshot(fs, options, &snapshots, target, &mut recovered)?;
    let Some(base) = recovered.snapshot else { return Ok(false) };
    Ok(replay_to(fs, options, base, to, target)? == to)
}

/// What is read may stand in memory only, left behind by a run that was killed. Files are synced where they matter; names here.
fn sync_directories(fs: &dyn FileSystem, options: &RecoveryOptions) -> Result<(), StorageError> {
    fs.sync_dir(&options.snap_dir).context("sync", &options.snap_dir)?;
    if options.log_dir != options.snap_dir {
        fs.sync_dir(&options.log_dir).context("sync", &options.log_dir)?;
    }
    Ok(())
}

/// Without a snapshot there may be no txn either.
fn refuse_records(fs: &dyn FileSystem, options: &RecoveryOptions, logs: &[(Zxid, String)]) -> Result<(), StorageError> {
    for (_, name) in logs {
        let log = options.log_dir.join(name);
        if !is_empty_log(fs, &log)? {
            return Err(StorageError::SnapshotsMissing { snap_dir: options.snap_dir.clone(), log });
        }
    }
    Ok(())
}

/// With two directories, a file in the wrong one means that they were mixed up.
fn check_places(fs: &dyn FileSystem, options: &RecoveryOptions) -> Result<(), StorageError> {
    if options.snap_dir == options.log_dir {
        return Ok(());
    }
    if let Some((_, log)) = list_logs(fs, &options.snap_dir)?.into_iter().next() {
        return Err(StorageError::Misplaced { path: options.snap_dir.join(log) });
    }
    match list_snapshots(fs, &options.log_dir)?.into_iter().next() {
        Some(snapshot) => Err(StorageError::Misplaced { path: options.log_dir.join(snapshot.name) }),
        None => Ok(()),
    }
}

fn remove_left_overs(fs: &dyn FileSystem, dir: &Path) -> Result<(), StorageError> {
    let names = fs.list(dir).context("list", dir)?;
    let mut removed = false;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY_SUFFIX)) {
        let begins = [TEMPORARY_PREFIX, TEMPORARY_LOG_PREFIX, "snapshot."];
        let ours = begins.iter().any(|begin| name.starts_with(begin)) || name == "acceptedEpoch.tmp";
        if ours {
            let path = dir.join(name);
            fs.remove(&path).context("remove", &path)?;
            removed = true;
        }
    }
    if removed { fs.sync_dir(dir).context("sync", dir) } else { Ok(()) }
}

type Damaged = Option<(Zxid, PathBuf, String)>;

/// Loads the newest snapshot that is whole. Tells of the newest that was not: the log must lead past it then.
fn load_snapshot(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    snapshots: &[SnapshotName],
    target: &mut impl Restore,
    recovered: &mut Recovered,
) -> Result<Damaged, StorageError> {
    let mut damaged: Damaged = None;
    for snapshot in snapshots.iter().take(CANDIDATES_MAX) {
        let path = options.snap_dir.join(&snapshot.name);
        target.reset(true);
        match read_snapshot(fs, &path, snapshot.compression, target) {
            Ok(sections) => {
                target.snapshot_loaded(snapshot.zxid, sections);
                recovered.snapshot = Some(snapshot.zxid);
                return Ok(damaged);
            }
            Err(error @ StorageError::Io { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "passing over a snapshot");
                recovered.damaged_snapshots.push(path.clone());
                damaged.get_or_insert((snapshot.zxid, path, error.to_string()));
            }
        }
    }
    match damaged {
        None => Ok(None),
        Some((_, newest, reason)) => Err(StorageError::NoValidSnapshot {
            dir: options.snap_dir.clone(),
            count: snapshots.len().min(CANDIDATES_MAX),
            newest: newest.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            reason,
        }),
    }
}

fn is_empty_log(fs: &dyn FileSystem, path: &Path) -> Result<bool, StorageError> {
    let mut log = LogFile::open(fs, path)?;
    Ok(log.is_stub()? || (log.has_magic()? && matches!(log.next()?, Next::End(End::Clean { .. }))))
}
