//! The leader: from its election over discovery and synchronization to broadcast.
//!
//! ```text
//!  elected ─► COLLECTING ─ epoch fixed ─► PROMISING ─ acceptedEpoch durable ─► ACKNOWLEDGING ─ a quorum promised ─► ADOPTING
//!                                                                                                                     │
//!             BROADCASTING ◄─ a quorum (with itself) has the history and has adopted the epoch, all of it durable ◄───┘
//! ```
//! Each of the first four may take initLimit ticks. A quorum of learners that was there and is gone ends the leadership at once: it can
//! commit nothing, and its learners look for a leader already.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::broadcast::Acks;
use super::confirmation::Confirmations;
use super::core::Core;
use super::discovery::{Discovery, Promise, Summary};
use super::input::{Input, LinkId, SyncId};
use super::leader_sync::{LearnerMaster, inform};
use super::learner_handler::{LearnerHandler, Stage};
use super::notification::{Notification, ServerState};
use super::output::{CloseReason, Output, Reason, RoleChange};
use super::packet::{PROTOCOL_VERSION, Packet, Rider, RiderKind};
use crate::ids::{Epoch, ServerId, Zxid};

/// The last counter of an epoch that is given to a txn: the one after it, 0xffffffff, never is (ZOOKEEPER-1277).
const COUNTER_MAX: u32 = 0xffff_fffe;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Collecting,
    Promising,
    Acknowledging,
    Adopting,
    Broadcasting,
}

/// How many learners a leader has, for its operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnerCounts {
    /// Every server that is connected and has said who it is.
    pub learners: usize,
    /// Those of them that serve and follow, with a vote or without.
    pub synced_followers: usize,
    /// Those that serve and follow without a vote.
    pub synced_non_voting_followers: usize,
    /// Those that serve and observe.
    pub synced_observers: usize,
}

/// A leader.
///
/// Invariant: history.delivered <= last_proposed once it broadcasts, and everything delivered then is durable on a quorum.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) phase: Phase,
    phase_began_ms: i64,
    pub(super) now_ms: i64,
    discovery: Option<Discovery>,
    pub(super) epoch: Epoch,
    /// The epoch whose history it had when it was elected.
    pub(super) adopted_before: Epoch,
    /// Whether its own current epoch is durable: its ack of its own NEWLEADER.
    has_adopted: bool,
    pub(super) learners: BTreeMap<LinkId, LearnerHandler>,
    pub(super) had_quorum: bool,
    /// Who backed another in the round of its election: such a server does not come while it has no reason to look anew.
    deserters: BTreeSet<ServerId>,
    /// Of which epoch their history is, by those who look for a leader and vote for themselves.
    candidates: BTreeMap<ServerId, Epoch>,
    acks: Acks,
    last_proposed: Zxid,
    confirmations: Confirmations,
    ping_at_ms: i64,
    /// The reconfigurations that this leader committed, and who leads on by each.
    pub(super) activated: Vec<(Zxid, ServerId)>,
    /// A reconfiguration ends this leadership.
    pub(super) dismissed: Option<Reason>,
}

impl Leader {
    /// A server without an ensemble leads from the first moment.
    pub(super) fn standalone(core: &Core, now_ms: i64) -> Self {
        let last = core.history.last();
        let mut leader = Self::new(core, now_ms);
        leader.phase = Phase::Broadcasting;
        leader.epoch = last.epoch();
        leader.last_proposed = last;
        leader
    }

    fn new(core: &Core, now_ms: i64) -> Self {
        Self {
            phase: Phase::Collecting,
            phase_began_ms: now_ms,
            now_ms,
            discovery: None,
            epoch: Epoch(0),
            adopted_before: core.current_epoch,
            has_adopted: false,
            learners: BTreeMap::new(),
            had_quorum: false,
            deserters: BTreeSet::new(),
            candidates: BTreeMap::new(),
            acks: Acks::default(),
            last_proposed: Zxid::ZERO,
            confirmations: Confirmations::default(),
            ping_at_ms: now_ms,
            activated: Vec::new(),
            dismissed: None,
        }
    }

    /// Takes office. What it has logged is its history from here on: it is applied, and served once a quorum has it.
    pub(super) fn elected(core: &mut Core, now_ms: i64, outputs: &mut Vec<Output>) -> Self {
        core.deliver_up_to(core.history.last(), outputs);
        outputs.push(Output::OpenQuorumPort);
        let mut leader = Self::new(core, now_ms);
        let summary = Summary { current_epoch: core.current_epoch, last_zxid: core.last_zxid() };
        leader.discovery = Some(Discovery::new(core.own, core.accepted_epoch, summary, &core.membership));
        leader.collect(core, outputs);
        leader
    }

    /// When something is due.
    pub(super) fn wake_ms(&self, core: &Core) -> Option<i64> {
        if core.is_standalone {
            return None;
        }
        let limit_ms = self.phase_began_ms + core.timing.init_limit_ms() + 1;
        Some(if self.phase == Phase::Broadcasting { self.ping_at_ms } else { self.ping_at_ms.min(limit_ms) })
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phase_began_ms = self.now_ms;
    }

    /// Votes may change between the election of a leader and the moment at which its voters take office: somebody better came. Whoever is
    /// left without a quorum then need not wait for one.
    pub(super) fn notified(&mut self, from: ServerId, notification: &Notification, core: &Core) -> Result<(), Reason> {
        if notification.state == ServerState::Looking && notification.vote.leader == from {
            self.candidates.insert(from, notification.vote.peer_epoch);
        }
        let is_of_this_round = notification.state == ServerState::Looking && notification.election_epoch == core.vote_round;
        if self.phase != Phase::Collecting || self.had_quorum || !is_of_this_round {
            return Ok(());
        }
        if notification.vote.leader == core.own {
            self.deserters.remove(&from);
        } else {
            self.deserters.insert(from);
        }
        let may_come = core.membership.participants().difference(&self.deserters).copied().collect();
        if core.membership.contains_quorum(&may_come) { Ok(()) } else { Err(Reason::QuorumNeverCame) }
    }

    // Discovery.

    /// A quorum told its epochs: this leader promises the new one itself, before anybody else is asked to.
    fn collect(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        let discovery = self.discovery.as_ref().expect("an elected leader discovers");
        if self.phase == Phase::Collecting && discovery.is_fixed() {
            self.epoch = discovery.epoch();
            core.store_accepted_epoch(self.epoch, outputs);
            self.enter(Phase::Promising);
        }
    }

    fn accepted_epoch_stored(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        if self.phase != Phase::Promising || core.accepted_epoch < self.epoch {
            return;
        }
        self.enter(Phase::Acknowledging);
        for handler in self.learners.values_mut().filter(|handler| handler.stage == Stage::Introduced) {
            Self::ask_promise(self.epoch, handler, outputs);
        }
        let summary = Summary { current_epoch: core.current_epoch, last_zxid: core.last_zxid() };
        let discovery = self.discovery.as_mut().expect("an elected leader discovers");
        discovery.promise(core.own, Some(summary), &core.membership);
        self.conclude_discovery(core, outputs);
    }

    fn ask_promise(epoch: Epoch, handler: &mut LearnerHandler, outputs: &mut Vec<Output>) {
        handler.send(Packet::LeaderInfo { epoch, version: PROTOCOL_VERSION, is_paddock: true }, outputs);
        handler.stage = Stage::Promising;
    }

    fn conclude_discovery(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        if self.phase != Phase::Acknowledging || !self.discovery.as_ref().is_some_and(Discovery::is_over) {
            return;
        }
        outputs.push(Output::Role(RoleChange::Discovered { epoch: self.epoch, took_ms: self.now_ms - self.phase_began_ms }));
        self.enter(Phase::Adopting);
        core.stamp_configuration(self.epoch);
        core.store_current_epoch(self.epoch, core.history.last(), outputs);
        let promised: Vec<LinkId> =
            self.learners.values().filter(|handler| handler.stage == Stage::Promised).map(|handler| handler.link).collect();
        for link in promised {
            self.synchronize(link, core, outputs);
        }
    }

    // Synchronization: see `leader_sync`.

    /// The leader is established when a quorum has acked NEWLEADER, itself among them.
    pub(super) fn conclude_synchronization(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        if self.phase != Phase::Adopting || !self.has_adopted {
            return;
        }
        let adopted = self.learners.values().filter(|handler| handler.has_adopted()).filter_map(|handler| handler.sid);
        if !core.membership.contains_quorum(&adopted.chain([core.own]).collect()) {
            return;
        }
        assert_eq!(core.history.delivered(), core.history.last(), "nothing is proposed before a quorum has the history");
        let took_ms = self.now_ms - self.phase_began_ms;
        self.enter(Phase::Broadcasting);
        self.last_proposed = self.epoch.zxid();
        core.committed = core.history.delivered();
        core.vote.peer_epoch = self.epoch;
        let (state, leader, epoch) = (ServerState::Leading, core.own, self.epoch);
        outputs.push(Output::Role(RoleChange::Serving { state, leader, epoch, mode: None, took_ms }));
        let acked: Vec<LinkId> =
            self.learners.values().filter(|handler| handler.stage == Stage::Acked).map(|handler| handler.link).collect();
        self.begin_with_last_seen(core, outputs);
        for link in acked {
            self.up_to_date(link, core, outputs);
        }
        self.resume_waiting(core, outputs);
    }

    /// The learner may serve; what was committed since its NEWLEADER was held back until here (ZOOKEEPER-4394).
    pub(super) fn up_to_date(&mut self, link: LinkId, core: &mut Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link) else { return };
        handler.serves(self.now_ms);
        handler.send(Packet::UpToDate, outputs);
        if !handler.is_observer && core.history.delivered() > handler.told {
            let told = handler.told;
            for &(zxid, designated) in self.activated.iter().filter(|(zxid, _)| *zxid > told) {
                handler.activate(zxid, designated, 0, outputs);
            }
            handler.commit(core.history.delivered(), outputs);
        }
        let (early, is_observer) = (handler.acked, handler.is_observer);
        if let Some(sid) = handler.sid.filter(|&sid| !is_observer && core.membership.is_participant(sid)) {
            self.count(sid, early, core, outputs);
        }
    }

    // Broadcast.

    /// Whether a txn may be proposed now.
    pub(super) fn can_propose(&self, core: &Core) -> bool {
        self.phase == Phase::Broadcasting && self.dismissed.is_none() && (core.is_standalone || self.last_proposed.counter() < COUNTER_MAX)
    }

    /// The zxid of the next proposal.
    pub(super) fn next_zxid(&self) -> Zxid {
        // Only a server that stands alone comes here with its counter used up: an ensemble elects a new leader instead.
        if self.last_proposed.counter() >= COUNTER_MAX {
            Zxid::new(self.last_proposed.epoch().next(), 1)
        } else {
            self.last_proposed.next()
        }
    }

    pub(super) fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    pub(super) fn propose(&mut self, payload: Bytes, core: &mut Core, outputs: &mut Vec<Output>) -> Zxid {
        assert!(self.can_propose(core), "only an established leader proposes");
        let zxid = self.next_zxid();
        assert_ne!(zxid.counter(), u32::MAX, "the last counter of an epoch is never given away");
        self.last_proposed = zxid;
        for handler in self.learners.values_mut().filter(|handler| handler.is_forwarding() && !handler.is_observer) {
            handler.send(Packet::Proposal { zxid, payload: payload.clone() }, outputs);
            handler.proposed(zxid, self.now_ms);
        }
        core.append(zxid, payload, outputs);
        zxid
    }

    /// A server has made everything up to `zxid` durable.
    pub(super) fn count(&mut self, sid: ServerId, zxid: Zxid, core: &mut Core, outputs: &mut Vec<Output>) {
        if !self.acks.record(sid, zxid) || self.phase != Phase::Broadcasting || zxid <= core.history.delivered() {
            return;
        }
        self.commit_acked(core, outputs);
    }

    /// Commits what a quorum has. What was proposed behind a reconfiguration is looked at again when that counts.
    fn commit_acked(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        while self.dismissed.is_none() {
            let Some(acked) = self.acks.commit_point(&core.membership) else { return };
            let acked = acked.min(self.last_proposed);
            let Some(pending) = core.membership.pending().filter(|pending| *pending <= acked) else {
                return self.commit(acked, core, outputs);
            };
            if pending.counter() > 1 {
                self.commit(pending.previous(), core, outputs);
            }
            self.commit_reconfiguration(pending, core, outputs);
            self.resume_waiting(core, outputs);
            self.release_syncs(core, outputs);
        }
    }

    fn commit(&mut self, committed: Zxid, core: &mut Core, outputs: &mut Vec<Output>) {
        if committed <= core.history.delivered() {
            return;
        }
        let first = outputs.len();
        core.deliver_up_to(committed, outputs);
        assert_eq!(core.history.delivered(), committed, "what is committed was proposed");
        core.committed = committed;
        for handler in self.learners.values_mut().filter(|handler| handler.is_forwarding()) {
            if handler.is_observer {
                inform(handler, first, committed, outputs);
            } else if handler.stage == Stage::Synced {
                handler.commit(committed, outputs);
            }
        }
        self.resume_waiting(core, outputs);
        self.release_syncs(core, outputs);
    }

    // Confirmation of syncs.

    fn sync(&mut self, sync: SyncId, core: &Core, outputs: &mut Vec<Output>) {
        if self.confirmations.push(sync, self.last_proposed) {
            self.begin_round(core, outputs);
        }
    }

    fn begin_round(&mut self, core: &Core, outputs: &mut Vec<Output>) {
        self.confirmations.begin(core.own);
        self.ping(outputs);
        self.conclude_round(core, outputs);
    }

    fn conclude_round(&mut self, core: &Core, outputs: &mut Vec<Output>) {
        let begins_next = self.confirmations.conclude(&core.membership);
        self.release_syncs(core, outputs);
        if begins_next {
            self.begin_round(core, outputs);
        }
    }

    fn release_syncs(&mut self, core: &Core, outputs: &mut Vec<Output>) {
        while let Some(sync) = self.confirmations.pop(core.history.delivered().max(self.epoch.zxid())) {
            outputs.push(Output::SyncConfirmed(sync));
        }
    }

    fn ping(&mut self, outputs: &mut Vec<Output>) {
        let ping = Rider { kind: RiderKind::Ping, zxid: self.last_proposed, data: None, authinfo: None };
        for handler in self.learners.values_mut().filter(|handler| handler.is_forwarding()) {
            handler.send(Packet::Rider(ping.clone()), outputs);
            // Before UPTODATE a learner does not answer PINGs.
            if handler.stage == Stage::Synced {
                let count = handler.pinged(self.now_ms);
                self.confirmations.pinged(handler.link, count);
            }
        }
    }

    // Inputs.

    /// Handles what concerns a leader. An error ends the leadership.
    pub(super) fn handle(&mut self, input: Input, core: &mut Core, now_ms: i64, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        self.now_ms = now_ms;
        self.handle_any(input, core, outputs)?;
        self.dismissed.map_or(Ok(()), Err)
    }

    fn handle_any(&mut self, input: Input, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        match input {
            Input::Tick => self.tick(core, outputs),
            Input::LearnerConnected(link) => {
                self.learners.insert(link, LearnerHandler::new(link, self.now_ms));
                Ok(())
            }
            Input::LearnerPacket(link, packet) => self.packet(link, packet, core, outputs),
            Input::LearnerDisconnected(link) => {
                self.learners.remove(&link);
                self.lost_learner(core, outputs)
            }
            Input::ToLearner(link, rider) => {
                if let Some(handler) = self.learners.get_mut(&link).filter(|handler| handler.stage == Stage::Synced) {
                    let answers_sync = rider.kind == RiderKind::Sync;
                    handler.send(Packet::Rider(rider), outputs);
                    if answers_sync {
                        handler.sync_ended(outputs);
                    }
                }
                Ok(())
            }
            Input::Persisted(_) => {
                self.count(core.own, core.persisted, core, outputs);
                self.check_exhausted(core)
            }
            Input::AcceptedEpochStored(_) => {
                self.accepted_epoch_stored(core, outputs);
                Ok(())
            }
            Input::CurrentEpochStored(_) => {
                self.has_adopted = core.current_epoch == self.epoch;
                self.conclude_synchronization(core, outputs);
                Ok(())
            }
            Input::HistoryRead(link, slice) => {
                self.history_read(link, slice, core, outputs);
                self.lost_learner(core, outputs)
            }
            Input::SnapshotTaken(link, at) => {
                self.snapshot_taken(link, at, core, outputs);
                self.lost_learner(core, outputs)
            }
            Input::SnapshotSent(link) => {
                self.snapshot_sent(link, core, outputs);
                Ok(())
            }
            Input::Sync { sync, from } => {
                if self.phase == Phase::Broadcasting {
                    if let Some(handler) = from.and_then(|link| self.learners.get_mut(&link)) {
                        handler.sync_began(self.last_proposed);
                    }
                    self.sync(sync, core, outputs);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The counter is used up and everything is committed: the next txn needs a new epoch (ZOOKEEPER-1277).
    fn check_exhausted(&self, core: &Core) -> Result<(), Reason> {
        let is_exhausted = !core.is_standalone && self.phase == Phase::Broadcasting && self.last_proposed.counter() >= COUNTER_MAX;
        if is_exhausted && core.history.undelivered_count() == 0 { Err(Reason::EpochExhausted) } else { Ok(()) }
    }

    fn tick(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        if core.is_standalone {
            return Ok(());
        }
        let (init_limit_ms, sync_limit_ms) = (core.timing.init_limit_ms(), core.timing.sync_limit_ms());
        if self.phase != Phase::Broadcasting && self.now_ms - self.phase_began_ms > init_limit_ms {
            return Err(Reason::QuorumNeverCame);
        }
        if self.now_ms < self.ping_at_ms {
            return Ok(());
        }
        self.ping_at_ms = self.now_ms + core.timing.ping_interval_ms();
        let slow = self.learners.values().filter(|handler| handler.is_too_slow(self.now_ms, init_limit_ms, sync_limit_ms));
        for link in slow.map(|handler| handler.link).collect::<Vec<_>>() {
            self.close(link, CloseReason::Silent, outputs);
        }
        self.lost_learner(core, outputs)?;
        if self.phase == Phase::Broadcasting && self.now_ms - self.followed_ms(core) > sync_limit_ms {
            return Err(Reason::QuorumLost);
        }
        self.ping(outputs);
        Ok(())
    }

    /// The last moment at which a quorum surely followed this leader: no other was established before it. Reads are stale by no more than
    /// the time since then.
    fn followed_ms(&self, core: &Core) -> i64 {
        let adopted = self.learners.values().filter(|handler| handler.has_adopted() && !handler.is_observer);
        let mut followed: BTreeMap<ServerId, i64> = adopted.filter_map(|handler| Some((handler.sid?, handler.followed_ms))).collect();
        followed.insert(core.own, self.now_ms);
        core.membership.reached_by_quorum(&followed).unwrap_or(self.phase_began_ms).max(self.phase_began_ms)
    }

    /// Its learners.
    pub(super) fn learner_counts(&self, core: &Core) -> LearnerCounts {
        let mut counts = LearnerCounts::default();
        for handler in self.learners.values().filter(|handler| handler.stage != Stage::Connected) {
            counts.learners += 1;
            let votes = handler.sid.is_some_and(|sid| core.membership.is_participant(sid));
            match (handler.stage == Stage::Synced, handler.is_observer, votes) {
                (false, ..) => {}
                (true, true, _) => counts.synced_observers += 1,
                (true, false, votes) => {
                    counts.synced_followers += 1;
                    counts.synced_non_voting_followers += usize::from(!votes);
                }
            }
        }
        counts
    }

    /// Whether the participants that are connected are a quorum, this server among them.
    pub(super) fn has_quorum(&self, core: &Core) -> bool {
        // One that a reconfiguration gives a vote counts while the epoch is being established, even if it does not know it yet and observes.
        // Later its acks are needed, and an observer gives none: another epoch is begun, with it.
        let counts = |handler: &&LearnerHandler| !handler.is_observer || self.phase != Phase::Broadcasting;
        let connected = self.learners.values().filter(|handler| handler.stage != Stage::Connected).filter(counts);
        let connected = connected.filter_map(|handler| handler.sid);
        core.membership.contains_quorum(&connected.chain([core.own]).collect())
    }

    fn lost_learner(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        if self.had_quorum && !self.has_quorum(core) {
            return Err(Reason::QuorumLost);
        }
        self.resume_waiting(core, outputs);
        Ok(())
    }

    fn packet(&mut self, link: LinkId, packet: Packet, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let Some(handler) = self.learners.get_mut(&link) else { return Ok(()) };
        handler.heard_ms = self.now_ms;
        match (packet, handler.stage) {
            (Packet::FollowerInfo(info), Stage::Connected) => self.introduced(link, info, false, core, outputs),
            (Packet::ObserverInfo(info), Stage::Connected) => self.introduced(link, info, true, core, outputs),
            (Packet::AckEpoch { last_zxid, current_epoch }, Stage::Promising) => {
                self.promised(link, last_zxid, current_epoch, core, outputs)
            }
            (Packet::Ack { zxid }, stage) if stage >= Stage::Waiting => {
                self.acked(link, zxid, core, outputs);
                self.check_exhausted(core)?;
                self.lost_learner(core, outputs)
            }
            (Packet::Rider(rider), Stage::Synced) => {
                let sid = handler.sid.expect("a learner that serves has said who it is");
                if rider.kind == RiderKind::Ping {
                    let count = handler.ponged();
                    self.confirmations.answered(link, sid, count);
                    self.conclude_round(core, outputs);
                }
                outputs.push(Output::FromLearner(link, sid, rider));
                Ok(())
            }
            // Unknown packets are for a later release; riders before UPTODATE have nobody to go to.
            (Packet::Unknown { .. } | Packet::Rider(_), stage) if stage != Stage::Connected => Ok(()),
            _ => {
                self.close(link, CloseReason::Misbehaved, outputs);
                self.lost_learner(core, outputs)
            }
        }
    }

    fn introduced(
        &mut self,
        link: LinkId,
        info: super::packet::Introduction,
        is_observer: bool,
        core: &mut Core,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Reason> {
        if info.config_version > core.membership.committed().version {
            self.close(link, CloseReason::LaterConfiguration, outputs);
            return Ok(());
        }
        // Who does not say who it is gets a number that nobody has, as at a Java leader.
        let sid = info.sid.filter(|sid| sid.0 >= 0).unwrap_or(ServerId(-1 - link.0 as i64));
        // Behind the last epoch there is none: whoever says that it has promised that is left out, and all others go on.
        if sid == core.own || info.accepted_epoch >= Epoch::LAST {
            self.close(link, CloseReason::Misbehaved, outputs);
            return Ok(());
        }
        let older: Vec<LinkId> = self.learners.values().filter(|handler| handler.sid == Some(sid)).map(|handler| handler.link).collect();
        for older in older {
            self.close(older, CloseReason::Replaced, outputs);
        }
        let handler = self.learners.get_mut(&link).expect("the link of the packet");
        handler.introduce(&info, sid, is_observer);
        // By its id: one that a reconfiguration is about to give a vote may not know it yet, and comes as an observer.
        let is_voter = core.membership.is_participant(sid);
        let discovery = self.discovery.as_mut().expect("an elected leader discovers");
        if discovery.is_fixed() && info.accepted_epoch > self.epoch && is_voter {
            if self.phase == Phase::Broadcasting && self.candidates.get(&sid).is_some_and(|&epoch| epoch > self.epoch) {
                // A quorum promised that epoch, and a quorum has this one: those who were in both have lost what they had. If this leader
                // gave way, all that was acknowledged since would go too.
                self.close(link, CloseReason::OtherPast, outputs);
                return Ok(());
            }
            // It promised a later epoch to a leader that came to nothing, and will never follow this one.
            return Err(Reason::Superseded);
        }
        if is_voter {
            discovery.inform(sid, info.accepted_epoch, &core.membership);
        }
        self.had_quorum |= self.has_quorum(core);
        if matches!(self.phase, Phase::Collecting | Phase::Promising) {
            self.collect(core, outputs);
        } else if let Some(handler) = self.learners.get_mut(&link) {
            Self::ask_promise(self.epoch, handler, outputs);
        }
        Ok(())
    }

    fn promised(
        &mut self,
        link: LinkId,
        last_zxid: Zxid,
        current_epoch: Option<Epoch>,
        core: &mut Core,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Reason> {
        let handler = self.learners.get_mut(&link).expect("the link of the packet");
        handler.stage = Stage::Promised;
        handler.last_zxid = last_zxid;
        let sid = handler.sid.expect("it was introduced");
        let is_voter = core.membership.is_participant(sid);
        let discovery = self.discovery.as_mut().expect("an elected leader discovers");
        let summary = current_epoch.filter(|_| is_voter).map(|current_epoch| Summary { current_epoch, last_zxid });
        if discovery.promise(sid, summary, &core.membership) == Promise::Ahead {
            // Whoever is ahead makes the better leader, and may be needed for a quorum.
            self.close(link, CloseReason::Ahead, outputs);
            return Err(Reason::FollowerAhead);
        }
        if matches!(self.phase, Phase::Adopting | Phase::Broadcasting) {
            self.synchronize(link, core, outputs);
            return self.lost_learner(core, outputs);
        }
        self.conclude_discovery(core, outputs);
        Ok(())
    }

    fn acked(&mut self, link: LinkId, zxid: Zxid, core: &mut Core, outputs: &mut Vec<Output>) {
        let handler = self.learners.get_mut(&link).expect("the link of the packet");
        let sid = handler.sid.expect("it was introduced");
        if zxid == self.epoch.zxid() {
            // A second one answers UPTODATE.
            if handler.stage == Stage::Syncing {
                handler.adopted(self.now_ms);
                if self.phase == Phase::Broadcasting {
                    self.up_to_date(link, core, outputs);
                } else {
                    self.conclude_synchronization(core, outputs);
                }
            }
            return;
        }
        if zxid.epoch() < self.epoch {
            // Of the history it was given: some releases ack that txn by txn. It counts for nothing.
            return;
        }
        if zxid.counter() == 0 || zxid.epoch() != self.epoch || !handler.ack(zxid, self.now_ms) {
            self.close(link, CloseReason::Misbehaved, outputs);
        } else if handler.has_adopted() && !handler.is_observer && core.membership.is_participant(sid) {
            self.count(sid, zxid, core, outputs);
        }
        // An ack that overtook the ack of NEWLEADER is counted behind it (ZOOKEEPER-4685).
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
