//! What the clients of the simulated ensemble ask for: writes, alone or as parts of a multi, and reads.

use std::collections::BTreeSet;

use jute::{Decode, Encode, Reader};
use paddock::proto::error_code::ErrorCode;
use paddock::proto::op_code::OpCode;
use paddock::proto::records::client as requests;
use paddock::proto::records::data::{Acl, Id};

use crate::random::Random;

/// Znodes that all clients create, change, delete and watch.
const SHARED: [&str; 4] = ["/w0", "/w1", "/w2", "/w3"];
/// Shows the members of the ensemble.
pub const CONFIG: &str = "/zookeeper/config";
/// Length, xid, zxid and error code of a reply.
const HEADER_BYTES: usize = 20;

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Create {
        path: String,
        flags: i32,
    },
    Delete {
        path: String,
    },
    Set {
        path: String,
        data: Vec<u8>,
    },
    Check {
        path: String,
        version: i32,
    },
    /// Other members of the ensemble; never in a multi.
    Reconfig {
        members: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    Data,
    Exists,
    Children,
}

/// A read, and whether it sets a watch.
#[derive(Clone, Debug)]
pub struct Read {
    pub query: Query,
    pub path: String,
    pub watch: bool,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Nothing,
    Data(Vec<u8>, i32),
    Version(i32),
    Children(BTreeSet<String>),
}

pub fn is_ephemeral(flags: i32) -> bool {
    flags & 1 != 0
}

pub fn is_sequential(flags: i32) -> bool {
    flags & 2 != 0
}

impl Part {
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. } | Self::Delete { path } | Self::Set { path, .. } | Self::Check { path, .. } => path,
            Self::Reconfig { .. } => CONFIG,
        }
    }

    fn encode(&self) -> (OpCode, Vec<u8>) {
        let path = Some(self.path().into());
        match self {
            Self::Create { flags, .. } => {
                let anyone = Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
                let create = requests::CreateRequest { path, data: None, acl: Some(vec![anyone]), flags: *flags };
                (OpCode::CREATE, create.to_vec())
            }
            Self::Delete { .. } => (OpCode::DELETE, requests::DeleteRequest { path, version: -1 }.to_vec()),
            Self::Set { data, .. } => {
                let data = Some(data.as_slice().into());
                (OpCode::SET_DATA, requests::SetDataRequest { path, data, version: -1 }.to_vec())
            }
            Self::Check { version, .. } => (OpCode::CHECK, requests::CheckVersionRequest { path, version: *version }.to_vec()),
            Self::Reconfig { members } => {
                let new_members = Some(members.as_str().into());
                let body = requests::ReconfigRequest { joining_servers: None, leaving_servers: None, new_members, cur_config_id: -1 };
                (OpCode::RECONFIG, body.to_vec())
            }
        }
    }
}

/// One part is an ordinary write, several are a multi.
pub fn encode(parts: &[Part]) -> (OpCode, Vec<u8>) {
    if let [part] = parts {
        return part.encode();
    }
    let mut body = Vec::new();
    for part in parts {
        let (op, record) = part.encode();
        requests::MultiHeader { type_: op.0, done: false, err: -1 }.encode(&mut body);
        body.extend(record);
    }
    requests::MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut body);
    (OpCode::MULTI, body)
}

fn shared(random: &mut Random) -> String {
    random.pick(&SHARED).expect("there are some").to_owned()
}

/// Any write. `number` is in no name so far.
pub fn write(random: &mut Random, number: u64) -> Vec<Part> {
    let is_ephemeral = random.chance(30);
    let flags = i32::from(is_ephemeral);
    let kind = if is_ephemeral { 'e' } else { 'p' };
    let create = |path: String, flags| vec![Part::Create { path, flags }];
    match random.between(0, 99) {
        0..30 => create(format!("/{kind}{number}"), flags),
        30..45 => create(format!("{}q", if random.chance(70) { format!("/{kind}") } else { format!("{}/", shared(random)) }), flags | 2),
        45..58 => create(shared(random), i32::from(random.chance(20))),
        58..64 => create(format!("{}/c{number}", shared(random)), 0),
        64..72 => vec![Part::Delete { path: shared(random) }],
        72..85 => vec![Part::Set { path: shared(random), data: number.to_be_bytes().into() }],
        _ => multi(random, number),
    }
}

/// Its parts are of different paths, and all of them are judged by what was there before.
fn multi(random: &mut Random, number: u64) -> Vec<Part> {
    let data = number.to_be_bytes();
    let mut parts = if random.chance(50) {
        ["a", "b"].map(|end| Part::Create { path: format!("/m{number}{end}"), flags: 0 }).to_vec()
    } else {
        SHARED[..2].iter().map(|path| Part::Set { path: (*path).to_owned(), data: data.into() }).collect()
    };
    if random.chance(60) {
        let at = random.between(0, parts.len() as i64) as usize;
        parts.insert(at, Part::Check { path: "/w2".into(), version: random.between(-1, 2) as i32 });
    }
    parts
}

/// Any read.
pub fn read(random: &mut Random) -> Read {
    let query = random.pick(&[Query::Data, Query::Exists, Query::Children]).expect("there are some");
    let path = if random.chance(15) { "/".into() } else { shared(random) };
    Read { query, path, watch: random.chance(60) }
}

impl Read {
    pub fn encode(&self) -> (OpCode, Vec<u8>) {
        let (path, watch) = (Some(self.path.as_str().into()), self.watch);
        match self.query {
            Query::Data => (OpCode::GET_DATA, requests::GetDataRequest { path, watch }.to_vec()),
            Query::Exists => (OpCode::EXISTS, requests::ExistsRequest { path, watch }.to_vec()),
            Query::Children => (OpCode::GET_CHILDREN, requests::GetChildrenRequest { path, watch }.to_vec()),
        }
    }

    /// What the frame of the reply says.
    pub fn decode(&self, frame: &[u8]) -> Found {
        let (header, body) = frame.split_at(HEADER_BYTES);
        let error = i32::from_be_bytes(*header.last_chunk().expect("a header"));
        if ErrorCode(error) == ErrorCode::NO_NODE {
            return Found::Nothing;
        }
        assert_eq!(error, 0, "a read of {} fails", self.path);
        let mut reader = Reader::new(body);
        match self.query {
            Query::Data => {
                let reply = requests::GetDataResponse::decode(&mut reader).expect("data");
                Found::Data(reply.data.unwrap_or_default().into_owned(), reply.stat.version)
            }
            Query::Exists => Found::Version(requests::ExistsResponse::decode(&mut reader).expect("a stat").stat.version),
            Query::Children => {
                let reply = requests::GetChildrenResponse::decode(&mut reader).expect("names");
                let names = reply.children.unwrap_or_default().into_iter().flatten();
                Found::Children(names.filter(|name| name != "zookeeper").map(Into::into).collect())
            }
        }
    }
}
