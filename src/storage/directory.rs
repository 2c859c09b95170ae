//! The directories: their layout, their lock, and how much they hold.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::{IoContext, StorageError};
use super::fs::{File, FileSystem};
use super::names::LOCK_NAME;

/// The directory of the only format there is.
const VERSION_DIR: &str = "version-2";

/// The data directories of a server, locked as long as this lives.
pub struct Directories {
    snap_dir: PathBuf,
    log_dir: PathBuf,
    files: Arc<Mutex<()>>,
    _locks: Vec<Box<dyn File>>,
}

impl Directories {
    /// Finds or makes both directories and locks them against a second server.
    ///
    /// # Errors
    /// When one is missing and may not be made, cannot be written, or is in use.
    pub fn open(fs: &Arc<dyn FileSystem>, data_dir: &Path, data_log_dir: &Path, create: bool) -> Result<Self, StorageError> {
        let (snap_dir, log_dir) = (data_dir.join(VERSION_DIR), data_log_dir.join(VERSION_DIR));
        let mut locks = Vec::new();
        let mut seen: Vec<&Path> = Vec::new();
        for dir in [&snap_dir, &log_dir] {
            if !seen.contains(&dir.as_path()) {
                locks.push(open_one(fs.as_ref(), dir, create)?);
                seen.push(dir);
            }
        }
        Ok(Self { snap_dir, log_dir, files: Arc::default(), _locks: locks })
    }

    /// Where snapshots and epoch files are.
    #[must_use]
    pub fn snap_dir(&self) -> &Path {
        &self.snap_dir
    }

    /// Held by whoever removes snapshots or log files: a purge, a truncation, an installation.
    #[must_use]
    pub fn files(&self) -> &Arc<Mutex<()>> {
        &self.files
    }

    /// Where the log is.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }
}

fn open_one(fs: &dyn FileSystem, dir: &Path, create: bool) -> Result<Box<dyn File>, StorageError> {
    let missing = missing_ancestors(fs, dir)?;
    if !missing.is_empty() {
        if !create {
            return Err(StorageError::MissingDirectory { path: dir.to_path_buf() });
        }
        fs.create_dir_all(dir).context("create", dir)?;
    }
    sync_names(fs, dir, missing.len())?;
    let lock = dir.join(LOCK_NAME);
    let held = fs.lock(&lock).context("lock", &lock)?;
    held.ok_or_else(|| StorageError::Locked { path: dir.to_path_buf(), lock })
}

/// With `db.autocreate=false` an empty database is begun only where the operator put the file `initialize`, which allows it once
/// (`FileTxnSnapLog.restore`). Java's standalone server goes on all the same; an empty mount must not look like an empty database.
///
/// # Errors
/// When there is no such file, or it cannot be removed.
pub fn take_empty_marker(fs: &dyn FileSystem, snap_dir: &Path, data_dir: &Path) -> Result<(), StorageError> {
    let marker = data_dir.join("initialize");
    if !fs.exists(&marker).context("look for", &marker)? {
        return Err(StorageError::NoDatabase { path: snap_dir.to_path_buf(), marker });
    }
    fs.remove(&marker).context("remove", &marker)?;
    fs.sync_dir(data_dir).context("sync", data_dir)
}

/// The directories that are to be made, the innermost first.
fn missing_ancestors<'a>(fs: &dyn FileSystem, dir: &'a Path) -> Result<Vec<&'a Path>, StorageError> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|ancestor| *ancestor != Path::new("")) {
        if fs.exists(ancestor).context("look for", ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    Ok(missing)
}

/// Makes the names on the way to a directory durable: those made just now, and in any case `version-2` and `dataDir`, which a run that
/// was killed may have made.
fn sync_names(fs: &dyn FileSystem, dir: &Path, made: usize) -> Result<(), StorageError> {
    for (index, parent) in dir.ancestors().skip(1).take(made.max(2)).enumerate() {
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        match fs.sync_dir(parent) {
            // Somebody else's directory, in which we made nothing.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && index >= made => {}
            result => result.context("sync", parent)?,
        }
    }
    Ok(())
}

/// Bytes of the files in a directory.
///
/// # Errors
/// When the directory cannot be read. A file that goes meanwhile does not count.
pub fn size_bytes(fs: &dyn FileSystem, dir: &Path) -> Result<u64, StorageError> {
    let names = fs.list(dir).context("list", dir)?;
    Ok(names.iter().filter_map(|name| fs.len(&dir.join(name)).ok()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RealFileSystem;

    #[test]
    fn the_marker_allows_an_empty_database_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let take = || take_empty_marker(&RealFileSystem, &dir.path().join("version-2"), dir.path());
        assert!(matches!(take(), Err(StorageError::NoDatabase { .. })));
        std::fs::write(dir.path().join("initialize"), "").expect("writable");
        take().expect("allowed");
        let message = take().expect_err("only once").to_string();
        assert!(message.contains("db.autocreate=false") && message.contains("initialize"), "{message}");
    }
}
