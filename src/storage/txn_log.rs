//! The transaction log as it is written: batches of records, each made durable by one fdatasync (disk-formats.md §3).
//!
//! Beside the log lies the synced mark (`mark.rs`). Before the first batch of a file it says durably that the file is ours and holds
//! nothing yet; after each batch, and before anybody is told of it, that the batch is durable.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::{IoContext, StorageError};
use super::fs::{File, FileSystem};
use super::layout::{FILE_HEADER_BYTES, Mark, PAYLOAD_BYTES_MAX, log_header, put_record};
use super::mark::MarkFile;
use super::names::{log_name, temporary_log_name};
use crate::ids::Zxid;

/// A file is grown when less than this is left (`FilePadding`), bytes.
const PADDING_MARGIN_BYTES: u64 = 4096;
/// A batch buffer larger than this is given back after its commit.
const KEPT_BYTES: usize = 1 << 20;

/// How the log is written.
#[derive(Clone, Debug)]
pub struct TxnLogOptions {
    /// Bytes by which a file is grown ahead of its records; 0: not at all.
    pub prealloc_size_bytes: u64,
    /// A file that holds more is followed by a new one.
    pub size_limit_bytes: Option<u64>,
    /// Whether a commit waits for the disk (`forceSync`).
    pub force_sync: bool,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Records made durable.
    pub record_count: u64,
    /// Their bytes in the file.
    pub bytes: u64,
}

struct Open {
    file: Box<dyn File>,
    path: PathBuf,
    name: Zxid,
    /// Where the next record goes.
    position: u64,
    /// The length of the file, padding included.
    allocated: u64,
}

/// The log of one data directory.
pub struct TxnLog {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    options: TxnLogOptions,
    open: Option<Open>,
    mark: Option<MarkFile>,
    batch: Vec<u8>,
    batch_first: Option<Zxid>,
    batch_count: u64,
    /// The last zxid appended.
    last: Zxid,
    /// The last zxid that is durable.
    durable: Zxid,
    /// The first error: from then on nothing is believed.
    poison: Option<StorageError>,
}

impl TxnLog {
    /// A log behind `last`, the newest zxid on disk. The first append opens a new file.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, dir: PathBuf, options: TxnLogOptions, last: Zxid) -> Self {
        let batch = Vec::new();
        Self { fs, dir, options, open: None, mark: None, batch, batch_first: None, batch_count: 0, last, durable: last, poison: None }
    }

    /// Frames a record for the next commit. No IO.
    ///
    /// # Errors
    /// When the zxid is not after the last one, the payload is too large, or the log failed before.
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), StorageError> {
        self.check()?;
        if zxid <= self.last {
            return self.fail(StorageError::AppendOrder { zxid, last: self.last });
        }
        if payload.is_empty() || payload.len() > PAYLOAD_BYTES_MAX {
            return self.fail(StorageError::PayloadSize { zxid, size: payload.len(), limit: PAYLOAD_BYTES_MAX });
        }
        put_record(&mut self.batch, payload);
        self.batch_first.get_or_insert(zxid);
        self.batch_count += 1;
        self.last = zxid;
        Ok(())
    }

    /// Writes all that was appended with one write, and makes it durable with one fdatasync.
    ///
    /// # Errors
    /// Any error of the disk. It is final: nothing is known about the batch, and every later call fails too.
    pub fn commit(&mut self) -> Result<CommitStats, StorageError> {
        self.check()?;
        let Some(first) = self.batch_first.take() else { return Ok(CommitStats::default()) };
        let stats = CommitStats { record_count: std::mem::take(&mut self.batch_count), bytes: self.batch.len() as u64 };
        if let Err(error) = self.write_batch(first) {
            return self.fail(error);
        }
        self.batch.clear();
        if self.batch.capacity() > KEPT_BYTES {
            self.batch = Vec::new();
        }
        if self.options.size_limit_bytes.is_some_and(|limit| self.size_bytes() > limit) {
            self.close_file()?;
        }
        Ok(stats)
    }

    fn write_batch(&mut self, first: Zxid) -> Result<(), StorageError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create(first)?,
        };
        let needed = open.position + self.batch.len() as u64;
        let step = self.options.prealloc_size_bytes;
        if step > 0 && needed + PADDING_MARGIN_BYTES > open.allocated {
            open.allocated = (needed + PADDING_MARGIN_BYTES).div_ceil(step) * step + FILE_HEADER_BYTES as u64;
            open.file.allocate(open.allocated).context("preallocate", &open.path)?;
        }
        open.file.write_all_at(&self.batch, open.position).context("write", &open.path)?;
        open.position = needed;
        if self.options.force_sync {
            open.file.sync_data().context("sync", &open.path)?;
            self.durable = self.last;
            self.write_mark(&open)?;
        }
        self.open = Some(open);
        Ok(())
    }

    /// Makes a file, durable in name, and announced by the mark, before anything is in it. It gets its name when it has its header: a Java
    /// server does not start where a log is empty, as a kill could leave one.
    fn create(&mut self, first: Zxid) -> Result<Open, StorageError> {
        let path = self.dir.join(log_name(first));
        if self.fs.exists(&path).context("look for", &path)? && self.fs.len(&path).context("stat", &path)? > FILE_HEADER_BYTES as u64 {
            return Err(StorageError::LogExists { path });
        }
        let temporary = self.dir.join(temporary_log_name(first));
        let mut file = self.fs.create(&temporary).context("create", &temporary)?;
        file.write_all_at(&log_header(), 0).context("write", &temporary)?;
        if self.options.force_sync {
            file.sync_data().context("sync", &temporary)?;
        }
        self.fs.rename(&temporary, &path).context("rename", &temporary)?;
        let open = Open { file, path, name: first, position: FILE_HEADER_BYTES as u64, allocated: 0 };
        if self.options.force_sync {
            let mut mark = match self.mark.take() {
                Some(mark) => mark,
                None => MarkFile::open(self.fs.as_ref(), &self.dir)?,
            };
            mark.write(Mark { log: first, offset: 0, last: self.durable })?;
            mark.sync()?;
            self.mark = Some(mark);
            self.fs.sync_dir(&self.dir).context("sync", &self.dir)?;
        }
        Ok(open)
    }

    fn write_mark(&mut self, open: &Open) -> Result<(), StorageError> {
        let mark = self.mark.as_mut().expect("a file is announced before it is written");
        mark.write(Mark { log: open.name, offset: open.position, last: self.durable })
    }

    /// Makes the mark as durable as the log is: what it says then survives a power cut too.
    ///
    /// # Errors
    /// Any error of the disk; it is final.
    pub fn sync_mark(&mut self) -> Result<(), StorageError> {
        self.check()?;
        let synced = self.mark.as_mut().map_or(Ok(()), MarkFile::sync);
        synced.or_else(|error| self.fail(error))
    }

    /// Commits, and lets the next append open a new file.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn roll(&mut self) -> Result<CommitStats, StorageError> {
        let stats = self.commit()?;
        self.close_file()?;
        Ok(stats)
    }

    /// The files were changed behind its back, and now end in `last`: the next append opens a new file behind that.
    ///
    /// # Panics
    /// When something was appended and not rolled before.
    pub fn reset(&mut self, last: Zxid) {
        assert!(self.open.is_none() && self.batch.is_empty(), "the log is rolled before its files are changed");
        self.mark = None;
        (self.last, self.durable) = (last, last);
    }

    /// Gives back the room that was allocated ahead. Not synced: zeros behind the records harm nobody.
    fn close_file(&mut self) -> Result<(), StorageError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if open.allocated <= open.position {
            return Ok(());
        }
        let trimmed = open.file.set_len(open.position).context("truncate", &open.path);
        trimmed.or_else(|error| self.fail(error))
    }

    /// Ends a run: commits, and leaves a mark that covers everything.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.roll()?;
        self.sync_mark()
    }

    /// The last zxid appended.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        self.last
    }

    /// Bytes of records in the current file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.position)
    }

    fn check(&self) -> Result<(), StorageError> {
        self.poison.clone().map_or(Ok(()), Err)
    }

    fn fail<T>(&mut self, error: StorageError) -> Result<T, StorageError> {
        self.poison = Some(error.clone());
        Err(error)
    }
}
