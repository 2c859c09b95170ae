//! Requests to answers and to txns: the whole way of a read inside its lock, and the checks of a write.

mod world;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use paddock::ids::{SessionId, Zxid};
use paddock::proto::op_code::OpCode;
use paddock::request::decode::decode;
use paddock::request::overlay::Overlay;
use paddock::request::prepare::{Prepare, WriteRules};
use paddock::request::read::ReadContext;
use paddock::tree::acl::Identity;
use paddock::tree::watch::{WatchAccess, WatchTable};

const ZNODES: u64 = 100_000;
const SESSION: SessionId = SessionId(0x100);

fn read(c: &mut Criterion) {
    let tree = world::tree(ZNODES);
    let mut watches = WatchTable::new(world::SEED);
    let identities = [Identity::new("ip", "127.0.0.1")];
    let mut group = c.benchmark_group("read");
    let bodies: Vec<Vec<u8>> = (0..1_024).map(|step| world::get_request(&world::path(world::scattered(step, ZNODES)))).collect();
    let folder = vec![world::get_request("/f7")];
    for (name, op, bodies) in [
        ("getData", OpCode::GET_DATA, &bodies),
        ("exists", OpCode::EXISTS, &bodies),
        ("getChildren of 1000", OpCode::GET_CHILDREN, &folder),
    ] {
        let mut out = Vec::with_capacity(64 << 10);
        let mut step = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                step = (step + 1) % bodies.len();
                let mut context = ReadContext::new(&tree, WatchAccess::Held(&mut watches), (1, SESSION), &identities, false);
                context.answer(1, op, black_box(&bodies[step]), &mut out)
            });
        });
    }
    group.finish();
}

fn prepare(c: &mut Criterion) {
    let tree = world::tree(ZNODES);
    let rules = WriteRules::default();
    let identities = [Identity::new("ip", "127.0.0.1")];
    let mut overlay = Overlay::new(world::SEED, tree.digest());
    let mut zxid = tree.last_zxid();
    let paths: Vec<String> = (0..10).map(|step| world::path(world::scattered(step, ZNODES))).collect();
    let cases = [
        ("create", OpCode::CREATE, world::create_request("/f7/new")),
        ("setData", OpCode::SET_DATA, world::set_request(&paths[0])),
        ("multi of 10 setData", OpCode::MULTI, world::multi_request(&paths)),
    ];
    let mut group = c.benchmark_group("prepare");
    for (name, op, body) in &cases {
        group.bench_function(*name, |b| {
            b.iter(|| {
                zxid = zxid.next();
                let write = decode(*op, black_box(body)).expect("the body is whole");
                let mut prepare = Prepare {
                    tree: &tree,
                    overlay: &mut overlay,
                    rules: &rules,
                    zxid,
                    time_ms: 1,
                    session: SESSION,
                    identities: &identities,
                    may_own_ephemerals: Ok(()),
                    acl_bytes_left: 1 << 20,
                };
                let is_prepared = prepare.write(write).is_ok();
                // As after its apply: nothing stays pending.
                overlay.applied(zxid, tree.digest());
                assert!(is_prepared, "{name} is accepted");
            });
        });
    }
    assert!(zxid > Zxid::ZERO, "something was prepared");
    group.finish();
}

criterion_group!(benches, read, prepare);
criterion_main!(benches);
