//! Truncations at every txn, targets that must be refused, installed snapshots; streams that are none.

use std::collections::BTreeMap;
use std::path::Path;

use super::tests::{Seen, body, fs, options, payload, recovered, write_log, write_snapshot};
use super::*;
use crate::ids::Zxid;

/// Snapshots 0, 4 and 7; logs 1 to 3, 4 to 6, 7 to 9.
fn three_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for zxid in [0, 4, 7] {
        write_snapshot(dir.path(), zxid, Compression::None);
    }
    for first in [1, 4, 7] {
        write_log(dir.path(), first, first + 2);
    }
    dir
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("there").map(|entry| entry.expect("readable"));
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("readable"))).collect()
}

/// What a start reads: the snapshot, the txns behind it, the end.
fn start(dir: &Path) -> (i64, Vec<i64>, i64) {
    let (found, seen) = recovered(dir).expect("sound");
    (found.snapshot.expect("there is one").0, seen.txns.iter().map(|(zxid, _)| *zxid).collect(), found.last_zxid.0)
}

/// quorum-protocol.md §5: 1156 (one record too many), U1 (one record too few), 1549 and 4837 (snapshots beyond the target).
#[test]
fn zookeeper_1156_1549_4837_truncation_is_exact_at_every_txn() {
    for to in 0..=9 {
        for is_reloaded in [true, false] {
            let dir = three_files();
            let done = if is_reloaded {
                let mut seen = Seen::default();
                let done = truncate_and_rebuild(&RealFileSystem, &options(dir.path()), Zxid(to), &mut seen).expect("sound");
                let last = seen.txns.last().map(|(zxid, _)| *zxid);
                assert!(last.is_none_or(|last| last == to), "the state is of {to}");
                done
            } else {
                truncate(&RealFileSystem, &options(dir.path()), Zxid(to)).expect("sound")
            };
            assert_eq!(done, Truncation::Done, "to {to}");
            let base = [7, 4, 0].into_iter().find(|base| *base <= to).expect("0 is below");
            assert_eq!(start(dir.path()), (base, (base + 1..=to).collect(), to));
            assert!(files(dir.path()).keys().all(|name| !name.starts_with("paddock-")), "nothing is left over");
            // Life goes on behind the target, with other txns.
            write_log(dir.path(), to + 1, to + 2);
            assert_eq!(start(dir.path()), (base, (base + 1..=to + 2).collect(), to + 2));
        }
    }
}

#[test]
fn u1_a_target_that_is_nowhere_is_refused_and_nothing_changes() {
    let dir = three_files();
    write_log(dir.path(), 0x2_0000_0001, 0x2_0000_0003);
    write_snapshot(dir.path(), 0x2_0000_0002, Compression::None);
    let before = files(dir.path());
    for to in [10, 0x1_0000_0000, 0x1_0000_0005, 0x2_0000_0000, 0x2_0000_0004, 0x3_0000_0001, -1] {
        let mut seen = Seen::default();
        let options = options(dir.path());
        let refused = truncate_and_rebuild(&RealFileSystem, &options, Zxid(to), &mut seen).expect("sound");
        assert_eq!((refused, truncate(&RealFileSystem, &options, Zxid(to)).expect("sound")), (Truncation::Refused, Truncation::Refused));
        assert_eq!(files(dir.path()), before, "to {to:#x}");
    }
    assert_eq!(truncate(&RealFileSystem, &options(dir.path()), Zxid(9)).expect("sound"), Truncation::Done);
    assert_eq!(start(dir.path()), (7, vec![8, 9], 9));
}

/// A target in a part of the history that a purge or damage has taken: the newest snapshot is what counts, and stays.
#[test]
fn a_target_that_the_files_do_not_lead_to_is_refused() {
    let spoil: [fn(&Path); 4] = [
        |dir| std::fs::remove_file(dir.join("log.4")).expect("removable"),
        |dir| std::fs::remove_file(dir.join("snapshot.4")).and_then(|()| std::fs::remove_file(dir.join("snapshot.0"))).expect("removable"),
        |dir| flip(&dir.join("log.4"), 16 + 63 + 40),
        |dir| {
            flip(&dir.join("snapshot.4"), 30);
            flip(&dir.join("snapshot.0"), 30);
        },
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        let dir = three_files();
        spoil(dir.path());
        let before = files(dir.path());
        let refused = truncate_and_rebuild(&RealFileSystem, &options(dir.path()), Zxid(5), &mut Seen::default()).expect("refused");
        assert_eq!(refused, Truncation::Refused, "case {index}");
        assert_eq!(files(dir.path()), before, "case {index}");
        assert_eq!(start(dir.path()), (7, vec![8, 9], 9));
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("readable");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("writable");
}

/// Damage that the next start would meet stops the server: it does not go on with a history that its disk has lost.
#[test]
fn damage_below_the_target_is_not_passed_over() {
    let dir = three_files();
    flip(&dir.path().join("log.7"), 16 + 63 + 40);
    for to in [8, 9] {
        assert!(matches!(truncate(&RealFileSystem, &options(dir.path()), Zxid(to)), Err(StorageError::LogDamaged { offset: 79, .. })));
    }
    assert_eq!(truncate(&RealFileSystem, &options(dir.path()), Zxid(7)).expect("sound up to there"), Truncation::Done);
    assert_eq!(start(dir.path()), (7, vec![], 7));
}

/// A file that Java left with a torn end, and one with records of a history that was given up.
#[test]
fn what_java_left_behind_the_target_goes_too() {
    let dir = three_files();
    let path = dir.path().join("log.4");
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes.extend_from_slice(b"the beginning of a record");
    std::fs::write(&path, bytes).expect("writable");
    std::fs::remove_file(dir.path().join("log.7")).expect("removable");
    std::fs::remove_file(dir.path().join("snapshot.7")).expect("removable");
    std::fs::remove_file(dir.path().join("paddock.synced")).expect("removable");
    assert_eq!(truncate(&RealFileSystem, &options(dir.path()), Zxid(6)).expect("sound"), Truncation::Done);
    assert_eq!(std::fs::metadata(&path).expect("there").len(), 16 + 3 * 63);
    assert_eq!(start(dir.path()), (4, vec![5, 6], 6));
}

/// The mark does not miss what is gone on purpose, and misses the rest.
#[test]
fn the_mark_is_of_the_shorter_history() {
    let dir = three_files();
    truncate(&RealFileSystem, &options(dir.path()), Zxid(5)).expect("sound");
    let path = dir.path().join("log.4");
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..16 + 63]).expect("writable");
    assert!(matches!(recovered(dir.path()), Err(StorageError::LogMissing { needed: Zxid(5), reached: Zxid(4), .. })));
    let last = whole.len() - 20;
    std::fs::write(&path, &whole).expect("writable");
    flip(&path, last);
    assert!(matches!(recovered(dir.path()), Err(StorageError::LogDamaged { .. })));
}

fn receive(dir: &Path, zxid: i64, compression: Compression) -> ReceivedSnapshot {
    let mut stream = body();
    put_signature(&mut stream);
    let mut receiver = SnapshotReceiver::new(fs(), dir, Zxid(zxid), compression, 1000).expect("writable");
    let received = receiver.write(&stream).expect("a snapshot");
    assert_eq!(received, Received { consumed: stream.len(), is_complete: true });
    receiver.finish().expect("complete")
}

/// quorum-protocol.md §5: 2832 (records beyond the snapshot come back), and what lies below it may be another history too.
#[test]
fn zookeeper_2832_an_installed_snapshot_is_all_there_is() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        for zxid in [2, 4, 7, 9, 0x3_0000_0000] {
            let dir = three_files();
            let received = receive(dir.path(), zxid, compression);
            assert_eq!(start(dir.path()).2, 9, "it does not count before it is installed, and goes at a start");
            drop(received);
            let received = receive(dir.path(), zxid, compression);
            let mut seen = Seen::default();
            received.load(&mut seen).expect("a snapshot");
            assert_eq!(seen.sessions, [(9, 4000)]);
            received.install(&options(dir.path())).expect("installed");
            assert_eq!(start(dir.path()), (zxid, vec![], zxid));
            let names: Vec<_> = files(dir.path()).into_keys().collect();
            let suffix = compression.suffix();
            assert_eq!(names, ["paddock.synced".to_owned(), format!("snapshot.{zxid:x}{suffix}")]);
            write_log(dir.path(), zxid + 1, zxid + 2);
            assert_eq!(start(dir.path()), (zxid, vec![zxid + 1, zxid + 2], zxid + 2));
            std::fs::remove_file(dir.path().join(format!("log.{:x}", zxid + 1))).expect("removable");
            assert!(matches!(recovered(dir.path()), Err(StorageError::LogMissing { .. })), "what is lost is missed");
        }
    }
}

/// Each byte on its own, and every way to cut the stream in two: the end is found, and what follows is left alone.
#[test]
fn the_end_of_a_stream_is_found_however_it_is_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut stream = body();
    put_signature(&mut stream);
    let length = stream.len();
    stream.extend_from_slice(b"packets");
    for cut in 0..=stream.len() {
        let mut receiver = SnapshotReceiver::new(fs(), dir.path(), Zxid(5), Compression::None, 1000).expect("writable");
        let first = receiver.write(&stream[..cut]).expect("sound so far");
        assert_eq!(first, Received { consumed: cut.min(length), is_complete: cut >= length });
        let rest = receiver.write(&stream[first.consumed..]).expect("a snapshot");
        assert_eq!(rest, Received { consumed: length - first.consumed, is_complete: true });
        let mut seen = Seen::default();
        receiver.finish().expect("complete").load(&mut seen).expect("a snapshot");
        assert_eq!(seen.nodes.len(), 3);
    }
    let mut receiver = SnapshotReceiver::new(fs(), dir.path(), Zxid(5), Compression::None, 1000).expect("writable");
    for (index, byte) in stream[..length].iter().enumerate() {
        let received = receiver.write(&[*byte]).expect("sound so far");
        assert_eq!(received, Received { consumed: 1, is_complete: index + 1 == length });
    }
    drop(receiver);
    let mut half = SnapshotReceiver::new(fs(), dir.path(), Zxid(5), Compression::None, 1000).expect("writable");
    half.write(&stream[..40]).expect("sound so far");
    assert_eq!(files(dir.path()).len(), 1, "one is being received");
    assert!(half.finish().is_none());
    assert_eq!(files(dir.path()).len(), 0, "given up, it leaves nothing");
}

#[test]
fn what_is_no_snapshot_is_refused_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let ints = |numbers: &[i32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let acl = |scheme: i32| [ints(&[0, 1]), vec![0; 8], ints(&[1, 31, scheme])].concat();
    let cases = [
        ("a path", ints(&[0, 0, -1])),
        ("a path", ints(&[0, 0, i32::MIN])),
        ("a path", ints(&[0, 0, 1001])),
        ("data", ints(&[0, 0, 0, i32::MAX])),
        ("data", ints(&[0, 0, 0, -2])),
        ("a scheme", acl(1001)),
        ("a scheme", acl(-7)),
        ("an identity", [acl(0), ints(&[i32::MAX])].concat()),
        ("BenWasHere", [ints(&[0, 0, 1]), b"/\0\0\0\x0aBenWasHerf".to_vec()].concat()),
        ("BenWasHere", [ints(&[0, 0, 1]), b"/X".to_vec()].concat()),
    ];
    for (what, stream) in cases {
        let mut receiver = SnapshotReceiver::new(fs(), dir.path(), Zxid(5), Compression::None, 1000).expect("writable");
        let error = receiver.write(&stream).expect_err("no snapshot").to_string();
        assert!(error.contains(what) && error.contains("0x5"), "{error}");
    }
    // Counts that nothing follows cost nothing; null fields and negative counts are what they are for Java.
    for stream in [ints(&[i32::MAX]), ints(&[0, i32::MAX]), ints(&[-5, -5, 0, -1]), acl(-1)] {
        let mut receiver = SnapshotReceiver::new(fs(), dir.path(), Zxid(5), Compression::None, 1000).expect("writable");
        assert!(!receiver.write(&stream).expect("sound so far").is_complete);
    }
}

/// A tree that is none gets as far as a file, and no further: it does not load.
#[test]
fn what_cannot_be_loaded_is_not_installed() {
    let dir = three_files();
    let before = files(dir.path());
    let mut receiver = SnapshotReceiver::new(fs(), dir.path(), Zxid(5), Compression::None, 1000).expect("writable");
    let mut stream = vec![0; 8];
    stream.extend_from_slice(b"\0\0\0\x01/");
    put_signature(&mut stream);
    assert!(receiver.write(&stream).expect("it has an end").is_complete);
    let received = receiver.finish().expect("complete");
    assert_eq!(received.zxid(), Zxid(5));
    received.load(&mut Seen { refuses: true, ..Seen::default() }).expect("no znode, nothing to refuse");
    drop(received);
    let received = receive(dir.path(), 5, Compression::None);
    assert!(received.load(&mut Seen { refuses: true, ..Seen::default() }).is_err());
    drop(received);
    assert_eq!(files(dir.path()), before);
}

#[test]
fn payloads_come_back_as_they_were() {
    let dir = three_files();
    let mut seen = Seen::default();
    truncate_and_rebuild(&RealFileSystem, &options(dir.path()), Zxid(6), &mut seen).expect("sound");
    assert_eq!(seen.txns, [(5, payload(5)), (6, payload(6))]);
}
