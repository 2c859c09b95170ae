//! A received snapshot becomes the whole durable history in one step (quorum-protocol.md §5: 2832, 3642; `Output::InstallSnapshot`).
//!
//! It has no digest section: the stream of the quorum port carries none, and the image of a Java leader is fuzzy. Every ZooKeeper reads
//! such a file (disk-formats.md §5).

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::names::{install_name, snapshot_name};
use super::recovery::{RecoveryOptions, Restore};
use super::replacement::{conclude, mark_end, remove_logs_above, remove_snapshots};
use super::snapshot::{is_sound, read_snapshot};
use super::snapshot_codec::Compression;
use crate::ids::Zxid;

/// A snapshot that was received whole and is durable under a name that no server takes for a snapshot. Dropped, it is gone.
pub struct ReceivedSnapshot {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) path: PathBuf,
    pub(super) zxid: Zxid,
    pub(super) compression: Compression,
    pub(super) is_installed: bool,
}

impl ReceivedSnapshot {
    /// What it stands for, as its sender said.
    #[must_use]
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Loads it: whatever its sender is, what cannot be loaded must not be installed.
    ///
    /// # Errors
    /// When it is no tree, or damaged, or cannot be read.
    pub fn load(&self, target: &mut impl Restore) -> Result<(), StorageError> {
        target.reset(true);
        let sections = read_snapshot(self.fs.as_ref(), &self.path, self.compression, target)?;
        target.snapshot_loaded(self.zxid, sections);
        Ok(())
    }

    /// Makes it the whole durable history. The log must not be open for writing; a snapshot must not be under way.
    ///
    /// # Errors
    /// When the disk refuses. Either the old history is still there then, or the next start completes the installation.
    pub fn install(mut self, options: &RecoveryOptions) -> Result<(), StorageError> {
        let (fs, zxid, compression) = (Arc::clone(&self.fs), self.zxid, self.compression);
        let path = options.snap_dir.join(install_name(zxid, compression));
        fs.rename(&self.path, &path).context("rename", &self.path)?;
        self.is_installed = true;
        fs.sync_dir(&options.snap_dir).context("sync", &options.snap_dir)?;
        carry_out(fs.as_ref(), options, zxid, compression)
    }
}

impl Drop for ReceivedSnapshot {
    fn drop(&mut self) {
        if !self.is_installed {
            // The next start removes it too.
            let _ = self.fs.remove(&self.path);
        }
    }
}

/// Whether the snapshot that is being installed is still whole: what it takes the place of must not go otherwise.
pub(super) fn check(fs: &dyn FileSystem, options: &RecoveryOptions, zxid: Zxid, compression: Compression) -> Result<(), StorageError> {
    let path = options.snap_dir.join(install_name(zxid, compression));
    if is_sound(fs, &path, compression)? { Ok(()) } else { Err(StorageError::InstallDamaged { path }) }
}

/// Puts it in the place of everything else, as far as it is not there yet.
pub(super) fn carry_out(fs: &dyn FileSystem, options: &RecoveryOptions, zxid: Zxid, compression: Compression) -> Result<(), StorageError> {
    let (name, target) = (install_name(zxid, compression), snapshot_name(zxid, compression));
    let has_name = give_name(fs, options, &name, &target)?;
    // From here on nothing older may be read any more: of a snapshot that is left, or of the log, a later start would make a mixture.
    remove_snapshots(fs, options, |_, other| !has_name || other != target)?;
    remove_logs_above(fs, options, Zxid(i64::MIN))?;
    mark_end(fs, options, zxid)?;
    if has_name {
        return conclude(fs, options, &name);
    }
    let (from, to) = (options.snap_dir.join(name), options.snap_dir.join(target));
    fs.rename(&from, &to).context("rename", &from)?;
    fs.sync_dir(&options.snap_dir).context("sync", &options.snap_dir)
}

/// Gives it the name of a snapshot beside its own. False where files cannot have two names: then it is renamed at the end.
fn give_name(fs: &dyn FileSystem, options: &RecoveryOptions, name: &str, target: &str) -> Result<bool, StorageError> {
    let (from, to) = (options.snap_dir.join(name), options.snap_dir.join(target));
    if fs.exists(&to).context("look for", &to)? {
        fs.remove(&to).context("remove", &to)?;
    }
    match fs.link(&from, &to) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => Ok(false),
        linked => {
            linked.context("link", &from)?;
            fs.sync_dir(&options.snap_dir).context("sync", &options.snap_dir)?;
            Ok(true)
        }
    }
}
