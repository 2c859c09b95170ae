//! Replacing the durable history while a crash may come at any moment: by a beginning of itself, or by a received snapshot.
//!
//! Each is one step for whoever looks later. A name in the directory of the snapshots says what is being done; once that name is durable
//! the new history is the one that counts, and a start that finds it does the rest again. Every part of the rest may be done twice.
//!
//! ```text
//! truncation    (nothing else)                    ─► paddock-truncate.<zxid>       ─► snapshots above it go, log above it goes ─► name goes
//! installation  paddock-snapshot-received.<n>.tmp ─► paddock-install.<zxid>        ─► it gets the name of a snapshot as well,
//!                                                                                     every other snapshot goes, the log goes  ─► name goes
//! ```
//! The synced mark is replaced too: it must not miss what is gone on purpose, and must miss what is lost of the rest.

use std::path::Path;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::layout::Mark;
use super::mark::replace_mark;
use super::names::{list_logs, list_snapshots, parse_install_name, parse_truncate_name};
use super::recovery::RecoveryOptions;
use super::{install, truncate};
use crate::ids::Zxid;

/// Completes what a crash cut short.
///
/// # Errors
/// When the disk refuses, or the snapshot that is being installed is damaged: nothing is removed then.
pub(super) fn complete(fs: &dyn FileSystem, options: &RecoveryOptions) -> Result<(), StorageError> {
    let names = fs.list(&options.snap_dir).context("list", &options.snap_dir)?;
    for to in names.iter().filter_map(|name| parse_truncate_name(name)) {
        tracing::warn!(%to, "completing a truncation that was cut short");
        truncate::carry_out(fs, options, to)?;
    }
    for (zxid, compression) in names.iter().filter_map(|name| parse_install_name(name)) {
        tracing::warn!(%zxid, "completing the installation of a snapshot that was cut short");
        install::check(fs, options, zxid, compression)?;
        install::carry_out(fs, options, zxid, compression)?;
    }
    Ok(())
}

/// Removes the snapshots that `is_doomed` names by zxid and file name, the newest first.
pub(super) fn remove_snapshots(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    is_doomed: impl Fn(Zxid, &str) -> bool,
) -> Result<(), StorageError> {
    let doomed = list_snapshots(fs, &options.snap_dir)?.into_iter().filter(|snapshot| is_doomed(snapshot.zxid, &snapshot.name));
    remove(fs, &options.snap_dir, doomed.map(|snapshot| snapshot.name))
}

/// Removes the log files whose name is above `to`, the newest first.
pub(super) fn remove_logs_above(fs: &dyn FileSystem, options: &RecoveryOptions, to: Zxid) -> Result<(), StorageError> {
    let doomed = list_logs(fs, &options.log_dir)?.into_iter().rev().filter(|(name, _)| *name > to);
    remove(fs, &options.log_dir, doomed.map(|(_, name)| name))
}

fn remove(fs: &dyn FileSystem, dir: &Path, names: impl Iterator<Item = String>) -> Result<(), StorageError> {
    let mut removed = false;
    for path in names.map(|name| dir.join(name)) {
        fs.remove(&path).context("remove", &path)?;
        removed = true;
    }
    if removed { fs.sync_dir(dir).context("sync", dir) } else { Ok(()) }
}

/// The mark of a history that ends in `last`, in files that are all complete: the next txn opens a new one.
pub(super) fn mark_end(fs: &dyn FileSystem, options: &RecoveryOptions, last: Zxid) -> Result<(), StorageError> {
    replace_mark(fs, &options.log_dir, Mark { log: last.next(), offset: 0, last })
}

/// Takes away the name that says what is being done: it is done.
pub(super) fn conclude(fs: &dyn FileSystem, options: &RecoveryOptions, name: &str) -> Result<(), StorageError> {
    let path = options.snap_dir.join(name);
    fs.remove(&path).context("remove", &path)?;
    fs.sync_dir(&options.snap_dir).context("sync", &options.snap_dir)
}
