//! Log files as they are read at a start: record by record, telling a torn end from damage.

use std::path::{Path, PathBuf};

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::layout::{
    END_OF_RECORD, FILE_HEADER_BYTES, MAGIC_LOG, RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, RecordHeader, TXN_HEADER_BYTES, adler32,
    file_magic, payload_zxid,
};
use crate::ids::Zxid;

/// How a log file ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// With its last record; only zeros, or nothing, follow.
    Clean,
    /// With bytes at this offset that are no record.
    Broken { offset: u64, reason: String, record_follows: bool },
}

/// A log file in memory.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    bytes: Vec<u8>,
    position: usize,
}

impl LogFile {
    pub(super) fn read(fs: &dyn FileSystem, path: &Path) -> Result<Self, StorageError> {
        let file = fs.open(path).context("open", path)?;
        let length = file.len().context("stat", path)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            let end = (filled + READ_BYTES).min(bytes.len());
            let n = file.read_at(&mut bytes[filled..end], filled as u64).context("read", path)?;
            if n == 0 {
                break;
            }
            filled += n;
            if is_padding(&bytes[filled - n..filled]) && n == READ_BYTES && rest_is_padding(fs, path, filled as u64)? {
                break;
            }
        }
        bytes.truncate(filled);
        Ok(Self { path: path.to_path_buf(), bytes, position: FILE_HEADER_BYTES })
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn has_magic(&self) -> bool {
        file_magic(&self.bytes) == Some(MAGIC_LOG)
    }

    /// The next record: its offset, zxid and payload. `Err` is the end of the file.
    pub(super) fn next(&mut self) -> Result<(u64, Zxid, &[u8]), End> {
        let offset = self.position;
        match record_at(&self.bytes, offset) {
            Ok(payload_len) => {
                let start = offset + RECORD_HEADER_BYTES;
                self.position = start + payload_len + 1;
                let payload = &self.bytes[start..start + payload_len];
                let zxid = payload_zxid(payload).expect("a record is as long as a txn header at least");
                Ok((offset as u64, zxid, payload))
            }
            Err(None) => Err(End::Clean),
            Err(Some(reason)) => Err(End::Broken { offset: offset as u64, reason, record_follows: self.record_follows(offset + 1) }),
        }
    }

    fn record_follows(&self, from: usize) -> bool {
        let last = self.bytes.len().saturating_sub(RECORD_OVERHEAD_BYTES + TXN_HEADER_BYTES);
        (from..=last)
            .any(|at| self.bytes[at..at + 4] == [0; 4] && self.bytes[at + 4..at + 12] != [0; 8] && record_at(&self.bytes, at).is_ok())
    }
}

const READ_BYTES: usize = 4 << 20;

fn is_padding(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// Whether there is nothing but zeros from an offset on; preallocated files are mostly that.
fn rest_is_padding(fs: &dyn FileSystem, path: &Path, mut offset: u64) -> Result<bool, StorageError> {
    let file = fs.open(path).context("open", path)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let n = file.read_at(&mut buffer, offset).context("read", path)?;
        if n == 0 {
            return Ok(true);
        }
        if !is_padding(&buffer[..n]) {
            return Ok(false);
        }
        offset += n as u64;
    }
}

/// The payload length of the record at an offset; `None` at the end of the records, a reason if it is none.
fn record_at(bytes: &[u8], at: usize) -> Result<usize, Option<String>> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(header) = RecordHeader::parse(rest) else {
        return Err((!is_padding(rest)).then(|| "a record's header is cut short".to_owned()));
    };
    if header.len == 0 && header.checksum == 0 {
        return Err((!is_padding(rest)).then(|| "bytes follow behind the last record".to_owned()));
    }
    let len = usize::try_from(header.len).ok().filter(|&len| len >= TXN_HEADER_BYTES);
    let Some(len) = len else { return Err(Some(format!("a record of {} bytes", header.len))) };
    let Some(payload) = rest.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + len) else {
        return Err(Some(format!("a record of {len} bytes is cut short")));
    };
    if header.checksum != u64::from(adler32(payload)) {
        return Err(Some(format!("the checksum is {:#x} instead of {:#x}", adler32(payload), header.checksum)));
    }
    if rest.get(RECORD_HEADER_BYTES + len) != Some(&END_OF_RECORD) {
        return Err(Some("the byte behind the record is not 'B'".to_owned()));
    }
    Ok(len)
}
