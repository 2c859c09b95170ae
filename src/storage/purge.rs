//! Removing what no start will need: all but the newest sound snapshots and the log since the oldest of them (disk-formats.md §8).

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::names::{SnapshotName, list_logs, list_snapshots};
use super::snapshot::is_sound;

/// Keeps the newest `retain` snapshots that can be read to their end, and the log files since the oldest of them. Gives the files that
/// were removed. Damaged snapshots do not count: what would stand in for them is kept.
///
/// It reads for long, and removes while it holds `files`, which a truncation or an installation holds as well: what those removed
/// meanwhile cannot be what makes something else superfluous.
///
/// # Errors
/// When a directory cannot be listed, a snapshot not read, or a file not removed.
pub fn purge(fs: &dyn FileSystem, snap_dir: &Path, log_dir: &Path, retain: usize, files: &Mutex<()>) -> Result<Vec<PathBuf>, StorageError> {
    let kept = newest_sound(fs, snap_dir, &list_snapshots(fs, snap_dir)?, retain)?;
    let Some(oldest_kept) = kept.last().filter(|_| kept.len() == retain).map(|snapshot| snapshot.zxid) else { return Ok(Vec::new()) };
    let _files = files.lock();
    let snapshots = list_snapshots(fs, snap_dir)?;
    if !kept.iter().all(|kept| snapshots.contains(kept)) {
        return Ok(Vec::new());
    }
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

/// The newest snapshots that are sound, newest first, `count` at most.
fn newest_sound(fs: &dyn FileSystem, dir: &Path, snapshots: &[SnapshotName], count: usize) -> Result<Vec<SnapshotName>, StorageError> {
    let mut sound = Vec::new();
    for snapshot in snapshots {
        if is_sound(fs, &dir.join(&snapshot.name), snapshot.compression)? {
            sound.push(snapshot.clone());
        }
        if sound.len() == count {
            break;
        }
    }
    Ok(sound)
}

fn remove(fs: &dyn FileSystem, dir: &Path, paths: &[PathBuf]) -> Result<(), StorageError> {
    for path in paths {
        fs.remove(path).context("remove", path)?;
    }
    if paths.is_empty() { Ok(()) } else { fs.sync_dir(dir).context("sync", dir) }
}
