//! `acceptedEpoch` and `currentEpoch`: a decimal number each, replaced in one step (disk-formats.md §2).

use std::path::Path;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;

/// The promise to a new leader.
pub const ACCEPTED_EPOCH: &str = "acceptedEpoch";
/// The leadership whose history was adopted.
pub const CURRENT_EPOCH: &str = "currentEpoch";

const NUMBER_BYTES_MAX: usize = 32;

/// Reads an epoch; `None` if there is no such file.
///
/// # Errors
/// When the file does not hold a number.
pub fn read(fs: &dyn FileSystem, dir: &Path, name: &str) -> Result<Option<i64>, StorageError> {
    let path = dir.join(name);
    if !fs.exists(&path).context("look for", &path)? {
        return Ok(None);
    }
    let mut bytes = [0; NUMBER_BYTES_MAX];
    let n = fs.open(&path).context("open", &path)?.read_at(&mut bytes, 0).context("read", &path)?;
    let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
    let line = text.lines().next().unwrap_or_default();
    line.parse().map(Some).map_err(|_| StorageError::EpochFile { path, found: text.clone() })
}

/// Replaces an epoch: durable when this returns.
///
/// # Errors
/// When the disk refuses; the old number stands then.
pub fn write(fs: &dyn FileSystem, dir: &Path, name: &str, epoch: i64) -> Result<(), StorageError> {
    let (path, temporary) = (dir.join(name), dir.join(format!("{name}.tmp")));
    // A file that is left over may be one whose sync failed: what is written to it again may never reach the disk.
    if fs.exists(&temporary).context("look for", &temporary)? {
        fs.remove(&temporary).context("remove", &temporary)?;
    }
    let mut file = fs.create(&temporary).context("create", &temporary)?;
    file.write_all_at(epoch.to_string().as_bytes(), 0).context("write", &temporary)?;
    file.sync_data().context("sync", &temporary)?;
    drop(file);
    fs.rename(&temporary, &path).context("rename", &temporary)?;
    fs.sync_dir(dir).context("sync", dir)
}
