//! `paddock.synced`: up to where the newest log file is durable, and the last txn of it.
//!
//! It tells the torn end of a batch that nobody was told of from rot, and a log that was lost from one that never was. It may be behind
//! the log, never ahead of it: it is written after the fdatasync that it speaks of, without a sync of its own, so that it survives a
//! kill for certain and a power cut up to its last sync. There are two slots in two sectors: the one that was synced last is never
//! written over before the other one is synced, so a torn write leaves the older statement in force.

use std::path::{Path, PathBuf};

use super::error::{IoContext, StorageError};
use super::fs::{File, FileSystem};
use super::layout::{MARK_BYTES, Mark, mark_bytes, parse_mark};
use super::names::{MARK_NAME, TEMPORARY_SUFFIX};

/// Distance of the two slots: no disk tears two sectors with one write.
const SLOT_BYTES: u64 = 4096;

/// Reads the mark that reaches farthest; `None` if there is none that is whole.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn read_mark(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Mark>, StorageError> {
    let path = dir.join(MARK_NAME);
    if !fs.exists(&path).context("look for", &path)? {
        return Ok(None);
    }
    let file = fs.open(&path).context("open", &path)?;
    Ok(read_slots(file.as_ref(), &path)?.into_iter().flatten().max())
}

fn read_slots(file: &dyn File, path: &Path) -> Result<[Option<Mark>; 2], StorageError> {
    let mut slots = [None; 2];
    for (slot, offset) in slots.iter_mut().zip([0, SLOT_BYTES]) {
        let mut bytes = [0; MARK_BYTES];
        let n = file.read_at(&mut bytes, offset).context("read", path)?;
        *slot = parse_mark(&bytes[..n]);
    }
    Ok(slots)
}

/// Replaces the mark by one that may reach less far, in one step: durable when this returns.
///
/// # Errors
/// As the disk reports them; the old mark stands then.
pub(super) fn replace_mark(fs: &dyn FileSystem, dir: &Path, mark: Mark) -> Result<(), StorageError> {
    let (path, temporary) = (dir.join(MARK_NAME), dir.join(format!("{MARK_NAME}{TEMPORARY_SUFFIX}")));
    // What is left over from a failed sync may never reach the disk.
    if fs.exists(&temporary).context("look for", &temporary)? {
        fs.remove(&temporary).context("remove", &temporary)?;
    }
    let mut file = fs.create(&temporary).context("create", &temporary)?;
    file.write_all_at(&mark_bytes(mark), 0).context("write", &temporary)?;
    file.sync_data().context("sync", &temporary)?;
    drop(file);
    fs.rename(&temporary, &path).context("rename", &temporary)?;
    fs.sync_dir(dir).context("sync", dir)
}

/// The mark as the log writes it.
pub(super) struct MarkFile {
    file: Box<dyn File>,
    path: PathBuf,
    /// The slot that was not synced last.
    spare: u64,
    is_dirty: bool,
}

impl MarkFile {
    /// Opens the file, or makes it: the directory is to be synced then.
    ///
    /// # Errors
    /// As the disk reports them.
    pub(super) fn open(fs: &dyn FileSystem, dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(MARK_NAME);
        if !fs.exists(&path).context("look for", &path)? {
            let file = fs.create(&path).context("create", &path)?;
            return Ok(Self { file, path, spare: 0, is_dirty: false });
        }
        let mut file = fs.open_write(&path).context("open", &path)?;
        // What was read may be in memory only, from a run that was killed: the slot that is kept must be on the disk.
        file.sync_data().context("sync", &path)?;
        let [first, second] = read_slots(file.as_ref(), &path)?;
        Ok(Self { file, path, spare: if first > second { SLOT_BYTES } else { 0 }, is_dirty: false })
    }

    /// States something new, for a kill to leave behind.
    ///
    /// # Errors
    /// As the disk reports them.
    pub(super) fn write(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.is_dirty = true;
        self.file.write_all_at(&mark_bytes(mark), self.spare).context("write", &self.path)
    }

    /// Makes the last statement durable.
    ///
    /// # Errors
    /// As the disk reports them.
    pub(super) fn sync(&mut self) -> Result<(), StorageError> {
        if self.is_dirty {
            self.file.sync_data().context("sync", &self.path)?;
            self.spare = SLOT_BYTES - self.spare;
            self.is_dirty = false;
        }
        Ok(())
    }
}
