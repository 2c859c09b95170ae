//! A small file that is replaced as a whole: after a crash it is the old one or the new one.

use std::path::Path;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;

/// Puts `bytes` into the place of the file, durably. `NAME.tmp` is used for it.
///
/// # Errors
/// When the disk refuses; the old file stands then.
pub fn write(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let temporary = path.with_added_extension("tmp");
    // A file that is left over may be one whose sync failed: what is written to it again may never reach the disk.
    if fs.exists(&temporary).context("look for", &temporary)? {
        fs.remove(&temporary).context("remove", &temporary)?;
    }
    let mut file = fs.create(&temporary).context("create", &temporary)?;
    file.write_all_at(bytes, 0).context("write", &temporary)?;
    file.sync_data().context("sync", &temporary)?;
    drop(file);
    fs.rename(&temporary, path).context("rename", &temporary)?;
    let dir = path.parent().unwrap_or(path);
    fs.sync_dir(dir).context("sync", dir)
}

/// Reads the whole file, if it has no more than `bytes_max`.
///
/// # Errors
/// When the disk refuses, or the file is larger.
pub fn read(fs: &dyn FileSystem, path: &Path, bytes_max: usize) -> Result<Vec<u8>, StorageError> {
    let file = fs.open(path).context("open", path)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = file.read_at(&mut chunk, bytes.len() as u64).context("read", path)?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() > bytes_max {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "too large")).context("read", path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RealFileSystem;

    #[test]
    fn a_file_is_replaced_and_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("zoo.cfg");
        std::fs::write(dir.path().join("zoo.cfg.tmp"), "left over, and longer than what follows").expect("writable");
        for text in ["first", "2"] {
            write(&RealFileSystem, &path, text.as_bytes()).expect("writable");
            assert_eq!(read(&RealFileSystem, &path, 5).expect("readable"), text.as_bytes());
        }
        assert!(!dir.path().join("zoo.cfg.tmp").exists());
        write(&RealFileSystem, &path, &[b'x'; 6]).expect("writable");
        assert!(read(&RealFileSystem, &path, 5).is_err(), "it is larger than that");
    }
}
