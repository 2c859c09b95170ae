//! `acceptedEpoch` and `currentEpoch`: a decimal number each, replaced in one step (disk-formats.md §2).
//!
//! Every server writes the promise before the leadership that was adopted, and the history of a leadership before it is adopted
//! (quorum-protocol.md §4). What a crash can leave is put right by the ordering core. What no crash leaves means that the disk lost
//! something, perhaps a promise: such a server does not start, as Java's does not.

use std::path::Path;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::whole_file;
use crate::ids::{Epoch, Zxid};

/// The promise to a new leader.
pub const ACCEPTED_EPOCH: &str = "acceptedEpoch";
/// The leadership whose history was adopted.
pub const CURRENT_EPOCH: &str = "currentEpoch";

const NUMBER_BYTES_MAX: usize = 32;

/// An epoch has 31 bits: it is the high half of a zxid.
const EPOCH_MAX: i64 = i32::MAX as i64;

/// The epochs that a disk holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// The promise; `None` if there is no such file.
    pub accepted: Option<Epoch>,
    /// The leadership adopted; `None` if there is no such file.
    pub current: Option<Epoch>,
}

impl Epochs {
    /// Reads both, and holds them against one another and against the end of the history.
    ///
    /// * Neither is there: a new server, or one that stood alone so far (`QuorumPeer.loadDataBase`).
    /// * One of them is missing: a first start may have been cut short, of a Java server that had adopted nothing, or of one of ours, which
    ///   promises the epoch in which its history ends. Otherwise a file was lost.
    /// * The promise is below what was adopted: no server leaves that.
    /// * The history is ahead of what was adopted, or of the promise: a crash leaves that (ZOOKEEPER-2354), where Java does not start.
    ///
    /// # Errors
    /// When one is not a number, or when something was lost.
    pub fn read(fs: &dyn FileSystem, dir: &Path, last_zxid: Zxid) -> Result<Self, StorageError> {
        let read_one = |name| read(fs, dir, name).map(|number| number.map(Epoch));
        let epochs = Self { accepted: read_one(ACCEPTED_EPOCH)?, current: read_one(CURRENT_EPOCH)? };
        let lost = |name: &str, other: &str, epoch| {
            Err(StorageError::EpochMissing { path: dir.join(name), other: dir.join(other), epoch, last: last_zxid })
        };
        match (epochs.accepted, epochs.current) {
            (None, Some(current)) if current > Epoch(0) => lost(ACCEPTED_EPOCH, CURRENT_EPOCH, current),
            (Some(accepted), None) if accepted > last_zxid.epoch() => lost(CURRENT_EPOCH, ACCEPTED_EPOCH, accepted),
            (Some(accepted), Some(current)) if accepted < current => {
                Err(StorageError::EpochsContradict { dir: dir.to_path_buf(), accepted, current })
            }
            _ => Ok(epochs),
        }
    }

    /// Whether this server has promised or adopted anything: then it had a database.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.accepted.max(self.current) > Some(Epoch(0))
    }
}

/// Reads an epoch; `None` if there is no such file.
///
/// # Errors
/// When the file does not hold a number that an epoch may be.
pub fn read(fs: &dyn FileSystem, dir: &Path, name: &str) -> Result<Option<i64>, StorageError> {
    let path = dir.join(name);
    if !fs.exists(&path).context("look for", &path)? {
        return Ok(None);
    }
    let mut bytes = [0; NUMBER_BYTES_MAX];
    let n = fs.open(&path).context("open", &path)?.read_at(&mut bytes, 0).context("read", &path)?;
    let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
    let line = text.lines().next().unwrap_or_default();
    let epoch = line.parse().ok().filter(|epoch| (0..=EPOCH_MAX).contains(epoch));
    epoch.map(Some).ok_or_else(|| StorageError::EpochFile { path, found: text.clone() })
}

/// Replaces an epoch: durable when this returns.
///
/// # Errors
/// When the disk refuses; the old number stands then.
pub fn write(fs: &dyn FileSystem, dir: &Path, name: &str, epoch: i64) -> Result<(), StorageError> {
    whole_file::write(fs, &dir.join(name), epoch.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RealFileSystem;

    fn dir(accepted: Option<&str>, current: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in [(ACCEPTED_EPOCH, accepted), (CURRENT_EPOCH, current)] {
            text.map_or(Ok(()), |text| std::fs::write(dir.path().join(name), text)).expect("writable");
        }
        dir
    }

    fn epochs(accepted: Option<&str>, current: Option<&str>, last_epoch: i64) -> Result<(Option<i64>, Option<i64>), StorageError> {
        let dir = dir(accepted, current);
        let found = Epochs::read(&RealFileSystem, dir.path(), Zxid::new(Epoch(last_epoch), 7))?;
        Ok((found.accepted.map(|epoch| epoch.0), found.current.map(|epoch| epoch.0)))
    }

    /// quorum-protocol.md §4: what a crash can leave is taken, the core puts it right.
    #[test]
    fn what_a_crash_leaves_is_taken() {
        assert_eq!(epochs(None, None, 3).expect("stood alone"), (None, None));
        assert_eq!(epochs(Some("5"), Some("4"), 4).expect("promised"), (Some(5), Some(4)));
        assert_eq!(epochs(Some("5"), Some("4"), 5).expect("logged, not adopted"), (Some(5), Some(4)));
        assert_eq!(epochs(Some("4"), Some("4"), 5).expect("names of a Java server, not synced"), (Some(4), Some(4)));
        assert_eq!(epochs(Some("3"), None, 3).expect("a first start of ours, cut short"), (Some(3), None));
        assert_eq!(epochs(None, Some("0"), 0).expect("a first start of Java's, cut short"), (None, Some(0)));
        assert_eq!(epochs(Some("5\n"), Some("5\r\nmore"), 5).expect("the first line counts"), (Some(5), Some(5)));
    }

    #[test]
    fn what_no_crash_leaves_stops_the_start() {
        for (accepted, current, last) in [(Some("4"), Some("5"), 4), (None, Some("5"), 5), (Some("5"), None, 4)] {
            let error = epochs(accepted, current, last).expect_err("something was lost").to_string();
            assert!(error.contains("acceptedEpoch") && error.contains("currentEpoch"), "{error}");
        }
    }

    #[test]
    fn what_is_no_epoch_stops_the_start() {
        for text in ["", "x", "5 ", " 5", "-1", "2147483648", "99999999999999999999", "0x5", "\n5", "5.0"] {
            let error = epochs(Some("7"), Some(text), 1).expect_err("no epoch");
            assert!(matches!(error, StorageError::EpochFile { .. }), "{text:?}: {error}");
        }
        assert_eq!(epochs(Some("2147483647"), Some("0"), 0).expect("the largest"), (Some(i64::from(i32::MAX)), Some(0)));
    }
}
