//! The disk: framing and committing log records, writing and loading a snapshot, replaying a log; in a temporary directory.

mod world;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paddock::ids::Zxid;
use paddock::replica::Restored;
use paddock::server::Target;
use paddock::storage::{
    Compression, FileSystem, RealFileSystem, RecoveryOptions, Sections, SnapshotWriter, TxnLog, TxnLogOptions, recover,
};
use paddock::tree::data_tree::DataTree;
use paddock::tree::digest::DIGEST_VERSION;
use paddock::tree::snapshot_walk::Walked;
use paddock::tree::stat::OwnerRules;
use tempfile::TempDir;

const ZNODES: u64 = 100_000;
const SLICE_BYTES: usize = 256 << 10;

fn file_system() -> Arc<dyn FileSystem> {
    Arc::new(RealFileSystem)
}

fn log_at(dir: &Path) -> TxnLog {
    let options = TxnLogOptions { prealloc_size_bytes: 64 << 20, size_limit_bytes: None, force_sync: true };
    TxnLog::new(file_system(), dir.to_path_buf(), options, Zxid::ZERO)
}

fn log(c: &mut Criterion) {
    let folder = TempDir::new().expect("a temporary directory");
    let mut log = log_at(folder.path());
    let payload = world::set_txn("/f77/k77777", 1);
    let mut zxid = Zxid::ZERO;
    let mut group = c.benchmark_group("log");
    for batch in [1, 500] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("encode and commit {batch}, one fdatasync"), |b| {
            b.iter(|| {
                for _ in 0..batch {
                    zxid = zxid.next();
                    log.append(zxid, black_box(&payload)).expect("the log takes it");
                }
                log.commit().expect("the disk takes it")
            });
        });
    }
    group.finish();
}

fn write_snapshot(tree: &mut DataTree, dir: &Path) {
    let mut out = Vec::with_capacity(SLICE_BYTES * 2);
    let start = tree.begin_snapshot(&[], &mut out);
    let mut writer = SnapshotWriter::new(file_system(), dir, start.zxid, Compression::None).expect("the directory can be written");
    loop {
        let more = tree.continue_snapshot(&start.walk, SLICE_BYTES, &mut out) == Walked::More;
        writer.write(&out).expect("the disk takes it");
        out.clear();
        if !more {
            break;
        }
    }
    tree.end_snapshot(&start.walk);
    let digest = Some((start.zxid, DIGEST_VERSION, start.digest as i64));
    writer.finish(Sections { digest, last_zxid: Some(start.zxid) }).expect("the disk takes it");
}

/// Reads a data directory as a start does, and checks that it found everything.
fn start_from(dir: &Path, tree_before: &DataTree) {
    let options = RecoveryOptions { snap_dir: dir.to_path_buf(), log_dir: dir.to_path_buf(), trust_empty: true };
    let mut target = Target(Restored::new(world::SEED, OwnerRules::default(), true));
    recover(&file_system(), &options, &mut target).expect("the directory is sound");
    let (tree, _) = target.0.finish();
    assert_eq!((tree.node_count(), tree.digest()), (tree_before.node_count(), tree_before.digest()), "the same tree");
}

fn snapshot(c: &mut Criterion) {
    let folder = TempDir::new().expect("a temporary directory");
    let mut tree = world::tree(ZNODES);
    let mut group = c.benchmark_group("snapshot");
    group.sample_size(10).measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(ZNODES));
    group.bench_function("write 100000", |b| b.iter(|| write_snapshot(&mut tree, folder.path())));
    group.bench_function("load 100000", |b| b.iter(|| start_from(folder.path(), &tree)));
    group.finish();
}

fn recovery(c: &mut Criterion) {
    let folder = TempDir::new().expect("a temporary directory");
    let mut log = log_at(folder.path());
    for (payload, zxid) in world::txns(ZNODES).zip(1..) {
        log.append(Zxid(zxid), &payload).expect("the log takes it");
        if zxid % 1_000 == 0 {
            log.commit().expect("the disk takes it");
        }
    }
    log.commit().expect("the disk takes it");
    let tree = world::tree(ZNODES);
    let mut group = c.benchmark_group("recovery");
    group.sample_size(10).measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(ZNODES));
    group.bench_function("replay a log of 100000", |b| b.iter(|| start_from(folder.path(), &tree)));
    group.finish();
}

criterion_group!(benches, log, snapshot, recovery);
criterion_main!(benches);
