//! A follower that serves observers, so that the leader need not (Java's `ObserverMaster`): it brings them up to date from its own history,
//! and passes on what its leader commits. The leader does not know of them.
//!
//! ```text
//!   the follower serves: the port opens ─► each observer as at a leader, with its epoch and nobody to wait for ─► UPTODATE ─► INFORM …
//!   its role ends: the port closes, every observer is let go at once
//! ```
//! PINGs are the leader's own, passed on: an observer hears nothing while its master hears nothing of the leader, and gives it up as early
//! as if it came to the leader itself. (Java's master pings on its own: what is read behind it may be older by another syncLimit.)
//! What observers forward goes to the replica, which puts it to the leader as its own.

use std::collections::BTreeMap;

use super::core::Core;
use super::input::{Input, LinkId};
use super::leader::LearnerCounts;
use super::leader_sync::{LearnerMaster, inform};
use super::learner_handler::{LearnerHandler, Stage};
use super::output::{CloseReason, Output};
use super::packet::{Introduction, PROTOCOL_VERSION, Packet, Rider, RiderKind};
use super::synchronization::Offer;
use crate::ids::{Epoch, ServerId, Zxid};

/// The observers of a follower that serves.
#[derive(Debug)]
pub(super) struct ObserverMaster {
    epoch: Epoch,
    now_ms: i64,
    observers: BTreeMap<LinkId, LearnerHandler>,
    pinged_ms: i64,
}

impl ObserverMaster {
    /// Opens the port.
    pub(super) fn open(epoch: Epoch, now_ms: i64, outputs: &mut Vec<Output>) -> Self {
        outputs.push(Output::OpenObserverMasterPort);
        Self { epoch, now_ms, observers: BTreeMap::new(), pinged_ms: now_ms }
    }

    /// Handles what concerns observers.
    pub(super) fn handle(&mut self, input: Input, core: &mut Core, now_ms: i64, outputs: &mut Vec<Output>) {
        self.now_ms = now_ms;
        match input {
            Input::LearnerConnected(link) => drop(self.observers.insert(link, LearnerHandler::new(link, now_ms))),
            Input::LearnerPacket(link, packet) => self.packet(link, packet, core, outputs),
            Input::LearnerDisconnected(link) => drop(self.observers.remove(&link)),
            Input::HistoryRead(link, slice) => self.history_read(link, slice, core, outputs),
            Input::SnapshotTaken(link, at) => self.snapshot_taken(link, at, core, outputs),
            Input::SnapshotSent(link) => self.snapshot_sent(link, core, outputs),
            _ => {}
        }
    }

    fn packet(&mut self, link: LinkId, packet: Packet, core: &mut Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.observers.get_mut(&link) else { return };
        handler.heard_ms = self.now_ms;
        match (packet, handler.stage) {
            (Packet::ObserverInfo(info), Stage::Connected) => self.introduced(link, &info, core, outputs),
            (Packet::AckEpoch { last_zxid, .. }, Stage::Promising) => {
                (handler.stage, handler.last_zxid) = (Stage::Promised, last_zxid);
                self.synchronize(link, core, outputs);
            }
            (Packet::Ack { zxid }, Stage::Syncing) if zxid == self.epoch.zxid() => {
                handler.adopted(self.now_ms);
                handler.serves(self.now_ms);
                handler.send(Packet::UpToDate, outputs);
            }
            // The answer to UPTODATE, or of the history that it was given. An observer acks nothing else (`ObserverMaster.processAck`).
            (Packet::Ack { zxid }, stage) if stage >= Stage::Waiting && zxid <= self.epoch.zxid() => {}
            (Packet::Rider(rider), Stage::Synced) => {
                let sid = handler.sid.expect("an observer that serves has said who it is");
                if rider.kind == RiderKind::Ping {
                    handler.ponged();
                }
                outputs.push(Output::FromLearner(link, sid, rider));
            }
            (Packet::Unknown { .. } | Packet::Rider(_), stage) if stage != Stage::Connected => {}
            _ => self.close(link, CloseReason::Misbehaved, outputs),
        }
    }

    /// Only observers are served here: whoever follows belongs to the leader.
    fn introduced(&mut self, link: LinkId, info: &Introduction, core: &Core, outputs: &mut Vec<Output>) {
        let sid = info.sid.filter(|sid| sid.0 >= 0).unwrap_or(ServerId(-1 - link.0 as i64));
        if info.config_version > core.membership.committed().version {
            return self.close(link, CloseReason::LaterConfiguration, outputs);
        }
        if sid == core.own {
            return self.close(link, CloseReason::Misbehaved, outputs);
        }
        let older = self.observers.values().find(|handler| handler.sid == Some(sid)).map(|handler| handler.link);
        if let Some(older) = older {
            self.close(older, CloseReason::Replaced, outputs);
        }
        let handler = self.observers.get_mut(&link).expect("the link of the packet");
        handler.introduce(info, sid, true);
        handler.send(Packet::LeaderInfo { epoch: self.epoch, version: PROTOCOL_VERSION, is_paddock: true }, outputs);
        handler.stage = Stage::Promising;
    }

    /// Txns were committed: they are delivered in the outputs from `first` on.
    pub(super) fn committed(&mut self, first: usize, core: &mut Core, outputs: &mut Vec<Output>) {
        for handler in self.observers.values_mut().filter(|handler| handler.is_forwarding()) {
            inform(handler, first, core.history.delivered(), outputs);
        }
        self.resume_waiting(core, outputs);
    }

    /// The same, and the last of them is a reconfiguration.
    pub(super) fn activated(&mut self, zxid: Zxid, designated: ServerId, first: usize, core: &mut Core, outputs: &mut Vec<Output>) {
        for handler in self.observers.values_mut().filter(|handler| handler.is_forwarding()) {
            inform(handler, first, zxid.previous(), outputs);
            handler.activate(zxid, designated, first, outputs);
        }
        self.resume_waiting(core, outputs);
    }

    /// The leader gave a sign of life. It may do so very often; observers need no more than two in a tick.
    pub(super) fn pinged(&mut self, core: &Core, now_ms: i64, outputs: &mut Vec<Output>) {
        self.now_ms = now_ms;
        if now_ms - self.pinged_ms < core.timing.ping_interval_ms() / 2 {
            return;
        }
        self.pinged_ms = now_ms;
        let (init_limit_ms, sync_limit_ms) = (core.timing.init_limit_ms(), core.timing.sync_limit_ms());
        let slow = self.observers.values().filter(|handler| handler.is_too_slow(now_ms, init_limit_ms, sync_limit_ms));
        for link in slow.map(|handler| handler.link).collect::<Vec<_>>() {
            self.close(link, CloseReason::Silent, outputs);
        }
        let ping = Rider { kind: RiderKind::Ping, zxid: core.history.delivered(), data: None, authinfo: None };
        for handler in self.observers.values_mut().filter(|handler| handler.is_forwarding()) {
            handler.send(Packet::Rider(ping.clone()), outputs);
            if handler.stage == Stage::Synced {
                handler.pinged(now_ms);
            }
        }
    }

    /// Its observers.
    pub(super) fn counts(&self) -> LearnerCounts {
        let introduced = self.observers.values().filter(|handler| handler.stage != Stage::Connected).count();
        let synced = self.observers.values().filter(|handler| handler.stage == Stage::Synced).count();
        LearnerCounts { learners: introduced, synced_observers: synced, ..LearnerCounts::default() }
    }
}

impl LearnerMaster for ObserverMaster {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn learners(&mut self) -> &mut BTreeMap<LinkId, LearnerHandler> {
        &mut self.observers
    }

    fn offer<'a>(&self, core: &'a Core) -> Offer<'a> {
        Offer {
            history: &core.history,
            epoch: self.epoch,
            adopted: self.epoch,
            knows_all: false,
            reads_disk: core.reads_disk,
            forces_snapshot: core.forces_snapshot,
        }
    }

    fn wait(&mut self, link: LinkId, _: &mut Core, _: &mut Vec<Output>) {
        self.stage(link, Stage::Waiting);
    }

    fn may_stamp(&self, _: LinkId, _: &Core) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "observer_master_tests.rs"]
mod tests;
