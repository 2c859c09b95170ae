//! A leader with one follower that keeps to the rules, and any number of learners that keep to none: they claim to be others, ack what was
//! never proposed, come from other epochs, and say everything twice.
//!
//! Whatever comes: nothing is committed on fewer claims than a quorum, the follower is told everything in its order, and with it alone the
//! ensemble goes on.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{
    Configuration, HistoryLimits, Input, Introduction, LinkId, Membership, Notification, Output, Packet, QuorumVerifier, Recovered,
    RiderKind, RoleChange, ServerState, Settings, SyncId, Timing, Vote, Zab, answer_ping, follows,
};

use crate::disk::{Disk, Write};
use crate::hostile::{Knowledge, payload};
use crate::random::Random;

const OWN: ServerId = ServerId(3);
const FOLLOWER: ServerId = ServerId(1);
const OUTPUTS_MAX: usize = 500;
const STEPS: usize = 600;

/// The follower that keeps to the rules; it speaks as a Java server does. What it logs is durable at once.
#[derive(Default)]
struct Follower {
    link: Option<LinkId>,
    accepted: Epoch,
    current: Epoch,
    last: Zxid,
    committed: Zxid,
    answers: Vec<Packet>,
}

impl Follower {
    fn introduction(&self) -> Packet {
        Packet::FollowerInfo(Introduction {
            accepted_epoch: self.accepted,
            sid: Some(FOLLOWER),
            config_version: 0,
            is_paddock: false,
            serves_observers: false,
        })
    }

    /// `delivered` is how far the leader has committed.
    fn hear(&mut self, packet: Packet, delivered: Zxid) {
        match packet {
            Packet::LeaderInfo { epoch, .. } => {
                assert!(epoch >= self.accepted && epoch <= Epoch::LAST, "{epoch} behind {}", self.accepted);
                let current_epoch = (epoch > self.accepted).then_some(self.current);
                self.accepted = epoch;
                self.answers.push(Packet::AckEpoch { last_zxid: self.last, current_epoch });
            }
            // What it has is the leader's history.
            Packet::Diff { .. } => self.committed = self.last,
            Packet::UpToDate => {}
            Packet::Snap { zxid } => (self.last, self.committed) = (zxid, zxid),
            Packet::Proposal { zxid, .. } => {
                assert!(follows(self.last, zxid), "{zxid} is proposed behind {}", self.last);
                self.last = zxid;
                self.answers.push(Packet::Ack { zxid });
            }
            Packet::Commit { zxid } => {
                let is_next = follows(self.committed, zxid) || zxid <= self.committed;
                assert!(zxid <= self.last && zxid <= delivered && is_next, "{zxid} is committed behind {}", self.committed);
                self.committed = self.committed.max(zxid);
            }
            Packet::NewLeader { epoch, .. } => {
                self.current = epoch;
                self.answers.push(Packet::Ack { zxid: epoch.zxid() });
            }
            Packet::Rider(ping) if ping.kind == RiderKind::Ping => self.answers.push(Packet::Rider(answer_ping(&ping, Bytes::new()))),
            other => panic!("nothing for a follower: {other:?}"),
        }
    }
}

struct Leader {
    zab: Zab,
    disk: Disk,
    random: Random,
    now_ms: i64,
    round: i64,
    pending: VecDeque<Input>,
    follower: Follower,
    /// The links of the others, and what each says of itself.
    hostile: BTreeMap<LinkId, Option<ServerId>>,
    next_link: u64,
    next_sync: u64,
    port_is_open: bool,
    is_serving: bool,
    /// What each voter was heard to have of what was proposed by then.
    claims: BTreeMap<ServerId, Zxid>,
    known: Knowledge,
    committed: usize,
}

fn zab(outputs: &mut Vec<Output>) -> Zab {
    let observers = [ServerId(4)].into();
    let membership = Membership::new(Configuration { observers, ..Configuration::of(0, QuorumVerifier::majority((1..=3).map(ServerId))) });
    let settings = Settings {
        server_id: OWN,
        membership,
        reader: None,
        is_standalone: false,
        timing: Timing::new(100, 10, 5),
        history: HistoryLimits { delivered_count_max: 20, ..HistoryLimits::default() },
        reads_disk: true,
        forces_snapshot: false,
        has_observer_masters: false,
        seed: 1,
    };
    Zab::start(settings, Recovered::default(), 0, outputs)
}

impl Leader {
    fn new(seed: u64) -> Self {
        let mut outputs = Vec::new();
        let zab = zab(&mut outputs);
        let known = Knowledge { epoch: Epoch(1), last: Zxid::ZERO, delivered: Zxid::ZERO, sent: Vec::new() };
        let mut leader = Self {
            zab,
            disk: Disk::default(),
            random: Random::new(seed),
            now_ms: 0,
            round: 0,
            pending: VecDeque::new(),
            follower: Follower::default(),
            hostile: BTreeMap::new(),
            next_link: 1 << 32,
            next_sync: 0,
            port_is_open: false,
            is_serving: false,
            claims: BTreeMap::new(),
            known,
            committed: 0,
        };
        leader.carry_out(outputs);
        leader.input(Input::PeerUnreachable(ServerId(2)));
        leader
    }

    fn input(&mut self, input: Input) {
        self.pending.push_back(input);
        while let Some(input) = self.pending.pop_front() {
            let mut outputs = Vec::new();
            self.zab.handle(input, self.now_ms, &mut outputs);
            self.carry_out(outputs);
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        assert!(outputs.len() <= OUTPUTS_MAX, "{} outputs", outputs.len());
        for output in outputs {
            match output {
                Output::Append { zxid, payload } => self.disk.push(Write::Append(zxid, payload)),
                Output::StoreAcceptedEpoch(epoch) => self.disk.push(Write::AcceptedEpoch(epoch)),
                Output::StoreCurrentEpoch(epoch) => self.disk.push(Write::CurrentEpoch(epoch)),
                Output::Deliver { zxid, .. } => self.delivered(zxid),
                Output::OpenQuorumPort => self.port_is_open = true,
                Output::CloseQuorumPort => {
                    self.port_is_open = false;
                    self.follower.link = None;
                    self.hostile.clear();
                }
                Output::ToLearner(link, packet) => {
                    self.known.sent.push(packet.clone());
                    if self.follower.link == Some(link) {
                        self.follower.hear(packet, self.zab.last_delivered());
                    }
                }
                Output::CloseLearner(link, _) => {
                    self.hostile.remove(&link);
                    self.follower.link.take_if(|own| *own == link);
                }
                Output::ReadHistory { link, after } => {
                    let slice = self.disk.read_history(after, 3);
                    self.pending.push_back(Input::HistoryRead(link, slice));
                }
                Output::TakeSnapshot(link) => self.pending.push_back(Input::SnapshotTaken(link, self.zab.last_delivered())),
                Output::StreamSnapshot(link) => self.pending.push_back(Input::SnapshotSent(link)),
                Output::Role(RoleChange::Serving { epoch, .. }) => (self.is_serving, self.known.epoch) = (true, epoch),
                Output::Role(RoleChange::Looking { .. }) => self.is_serving = false,
                Output::Notify { .. } | Output::FromLearner(..) | Output::SyncConfirmed(_) | Output::Role(_) => {}
                other => panic!("this server leads, or looks: {other:?}"),
            }
        }
        (self.known.last, self.known.delivered) = (self.zab.last_logged(), self.zab.last_delivered());
    }

    /// A txn is committed: two of three have it, as far as they were heard.
    fn delivered(&mut self, zxid: Zxid) {
        if self.is_serving {
            let heard = self.claims.iter().filter(|(_, claimed)| **claimed >= zxid).count();
            assert!(heard + usize::from(self.disk.holds(zxid)) >= 2, "{zxid} is committed; heard: {:?}", self.claims);
            self.committed += 1;
        }
    }

    fn claim(&mut self, sid: Option<ServerId>, packet: &Packet) {
        let (Packet::Ack { zxid } | Packet::AckEpoch { last_zxid: zxid, .. }) = packet else { return };
        if let Some(sid) = sid.filter(|sid| [FOLLOWER, ServerId(2)].contains(sid))
            && *zxid <= self.zab.last_logged()
        {
            let claimed = self.claims.entry(sid).or_insert(*zxid);
            *claimed = (*claimed).max(*zxid);
        }
    }

    fn connect(&mut self) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.input(Input::LearnerConnected(link));
        link
    }

    fn attack(&mut self) {
        let link = match self.random.pick(&self.hostile.keys().copied().collect::<Vec<_>>()) {
            Some(link) if self.random.chance(90) => link,
            _ if self.hostile.len() < 8 => {
                let link = self.connect();
                self.hostile.insert(link, None);
                link
            }
            _ => return,
        };
        let packet = self.known.packet(&mut self.random);
        if let (Packet::FollowerInfo(info) | Packet::ObserverInfo(info), Some(sid)) = (&packet, self.hostile.get_mut(&link)) {
            *sid = sid.or(info.sid);
        }
        let sid = self.hostile.get(&link).copied().flatten();
        self.claim(sid, &packet);
        self.input(Input::LearnerPacket(link, packet));
        if self.random.chance(5) && self.hostile.remove(&link).is_some() {
            self.input(Input::LearnerDisconnected(link));
        }
    }

    fn follow(&mut self) {
        let Some(link) = self.follower.link else {
            if self.port_is_open {
                self.follower.answers.clear();
                let link = self.connect();
                self.follower.link = Some(link);
                let introduction = self.follower.introduction();
                self.input(Input::LearnerPacket(link, introduction));
            }
            return;
        };
        for answer in std::mem::take(&mut self.follower.answers) {
            self.claim(Some(FOLLOWER), &answer);
            self.input(Input::LearnerPacket(link, answer));
        }
    }

    fn elect(&mut self) {
        self.round += 1;
        let vote = Vote { leader: OWN, zxid: self.zab.last_logged(), peer_epoch: self.zab.current_epoch() };
        let notification = Notification { state: ServerState::Looking, vote, election_epoch: self.round, version: 2, config: None };
        self.input(Input::Notification { from: FOLLOWER, notification });
    }

    fn work_on_disk(&mut self) {
        if self.disk.begin() {
            self.disk.finish().0.into_iter().for_each(|input| self.input(input));
        }
    }

    fn propose(&mut self) {
        if self.zab.can_propose() {
            let mut outputs = Vec::new();
            self.zab.propose(payload(&mut self.random), &mut outputs);
            self.carry_out(outputs);
        }
    }

    fn step(&mut self, hostile_percent: i64) {
        self.now_ms += self.random.between(0, 5);
        if self.random.chance(hostile_percent) && self.port_is_open {
            return self.attack();
        }
        match self.random.between(0, 9) {
            0..=2 => self.work_on_disk(),
            3..=5 => self.follow(),
            6 => self.propose(),
            7 => self.input(Input::Tick),
            8 if !self.port_is_open => self.elect(),
            8 => {
                self.next_sync += 1;
                self.input(Input::Sync { sync: SyncId(self.next_sync), from: None });
            }
            _ => {}
        }
    }
}

/// One run; how many txns were committed.
pub fn run(seed: u64) -> usize {
    let mut leader = Leader::new(seed);
    let hostile_percent = [2, 10, 30, 60][(seed % 4) as usize];
    (0..STEPS).for_each(|_| leader.step(hostile_percent));
    let before = leader.committed;
    for step in 0.. {
        if leader.committed > before {
            break;
        }
        assert!(step < 4 * STEPS, "with its follower alone it commits nothing");
        leader.step(0);
    }
    leader.committed
}
