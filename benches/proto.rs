//! Bytes into records and back: what every request and every reply pays.

mod world;

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jute::{Decode, Encode, Reader};
use paddock::ids::Zxid;
use paddock::proto::error_code::ErrorCode;
use paddock::proto::records::client::{GetChildrenResponse, GetDataRequest, GetDataResponse};
use paddock::proto::records::data::Stat;
use paddock::proto::reply::encode_frame;
use paddock::proto::txn::Txn;

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let body = world::get_request(&world::path(77_777));
    group.bench_function("getData request", |b| b.iter(|| GetDataRequest::decode(&mut Reader::new(black_box(&body))).is_ok()));
    let payload = world::create_txn(&world::path(77_777), 9);
    group.bench_function("create txn", |b| b.iter(|| Txn::decode(black_box(&payload)).is_ok()));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    let mut out = Vec::with_capacity(64 << 10);
    let data = GetDataResponse { data: Some(Cow::Borrowed(&world::DATA)), stat: Stat::default() };
    group.bench_function("getData reply, 100 bytes", |b| {
        b.iter(|| {
            out.clear();
            encode_frame(&mut out, 1, Zxid(2), ErrorCode::OK, |out| black_box(&data).encode(out));
            out.len()
        });
    });
    let names = (0..1_000).map(|number| Some(Cow::Owned(format!("k{number}")))).collect();
    let children = GetChildrenResponse { children: Some(names) };
    group.bench_function("getChildren reply, 1000 names", |b| {
        b.iter(|| {
            out.clear();
            encode_frame(&mut out, 1, Zxid(2), ErrorCode::OK, |out| black_box(&children).encode(out));
            out.len()
        });
    });
    group.bench_function("create txn", |b| b.iter(|| world::create_txn(black_box("/f77/k77777"), 9).len()));
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
