//! Complete replicas over a simulated network and disk, from one seed: a queue of events, and nothing else that decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use paddock::ids::{ConnectionId, ServerId, SessionId, Zxid};
use paddock::proto::error_code::ErrorCode;
use paddock::replica::{Effects, Input, LocalSessions, Now, READER, Replica, ReplicaSettings, Shared, View};
use paddock::request::prepare::WriteRules;
use paddock::request::read::ReadContext;
use paddock::session::SessionCell;
use paddock::tree::acl::AclList;
use paddock::tree::apply::Applied;
use paddock::tree::data_tree::DataTree;
use paddock::tree::watch::{EventType, WatchAccess, Watcher};
use paddock::zab::{self, HistoryLimits, LinkId, Membership, Notification, Output, Packet, RoleChange, ServerState, Settings, Timing};

use crate::disk::{Disk, History, Write};
use crate::members;
use crate::random::Random;
use crate::requests::Read;

pub const TICK_MS: i64 = 100;
/// A run that takes more events than this leads nowhere.
const EVENTS_MAX: u64 = 2_000_000;
/// The links of leaders have numbers from here on.
const LEADER_LINKS: u64 = 1 << 32;

/// The paths that a write created, or why it failed and at which of its parts.
pub type Answer = Result<Vec<String>, (ErrorCode, usize)>;

/// A read that waits for the write before it.
struct Behind {
    session: SessionId,
    xid: i32,
    read: Read,
}

/// What a client hears.
#[derive(Clone, Debug)]
pub enum Told {
    Opened(Arc<SessionCell>),
    Refused,
    Closed,
    Reply {
        xid: i32,
        zxid: Zxid,
        answer: Answer,
        children: Vec<String>,
    },
    /// The answer to a read, as a frame.
    Read {
        xid: i32,
        zxid: Zxid,
        frame: Vec<u8>,
    },
    Event {
        zxid: Zxid,
        event: EventType,
        path: String,
    },
}

pub enum Event {
    Input {
        node: usize,
        run: u64,
        input: Input,
    },
    Wake {
        node: usize,
        run: u64,
    },
    Tick,
    Disk {
        node: usize,
        run: u64,
    },
    /// Something that a client is told.
    Client {
        connection: ConnectionId,
        told: Told,
    },
    Workload,
    Fault,
}

/// The effects of a turn.
#[derive(Default)]
struct Turn {
    outputs: Vec<Output>,
    told: Vec<(ConnectionId, Told)>,
    behind: BTreeMap<ConnectionId, Behind>,
}

fn answer(applied: &Applied<'_>) -> Answer {
    match applied {
        Applied::Failed(error) => Err((*error, 0)),
        Applied::Created { path, .. } => Ok(vec![(*path).to_owned()]),
        Applied::Multi(parts) => {
            let mut created = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                match part {
                    // Stands for a part before the one that failed.
                    Applied::Failed(ErrorCode::OK) => {}
                    Applied::Failed(error) => return Err((*error, index)),
                    part => created.extend(answer(part)?),
                }
            }
            Ok(created)
        }
        _ => Ok(Vec::new()),
    }
}

/// Answers a read, and sets its watch.
fn look(tree: &DataTree, watches: WatchAccess<'_>, connection: ConnectionId, Behind { session, xid, read }: &Behind) -> Told {
    let ((op, body), mut frame) = (read.encode(), Vec::new());
    ReadContext::new(tree, watches, (connection.slot, *session), &[], false).answer(*xid, op, &body, &mut frame);
    Told::Read { xid: *xid, zxid: tree.last_zxid(), frame }
}

impl Effects for Turn {
    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        self.outputs.push(Output::Append { zxid, payload });
    }
    fn carry_out(&mut self, output: Output) {
        self.outputs.push(output);
    }
    fn reply(&mut self, view: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>) {
        let zxid = view.tree.last_zxid();
        let children = if matches!(applied, Applied::Synced(_)) { names(view.tree) } else { Vec::new() };
        self.told.push((connection, Told::Reply { xid, zxid, answer: answer(applied), children }));
        if let Some(behind) = self.behind.remove(&connection) {
            self.told.push((connection, look(view.tree, view.watches.reborrow(), connection, &behind)));
        }
    }
    fn event(&mut self, watchers: &[Watcher], zxid: Zxid, event: EventType, path: &str, _: &AclList) {
        for &slot in watchers {
            self.told.push((ConnectionId { slot, generation: 0 }, Told::Event { zxid, event, path: path.to_owned() }));
        }
    }
    fn written(&mut self, _: &str, _: usize) {}
    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>) {
        self.told.push((connection, Told::Opened(session)));
    }
    fn session_refused(&mut self, connection: ConnectionId) {
        self.told.push((connection, Told::Refused));
    }
    fn close(&mut self, connection: ConnectionId) {
        self.told.push((connection, Told::Closed));
    }
    fn session_expired(&mut self, _: &SessionCell) {}
    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64) {
        panic!("equal digests at equal zxids: {zxid} is {got:#x} instead of {expected:#x}");
    }
}

/// The znodes below the root.
pub fn names(tree: &DataTree) -> Vec<String> {
    tree.find("/").map(|root| tree.child_names(root).map(str::to_owned).collect()).unwrap_or_default()
}

pub struct Node {
    pub replica: Option<Replica>,
    pub shared: Arc<Shared>,
    pub run: u64,
    pub disk: Disk,
    pub serving: Option<ServerState>,
    connections: BTreeSet<ConnectionId>,
    behind: BTreeMap<ConnectionId, Behind>,
    port_is_open: bool,
    serves_observers: bool,
    wake_at: Option<i64>,
    received: Option<(Zxid, History)>,
    frozen: BTreeMap<LinkId, (Zxid, History)>,
}

type End = (usize, LinkId);

struct Link {
    learner: End,
    leader: End,
    /// When the last packet to each arrives.
    arrivals: [i64; 2],
}

pub struct World {
    pub now: i64,
    pub random: Random,
    pub nodes: Vec<Node>,
    pub cut: BTreeSet<(usize, usize)>,
    events: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    links: Vec<Link>,
    next_link: u64,
    last_mail: BTreeMap<(usize, usize), Notification>,
    membership: Membership,
    pub changes: bool,
    limits: HistoryLimits,
    pub local_sessions: LocalSessions,
    /// Observers come to followers.
    has_observer_masters: bool,
    latency_max_ms: i64,
    disk_max_ms: i64,
    count: u64,
    trace: bool,
}

impl World {
    /// With `changes` clients may ask for other members.
    pub fn new(seed: u64, changes: bool, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let (voters, observers) = (random.pick(&[3, 3, 5]).expect("there are some"), random.between(0, 1));
        let ids: Vec<ServerId> = (1..=voters + observers).map(ServerId).collect();
        let membership = Membership::new(members::first(voters as usize, ids.len()));
        let delivered_count_max = [0, 2, 500][random.between(0, 2) as usize];
        let limits = HistoryLimits { delivered_count_max, delivered_bytes_max: 1 << 20 };
        let (latency_max_ms, disk_max_ms) = (random.between(0, 8), random.between(0, 8));
        let nodes = ids.iter().map(|_| Node::new(Disk::default())).collect();
        let mut world = Self {
            now: 0,
            random,
            nodes,
            cut: BTreeSet::new(),
            events: BTreeMap::new(),
            sequence: 0,
            links: Vec::new(),
            next_link: LEADER_LINKS,
            last_mail: BTreeMap::new(),
            membership,
            changes,
            limits,
            local_sessions: [LocalSessions::Off, LocalSessions::Kept, LocalSessions::Upgraded][(seed % 3) as usize],
            has_observer_masters: seed % 2 == 1,
            latency_max_ms,
            disk_max_ms,
            count: 0,
            trace,
        };
        (0..ids.len()).for_each(|node| world.start(node));
        world.at(TICK_MS, Event::Tick);
        world
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>7} {}", self.now, text());
        }
    }

    pub fn at(&mut self, time: i64, event: Event) {
        self.sequence += 1;
        self.events.insert((time.max(self.now), self.sequence), event);
    }

    fn latency(&mut self) -> i64 {
        self.random.between(0, self.latency_max_ms)
    }

    /// The next event that is not the world's own, or none until `until`.
    pub fn run_until(&mut self, until: i64) -> Option<Event> {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((time, _), event) = entry.remove_entry();
            self.now = time;
            self.count += 1;
            assert!(self.count < EVENTS_MAX, "the servers keep one another busy for ever");
            match event {
                Event::Input { node, run, input } if self.nodes[node].run == run => self.turn(node, vec![input]),
                Event::Wake { node, run } if self.nodes[node].run == run => {
                    self.nodes[node].wake_at = None;
                    self.turn(node, vec![Input::Zab(zab::Input::Tick)]);
                }
                Event::Disk { node, run } if self.nodes[node].run == run => self.disk_done(node),
                Event::Tick => {
                    (0..self.nodes.len()).for_each(|node| self.turn(node, vec![Input::Tick]));
                    self.at(self.now + TICK_MS, Event::Tick);
                }
                Event::Input { .. } | Event::Wake { .. } | Event::Disk { .. } => {}
                event => return Some(event),
            }
        }
        self.now = until;
        None
    }

    fn clock(&self) -> Now {
        Now { wall_ms: 1_000_000 + self.now, monotonic_ms: self.now }
    }

    // Servers.

    pub fn start(&mut self, node: usize) {
        if self.nodes[node].replica.is_some() {
            return;
        }
        let id = ServerId(node as i64 + 1);
        let disk = std::mem::take(&mut self.nodes[node].disk);
        let (tree, sessions) = disk.state();
        let recovered = disk.recovered(self.random.between(0, 9) as usize);
        let run = self.nodes[node].run + 1;
        let shared = Arc::new(Shared::new(tree, 1));
        let reconfig_enabled = self.changes;
        let rules = WriteRules { close_session_txn: true, reconfig_enabled, skip_acl: true, voters_min: 2, ..WriteRules::default() };
        let settings = ReplicaSettings {
            server_id: id.0 as u8,
            tick_time_ms: TICK_MS,
            sessions_max: 1_000,
            read_only_delay_ms: None,
            local_sessions: self.local_sessions,
            seed: 1,
            rules,
        };
        let ensemble = Settings {
            server_id: id,
            membership: self.membership.clone(),
            reader: self.changes.then_some(READER),
            is_standalone: false,
            timing: Timing { notification_max_ms: 1000, ..Timing::new(TICK_MS, 20, 10) },
            history: self.limits,
            reads_disk: self.random.chance(70),
            forces_snapshot: false,
            has_observer_masters: self.has_observer_masters,
            seed: self.random.next(),
        };
        self.say(|| format!("{node} starts at {}", recovered.last_zxid));
        let replica = Replica::member(settings, (ensemble, recovered), Arc::clone(&shared), &sessions, self.clock());
        self.nodes[node] = Node { replica: Some(replica), shared, run, ..Node::new(disk) };
        self.turn(node, Vec::new());
        for peer in (0..self.nodes.len()).filter(|&peer| peer != node) {
            self.reach(node, peer);
            self.reach(peer, node);
        }
    }

    /// There is a new connection between two election ports: what was said last is said again.
    pub fn reach(&mut self, from: usize, to: usize) {
        if self.nodes[from].replica.is_none() || self.nodes[to].replica.is_none() || self.cut.contains(&(from, to)) {
            return;
        }
        self.zab_later(from, zab::Input::PeerReachable(ServerId(to as i64 + 1)));
        if let Some(notification) = self.last_mail.get(&(from, to)).cloned() {
            self.zab_later(to, zab::Input::Notification { from: ServerId(from as i64 + 1), notification });
        }
    }

    pub fn crash(&mut self, node: usize) {
        if self.nodes[node].replica.take().is_none() {
            return;
        }
        self.say(|| format!("{node} crashes"));
        let own = &mut self.nodes[node];
        own.disk.crash();
        (own.run, own.serving) = (own.run + 1, None);
        self.close_all(node);
        self.last_mail.retain(|&(from, _), _| from != node);
        for end in self.ends_of(node) {
            self.break_link(end);
        }
        for peer in (0..self.nodes.len()).filter(|&peer| peer != node) {
            self.zab_later(peer, zab::Input::PeerUnreachable(ServerId(node as i64 + 1)));
        }
    }

    fn ends_of(&self, node: usize) -> Vec<End> {
        self.links.iter().flat_map(|link| [link.learner, link.leader]).filter(|end| end.0 == node).collect()
    }

    /// Cuts a server off from all others: both ends of each link learn it.
    pub fn isolate(&mut self, node: usize) {
        self.say(|| format!("{node} is cut off"));
        for peer in (0..self.nodes.len()).filter(|&peer| peer != node) {
            self.cut.extend([(node, peer), (peer, node)]);
        }
        for end in self.ends_of(node) {
            self.break_link(end);
            self.hang_up(end);
        }
    }

    pub fn heal(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        cut.into_iter().for_each(|(from, to)| self.reach(from, to));
    }

    // Connections of clients.

    pub fn connect_client(&mut self, node: usize, connection: ConnectionId) {
        self.nodes[node].connections.insert(connection);
    }

    /// A connection ends, and its watches with it. False when it had ended before.
    pub fn end(&mut self, node: usize, connection: ConnectionId) -> bool {
        let own = &mut self.nodes[node];
        own.behind.remove(&connection);
        own.shared.watches.lock().remove_watcher(connection.slot);
        own.connections.remove(&connection)
    }

    fn close_all(&mut self, node: usize) {
        for connection in self.nodes[node].connections.clone() {
            self.end(node, connection);
            self.tell(connection, Told::Closed);
        }
    }

    /// A read: it is answered at once, or right after the write that its client waits for.
    pub fn read(&mut self, node: usize, (connection, session): (ConnectionId, SessionId), (xid, read): (i32, Read), waits: bool) {
        let own = &mut self.nodes[node];
        if !own.connections.contains(&connection) {
            return;
        }
        let behind = Behind { session, xid, read };
        if waits {
            own.behind.insert(connection, behind);
            return;
        }
        let shared = Arc::clone(&own.shared);
        let told = look(&shared.tree.read(), WatchAccess::Free(&shared.watches), connection, &behind);
        self.tell(connection, told);
    }

    // Turns.

    pub fn turn(&mut self, node: usize, inputs: Vec<Input>) {
        let now = self.clock();
        let mut turn = Turn { behind: std::mem::take(&mut self.nodes[node].behind), ..Turn::default() };
        let Some(replica) = &mut self.nodes[node].replica else { return };
        replica.handle(now, inputs, &mut turn);
        self.nodes[node].behind = turn.behind;
        for output in turn.outputs {
            self.carry_out(node, output);
        }
        for (connection, told) in turn.told {
            self.tell(connection, told);
        }
        self.schedule(node);
    }

    fn schedule(&mut self, node: usize) {
        let Some(wake_ms) = self.nodes[node].replica.as_ref().and_then(Replica::wake_ms) else { return };
        let at = wake_ms.max(self.now + 1);
        if self.nodes[node].wake_at.is_none_or(|wake_at| at < wake_at) {
            self.nodes[node].wake_at = Some(at);
            let run = self.nodes[node].run;
            self.at(at, Event::Wake { node, run });
        }
    }

    fn tell(&mut self, connection: ConnectionId, told: Told) {
        let at = self.now + 1;
        self.at(at, Event::Client { connection, told });
    }

    fn disk_done(&mut self, node: usize) {
        let applied = self.nodes[node].shared.tree.read().last_zxid();
        let Some(done) = self.nodes[node].disk.step(applied) else { return };
        if !self.nodes[node].disk.is_idle() {
            self.start_disk(node);
        }
        let now = self.clock();
        if let (Some(state), Some(replica)) = (done.reload, &mut self.nodes[node].replica) {
            replica.reload(state, now);
        }
        self.turn(node, vec![Input::Zab(done.answer)]);
    }

    fn start_disk(&mut self, node: usize) {
        let at = self.now + self.random.between(0, self.disk_max_ms);
        let run = self.nodes[node].run;
        self.at(at, Event::Disk { node, run });
    }

    fn write(&mut self, node: usize, write: Write) {
        let was_idle = self.nodes[node].disk.is_idle();
        self.nodes[node].disk.push(write);
        if was_idle {
            self.start_disk(node);
        }
    }

    fn zab_later(&mut self, node: usize, input: zab::Input) {
        let (at, run) = (self.now + self.latency(), self.nodes[node].run);
        self.at(at, Event::Input { node, run, input: Input::Zab(input) });
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Append { zxid, payload } => self.write(node, Write::Append(zxid, payload)),
            Output::StoreAcceptedEpoch(epoch) => self.write(node, Write::AcceptedEpoch(epoch)),
            Output::StoreCurrentEpoch(epoch) => self.write(node, Write::CurrentEpoch(epoch)),
            Output::Truncate(to) => self.write(node, Write::Truncate(to)),
            Output::InstallSnapshot(zxid) => {
                let (_, history) = self.nodes[node].received.take().expect("a received snapshot is installed");
                self.write(node, Write::Install(zxid, history));
            }
            Output::Notify { to, notification } => {
                let to = to.0 as usize - 1;
                self.last_mail.insert((node, to), notification.clone());
                if !self.cut.contains(&(node, to)) {
                    self.zab_later(to, zab::Input::Notification { from: ServerId(node as i64 + 1), notification });
                }
            }
            Output::OpenQuorumPort => self.nodes[node].port_is_open = true,
            Output::OpenObserverMasterPort => self.nodes[node].serves_observers = true,
            Output::CloseQuorumPort => {
                self.nodes[node].port_is_open = false;
                self.nodes[node].serves_observers = false;
                self.nodes[node].frozen.clear();
                let ends = self.ends_of(node);
                ends.into_iter().filter(|end| end.1.0 >= LEADER_LINKS).for_each(|end| self.break_link(end));
            }
            Output::ConnectLeader { link, leader } => self.connect((node, link), leader.0 as usize - 1, |leader| leader.port_is_open),
            Output::ConnectMaster { link, master } => {
                self.connect((node, link), master.0 as usize - 1, |master| master.serves_observers);
            }
            Output::ToLearner(link, packet) | Output::ToLeader(link, packet) => self.send((node, link), packet),
            Output::CloseLearner(link, _) | Output::DisconnectLeader(link) => {
                (self.nodes[node].received, _) = (None, self.nodes[node].frozen.remove(&link));
                self.break_link((node, link));
            }
            Output::ReadHistory { link, after } => {
                let count = self.random.between(1, 5) as usize;
                let slice = self.nodes[node].disk.read(after, count);
                self.zab_later(node, zab::Input::HistoryRead(link, slice));
            }
            Output::TakeSnapshot(link) => {
                let zxid = self.nodes[node].shared.tree.read().last_zxid();
                let history = self.nodes[node].disk.history_to(zxid);
                self.nodes[node].frozen.insert(link, (zxid, history));
                self.zab_later(node, zab::Input::SnapshotTaken(link, zxid));
            }
            Output::StreamSnapshot(link) => self.stream(node, link),
            Output::Role(change) => self.role(node, change),
            Output::ConfigurationProposed(_) | Output::ConfigurationActivated(_) => {}
            Output::Deliver { .. } | Output::FromLearner(..) | Output::FromLeader(_) | Output::SyncConfirmed(_) => {
                unreachable!("the replica uses these up itself")
            }
        }
    }

    fn role(&mut self, node: usize, change: RoleChange) {
        self.say(|| format!("{node} {change:?}"));
        match change {
            RoleChange::Serving { state, .. } => self.nodes[node].serving = Some(state),
            RoleChange::Looking { .. } | RoleChange::Stopped => {
                self.nodes[node].serving = None;
                self.close_all(node);
            }
            RoleChange::Elected { .. } | RoleChange::Discovered { .. } => {}
        }
    }

    // Links.

    fn connect(&mut self, learner: End, leader: usize, is_open: fn(&Node) -> bool) {
        if !is_open(&self.nodes[leader]) || self.nodes[leader].replica.is_none() || self.cut.contains(&(learner.0, leader)) {
            return self.zab_later(learner.0, zab::Input::LeaderDisconnected(learner.1));
        }
        self.next_link += 1;
        let end = (leader, LinkId(self.next_link));
        self.links.push(Link { learner, leader: end, arrivals: [self.now; 2] });
        self.arrive(end, zab::Input::LearnerConnected(end.1));
        self.arrive(learner, zab::Input::LeaderConnected(learner.1));
    }

    fn other(&self, end: End) -> Option<End> {
        self.links.iter().find_map(|link| match end {
            end if end == link.learner => Some(link.leader),
            end if end == link.leader => Some(link.learner),
            _ => None,
        })
    }

    /// Something arrives at an end, behind everything that was sent there before.
    fn arrive(&mut self, end: End, input: zab::Input) {
        let at = self.now + self.latency();
        let Some(link) = self.links.iter_mut().find(|link| link.learner == end || link.leader == end) else { return };
        let arrival = &mut link.arrivals[usize::from(link.leader == end)];
        *arrival = at.max(*arrival);
        let (at, run) = (*arrival, self.nodes[end.0].run);
        self.at(at, Event::Input { node: end.0, run, input: Input::Zab(input) });
    }

    fn send(&mut self, from: End, packet: Packet) {
        let Some(to) = self.other(from) else { return };
        let is_leader = to.1.0 >= LEADER_LINKS;
        self.arrive(to, if is_leader { zab::Input::LearnerPacket(to.1, packet) } else { zab::Input::LeaderPacket(to.1, packet) });
    }

    fn stream(&mut self, node: usize, link: LinkId) {
        let Some(frozen) = self.nodes[node].frozen.remove(&link) else { return };
        if let Some(to) = self.other((node, link)) {
            // A snapshot that is not the newest comes too late: its link is gone.
            self.nodes[to.0].received = Some(frozen);
            self.arrive(to, zab::Input::SnapshotReceived(to.1));
        }
        self.zab_later(node, zab::Input::SnapshotSent(link));
    }

    /// One end closes a link: the other hears of it.
    fn break_link(&mut self, end: End) {
        let Some(other) = self.other(end) else { return };
        let is_leader = other.1.0 >= LEADER_LINKS;
        let input = if is_leader { zab::Input::LearnerDisconnected(other.1) } else { zab::Input::LeaderDisconnected(other.1) };
        self.arrive(other, input);
        self.links.retain(|link| link.learner != end && link.leader != end);
    }

    /// The network closes it for this end too.
    fn hang_up(&mut self, end: End) {
        let is_leader = end.1.0 >= LEADER_LINKS;
        self.zab_later(end.0, if is_leader { zab::Input::LearnerDisconnected(end.1) } else { zab::Input::LeaderDisconnected(end.1) });
    }

    /// Every server serves.
    pub fn is_at_rest(&self) -> bool {
        let end = |node: &Node| node.shared.tree.read().last_zxid();
        self.nodes.iter().all(|node| node.serving.is_some() && end(node) == end(&self.nodes[0]))
    }

    /// All sessions that a server knows, local ones among them, and who owns its ephemerals.
    pub fn sessions(&self, node: usize) -> (Vec<SessionId>, Vec<SessionId>) {
        let replica = self.nodes[node].replica.as_ref().expect("it runs");
        let tables = [Some(replica.sessions()), replica.local_sessions()];
        let sessions = tables.into_iter().flatten().flat_map(|table| table.cells().map(|cell| cell.id())).collect();
        (sessions, self.nodes[node].shared.tree.read().ephemeral_owners().collect())
    }
}

impl Node {
    fn new(disk: Disk) -> Self {
        let (tree, _) = Disk::default().state();
        Self {
            replica: None,
            shared: Arc::new(Shared::new(tree, 1)),
            run: 0,
            disk,
            serving: None,
            connections: BTreeSet::new(),
            behind: BTreeMap::new(),
            port_is_open: false,
            serves_observers: false,
            wake_at: None,
            received: None,
            frozen: BTreeMap::new(),
        }
    }
}
