//! Random numbers from a seed that is printed (splitmix64), and random writes as clients send them.

use jute::Encode;
use paddock::proto::op_code::OpCode;
use paddock::proto::records::client as records;
use paddock::proto::records::data::{Acl, Id};

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

const PATHS: [&str; 12] = [
    "/a",
    "/b",
    "/a/x",
    "/a/y",
    "/b/x",
    "/a/x/1",
    "/a/x/2",
    "/c",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/d/é",
    "/d",
];

fn acl(random: &mut Random) -> Option<Vec<Acl<'static>>> {
    let entry = |perms, scheme: &'static str, id: &'static str| Acl { perms, id: Id { scheme: Some(scheme.into()), id: Some(id.into()) } };
    let mut list = vec![entry(31, "world", "anyone")];
    if random.once_in(4) {
        list.push(entry(random.below(32) as i32, "ip", random.one_of(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])));
    }
    Some(list)
}

/// Mostly small; now and then over several sectors, now and then null.
fn data(random: &mut Random) -> Option<std::borrow::Cow<'static, [u8]>> {
    let len = match random.below(12) {
        0 => return None,
        1 => 300 + random.below(1500),
        _ => random.below(24),
    };
    let byte = random.number() as u8;
    Some(vec![byte; len as usize].into())
}

fn path(random: &mut Random) -> Option<std::borrow::Cow<'static, str>> {
    Some(random.one_of(&PATHS).into())
}

fn create(random: &mut Random) -> (OpCode, Vec<u8>) {
    let (path, data, acl) = (path(random), data(random), acl(random));
    match random.below(8) {
        0 => (OpCode::CREATE_CONTAINER, records::CreateRequest { path, data, acl, flags: 4 }.to_vec()),
        1 => (OpCode::CREATE_TTL, records::CreateTtlRequest { path, data, acl, flags: 5, ttl: 1000 }.to_vec()),
        kind => {
            let op = if kind < 5 { OpCode::CREATE } else { OpCode::CREATE2 };
            (op, records::CreateRequest { path, data, acl, flags: random.below(4) as i32 }.to_vec())
        }
    }
}

fn version(random: &mut Random) -> i32 {
    if random.once_in(4) { random.below(3) as i32 } else { -1 }
}

fn single(random: &mut Random) -> (OpCode, Vec<u8>) {
    match random.below(10) {
        0..=4 => create(random),
        5 => (OpCode::DELETE, records::DeleteRequest { path: path(random), version: version(random) }.to_vec()),
        6 => (OpCode::SET_ACL, records::SetAclRequest { path: path(random), acl: acl(random), version: version(random) }.to_vec()),
        _ => (OpCode::SET_DATA, records::SetDataRequest { path: path(random), data: data(random), version: version(random) }.to_vec()),
    }
}

fn multi(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..=random.below(3) {
        let (op, body) = match random.below(6) {
            0 => (OpCode::CHECK, records::CheckVersionRequest { path: path(random), version: -1 }.to_vec()),
            1 => (OpCode::DELETE, records::DeleteRequest { path: path(random), version: -1 }.to_vec()),
            2 => (OpCode::SET_DATA, records::SetDataRequest { path: path(random), data: data(random), version: -1 }.to_vec()),
            _ => {
                let request =
                    records::CreateRequest { path: path(random), data: data(random), acl: acl(random), flags: random.below(4) as i32 };
                (OpCode::CREATE, request.to_vec())
            }
        };
        records::MultiHeader { type_: op.0, done: false, err: -1 }.encode(&mut out);
        out.extend_from_slice(&body);
    }
    records::MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut out);
    out
}

/// A write of a client: its op and its body.
pub fn write(random: &mut Random) -> (OpCode, Vec<u8>) {
    match random.below(12) {
        0 | 1 => (OpCode::MULTI, multi(random)),
        2 if random.once_in(6) => (OpCode::SET_DATA, vec![0xff; 3]),
        _ => single(random),
    }
}
