//! A follower or an observer whose leader sends what fits, and between that anything at all: old, repeated, early, of other epochs.
//!
//! Whatever comes: it says nothing that its disk does not hold, shows nothing that this leader did not commit, takes back nothing that it
//! has shown, and goes on with the next leader.

use std::collections::VecDeque;

use bytes::Bytes;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{
    Configuration, HistoryLimits, Input, LinkId, Membership, Notification, Output, Packet, QuorumVerifier, RiderKind, RoleChange,
    ServerState, Settings, Timing, Vote, Zab, answer_ping,
};

use crate::disk::{Disk, State, Write, id_of};
use crate::hostile::{Knowledge, payload};
use crate::random::Random;

const LEADER: ServerId = ServerId(3);
const OBSERVER: ServerId = ServerId(4);
/// More than this nobody has to say to one packet.
const OUTPUTS_MAX: usize = 500;
const STEPS: usize = 400;

/// How far a leader that keeps to the rules has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Hello,
    Promise,
    History,
    /// Behind DIFF, TRUNC or SNAP.
    Collecting,
    /// Behind NEWLEADER.
    Adopting,
    Broadcast,
}

struct Follower {
    own: ServerId,
    zab: Zab,
    disk: Disk,
    state: State,
    random: Random,
    now_ms: i64,
    round: i64,
    pending: VecDeque<Input>,
    link: Option<LinkId>,
    is_connected: bool,
    is_serving: bool,
    /// The leader has named its epoch.
    has_epoch: bool,
    step: Step,
    known: Knowledge,
    /// What this leader committed.
    told: Zxid,
    /// What clients may have seen since the start of this process.
    shown: Zxid,
    /// How often it served.
    served: usize,
}

fn zab(own: ServerId, disk: &mut Disk, outputs: &mut Vec<Output>) -> (Zab, State) {
    let observers = [OBSERVER].into();
    let membership = Membership::new(Configuration { observers, ..Configuration::of(0, QuorumVerifier::majority((1..=3).map(ServerId))) });
    let settings = Settings {
        server_id: own,
        membership,
        reader: None,
        is_standalone: false,
        timing: Timing::new(100, 10, 5),
        history: HistoryLimits { delivered_count_max: 5, ..HistoryLimits::default() },
        reads_disk: true,
        forces_snapshot: false,
        has_observer_masters: false,
        seed: 1,
    };
    let (recovered, state) = disk.recover(5);
    (Zab::start(settings, recovered, 0, outputs), state)
}

impl Follower {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let own = if random.chance(70) { ServerId(1) } else { OBSERVER };
        let (mut disk, mut outputs) = (Disk::default(), Vec::new());
        let (zab, state) = zab(own, &mut disk, &mut outputs);
        let known = Knowledge { epoch: Epoch(0), last: Zxid::ZERO, delivered: Zxid::ZERO, sent: Vec::new() };
        let mut follower = Self {
            own,
            zab,
            disk,
            state,
            random,
            now_ms: 0,
            round: 0,
            pending: VecDeque::new(),
            link: None,
            is_connected: false,
            is_serving: false,
            has_epoch: false,
            step: Step::Hello,
            known,
            told: Zxid::ZERO,
            shown: Zxid::ZERO,
            served: 0,
        };
        follower.carry_out(outputs);
        follower
    }

    fn input(&mut self, input: Input) {
        self.pending.push_back(input);
        while let Some(input) = self.pending.pop_front() {
            let mut outputs = Vec::new();
            self.zab.handle(input, self.now_ms, &mut outputs);
            assert!(outputs.len() <= OUTPUTS_MAX, "{} outputs", outputs.len());
            self.carry_out(outputs);
            (self.known.last, self.known.delivered) = (self.zab.last_logged(), self.zab.last_delivered());
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Append { zxid, payload } => self.disk.push(Write::Append(zxid, payload)),
                Output::StoreAcceptedEpoch(epoch) => {
                    assert!(Some(epoch) > self.disk.accepted_epoch, "a promise is not taken back: {epoch}");
                    self.disk.push(Write::AcceptedEpoch(epoch));
                }
                Output::StoreCurrentEpoch(epoch) => self.disk.push(Write::CurrentEpoch(epoch)),
                Output::Truncate(to) => {
                    assert!(to >= self.shown, "{to} takes back what was shown up to {}", self.shown);
                    self.disk.push(Write::Truncate(to));
                }
                Output::InstallSnapshot(zxid) => {
                    assert!(zxid >= self.shown && zxid.epoch() <= self.known.epoch, "{zxid} is installed; shown is {}", self.shown);
                    self.disk.push(Write::Install(zxid, vec![(zxid, 0)]));
                }
                Output::Deliver { zxid, payload } => {
                    assert!(self.state.last().is_none_or(|(last, _)| zxid > *last), "{zxid} is applied in its turn");
                    assert!(!self.is_serving || zxid <= self.told, "{zxid} is shown, and committed is {}", self.told);
                    self.state.push((zxid, id_of(&payload)));
                    if self.is_serving {
                        self.shown = zxid;
                    }
                }
                Output::Notify { notification, .. } => self.voted(&notification),
                Output::ConnectLeader { link, .. } => (self.link, self.is_connected) = (Some(link), false),
                Output::DisconnectLeader(link) => drop(self.link.take_if(|own| *own == link)),
                Output::ToLeader(_, packet) => self.told_leader(&packet),
                Output::Role(RoleChange::Serving { .. }) => {
                    self.is_serving = true;
                    self.served += 1;
                    self.shown = self.zab.last_delivered();
                }
                Output::Role(RoleChange::Looking { .. } | RoleChange::Stopped) => self.is_serving = false,
                Output::FromLeader(ping) if ping.kind == RiderKind::Ping => {
                    self.pending.push_back(Input::ToLeader(answer_ping(&ping, Bytes::new())));
                }
                Output::FromLeader(_) | Output::Role(_) => {}
                other => panic!("a learner does not ask for this: {other:?}"),
            }
        }
    }

    /// A vote for itself tells what is durable.
    fn voted(&self, notification: &Notification) {
        if notification.state == ServerState::Looking && notification.vote.leader == self.own {
            let told = (notification.vote.zxid, Some(notification.vote.peer_epoch));
            assert_eq!(told, (self.disk.last_zxid(), self.disk.current_epoch), "a vote tells what is durable");
        }
    }

    fn told_leader(&mut self, packet: &Packet) {
        match *packet {
            Packet::AckEpoch { .. } => {
                assert!(self.disk.accepted_epoch >= Some(self.known.epoch), "a promise is durable");
                self.step = Step::History;
            }
            Packet::Ack { zxid } if zxid == self.known.epoch.zxid() => {
                assert_eq!(self.disk.current_epoch, Some(self.known.epoch), "NEWLEADER is acked when its epoch is durable");
                self.step = Step::Broadcast;
            }
            Packet::Ack { zxid } => {
                assert!(self.disk.holds(zxid) && zxid.epoch() == self.known.epoch, "{zxid} is acked");
                assert_ne!(self.own, OBSERVER, "an observer acks nothing");
            }
            _ => {}
        }
    }

    /// What a leader that keeps to the rules would say next.
    fn honest(&mut self) -> Packet {
        let Knowledge { epoch, last, delivered, .. } = self.known;
        let next = |zxid: Zxid, epoch: Epoch| if zxid.epoch() == epoch { zxid.next() } else { Zxid::new(epoch, 1) };
        match self.step {
            Step::Hello => {
                self.step = Step::Promise;
                let epoch = Epoch(self.zab.accepted_epoch().0 + i64::from(self.random.chance(80))).min(Epoch::LAST);
                Packet::LeaderInfo { epoch, version: 0x1_0000, is_paddock: self.random.chance(50) }
            }
            Step::Promise => Packet::Unknown { type_code: 99, zxid: Zxid::ZERO, data: None },
            Step::History => {
                self.step = Step::Collecting;
                let to = Zxid::new(last.epoch(), last.counter().saturating_sub(self.random.between(0, 2) as u32));
                let ways = [Packet::Diff { zxid: to }, Packet::Trunc { zxid: to }, Packet::Snap { zxid: last.max(Zxid(5)) }];
                ways[self.random.between(0, 2) as usize].clone()
            }
            Step::Collecting if self.random.chance(50) => {
                self.step = Step::Adopting;
                Packet::NewLeader { epoch, config: Some(payload(&mut self.random)) }
            }
            Step::Broadcast if !self.is_serving && self.random.chance(30) => Packet::UpToDate,
            Step::Broadcast if self.own == OBSERVER => Packet::Inform { zxid: next(last, epoch), payload: payload(&mut self.random) },
            _ if delivered < last && self.random.chance(60) => Packet::Commit { zxid: next(delivered, last.epoch()) },
            _ => Packet::Proposal { zxid: next(last, epoch), payload: payload(&mut self.random) },
        }
    }

    fn say(&mut self, link: LinkId, packet: Packet) {
        match &packet {
            Packet::LeaderInfo { epoch, .. } if !self.has_epoch => (self.has_epoch, self.known.epoch) = (true, *epoch),
            Packet::Commit { zxid }
            | Packet::Inform { zxid, .. }
            | Packet::CommitAndActivate { zxid, .. }
            | Packet::InformAndActivate { zxid, .. } => self.told = self.told.max(*zxid),
            _ => {}
        }
        self.known.sent.push(packet.clone());
        let is_snapshot = matches!(packet, Packet::Snap { .. });
        self.input(Input::LeaderPacket(link, packet));
        if is_snapshot && self.random.chance(80) {
            self.input(Input::SnapshotReceived(link));
        }
    }

    /// The others have a leader: the same one, in some round.
    fn elect(&mut self) {
        self.round += self.random.between(0, 2);
        let election_epoch = if self.random.chance(5) { i64::MAX } else { self.round };
        for (from, state) in [(2, ServerState::Following), (3, ServerState::Leading)] {
            let vote = Vote { leader: LEADER, zxid: self.known.zxid(&mut self.random), peer_epoch: self.known.epoch };
            let notification = Notification { state, vote, election_epoch, version: 2, config: None };
            self.input(Input::Notification { from: ServerId(from), notification });
        }
    }

    fn work_on_disk(&mut self) {
        if !self.disk.begin() {
            return;
        }
        for input in self.disk.finish().0 {
            match input {
                Input::Truncated(to) => self.state.retain(|(zxid, _)| *zxid <= to),
                Input::SnapshotInstalled(zxid) => self.state = self.disk.rebuild(zxid).expect("it can be read back"),
                _ => {}
            }
            self.input(input);
        }
    }

    fn restart(&mut self) {
        self.disk.crash(&mut self.random);
        let mut outputs = Vec::new();
        (self.zab, self.state) = zab(self.own, &mut self.disk, &mut outputs);
        (self.link, self.is_serving, self.shown) = (None, false, Zxid::ZERO);
        self.carry_out(outputs);
    }

    fn step(&mut self, hostile_percent: i64) {
        self.now_ms += self.random.between(0, 10);
        match (self.random.between(0, 99), self.link) {
            (0..30, _) => self.work_on_disk(),
            (30..35, _) => self.input(Input::Tick),
            (35, _) => self.restart(),
            (36, Some(link)) => {
                self.link = None;
                self.input(Input::LeaderDisconnected(link));
            }
            (_, Some(link)) if self.is_connected => {
                let is_hostile = self.random.chance(hostile_percent);
                let packet = if is_hostile { self.known.packet(&mut self.random) } else { self.honest() };
                self.say(link, packet);
            }
            (_, Some(link)) => {
                (self.is_connected, self.has_epoch, self.step, self.told) = (true, false, Step::Hello, Zxid(i64::MIN));
                self.known.sent.drain(..self.known.sent.len().saturating_sub(50));
                self.input(Input::LeaderConnected(link));
            }
            (_, None) => self.elect(),
        }
    }
}

/// One run; how often the follower served.
pub fn run(seed: u64) -> usize {
    let mut follower = Follower::new(seed);
    // Few hostile packets let it get far, many are found early.
    let hostile_percent = [0, 2, 10, 50][(seed % 4) as usize];
    (0..STEPS).for_each(|_| follower.step(hostile_percent));
    follower.served
}
