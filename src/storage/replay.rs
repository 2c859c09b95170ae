//! The log behind a snapshot, file by file: what is whole is replayed, what is torn is cut, what is missing or rotten stops the start.
//!
//! A file may end in unreadable bytes only if nobody was told of them. Bytes below the synced mark are durable. A file that the mark
//! names was written by us, one batch after the other, so above the mark only the last batch can be torn, in any way. A file that it
//! does not name may be a Java server's: there a whole record behind the unreadable bytes proves that they are damage. Wherever the
//! unreadable bytes are, the next record that is read must be the next txn; and at the end all that the mark knows must be there.

use std::path::{Path, PathBuf};

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::layout::{FILE_HEADER_BYTES, Mark};
use super::log_reader::{End, LogFile, Next};
use super::mark::read_mark;
use super::names::{MARK_NAME, list_logs, log_name};
use super::recovery::{Recovered, RecoveryOptions, Restore};
use crate::ids::Zxid;

/// Unreadable bytes for which a reason is still to be found.
struct Break {
    log: Zxid,
    path: PathBuf,
    offset: u64,
    reason: String,
}

/// What is left to do on the disk once it is clear that nothing is missing.
pub(super) struct CleanUp {
    cuts: Vec<(PathBuf, u64)>,
    removals: Vec<PathBuf>,
    newest: Option<PathBuf>,
}

struct Replay<'a> {
    options: &'a RecoveryOptions,
    recovered: &'a mut Recovered,
    mark: Option<Mark>,
    /// Nothing above it is read.
    limit: Zxid,
    /// Breaks behind the last record.
    breaks: Vec<Break>,
    /// Files behind the last record that hold none.
    empty: Vec<PathBuf>,
}

/// Replays the log into `target`. Changes nothing on the disk.
pub(super) fn replay(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    logs: &[(Zxid, String)],
    target: &mut impl Restore,
    recovered: &mut Recovered,
) -> Result<CleanUp, StorageError> {
    let mark = read_mark(fs, &options.log_dir)?;
    let needed = needed_logs(fs, options, logs, recovered.last_zxid)?;
    let mut replay = Replay { options, recovered, mark, limit: Zxid(i64::MAX), breaks: Vec::new(), empty: Vec::new() };
    for (name, file) in needed {
        let mut log = LogFile::open(fs, &options.log_dir.join(file))?;
        replay.file(&mut log, *name, target)?;
    }
    replay.check_breaks(fs)?;
    replay.check_mark()?;
    let newest = needed.last().map(|(_, file)| options.log_dir.join(file));
    Ok(replay.clean_up(newest))
}

/// Replays the log behind the snapshot `base` into `target`, up to `to` at most. Changes nothing. Gives the last txn reached.
///
/// # Errors
/// When something before that is damaged or missing.
pub(super) fn replay_to(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    base: Zxid,
    to: Zxid,
    target: &mut impl Restore,
) -> Result<Zxid, StorageError> {
    let logs = list_logs(fs, &options.log_dir)?;
    let mut recovered = Recovered { last_zxid: base, snapshot: Some(base), ..Recovered::default() };
    let mark = read_mark(fs, &options.log_dir)?;
    let mut replay = Replay { options, recovered: &mut recovered, mark, limit: to, breaks: Vec::new(), empty: Vec::new() };
    for (name, file) in needed_logs(fs, options, &logs, base)?.iter().take_while(|(name, _)| *name <= to) {
        let mut log = LogFile::open(fs, &options.log_dir.join(file))?;
        replay.file(&mut log, *name, target)?;
    }
    Ok(recovered.last_zxid)
}

/// The files that can hold records behind the snapshot: the newest that begins at or before it, and all later ones. A file without any
/// record says nothing about where the one before it ends.
pub(super) fn needed_logs<'a>(
    fs: &dyn FileSystem,
    options: &RecoveryOptions,
    logs: &'a [(Zxid, String)],
    after: Zxid,
) -> Result<&'a [(Zxid, String)], StorageError> {
    let mut first = logs.iter().rposition(|(name, _)| *name <= after.next()).unwrap_or(0);
    while first > 0 && !begins_with_record(fs, options, &logs[first].1)? {
        first -= 1;
    }
    Ok(&logs[first..])
}

fn begins_with_record(fs: &dyn FileSystem, options: &RecoveryOptions, name: &str) -> Result<bool, StorageError> {
    let mut log = LogFile::open(fs, &options.log_dir.join(name))?;
    Ok(log.has_magic()? && matches!(log.next()?, Next::Record { .. }))
}

impl Replay<'_> {
    fn file(&mut self, log: &mut LogFile, name: Zxid, target: &mut impl Restore) -> Result<(), StorageError> {
        let path = log.path.clone();
        if !log.has_magic()? {
            let end = if log.is_stub()? { End::Clean { offset: 0 } } else { no_header() };
            self.empty.push(path.clone());
            return self.end(path, name, end);
        }
        let mut is_empty = true;
        let end = loop {
            if self.recovered.last_zxid >= self.limit {
                return Ok(());
            }
            match log.next()? {
                Next::Record { zxid, .. } if zxid > self.limit => return Ok(()),
                Next::Record { offset, zxid, payload } => {
                    is_empty = false;
                    if zxid > self.recovered.last_zxid {
                        self.txn(&path, offset, zxid, payload, target)?;
                    }
                }
                Next::End(end) => break end,
            }
        };
        if is_empty {
            self.empty.push(path.clone());
        }
        self.end(path, name, end)
    }

    fn txn(&mut self, path: &Path, offset: u64, zxid: Zxid, payload: &[u8], target: &mut impl Restore) -> Result<(), StorageError> {
        let last = self.recovered.last_zxid;
        let path = || path.to_path_buf();
        if !self.follows(zxid) {
            return Err(match self.breaks.first() {
                Some(first) => damaged(first, last),
                None => StorageError::LogHole { path: path(), offset, last, found: zxid },
            });
        }
        target.txn(zxid, payload).map_err(|reason| StorageError::TxnRejected { path: path(), offset, zxid, reason })?;
        self.breaks.clear();
        self.empty.clear();
        self.recovered.last_zxid = zxid;
        self.recovered.txn_count += 1;
        Ok(())
    }

    /// Whether nothing is missing before a txn: counters go up by one, a new epoch begins at one.
    /// Without a snapshot (`trust_empty`) the log may begin anywhere.
    fn follows(&self, next: Zxid) -> bool {
        let last = self.recovered.last_zxid;
        if self.recovered.snapshot.is_none() && self.options.trust_empty && self.recovered.txn_count == 0 {
            return true;
        }
        if next.epoch() == last.epoch() {
            return next == last.next();
        }
        next.epoch() > last.epoch() && next.counter() <= 1
    }

    /// A file has no more records: rightly, for certain not, or later files will tell.
    fn end(&mut self, path: PathBuf, log: Zxid, end: End) -> Result<(), StorageError> {
        let durable = self.mark.filter(|mark| mark.log == log).map_or(0, |mark| mark.offset);
        let (offset, reason) = match end {
            End::Clean { offset } if offset >= durable => return Ok(()),
            End::Clean { offset } => (offset, format!("the records end here, but {durable} bytes were durable")),
            End::Broken { offset, reason } => (offset, reason),
        };
        let found = Break { log, path, offset, reason };
        if offset < durable {
            return Err(damaged(&found, self.recovered.last_zxid));
        }
        self.breaks.push(found);
        Ok(())
    }

    /// What no record follows must be the torn end of the last batch.
    fn check_breaks(&self, fs: &dyn FileSystem) -> Result<(), StorageError> {
        for found in &self.breaks {
            let is_torn = match self.mark {
                Some(mark) if mark.log == found.log => true,
                // We cut what is torn before we begin a file.
                Some(mark) if mark.log > found.log => false,
                _ if found.offset == 0 => false,
                _ => !LogFile::open(fs, &found.path)?.has_record_from(found.offset + 1)?,
            };
            if !is_torn {
                return Err(damaged(found, self.recovered.last_zxid));
            }
        }
        Ok(())
    }

    fn check_mark(&self) -> Result<(), StorageError> {
        match self.mark {
            Some(Mark { log, offset, last: needed }) if self.recovered.last_zxid < needed => Err(StorageError::LogMissing {
                mark: self.options.log_dir.join(MARK_NAME),
                log: self.options.log_dir.join(log_name(log)),
                offset,
                reached: self.recovered.last_zxid,
                needed,
            }),
            _ => Ok(()),
        }
    }

    fn clean_up(self, newest: Option<PathBuf>) -> CleanUp {
        let last = self.recovered.last_zxid;
        let mut removals = self.empty;
        let mut cuts = Vec::new();
        for Break { path, offset, reason, .. } in self.breaks {
            tracing::warn!(path = %path.display(), offset, %last, reason, "the log ends in an unfinished batch, which is cut off");
            if !removals.contains(&path) {
                cuts.push((path, offset));
            }
        }
        let newest = newest.filter(|newest| !removals.contains(newest));
        removals.dedup();
        CleanUp { cuts, removals, newest }
    }
}

fn no_header() -> End {
    End::Broken { offset: 0, reason: "the file does not begin with ZKLG".to_owned() }
}

fn damaged(found: &Break, last: Zxid) -> StorageError {
    StorageError::LogDamaged { path: found.path.clone(), offset: found.offset, last, reason: found.reason.clone() }
}

impl CleanUp {
    /// Cuts what is torn, removes files without a record, and makes what was read durable. Gives the number of bytes cut.
    ///
    /// # Errors
    /// As the disk reports them.
    pub(super) fn run(self, fs: &dyn FileSystem, log_dir: &Path) -> Result<u64, StorageError> {
        let mut cut_bytes = 0;
        for path in &self.removals {
            cut_bytes += fs.len(path).context("stat", path)?.saturating_sub(FILE_HEADER_BYTES as u64);
            fs.remove(path).context("remove", path)?;
        }
        if !self.removals.is_empty() {
            fs.sync_dir(log_dir).context("sync", log_dir)?;
        }
        for (path, offset) in &self.cuts {
            let mut file = fs.open_write(path).context("open", path)?;
            cut_bytes += file.len().context("stat", path)?.saturating_sub(*offset);
            file.set_len(*offset).context("truncate", path)?;
            file.sync_data().context("sync", path)?;
        }
        // A killed run may have left records in memory only: whoever reads them relies on them.
        if let Some(path) = self.newest.filter(|newest| self.cuts.iter().all(|(path, _)| path != newest)) {
            fs.open_write(&path).context("open", &path)?.sync_data().context("sync", &path)?;
        }
        Ok(cut_bytes)
    }
}
