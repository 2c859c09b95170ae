//! The seeds of the corpus, made by code: every record, every op code, every type of txn, every form of snapshot, every key.

use bytes::Bytes;
use jute::Encode;
use paddock::config::HostPort;
use paddock::ids::{Epoch, ServerId, SessionId, Zxid};
use paddock::net::peers::{Greeting, notification_frame};
use paddock::proto::op_code::OpCode;
use paddock::proto::records::client as records;
use paddock::proto::records::txn as txns;
use paddock::proto::txn::{self, Body, TxnDigest, TxnHeader};
use paddock::storage::Compression;
use paddock::zab::{Introduction, Notification, Packet, Rider, RiderKind, ServerState, Vote};

use crate::check::{create, multi, open_acl, set_data};
use crate::requests::{OPS, small_tree};
use crate::{log, snapshot, stream};

/// One seed: target, name and bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// All of them.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for which in 0..crate::records::COUNT {
        for (name, fill) in [("zeros", [0; 4]), ("ones", [0, 0, 0, 1])] {
            let bytes = std::iter::once(which as u8).chain(fill.into_iter().cycle().take(96)).collect();
            seeds.push(("records", format!("{which}-{name}"), bytes));
        }
    }
    seeds.extend(requests().into_iter().map(|(name, bytes)| ("requests", name, bytes)));
    let payloads = blocks(&payloads());
    seeds.push(("txns", "all".to_owned(), payloads.clone()));
    seeds.extend(self::payloads().into_iter().enumerate().map(|(index, payload)| ("txns", format!("{index}"), blocks(&[payload]))));
    seeds.push(("log", "framed".to_owned(), [&[1], payloads.as_slice()].concat()));
    let file = log::framed(&payloads);
    seeds.push(("log", "torn".to_owned(), [&[0], &file[..file.len() - 7]].concat()));
    seeds.push(("log", "padded".to_owned(), [&[0], file.as_slice(), &[0; 64]].concat()));
    seeds.extend(snapshots());
    let stream = stream::sound();
    seeds.push(("stream", "sound".to_owned(), [&[4], stream.as_slice()].concat()));
    seeds.push(("stream", "packets".to_owned(), [&[255], stream.as_slice(), &[0, 0, 0, 10, 0, 0]].concat()));
    seeds.push(("stream", "cut".to_owned(), [&[0], &stream[..stream.len() - 9]].concat()));
    seeds.extend(configs().into_iter().enumerate().map(|(index, text)| ("config", format!("{index}"), text)));
    seeds.extend(
        texts()
            .into_iter()
            .enumerate()
            .map(|(index, (which, text))| ("texts", format!("{which}-{index}"), [&[which], text.as_bytes()].concat())),
    );
    seeds.extend(peers().into_iter().enumerate().map(|(index, bytes)| ("peers", format!("{index}"), bytes)));
    for (target, length) in [("replica", 900), ("server", 400)] {
        seeds.extend((0..24).map(|seed| (target, format!("{seed}"), noise(seed, length))));
    }
    seeds
}

/// The same bytes for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn blocks(payloads: &[Vec<u8>]) -> Vec<u8> {
    payloads.iter().flat_map(|payload| [&(payload.len() as u16).to_be_bytes(), payload.as_slice()].concat()).collect()
}

fn requests() -> Vec<(String, Vec<u8>)> {
    let path = || Some("/a/b".into());
    let list = || Some(vec![path(), Some("/gone".into())]);
    let get = records::GetDataRequest { path: path(), watch: true }.to_vec();
    let set_watches = records::SetWatches { relative_zxid: 3, data_watches: list(), exist_watches: list(), child_watches: list() }.to_vec();
    let set_watches2 = [set_watches.clone(), list().to_vec(), list().to_vec()].concat();
    let ttl = |flags| records::CreateTtlRequest { path: Some("/t".into()), data: None, acl: open_acl(), flags, ttl: 900 }.to_vec();
    let body = |op: i32| match op {
        1 | 15 => create("/a/new", b"data", 2),
        19 => create("/box", b"", 4),
        21 => ttl(5),
        2 => records::DeleteRequest { path: Some("/a/b/c".into()), version: -1 }.to_vec(),
        3 | 4 | 8 | 12 => get.clone(),
        5 => set_data("/q", b"some data"),
        6 => records::GetAclRequest { path: path() }.to_vec(),
        7 => records::SetAclRequest { path: path(), acl: open_acl(), version: 0 }.to_vec(),
        14 => multi(&[
            (1, create("/m", b"", 0)),
            (13, records::CheckVersionRequest { path: path(), version: 0 }.to_vec()),
            (5, set_data("/m", b"x")),
            (2, records::DeleteRequest { path: Some("/m".into()), version: 1 }.to_vec()),
            (21, ttl(6)),
        ]),
        17 | 18 => records::CheckWatchesRequest { path: path(), type_: 3 }.to_vec(),
        22 => multi(&[(4, get.clone()), (8, get.clone())]),
        101 => set_watches.clone(),
        105 => set_watches2.clone(),
        106 => records::AddWatchRequest { path: path(), mode: 1 }.to_vec(),
        100 => records::AuthPacket { type_: 0, scheme: Some("digest".into()), auth: Some(b"u:p".as_slice().into()) }.to_vec(),
        9 | 103 | 104 => records::SyncRequest { path: path() }.to_vec(),
        _ => vec![0; 8],
    };
    let named = |(index, &op): (usize, &i32)| (format!("op{op}"), [vec![index as u8], body(op)].concat());
    let mut requests: Vec<_> = OPS.iter().enumerate().map(named).collect();
    requests.push(("handshake".to_owned(), [vec![0xff], vec![0; 24], 16_u32.to_be_bytes().to_vec(), vec![0; 17]].concat()));
    requests
}

fn payloads() -> Vec<Vec<u8>> {
    let path = || Some("/n".into());
    let data = || Some(b"d".as_slice().into());
    let create = || txns::CreateTxn { path: path(), data: data(), acl: open_acl(), ephemeral: true, parent_c_version: 3 };
    let container = txns::CreateContainerTxn { path: Some("/c".into()), data: data(), acl: open_acl(), parent_c_version: -1 };
    let ttl = txns::CreateTtlTxn { path: Some("/t".into()), data: data(), acl: open_acl(), parent_c_version: 9, ttl: 70 };
    let delete = || Body::Delete(txns::DeleteTxn { path: Some("/a/b".into()) });
    let bodies = vec![
        (OpCode::CREATE_SESSION, Body::CreateSession(txns::CreateSessionTxn { time_out: 9000 })),
        (OpCode::CREATE, Body::Create(create())),
        (OpCode::CREATE_CONTAINER, Body::CreateContainer(container)),
        (OpCode::CREATE_TTL, Body::CreateTtl(ttl)),
        (OpCode::SET_DATA, Body::SetData(txns::SetDataTxn { path: path(), data: None, version: 1 })),
        (OpCode::SET_ACL, Body::SetAcl(txns::SetAclTxn { path: path(), acl: open_acl(), version: 1 })),
        (OpCode::MULTI, Body::Multi(vec![(OpCode::DELETE, delete()), (OpCode::CREATE, Body::Create(create()))])),
        (OpCode::ERROR, Body::Error(txns::ErrorTxn { err: -101 })),
        (OpCode::DELETE, delete()),
        (OpCode::CLOSE_SESSION, Body::CloseSession(Some(txns::CloseSessionTxn { paths2_delete: Some(vec![path()]) }))),
        (OpCode::CLOSE_SESSION, Body::CloseSession(None)),
    ];
    let encode = |(index, (kind, body)): (usize, &(OpCode, Body<'_>))| {
        let header = TxnHeader { client_id: 5, cxid: 1, zxid: index as i64 + 1, time: 1000, type_: kind.0 };
        let digest = (index % 2 == 0).then_some(TxnDigest { version: 2, tree_digest: 1 });
        txn::encode(&header, body, digest)
    };
    bodies.iter().enumerate().map(encode).collect()
}

/// Every form of a greeting and of a vote, and every packet, each with an odd division.
fn peers() -> Vec<Vec<u8>> {
    let at = |host: &str, port| HostPort { host: host.to_owned(), port };
    let greeting = Greeting { sid: ServerId(2), addresses: vec![at("10.0.0.2", 3888), at("fe80::1", 3888), at("0.0.0.0", 1)] };
    let vote = Vote { leader: ServerId(3), zxid: Zxid(0x1_0000_0005), peer_epoch: Epoch(1) };
    let config = Some(Bytes::from_static(b"server.1=a:1:2:participant\nversion=0"));
    let vote = notification_frame(&Notification { state: ServerState::Leading, vote, election_epoch: 2, version: 2, config });
    let older = |length: usize| [&(length as i32).to_be_bytes()[..], &vote[4..4 + length]].concat();
    let (mut learner, mut leader) = (Vec::new(), Vec::new());
    packets_of_a_learner().iter().for_each(|packet| packet.encode(&mut learner));
    packets_of_a_leader().iter().for_each(|packet| packet.encode(&mut leader));
    vec![
        [vec![0, 0], greeting.encode(false)].concat(),
        [vec![0, 0], greeting.encode(true)].concat(),
        [vec![0, 0], 7_i64.to_be_bytes().to_vec()].concat(),
        [vec![1, 0], vote.to_vec(), vote.to_vec()].concat(),
        [vec![1, 6], older(28), older(40), older(20)].concat(),
        [vec![2, 4], learner].concat(),
        [vec![2, 255], leader].concat(),
    ]
}

fn packets_of_a_learner() -> Vec<Packet> {
    let info =
        Introduction { accepted_epoch: Epoch(4), sid: Some(ServerId(2)), config_version: 0, is_paddock: true, serves_observers: false };
    let rider =
        |kind| Rider { kind, zxid: Zxid(-1), data: Some(Bytes::from_static(&[7; 20])), authinfo: Some(vec![("ip".into(), "::1".into())]) };
    vec![
        Packet::FollowerInfo(info),
        Packet::ObserverInfo(Introduction { is_paddock: false, ..info }),
        Packet::AckEpoch { last_zxid: Zxid(9), current_epoch: Some(Epoch(3)) },
        Packet::AckEpoch { last_zxid: Zxid(9), current_epoch: None },
        Packet::Ack { zxid: Zxid(9) },
        Packet::Rider(rider(RiderKind::Request)),
        Packet::Rider(rider(RiderKind::Revalidate)),
    ]
}

fn packets_of_a_leader() -> Vec<Packet> {
    let (zxid, payload, designated_leader) = (Zxid(0x4_0000_0001), Bytes::from_static(b"txn"), ServerId(2));
    let rider = |kind| Packet::Rider(Rider { kind, zxid, data: None, authinfo: None });
    vec![
        Packet::LeaderInfo { epoch: Epoch(4), version: 0x1_0000, is_paddock: true },
        Packet::Diff { zxid },
        Packet::Trunc { zxid },
        Packet::Snap { zxid },
        Packet::NewLeader { epoch: Epoch(4), config: Some(payload.clone()) },
        Packet::UpToDate,
        Packet::Proposal { zxid, payload: payload.clone() },
        Packet::Commit { zxid },
        Packet::Inform { zxid, payload: payload.clone() },
        Packet::CommitAndActivate { zxid, designated_leader },
        Packet::InformAndActivate { zxid, designated_leader, payload },
        rider(RiderKind::Ping),
        rider(RiderKind::Sync),
        Packet::Unknown { type_code: 99, zxid, data: None },
    ]
}

fn snapshots() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (index, codec) in [Compression::None, Compression::Gzip, Compression::Snappy].into_iter().enumerate() {
        let (fs, path) = snapshot::written(small_tree(), &[(SessionId(0x0100_0000_0000_0055), 9000)], codec);
        let mut file = vec![index as u8];
        let length = fs.len(&path).expect("it was written") as usize;
        file.resize(length + 1, 0);
        fs.open(&path).expect("it was written").read_at(&mut file[1..], 0).expect("memory is readable");
        if codec == Compression::None {
            // Without header, seals and sections it is a body to be sealed.
            let body = [&[0x81], &file[17..file.len() - (13 * 3 + 20 + 8)]].concat();
            seeds.push(("snapshot", "body".to_owned(), body));
        }
        seeds.push(("snapshot", format!("{index}"), file));
    }
    seeds
}

fn configs() -> Vec<Vec<u8>> {
    let plain = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/var/lib/zookeeper\nclientPort=2181\nmaxClientCnxns=60\n\
        autopurge.snapRetainCount=3\nautopurge.purgeInterval=1\n4lw.commands.whitelist=*\n# comment\n! comment\n";
    let ensemble = "dataDir = /d\nclientPort:2181\nserver.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=[::1]:2888:3888|b:1:2;2181\n\
        server.3=c:2888:3888:observer\ngroup.1=1:2\nweight.1=1\nweight.2=0\nreconfigEnabled=true\nstandaloneEnabled=false\n";
    let odd = "dataDir=\\u002fx\\\n  /y\nclientPort=21\\\n81\nsnapshot.compression.method=gz\njute.maxbuffer=4194304\nforceSync=no\n\
        enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl\nDigestAuthenticationProvider.superDigest=super:x\n\
        connection_throttle_tokens=5\nrequestThrottleLimit=9\nextendedTypesEnabled=true\nsecureClientPort=2281\nssl.quorum.x=y\n";
    let dynamic = "server.1=h:1:2;3\nserver.2=h2:1:2:observer;[::]:3\nversion=100000000\n";
    let flags = [b"-Xmx1g -Dzookeeper.snapCount=7 '-Djute.maxbuffer=9' -Dzookeeper.\"skipACL\"=yes\xff".as_slice(), plain.as_bytes()];
    vec![plain.into(), ensemble.into(), odd.into(), dynamic.into(), flags.concat()]
}

fn texts() -> Vec<(u8, &'static str)> {
    vec![
        (0, "/a/b/c"),
        (0, "/a/../b"),
        (0, "/\u{e000}"),
        (1, "count=5,bytes=-1=;byteHardLimit=1000;countHardLimit=7"),
        (1, "count=1,bytes=9999999999999999999999"),
        (2, "10.0.0.0/8\n10.1.2.3"),
        (2, "fe80::/10\nfe80::1"),
        (3, "server.1=a:2888:3888:participant;0.0.0.0:2181\ngroup.1=1:2\nweight.1=3"),
        (3, "a:1:2|[::1]:3:4:observer;[::]:5"),
        (4, "ruok"),
        (4, "stmk12345678"),
        (4, "ruok, stat,*"),
        (5, "digestuser:password"),
    ]
}
