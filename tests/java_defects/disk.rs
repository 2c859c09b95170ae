//! What Java servers make of data directories that Paddock reads (quorum-protocol.md §5.6: U2, U9).

use std::path::Path;
use std::sync::Arc;

use paddock::ids::{SessionId, Zxid};
use paddock::proto::op_code::OpCode;
use paddock::proto::records::txn::ErrorTxn;
use paddock::proto::txn::{Body, TxnHeader, encode};
use paddock::server::persistence::{PersistenceSettings, Start, restore};
use paddock::storage::{Compression, Directories, FileSystem, RealFileSystem, Sections, SnapshotWriter, TxnLog, TxnLogOptions};
use paddock::tree::stat::OwnerRules;
use paddock::zab::HistoryLimits;

const LOG: TxnLogOptions = TxnLogOptions { prealloc_size_bytes: 4096, size_limit_bytes: None, force_sync: true };

fn fs() -> Arc<dyn FileSystem> {
    Arc::new(RealFileSystem)
}

fn settings(digest_enabled: bool) -> PersistenceSettings {
    PersistenceSettings {
        log: LOG,
        snap_count: None,
        snap_bytes: None,
        slice_bytes: 1000,
        compression: Compression::None,
        with_digest: true,
        with_last_zxid: true,
        owner_rules: OwnerRules::default(),
        digest_enabled,
        trust_empty: false,
        kept: HistoryLimits::default(),
    }
}

/// The znodes of a tree with one more, and one session.
fn body(znode: &str, session: i64) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&session.to_be_bytes());
    body.extend_from_slice(&4000_i32.to_be_bytes());
    body.extend_from_slice(&0_i32.to_be_bytes());
    for path in ["", "/zookeeper", "/zookeeper/quota", znode] {
        body.extend_from_slice(&(path.len() as i32).to_be_bytes());
        body.extend_from_slice(path.as_bytes());
        body.extend_from_slice(&(-1_i32).to_be_bytes());
        body.extend_from_slice(&(-1_i64).to_be_bytes());
        body.extend_from_slice(&[0; 60]);
    }
    body.extend_from_slice(&[0, 0, 0, 1, b'/']);
    body
}

fn write_snapshot(dir: &Path, zxid: i64, body: &[u8], sections: Sections) -> std::path::PathBuf {
    let mut writer = SnapshotWriter::new(fs(), dir, Zxid(zxid), Compression::None).expect("writable");
    writer.write(body).expect("written");
    writer.finish(sections).expect("finished")
}

fn write_log(dir: &Path, from: i64, to: i64) {
    let mut log = TxnLog::new(fs(), dir.to_path_buf(), LOG, Zxid(from - 1));
    for zxid in from..=to {
        let header = TxnHeader { client_id: 1, cxid: 1, zxid, time: 1, type_: OpCode::ERROR.0 };
        log.append(Zxid(zxid), &encode(&header, &Body::Error(ErrorTxn { err: -101 }), None)).expect("in order");
    }
    log.commit().expect("committed");
}

fn start(directories: &Directories, digest_enabled: bool) -> Start {
    restore(&fs(), directories, &settings(digest_enabled), 1).expect("sound")
}

/// A Java server reads the end of a snapshot by its own settings, and not those of a server that had others.
#[test]
fn u2_a_snapshot_is_read_whatever_sections_its_writer_was_told_to_write() {
    for digest in [None, Some((Zxid(4), 2, 77))] {
        for last_zxid in [None, Some(Zxid(4))] {
            for digest_enabled in [true, false] {
                let dir = tempfile::tempdir().expect("a directory");
                let directories = Directories::open(&fs(), dir.path(), dir.path(), true).expect("free");
                write_snapshot(directories.snap_dir(), 4, &body("/a", 9), Sections { digest, last_zxid });
                let start = start(&directories, digest_enabled);
                assert_eq!((start.recovered.snapshot, start.sessions.as_slice()), (Some(Zxid(4)), [(SessionId(9), 4000)].as_slice()));
                assert!(start.tree.find("/a").is_some(), "{digest:?}, {last_zxid:?}, {digest_enabled}");
            }
        }
    }
}

#[test]
fn u9_a_snapshot_that_is_passed_over_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let directories = Directories::open(&fs(), dir.path(), dir.path(), true).expect("free");
    let sections = Sections { digest: None, last_zxid: None };
    write_snapshot(directories.snap_dir(), 4, &body("/a", 9), sections);
    let damaged = write_snapshot(directories.snap_dir(), 7, &body("/residue", 99), sections);
    write_log(directories.log_dir(), 5, 8);
    let mut bytes = std::fs::read(&damaged).expect("readable");
    // The seal behind the last znode: everything before it is taken in by then.
    let seal = bytes.len() - 8;
    bytes[seal] ^= 1;
    std::fs::write(&damaged, bytes).expect("writable");
    let start = start(&directories, true);
    assert_eq!((start.recovered.snapshot, start.recovered.last_zxid), (Some(Zxid(4)), Zxid(8)));
    assert_eq!(start.sessions, [(SessionId(9), 4000)]);
    assert!(start.tree.find("/a").is_some() && start.tree.find("/residue").is_none());
}
