//! The tree: look-up, create, set, digest, and the firing of watches, over the size of the tree where that matters.

mod world;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use paddock::tree::digest::{node_digest, prefix_crc};
use paddock::tree::stat::StatFields;
use paddock::tree::watch::{EventType, WatchTable, modes};

/// Paths in each round, so that the caches do not hold the one that is asked for.
const PATHS: u64 = 4_096;

fn look_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("look-up");
    for count in [1_000, 100_000, 1_000_000] {
        let tree = world::tree(count);
        let paths: Vec<String> = (0..PATHS).map(|step| world::path(world::scattered(step, count))).collect();
        let mut step = 0;
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                step = (step + 1) % paths.len();
                tree.find(black_box(&paths[step])).is_some()
            });
        });
    }
    group.finish();
}

fn create(c: &mut Criterion) {
    const COUNT: u64 = 10_000;
    let payloads: Vec<Vec<u8>> = world::txns(COUNT).collect();
    let mut group = c.benchmark_group("create");
    group.sample_size(20).throughput(Throughput::Elements(payloads.len() as u64));
    group.bench_function("10000 into an empty tree", |b| {
        let build = |mut tree| {
            payloads.iter().for_each(|payload| world::apply(&mut tree, payload));
            tree
        };
        b.iter_batched(world::empty_tree, build, BatchSize::LargeInput);
    });
    group.finish();
}

fn apply(c: &mut Criterion) {
    const COUNT: u64 = 100_000;
    let mut tree = world::tree(COUNT);
    let zxid = tree.last_zxid().0;
    let payloads: Vec<Vec<u8>> = (0..PATHS).map(|step| world::set_txn(&world::path(world::scattered(step, COUNT)), zxid)).collect();
    let mut step = 0;
    c.bench_function("apply/setData", |b| {
        b.iter(|| {
            step = (step + 1) % payloads.len();
            world::apply(&mut tree, black_box(&payloads[step]));
        });
    });
}

fn digest(c: &mut Criterion) {
    let mut group = c.benchmark_group("digest");
    group.bench_function("path and 100 bytes", |b| b.iter(|| prefix_crc(black_box("/f77/k77777"), black_box(Some(&world::DATA[..])))));
    let stat = StatFields::default();
    group.bench_function("stat", |b| b.iter(|| node_digest(black_box(77), black_box(&stat))));
    group.finish();
}

fn watch_fire(c: &mut Criterion) {
    let mut group = c.benchmark_group("watch fire");
    let mut table = WatchTable::new(world::SEED);
    (0..100_000).for_each(|number| table.add(number as u32, &world::path(number), modes::DATA));
    group.bench_function("nobody watches, beside 100000 watches", |b| {
        b.iter(|| table.fire(EventType::NodeDataChanged, black_box("/f7/other"), |_| panic!("nobody watches")));
    });
    for watchers in [1, 1_000] {
        group.throughput(Throughput::Elements(watchers));
        group.bench_function(BenchmarkId::new("set and fire", watchers), |b| {
            b.iter(|| {
                (0..watchers as u32).for_each(|watcher| table.add(watcher, "/f7/one", modes::DATA));
                let mut told = 0;
                table.fire(EventType::NodeDataChanged, black_box("/f7/one"), |_| told += 1);
                assert_eq!(told, watchers, "every watcher is told once");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, look_up, create, apply, digest, watch_fire);
criterion_main!(benches);
