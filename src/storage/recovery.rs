//! What a start reads back: the newest sound snapshot, then the log behind it (disk-formats.md §7, §12).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::layout::parse_mark;
use super::log_reader::{End, LogFile};
use super::names::{MARK_NAME, SnapshotName, TEMPORARY_PREFIX, TEMPORARY_SUFFIX, list_logs, list_snapshots};
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

/// Reads everything back into `target`, and cuts a torn end off the log before anything new is written.
///
/// # Errors
/// When something durable is missing or damaged; the message says where, and what to do.
pub fn recover(fs: &Arc<dyn FileSystem>, options: &RecoveryOptions, target: &mut impl Restore) -> Result<Recovered, StorageError> {
    let fs = fs.as_ref();
    check_places(fs, options)?;
    remove_left_overs(fs, &options.snap_dir)?;
    let snapshots = list_snapshots(fs, &options.snap_dir)?;
    let logs = list_logs(fs, &options.log_dir)?;
    let mut recovered = Recovered::default();
    let damaged = load_snapshot(fs, options, &snapshots, target, &mut recovered)?;
    if recovered.snapshot.is_none() {
        target.reset(false);
        if let Some((_, log)) = logs.first().filter(|_| !options.trust_empty) {
            let log = options.log_dir.join(log);
            if !is_empty_log(fs, &log)? {
                return Err(StorageError::SnapshotsMissing { snap_dir: options.snap_dir.clone(), log });
            }
        }
    }
    recovered.last_zxid = recovered.snapshot.unwrap_or(Zxid::ZERO);
    replay(fs, options, &logs, target, &mut recovered)?;
    match damaged {
        Some((needed, path, reason)) if recovered.last_zxid < needed => {
            let from = recovered.snapshot.unwrap_or(Zxid::ZERO);
            Err(StorageError::SnapshotNotReplaceable { path, reason, from, reached: recovered.last_zxid, needed })
        }
        _ => Ok(recovered),
    }
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
        let ours = name.starts_with(TEMPORARY_PREFIX) || name.starts_with("snapshot.") || name == "acceptedEpoch.tmp";
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
    let mut log = LogFile::read(fs, path)?;
    Ok(log.len() < super::layout::FILE_HEADER_BYTES as u64 || (log.has_magic() && matches!(log.next(), Err(End::Clean))))
}

/// The files that can hold records behind the snapshot: the newest that begins at or before it, and all later ones.
fn needed_logs(logs: &[(Zxid, String)], after: Zxid) -> &[(Zxid, String)] {
    let first = logs.iter().rposition(|(name, _)| *name <= after.next()).unwrap_or(0);
    &logs[first..]
}

fn replay(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    logs: &[(Zxid, String)],
    target: &mut impl Restore,
    recovered: &mut Recovered,
) -> Result<(), StorageError> {
    let synced = read_mark(fs, &options.log_dir)?;
    let needed = needed_logs(logs, recovered.last_zxid);
    for (index, (name, file)) in needed.iter().enumerate() {
        let path = options.log_dir.join(file);
        let is_last = index + 1 == needed.len();
        let mut log = LogFile::read(fs, &path)?;
        if !log.has_magic() {
            reject_header(fs, &log, is_last, recovered)?;
            continue;
        }
        let durable = synced.filter(|(log, _)| log == name).map_or(0, |(_, offset)| offset);
        if let Some(offset) = replay_file(&mut log, durable, is_last, target, recovered)?
            && is_last
        {
            cut(fs, &log, offset, recovered)?;
        }
    }
    Ok(())
}

/// A file without its header holds nothing: as the last one it is the beginning of a file that was never used.
fn reject_header(fs: &dyn FileSystem, log: &LogFile, is_last: bool, recovered: &Recovered) -> Result<(), StorageError> {
    if is_last && log.len() < super::layout::FILE_HEADER_BYTES as u64 {
        return fs.remove(&log.path).context("remove", &log.path);
    }
    let reason = "the file does not begin with ZKLG".to_owned();
    Err(StorageError::LogDamaged { path: log.path.clone(), offset: 0, last: recovered.last_zxid, reason })
}

/// Replays one file; gives the offset at which unreadable bytes begin that nobody was told of.
fn replay_file(
    log: &mut LogFile,
    durable: u64,
    is_last: bool,
    target: &mut impl Restore,
    recovered: &mut Recovered,
) -> Result<Option<u64>, StorageError> {
    loop {
        let path = log.path.clone();
        match log.next() {
            Ok((offset, zxid, payload)) => {
                if zxid <= recovered.last_zxid {
                    continue;
                }
                if !follows(recovered.last_zxid, zxid, recovered.snapshot.is_none()) {
                    return Err(StorageError::LogHole { path, offset, last: recovered.last_zxid, found: zxid });
                }
                target.txn(zxid, payload).map_err(|reason| StorageError::TxnRejected { path, offset, zxid, reason })?;
                recovered.last_zxid = zxid;
                recovered.txn_count += 1;
            }
            Err(End::Clean) => return Ok(None),
            Err(End::Broken { offset, reason, record_follows }) => {
                let last = recovered.last_zxid;
                // With a mark, everything below it is durable and everything above it may be torn in any way.
                // Without one the file is not ours: a record behind the break proves damage.
                let is_damage = if durable > 0 { offset < durable } else { record_follows };
                if is_damage {
                    return Err(StorageError::LogDamaged { path, offset, last, reason });
                }
                tracing::warn!(path = %path.display(), offset, %last, reason, is_last, "the log ends in an unfinished record");
                return Ok(Some(offset));
            }
        }
    }
}

/// Whether nothing is missing between two txns: counters go up by one, a new epoch begins at one.
/// Without a snapshot (`trust_empty`) the log may begin anywhere.
fn follows(last: Zxid, next: Zxid, may_begin: bool) -> bool {
    if next.epoch() == last.epoch() {
        return next == last.next() || (may_begin && last == Zxid::ZERO);
    }
    next.epoch() > last.epoch() && (next.counter() <= 1 || (may_begin && last == Zxid::ZERO))
}

fn cut(fs: &dyn FileSystem, log: &LogFile, offset: u64, recovered: &mut Recovered) -> Result<(), StorageError> {
    let mut file = fs.open_write(&log.path).context("open", &log.path)?;
    file.set_len(offset).context("truncate", &log.path)?;
    file.sync_data().context("sync", &log.path)?;
    recovered.cut_bytes = log.len().saturating_sub(offset);
    Ok(())
}

fn read_mark(fs: &dyn FileSystem, dir: &Path) -> Result<Option<(Zxid, u64)>, StorageError> {
    let path = dir.join(MARK_NAME);
    if !fs.exists(&path).context("look for", &path)? {
        return Ok(None);
    }
    let file = fs.open(&path).context("open", &path)?;
    let mut bytes = [0; super::layout::MARK_BYTES + 1];
    let n = file.read_at(&mut bytes, 0).context("read", &path)?;
    Ok(parse_mark(&bytes[..n]))
}
