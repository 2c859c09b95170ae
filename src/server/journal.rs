//! The log and what else is written in one order with it: epochs, truncations, snapshots that replace everything. Plain calls.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::persistence::{PersistenceSettings, State, recovery_options, target};
use super::snapshot_due::SnapshotDue;
use crate::ids::{Epoch, Zxid};
use crate::storage::epoch_file::{self, ACCEPTED_EPOCH, CURRENT_EPOCH};
use crate::storage::{
    Directories, FileSystem, ReceivedSnapshot, RecoveryOptions, StorageError, Truncation, TxnLog, rebuild, truncate, truncate_and_rebuild,
};

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The log is durable up to here.
    pub last: Zxid,
    /// A snapshot is due; the next batch begins a new log file.
    pub is_snapshot_due: bool,
}

/// What became of a truncation.
pub enum Truncated {
    /// It is durable, and the state in memory is as it was.
    Kept,
    /// It is durable, and this is the state now.
    Reloaded(State),
    /// Nothing was changed. This is the state, if the one in memory was above the target.
    Refused(Option<State>),
}

/// The log, the count towards the next snapshot, the epochs.
pub struct Journal {
    fs: Arc<dyn FileSystem>,
    options: RecoveryOptions,
    settings: PersistenceSettings,
    files: Arc<Mutex<()>>,
    seed: u64,
    log: TxnLog,
    due: SnapshotDue,
}

impl Journal {
    /// A log behind the last txn found.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, directories: &Directories, settings: &PersistenceSettings, last: Zxid, seed: u64) -> Self {
        let log = TxnLog::new(Arc::clone(&fs), directories.log_dir().to_path_buf(), settings.log.clone(), last);
        let due = SnapshotDue::new(settings.snap_count, settings.snap_bytes, seed);
        let (options, files) = (recovery_options(directories, settings), Arc::clone(directories.files()));
        Self { fs, options, settings: settings.clone(), files, seed, log, due }
    }

    /// Writes a batch and makes it durable; `None` for an empty one. `snapshot_bytes` is what a snapshot would take now.
    ///
    /// # Errors
    /// Any error of the disk. It is final: nothing may be acknowledged any more.
    pub fn write<'a>(
        &mut self,
        batch: impl IntoIterator<Item = (Zxid, &'a Bytes)>,
        snapshot_bytes: impl FnOnce() -> u64,
    ) -> Result<Option<Written>, StorageError> {
        let mut last = None;
        for (zxid, payload) in batch {
            self.log.append(zxid, payload)?;
            last = Some(zxid);
        }
        let Some(last) = last else { return Ok(None) };
        let written = self.log.commit()?;
        let is_snapshot_due = self.due.count(written.record_count, written.bytes, snapshot_bytes);
        if is_snapshot_due {
            self.log.roll()?;
        }
        Ok(Some(Written { last, is_snapshot_due }))
    }

    /// Makes a promise durable.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn store_accepted_epoch(&mut self, epoch: Epoch) -> Result<(), StorageError> {
        epoch_file::write(self.fs.as_ref(), &self.options.snap_dir, ACCEPTED_EPOCH, epoch.0)
    }

    /// Makes the adoption of a leadership durable.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn store_current_epoch(&mut self, epoch: Epoch) -> Result<(), StorageError> {
        epoch_file::write(self.fs.as_ref(), &self.options.snap_dir, CURRENT_EPOCH, epoch.0)
    }

    /// Removes every txn above `to`, if the history leads to exactly that. A snapshot must not be under way. `applied` is the end of the state
    /// in memory: if it is above `to`, the state is read back, and the one in memory is of no use any more.
    ///
    /// # Errors
    /// As [`Self::write`], and when the history turns out to be damaged.
    pub fn truncate(&mut self, to: Zxid, applied: Zxid) -> Result<Truncated, StorageError> {
        self.log.roll()?;
        let files = Arc::clone(&self.files);
        let _files = files.lock();
        if applied <= to {
            return Ok(match truncate(self.fs.as_ref(), &self.options, to)? {
                Truncation::Refused => Truncated::Refused(None),
                Truncation::Done => {
                    self.log.reset(to);
                    Truncated::Kept
                }
            });
        }
        let mut target = target(&self.settings, self.seed);
        match truncate_and_rebuild(self.fs.as_ref(), &self.options, to, &mut target)? {
            Truncation::Refused => self.read_back().map(|state| Truncated::Refused(Some(state))),
            Truncation::Done => {
                self.log.reset(to);
                Ok(Truncated::Reloaded(target.0.finish()))
            }
        }
    }

    /// Replaces the whole durable history by a received snapshot, and gives its state. A snapshot must not be under way.
    /// When it cannot be loaded, nothing is changed, and the state that the disk holds comes back as the inner error.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn install(&mut self, received: ReceivedSnapshot) -> Result<Result<State, State>, StorageError> {
        self.log.roll()?;
        let files = Arc::clone(&self.files);
        let _files = files.lock();
        let mut target = target(&self.settings, self.seed);
        if let Err(error) = received.load(&mut target) {
            tracing::error!(zxid = %received.zxid(), %error, "the snapshot from the leader cannot be loaded");
            return self.read_back().map(Err);
        }
        let zxid = received.zxid();
        received.install(&self.options)?;
        self.log.reset(zxid);
        Ok(Ok(target.0.finish()))
    }

    /// A state without anything in it.
    #[must_use]
    pub fn empty_state(&self) -> State {
        target(&self.settings, self.seed).0.finish()
    }

    /// The state that the disk holds.
    fn read_back(&self) -> Result<State, StorageError> {
        let mut target = target(&self.settings, self.seed);
        let last = self.log.last_zxid();
        if rebuild(self.fs.as_ref(), &self.options, last, &mut target)? {
            return Ok(target.0.finish());
        }
        // A server that lost its database begins with none, and writes none before it has one.
        if last == Zxid::ZERO { Ok(self.empty_state()) } else { Err(StorageError::HistoryLost { last }) }
    }

    /// Makes the mark durable that tells a torn end of the log from rot: now and then, when nobody waits.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn sync_mark(&mut self) -> Result<(), StorageError> {
        self.log.sync_mark()
    }

    /// The end of a run.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.log.close()
    }
}
