//! Transcripts of the ordering core: `tests/transcripts/*.txt`. A line that begins with `>` is a command; what follows up to the next is
//! everything that the servers then do, checked word by word. `REWRITE_TRANSCRIPTS=1 cargo test --test transcripts` writes what they do
//! now, for a change to be read as a diff.
//!
//! Commands: `servers 1 2 3` and `observers 4` (who there is) · `history 1 1:3 2:1 accepted 2 current 2` (what a disk holds: all of epoch 1
//! up to 1:3, and 2:1) · `java 2` (speaks as a Java server) · `memory 0` (delivered txns kept for learners) · `start 1 2` · `run` (messages
//! arrive and disks write until nothing happens) · `hold 1`, `write 1`, `release 1` (its disk stands still;
//! does one thing; goes on) · `propose 1 3` (three txns) ·
//! `sync 1` · `time 200` (ms pass) · `cut 1 2`, `heal` · `break 1 2` (their stream) · `kill 1` · `shutdown 1`.
//! A zxid is written epoch:counter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{
    Configuration, HistoryLimits, HistorySlice, Input, Introduction, LinkId, Membership, Notification, Output, Packet, QuorumVerifier,
    Recovered, RiderKind, RoleChange, Settings, SyncId, Timing, Zab, answer_ping,
};

#[derive(Default)]
struct Server {
    zab: Option<Zab>,
    accepted_epoch: Option<Epoch>,
    current_epoch: Option<Epoch>,
    /// A snapshot, and the log behind it.
    base: Zxid,
    log: Vec<(Zxid, Bytes)>,
    writes: VecDeque<Output>,
    is_held: bool,
    is_java: bool,
    links: BTreeMap<LinkId, (i64, LinkId)>,
    port_is_open: bool,
}

enum Message {
    Notification(Notification),
    Connect(LinkId),
    Packet(LinkId, Packet),
    Snapshot(LinkId),
    Closed(LinkId),
    Unreachable,
}

#[derive(Default)]
struct Cluster {
    servers: BTreeMap<i64, Server>,
    observers: BTreeSet<i64>,
    memory: usize,
    now_ms: i64,
    messages: VecDeque<(i64, i64, Message)>,
    cut: BTreeSet<(i64, i64)>,
    next_link: u64,
    next_sync: u64,
    text: String,
}

fn z(zxid: Zxid) -> String {
    if zxid.0 < 0 { zxid.0.to_string() } else { format!("{}:{}", zxid.epoch(), zxid.counter()) }
}

fn parse_zxid(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once(':').expect("epoch:counter");
    Zxid::new(Epoch(epoch.parse().expect("epoch")), counter.parse().expect("counter"))
}

fn vote(notification: &Notification) -> String {
    let Notification { state, vote, election_epoch, .. } = notification;
    let state = format!("{state:?}").to_uppercase();
    if vote.leader.0 == i64::MIN {
        return format!("{state} no vote round {election_epoch}");
    }
    format!("{state} vote {} zxid {} epoch {} round {election_epoch}", vote.leader, z(vote.zxid), vote.peer_epoch)
}

fn packet(packet: &Packet) -> String {
    match packet {
        Packet::FollowerInfo(info) => format!("FOLLOWERINFO accepted {}", info.accepted_epoch),
        Packet::ObserverInfo(info) => format!("OBSERVERINFO accepted {}", info.accepted_epoch),
        Packet::LeaderInfo { epoch, .. } => format!("LEADERINFO epoch {epoch}"),
        Packet::AckEpoch { last_zxid, current_epoch } => {
            let current = current_epoch.map_or("not counted".to_owned(), |epoch| format!("current {epoch}"));
            format!("ACKEPOCH last {} {current}", z(*last_zxid))
        }
        Packet::Diff { zxid } => format!("DIFF {}", z(*zxid)),
        Packet::Trunc { zxid } => format!("TRUNC {}", z(*zxid)),
        Packet::Snap { zxid } => format!("SNAP {}", z(*zxid)),
        Packet::NewLeader { epoch, .. } => format!("NEWLEADER {epoch}:0"),
        Packet::UpToDate => "UPTODATE".to_owned(),
        Packet::Proposal { zxid, .. } => format!("PROPOSAL {}", z(*zxid)),
        Packet::Ack { zxid } => format!("ACK {}", z(*zxid)),
        Packet::Commit { zxid } => format!("COMMIT {}", z(*zxid)),
        Packet::Inform { zxid, .. } => format!("INFORM {}", z(*zxid)),
        Packet::Rider(rider) => format!("{:?} {}", rider.kind, z(rider.zxid)).to_uppercase(),
        other => format!("{other:?}"),
    }
}

impl Cluster {
    fn say(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a string takes everything");
    }

    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| words[index].parse::<i64>().expect("a number");
        match words[0] {
            "servers" => self.servers.extend((1..words.len()).map(|index| (number(index), Server::default()))),
            "observers" => self.observers.extend((1..words.len()).map(number)),
            "history" => self.history(number(1), &words[2..]),
            "java" => (1..words.len()).for_each(|index| self.server(number(index)).is_java = true),
            "memory" => self.memory = number(1) as usize,
            "start" => (1..words.len()).for_each(|index| self.start(number(index))),
            "run" => self.run(),
            "hold" => self.server(number(1)).is_held = true,
            "write" => {
                self.write(number(1));
                self.run();
            }
            "release" => self.server(number(1)).is_held = false,
            "propose" => (0..number(2)).for_each(|_| self.propose(number(1))),
            "sync" => {
                self.next_sync += 1;
                let sync = SyncId(self.next_sync);
                self.input(number(1), Input::Sync { sync, from: None });
            }
            "time" => self.pass(number(1)),
            "cut" => self.cut.extend([(number(1), number(2)), (number(2), number(1))]),
            "heal" => self.cut.clear(),
            "break" => self.break_stream(number(1), number(2)),
            "kill" => self.kill(number(1)),
            "shutdown" => {
                self.input(number(1), Input::Shutdown);
                self.kill(number(1));
            }
            other => panic!("no such command: {other}"),
        }
    }

    fn server(&mut self, id: i64) -> &mut Server {
        self.servers.get_mut(&id).expect("a server")
    }

    fn history(&mut self, id: i64, words: &[&str]) {
        let server = self.server(id);
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "accepted" => server.accepted_epoch = words.next().map(|epoch| Epoch(epoch.parse().expect("epoch"))),
                "current" => server.current_epoch = words.next().map(|epoch| Epoch(epoch.parse().expect("epoch"))),
                "snapshot" => server.base = parse_zxid(words.next().expect("zxid")),
                zxid => {
                    let last = parse_zxid(zxid);
                    let from = server.log.last().map_or(server.base, |(last, _)| *last);
                    let first = if from.epoch() == last.epoch() { from.counter() + 1 } else { 1 };
                    server
                        .log
                        .extend((first..=last.counter()).map(|counter| (Zxid::new(last.epoch(), counter), Bytes::from_static(b"txn"))));
                }
            }
        }
    }

    fn start(&mut self, id: i64) {
        let voters = self.servers.keys().filter(|id| !self.observers.contains(id)).map(|&id| ServerId(id));
        let configuration = Configuration {
            observers: self.observers.iter().map(|&id| ServerId(id)).collect(),
            ..Configuration::of(0, QuorumVerifier::majority(voters))
        };
        let settings = Settings {
            server_id: ServerId(id),
            membership: Membership::new(configuration),
            reader: None,
            is_standalone: false,
            timing: Timing::new(2000, 10, 5),
            history: HistoryLimits { delivered_count_max: self.memory, delivered_bytes_max: 1 << 20 },
            reads_disk: true,
            forces_snapshot: false,
            has_observer_masters: false,
            seed: 1,
        };
        let (now_ms, mut outputs) = (self.now_ms, Vec::new());
        let server = self.server(id);
        let recovered = Recovered {
            accepted_epoch: server.accepted_epoch,
            current_epoch: server.current_epoch,
            last_zxid: server.log.last().map_or(server.base, |(zxid, _)| *zxid),
            recent: server.log.clone(),
            is_uninitialized: false,
        };
        server.zab = Some(Zab::start(settings, recovered, now_ms, &mut outputs));
        self.execute(id, outputs);
    }

    fn kill(&mut self, id: i64) {
        let server = self.server(id);
        server.zab = None;
        server.writes.clear();
        server.port_is_open = false;
        for (peer, link) in std::mem::take(&mut server.links).into_values() {
            self.messages.push_back((id, peer, Message::Closed(link)));
        }
        let peers: Vec<i64> = self.servers.keys().copied().filter(|&peer| peer != id).collect();
        self.messages.extend(peers.into_iter().map(|peer| (id, peer, Message::Unreachable)));
    }

    fn break_stream(&mut self, a: i64, b: i64) {
        for (id, peer) in [(a, b), (b, a)] {
            let gone: Vec<LinkId> = self.server(id).links.iter().filter(|(_, (other, _))| *other == peer).map(|(&link, _)| link).collect();
            for link in gone {
                self.messages.push_back((peer, id, Message::Closed(link)));
            }
        }
    }

    fn propose(&mut self, id: i64) {
        let mut outputs = Vec::new();
        let zab = self.server(id).zab.as_mut().expect("it runs");
        zab.propose(Bytes::from_static(b"txn"), &mut outputs);
        self.execute(id, outputs);
    }

    fn input(&mut self, id: i64, input: Input) {
        let (now_ms, mut outputs) = (self.now_ms, Vec::new());
        if let Some(zab) = self.server(id).zab.as_mut() {
            zab.handle(input, now_ms, &mut outputs);
            self.execute(id, outputs);
        }
    }

    /// Time passes in the steps in which the servers wake; what that leads to happens at once.
    fn pass(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        // Those who were woken at this moment.
        let mut woken = BTreeSet::new();
        loop {
            let wake = |(&id, server): (&i64, &Server)| {
                let earliest = if woken.contains(&id) { self.now_ms + 1 } else { self.now_ms };
                Some((server.zab.as_ref()?.wake_ms()?.max(earliest), id))
            };
            let Some((at, id)) = self.servers.iter().filter_map(wake).min().filter(|(at, _)| *at <= until) else { break };
            if at > self.now_ms {
                woken.clear();
            }
            woken.insert(id);
            self.now_ms = at;
            self.input(id, Input::Tick);
            self.run();
        }
        self.now_ms = until;
    }

    fn run(&mut self) {
        loop {
            if let Some((from, to, message)) = self.messages.pop_front() {
                if !self.cut.contains(&(from, to)) {
                    self.arrive(from, to, message);
                }
                continue;
            }
            let busy = self.servers.iter().find(|(_, server)| !server.is_held && !server.writes.is_empty()).map(|(&id, _)| id);
            match busy {
                Some(id) => self.write(id),
                None => return,
            }
        }
    }

    fn arrive(&mut self, from: i64, to: i64, message: Message) {
        match message {
            Message::Notification(notification) if self.server(to).zab.is_some() => {
                self.input(to, Input::Notification { from: ServerId(from), notification });
            }
            Message::Notification(_) => self.input(from, Input::PeerUnreachable(ServerId(to))),
            Message::Unreachable => self.input(to, Input::PeerUnreachable(ServerId(from))),
            Message::Connect(link) if !self.server(to).port_is_open => self.input(from, Input::LeaderDisconnected(link)),
            Message::Connect(link) => {
                self.next_link += 1;
                let at_leader = LinkId(1000 + self.next_link);
                self.server(from).links.insert(link, (to, at_leader));
                self.server(to).links.insert(at_leader, (from, link));
                self.input(to, Input::LearnerConnected(at_leader));
                self.input(from, Input::LeaderConnected(link));
            }
            Message::Packet(link, packet) if link.0 > 1000 => self.input(to, Input::LearnerPacket(link, packet)),
            Message::Packet(link, packet) => self.input(to, Input::LeaderPacket(link, packet)),
            Message::Snapshot(link) => self.input(to, Input::SnapshotReceived(link)),
            Message::Closed(link) => {
                self.server(to).links.remove(&link);
                let input = if link.0 > 1000 { Input::LearnerDisconnected(link) } else { Input::LeaderDisconnected(link) };
                self.input(to, input);
            }
        }
    }

    /// One write of a disk: all appends that stand together, or one other.
    fn write(&mut self, id: i64) {
        let server = self.server(id);
        let (line, input) = match server.writes.pop_front().expect("there is one") {
            Output::Append { mut zxid, payload } => {
                server.log.push((zxid, payload));
                while let Some(Output::Append { .. }) = server.writes.front() {
                    let Some(Output::Append { zxid: next, payload }) = server.writes.pop_front() else { break };
                    server.log.push((next, payload));
                    zxid = next;
                }
                (format!("log durable up to {}", z(zxid)), Input::Persisted(zxid))
            }
            Output::StoreAcceptedEpoch(epoch) => {
                server.accepted_epoch = Some(epoch);
                (format!("acceptedEpoch {epoch} durable"), Input::AcceptedEpochStored(epoch))
            }
            Output::StoreCurrentEpoch(epoch) => {
                server.current_epoch = Some(epoch);
                (format!("currentEpoch {epoch} durable"), Input::CurrentEpochStored(epoch))
            }
            Output::Truncate(to) if to != server.base && !server.log.iter().any(|(zxid, _)| *zxid == to) => {
                (format!("cannot be truncated to {}", z(to)), Input::TruncationRefused(to))
            }
            Output::Truncate(to) => {
                server.log.retain(|(zxid, _)| *zxid <= to);
                (format!("log truncated to {}", z(to)), Input::Truncated(to))
            }
            Output::InstallSnapshot(zxid) => {
                server.log.clear();
                server.base = zxid;
                (format!("snapshot {} installed", z(zxid)), Input::SnapshotInstalled(zxid))
            }
            other => panic!("not a write: {other:?}"),
        };
        self.say(&format!("  {id} disk: {line}"));
        self.input(id, input);
    }

    fn execute(&mut self, id: i64, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Append { zxid, .. } => {
                    self.say(&format!("  {id} appends {}", z(zxid)));
                    self.server(id).writes.push_back(output);
                }
                write @ (Output::StoreAcceptedEpoch(_)
                | Output::StoreCurrentEpoch(_)
                | Output::Truncate(_)
                | Output::InstallSnapshot(_)) => {
                    self.server(id).writes.push_back(write);
                }
                Output::Deliver { zxid, .. } => self.say(&format!("  {id} delivers {}", z(zxid))),
                Output::Notify { to, notification } => {
                    self.say(&format!("  {id} → {to} {}", vote(&notification)));
                    self.messages.push_back((id, to.0, Message::Notification(notification)));
                }
                Output::Role(change) => self.role(id, change),
                Output::ToLearner(link, packet) | Output::ToLeader(link, packet) => self.send(id, link, packet),
                other => self.execute_link(id, other),
            }
        }
    }

    fn execute_link(&mut self, id: i64, output: Output) {
        match output {
            Output::OpenQuorumPort => self.server(id).port_is_open = true,
            Output::CloseQuorumPort => {
                self.server(id).port_is_open = false;
                let links: Vec<LinkId> = self.server(id).links.keys().copied().filter(|link| link.0 > 1000).collect();
                links.into_iter().for_each(|link| self.close(id, link));
            }
            Output::ConnectLeader { link, leader } => self.messages.push_back((id, leader.0, Message::Connect(link))),
            Output::DisconnectLeader(link) => self.close(id, link),
            Output::CloseLearner(link, reason) => {
                self.say(&format!("  {id} closes a learner: {reason:?}"));
                self.close(id, link);
            }
            Output::ReadHistory { link, after } => {
                self.say(&format!("  {id} reads its log behind {}", z(after)));
                let log = &self.server(id).log;
                let first = log.iter().position(|(zxid, _)| *zxid == after);
                let slice = first.map(|first| HistorySlice { begins_exactly: true, txns: log[first + 1..].to_vec() });
                self.input(id, Input::HistoryRead(link, slice));
            }
            Output::TakeSnapshot(link) => {
                let at = self.server(id).zab.as_ref().expect("it runs").last_delivered();
                self.say(&format!("  {id} freezes its state at {}", z(at)));
                self.input(id, Input::SnapshotTaken(link, at));
            }
            Output::StreamSnapshot(link) => {
                let (peer, at_peer) = self.server(id).links[&link];
                self.messages.push_back((id, peer, Message::Snapshot(at_peer)));
                self.input(id, Input::SnapshotSent(link));
            }
            Output::FromLeader(rider) if rider.kind == RiderKind::Ping => {
                self.input(id, Input::ToLeader(answer_ping(&rider, Bytes::new())));
            }
            Output::SyncConfirmed(SyncId(sync)) => self.say(&format!("  {id} answers sync {sync}")),
            Output::FromLearner(..) => {}
            other => panic!("not handled: {other:?}"),
        }
    }

    fn send(&mut self, id: i64, link: LinkId, sent: Packet) {
        let Some(&(peer, at_peer)) = self.server(id).links.get(&link) else { return };
        let is_java = self.server(id).is_java || self.server(peer).is_java;
        let sent = match sent {
            Packet::FollowerInfo(info) if is_java => Packet::FollowerInfo(Introduction { is_paddock: false, ..info }),
            Packet::LeaderInfo { epoch, version, .. } if is_java => Packet::LeaderInfo { epoch, version, is_paddock: false },
            other => other,
        };
        self.say(&format!("  {id} → {peer} {}", packet(&sent)));
        self.messages.push_back((id, peer, Message::Packet(at_peer, sent)));
    }

    fn close(&mut self, id: i64, link: LinkId) {
        if let Some((peer, at_peer)) = self.server(id).links.remove(&link) {
            self.messages.push_back((id, peer, Message::Closed(at_peer)));
        }
    }

    fn role(&mut self, id: i64, change: RoleChange) {
        let line = match change {
            RoleChange::Looking { reason } => format!("is LOOKING: {reason:?}"),
            RoleChange::Elected { state, leader, took_ms } => {
                format!("is elected {state:?}, leader {leader}, after {took_ms} ms")
            }
            RoleChange::Discovered { epoch, .. } => format!("knows epoch {epoch}"),
            RoleChange::Serving { state, epoch, mode, .. } => {
                let mode = mode.map_or(String::new(), |mode| format!(" by {}", format!("{mode:?}").to_uppercase()));
                format!("SERVES: {state:?} in epoch {epoch}{mode}")
            }
            RoleChange::Stopped => "is stopped".to_owned(),
        };
        self.say(&format!("  {id} {line}"));
    }
}

/// Plays a file; gives it with what happened in the place of what was expected.
fn play(text: &str) -> String {
    let mut cluster = Cluster { memory: 500, ..Cluster::default() };
    for line in text.lines() {
        let is_expected = line.starts_with("  ");
        if !is_expected {
            cluster.say(line);
        }
        if let Some(command) = line.strip_prefix('>') {
            cluster.command(command);
        }
    }
    cluster.text
}

#[test]
fn the_servers_do_what_is_written() {
    let dir = Path::new("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("the folder").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    assert!(files.len() >= 5, "the transcripts are found");
    for file in files {
        let expected = std::fs::read_to_string(&file).expect("readable");
        let happened = play(&expected);
        if std::env::var_os("REWRITE_TRANSCRIPTS").is_some() {
            std::fs::write(&file, &happened).expect("writable");
            continue;
        }
        let difference = expected.lines().zip(happened.lines()).position(|(expected, happened)| expected != happened);
        let line = difference.unwrap_or(expected.lines().count().min(happened.lines().count()));
        let from = line.saturating_sub(3);
        let around = |text: &str| text.lines().skip(from).take(8).collect::<Vec<_>>().join("\n");
        assert!(expected == happened, "{}:{}\nexpected\n{}\nhappened\n{}", file.display(), line + 1, around(&expected), around(&happened));
    }
}
