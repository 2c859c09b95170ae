//! N cores over a simulated network, disk and clock, from one seed: a queue of events, and nothing else that decides.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{
    Configuration, HistoryLimits, Input, LinkId, Membership, Notification, Output, Packet, RiderKind, RoleChange, ServerState, Settings,
    SyncId, Timing, Zab, answer_ping,
};

use crate::checkers::Checkers;
use crate::disk::{Disk, State, Write, id_of};
use crate::members;
use crate::network::{End, Message, Network, Stream};
use crate::random::Random;

/// A stream whose path is cut is looked at again after this time, ms.
const STALL_MS: i64 = 7;
/// A connection attempt over a cut path is given up after this time, ms.
const CONNECT_TIMEOUT_MS: i64 = 150;

/// A run that takes more events than this leads nowhere; usual are 10,000.
const EVENTS_MAX: u64 = 500_000;

#[derive(Clone, Debug)]
pub enum Event {
    Wake { node: usize, run: u64 },
    Disk { node: usize, run: u64 },
    Stream { stream: usize, end: usize },
    Mail { from: usize, to: usize },
    Answer { node: usize, run: u64, input: Input },
    Connect { learner: usize, run: u64, link: LinkId, leader: usize, is_master: bool },
    Unreachable { node: usize, run: u64, peer: usize },
    Restart { node: usize },
    Fault,
    Workload,
}

/// One server.
pub struct Node {
    pub id: ServerId,
    pub zab: Option<Zab>,
    /// Counts its starts.
    pub run: u64,
    pub disk: Disk,
    pub state: State,
    /// It speaks as a Java server does: one ACK and one COMMIT for each txn, and no exact truncation.
    pub is_java: bool,
    pub serving: Option<(ServerState, Epoch)>,
    /// Its clock runs at `rate` thousandths of the true time.
    rate: i64,
    wake_at: Option<i64>,
    links: BTreeMap<LinkId, (usize, usize)>,
    port_is_open: bool,
    serves_observers: bool,
    received: Option<State>,
    frozen: BTreeMap<LinkId, State>,
    /// Proposals whose clients wait.
    proposed: VecDeque<(Zxid, u64)>,
    /// Syncs, with what was acknowledged when they came.
    syncs: BTreeMap<SyncId, usize>,
    pub disk_max_ms: i64,
    /// What its file says of the members; `None`: what the operators wrote.
    file: Option<Configuration>,
    /// Its file can be written.
    keeps_file: bool,
}

pub struct World {
    pub now: i64,
    pub random: Random,
    events: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    pub nodes: Vec<Node>,
    pub network: Network,
    pub checkers: Checkers,
    /// What the operators wrote.
    first: Configuration,
    /// Members change, and this decides how: with it other decisions stay what they are without.
    changes: Option<Random>,
    timing: Timing,
    limits: HistoryLimits,
    reads_disk: bool,
    /// Observers come to followers.
    has_observer_masters: bool,
    next_id: u64,
    next_sync: u64,
    trace: bool,
    pub event_count: u64,
    /// How often other members were proposed.
    pub change_count: usize,
}

impl World {
    pub fn new(seed: u64, changes: bool, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let mut changes = changes.then(|| Random::new(!seed));
        let voters = [3, 3, 3, 5, 5, 4, 2][random.between(0, 6) as usize];
        let observers = if random.chance(30) { random.between(1, 2) as usize } else { 0 };
        let spares = changes.as_mut().map_or(0, |random| random.between(0, 2) as usize);
        let count = voters + observers + spares;
        let ids: Vec<ServerId> = (1..=count as i64).map(ServerId).collect();
        let java_percent = [0, 0, 50, 100][random.between(0, 3) as usize];
        let nodes = ids.iter().map(|&id| Node::new(id, random.chance(java_percent), random.between(950, 1050))).collect();
        let mut timing = Timing::new(100, 10, 5);
        timing.notification_max_ms = 2000;
        let delivered_count_max = [0, 1, 3, 10, 500][random.between(0, 4) as usize];
        let mut world = Self {
            now: 0,
            events: BTreeMap::new(),
            sequence: 0,
            nodes,
            network: Network::new(count, [0, 2, 5, 20][random.between(0, 3) as usize], [0, 5, 30][random.between(0, 2) as usize]),
            checkers: Checkers::default(),
            first: members::first(voters, observers),
            changes,
            timing,
            limits: HistoryLimits { delivered_count_max, delivered_bytes_max: 1 << 20 },
            reads_disk: random.chance(70),
            has_observer_masters: seed % 2 == 1,
            next_id: 0,
            next_sync: 0,
            random,
            trace,
            event_count: 0,
            change_count: 0,
        };
        if let Some(random) = &mut world.changes {
            world.nodes.iter_mut().for_each(|node| node.keeps_file = random.chance(80));
        }
        for node in 0..count {
            let at = world.random.between(0, 300);
            world.at(at, Event::Restart { node });
        }
        world.at(1, Event::Workload);
        world
    }

    pub fn init_limit_ms(&self) -> i64 {
        self.timing.init_limit_ms()
    }

    pub fn at(&mut self, time: i64, event: Event) {
        self.sequence += 1;
        self.events.insert((time.max(self.now), self.sequence), event);
    }

    pub fn after(&mut self, delay: i64, event: Event) {
        self.at(self.now + delay, event);
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>7} {}", self.now, text());
        }
    }

    /// The next event that the world itself does not handle, or none until `until`.
    pub fn run_until(&mut self, until: i64) -> Option<Event> {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((time, _), event) = entry.remove_entry();
            self.now = time;
            self.event_count += 1;
            assert!(self.event_count < EVENTS_MAX, "Liveness: the servers keep one another busy for ever");
            match event {
                Event::Fault => return Some(event),
                event => self.handle(event),
            }
        }
        self.now = until;
        None
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake { node, run } => {
                if self.is_run(node, run) {
                    self.nodes[node].wake_at = None;
                    self.input(node, Input::Tick);
                }
            }
            Event::Disk { node, run } => {
                if self.is_run(node, run) {
                    self.disk_done(node);
                }
            }
            Event::Stream { stream, end } => self.deliver(stream, end),
            Event::Mail { from, to } => self.mail(from, to),
            Event::Answer { node, run, input } => {
                if self.is_run(node, run) {
                    self.answer(node, input);
                }
            }
            Event::Connect { learner, run, link, leader, is_master } => self.connect((learner, run, link), leader, is_master),
            Event::Unreachable { node, run, peer } => {
                if self.is_run(node, run) && self.nodes[peer].zab.is_none() {
                    let peer = self.nodes[peer].id;
                    self.input(node, Input::PeerUnreachable(peer));
                }
            }
            Event::Restart { node } => self.restart(node),
            Event::Workload => self.workload(),
            Event::Fault => unreachable!("faults are handled outside"),
        }
    }

    fn is_run(&self, node: usize, run: u64) -> bool {
        self.nodes[node].run == run && self.nodes[node].zab.is_some()
    }

    // Starts and ends.

    pub fn restart(&mut self, node: usize) {
        if self.nodes[node].zab.is_some() {
            return;
        }
        let recent = self.random.between(0, 5) as usize;
        let run = self.nodes[node].run + 1;
        let (recovered, state) = self.nodes[node].disk.recover(recent);
        let mut membership = Membership::new(self.nodes[node].file.clone().unwrap_or_else(|| self.first.clone()));
        members::newest(&state).into_iter().for_each(|newest| membership.propose(newest));
        let settings = Settings {
            server_id: self.nodes[node].id,
            membership,
            reader: self.changes.as_ref().map(|_| members::READER),
            is_standalone: false,
            timing: self.timing,
            history: self.limits,
            reads_disk: self.reads_disk,
            forces_snapshot: false,
            has_observer_masters: self.has_observer_masters,
            seed: self.random.next(),
        };
        self.say(|| format!("{node} starts with {:?}, {} txns", recovered, state.len()));
        let mut outputs = Vec::new();
        let zab = Zab::start(settings, recovered, self.nodes[node].local(self.now), &mut outputs);
        let old = &mut self.nodes[node];
        let (disk, file, keeps_file) = (std::mem::take(&mut old.disk), old.file.take(), old.keeps_file);
        *old = Node { zab: Some(zab), run, state, disk, file, keeps_file, ..Node::new(old.id, old.is_java, old.rate) };
        self.execute(node, outputs);
        // Everybody who is up connects, and says its last vote again.
        for peer in (0..self.nodes.len()).filter(|&peer| peer != node) {
            self.repeat_mail(peer, node);
        }
    }

    /// What was sent last is said again: there is a new connection.
    pub fn repeat_mail(&mut self, from: usize, to: usize) {
        if self.nodes[from].zab.is_none() || self.nodes[to].zab.is_none() || self.network.is_cut(from, to) {
            return;
        }
        let latency = self.network.latency(&mut self.random);
        let (run, peer) = (self.nodes[from].run, self.nodes[to].id);
        self.after(latency, Event::Answer { node: from, run, input: Input::PeerReachable(peer) });
        if let Some(last) = self.network.mailboxes[from][to].last.clone() {
            self.post(from, to, last);
        }
    }

    /// The power of one server goes. If it is `clean`, the others see its connections close.
    pub fn crash(&mut self, node: usize, clean: bool) {
        if self.nodes[node].zab.take().is_none() {
            return;
        }
        self.say(|| format!("{node} crashes"));
        self.nodes[node].serving = None;
        self.nodes[node].disk.crash(&mut self.random);
        let links = std::mem::take(&mut self.nodes[node].links);
        for (stream, end) in links.into_values() {
            self.close(stream, end, clean);
        }
        for peer in 0..self.nodes.len() {
            self.network.mailboxes[node][peer] = Default::default();
            if clean && peer != node && !self.network.is_cut(node, peer) {
                let latency = self.network.latency(&mut self.random);
                let run = self.nodes[peer].run;
                self.after(latency, Event::Unreachable { node: peer, run, peer: node });
            }
        }
    }

    /// A clean stop: the core gives up its role first.
    pub fn shut_down(&mut self, node: usize) {
        if self.nodes[node].zab.is_some() {
            self.input(node, Input::Shutdown);
            self.crash(node, true);
        }
    }

    // The core.

    pub fn input(&mut self, node: usize, input: Input) {
        // Clocks may be slow by a twentieth.
        let bound_ms = (self.timing.sync_limit_ms() + self.timing.tick_ms) * 11 / 10;
        for node in &self.nodes {
            if let Some((ServerState::Leading, epoch)) = node.serving {
                self.checkers.leads(epoch, self.now, bound_ms);
            }
        }
        self.say(|| format!("{node} <- {input:?}"));
        let mut outputs = Vec::new();
        let local = self.nodes[node].local(self.now);
        let Some(zab) = self.nodes[node].zab.as_mut() else { return };
        zab.handle(input, local, &mut outputs);
        self.execute(node, outputs);
    }

    fn execute(&mut self, node: usize, outputs: Vec<Output>) {
        for output in outputs {
            self.say(|| format!("{node}    -> {output:?}"));
            self.execute_one(node, output);
        }
        self.start_disk(node);
        self.schedule_wake(node);
    }

    fn schedule_wake(&mut self, node: usize) {
        let Some(zab) = &self.nodes[node].zab else { return };
        let Some(wake_ms) = zab.wake_ms() else { return };
        let at = self.nodes[node].global(wake_ms).max(self.now + 1);
        if self.nodes[node].wake_at.is_none_or(|wake_at| at < wake_at) {
            self.nodes[node].wake_at = Some(at);
            let run = self.nodes[node].run;
            self.at(at, Event::Wake { node, run });
        }
    }

    fn execute_one(&mut self, node: usize, output: Output) {
        match output {
            Output::Append { zxid, payload } => self.nodes[node].disk.push(Write::Append(zxid, payload)),
            Output::StoreAcceptedEpoch(epoch) => self.nodes[node].disk.push(Write::AcceptedEpoch(epoch)),
            Output::StoreCurrentEpoch(epoch) => self.nodes[node].disk.push(Write::CurrentEpoch(epoch)),
            Output::Truncate(to) => self.nodes[node].disk.push(Write::Truncate(to)),
            Output::InstallSnapshot(zxid) => {
                let state = self.nodes[node].received.take().expect("a received snapshot is installed");
                self.nodes[node].disk.push(Write::Install(zxid, state));
            }
            Output::Deliver { zxid, payload } => self.apply(node, zxid, id_of(&payload)),
            Output::Notify { to, notification } => self.notify(node, to, notification),
            Output::OpenQuorumPort => self.nodes[node].port_is_open = true,
            Output::OpenObserverMasterPort => self.nodes[node].serves_observers = true,
            Output::CloseQuorumPort => {
                self.nodes[node].port_is_open = false;
                self.nodes[node].serves_observers = false;
                let links = self.nodes[node].links.clone();
                for (link, (stream, end)) in links.into_iter().filter(|(_, (_, end))| *end == 1) {
                    self.nodes[node].links.remove(&link);
                    self.close(stream, end, true);
                }
            }
            Output::ConnectLeader { link, leader } => self.dial(node, link, leader, false),
            Output::ConnectMaster { link, master } => self.dial(node, link, master, true),
            Output::ToLearner(link, packet) | Output::ToLeader(link, packet) => self.send(node, link, packet),
            Output::CloseLearner(link, _) | Output::DisconnectLeader(link) => {
                if let Some((stream, end)) = self.nodes[node].links.remove(&link) {
                    self.close(stream, end, true);
                }
                self.nodes[node].received = None;
            }
            Output::ReadHistory { link, after } => {
                let count = self.random.between(1, 8) as usize;
                let slice = self.nodes[node].disk.read_history(after, count);
                self.answer_later(node, Input::HistoryRead(link, slice));
            }
            Output::TakeSnapshot(link) => self.answer_later(node, Input::SnapshotTaken(link, Zxid::ZERO)),
            Output::StreamSnapshot(link) => self.stream_snapshot(node, link),
            Output::ConfigurationActivated(committed) => {
                if self.nodes[node].keeps_file {
                    self.nodes[node].disk.push(Write::File(*committed));
                }
            }
            Output::FromLearner(..) | Output::ConfigurationProposed(_) => {}
            Output::FromLeader(rider) => {
                assert_eq!(rider.kind, RiderKind::Ping, "nothing else is sent to learners here");
                self.input(node, Input::ToLeader(answer_ping(&rider, Bytes::new())));
            }
            Output::SyncConfirmed(sync) => {
                let before = self.nodes[node].syncs.remove(&sync).expect("a sync is confirmed once");
                self.checkers.synced(before, &self.nodes[node].state);
            }
            Output::Role(change) => self.role(node, change),
        }
    }

    fn answer_later(&mut self, node: usize, input: Input) {
        let run = self.nodes[node].run;
        let delay = self.random.between(0, 10);
        self.after(delay, Event::Answer { node, run, input });
    }

    fn answer(&mut self, node: usize, input: Input) {
        let input = match input {
            Input::SnapshotTaken(link, _) => {
                let state = self.nodes[node].state.clone();
                let zab = self.nodes[node].zab.as_ref().expect("it runs");
                let at = zab.last_delivered();
                self.nodes[node].frozen.insert(link, state);
                Input::SnapshotTaken(link, at)
            }
            other => other,
        };
        self.input(node, input);
    }

    fn role(&mut self, node: usize, change: RoleChange) {
        match change {
            RoleChange::Serving { state, epoch, .. } => {
                let run = self.nodes[node].run;
                self.nodes[node].serving = Some((state, epoch));
                if state == ServerState::Leading {
                    self.checkers.established(node, run, epoch, &self.nodes[node].state, self.now);
                }
                self.checkers.served(node, &self.nodes[node].state, 0);
            }
            RoleChange::Looking { .. } | RoleChange::Stopped => {
                self.nodes[node].serving = None;
                self.nodes[node].proposed.clear();
                self.nodes[node].syncs.clear();
                self.nodes[node].frozen.clear();
            }
            RoleChange::Elected { .. } | RoleChange::Discovered { .. } => {}
        }
    }

    fn apply(&mut self, node: usize, zxid: Zxid, id: u64) {
        self.nodes[node].state.push((zxid, id));
        if self.nodes[node].serving.is_none() {
            return;
        }
        let from = self.nodes[node].state.len() - 1;
        self.checkers.served(node, &self.nodes[node].state, from);
        if self.nodes[node].proposed.pop_front_if(|txn| *txn == (zxid, id)).is_some() {
            self.checkers.acknowledge(zxid, id);
        }
    }

    // The disk.

    fn start_disk(&mut self, node: usize) {
        let busy_max = self.nodes[node].disk_max_ms;
        if self.nodes[node].zab.is_none() || self.nodes[node].disk.is_busy() || !self.nodes[node].disk.begin() {
            return;
        }
        let (delay, run) = (self.random.between(0, busy_max), self.nodes[node].run);
        self.after(delay, Event::Disk { node, run });
    }

    fn disk_done(&mut self, node: usize) {
        let (inputs, file) = self.nodes[node].disk.finish();
        self.nodes[node].file = file.or(self.nodes[node].file.take());
        for input in inputs {
            match &input {
                // What lies above is gone; what is applied above it is read back.
                Input::Truncated(to) | Input::SnapshotInstalled(to) => {
                    let state = self.nodes[node].disk.rebuild(*to).expect("the disk leads to where it was cut");
                    let applied = &mut self.nodes[node].state;
                    // What was logged but not applied stays to be delivered.
                    if matches!(input, Input::SnapshotInstalled(_)) || applied.len() > state.len() {
                        *applied = state;
                        let newest = members::newest(&self.nodes[node].state);
                        if let Some(zab) = self.nodes[node].zab.as_mut().filter(|_| self.changes.is_some()) {
                            zab.replace_configuration(newest);
                        }
                    }
                }
                _ => {}
            }
            self.input(node, input);
        }
        self.start_disk(node);
    }

    /// A server writes a snapshot of what it serves.
    pub fn own_snapshot(&mut self, node: usize) {
        let Some(zab) = self.nodes[node].zab.as_ref().filter(|zab| zab.is_serving()) else { return };
        let zxid = zab.last_delivered();
        let state = self.nodes[node].state.clone();
        self.nodes[node].disk.push(Write::Snapshot(zxid, state));
        self.start_disk(node);
    }

    // The election port.

    fn notify(&mut self, from: usize, to: ServerId, notification: Notification) {
        self.check_vote(from, &notification);
        let to = to.0 as usize - 1;
        self.network.mailboxes[from][to].last = Some(notification.clone());
        self.post(from, to, notification);
    }

    /// A vote for oneself tells nothing that is not durable.
    fn check_vote(&self, node: usize, notification: &Notification) {
        let Node { id, disk, .. } = &self.nodes[node];
        if notification.state == ServerState::Looking && notification.vote.leader == *id {
            assert!(
                notification.vote.zxid <= disk.last_zxid(),
                "a vote's zxid is durable: {} of {}",
                notification.vote.zxid,
                disk.last_zxid()
            );
            assert!(Some(notification.vote.peer_epoch) <= disk.current_epoch, "a vote's epoch is durable");
        }
    }

    fn post(&mut self, from: usize, to: usize, notification: Notification) {
        let late = if self.random.chance(self.network.late_percent) { self.random.between(20, 100) } else { 0 };
        let arrival = self.now + self.network.latency(&mut self.random) + late;
        let mailbox = &mut self.network.mailboxes[from][to];
        // The newest takes the place of the one that is waiting, and comes no later.
        let arrival = mailbox.due.as_ref().map_or(arrival, |(due, _)| arrival.min(*due).max(self.now));
        mailbox.due = Some((arrival, notification));
        self.at(arrival, Event::Mail { from, to });
    }

    fn mail(&mut self, from: usize, to: usize) {
        let mailbox = &mut self.network.mailboxes[from][to];
        if mailbox.due.as_ref().is_none_or(|(due, _)| *due > self.now) {
            return;
        }
        let Some((_, notification)) = mailbox.due.take() else { return };
        if self.network.is_cut(from, to) {
            return;
        }
        if self.nodes[to].zab.is_some() {
            let from = self.nodes[from].id;
            self.input(to, Input::Notification { from, notification });
        } else if self.nodes[from].zab.is_some() {
            let peer = self.nodes[to].id;
            self.input(from, Input::PeerUnreachable(peer));
        }
    }

    // The quorum port.

    fn dial(&mut self, node: usize, link: LinkId, leader: ServerId, is_master: bool) {
        let (run, leader) = (self.nodes[node].run, leader.0 as usize - 1);
        let latency = self.network.latency(&mut self.random);
        self.after(latency, Event::Connect { learner: node, run, link, leader, is_master });
    }

    fn connect(&mut self, (learner, run, link): (usize, u64, LinkId), leader: usize, is_master: bool) {
        if !self.is_run(learner, run) {
            return;
        }
        let failed = Event::Answer { node: learner, run, input: Input::LeaderDisconnected(link) };
        if self.network.is_cut(learner, leader) || self.network.is_cut(leader, learner) {
            self.after(CONNECT_TIMEOUT_MS, failed);
        } else if !self.nodes[leader].is_open(is_master) || self.nodes[leader].zab.is_none() {
            let latency = self.network.latency(&mut self.random);
            self.after(latency, failed);
        } else {
            let stream = self.network.streams.len();
            let leader_link = LinkId(1_000_000 + stream as u64);
            let end = |node: usize, run, link| End { node, run, link, is_open: true };
            let ends = [end(learner, run, link), end(leader, self.nodes[leader].run, leader_link)];
            self.network.streams.push(Stream { ends, queues: Default::default() });
            self.nodes[learner].links.insert(link, (stream, 0));
            self.nodes[leader].links.insert(leader_link, (stream, 1));
            self.input(leader, Input::LearnerConnected(leader_link));
            self.input(learner, Input::LeaderConnected(link));
        }
    }

    fn send(&mut self, node: usize, link: LinkId, packet: Packet) {
        let Some(&(stream, end)) = self.nodes[node].links.get(&link) else { return };
        self.check_promise(node, &packet);
        let is_java = self.network.streams[stream].ends.iter().any(|end| self.nodes[end.node].is_java);
        let packet = if is_java { as_java(packet) } else { packet };
        self.transmit(stream, 1 - end, Message::Packet(packet));
    }

    /// What a packet promises is durable when it leaves (quorum-protocol.md §4).
    fn check_promise(&self, node: usize, packet: &Packet) {
        let disk = &self.nodes[node].disk;
        match packet {
            Packet::AckEpoch { last_zxid, current_epoch } => {
                assert!(*last_zxid <= disk.last_zxid(), "ACKEPOCH tells durable history: {last_zxid} of {}", disk.last_zxid());
                assert!(current_epoch.is_none() || *current_epoch <= disk.current_epoch, "ACKEPOCH tells a durable epoch");
            }
            Packet::Ack { zxid } if zxid.counter() == 0 => {
                assert_eq!(disk.current_epoch, Some(zxid.epoch()), "NEWLEADER is acked when the epoch is durable");
            }
            Packet::Ack { zxid } => assert!(disk.holds(*zxid), "{zxid} is acked when it is durable"),
            Packet::LeaderInfo { epoch, .. } => assert!(disk.accepted_epoch >= Some(*epoch), "LEADERINFO follows the leader's own promise"),
            _ => {}
        }
    }

    fn transmit(&mut self, stream: usize, to_end: usize, message: Message) {
        let arrival = self.network.send(stream, to_end, message, self.now, &mut self.random);
        self.at(arrival, Event::Stream { stream, end: to_end });
    }

    fn stream_snapshot(&mut self, node: usize, link: LinkId) {
        let Some(state) = self.nodes[node].frozen.remove(&link) else { return };
        let Some(&(stream, end)) = self.nodes[node].links.get(&link) else { return };
        self.transmit(stream, 1 - end, Message::Snapshot(state));
        self.answer_later(node, Input::SnapshotSent(link));
    }

    fn deliver(&mut self, stream: usize, end: usize) {
        let End { node, run, link, is_open } = self.network.streams[stream].ends[end];
        let from = self.network.streams[stream].ends[1 - end].node;
        let queue = &mut self.network.streams[stream].queues[end];
        if queue.front().is_none_or(|(arrival, _)| *arrival > self.now) {
            return;
        }
        if self.network.cut[from][node] {
            self.after(STALL_MS, Event::Stream { stream, end });
            return;
        }
        let Some((_, message)) = queue.pop_front() else { return };
        if !queue.is_empty() {
            self.after(0, Event::Stream { stream, end });
        }
        if !is_open || !self.is_run(node, run) {
            return;
        }
        match (message, end) {
            (Message::Packet(packet), 0) => self.input(node, Input::LeaderPacket(link, packet)),
            (Message::Packet(packet), _) => self.input(node, Input::LearnerPacket(link, packet)),
            (Message::Snapshot(state), _) => {
                self.nodes[node].received = Some(state);
                self.input(node, Input::SnapshotReceived(link));
            }
            (Message::Closed, end) => {
                self.network.streams[stream].ends[end].is_open = false;
                self.nodes[node].links.remove(&link);
                let input = if end == 0 { Input::LeaderDisconnected(link) } else { Input::LearnerDisconnected(link) };
                self.input(node, input);
            }
        }
    }

    /// One end closes. The other learns of it behind what was sent, unless the close is not clean.
    fn close(&mut self, stream: usize, end: usize, clean: bool) {
        if std::mem::replace(&mut self.network.streams[stream].ends[end].is_open, false) && clean {
            self.transmit(stream, 1 - end, Message::Closed);
        }
    }

    /// A stream breaks in the middle: some of what was under way is lost, and both ends learn of it.
    pub fn break_stream(&mut self) {
        let open: Vec<usize> =
            (0..self.network.streams.len()).filter(|&s| self.network.streams[s].ends.iter().all(|end| end.is_open)).collect();
        let Some(stream) = self.random.pick(&open) else { return };
        self.say(|| format!("stream {stream} breaks"));
        for end in 0..2 {
            let length = self.network.streams[stream].queues[end].len() as i64;
            let kept = self.random.between(0, length) as usize;
            self.network.streams[stream].queues[end].truncate(kept);
            self.transmit(stream, end, Message::Closed);
        }
    }

    // The clients.

    fn workload(&mut self) {
        for node in 0..self.nodes.len() {
            let can_propose = |node: &Node| node.zab.as_ref().is_some_and(Zab::can_propose);
            let burst = self.random.between(0, 3);
            for _ in 0..burst {
                if can_propose(&self.nodes[node]) {
                    self.propose(node);
                }
            }
            if can_propose(&self.nodes[node]) {
                self.change_members(node);
            }
            if can_propose(&self.nodes[node]) && self.random.chance(20) {
                self.next_sync += 1;
                let sync = SyncId(self.next_sync);
                let before = self.checkers.acknowledged();
                self.nodes[node].syncs.insert(sync, before);
                self.input(node, Input::Sync { sync, from: None });
            }
        }
        let pause = self.random.between(1, 60);
        self.after(pause, Event::Workload);
    }

    /// Sometimes a leader is asked for other members, and it may be that it can.
    fn change_members(&mut self, node: usize) {
        let count = self.nodes.len();
        let Some(random) = self.changes.as_mut() else { return };
        if !random.chance(15) {
            return;
        }
        let number = members::number(self.next_id + 1, count, random);
        let Some(zab) = &self.nodes[node].zab else { return };
        let zxid = zab.next_zxid();
        let can = |next| !zab.membership().is_changing() && zab.is_quorum_in_sync(&next);
        if members::proposed(number, zxid).is_some_and(can) {
            self.next_id += 1;
            self.change_count += 1;
            self.propose_payload(node, number, members::payload(number, zxid));
        }
    }

    fn propose(&mut self, node: usize) {
        self.next_id += 1;
        let id = self.next_id;
        self.propose_payload(node, id, Bytes::copy_from_slice(&id.to_be_bytes()));
    }

    fn propose_payload(&mut self, node: usize, id: u64, payload: Bytes) {
        let mut outputs = Vec::new();
        let run = self.nodes[node].run;
        let zab = self.nodes[node].zab.as_mut().expect("it runs");
        let zxid = zab.propose(payload, &mut outputs);
        self.say(|| format!("{node} proposes {zxid}"));
        self.checkers.broadcast(node, run, id, zxid);
        self.nodes[node].proposed.push_back((zxid, id));
        self.execute(node, outputs);
    }

    /// Whether everybody serves the same epoch, has everything, and goes by the same configuration.
    pub fn is_at_rest(&self) -> bool {
        let epoch = self.nodes[0].serving.map(|(_, epoch)| epoch);
        let goes_by = |node: &Node| node.zab.as_ref().map(|zab| (zab.membership().committed().version, zab.membership().is_changing()));
        let current = (goes_by(&self.nodes[0]).map_or(0, |(version, _)| version), false);
        let is_leading = |node: &Node| node.serving.is_some_and(|(state, _)| state == ServerState::Leading);
        let agrees = |node: &Node| {
            let is_quiet = node.zab.as_ref().is_some_and(|zab| zab.outstanding_count() == 0);
            node.serving.is_some_and(|(_, serving)| Some(serving) == epoch)
                && is_quiet
                && goes_by(node) == Some(current)
                && node.state.len() == self.checkers.committed().len()
        };
        self.nodes.iter().all(agrees) && self.nodes.iter().any(is_leading)
    }

    /// Where everybody stands.
    pub fn describe(&self) -> String {
        let node = |node: &Node| {
            let (logged, delivered) = node.zab.as_ref().map(|zab| (zab.last_logged(), zab.last_delivered())).unwrap_or_default();
            let version = node.zab.as_ref().map(|zab| (zab.membership().committed().version, zab.membership().is_changing()));
            let (id, serving, count) = (node.id, node.serving, node.state.len());
            format!("server {id} serves {serving:?}, {count} txns, logged {logged}, delivered {delivered}, goes by {version:x?}")
        };
        let nodes: Vec<String> = self.nodes.iter().map(node).collect();
        format!("{} committed\n{}", self.checkers.committed().len(), nodes.join("\n"))
    }

    /// Whether everybody serves.
    pub fn is_serving(&self) -> bool {
        self.nodes.iter().all(|node| node.serving.is_some())
    }

    /// Stops the clients: nothing new is proposed.
    pub fn stop_workload(&mut self) {
        self.events.retain(|_, event| !matches!(event, Event::Workload));
    }

    pub fn is_leading(&self, node: usize) -> bool {
        self.nodes[node].serving.is_some_and(|(state, _)| state == ServerState::Leading)
    }
}

impl Node {
    fn new(id: ServerId, is_java: bool, rate: i64) -> Self {
        Self {
            id,
            zab: None,
            run: 0,
            disk: Disk::default(),
            state: State::new(),
            is_java,
            serving: None,
            rate,
            wake_at: None,
            links: BTreeMap::new(),
            port_is_open: false,
            serves_observers: false,
            received: None,
            frozen: BTreeMap::new(),
            proposed: VecDeque::new(),
            syncs: BTreeMap::new(),
            disk_max_ms: 3,
            file: None,
            keeps_file: true,
        }
    }

    fn is_open(&self, to_observers: bool) -> bool {
        if to_observers { self.serves_observers } else { self.port_is_open }
    }

    fn local(&self, global: i64) -> i64 {
        global * self.rate / 1000
    }

    /// The first ms at which the local clock shows at least this.
    fn global(&self, local: i64) -> i64 {
        (local * 1000 + self.rate - 1) / self.rate
    }
}

/// What a Java server would have said.
fn as_java(packet: Packet) -> Packet {
    match packet {
        Packet::FollowerInfo(info) => Packet::FollowerInfo(paddock::zab::Introduction { is_paddock: false, ..info }),
        Packet::ObserverInfo(info) => Packet::ObserverInfo(paddock::zab::Introduction { is_paddock: false, ..info }),
        Packet::LeaderInfo { epoch, version, .. } => Packet::LeaderInfo { epoch, version, is_paddock: false },
        other => other,
    }
}
