//! The transaction log as it is written: batches of records, each made durable by one fdatasync (disk-formats.md §3).
//!
//! Beside the log lies a small file that says up to where the last log file was durable before the newest batch. It is written
//! without a sync of its own, so it may be behind, never ahead: what it covers and cannot be read is damage, what lies beyond it and
//! cannot be read is the torn end of a batch that nobody was told of.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::{IoContext, StorageError};
use super::fs::{File, FileSystem};
use super::layout::{FILE_HEADER_BYTES, PAYLOAD_BYTES_MAX, log_header, mark, put_record};
use super::names::{MARK_NAME, log_name};
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
    mark: Option<Box<dyn File>>,
    batch: Vec<u8>,
    batch_first: Option<Zxid>,
    batch_count: u64,
    last: Zxid,
    /// The first error: from then on nothing is believed.
    poison: Option<StorageError>,
}

impl TxnLog {
    /// A log behind `last`, the newest zxid on disk. The first append opens a new file.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, dir: PathBuf, options: TxnLogOptions, last: Zxid) -> Self {
        Self { fs, dir, options, open: None, mark: None, batch: Vec::new(), batch_first: None, batch_count: 0, last, poison: None }
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
            self.open = None;
        }
        Ok(stats)
    }

    fn write_batch(&mut self, first: Zxid) -> Result<(), StorageError> {
        let is_new = self.open.is_none();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create(first)?,
        };
        if !is_new {
            self.write_mark(&open)?;
        }
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
            if is_new {
                self.fs.sync_dir(&self.dir).context("sync", &self.dir)?;
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn create(&mut self, first: Zxid) -> Result<Open, StorageError> {
        let path = self.dir.join(log_name(first));
        if self.fs.exists(&path).context("look for", &path)? && self.fs.len(&path).context("stat", &path)? > FILE_HEADER_BYTES as u64 {
            return Err(StorageError::LogExists { path });
        }
        let mut file = self.fs.create(&path).context("create", &path)?;
        file.write_all_at(&log_header(), 0).context("write", &path)?;
        Ok(Open { file, path, name: first, position: FILE_HEADER_BYTES as u64, allocated: 0 })
    }

    /// Notes that everything before the batch about to be written is durable.
    fn write_mark(&mut self, open: &Open) -> Result<(), StorageError> {
        let path = self.dir.join(MARK_NAME);
        if self.mark.is_none() {
            self.mark = Some(self.fs.create(&path).context("create", &path)?);
        }
        let file = self.mark.as_mut().expect("it was opened just now");
        file.write_all_at(&mark(open.name, open.position), 0).context("write", &path)
    }

    /// Commits, and lets the next append open a new file.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn roll(&mut self) -> Result<CommitStats, StorageError> {
        let stats = self.commit()?;
        self.open = None;
        Ok(stats)
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
