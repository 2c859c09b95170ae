//! One replica without sockets: sessions open, write, resume, expire and close in any order, the disk is as slow as the bytes say,
//! a snapshot is taken meanwhile. In the end the tree adds up, every request was answered in its order, and the log, with and
//! without the snapshot, gives the same tree.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use jute::Encode;
use paddock::ids::{ConnectionId, SessionId, Zxid};
use paddock::proto::op_code::OpCode;
use paddock::proto::password;
use paddock::proto::records::client as records;
use paddock::replica::{Effects, Input, LocalSessions, Now, Replica, ReplicaSettings, Request, Shared, View};
use paddock::request::prepare::WriteRules;
use paddock::request::reply::encode_body;
use paddock::session::SessionCell;
use paddock::storage::Compression;
use paddock::tree::acl::{AclList, Identity};
use paddock::tree::apply::Applied;
use paddock::tree::data_tree::DataTree;
use paddock::tree::snapshot_walk::WalkId;
use paddock::tree::watch::{EventType, Watcher, modes};
use paddock::zab;

use crate::check::{create, multi, open_acl, set_data, tree};
use crate::choices::Choices;
use crate::restore::{RULES, SEED, Target};
use crate::snapshot::{load, sealed, slice};

/// Most inputs of a scenario: longer ones find nothing that these do not, only later.
const STEPS_MAX: usize = 4_000;

const PATHS: [&str; 16] = [
    "/a",
    "/b",
    "/a/b",
    "/a/c",
    "/a/b/c",
    "/b/",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper",
    "/zookeeper/config",
    "/",
    "",
    "x",
    "/a/\u{e000}",
    "/c",
];

/// What the replica asked for, and what it owes.
#[derive(Default)]
struct World {
    log: Vec<(Zxid, Bytes)>,
    owed: BTreeMap<ConnectionId, VecDeque<i32>>,
    seen: BTreeMap<ConnectionId, Zxid>,
    open: BTreeMap<ConnectionId, Arc<SessionCell>>,
}

impl World {
    fn close(&mut self, connection: ConnectionId) {
        self.open.remove(&connection);
        self.owed.remove(&connection);
    }
}

impl Effects for World {
    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        assert_eq!(zxid, self.log.last().map_or(Zxid(1), |(last, _)| last.next()), "the log has no gaps");
        self.log.push((zxid, payload));
    }

    fn carry_out(&mut self, output: zab::Output) {
        panic!("a server without an ensemble asks for nothing else: {output:?}");
    }

    fn reply(&mut self, view: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>) {
        encode_body(applied, &mut Vec::new());
        let Some(owed) = self.owed.get_mut(&connection) else { return };
        assert_eq!(owed.pop_front(), Some(xid), "replies come in the order of the requests");
        let zxid = view.tree.last_zxid();
        let seen = self.seen.insert(connection, zxid).unwrap_or(zxid);
        assert!(zxid >= seen, "the zxid of a connection's replies never goes back");
        if *applied == Applied::Session {
            // Its connection ends behind this, as the server's do.
            self.close(connection);
        }
    }

    fn event(&mut self, watchers: &[Watcher], _: Zxid, _: EventType, path: &str, _: &AclList) {
        assert!(!watchers.is_empty() && path.starts_with('/'));
    }

    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>) {
        self.owed.entry(connection).or_default();
        self.open.insert(connection, session);
    }

    fn session_refused(&mut self, connection: ConnectionId) {
        self.close(connection);
    }

    fn close(&mut self, connection: ConnectionId) {
        World::close(self, connection);
    }

    fn session_expired(&mut self, _: &SessionCell) {}

    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64) {
        panic!("the digest at {zxid} was promised as {expected:#x} and is {got:#x}");
    }
}

/// A snapshot under way: its bytes so far.
struct Snapshot {
    walk: WalkId,
    zxid: Zxid,
    digest: u64,
    body: Vec<u8>,
    is_whole: bool,
}

struct Scenario {
    shared: Arc<Shared>,
    replica: Replica,
    world: World,
    waiting: Vec<Input>,
    now: Now,
    next_slot: u32,
    xid: i32,
    persisted: usize,
    snapshot: Option<Snapshot>,
}

fn settings(local_sessions: LocalSessions) -> ReplicaSettings {
    let rules = WriteRules { close_session_txn: true, enforce_quota: true, ..WriteRules::default() };
    ReplicaSettings { server_id: 1, tick_time_ms: 1000, sessions_max: 50, read_only_delay_ms: None, local_sessions, seed: SEED, rules }
}

/// The bytes are the scenario.
pub fn run(data: &[u8]) {
    let shared = Arc::new(Shared::new(DataTree::new(SEED, RULES, true), SEED));
    let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
    // The bytes of the corpus mean what they meant without these.
    let local_sessions = [LocalSessions::Off, LocalSessions::Kept, LocalSessions::Upgraded][data.len() % 3];
    let mut scenario = Scenario {
        replica: Replica::standalone(settings(local_sessions), Arc::clone(&shared), &[], now),
        shared,
        world: World::default(),
        waiting: Vec::new(),
        now,
        next_slot: 0,
        xid: 0,
        persisted: 0,
        snapshot: None,
    };
    let mut choices = Choices::new(data);
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        scenario.step(&mut choices);
    }
    scenario.finish();
}

impl Scenario {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0 => self.open(choices),
            1 => self.resume(choices),
            2 => self.disconnect(choices),
            3 => {
                let ms = i64::from(choices.byte()) * 40;
                self.now = Now { wall_ms: self.now.wall_ms + ms, monotonic_ms: self.now.monotonic_ms + ms };
                self.waiting.push(Input::Tick);
            }
            4 => self.persist(choices),
            5 => self.waiting.push(Input::Reap { path: choices.pick(&PATHS).to_owned() }),
            6 => self.snapshot(choices),
            7 => self.watch(choices),
            8 | 9 => self.turn(),
            _ => self.write(choices),
        }
    }

    fn connection(&mut self) -> ConnectionId {
        self.next_slot += 1;
        ConnectionId { slot: self.next_slot, generation: 0 }
    }

    fn someone(&self, choices: &mut Choices<'_>) -> Option<(ConnectionId, Arc<SessionCell>)> {
        let index = choices.below(self.world.open.len().max(1));
        self.world.open.iter().nth(index).map(|(&connection, session)| (connection, Arc::clone(session)))
    }

    fn open(&mut self, choices: &mut Choices<'_>) {
        let connection = self.connection();
        self.waiting.push(Input::OpenSession {
            connection,
            timeout_ms: 2000 + i32::from(choices.byte()) * 40,
            takes_read_only: choices.byte().is_multiple_of(2),
        });
    }

    fn resume(&mut self, choices: &mut Choices<'_>) {
        let session = self.someone(choices).map_or(SessionId(5), |(_, session)| session.id());
        let mut password = password::generate(session).to_vec();
        if choices.below(4) == 0 {
            password.truncate(choices.below(16));
        }
        let connection = self.connection();
        self.waiting.push(Input::ResumeSession { connection, session, password, timeout_ms: 4000, takes_read_only: false });
    }

    fn disconnect(&mut self, choices: &mut Choices<'_>) {
        if let Some((connection, session)) = self.someone(choices) {
            self.world.close(connection);
            self.shared.watches.lock().remove_watcher(connection.slot);
            self.waiting.push(Input::Disconnected { connection, session: session.id() });
        }
    }

    /// The disk has written some of what it was given.
    fn persist(&mut self, choices: &mut Choices<'_>) {
        let behind = self.world.log.len() - self.persisted;
        self.persisted += behind.min(choices.below(8) + 1);
        if let Some((zxid, _)) = self.persisted.checked_sub(1).and_then(|last| self.world.log.get(last)) {
            self.waiting.push(Input::Zab(zab::Input::Persisted(*zxid)));
        }
    }

    fn turn(&mut self) {
        let inputs = std::mem::take(&mut self.waiting);
        self.replica.handle(self.now, inputs, &mut self.world);
    }

    fn watch(&mut self, choices: &mut Choices<'_>) {
        let mode = choices.pick(&[modes::DATA, modes::CHILD, modes::PERSISTENT, modes::RECURSIVE]);
        let path = choices.pick(&PATHS);
        if let Some((connection, _)) = self.someone(choices) {
            let _tree = self.shared.tree.read();
            self.shared.watches.lock().add(connection.slot, path, mode);
        }
    }

    fn write(&mut self, choices: &mut Choices<'_>) {
        let Some((connection, session)) = self.someone(choices) else { return };
        if session.is_closing() {
            return;
        }
        let (op, body) = request(choices);
        self.xid += 1;
        self.world.owed.entry(connection).or_default().push_back(self.xid);
        let identities = [Identity::new("ip", "127.0.0.1"), Identity::new("digest", "u:h")].into();
        let request = Request { connection, session, xid: self.xid, op: OpCode(op), body: Bytes::from(body), identities };
        self.waiting.push(Input::Request(request));
    }

    fn snapshot(&mut self, choices: &mut Choices<'_>) {
        match &mut self.snapshot {
            Some(snapshot) if !snapshot.is_whole => {
                snapshot.is_whole = slice(&self.shared.tree.read(), &snapshot.walk, choices.below(200) + 1, &mut snapshot.body);
            }
            _ => {
                let sessions: Vec<_> = self.replica.sessions().iter().collect();
                let mut body = Vec::new();
                let start = self.shared.tree.write().begin_snapshot(&sessions, &mut body);
                self.snapshot = Some(Snapshot { walk: start.walk, zxid: start.zxid, digest: start.digest, body, is_whole: false });
            }
        }
    }

    fn finish(mut self) {
        self.turn();
        while let Some(&(zxid, _)) = self.world.log.last()
            && self.replica.outstanding_count() > 0
        {
            self.waiting.push(Input::Zab(zab::Input::Persisted(zxid)));
            self.turn();
        }
        assert!(self.world.owed.values().all(VecDeque::is_empty), "every request is answered: {:?}", self.world.owed);
        let live = self.shared.tree.read();
        tree(&live);
        let sessions: Vec<_> = self.replica.sessions().iter().collect();
        let mut target = Target::default();
        replay(&mut target, &self.world.log, Zxid::ZERO);
        same(target, &live, &sessions);
        drop(live);
        self.check_snapshot(&sessions);
    }

    fn check_snapshot(&mut self, sessions: &[(SessionId, i32)]) {
        let Some(mut snapshot) = self.snapshot.take() else { return };
        while !snapshot.is_whole {
            snapshot.is_whole = slice(&self.shared.tree.read(), &snapshot.walk, 64, &mut snapshot.body);
        }
        let sections = paddock::storage::Sections { digest: Some((snapshot.zxid, 2, snapshot.digest as i64)), last_zxid: None };
        let (fs, path) = sealed(&snapshot.body, Compression::None, sections);
        let (loaded, _) = load(&fs, &path, Compression::None).expect("a snapshot of ours loads");
        tree(&loaded);
        assert_eq!(loaded.digest(), snapshot.digest, "the snapshot is of exactly one zxid");
        let mut target = Target::default();
        target.0.reset(true);
        paddock::storage::read_snapshot(fs.as_ref(), &path, Compression::None, &mut target).expect("read before");
        target.0.snapshot_loaded(snapshot.zxid, None);
        replay(&mut target, &self.world.log, snapshot.zxid);
        same(target, &self.shared.tree.read(), sessions);
    }
}

fn replay(target: &mut Target, log: &[(Zxid, Bytes)], after: Zxid) {
    for (_, payload) in log.iter().filter(|(zxid, _)| *zxid > after) {
        target.0.txn(payload).expect("a txn of ours is taken back");
    }
    assert_eq!(target.0.digest_mismatches(), 0);
}

/// What is read back is what was there.
fn same(target: Target, live: &DataTree, sessions: &[(SessionId, i32)]) {
    let (restored, restored_sessions) = target.finish();
    tree(&restored);
    assert_eq!((restored.last_zxid(), restored.digest(), restored.node_count()), (live.last_zxid(), live.digest(), live.node_count()));
    assert_eq!(restored.ephemeral_count(), live.ephemeral_count());
    assert_eq!(restored_sessions, sessions);
}

/// A write: mostly one that means something.
fn request(choices: &mut Choices<'_>) -> (i32, Vec<u8>) {
    match choices.below(12) {
        0 => (14, multi_body(choices)),
        1 => (-11, Vec::new()),
        2 => (choices.pick(&[1, 2, 5, 7, 14, 15, 16, 19, 21]), choices.block().to_vec()),
        _ => one(choices),
    }
}

fn multi_body(choices: &mut Choices<'_>) -> Vec<u8> {
    let count = choices.below(6);
    let ops: Vec<_> = (0..count).map(|_| if choices.below(4) == 0 { check_version(choices) } else { one(choices) }).collect();
    multi(&ops)
}

fn check_version(choices: &mut Choices<'_>) -> (i32, Vec<u8>) {
    let path = Some(choices.pick(&PATHS).into());
    (13, records::CheckVersionRequest { path, version: i32::from(choices.byte()) - 1 }.to_vec())
}

fn one(choices: &mut Choices<'_>) -> (i32, Vec<u8>) {
    let path = choices.pick(&PATHS);
    let data = [b"count=2,bytes=9=;countHardLimit=3".as_slice(), b"", b"x"][choices.below(3)];
    match choices.below(8) {
        0 => (2, records::DeleteRequest { path: Some(path.into()), version: -1 }.to_vec()),
        1 => (5, set_data(path, data)),
        2 => {
            let acl = if choices.below(3) == 0 { Some(Vec::new()) } else { open_acl() };
            (7, records::SetAclRequest { path: Some(path.into()), acl, version: -1 }.to_vec())
        }
        3 => (19, create(path, data, 4)),
        4 => {
            let ttl = i64::from(choices.byte());
            let request = records::CreateTtlRequest { path: Some(path.into()), data: None, acl: open_acl(), flags: 5, ttl };
            (21, request.to_vec())
        }
        _ => (choices.pick(&[1, 15]), create(path, data, i32::from(choices.byte() % 5))),
    }
}
