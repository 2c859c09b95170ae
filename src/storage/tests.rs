//! Logs and snapshots over a real directory: round trips, torn ends, damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::snapshot::SnapshotStat;
use super::*;
use crate::ids::Zxid;

/// Remembers what it was given.
#[derive(Default, Debug, PartialEq, Clone)]
pub(super) struct Seen {
    pub(super) refuses: bool,
    pub(super) sessions: Vec<(i64, i32)>,
    pub(super) nodes: Vec<(String, Option<Vec<u8>>)>,
    pub(super) sections: Option<Sections>,
    pub(super) txns: Vec<(i64, Vec<u8>)>,
}

impl SnapshotVisitor for Seen {
    fn session(&mut self, id: i64, timeout_ms: i32) {
        self.sessions.push((id, timeout_ms));
    }
    fn acl(&mut self, _: i64, _: Vec<SnapshotAclEntry>) -> Result<(), String> {
        Ok(())
    }
    fn znode(&mut self, path: &str, data: Option<&[u8]>, _: i64, _: SnapshotStat) -> Result<(), String> {
        self.nodes.push((path.to_owned(), data.map(<[u8]>::to_vec)));
        if self.refuses { Err("no tree of mine".to_owned()) } else { Ok(()) }
    }
}

impl Restore for Seen {
    fn reset(&mut self, _: bool) {
        *self = Self { refuses: self.refuses, ..Self::default() };
    }
    fn snapshot_loaded(&mut self, _: Zxid, sections: Sections) {
        self.sections = Some(sections);
    }
    fn txn(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), String> {
        self.txns.push((zxid.0, payload.to_vec()));
        Ok(())
    }
}

pub(super) fn fs() -> Arc<dyn FileSystem> {
    Arc::new(RealFileSystem)
}

pub(super) fn payload(zxid: i64) -> Vec<u8> {
    let mut payload = vec![0; 12];
    payload.extend_from_slice(&zxid.to_be_bytes());
    payload.extend_from_slice(&[7; 30]);
    payload
}

pub(super) fn body() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&9_i64.to_be_bytes());
    body.extend_from_slice(&4000_i32.to_be_bytes());
    body.extend_from_slice(&0_i32.to_be_bytes());
    for (path, data) in [("", Some(&b"root"[..])), ("/a", None), ("/b", Some(b""))] {
        body.extend_from_slice(&(path.len() as i32).to_be_bytes());
        body.extend_from_slice(path.as_bytes());
        body.extend_from_slice(&data.map_or(-1, |data| data.len() as i32).to_be_bytes());
        body.extend_from_slice(data.unwrap_or_default());
        body.extend_from_slice(&[0; 68]);
    }
    body.extend_from_slice(&[0, 0, 0, 1, b'/']);
    body
}

pub(super) fn write_snapshot(dir: &Path, zxid: i64, compression: Compression) -> PathBuf {
    let mut writer = SnapshotWriter::new(fs(), dir, Zxid(zxid), compression).expect("the directory is writable");
    writer.write(&body()).expect("written");
    writer.finish(Sections { digest: Some((Zxid(zxid), 2, 77)), last_zxid: Some(Zxid(zxid)) }).expect("finished")
}

pub(super) fn write_log(dir: &Path, from: i64, to: i64) {
    let options = TxnLogOptions { prealloc_size_bytes: 4096, size_limit_bytes: None, force_sync: true };
    let mut log = TxnLog::new(fs(), dir.to_path_buf(), options, Zxid(from - 1));
    for zxid in from..=to {
        log.append(Zxid(zxid), &payload(zxid)).expect("in order");
        log.commit().expect("committed");
    }
}

pub(super) fn options(dir: &Path) -> RecoveryOptions {
    RecoveryOptions { snap_dir: dir.to_path_buf(), log_dir: dir.to_path_buf(), trust_empty: false }
}

pub(super) fn recovered(dir: &Path) -> Result<(Recovered, Seen), StorageError> {
    let mut seen = Seen::default();
    recover(&fs(), &options(dir), &mut seen).map(|recovered| (recovered, seen))
}

#[test]
fn snapshots_round_trip_in_every_codec() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let dir = tempfile::tempdir().expect("a directory");
        write_snapshot(dir.path(), 5, compression);
        let (found, seen) = recovered(dir.path()).expect("sound");
        assert_eq!((found.snapshot, found.last_zxid), (Some(Zxid(5)), Zxid(5)));
        assert_eq!(seen.sessions, [(9, 4000)]);
        assert_eq!(seen.nodes[1..], [("/a".to_owned(), None), ("/b".to_owned(), Some(vec![]))]);
        assert_eq!(seen.sections, Some(Sections { digest: Some((Zxid(5), 2, 77)), last_zxid: Some(Zxid(5)) }));
    }
}

#[test]
fn a_log_is_read_back_behind_its_snapshot() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    write_log(dir.path(), 1, 3);
    write_log(dir.path(), 4, 6);
    write_snapshot(dir.path(), 2, Compression::None);
    let (found, seen) = recovered(dir.path()).expect("sound");
    assert_eq!((found.last_zxid, found.txn_count), (Zxid(6), 4));
    assert_eq!(seen.txns.iter().map(|(zxid, _)| *zxid).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!(seen.txns[0].1, payload(3));
}

#[test]
fn a_hole_in_the_log_stops_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    write_log(dir.path(), 1, 3);
    write_log(dir.path(), 5, 6);
    assert!(matches!(recovered(dir.path()), Err(StorageError::LogHole { last: Zxid(3), found: Zxid(5), .. })));
}

#[test]
fn a_log_without_a_snapshot_stops_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    write_log(dir.path(), 1, 3);
    assert!(matches!(recovered(dir.path()), Err(StorageError::SnapshotsMissing { .. })));
    let mut seen = Seen::default();
    let trusting = RecoveryOptions { trust_empty: true, ..options(dir.path()) };
    assert_eq!(recover(&fs(), &trusting, &mut seen).expect("trusted").txn_count, 3);
}

/// Every length that a crash could leave: all whole records below it come back, and the file is cut so that the next start agrees.
#[test]
fn a_torn_end_is_cut_at_every_length() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    write_log(dir.path(), 1, 3);
    std::fs::remove_file(dir.path().join("paddock.synced")).expect("two commits make a mark");
    let path = dir.path().join("log.1");
    let whole = std::fs::read(&path).expect("readable");
    let record = 50 + 13;
    for length in 16..16 + 3 * record {
        std::fs::write(&path, &whole[..length]).expect("writable");
        let expected = ((length - 16) / record) as i64;
        for _ in 0..2 {
            assert_eq!(recovered(dir.path()).expect("torn, not damaged").0.last_zxid, Zxid(expected), "at {length}");
        }
    }
}

/// Every flipped byte of a log that was closed or killed: the mark covers the newest batch too, so nothing is cut in silence.
#[test]
fn a_flipped_byte_below_the_mark_is_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    write_log(dir.path(), 1, 3);
    let path = dir.path().join("log.1");
    let whole = std::fs::read(&path).expect("readable");
    let record = 50 + 13;
    for at in 16..16 + 3 * record {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, &damaged).expect("writable");
        let expected = 16 + (at - 16) / record * record;
        match recovered(dir.path()) {
            Err(StorageError::LogDamaged { offset, .. }) => assert_eq!(offset, expected as u64, "byte {at}"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

/// A log file that is gone, or shorter than it was, is missed.
#[test]
fn the_mark_knows_what_was_there() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    write_log(dir.path(), 1, 3);
    let path = dir.path().join("log.1");
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..142]).expect("writable");
    assert!(matches!(recovered(dir.path()), Err(StorageError::LogDamaged { offset: 142, .. })));
    std::fs::remove_file(&path).expect("removable");
    assert!(matches!(recovered(dir.path()), Err(StorageError::LogMissing { needed: Zxid(3), reached: Zxid(0), .. })));
    write_snapshot(dir.path(), 3, Compression::None);
    assert_eq!(recovered(dir.path()).expect("the snapshot has it all").0.last_zxid, Zxid(3));
}

/// What Java leaves: a mark of an older run, newer files that it does not name, a torn end before a file that goes on where it ends.
#[test]
fn a_mark_of_an_older_run_does_not_judge_newer_files() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    write_log(dir.path(), 1, 3);
    let mark = std::fs::read(dir.path().join("paddock.synced")).expect("readable");
    write_log(dir.path(), 4, 6);
    write_log(dir.path(), 7, 8);
    std::fs::write(dir.path().join("paddock.synced"), mark).expect("writable");
    let path = dir.path().join("log.4");
    let mut torn = std::fs::read(&path).expect("readable");
    torn.extend_from_slice(b"the beginning of a record");
    std::fs::write(&path, torn).expect("writable");
    assert_eq!(recovered(dir.path()).expect("nothing is missing").0.last_zxid, Zxid(8));
}

/// Every flipped byte of a snapshot: it is passed over for an older one with the log, or the start is refused; never other content.
#[test]
fn a_flipped_byte_in_a_snapshot_never_gives_other_content() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let dir = tempfile::tempdir().expect("a directory");
        write_snapshot(dir.path(), 0, Compression::None);
        write_log(dir.path(), 1, 3);
        let path = write_snapshot(dir.path(), 2, compression);
        let (_, right) = recovered(dir.path()).expect("sound");
        let whole = std::fs::read(&path).expect("readable");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x01;
            std::fs::write(&path, &damaged).expect("writable");
            let (found, seen) = recovered(dir.path()).expect("the older snapshot and the log stand in");
            assert_eq!(found.last_zxid, Zxid(3));
            assert!(found.snapshot == Some(Zxid(0)) || seen == right, "byte {at} of {compression:?}");
        }
    }
}

#[test]
fn a_damaged_snapshot_that_the_log_does_not_reach_stops_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    write_snapshot(dir.path(), 0, Compression::None);
    let newer = write_snapshot(dir.path(), 9, Compression::None);
    std::fs::write(&newer, b"ZKSN and then nothing that makes sense").expect("writable");
    assert!(matches!(recovered(dir.path()), Err(StorageError::SnapshotNotReplaceable { needed: Zxid(9), .. })));
}

#[test]
fn a_failed_log_stays_failed() {
    let options = TxnLogOptions { prealloc_size_bytes: 0, size_limit_bytes: None, force_sync: true };
    let mut log = TxnLog::new(fs(), PathBuf::from("/nonexistent/place"), options, Zxid(0));
    log.append(Zxid(1), &payload(1)).expect("only buffered");
    assert!(log.commit().is_err());
    assert!(log.append(Zxid(2), &payload(2)).is_err());
    assert!(log.commit().is_err());
}

#[test]
fn a_directory_serves_one_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Directories::open(&fs(), dir.path(), dir.path(), true).expect("free");
    assert!(matches!(Directories::open(&fs(), dir.path(), dir.path(), true), Err(StorageError::Locked { .. })));
    drop(first);
    Directories::open(&fs(), dir.path(), dir.path(), true).expect("free again");
}

#[test]
fn purging_keeps_what_a_start_needs() {
    let dir = tempfile::tempdir().expect("a directory");
    for zxid in [0, 3, 6, 9] {
        write_snapshot(dir.path(), zxid, Compression::None);
    }
    for from in [1, 3, 5, 7] {
        write_log(dir.path(), from, from + 1);
    }
    let removed = purge(&RealFileSystem, dir.path(), dir.path(), 3, &Mutex::default()).expect("removable");
    let names: Vec<_> = removed.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["snapshot.0", "log.1"]);
}

#[test]
fn a_damaged_snapshot_does_not_count_for_a_purge() {
    let dir = tempfile::tempdir().expect("a directory");
    for zxid in [0, 3, 6, 9] {
        write_snapshot(dir.path(), zxid, Compression::None);
    }
    std::fs::write(dir.path().join("snapshot.9"), b"ZKSN").expect("writable");
    assert_eq!(
        purge(&RealFileSystem, dir.path(), dir.path(), 3, &Mutex::default()).expect("nothing to remove"),
        [""; 0].map(PathBuf::from)
    );
    let removed = purge(&RealFileSystem, dir.path(), dir.path(), 2, &Mutex::default()).expect("removable");
    assert_eq!(removed, [dir.path().join("snapshot.0")]);
}

#[test]
fn epochs_are_replaced_in_one_step() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(epoch_file::read(&RealFileSystem, dir.path(), epoch_file::CURRENT_EPOCH).expect("readable"), None);
    epoch_file::write(&RealFileSystem, dir.path(), epoch_file::CURRENT_EPOCH, 17).expect("writable");
    assert_eq!(epoch_file::read(&RealFileSystem, dir.path(), epoch_file::CURRENT_EPOCH).expect("readable"), Some(17));
}
