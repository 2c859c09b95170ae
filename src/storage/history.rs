//! The log as a learner needs it: what lies behind a zxid, in slices, read beside the thread that appends to it.
//!
//! Nothing here is an error: a log that does not hold the zxid, is too long to be worth reading, or cannot be read further, makes the leader
//! send a snapshot. What is not yet durable may be read too; the leader takes only what is delivered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::log_reader::{LogFile, Next};
use super::mark::read_mark;
use super::names::{list_logs, list_snapshots};
use crate::ids::Zxid;
use crate::zab::{HistorySlice, follows};

/// So many places in the log are remembered: one for each learner that is being brought up to date.
const PLACES_MAX: usize = 32;

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub struct HistoryReaderSettings {
    /// Payload bytes after which a slice ends.
    pub slice_bytes: usize,
    /// `snapshotSizeFactor`: a log that is longer than this part of the newest snapshot is not read (`FileTxnSnapLog`,
    /// `ZKDatabase.calculateTxnLogSizeLimit`).
    pub size_factor: f64,
}

/// Where the record of a zxid is.
#[derive(Clone, Debug)]
struct Place {
    zxid: Zxid,
    file: String,
    offset: u64,
}

/// Reads the log for learners.
pub struct HistoryReader {
    fs: Arc<dyn FileSystem>,
    snap_dir: PathBuf,
    log_dir: PathBuf,
    settings: HistoryReaderSettings,
    /// Where slices ended, the newest last: the next slice of a learner goes on there.
    places: Vec<Place>,
}

impl HistoryReader {
    /// A reader over the directories of snapshots and log.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, snap_dir: &Path, log_dir: &Path, settings: HistoryReaderSettings) -> Self {
        Self { fs, snap_dir: snap_dir.to_path_buf(), log_dir: log_dir.to_path_buf(), settings, places: Vec::new() }
    }

    /// The next txns behind `after`, in order and without a hole; `None` when the log does not reach back that far, is damaged, or is
    /// too long to be worth reading.
    pub fn read(&mut self, after: Zxid) -> Option<HistorySlice> {
        match self.try_read(after) {
            Ok(slice) => slice,
            Err(error) => {
                tracing::warn!(%after, %error, "the log cannot be read for a learner, which gets a snapshot instead");
                None
            }
        }
    }

    fn try_read(&mut self, after: Zxid) -> Result<Option<HistorySlice>, StorageError> {
        let logs = list_logs(self.fs.as_ref(), &self.log_dir)?;
        let remembered = self.places.iter().position(|place| place.zxid == after).map(|index| self.places.remove(index));
        let place = match remembered.filter(|place| logs.iter().any(|(_, name)| *name == place.file)) {
            Some(place) => place,
            None => match self.find(after, &logs)? {
                Some(place) => place,
                None => return Ok(None),
            },
        };
        let first = logs.iter().position(|(_, name)| *name == place.file).expect("a place is in a file of the list");
        self.read_from(&place, &logs[first..]).map(Some)
    }

    /// Where reading begins: in the newest file that may hold the zxid.
    fn find(&self, after: Zxid, logs: &[(Zxid, String)]) -> Result<Option<Place>, StorageError> {
        let Some(index) = logs.iter().rposition(|(name, _)| *name <= after) else { return Ok(None) };
        if self.bytes_of(&logs[index..])? > self.bytes_max()? {
            return Ok(None);
        }
        let file = logs[index].1.clone();
        let mut log = LogFile::open(self.fs.as_ref(), &self.log_dir.join(&file))?;
        if !log.has_magic()? {
            return Ok(None);
        }
        while let Next::Record { offset, zxid, .. } = log.next()? {
            if zxid >= after {
                return Ok(Some(Place { zxid: after, file, offset }));
            }
        }
        Ok(None)
    }

    /// The records begin with the one at the place, if that is the zxid that was asked for.
    fn read_from(&mut self, place: &Place, logs: &[(Zxid, String)]) -> Result<HistorySlice, StorageError> {
        let mut slice = HistorySlice::default();
        let (mut last, mut bytes) = (place.clone(), 0);
        for (index, (_, name)) in logs.iter().enumerate() {
            let mut log = LogFile::open(self.fs.as_ref(), &self.log_dir.join(name))?;
            if !log.has_magic()? {
                continue;
            }
            if index == 0 {
                log.seek(place.offset);
            }
            while let Next::Record { offset, zxid, payload } = log.next()? {
                if !slice.begins_exactly {
                    if zxid != place.zxid {
                        return Ok(slice);
                    }
                    slice.begins_exactly = true;
                } else if follows(last.zxid, zxid) {
                    bytes += payload.len();
                    slice.txns.push((zxid, Bytes::copy_from_slice(payload)));
                    last = Place { zxid, file: name.clone(), offset };
                } else if zxid > last.zxid {
                    return Ok(slice);
                }
                if bytes >= self.settings.slice_bytes && !slice.txns.is_empty() {
                    self.remember(last);
                    return Ok(slice);
                }
            }
        }
        self.remember(last);
        Ok(slice)
    }

    fn remember(&mut self, place: Place) {
        if self.places.len() == PLACES_MAX {
            self.places.remove(0);
        }
        self.places.push(place);
    }

    /// Bytes of these files, room that is allocated ahead of the records left out.
    fn bytes_of(&self, logs: &[(Zxid, String)]) -> Result<u64, StorageError> {
        let mark = read_mark(self.fs.as_ref(), &self.log_dir)?;
        let mut bytes = 0;
        for (name, file) in logs {
            let path = self.log_dir.join(file);
            let len = self.fs.len(&path).context("stat", &path)?;
            bytes += mark.filter(|mark| mark.log == *name).map_or(len, |mark| len.min(mark.offset));
        }
        Ok(bytes)
    }

    /// What may be read at most: a part of what the snapshot would take that is sent instead.
    fn bytes_max(&self) -> Result<u64, StorageError> {
        let Some(newest) = list_snapshots(self.fs.as_ref(), &self.snap_dir)?.into_iter().next() else { return Ok(0) };
        let path = self.snap_dir.join(newest.name);
        Ok((self.fs.len(&path).context("stat", &path)? as f64 * self.settings.size_factor) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{payload, write_log, write_snapshot};
    use super::*;
    use crate::storage::{Compression, RealFileSystem};

    fn reader(dir: &Path, slice_bytes: usize, size_factor: f64) -> HistoryReader {
        HistoryReader::new(Arc::new(RealFileSystem), dir, dir, HistoryReaderSettings { slice_bytes, size_factor })
    }

    fn zxids(slice: &HistorySlice) -> Vec<i64> {
        slice.txns.iter().map(|(zxid, _)| zxid.0).collect()
    }

    /// Two files, 1 to 5 and 6 to 9.
    fn two_files() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        write_snapshot(dir.path(), 0, Compression::None);
        write_log(dir.path(), 1, 5);
        write_log(dir.path(), 6, 9);
        dir
    }

    #[test]
    fn the_history_behind_every_zxid_comes_in_slices() {
        let dir = two_files();
        for slice_bytes in [1, 100, 1 << 20] {
            for after in 1..=9 {
                let mut reader = reader(dir.path(), slice_bytes, 1e3);
                let (mut at, mut seen) = (after, Vec::new());
                loop {
                    let slice = reader.read(Zxid(at)).expect("the log reaches back that far");
                    assert!(slice.begins_exactly, "behind {at}");
                    assert!(slice.txns.iter().all(|(zxid, bytes)| *bytes == payload(zxid.0)));
                    let Some(&(last, _)) = slice.txns.last() else { break };
                    assert!(slice_bytes > 1 || slice.txns.len() == 1);
                    seen.extend(zxids(&slice));
                    at = last.0;
                }
                assert_eq!(seen, (after + 1..=9).collect::<Vec<_>>());
                assert!(reader.places.len() <= 1, "a place is used up");
            }
        }
    }

    #[test]
    fn what_the_log_does_not_hold_is_not_made_up() {
        let dir = two_files();
        assert_eq!(reader(dir.path(), 100, 1e3).read(Zxid(0)), None, "it begins later");
        assert_eq!(reader(dir.path(), 100, 1e3).read(Zxid(12)), None, "it ends earlier");
        std::fs::remove_file(dir.path().join("log.6")).expect("removable");
        write_log(dir.path(), 8, 9);
        assert_eq!(reader(dir.path(), 100, 1e3).read(Zxid(7)), None);
        let slice = reader(dir.path(), 1000, 1e3).read(Zxid(4)).expect("it holds this one");
        assert_eq!(zxids(&slice), [5], "it ends before the hole (ZOOKEEPER-2846)");
        let path = dir.path().join("log.1");
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[16 + 63 * 3 + 30] ^= 1;
        std::fs::write(&path, bytes).expect("writable");
        let slice = reader(dir.path(), 1000, 1e3).read(Zxid(2)).expect("it holds this one");
        assert_eq!(zxids(&slice), [3], "it ends before the damage");
    }

    /// An epoch begins with counter 1; a learner may have ended in an epoch that the log has no record of.
    #[test]
    fn epochs_and_zxids_between_them() {
        let dir = tempfile::tempdir().expect("a directory");
        write_snapshot(dir.path(), 0, Compression::None);
        write_log(dir.path(), 1, 2);
        write_log(dir.path(), 0x3_0000_0001, 0x3_0000_0002);
        let slice = reader(dir.path(), 1000, 1e3).read(Zxid(2)).expect("it holds this one");
        assert_eq!(zxids(&slice), [0x3_0000_0001, 0x3_0000_0002]);
        assert_eq!(reader(dir.path(), 1000, 1e3).read(Zxid(0x2_0000_0007)), None);
    }

    #[test]
    fn a_log_that_is_longer_than_a_part_of_the_snapshot_is_not_read() {
        let dir = two_files();
        let snapshot = std::fs::metadata(dir.path().join("snapshot.0")).expect("there").len() as f64;
        // 16 bytes and four records of 63; what is allocated behind them does not count.
        let needed = 16.0 + 4.0 * 63.0;
        assert!(reader(dir.path(), 100, (needed + 1.0) / snapshot).read(Zxid(7)).is_some());
        assert_eq!(reader(dir.path(), 100, (needed - 1.0) / snapshot).read(Zxid(7)), None);
    }

    /// The log is read where it is being written, and a file may go on after it was read to its end.
    #[test]
    fn a_slice_goes_on_where_the_last_one_ended_while_the_log_grows() {
        let dir = two_files();
        let mut reader = reader(dir.path(), 1 << 20, 1e3);
        assert_eq!(zxids(&reader.read(Zxid(7)).expect("it holds this one")), [8, 9]);
        write_log(dir.path(), 10, 11);
        assert_eq!(zxids(&reader.read(Zxid(9)).expect("it holds this one")), [10, 11]);
        std::fs::remove_file(dir.path().join("log.a")).expect("removable");
        assert_eq!(reader.read(Zxid(11)), None, "the place is gone");
    }
}
