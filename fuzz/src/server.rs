//! A whole server in this process, over real sockets of the loopback: random bytes, and valid requests cut into random pieces.
//! It goes on serving whatever comes, answers in order, and its log gives its tree again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jute::Encode;
use paddock::admin::Word;
use paddock::ids::{ConnectionId, Zxid};
use paddock::net::{Connection, ConnectionTable, Context, Done, Inbox, NetSettings, ServerStats, listen};
use paddock::proto::records::client as records;
use paddock::replica::{Effects, Input, LocalSessions, Now, Replica, ReplicaSettings, Shared, View};
use paddock::request::auth::AuthRules;
use paddock::request::prepare::WriteRules;
use paddock::request::read::encode_event;
use paddock::session::SessionCell;
use paddock::tree::acl::AclList;
use paddock::tree::apply::Applied;
use paddock::tree::data_tree::DataTree;
use paddock::tree::watch::{EventType, Watcher};
use paddock::zab;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::check::{create, frames, multi, set_data, tree};
use crate::choices::Choices;
use crate::restore::{RULES, SEED, Target};

/// Longer than this no answer takes, whatever the machine does besides.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer to bytes that may not have one is waited for.
const MOMENT: Duration = Duration::from_millis(1);
/// Frames of this server are short, so that the limit is met.
const FRAME_BYTES_MAX: usize = 4096;
/// Most steps of a scenario.
const STEPS_MAX: usize = 300;

/// The replica behind its inbox, with a log in memory that is durable at once.
struct Bench {
    replica: Mutex<Replica>,
    inbox: Mutex<Vec<Input>>,
    log: Mutex<Vec<Bytes>>,
    table: Arc<ConnectionTable>,
    stats: Arc<ServerStats>,
    start: Instant,
}

/// The effects of one turn.
struct Turn<'a> {
    bench: &'a Bench,
    appended: Option<Zxid>,
    touched: Vec<Arc<Connection>>,
    now_ms: i64,
    done: Done,
}

impl Turn<'_> {
    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&Connection)) {
        if let Some(connection) = self.bench.table.get(id) {
            act(&connection);
            self.touched.push(connection);
        }
    }
}

impl Effects for Turn<'_> {
    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        self.bench.log.lock().push(payload);
        self.appended = Some(zxid);
    }

    fn carry_out(&mut self, output: zab::Output) {
        panic!("a server without an ensemble asks for nothing else: {output:?}");
    }

    fn reply(&mut self, view: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>) {
        let (now_ms, mut done) = (self.now_ms, std::mem::take(&mut self.done));
        self.with(connection, |connection| connection.complete_write(view, xid, applied, now_ms, &mut done));
        self.done = done;
    }

    fn event(&mut self, watchers: &[Watcher], zxid: Zxid, event: EventType, path: &str, acl: &AclList) {
        let mut frame = Vec::new();
        encode_event(&mut frame, zxid, event, path);
        for &watcher in watchers {
            let connection = self.bench.table.in_slot(watcher).expect("a watcher is a live connection");
            connection.event(&frame, acl);
            self.touched.push(connection);
        }
    }

    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>) {
        self.with(connection, |connection| connection.opened(session, false));
    }

    fn session_refused(&mut self, connection: ConnectionId) {
        self.with(connection, Connection::refused);
    }

    fn close(&mut self, connection: ConnectionId) {
        self.with(connection, Connection::close);
    }

    fn session_expired(&mut self, _: &SessionCell) {}

    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64) {
        panic!("the digest at {zxid} was promised as {expected:#x} and is {got:#x}");
    }
}

impl Inbox for Bench {
    fn is_current(&self, _: i64) -> bool {
        true
    }

    fn awaits_leader(&self, _: i64) -> bool {
        false
    }

    fn submit(&self, mut inputs: Vec<Input>) {
        self.inbox.lock().append(&mut inputs);
        let mut touched = Vec::new();
        {
            let mut replica = self.replica.lock();
            loop {
                let inputs = std::mem::take(&mut *self.inbox.lock());
                if inputs.is_empty() {
                    break;
                }
                let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: self.start.elapsed().as_millis() as i64 };
                let mut turn = Turn { bench: self, appended: None, touched: Vec::new(), now_ms: now.monotonic_ms, done: Done::default() };
                replica.handle(now, inputs, &mut turn);
                self.stats.add_done(&turn.done);
                touched.append(&mut turn.touched);
                self.inbox.lock().extend(turn.appended.map(|zxid| Input::Zab(zab::Input::Persisted(zxid))));
            }
        }
        touched.iter().for_each(|connection| connection.flush());
    }

    fn four_letter_word(&self, word: Word, _: Option<[u8; 8]>) -> Vec<u8> {
        word.name().as_bytes().to_vec()
    }

    fn allows_word(&self, _: Word) -> bool {
        true
    }
}

fn settings() -> NetSettings {
    NetSettings {
        frame_bytes_max: FRAME_BYTES_MAX,
        session_timeout_ms_min: 60_000,
        session_timeout_ms_max: 60_000,
        connections_per_address_max: 0,
        connections_max: 0,
        sessionless_timeout_ms: 60_000,
        outstanding_max: 10,
        large_request_bytes: 2000,
        large_request_bytes_max: 100_000,
        keep_alive: false,
        enforced_schemes: None,
        auth: AuthRules::default(),
        skip_acl: false,
        sockets_before_handshake_max: 6,
        input_bytes_max: 10_000,
        request_bytes_max: 30_000,
        output_bytes_max: 100_000,
        connection_throttle: None,
    }
}

/// The bytes are what the clients do.
pub fn run(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let shared = Arc::new(Shared::new(DataTree::new(SEED, RULES, true), SEED));
    let rules = WriteRules { close_session_txn: true, ..WriteRules::default() };
    let replica_settings = ReplicaSettings {
        server_id: 1,
        tick_time_ms: 1000,
        sessions_max: 50,
        read_only_delay_ms: None,
        local_sessions: LocalSessions::Off,
        seed: SEED,
        rules,
    };
    let replica = Replica::standalone(replica_settings, Arc::clone(&shared), &[], Now::default());
    let table = Arc::new(ConnectionTable::default());
    let bench = Arc::new(Bench {
        replica: Mutex::new(replica),
        inbox: Mutex::default(),
        log: Mutex::default(),
        table: Arc::clone(&table),
        stats: Arc::default(),
        start: Instant::now(),
    });
    runtime.block_on(async {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 0).expect("the loopback has a free port");
        let address = listener.address().expect("it is bound");
        let inbox = Arc::clone(&bench) as Arc<dyn Inbox>;
        let context = Context::new(Arc::clone(&shared), inbox, Arc::clone(&table), Arc::clone(&bench.stats), settings(), bench.start);
        tokio::spawn(listener.accept(Arc::new(context)));
        scenario(address, &mut Choices::new(data)).await;
        Client::open(address).await.expect("a new client is served").settle().await.expect("and answered");
    });
    drop(runtime);
    // The tasks are gone without their end: connections, their context and the table hold each other.
    for connection in table.all() {
        table.remove(connection.id(), connection.address().ip());
    }
    check(&bench, &shared);
}

fn check(bench: &Bench, shared: &Shared) {
    let live = shared.tree.read();
    tree(&live);
    let mut target = Target::default();
    for payload in bench.log.lock().iter() {
        target.0.txn(payload).expect("a txn of ours is taken back");
    }
    assert_eq!(target.0.digest_mismatches(), 0);
    let (restored, _) = target.finish();
    assert_eq!((restored.last_zxid(), restored.digest(), restored.node_count()), (live.last_zxid(), live.digest(), live.node_count()));
}

async fn scenario(address: SocketAddr, choices: &mut Choices<'_>) {
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        match choices.below(8) {
            0 => raw(address, choices).await,
            1 if clients.len() < 4 => clients.extend(Client::open(address).await),
            2 if !clients.is_empty() => {
                let index = choices.below(clients.len());
                let mut client = clients.swap_remove(index);
                // Whatever it is, it is answered or the connection ends.
                let _ = client.send(choices.block()).await;
                client.read_for_a_moment().await;
            }
            3 if !clients.is_empty() => drop(clients.swap_remove(choices.below(clients.len()))),
            _ => {
                let index = choices.below(clients.len().max(1));
                if let Some(client) = clients.get_mut(index)
                    && client.requests(choices).await.is_err()
                {
                    clients.swap_remove(index);
                }
            }
        }
    }
    for client in &mut clients {
        let _ = client.settle().await;
    }
}

/// Bytes instead of a handshake.
async fn raw(address: SocketAddr, choices: &mut Choices<'_>) {
    let mut client = Client::connect(address).await;
    let _ = client.send(choices.block()).await;
    client.read_for_a_moment().await;
}

/// A client that checks what it is told.
struct Client {
    stream: TcpStream,
    xid: i32,
    owed: Vec<i32>,
    seen: i64,
    received: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket takes the option");
        Self { stream, xid: 0, owed: Vec::new(), seen: 0, received: Vec::new() }
    }

    /// Opens a session.
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let mut client = Self::connect(address).await;
        let mut body = records::ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            time_out: 30_000,
            session_id: 0,
            passwd: Some([0; 16].as_slice().into()),
        }
        .to_vec();
        body.push(0);
        client.send_frame(&body, usize::MAX).await?;
        let mut response = [0; 41];
        timeout(PATIENCE, client.stream.read_exact(&mut response)).await.expect("a handshake is answered")?;
        assert_eq!(response[..4], [0, 0, 0, 37]);
        Ok(client)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends a frame in two pieces.
    async fn send_frame(&mut self, body: &[u8], cut: usize) -> io::Result<()> {
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        let (first, second) = frame.split_at(cut.min(frame.len()));
        self.send(first).await?;
        if !second.is_empty() {
            tokio::task::yield_now().await;
            self.send(second).await?;
        }
        Ok(())
    }

    async fn read_for_a_moment(&mut self) {
        let mut buffer = [0; 4096];
        while timeout(MOMENT, self.stream.read(&mut buffer)).await.is_ok_and(|read| read.is_ok_and(|n| n > 0)) {}
    }

    /// Some requests at once, then perhaps their answers.
    async fn requests(&mut self, choices: &mut Choices<'_>) -> io::Result<()> {
        for _ in 0..=choices.below(8) {
            let (op, body) = request(choices);
            self.xid += 1;
            let xid = if op == 11 { -2 } else { self.xid };
            let mut frame = records::RequestHeader { xid, type_: op }.to_vec();
            frame.extend_from_slice(&body);
            if frame.len() > FRAME_BYTES_MAX {
                continue;
            }
            self.send_frame(&frame, usize::from(choices.byte())).await?;
            self.owed.push(xid);
            if op == -11 {
                self.settle().await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        if choices.below(2) == 0 { self.settle().await } else { Ok(()) }
    }

    /// Waits for every answer, and for a ping behind them.
    async fn settle(&mut self) -> io::Result<()> {
        self.send_frame(&records::RequestHeader { xid: -2, type_: 11 }.to_vec(), usize::MAX).await?;
        self.owed.push(-2);
        let mut buffer = [0; 4096];
        while !self.owed.is_empty() {
            let n = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("every request is answered")?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(&buffer[..n]);
            self.take_frames();
        }
        Ok(())
    }

    fn take_frames(&mut self) {
        let mut whole = 0;
        while let Some(length) = self.received[whole..].first_chunk::<4>() {
            let end = whole + 4 + u32::from_be_bytes(*length) as usize;
            if end > self.received.len() {
                break;
            }
            whole = end;
        }
        let bytes: Vec<u8> = self.received.drain(..whole).collect();
        for (xid, zxid, _, _) in frames(&bytes) {
            if xid != -1 {
                assert_eq!(self.owed.remove(0), xid, "replies come in the order of the requests");
            }
            // Events of setWatches say -1, replies to auth 0.
            if zxid > 0 {
                assert!(zxid >= self.seen, "the zxid of a connection never goes back");
                self.seen = zxid;
            }
        }
    }
}

const PATHS: [&str; 8] = ["/a", "/b", "/a/b", "/a/c", "/", "", "/zookeeper/config", "/b/"];

/// A request that has an answer.
fn request(choices: &mut Choices<'_>) -> (i32, Vec<u8>) {
    let path = choices.pick(&PATHS);
    let flag = choices.below(2) == 1;
    let get = records::GetDataRequest { path: Some(path.into()), watch: flag };
    match choices.below(16) {
        0 => (choices.pick(&[1, 15]), create(path, choices.take(9), i32::from(choices.byte() % 4))),
        1 => (2, records::DeleteRequest { path: Some(path.into()), version: -1 }.to_vec()),
        2 => (choices.pick(&[3, 4, 8, 12]), get.to_vec()),
        3 => (5, set_data(path, choices.block())),
        4 => (14, multi(&[(1, create(path, b"m", 0)), (5, set_data(path, b"n"))])),
        5 => (106, records::AddWatchRequest { path: Some(path.into()), mode: i32::from(flag) }.to_vec()),
        6 => (choices.pick(&[17, 18]), records::CheckWatchesRequest { path: Some(path.into()), type_: 3 }.to_vec()),
        7 => (101, set_watches(path)),
        8 => (100, auth(choices)),
        9 => (11, Vec::new()),
        10 => (9, records::SyncRequest { path: Some(path.into()) }.to_vec()),
        11 => (choices.pick(&[103, 104, 107, 6]), records::GetEphemeralsRequest { prefix_path: Some(path.into()) }.to_vec()),
        12 => (22, multi(&[(4, get.to_vec()), (8, get.to_vec())])),
        13 if choices.below(8) == 0 => (-11, Vec::new()),
        14 => (choices.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 14, 15, 22, 101, 105, 106]), choices.block().to_vec()),
        _ => (choices.pick(&[1, 15]), create(path, b"", 0)),
    }
}

fn set_watches(path: &'static str) -> Vec<u8> {
    let list = || Some(vec![Some(path.into())]);
    records::SetWatches { relative_zxid: 1, data_watches: list(), exist_watches: list(), child_watches: list() }.to_vec()
}

fn auth(choices: &mut Choices<'_>) -> Vec<u8> {
    records::AuthPacket { type_: 0, scheme: Some("digest".into()), auth: Some(choices.take(5).into()) }.to_vec()
}
