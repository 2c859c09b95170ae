//! Exact truncation: every txn above a zxid goes, out of the snapshots and out of the log, and every txn up to it stays.
//!
//! Where Java's goes wrong (quorum-protocol.md §5: U1, 1549, 4837): it keeps the first record above a target that the log does not hold, and
//! loads snapshots beyond it again. Here the history up to the target is read before anything is touched, and a target that it does not
//! lead to is refused.

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::layout::FILE_HEADER_BYTES;
use super::log_reader::{End, LogFile, Next};
use super::names::{list_logs, list_snapshots, truncate_name};
use super::recovery::{RecoveryOptions, Restore, rebuild};
use super::replacement::{conclude, mark_end, remove_logs_above, remove_snapshots};
use super::replay::{needed_logs, replay_to};
use super::snapshot::Nothing;
use crate::ids::Zxid;

/// What a truncation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// The durable history ends in exactly the target.
    Done,
    /// Neither the log nor a snapshot ends in the target, or they do not lead to it: nothing was changed.
    Refused,
}

/// Truncates to `to`, and reads the state at `to` back into `target`. The log must not be open for writing; a snapshot must not be under way.
/// When it is refused, the target was filled with something of no use.
///
/// # Errors
/// When the disk refuses, or the part of the history that a start needs is damaged. Either the whole history is still there then, or the
/// next start completes the truncation.
pub fn truncate_and_rebuild(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    to: Zxid,
    target: &mut impl Restore,
) -> Result<Truncation, StorageError> {
    let reached = rebuild(fs, options, to, target);
    decide(fs, options, to, reached)
}

/// Truncates to `to`, which is not below the state in memory: that state stays as it is. The log must not be open for writing; a snapshot
/// must not be under way.
///
/// # Errors
/// As [`truncate_and_rebuild`].
pub fn truncate(fs: &dyn FileSystem, options: &RecoveryOptions, to: Zxid) -> Result<Truncation, StorageError> {
    // Snapshots are not read: whether they are sound matters for the next start, and is what it was.
    let base = list_snapshots(fs, &options.snap_dir)?.into_iter().map(|snapshot| snapshot.zxid).find(|zxid| *zxid <= to);
    let reached = match base {
        Some(base) => replay_to(fs, options, base, to, &mut Nothing).map(|reached| reached == to),
        None => Ok(false),
    };
    decide(fs, options, to, reached)
}

/// Damage below a snapshot that stays in force is nothing that a start would meet: then it is only the target that cannot be reached.
fn decide(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    to: Zxid,
    reached: Result<bool, StorageError>,
) -> Result<Truncation, StorageError> {
    match reached {
        Ok(true) => {
            begin(fs, options, to)?;
            carry_out(fs, options, to)?;
            Ok(Truncation::Done)
        }
        Ok(false) => Ok(Truncation::Refused),
        Err(error @ StorageError::Io { .. }) => Err(error),
        Err(error) if list_snapshots(fs, &options.snap_dir)?.iter().any(|snapshot| snapshot.zxid > to) => {
            tracing::warn!(%to, %error, "the history below the newest snapshot cannot be read back");
            Ok(Truncation::Refused)
        }
        Err(error) => Err(error),
    }
}

/// The moment from which the shorter history counts.
fn begin(fs: &dyn FileSystem, options: &RecoveryOptions, to: Zxid) -> Result<(), StorageError> {
    let path = options.snap_dir.join(truncate_name(to));
    fs.create(&path).context("create", &path)?;
    fs.sync_dir(&options.snap_dir).context("sync", &options.snap_dir)
}

/// Removes what is above `to`, as far as it is still there.
pub(super) fn carry_out(fs: &dyn FileSystem, options: &RecoveryOptions, to: Zxid) -> Result<(), StorageError> {
    remove_snapshots(fs, options, |zxid, _| zxid > to)?;
    remove_logs_above(fs, options, to)?;
    cut_logs(fs, options, to)?;
    mark_end(fs, options, to)?;
    conclude(fs, options, &truncate_name(to))
}

/// Cuts every file that a start reads behind its last record up to `to`.
fn cut_logs(fs: &dyn FileSystem, options: &RecoveryOptions, to: Zxid) -> Result<(), StorageError> {
    let base = list_snapshots(fs, &options.snap_dir)?.first().map_or(Zxid::ZERO, |snapshot| snapshot.zxid);
    let logs = list_logs(fs, &options.log_dir)?;
    for (_, name) in needed_logs(fs, options, &logs, base)? {
        let mut log = LogFile::open(fs, &options.log_dir.join(name))?;
        if let Some(end) = end_of_kept(&mut log, to)? {
            cut(fs, options, &log, end)?;
        }
    }
    Ok(())
}

/// Where the file is to end; `None` if nothing of it has to go.
fn end_of_kept(log: &mut LogFile, to: Zxid) -> Result<Option<u64>, StorageError> {
    if !log.has_magic()? {
        return Ok(Some(0));
    }
    loop {
        match log.next()? {
            Next::Record { zxid, .. } if zxid <= to => {}
            Next::Record { offset, .. } | Next::End(End::Broken { offset, .. }) => return Ok(Some(offset)),
            Next::End(End::Clean { .. }) => return Ok(None),
        }
    }
}

/// A file without a record is no use.
fn cut(fs: &dyn FileSystem, options: &RecoveryOptions, log: &LogFile, end: u64) -> Result<(), StorageError> {
    if end <= FILE_HEADER_BYTES as u64 {
        fs.remove(&log.path).context("remove", &log.path)?;
        return fs.sync_dir(&options.log_dir).context("sync", &options.log_dir);
    }
    let mut file = fs.open_write(&log.path).context("open", &log.path)?;
    file.set_len(end).context("truncate", &log.path)?;
    file.sync_data().context("sync", &log.path)
}
