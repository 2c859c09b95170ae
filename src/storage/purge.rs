//! Removing what no start will need: all but the newest snapshots and the log since the oldest of them (disk-formats.md §8).

use std::path::{Path, PathBuf};

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::names::{list_logs, list_snapshots};

/// Keeps the newest `retain` snapshots and the log files since the oldest of them. Gives the files that were removed.
///
/// # Errors
/// When a directory cannot be listed or a file not removed.
pub fn purge(fs: &dyn FileSystem, snap_dir: &Path, log_dir: &Path, retain: usize) -> Result<Vec<PathBuf>, StorageError> {
    let snapshots = list_snapshots(fs, snap_dir)?;
    let Some(oldest_kept) = snapshots.get(..retain).and_then(|kept| kept.last()).map(|snapshot| snapshot.zxid) else {
        return Ok(Vec::new());
    };
    let logs = list_logs(fs, log_dir)?;
    let first_needed = logs.iter().rposition(|(name, _)| *name <= oldest_kept).unwrap_or(0);
    let old_logs = logs[..first_needed].iter().map(|(_, name)| log_dir.join(name));
    let old_snapshots =
        snapshots[retain..].iter().filter(|snapshot| snapshot.zxid < oldest_kept).map(|snapshot| snap_dir.join(&snapshot.name));
    let removed: Vec<PathBuf> = old_logs.chain(old_snapshots).collect();
    for path in &removed {
        fs.remove(path).context("remove", path)?;
    }
    Ok(removed)
}
