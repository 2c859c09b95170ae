//! Replicas in memory, for tests: messages arrive at once and in order, the disk is done at once, time stands still until it is moved.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::riders::{self, Forwarded};
use super::{Effects, Input, LocalSessions, Now, Replica, ReplicaSettings, Request, Shared, View};
use crate::ids::{ConnectionId, Epoch, ServerId, SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::password;
use crate::request::prepare::WriteRules;
use crate::request::reply::header_error;
use crate::session::SessionCell;
use crate::tree::acl::{AclList, Identity};
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::stat::OwnerRules;
use crate::tree::watch::{EventType, Watcher};
use crate::zab::{
    self, Configuration, HistoryLimits, LinkId, Membership, Output, Packet, QuorumVerifier, Recovered, RiderKind, RoleChange, ServerState,
    Settings, Timing,
};

pub(super) const TICK_MS: i64 = 100;
/// Without a leader for so long a server answers reads.
pub(super) const READ_ONLY_MS: i64 = 20 * TICK_MS;
/// The links of a leader have numbers from here on.
const LEADER_LINKS: u64 = 1_000_000;

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Done(i32),
    Failed(i32, ErrorCode),
    Synced(i32, Option<String>),
}

/// What became of a turn, and of the clients.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) outputs: Vec<Output>,
    pub(super) told: BTreeMap<ConnectionId, Vec<Told>>,
    /// The codes of the parts of the last multi that failed.
    pub(super) failed_parts: Vec<ErrorCode>,
    pub(super) open: BTreeMap<ConnectionId, Arc<SessionCell>>,
    pub(super) refused: BTreeSet<ConnectionId>,
    pub(super) closed: BTreeSet<ConnectionId>,
    pub(super) expired: Vec<SessionId>,
    pub(super) serving: Option<ServerState>,
    pub(super) is_read_only: bool,
}

impl Effects for Outside {
    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        self.outputs.push(Output::Append { zxid, payload });
    }

    fn carry_out(&mut self, output: Output) {
        if let Output::Role(change) = &output {
            self.is_read_only = false;
            self.serving = match change {
                RoleChange::Serving { state, .. } => Some(*state),
                _ => None,
            };
        }
        self.outputs.push(output);
    }

    fn reply(&mut self, _: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>) {
        let told = match applied {
            Applied::Failed(error) => Told::Failed(xid, *error),
            Applied::Synced(path) => Told::Synced(xid, path.map(str::to_owned)),
            _ => Told::Done(xid),
        };
        if let Applied::Multi(parts) = applied
            && parts.iter().all(|part| matches!(part, Applied::Failed(_)))
        {
            self.failed_parts = parts.iter().map(header_error).collect();
        }
        self.told.entry(connection).or_default().push(told);
    }

    fn event(&mut self, _: &[Watcher], _: Zxid, _: EventType, _: &str, _: &AclList) {}

    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>) {
        self.open.insert(connection, session);
    }

    fn read_only_began(&mut self) {
        self.is_read_only = true;
    }

    fn session_refused(&mut self, connection: ConnectionId) {
        self.refused.insert(connection);
    }

    fn close(&mut self, connection: ConnectionId) {
        self.closed.insert(connection);
    }

    fn session_expired(&mut self, session: &SessionCell) {
        self.expired.push(session.id());
    }

    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64) {
        panic!("the digest at {zxid} was promised as {expected:#x} and is {got:#x}");
    }
}

pub(super) struct Node {
    pub(super) replica: Replica,
    pub(super) shared: Arc<Shared>,
    pub(super) outside: Outside,
    port_is_open: bool,
    serves_observers: bool,
}

/// The ensemble. Servers are named by their index; connections of clients by a number of the test.
pub(super) struct Pump {
    pub(super) nodes: Vec<Node>,
    inbox: VecDeque<(usize, Input)>,
    /// Both ends of each quorum link: the learner with its name for it, the leader with its own.
    links: Vec<((usize, LinkId), (usize, LinkId))>,
    /// Packets to these servers wait.
    pub(super) held: BTreeSet<usize>,
    /// No acknowledgement of a proposal arrives.
    pub(super) acks_wait: bool,
    /// Nothing goes from these servers to others, or to them.
    pub(super) isolated: BTreeSet<usize>,
    /// These processes stand still.
    stopped: BTreeSet<usize>,
    waiting: VecDeque<(usize, Input)>,
    pub(super) now_ms: i64,
    next_link: u64,
    local_sessions: LocalSessions,
    /// Followers serve observers.
    has_observer_masters: bool,
    /// The sessions that learners said they had heard of.
    pub(super) touches: Vec<(usize, Vec<(SessionId, i32)>)>,
}

pub(super) fn connection(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 0 }
}

/// What a client sends that comes back to a session, with the right password.
pub(super) fn resumption(slot: u32, session: SessionId, timeout_ms: i32) -> Input {
    let password = password::generate(session).to_vec();
    Input::ResumeSession { connection: connection(slot), session, password, timeout_ms, takes_read_only: false }
}

impl Pump {
    /// An ensemble of voters, with its leader elected and everybody serving.
    pub(super) fn serving(voters: usize, observers: usize) -> Self {
        Self::with_local_sessions(LocalSessions::Off, voters, observers)
    }

    /// One whose observers come to followers.
    pub(super) fn with_observer_masters(voters: usize, observers: usize) -> Self {
        Self::start(LocalSessions::Off, true, voters, observers)
    }

    /// One whose new sessions may be local.
    pub(super) fn with_local_sessions(local_sessions: LocalSessions, voters: usize, observers: usize) -> Self {
        Self::start(local_sessions, false, voters, observers)
    }

    fn start(local_sessions: LocalSessions, has_observer_masters: bool, voters: usize, observers: usize) -> Self {
        let mut pump = Self {
            nodes: Vec::new(),
            inbox: VecDeque::new(),
            links: Vec::new(),
            held: BTreeSet::new(),
            acks_wait: false,
            isolated: BTreeSet::new(),
            stopped: BTreeSet::new(),
            waiting: VecDeque::new(),
            now_ms: 0,
            next_link: LEADER_LINKS,
            local_sessions,
            has_observer_masters,
            touches: Vec::new(),
        };
        let ids: Vec<ServerId> = (1..=(voters + observers) as i64).map(ServerId).collect();
        let membership = Membership::new(Configuration {
            text: Bytes::from_static(b"version=0"),
            observers: ids[voters..].iter().copied().collect(),
            ..Configuration::of(0, QuorumVerifier::majority(ids[..voters].iter().copied()))
        });
        for &id in &ids {
            pump.nodes.push(pump.node(id, membership.clone()));
        }
        for index in 0..ids.len() {
            pump.turn(index, Vec::new());
        }
        pump.advance(20 * TICK_MS);
        assert!(pump.nodes.iter().all(|node| node.outside.serving.is_some()), "everybody serves");
        pump
    }

    fn node(&self, id: ServerId, membership: Membership) -> Node {
        let rules = OwnerRules::default();
        let mut tree = DataTree::new(1, rules, true);
        tree.ensure_config_node();
        let shared = Arc::new(Shared::new(tree, 1));
        let rules = WriteRules { close_session_txn: true, ..WriteRules::default() };
        let settings = ReplicaSettings {
            server_id: id.0 as u8,
            tick_time_ms: TICK_MS,
            sessions_max: 1_000_000,
            read_only_delay_ms: Some(READ_ONLY_MS),
            local_sessions: self.local_sessions,
            seed: 1,
            rules,
        };
        let ensemble = Settings {
            server_id: id,
            membership,
            reader: None,
            is_standalone: false,
            timing: Timing::new(TICK_MS, 10, 5),
            history: HistoryLimits::default(),
            reads_disk: false,
            forces_snapshot: false,
            has_observer_masters: self.has_observer_masters,
            seed: id.0 as u64,
        };
        let replica = Replica::member(settings, (ensemble, Recovered::default()), Arc::clone(&shared), &[], self.now());
        Node { replica, shared, outside: Outside::default(), port_is_open: false, serves_observers: false }
    }

    fn now(&self) -> Now {
        Now { wall_ms: 1_000_000 + self.now_ms, monotonic_ms: self.now_ms }
    }

    /// The one that leads.
    pub(super) fn leader(&self) -> usize {
        let leads = |node: &Node| node.outside.serving == Some(ServerState::Leading);
        self.nodes.iter().position(leads).expect("somebody leads")
    }

    /// Everybody who serves and does not lead.
    pub(super) fn learners(&self) -> Vec<usize> {
        let learns = |index: &usize| self.nodes[*index].outside.serving.is_some_and(|state| state != ServerState::Leading);
        (0..self.nodes.len()).filter(learns).collect()
    }

    fn turn(&mut self, index: usize, inputs: Vec<Input>) {
        let now = self.now();
        let node = &mut self.nodes[index];
        node.replica.handle(now, inputs, &mut node.outside);
        for output in std::mem::take(&mut node.outside.outputs) {
            self.carry_out(index, output);
        }
    }

    /// Gives one input, and lets everything happen that follows.
    pub(super) fn give(&mut self, index: usize, input: Input) {
        self.turn(index, vec![input]);
        self.run();
    }

    pub(super) fn run(&mut self) {
        while let Some((index, input)) = self.inbox.pop_front() {
            let waits = match input {
                _ if self.stopped.contains(&index) => true,
                Input::Zab(zab::Input::LeaderPacket(..)) => self.held.contains(&index),
                Input::Zab(zab::Input::LearnerPacket(_, Packet::Ack { .. })) => self.acks_wait,
                _ => false,
            };
            if waits {
                self.waiting.push_back((index, input));
            } else {
                self.turn(index, vec![input]);
            }
        }
    }

    /// What was held back arrives.
    pub(super) fn release(&mut self) {
        self.held.clear();
        self.acks_wait = false;
        self.inbox.append(&mut self.waiting);
        self.run();
    }

    /// A process stands still: the others reach it no more, and what they send waits.
    pub(super) fn stop(&mut self, index: usize) {
        self.isolated.insert(index);
        self.stopped.insert(index);
    }

    /// It goes on, and handles these inputs at once. The core is told the time first, as by the server's threads.
    pub(super) fn wake(&mut self, index: usize, inputs: impl IntoIterator<Item = Input>) {
        self.stopped.remove(&index);
        self.turn(index, [Input::Zab(zab::Input::Tick)].into_iter().chain(inputs).collect());
        self.heal();
        self.release();
    }

    /// What was held back arrives at this server in one turn; gives what it told its learners in that.
    pub(super) fn release_in_one_turn(&mut self, index: usize) -> Vec<Packet> {
        self.held.remove(&index);
        let (here, others) = std::mem::take(&mut self.waiting).into_iter().partition::<VecDeque<_>, _>(|(at, _)| *at == index);
        self.waiting = others;
        let (now, node) = (self.now(), &mut self.nodes[index]);
        node.replica.handle(now, here.into_iter().map(|(_, input)| input), &mut node.outside);
        let outputs = std::mem::take(&mut node.outside.outputs);
        let told = outputs.iter().filter_map(|output| if let Output::ToLearner(_, packet) = output { Some(packet.clone()) } else { None });
        let told = told.collect();
        outputs.into_iter().for_each(|output| self.carry_out(index, output));
        self.run();
        told
    }

    /// Time passes, in steps, with ticks for the core and for sessions.
    pub(super) fn advance(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            self.now_ms += 5;
            for index in (0..self.nodes.len()).filter(|index| !self.stopped.contains(index)).collect::<Vec<_>>() {
                if self.nodes[index].replica.wake_ms().is_some_and(|wake_ms| wake_ms <= self.now_ms) {
                    self.give(index, Input::Zab(zab::Input::Tick));
                }
                if self.now_ms % TICK_MS == 0 {
                    self.give(index, Input::Tick);
                }
            }
        }
    }

    fn zab(&mut self, to: usize, input: zab::Input) {
        self.inbox.push_back((to, Input::Zab(input)));
    }

    fn other_end(&self, end: (usize, LinkId)) -> Option<(usize, LinkId)> {
        self.links.iter().find_map(|&(learner, leader)| match end {
            end if end == learner => Some(leader),
            end if end == leader => Some(learner),
            _ => None,
        })
    }

    /// A link breaks: the other end hears of it.
    fn close(&mut self, end: (usize, LinkId)) {
        let Some((other, link)) = self.other_end(end) else { return };
        let is_leader = self.links.iter().any(|&(_, leader)| leader == (other, link));
        self.links.retain(|&(learner, leader)| learner != end && leader != end);
        self.zab(other, if is_leader { zab::Input::LearnerDisconnected(link) } else { zab::Input::LeaderDisconnected(link) });
    }

    /// Every link of a server breaks, as if it were cut off.
    pub(super) fn cut_off(&mut self, index: usize) {
        let ends: Vec<_> = self.links.iter().flat_map(|&(learner, leader)| [learner, leader]).filter(|end| end.0 == index).collect();
        for end in ends {
            self.close(end);
            let is_leader = end.1.0 >= LEADER_LINKS;
            self.zab(end.0, if is_leader { zab::Input::LearnerDisconnected(end.1) } else { zab::Input::LeaderDisconnected(end.1) });
        }
        self.run();
    }

    /// All servers reach one another again.
    pub(super) fn heal(&mut self) {
        let (isolated, count) = (std::mem::take(&mut self.isolated), self.nodes.len());
        for (one, other) in isolated.iter().flat_map(|&one| (0..count).map(move |other| (one, other))) {
            if one != other {
                self.zab(one, zab::Input::PeerReachable(ServerId(other as i64 + 1)));
                self.zab(other, zab::Input::PeerReachable(ServerId(one as i64 + 1)));
            }
        }
        self.run();
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        self.isolated.contains(&one) || self.isolated.contains(&other)
    }

    /// The server through which an observer observes.
    pub(super) fn master_of(&self, observer: usize) -> usize {
        self.nodes[observer].replica.learner_master().expect("it observes").0 as usize - 1
    }

    fn connect(&mut self, learner: (usize, LinkId), leader: ServerId, is_open: fn(&Node) -> bool) {
        let leader = leader.0 as usize - 1;
        if !is_open(&self.nodes[leader]) || self.are_apart(learner.0, leader) {
            return self.zab(learner.0, zab::Input::LeaderDisconnected(learner.1));
        }
        self.next_link += 1;
        let accepted = LinkId(self.next_link);
        self.links.push((learner, (leader, accepted)));
        self.zab(leader, zab::Input::LearnerConnected(accepted));
        self.zab(learner.0, zab::Input::LeaderConnected(learner.1));
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        let id = ServerId(index as i64 + 1);
        match output {
            Output::Append { zxid, .. } => self.zab(index, zab::Input::Persisted(zxid)),
            Output::StoreAcceptedEpoch(epoch) => self.zab(index, zab::Input::AcceptedEpochStored(epoch)),
            Output::StoreCurrentEpoch(epoch) => self.zab(index, zab::Input::CurrentEpochStored(epoch)),
            Output::Notify { to, .. } if self.are_apart(index, to.0 as usize - 1) => {}
            Output::Notify { to, notification } => {
                self.zab(to.0 as usize - 1, zab::Input::Notification { from: id, notification });
            }
            Output::OpenQuorumPort => self.nodes[index].port_is_open = true,
            Output::OpenObserverMasterPort => self.nodes[index].serves_observers = true,
            Output::CloseQuorumPort => {
                self.nodes[index].port_is_open = false;
                self.nodes[index].serves_observers = false;
                let own: Vec<_> = self.links.iter().map(|&(_, leader)| leader).filter(|leader| leader.0 == index).collect();
                own.into_iter().for_each(|end| self.close(end));
            }
            Output::ConnectLeader { link, leader } => self.connect((index, link), leader, |node| node.port_is_open),
            Output::ConnectMaster { link, master } => self.connect((index, link), master, |node| node.serves_observers),
            Output::ToLeader(link, packet) => {
                if let Packet::Rider(rider) = &packet
                    && rider.kind == RiderKind::Ping
                {
                    self.touches.push((index, riders::read_touches(rider).collect()));
                }
                if let Some((leader, accepted)) = self.other_end((index, link)) {
                    self.zab(leader, zab::Input::LearnerPacket(accepted, packet));
                }
            }
            Output::ToLearner(link, packet) => {
                if let Some((learner, dialled)) = self.other_end((index, link)) {
                    self.zab(learner, zab::Input::LeaderPacket(dialled, packet));
                }
            }
            Output::CloseLearner(link, _) | Output::DisconnectLeader(link) => self.close((index, link)),
            Output::Role(_) => {}
            other => panic!("a test does without it: {other:?}"),
        }
    }

    // Clients.

    /// A client opens a session with a timeout of `timeout_ms`; gives it.
    pub(super) fn open(&mut self, index: usize, slot: u32, timeout_ms: i32) -> Arc<SessionCell> {
        self.give(index, Input::OpenSession { connection: connection(slot), timeout_ms, takes_read_only: false });
        Arc::clone(self.nodes[index].outside.open.get(&connection(slot)).expect("the session is open"))
    }

    /// A client comes back to a session, with the right password.
    pub(super) fn resume(&mut self, index: usize, slot: u32, session: SessionId, timeout_ms: i32) {
        self.give(index, resumption(slot, session, timeout_ms));
    }

    pub(super) fn request(&mut self, index: usize, slot: u32, xid: i32, op: OpCode, body: Vec<u8>) {
        let request = self.request_of(index, slot, xid, op, body);
        self.give(index, Input::Request(request));
    }

    pub(super) fn request_of(&self, index: usize, slot: u32, xid: i32, op: OpCode, body: Vec<u8>) -> Request {
        let connection = connection(slot);
        let session = Arc::clone(self.nodes[index].outside.open.get(&connection).expect("the session is open"));
        let identities = [Identity::new("ip", "127.0.0.1")].into();
        Request { connection, session, xid, op, body: body.into(), identities }
    }

    /// A learner forwards a request of whatever session.
    pub(super) fn forward(&mut self, learner: usize, session: SessionId, cxid: i32, op: OpCode, body: Vec<u8>) {
        let rider = Forwarded { session, cxid, op, body: body.into() }.rider(&[Identity::new("ip", "127.0.0.1")]);
        self.give(learner, Input::Zab(zab::Input::ToLeader(rider)));
    }

    /// What a client was told so far.
    pub(super) fn told(&self, index: usize, slot: u32) -> &[Told] {
        self.nodes[index].outside.told.get(&connection(slot)).map_or(&[], Vec::as_slice)
    }

    /// Whether a znode is there, on each server.
    pub(super) fn has(&self, path: &str) -> Vec<bool> {
        self.nodes.iter().map(|node| node.shared.tree.read().find(path).is_some()).collect()
    }

    /// All servers have applied the same.
    pub(super) fn agree(&self) {
        let state = |node: &Node| {
            let tree = node.shared.tree.read();
            let sessions: Vec<(SessionId, i32)> = node.replica.sessions().iter().collect();
            (tree.last_zxid(), tree.digest(), sessions)
        };
        let first = state(&self.nodes[0]);
        assert!(first.0.epoch() > Epoch(0));
        for node in &self.nodes {
            assert_eq!(state(node), first, "all servers have applied the same");
        }
    }
}
