//! A learner: a follower or an observer, from the connection to its leader to broadcast.
//!
//! ```text
//!  CONNECTING ─ connected: INFO ─► REGISTERED ─ LEADERINFO ─► PROMISING ─ acceptedEpoch durable: ACKEPOCH ─► PROMISED
//!                                                                                                             │ DIFF, TRUNC, SNAP
//!                                  COLLECTING ◄── truncated, or snapshot installed, durably ── REPLACING ◄────┤
//!                                      │  ▲                                                                   │
//!                                      │  └───────────────────────────────────────────────────────────────────┘
//!                                      │ NEWLEADER
//!                                      ▼
//!                                  PERSISTING ─ history durable ─► ADOPTING ─ currentEpoch durable: ACK ─► ADOPTED ─ UPTODATE ─► SERVING
//! ```

use std::collections::VecDeque;

use bytes::Bytes;

use super::core::Core;
use super::election::UNINITIALIZED;
use super::history::follows;
use super::input::{Input, LinkId};
use super::leader::LearnerCounts;
use super::notification::{Notification, ServerState};
use super::observer_master::ObserverMaster;
use super::output::{Output, Reason, RoleChange, SyncMode};
use super::packet::{Introduction, Packet, Rider, RiderKind};
use crate::ids::{Epoch, ServerId, Zxid};

/// A leader that has not opened its quorum port after this time, ms, is none. A Java leader opens it after its own finalize wait; a Java
/// learner gives up after about half of this.
const CONNECT_LIMIT_MS: i64 = 1000;
/// So many packets are kept while the disk is at work.
const HELD_COUNT_MAX: usize = 100_000;
/// Bytes of their contents: as many as may wait on a link (`LINK_QUEUE_BYTES_MAX`).
const HELD_BYTES_MAX: usize = 256 << 20;
/// Bytes of txns that a leader may propose without committing any. Leaders have far fewer requests under way.
const UNCOMMITTED_BYTES_MAX: usize = 512 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A connection is being made, or will be at the given time.
    Connecting {
        retry_at_ms: Option<i64>,
    },
    Registered,
    Promising,
    Promised,
    /// The bytes of a snapshot are coming, or the disk is at work.
    Replacing {
        snap: Option<Zxid>,
    },
    Collecting,
    /// NEWLEADER came when the history ended here.
    Persisting {
        until: Zxid,
    },
    Adopting,
    Adopted,
    Serving,
}

/// A follower or an observer.
#[derive(Debug)]
pub(super) struct Learner {
    leader: ServerId,
    /// The follower that an observer observes through; `None`: the leader itself.
    master: Option<ServerId>,
    /// So long followers are tried before the leader: they open their ports when they are in step with it, as late as that.
    masters_until_ms: i64,
    link: LinkId,
    stage: Stage,
    is_observer: bool,
    /// What NEWLEADER says of the members.
    offered: Option<Bytes>,
    /// The leader is a Paddock server: one ACK covers all before it, and so does one COMMIT.
    is_paddock: bool,
    /// The history was reported as none, since it cannot be truncated: nothing but a snapshot may follow.
    needs_snapshot: bool,
    epoch: Epoch,
    mode: SyncMode,
    /// The newest proposal of this epoch that needs no ack of ours any more.
    acked: Zxid,
    held: VecDeque<Packet>,
    held_bytes: usize,
    /// Of a follower that serves: its observers, if it is to have such.
    observer_master: Option<Box<ObserverMaster>>,
    began_ms: i64,
    now_ms: i64,
    heard_ms: i64,
}

impl Learner {
    /// Begins to follow.
    pub(super) fn elected(leader: ServerId, core: &mut Core, now_ms: i64, outputs: &mut Vec<Output>) -> Self {
        let mut learner = Self {
            leader,
            master: None,
            masters_until_ms: now_ms + core.timing.init_limit_ms(),
            link: core.new_link(),
            stage: Stage::Connecting { retry_at_ms: None },
            is_observer: core.membership.observes(core.own),
            offered: None,
            is_paddock: false,
            needs_snapshot: false,
            epoch: Epoch(0),
            mode: SyncMode::Diff,
            acked: Zxid::ZERO,
            held: VecDeque::new(),
            held_bytes: 0,
            observer_master: None,
            began_ms: now_ms,
            now_ms,
            heard_ms: now_ms,
        };
        learner.choose_master(core, outputs);
        learner
    }

    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    pub(super) fn leader(&self) -> ServerId {
        self.leader
    }

    /// The server at the other end of the link.
    pub(super) fn master(&self) -> ServerId {
        self.master.unwrap_or(self.leader)
    }

    pub(super) fn observer_master(&mut self) -> Option<&mut ObserverMaster> {
        self.observer_master.as_deref_mut()
    }

    /// Its observers; `None` where there cannot be any.
    pub(super) fn observer_counts(&self) -> Option<LearnerCounts> {
        self.observer_master.as_ref().map(|master| master.counts())
    }

    pub(super) fn is_observer(&self) -> bool {
        self.is_observer
    }

    pub(super) fn take_offered(&mut self) -> Option<Bytes> {
        self.offered.take()
    }

    /// Whether its leader had a quorum with it.
    pub(super) fn has_promised(&self) -> bool {
        self.stage >= Stage::Promised
    }

    /// Whether a leader that ends the link now refuses this server's history: it promised, got nothing of the leader's, and the leader is there.
    pub(super) fn is_turned_away(&self, core: &Core) -> bool {
        self.stage == Stage::Promised && !core.unreachable.contains(&self.leader)
    }

    pub(super) fn is_serving(&self) -> bool {
        self.stage == Stage::Serving
    }

    /// When something is due.
    pub(super) fn wake_ms(&self, core: &Core) -> i64 {
        match self.stage {
            Stage::Connecting { retry_at_ms: Some(retry_at_ms) } => retry_at_ms,
            Stage::Connecting { .. } => self.began_ms + CONNECT_LIMIT_MS + 1,
            _ => self.heard_ms + self.silence_limit_ms(core) + 1,
        }
    }

    fn silence_limit_ms(&self, core: &Core) -> i64 {
        if self.stage >= Stage::Adopting { core.timing.sync_limit_ms() } else { core.timing.init_limit_ms() }
    }

    fn send(&self, packet: Packet, outputs: &mut Vec<Output>) {
        outputs.push(Output::ToLeader(self.link, packet));
    }

    /// Handles what concerns a learner. An error ends it.
    pub(super) fn handle(&mut self, input: Input, core: &mut Core, now_ms: i64, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        self.now_ms = now_ms;
        match input {
            Input::Tick => self.tick(core, outputs),
            Input::LeaderConnected(link) if link == self.link => self.connected(core, outputs),
            Input::LeaderDisconnected(link) if link == self.link => self.disconnected(core, outputs),
            Input::LeaderPacket(link, packet) if link == self.link => {
                self.heard_ms = now_ms;
                self.packet(packet, core, outputs)
            }
            Input::SnapshotReceived(link) if link == self.link => self.snapshot_received(core, outputs),
            Input::ToLeader(rider) => {
                if self.is_serving() {
                    self.send(Packet::Rider(rider), outputs);
                }
                Ok(())
            }
            Input::Persisted(_) => {
                self.persisted(core, outputs);
                Ok(())
            }
            Input::AcceptedEpochStored(_) => {
                if self.stage == Stage::Promising && core.accepted_epoch == self.epoch {
                    self.promise(Some(core.current_epoch), core, outputs);
                }
                Ok(())
            }
            Input::CurrentEpochStored(_) => {
                if self.stage == Stage::Adopting {
                    self.adopted(core, outputs);
                }
                Ok(())
            }
            Input::Truncated(_) | Input::SnapshotInstalled(_) => self.replaced(core, outputs),
            Input::TruncationRefused(_) => {
                core.untruncatable = Some(self.epoch);
                Err(Reason::TruncationRefused)
            }
            Input::InstallationRefused(_) => Err(Reason::LeaderMisbehaved),
            other => {
                if let Some(master) = self.observer_master() {
                    master.handle(other, core, now_ms, outputs);
                }
                Ok(())
            }
        }
    }

    /// A leader that is in a later round of elections, or backs another by now in the round that elected it, will not open its port.
    pub(super) fn notified(&self, from: ServerId, notification: &Notification, core: &Core) -> Result<(), Reason> {
        let has_heard_nothing = matches!(self.stage, Stage::Connecting { .. } | Stage::Registered);
        let backs_another = notification.election_epoch == core.vote_round && notification.vote.leader != self.leader;
        let has_moved_on = notification.state == ServerState::Looking && (notification.election_epoch > core.vote_round || backs_another);
        if from == self.leader && has_heard_nothing && has_moved_on { Err(Reason::LeaderLost) } else { Ok(()) }
    }

    // Connecting.

    /// Whether no more attempts are made to connect.
    fn is_late(&self, core: &Core) -> bool {
        self.now_ms - self.began_ms > CONNECT_LIMIT_MS.min(core.timing.init_limit_ms())
    }

    /// An observer takes its next master, where there are such; when none can be reached for long it comes to the leader. After each round
    /// it waits as it is told to: all others may do the same at this moment.
    fn choose_master(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        let next = if self.is_observer { core.next_master(self.leader) } else { None };
        let is_round_over = self.is_observer && next.is_none();
        let again = if is_round_over && self.now_ms < self.masters_until_ms { core.next_master(self.leader) } else { None };
        self.master = next.or(again);
        let pause_ms = if again.is_some() { core.timing.connect_retry_ms } else { 0 };
        let delay_max_ms = if is_round_over { core.timing.observer_reconnect_max_ms } else { 0 };
        let delay_ms = if delay_max_ms > 0 { core.chance(delay_max_ms as u64) as i64 } else { 0 };
        self.began_ms = self.now_ms + pause_ms + delay_ms;
        if self.began_ms > self.now_ms {
            self.stage = Stage::Connecting { retry_at_ms: Some(self.began_ms) };
        } else {
            self.dial(outputs);
        }
    }

    fn dial(&mut self, outputs: &mut Vec<Output>) {
        self.stage = Stage::Connecting { retry_at_ms: None };
        let (link, leader) = (self.link, self.leader);
        outputs.push(self.master.map_or(Output::ConnectLeader { link, leader }, |master| Output::ConnectMaster { link, master }));
    }

    fn tick(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        if let Stage::Connecting { retry_at_ms } = self.stage {
            if self.is_late(core) {
                if self.master.is_none() {
                    return Err(Reason::LeaderLost);
                }
                outputs.push(Output::DisconnectLeader(self.link));
                self.link = core.new_link();
                self.choose_master(core, outputs);
            } else if retry_at_ms.is_some_and(|retry_at_ms| self.now_ms >= retry_at_ms) {
                self.link = core.new_link();
                self.dial(outputs);
            }
        } else if matches!(self.stage, Stage::Replacing { snap: Some(_) }) {
            // The bytes of a snapshot are no packets: the rim sees whether they come.
            self.heard_ms = self.now_ms;
        } else if self.now_ms - self.heard_ms > self.silence_limit_ms(core) {
            return Err(Reason::LeaderSilent);
        }
        Ok(())
    }

    fn disconnected(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        // A link over which nothing came was perhaps none: before a Java leader opens its port a proxy may take the connection, and drop it.
        let has_heard_nothing = matches!(self.stage, Stage::Connecting { retry_at_ms: None } | Stage::Registered);
        if self.master.is_some() && has_heard_nothing {
            self.link = core.new_link();
            self.choose_master(core, outputs);
            return Ok(());
        }
        // Whoever cannot be reached on the election port either is gone.
        if !has_heard_nothing || self.is_late(core) || core.unreachable.contains(&self.leader) {
            return Err(Reason::LeaderLost);
        }
        self.stage = Stage::Connecting { retry_at_ms: Some(self.now_ms + core.timing.connect_retry_ms) };
        Ok(())
    }

    fn connected(&mut self, core: &Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        if !matches!(self.stage, Stage::Connecting { retry_at_ms: None }) {
            return Ok(());
        }
        let info = Introduction {
            accepted_epoch: core.accepted_epoch,
            sid: Some(core.own),
            config_version: core.membership.committed().version,
            is_paddock: true,
            serves_observers: core.has_observer_masters && !self.is_observer,
        };
        let packet = if self.is_observer { Packet::ObserverInfo(info) } else { Packet::FollowerInfo(info) };
        self.send(packet, outputs);
        self.stage = Stage::Registered;
        self.heard_ms = self.now_ms;
        Ok(())
    }

    // Discovery.

    fn packet(&mut self, packet: Packet, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        match (self.stage, packet) {
            (Stage::Promising | Stage::Replacing { .. }, packet) => self.hold(packet),
            (Stage::Registered, Packet::LeaderInfo { epoch, is_paddock, .. }) => self.leader_info(epoch, is_paddock, core, outputs),
            (Stage::Promised, Packet::Diff { .. }) if !self.needs_snapshot => {
                // What was logged is a beginning of the leader's history. The zxid of the packet is informative only (ZOOKEEPER-2355).
                self.collect(SyncMode::Diff, core, outputs)
            }
            (Stage::Promised, Packet::Trunc { zxid }) if !self.needs_snapshot => self.truncate(zxid, core, outputs),
            (Stage::Promised, Packet::Snap { zxid }) if zxid >= core.committed && zxid.epoch() <= self.epoch => {
                self.stage = Stage::Replacing { snap: Some(zxid) };
                Ok(())
            }
            (Stage::Collecting | Stage::Persisting { .. } | Stage::Adopting | Stage::Adopted, packet) => {
                self.synchronizing(packet, core, outputs)
            }
            (Stage::Serving, packet) => self.serving(packet, core, outputs),
            _ => Err(Reason::LeaderMisbehaved),
        }
    }

    fn leader_info(&mut self, epoch: Epoch, is_paddock: bool, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        // A follower of an older leader does not know yet that there is another.
        let is_outdated = self.master.is_some() && epoch < core.vote.peer_epoch;
        if epoch < core.accepted_epoch || is_outdated {
            return Err(Reason::EpochTooOld);
        }
        self.epoch = epoch;
        self.is_paddock = is_paddock;
        if epoch > core.accepted_epoch {
            self.stage = Stage::Promising;
            core.store_accepted_epoch(epoch, outputs);
        } else {
            // It was promised before, perhaps to another leader: this promise must not count again.
            self.promise(None, core, outputs);
        }
        Ok(())
    }

    fn promise(&mut self, current_epoch: Option<Epoch>, core: &mut Core, outputs: &mut Vec<Output>) {
        // Only an answer that does not count may tell less than there is (quorum-protocol.md §6.3-2): it asks for a snapshot.
        self.needs_snapshot = current_epoch.is_none() && core.untruncatable == Some(self.epoch);
        let last_zxid = match (self.needs_snapshot, self.is_paddock) {
            (true, true) => UNINITIALIZED,
            (true, false) => Zxid::ZERO,
            _ => core.last_zxid(),
        };
        self.send(Packet::AckEpoch { last_zxid, current_epoch }, outputs);
        outputs.push(Output::Role(RoleChange::Discovered { epoch: self.epoch, took_ms: self.now_ms - self.began_ms }));
        self.began_ms = self.now_ms;
        self.stage = Stage::Promised;
    }

    // Synchronization.

    fn truncate(&mut self, to: Zxid, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        if to < core.committed || to > core.history.last() {
            return Err(Reason::LeaderMisbehaved);
        }
        self.mode = SyncMode::Trunc;
        self.stage = Stage::Replacing { snap: None };
        core.truncate(to, outputs);
        Ok(())
    }

    fn snapshot_received(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let Stage::Replacing { snap: Some(zxid) } = self.stage else { return Err(Reason::LeaderMisbehaved) };
        self.heard_ms = self.now_ms;
        self.mode = SyncMode::Snap;
        self.stage = Stage::Replacing { snap: None };
        core.install_snapshot(zxid, outputs);
        Ok(())
    }

    /// The history on disk is the one that the leader meant: go on with what came meanwhile.
    fn replaced(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        // An operation of an earlier role may end in this one, which has not begun with its own: it began when all was quiet.
        assert!(matches!(self.stage, Stage::Replacing { snap: None }), "only a replacement that was asked for ends");
        self.collect(self.mode, core, outputs)
    }

    fn collect(&mut self, mode: SyncMode, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        self.mode = mode;
        core.deliver_up_to(core.history.last(), outputs);
        self.acked = core.history.last().max(self.epoch.zxid());
        self.stage = Stage::Collecting;
        self.release_held(core, outputs)
    }

    fn hold(&mut self, packet: Packet) -> Result<(), Reason> {
        self.held_bytes += packet.content_bytes();
        if self.held.len() >= HELD_COUNT_MAX || self.held_bytes > HELD_BYTES_MAX {
            return Err(Reason::LeaderMisbehaved);
        }
        self.held.push_back(packet);
        Ok(())
    }

    fn release_held(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        while let Some(packet) = self.held.pop_front() {
            self.held_bytes -= packet.content_bytes();
            self.packet(packet, core, outputs)?;
        }
        Ok(())
    }

    fn synchronizing(&mut self, packet: Packet, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        match packet {
            Packet::NewLeader { epoch, config } if self.stage == Stage::Collecting && epoch == self.epoch => {
                self.offered = config;
                self.stage = Stage::Persisting { until: core.history.last() };
                self.persisted(core, outputs);
                Ok(())
            }
            Packet::UpToDate if self.stage == Stage::Adopted => {
                self.up_to_date(core, outputs);
                self.go_by_offered(core, outputs)
            }
            // Before the ack of NEWLEADER no PING is answered: a Java leader takes the next packet for that ack.
            Packet::Rider(_) | Packet::Unknown { .. } => Ok(()),
            packet => self.history(packet, core, outputs),
        }
    }

    /// What goes into the history, and what of it is committed.
    fn history(&mut self, packet: Packet, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        match packet {
            Packet::Proposal { zxid, payload } => self.proposal(zxid, payload, core, outputs),
            Packet::Commit { zxid } => self.commit(zxid, core, outputs),
            Packet::Inform { zxid, payload } => {
                self.proposal(zxid, payload, core, outputs)?;
                self.commit(zxid, core, outputs)
            }
            Packet::CommitAndActivate { zxid, designated_leader } => self.activate(zxid, designated_leader, core, outputs),
            Packet::InformAndActivate { zxid, designated_leader, payload } => {
                self.proposal(zxid, payload, core, outputs)?;
                self.activate(zxid, designated_leader, core, outputs)
            }
            _ => Err(Reason::LeaderMisbehaved),
        }
    }

    fn proposal(&mut self, zxid: Zxid, payload: Bytes, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let last = core.history.last();
        if follows(last, zxid) && self.may_propose(zxid, core) {
            core.append(zxid, payload, outputs);
            return Ok(());
        }
        // A Java leader repeats what its fuzzy snapshot may hold already, and may give one zxid to two txns (U6): the second is nothing.
        let is_repeated = zxid == last || (zxid < last && self.mode == SyncMode::Snap);
        if is_repeated { Ok(()) } else { Err(Reason::LeaderMisbehaved) }
    }

    /// A leader gives what lies before its epoch as history, then its own; what lies behind its epoch is another's.
    fn may_propose(&self, zxid: Zxid, core: &Core) -> bool {
        let is_history = self.stage == Stage::Collecting && zxid.epoch() < self.epoch;
        (is_history || zxid.epoch() == self.epoch) && core.history.undelivered_bytes() <= UNCOMMITTED_BYTES_MAX
    }

    fn commit(&mut self, zxid: Zxid, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let first = outputs.len();
        self.deliver(zxid, core, outputs)?;
        if let Some(master) = self.observer_master() {
            master.committed(first, core, outputs);
        }
        Ok(())
    }

    /// Delivers what is committed, up to `zxid`.
    pub(super) fn deliver(&mut self, zxid: Zxid, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        if zxid <= core.history.delivered() {
            return Ok(());
        }
        let is_next = core.history.next_undelivered() == Some(zxid);
        let covers_next = self.is_paddock && zxid <= core.history.last();
        if !is_next && !covers_next {
            return Err(Reason::LeaderMisbehaved);
        }
        core.deliver_up_to(zxid, outputs);
        if self.is_serving() {
            core.committed = core.history.delivered();
        }
        Ok(())
    }

    /// The log is durable further than before.
    fn persisted(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        match self.stage {
            Stage::Persisting { until } if core.persisted >= until => self.adopt(until, core, outputs),
            Stage::Adopted | Stage::Serving => self.ack(core, outputs),
            _ => {}
        }
    }

    fn adopt(&mut self, until: Zxid, core: &mut Core, outputs: &mut Vec<Output>) {
        self.stage = Stage::Adopting;
        if core.current_epoch == self.epoch && !core.is_uninitialized {
            self.adopted(core, outputs);
        } else {
            core.store_current_epoch(self.epoch, until, outputs);
        }
    }

    /// History and epoch are durable.
    fn adopted(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        assert_eq!(core.current_epoch, self.epoch, "the epoch is durable before NEWLEADER is acked");
        core.is_uninitialized = false;
        self.stage = Stage::Adopted;
        self.send(Packet::Ack { zxid: self.epoch.zxid() }, outputs);
        self.acked = self.acked.max(core.history.delivered());
        self.ack(core, outputs);
    }

    /// Acks what is durable of this epoch's proposals, behind the ack of NEWLEADER (ZOOKEEPER-4685).
    fn ack(&mut self, core: &Core, outputs: &mut Vec<Output>) {
        if self.is_observer || core.persisted <= self.acked {
            return;
        }
        assert!(core.persisted <= core.history.last(), "nothing is acked that is not in the history");
        if self.is_paddock {
            self.send(Packet::Ack { zxid: core.persisted }, outputs);
        } else {
            (self.acked.next().0..=core.persisted.0).for_each(|zxid| self.send(Packet::Ack { zxid: Zxid(zxid) }, outputs));
        }
        self.acked = core.persisted;
    }

    fn up_to_date(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        self.send(Packet::Ack { zxid: self.epoch.zxid() }, outputs);
        self.stage = Stage::Serving;
        core.committed = core.history.delivered();
        core.vote.peer_epoch = self.epoch;
        let took_ms = self.now_ms - self.began_ms;
        let (state, leader, epoch, mode) = (core.state, self.leader, self.epoch, Some(self.mode));
        outputs.push(Output::Role(RoleChange::Serving { state, leader, epoch, mode, took_ms }));
        if core.has_observer_masters && !self.is_observer {
            self.observer_master = Some(Box::new(ObserverMaster::open(epoch, self.now_ms, outputs)));
        }
    }

    // Broadcast.

    fn serving(&mut self, packet: Packet, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        match packet {
            Packet::Proposal { .. } | Packet::Commit { .. } | Packet::CommitAndActivate { .. } if self.is_observer => Ok(()),
            Packet::Rider(rider) => {
                let now_ms = self.now_ms;
                if let Some(master) = self.observer_master().filter(|_| rider.kind == RiderKind::Ping) {
                    master.pinged(core, now_ms, outputs);
                }
                outputs.push(Output::FromLeader(rider));
                Ok(())
            }
            // Neither side sends the rest to a learner that serves; a later release may send what is not known here.
            Packet::UpToDate | Packet::Unknown { .. } => Ok(()),
            packet => self.history(packet, core, outputs),
        }
    }
}

/// The answer to a PING: its zxid, and `data`, the sessions that were heard of (never null).
#[must_use]
pub fn answer_ping(ping: &Rider, data: Bytes) -> Rider {
    Rider { kind: RiderKind::Ping, zxid: ping.zxid, data: Some(data), authinfo: ping.authinfo.clone() }
}

#[cfg(test)]
#[path = "learner_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "observing_tests.rs"]
mod observing_tests;
