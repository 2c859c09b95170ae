//! Servers that have nothing but links, and raw sockets beside them. Tests wait for conditions, with a limit that only a failure reaches.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use paddock::config::{HostPort, MemberAddress};
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::net::peers::{
    Addresses, Greeting, PacketDecoder, PeerInbox, PeerSettings, Peers, SnapshotFactory, SnapshotSink, take_notifications,
};
use paddock::storage::Received;
use paddock::zab::{Input, Introduction, LinkId, NOTIFICATION_VERSION, Notification, Output, Packet, ServerState, Vote};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Nothing here takes so long unless it is broken.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: waited for {LIMIT:?}"))
}

/// Keeps every input.
#[derive(Default)]
pub struct Inbox {
    inputs: Mutex<Vec<Input>>,
    news: Notify,
    pub is_full: AtomicBool,
}

impl PeerInbox for Inbox {
    fn submit(&self, mut inputs: Vec<Input>) {
        self.inputs.lock().append(&mut inputs);
        self.news.notify_waiters();
    }

    fn is_full(&self) -> bool {
        self.is_full.load(SeqCst)
    }
}

impl Inbox {
    /// Waits until `find` finds something in all inputs so far.
    pub async fn until<T>(&self, what: &str, mut find: impl FnMut(&[Input]) -> Option<T>) -> T {
        let result = timeout(LIMIT, async {
            loop {
                let mut news = std::pin::pin!(self.news.notified());
                news.as_mut().enable();
                if let Some(found) = find(&self.inputs.lock()) {
                    return found;
                }
                news.await;
            }
        });
        result.await.unwrap_or_else(|_| panic!("{what}: waited for {LIMIT:?}; there are {:?}", self.inputs.lock()))
    }

    /// Waits for an input.
    pub async fn expect(&self, input: Input) {
        self.until(&format!("{input:?}"), |inputs| inputs.contains(&input).then_some(())).await;
    }

    /// Takes all inputs.
    pub fn clear(&self) -> Vec<Input> {
        std::mem::take(&mut self.inputs.lock())
    }

    pub fn all(&self) -> Vec<Input> {
        self.inputs.lock().clone()
    }
}

/// Receives a snapshot of a known length; its first byte may say that it is bad.
pub struct Sink {
    pub length: usize,
    got: Vec<u8>,
    shelf: Arc<Shelf>,
}

/// What became of snapshots.
#[derive(Default)]
pub struct Shelf {
    /// Complete ones.
    pub complete: Mutex<Vec<Vec<u8>>>,
    /// Those that were given up.
    pub dropped: AtomicBool,
    pub changed: Notify,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shelf.dropped.store(true, SeqCst);
        self.shelf.changed.notify_one();
    }
}

impl SnapshotSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<Received> {
        let consumed = bytes.len().min(self.length - self.got.len());
        self.got.extend_from_slice(&bytes[..consumed]);
        if self.got.first() == Some(&BAD) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let is_complete = self.got.len() == self.length;
        if is_complete {
            self.shelf.complete.lock().push(std::mem::take(&mut self.got));
        }
        Ok(Received { consumed, is_complete })
    }
}

/// A snapshot that begins with this byte is refused.
pub const BAD: u8 = 0xbb;

/// Snapshots have as many bytes as the counter of their zxid says.
pub struct Factory(pub Arc<Shelf>);

impl SnapshotFactory for Factory {
    fn receive(&self, zxid: Zxid) -> io::Result<Box<dyn SnapshotSink>> {
        Ok(Box::new(Sink { length: zxid.counter() as usize, got: Vec::new(), shelf: Arc::clone(&self.0) }))
    }
}

/// The links of one server.
pub struct Server {
    pub peers: Arc<Peers>,
    pub inbox: Arc<Inbox>,
    pub shelf: Arc<Shelf>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.peers.shutdown();
    }
}

/// A port that nobody has, each time another one. It lies below those that the system gives to connections that go out: one of them would
/// take it before its server does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(131) % 17_000;
    let candidate = || 15_000 + ((first + NEXT.fetch_add(1, Relaxed)) % 17_000) as u16;
    std::iter::repeat_with(candidate).find(|&port| StdListener::bind(("127.0.0.1", port)).is_ok()).expect("a free port")
}

/// Members with these ids, each with ports of its own.
pub fn members(sids: impl IntoIterator<Item = i64>) -> Addresses {
    let address = || MemberAddress { host: "127.0.0.1".to_owned(), quorum_port: free_port(), election_port: free_port() };
    sids.into_iter().map(|sid| (ServerId(sid), vec![address()])).collect::<BTreeMap<_, _>>()
}

pub fn settings(sid: i64, members: &Addresses) -> PeerSettings {
    PeerSettings {
        server_id: ServerId(sid),
        members: members.clone(),
        listens_on_all_ips: false,
        is_multi_address: false,
        connect_timeout_ms: 10_000,
        handshake_timeout_ms: 10_000,
        leader_connect_timeout_ms: 10_000,
        leader_connect_pause_ms: 100,
        silence_limit_ms: 20_000,
        // A server that was shut down a moment ago may not have let go of its port.
        election_bind_attempts: 10,
        has_keep_alive: true,
        data_bytes_max: 1 << 20,
        queue_bytes_max: 64 << 20,
        observer_master_port: None,
        observer_queue_bytes_max: 64 << 20,
    }
}

pub async fn start_with(settings: PeerSettings) -> Server {
    let (inbox, shelf) = (Arc::new(Inbox::default()), Arc::new(Shelf::default()));
    let peers = Peers::start(settings, inbox.clone(), Arc::new(Factory(shelf.clone()))).await.expect("the election port is free");
    Server { peers, inbox, shelf }
}

pub async fn start(sid: i64, members: &Addresses) -> Server {
    start_with(settings(sid, members)).await
}

impl Server {
    pub fn notify(&self, to: i64, round: i64) {
        self.peers.carry_out(&Output::Notify { to: ServerId(to), notification: vote(round) });
    }

    /// Waits for a vote of this round.
    pub async fn vote_from(&self, from: i64, round: i64) {
        self.inbox.expect(Input::Notification { from: ServerId(from), notification: vote(round) }).await;
    }

    pub async fn reachable(&self, sid: i64) {
        self.inbox.expect(Input::PeerReachable(ServerId(sid))).await;
    }

    pub async fn unreachable(&self, sid: i64) {
        self.inbox.expect(Input::PeerUnreachable(ServerId(sid))).await;
    }

    pub fn send_to_learner(&self, link: LinkId, packet: Packet) {
        self.peers.carry_out(&Output::ToLearner(link, packet));
    }

    pub fn send_to_leader(&self, packet: Packet) {
        self.peers.carry_out(&Output::ToLeader(LINK, packet));
    }

    /// The link of the learner that connected last.
    pub async fn learner(&self) -> LinkId {
        let newest = |inputs: &[Input]| {
            inputs.iter().rev().find_map(|input| if let Input::LearnerConnected(link) = input { Some(*link) } else { None })
        };
        self.inbox.until("a learner", newest).await
    }

    /// Waits until this many packets came from the leader.
    pub async fn packets_from_leader(&self, count: usize) -> Vec<Packet> {
        let packets = |inputs: &[Input]| {
            let all: Vec<Packet> = inputs
                .iter()
                .filter_map(|input| if let Input::LeaderPacket(_, packet) = input { Some(packet.clone()) } else { None })
                .collect();
            (all.len() >= count).then_some(all)
        };
        self.inbox.until("packets of the leader", packets).await
    }
}

/// What a learner calls its link to the leader.
pub const LINK: LinkId = LinkId(1);

/// Connects a learner to a leader, and introduces it.
pub async fn join(learner: &Server, leader: &Server, leader_sid: i64) -> LinkId {
    // A leader whose election port cannot be reached is given up after one attempt, and its quorum port may open a moment later.
    learner.reachable(leader_sid).await;
    learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(leader_sid) });
    learner.inbox.expect(Input::LeaderConnected(LINK)).await;
    learner.send_to_leader(introduction());
    learner.peers.flush();
    leader.learner().await
}

pub fn introduction() -> Packet {
    let info =
        Introduction { accepted_epoch: Epoch(0), sid: Some(ServerId(1)), config_version: 0, is_paddock: true, serves_observers: false };
    Packet::FollowerInfo(info)
}

pub fn proposal(counter: u32) -> Packet {
    Packet::Proposal { zxid: Zxid::new(Epoch(1), counter), payload: Bytes::from(vec![counter as u8; 100]) }
}

pub fn vote(round: i64) -> Notification {
    Notification {
        state: ServerState::Looking,
        vote: Vote { leader: ServerId(2), zxid: Zxid(7), peer_epoch: Epoch(0) },
        election_epoch: round,
        version: NOTIFICATION_VERSION,
        config: Some(Bytes::from_static(b"version=0")),
    }
}

// Raw sockets.

/// A connection that a test holds in its own hands.
pub struct Raw {
    pub stream: TcpStream,
    pub bytes: BytesMut,
}

impl Raw {
    pub async fn connect(port: u16) -> Self {
        let stream = soon("connecting", TcpStream::connect(("127.0.0.1", port))).await.expect("it listens");
        Self { stream, bytes: BytesMut::new() }
    }

    /// Connects to an election port and says who it is.
    pub async fn greet(port: u16, sid: i64, own_port: u16) -> Self {
        let mut raw = Self::connect(port).await;
        let addresses = vec![HostPort { host: "127.0.0.1".to_owned(), port: own_port }];
        raw.write(&Greeting { sid: ServerId(sid), addresses }.encode(false)).await;
        raw
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the other end reads");
    }

    pub async fn write_packets(&mut self, packets: &[Packet]) {
        let mut bytes = Vec::new();
        packets.iter().for_each(|packet| packet.encode(&mut bytes));
        self.write(&bytes).await;
    }

    async fn more(&mut self) {
        let read = soon("bytes", self.stream.read_buf(&mut self.bytes)).await.expect("an open connection");
        assert_ne!(read, 0, "an open connection");
    }

    pub async fn greeting(&mut self) -> Greeting {
        loop {
            if let Some((greeting, length)) = Greeting::decode(&self.bytes).expect("a greeting") {
                let _ = self.bytes.split_to(length);
                return greeting;
            }
            self.more().await;
        }
    }

    /// Reads until a vote of this round comes.
    pub async fn vote(&mut self, round: i64) {
        while take_notifications(&mut self.bytes).newest != Some(vote(round)) {
            self.more().await;
        }
    }

    pub async fn packet(&mut self) -> Packet {
        let mut decoder = PacketDecoder::new(1 << 20);
        decoder.give_back(std::mem::take(&mut self.bytes));
        loop {
            if let Some(packet) = decoder.packet().expect("a packet") {
                self.bytes = decoder.take();
                return packet;
            }
            let read = soon("a packet", self.stream.read_buf(decoder.buffer())).await.expect("an open connection");
            assert_ne!(read, 0, "an open connection");
        }
    }

    /// Reads until the other end closes.
    pub async fn closed(&mut self) {
        let mut drained = [0; 4096];
        soon("the end of a connection", async { while self.stream.read(&mut drained).await.is_ok_and(|read| read > 0) {} }).await;
    }
}

pub fn election_port(members: &Addresses, sid: i64) -> u16 {
    members[&ServerId(sid)][0].election_port
}

pub fn quorum_port(members: &Addresses, sid: i64) -> u16 {
    members[&ServerId(sid)][0].quorum_port
}
