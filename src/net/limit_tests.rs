//! What a connection does at each limit: one below is served, one above is not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::connection::{Connection, Phase};
use super::context::{Context, Inbox, NetSettings};
use super::holdings::FREE_BYTES;
use super::stats::{Done, ServerStats};
use super::table::ConnectionTable;
use crate::admin::Word;
use crate::ids::SessionId;
use crate::proto::limits::{
    HANDSHAKE_BYTES_MAX, OUTPUT_BYTES_MAX, OUTPUT_BYTES_PAUSE, OUTSTANDING_BYTES_PER_CONNECTION_MAX,
    OUTSTANDING_REQUESTS_PER_CONNECTION_MAX,
};
use crate::proto::op_code::OpCode;
use crate::replica::{Input, Shared, View};
use crate::request::auth::AuthRules;
use crate::session::SessionCell;
use crate::tree::acl::AclList;
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::stat::OwnerRules;
use crate::tree::watch::WatchAccess;

/// Opens every session, and never does a write.
#[derive(Default)]
struct Stuck {
    table: Arc<ConnectionTable>,
    writes: Mutex<usize>,
    is_behind: Mutex<bool>,
    has_no_leader: Mutex<bool>,
}

impl Inbox for Stuck {
    fn is_current(&self, _: i64) -> bool {
        !*self.is_behind.lock()
    }

    fn awaits_leader(&self, _: i64) -> bool {
        *self.has_no_leader.lock()
    }

    fn submit(&self, inputs: Vec<Input>) {
        for input in inputs {
            match input {
                Input::OpenSession { connection, timeout_ms, .. } => {
                    let connection = self.table.get(connection).expect("it asks");
                    connection.opened(Arc::new(SessionCell::new(SessionId(1), timeout_ms, 0)), false);
                }
                _ => *self.writes.lock() += 1,
            }
        }
    }

    fn four_letter_word(&self, _: Word, _: Option<[u8; 8]>) -> Vec<u8> {
        Vec::new()
    }

    fn allows_word(&self, _: Word) -> bool {
        false
    }
}

fn settings() -> NetSettings {
    NetSettings {
        frame_bytes_max: 1 << 20,
        session_timeout_ms_min: 60_000,
        session_timeout_ms_max: 60_000,
        connections_per_address_max: 0,
        connections_max: 0,
        sessionless_timeout_ms: 60_000,
        outstanding_max: 10_000,
        large_request_bytes: -1,
        large_request_bytes_max: 0,
        keep_alive: false,
        enforced_schemes: None,
        auth: AuthRules::default(),
        skip_acl: true,
        sockets_before_handshake_max: 100,
        input_bytes_max: usize::MAX,
        request_bytes_max: usize::MAX,
        output_bytes_max: usize::MAX,
        connection_throttle: None,
    }
}

struct Bench {
    inbox: Arc<Stuck>,
    runtime: Runtime,
    context: Arc<Context>,
    peers: Vec<TcpStream>,
}

impl Bench {
    fn new(settings: NetSettings) -> Self {
        let tree = DataTree::new(1, OwnerRules::default(), true);
        let inbox = Arc::new(Stuck::default());
        let (table, stats) = (Arc::clone(&inbox.table), Arc::new(ServerStats::default()));
        let shared = Arc::new(Shared::new(tree, 1));
        let context = Context::new(shared, Arc::<Stuck>::clone(&inbox), table, stats, settings, Instant::now());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        Self { inbox, runtime, context: Arc::new(context), peers: Vec::new() }
    }

    /// A connection that nobody reads; `None` when there are too many.
    fn connect(&mut self) -> Option<Arc<Connection>> {
        let (writer, address) = self.runtime.block_on(async {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("the loopback has a free port");
            let peer = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
            self.peers.push(peer);
            let (stream, address) = listener.accept().await.expect("it is there");
            (stream.into_split().1, address)
        });
        let (context, settings) = (&self.context, &self.context.settings);
        let connection = context.table.add(address.ip(), settings.connections_per_address_max, settings.connections_max, |id| {
            Arc::new(Connection::new(id, address, writer, Arc::clone(context), 0))
        })?;
        context.enter_lobby(connection.id());
        Some(connection)
    }

    fn session(&mut self) -> Arc<Connection> {
        let connection = self.connect().expect("there is room");
        let handshake = handshake(44);
        assert_eq!((connection.handle(&handshake), phase(&connection)), (handshake.len(), Phase::Open));
        connection.state.lock().output.discard();
        connection
    }
}

fn handshake(frame_bytes: usize) -> Vec<u8> {
    let password_bytes = frame_bytes as u32 - 28;
    let mut bytes = (frame_bytes as u32).to_be_bytes().to_vec();
    bytes.extend([0; 24]);
    bytes.extend(password_bytes.to_be_bytes());
    bytes.extend(vec![0; password_bytes as usize]);
    bytes
}

fn frame(op: OpCode, body_bytes: usize) -> Vec<u8> {
    let mut bytes = (8 + body_bytes as u32).to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(op.0.to_be_bytes());
    bytes.extend(vec![0; body_bytes]);
    bytes
}

fn phase(connection: &Connection) -> Phase {
    connection.state.lock().phase
}

/// How many of these frames it takes, in as many turns as it likes.
fn taken(connection: &Arc<Connection>, op: OpCode, body_bytes: usize, count: usize) -> usize {
    let one = frame(op, body_bytes);
    let all = one.repeat(count);
    let mut used = 0;
    loop {
        used += connection.handle(&all[used..]);
        if !std::mem::take(&mut connection.state.lock().has_more) {
            assert!(used.is_multiple_of(one.len()));
            return used / one.len();
        }
    }
}

fn tell(connection: &Connection, bytes: usize) {
    connection.event(&vec![0; bytes], &AclList::new(Vec::new()));
}

#[test]
fn the_first_frame_has_a_limit() {
    let mut bench = Bench::new(settings());
    let connection = bench.connect().expect("there is room");
    assert_eq!((connection.handle(&handshake(HANDSHAKE_BYTES_MAX)), phase(&connection)), (4 + HANDSHAKE_BYTES_MAX, Phase::Open));
    let connection = bench.connect().expect("there is room");
    let head = &handshake(HANDSHAKE_BYTES_MAX + 1)[..4];
    assert_eq!((connection.handle(head), phase(&connection)), (4, Phase::Closed), "without waiting for the rest");
}

#[test]
fn connections_have_limits() {
    let mut bench = Bench::new(NetSettings { connections_per_address_max: 2, ..settings() });
    assert_eq!([bench.connect(), bench.connect(), bench.connect()].map(|connection| connection.is_some()), [true, true, false]);
    let mut bench = Bench::new(NetSettings { connections_max: 2, ..settings() });
    assert_eq!([bench.connect(), bench.connect(), bench.connect()].map(|connection| connection.is_some()), [true, true, false]);
}

#[test]
fn sockets_before_their_handshake_make_room() {
    let mut bench = Bench::new(NetSettings { sockets_before_handshake_max: 2, ..settings() });
    let (open, first) = (bench.session(), bench.connect().expect("there is room"));
    let second = bench.connect().expect("there is room");
    assert_eq!((phase(&open), phase(&first)), (Phase::Open, Phase::AwaitingConnect), "at the limit");
    let third = bench.connect().expect("there is room");
    assert_eq!(
        [&open, &first, &second, &third].map(|connection| phase(connection)),
        [Phase::Open, Phase::Closed, Phase::AwaitingConnect, Phase::AwaitingConnect]
    );
}

#[test]
fn requests_of_one_connection_have_limits() {
    let mut bench = Bench::new(settings());
    assert_eq!(taken(&bench.session(), OpCode::SET_DATA, 10, 2000), OUTSTANDING_REQUESTS_PER_CONNECTION_MAX);
    let connection = bench.session();
    assert_eq!(taken(&connection, OpCode::SET_DATA, 64 << 10, 100), OUTSTANDING_BYTES_PER_CONNECTION_MAX >> 16);
    assert_eq!(taken(&connection, OpCode::EXISTS, 10, 1), 0, "reads that would wait are requests too");
    assert_eq!(bench.context.stats.requests.bytes(), OUTSTANDING_BYTES_PER_CONNECTION_MAX);
    connection.abandon();
    assert_eq!(bench.context.stats.requests.bytes(), 0);
}

#[test]
fn requests_of_all_have_a_limit() {
    let mut bench = Bench::new(NetSettings { outstanding_max: 2, ..settings() });
    let (busy, idle) = (bench.session(), bench.session());
    assert_eq!(taken(&busy, OpCode::SET_DATA, 10, 2), 2);
    assert_eq!(taken(&busy, OpCode::SET_DATA, 10, 1), 1, "at the limit");
    assert_eq!(taken(&busy, OpCode::SET_DATA, 10, 1), 0, "beyond it");
    assert_eq!((taken(&idle, OpCode::SET_DATA, 10, 1), taken(&idle, OpCode::SET_DATA, 10, 1)), (1, 0), "one is always taken");
}

#[test]
fn bytes_of_requests_of_all_have_a_limit() {
    let mut bench = Bench::new(NetSettings { request_bytes_max: 100_000, ..settings() });
    let (first, second) = (bench.session(), bench.session());
    assert_eq!(taken(&first, OpCode::SET_DATA, 100_000, 1), 1);
    assert_eq!(taken(&first, OpCode::SET_DATA, 1, 1), 1, "at the limit");
    assert_eq!(taken(&second, OpCode::SET_DATA, FREE_BYTES - 8, 1), 1, "a little is always granted");
    assert_eq!(taken(&second, OpCode::SET_DATA, 1, 1), 0);
    assert!(second.state.lock().is_held_back);
}

#[test]
fn large_requests_have_a_limit() {
    let mut bench = Bench::new(NetSettings { large_request_bytes: 1000, large_request_bytes_max: 4004, ..settings() });
    let connection = bench.session();
    assert_eq!(taken(&connection, OpCode::SET_DATA, 2002, 2), 2);
    assert_eq!((taken(&connection, OpCode::SET_DATA, 1000, 1), phase(&connection)), (1, Phase::Open), "not a large one");
    taken(&connection, OpCode::SET_DATA, 1001, 1);
    assert_eq!(phase(&connection), Phase::Closed);
}

#[test]
fn a_client_that_does_not_read_is_not_read() {
    let mut bench = Bench::new(settings());
    let connection = bench.session();
    tell(&connection, OUTPUT_BYTES_PAUSE - 20);
    assert_eq!(taken(&connection, OpCode::PING, 0, 5), 1);
    assert!(connection.state.lock().is_paused);
}

#[test]
fn what_waits_for_one_client_has_a_limit() {
    let mut bench = Bench::new(settings());
    let connection = bench.session();
    tell(&connection, OUTPUT_BYTES_PAUSE + 1);
    tell(&connection, OUTPUT_BYTES_MAX - OUTPUT_BYTES_PAUSE - 1);
    assert_eq!((phase(&connection), connection.output_bytes()), (Phase::Open, OUTPUT_BYTES_MAX), "at the limit");
    tell(&connection, 1);
    assert_eq!((phase(&connection), connection.output_bytes()), (Phase::Closed, 0), "beyond it");
    assert_eq!((bench.context.stats.output.bytes(), bench.context.stats.metrics.own.paddock_slow_readers_closed.value()), (0, 1));
    let patient = bench.session();
    tell(&patient, OUTPUT_BYTES_PAUSE);
    tell(&patient, OUTPUT_BYTES_MAX);
    assert_eq!(phase(&patient), Phase::Open, "one reply may have any size");
}

#[test]
fn what_waits_for_all_clients_has_a_limit() {
    let mut bench = Bench::new(NetSettings { output_bytes_max: 1_000_000, ..settings() });
    let (most, less, little) = (bench.session(), bench.session(), bench.session());
    tell(&most, 600_000);
    tell(&less, 400_000);
    tell(&little, FREE_BYTES);
    bench.context.relieve();
    assert_eq!([&most, &less, &little].map(|connection| phase(connection)), [Phase::Open; 3], "at the limit");
    tell(&less, 1);
    bench.context.relieve();
    assert_eq!([&most, &less, &little].map(|connection| phase(connection)), [Phase::Closed, Phase::Open, Phase::Open]);
    assert_eq!(bench.context.stats.output.bytes(), 400_001);
}

#[test]
fn what_may_take_long_has_a_turn_of_its_own_and_waits_for_no_write() {
    let mut bench = Bench::new(settings());
    let connection = bench.session();
    let frames = [frame(OpCode::PING, 0), frame(OpCode::GET_EPHEMERALS, 4), frame(OpCode::GET_EPHEMERALS, 4)].concat();
    assert_eq!(connection.handle(&frames), 12, "the first one behind another request");
    assert_eq!(connection.handle(&frames[12..]), 0, "others have their turn first");
    connection.state.lock().has_more = false;
    assert_eq!(connection.handle(&frames[12..]), 16, "one in a turn");
    connection.state.lock().has_more = false;
    {
        let _others = bench.context.long_work.lock();
        assert_eq!(connection.handle(&frames[28..]), 0, "others do what takes long");
        assert!(std::mem::take(&mut connection.state.lock().is_held_back));
    }
    assert_eq!(connection.handle(&frames[28..]), 16);
    let frames = [frame(OpCode::SET_DATA, 4), frame(OpCode::EXISTS, 4), frame(OpCode::GET_EPHEMERALS, 4)].concat();
    assert_eq!(connection.handle(&frames), 32);
    assert!(connection.state.lock().is_paused, "not before the write");
}

#[test]
fn a_server_that_may_have_been_left_behind_answers_no_read() {
    let mut bench = Bench::new(settings());
    let connection = bench.session();
    let read = frame(OpCode::EXISTS, 4);
    *bench.inbox.is_behind.lock() = true;
    assert_eq!(connection.handle(&read), 0, "the process was stopped");
    assert!(std::mem::take(&mut connection.state.lock().has_more), "it asks again");
    assert_eq!(connection.handle(&frame(OpCode::SET_DATA, 4)), 16, "the leader decides about writes");
    *bench.inbox.is_behind.lock() = false;
    assert_eq!(connection.handle(&read), read.len());
}

/// go-zookeeper's `TestIntegration_IncrementalReconfig` removes the leader: whoever was sent away by each server gave up.
#[test]
fn a_handshake_waits_while_a_leader_is_elected() {
    let mut bench = Bench::new(settings());
    let connection = bench.connect().expect("there is room");
    let handshake = handshake(44);
    *bench.inbox.has_no_leader.lock() = true;
    assert_eq!((connection.handle(&handshake), phase(&connection)), (0, Phase::AwaitingConnect));
    assert!(std::mem::take(&mut connection.state.lock().is_held_back), "it asks again");
    assert!(!connection.end_service(), "the end of an earlier role is not its end");
    *bench.inbox.has_no_leader.lock() = false;
    assert_eq!((connection.handle(&handshake), phase(&connection)), (handshake.len(), Phase::Open));
}

/// A server that closes the connection of a session that moved away must not answer what stood behind the write that it refused.
#[test]
fn a_closed_connection_answers_nothing_more() {
    let mut bench = Bench::new(settings());
    let connection = bench.session();
    assert_eq!(connection.handle(&frame(OpCode::SET_DATA, 4).repeat(2)), 32);
    connection.close();
    let tree = bench.context.shared.tree.read();
    let mut view = View { tree: &tree, watches: WatchAccess::Free(&bench.context.shared.watches) };
    connection.complete_write(&mut view, 2, &Applied::Checked, 0, &mut Done::default());
    assert_eq!(connection.state.lock().output.len(), 0);
}
