//! Removing what no start will need: all but the newest sound snapshots and the log since the oldest of them (disk-formats.md §8).

use std::path::{Path, PathBuf};

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::names::{SnapshotName, list_logs, list_snapshots};
use super::snapshot::is_sound;
use crate::ids::Zxid;

/// Keeps the newest `retain` snapshots that can be read to their end, and the log files since the oldest of them. Gives the files that
/// were removed. Damaged snapshots do not count: what would stand in for them is kept.
///
/// # Errors
/// When a directory cannot be listed, a snapshot not read, or a file not removed.
pub fn purge(fs: &dyn FileSystem, snap_dir: &Path, log_dir: &Path, retain: usize) -> Result<Vec<PathBuf>, StorageError> {
    let snapshots = list_snapshots(fs, snap_dir)?;
    let Some(oldest_kept) = oldest_kept(fs, snap_dir, &snapshots, retain)? else { return Ok(Vec::new()) };
    let logs = list_logs(fs, log_dir)?;
    let first_needed = logs.iter().rposition(|(name, _)| *name <= oldest_kept).unwrap_or(0);
    let old_snapshots: Vec<PathBuf> =
        snapshots.iter().filter(|snapshot| snapshot.zxid < oldest_kept).map(|snapshot| snap_dir.join(&snapshot.name)).collect();
    let old_logs: Vec<PathBuf> = logs[..first_needed].iter().map(|(_, name)| log_dir.join(name)).collect();
    // The snapshots first: one without its log is not of use, but one that is taken for useful does harm.
    remove(fs, snap_dir, &old_snapshots)?;
    remove(fs, log_dir, &old_logs)?;
    Ok(old_snapshots.into_iter().chain(old_logs).collect())
}

fn oldest_kept(fs: &dyn FileSystem, dir: &Path, snapshots: &[SnapshotName], retain: usize) -> Result<Option<Zxid>, StorageError> {
    let mut sound_count = 0;
    for snapshot in snapshots {
        sound_count += usize::from(is_sound(fs, &dir.join(&snapshot.name), snapshot.compression)?);
        if sound_count == retain {
            return Ok(Some(snapshot.zxid));
        }
    }
    Ok(None)
}

fn remove(fs: &dyn FileSystem, dir: &Path, paths: &[PathBuf]) -> Result<(), StorageError> {
    for path in paths {
        fs.remove(path).context("remove", path)?;
    }
    if paths.is_empty() { Ok(()) } else { fs.sync_dir(dir).context("sync", dir) }
}
