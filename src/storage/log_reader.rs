//! Log files as they are read, at a start or for a learner: record by record, telling a torn end from damage.
//!
//! A file is read through a window, so that memory follows the largest record and not the length of the file.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{IoContext, StorageError};
use super::fs::{File, FileSystem};
use super::layout::{
    END_OF_RECORD, FILE_HEADER_BYTES, MAGIC_LOG, RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, RecordHeader, TXN_HEADER_BYTES, adler32,
    file_magic, log_header, payload_zxid,
};
use crate::ids::Zxid;

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 4 << 20;
/// Bytes that are read at once to find the place of a read error.
const PROBE_BYTES: usize = 512;
/// So many payload bytes are summed up in the search for a record behind a break: a file made for it must not take hours.
const SEARCH_BYTES_MAX: u64 = 1 << 30;

/// How a log file ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// With its last record; only zeros, or nothing, follow.
    Clean { offset: u64 },
    /// With bytes at this offset that are no record.
    Broken { offset: u64, reason: String },
}

/// What comes next in a log file.
pub(super) enum Next<'a> {
    /// A record.
    Record { offset: u64, zxid: Zxid, payload: &'a [u8] },
    /// No record any more.
    End(End),
}

/// A log file that is read from front to back.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    file: Box<dyn File>,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
    position: u64,
}

impl LogFile {
    pub(super) fn open(fs: &dyn FileSystem, path: &Path) -> Result<Self, StorageError> {
        let file = fs.open(path).context("open", path)?;
        let len = file.len().context("stat", path)?;
        Ok(Self { path: path.to_path_buf(), file, len, window: Vec::new(), window_at: 0, position: FILE_HEADER_BYTES as u64 })
    }

    /// Goes on reading at an offset where a record begins.
    pub(super) fn seek(&mut self, offset: u64) {
        self.position = offset;
    }

    pub(super) fn has_magic(&mut self) -> Result<bool, StorageError> {
        Ok(file_magic(self.load(0, FILE_HEADER_BYTES)?) == Some(MAGIC_LOG))
    }

    /// Whether the file holds no more than a part of its header, as a crash right after its creation leaves it.
    pub(super) fn is_stub(&mut self) -> Result<bool, StorageError> {
        if self.len > FILE_HEADER_BYTES as u64 {
            return Ok(false);
        }
        let bytes = self.load(0, FILE_HEADER_BYTES)?;
        Ok(bytes.iter().zip(log_header()).all(|(&byte, expected)| byte == expected || byte == 0))
    }

    /// The next record, or the end of the file, which comes again and again.
    pub(super) fn next(&mut self) -> Result<Next<'_>, StorageError> {
        let offset = self.position;
        match self.record_at(offset)? {
            Ok(payload_len) => {
                self.position = offset + (RECORD_OVERHEAD_BYTES + payload_len) as u64;
                let payload = self.load(offset + RECORD_HEADER_BYTES as u64, payload_len)?;
                let zxid = payload_zxid(payload).expect("a record is as long as a txn header at least");
                Ok(Next::Record { offset, zxid, payload })
            }
            Err(None) => Ok(Next::End(End::Clean { offset })),
            Err(Some(reason)) => Ok(Next::End(End::Broken { offset, reason })),
        }
    }

    /// Whether a whole record begins anywhere from an offset on. True also when the search would take too long.
    pub(super) fn has_record_from(&mut self, from: u64) -> Result<bool, StorageError> {
        let mut budget = SEARCH_BYTES_MAX;
        let last = self.len.saturating_sub((RECORD_OVERHEAD_BYTES + TXN_HEADER_BYTES) as u64);
        for at in from..=last {
            let header = self.load(at, RECORD_HEADER_BYTES)?;
            // The upper half of the checksum is zero, and what follows is not.
            if header[..4] != [0; 4] || header[4..] == [0; 8] {
                continue;
            }
            let Some(len) = sound_len(header) else { continue };
            if at + (RECORD_OVERHEAD_BYTES + len) as u64 > self.len {
                continue;
            }
            if self.record_at(at)?.is_ok() {
                return Ok(true);
            }
            budget = budget.saturating_sub(len as u64);
            if budget == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The payload length of the record at an offset; `None` at the end of the records, a reason if it is none.
    fn record_at(&mut self, at: u64) -> Result<Result<usize, Option<String>>, StorageError> {
        let bytes = self.load(at, RECORD_HEADER_BYTES)?;
        let Some(header) = RecordHeader::parse(bytes) else {
            return Ok(Err((!is_padding(bytes)).then(|| "a record's header is cut short".to_owned())));
        };
        if header.len == 0 && header.checksum == 0 {
            return Ok(Err((!self.is_padding_from(at)?).then(|| "bytes follow behind the last record".to_owned())));
        }
        let Some(len) = sound_len(bytes) else { return Ok(Err(Some(format!("a record of {} bytes", header.len)))) };
        if at + (RECORD_OVERHEAD_BYTES + len) as u64 > self.len {
            return Ok(Err(Some(format!("a record of {len} bytes is cut short"))));
        }
        let payload_and_end = self.load(at + RECORD_HEADER_BYTES as u64, len + 1)?;
        let Some((payload, &[end])) = payload_and_end.split_at_checked(len) else {
            return Ok(Err(Some(format!("a record of {len} bytes is cut short"))));
        };
        let checksum = adler32(payload);
        if header.checksum != u64::from(checksum) {
            return Ok(Err(Some(format!("the checksum is {checksum:#x} instead of {:#x}", header.checksum))));
        }
        if end != END_OF_RECORD {
            return Ok(Err(Some("the byte behind the record is not 'B'".to_owned())));
        }
        Ok(Ok(len))
    }

    /// Whether there is nothing but zeros from an offset on; preallocated files are mostly that.
    fn is_padding_from(&mut self, from: u64) -> Result<bool, StorageError> {
        let mut at = from;
        while at < self.len {
            let bytes = self.load(at, WINDOW_BYTES)?;
            if !is_padding(bytes) {
                return Ok(false);
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    /// The bytes at an offset: `n` of them, fewer only at the end of the file.
    fn load(&mut self, at: u64, n: usize) -> Result<&[u8], StorageError> {
        let n = (n as u64).min(self.len.saturating_sub(at)) as usize;
        if at < self.window_at || at + n as u64 > self.window_at + self.window.len() as u64 {
            self.fill(at, n)?;
        }
        let start = (at - self.window_at) as usize;
        Ok(&self.window[start..(start + n).min(self.window.len())])
    }

    fn fill(&mut self, at: u64, n: usize) -> Result<(), StorageError> {
        let wanted = (n.max(WINDOW_BYTES) as u64).min(self.len - at) as usize;
        self.window_at = at;
        if self.window.len() != wanted {
            self.window = vec![0; wanted];
        }
        let mut filled = 0;
        while filled < wanted {
            match self.file.read_at(&mut self.window[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => {
                    self.window.clear();
                    return Err(self.unreadable(at + filled as u64, &error));
                }
            }
        }
        self.window.truncate(filled);
        self.len = self.len.min(at + if filled < wanted { filled as u64 } else { u64::MAX - at });
        Ok(())
    }

    /// Finds the first sector that cannot be read.
    fn unreadable(&self, from: u64, error: &io::Error) -> StorageError {
        let mut buffer = [0; PROBE_BYTES];
        let mut offset = from;
        while offset < self.len && matches!(self.file.read_at(&mut buffer, offset), Ok(n) if n > 0) {
            offset += PROBE_BYTES as u64;
        }
        StorageError::LogUnreadable { path: self.path.clone(), offset, reason: error.to_string() }
    }
}

fn sound_len(header: &[u8]) -> Option<usize> {
    let len = usize::try_from(RecordHeader::parse(header)?.len).ok()?;
    (len >= TXN_HEADER_BYTES).then_some(len)
}

fn is_padding(bytes: &[u8]) -> bool {
    bytes.chunks(256).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}
