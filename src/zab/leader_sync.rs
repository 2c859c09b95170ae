//! A server that learners come to brings them up to date: it carries out the plans of `synchronization`. That is the leader, or a follower
//! that serves observers.
//!
//! Proposals are forwarded to a learner from the moment at which it was given everything in memory, in one step with that: so there is
//! neither a gap nor a doublet. Before that moment nothing is queued for it: while it reads from disk or takes a snapshot it costs no memory.

use std::collections::{BTreeMap, BTreeSet};

use super::core::Core;
use super::history::follows;
use super::input::{HistorySlice, LinkId};
use super::leader::{Leader, Phase};
use super::learner_handler::{LearnerHandler, Stage};
use super::output::{CloseReason, Output};
use super::packet::Packet;
use super::reconfiguration::offered_configuration;
use super::synchronization::{Offer, Plan, choose};
use crate::ids::{Epoch, ServerId, Zxid};

/// Whoever learners come to (Java's class of this name).
pub(super) trait LearnerMaster {
    /// The epoch that learners adopt here.
    fn epoch(&self) -> Epoch;

    /// The time of the input that is being handled, ms.
    fn now_ms(&self) -> i64;

    /// Those who are connected.
    fn learners(&mut self) -> &mut BTreeMap<LinkId, LearnerHandler>;

    /// What there is for learners.
    fn offer<'a>(&self, core: &'a Core) -> Offer<'a>;

    /// A learner has txns of this epoch that are not committed here yet. It waits for that.
    fn wait(&mut self, link: LinkId, core: &mut Core, outputs: &mut Vec<Output>);

    /// Whether a snapshot that bears the stamp of this epoch may be given to this learner now.
    fn may_stamp(&self, link: LinkId, core: &Core) -> bool;

    /// Hangs up on a learner.
    fn close(&mut self, link: LinkId, reason: CloseReason, outputs: &mut Vec<Output>) {
        if let Some(handler) = self.learners().remove(&link) {
            handler.close(reason, outputs);
        }
    }

    /// Chooses a plan for a learner and begins with it.
    fn synchronize(&mut self, link: LinkId, core: &mut Core, outputs: &mut Vec<Output>) {
        let Some((peer, is_paddock)) = self.learners().get(&link).map(|handler| (handler.last_zxid, handler.is_paddock)) else { return };
        match choose(peer, is_paddock, &self.offer(core)) {
            Plan::Diff { after } => self.begin(link, Packet::Diff { zxid: core.history.delivered() }, after, core, outputs),
            Plan::Trunc { to } => self.begin(link, Packet::Trunc { zxid: to }, to, core, outputs),
            Plan::DiffFromDisk { after } => {
                self.stage(link, Stage::Reading { at: after, has_begun: false });
                outputs.push(Output::ReadHistory { link, after });
            }
            Plan::Snap => self.snapshot(link, core, outputs),
            Plan::Await => self.wait(link, core, outputs),
            Plan::Refuse => self.close(link, CloseReason::Misbehaved, outputs),
        }
    }

    /// Says how a learner is brought up to date, and gives it what is in memory.
    fn begin(&mut self, link: LinkId, how: Packet, after: Zxid, core: &Core, outputs: &mut Vec<Output>) {
        let (epoch, now_ms) = (self.epoch(), self.now_ms());
        if let Some(handler) = self.learners().get_mut(&link) {
            handler.send(how, outputs);
            feed(handler, after, epoch, now_ms, core, outputs);
        }
    }

    /// A learner stands somewhere else now.
    fn stage(&mut self, link: LinkId, stage: Stage) {
        if let Some(handler) = self.learners().get_mut(&link) {
            handler.stage = stage;
        }
    }

    /// A Java learner whose history goes beyond this leader's gets a snapshot stamped with this epoch, under which its stale tail is never
    /// replayed (quorum-protocol.md §6.4-4). Until the epoch is established that stamp stands for a history that may come to nothing, and
    /// another leader would take it for its own: so it waits, unless there is no quorum without it.
    fn snapshot(&mut self, link: LinkId, core: &Core, outputs: &mut Vec<Output>) {
        let may_stamp = self.may_stamp(link, core);
        let Some(handler) = self.learners().get_mut(&link) else { return };
        let needs_stamp = !handler.is_paddock && handler.last_zxid > core.history.delivered();
        if needs_stamp && !may_stamp {
            handler.stage = Stage::Waiting;
        } else {
            handler.stage = Stage::Freezing;
            outputs.push(Output::TakeSnapshot(link));
        }
    }

    /// Something was committed, the epoch was established, or a learner went away: those who waited for it go on.
    fn resume_waiting(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        let (delivered, epoch) = (core.history.delivered(), self.epoch());
        // Whoever waits for a commit looks again when its own last txn is delivered; whoever waits for a stamp, every time.
        let is_due = |handler: &&LearnerHandler| {
            let awaits_commit = handler.last_zxid.epoch() == epoch && handler.last_zxid > delivered;
            handler.stage == Stage::Waiting && !awaits_commit
        };
        let waiting: Vec<LinkId> = self.learners().values().filter(is_due).map(|handler| handler.link).collect();
        for link in waiting {
            self.synchronize(link, core, outputs);
        }
    }

    /// A part of the log came from disk.
    fn history_read(&mut self, link: LinkId, slice: Option<HistorySlice>, core: &mut Core, outputs: &mut Vec<Output>) {
        let now_ms = self.now_ms();
        let Some(handler) = self.learners().get_mut(&link) else { return };
        let Stage::Reading { mut at, mut has_begun } = handler.stage else { return };
        let Some(slice) = slice.filter(|slice| slice.begins_exactly) else {
            if has_begun {
                self.close(link, CloseReason::Silent, outputs);
            } else {
                self.snapshot(link, core, outputs);
            }
            return;
        };
        let before = at;
        for (zxid, payload) in slice.txns.into_iter().take_while(|(zxid, _)| *zxid <= core.history.delivered()) {
            if !follows(at, zxid) {
                // The leader's own log has a hole (ZOOKEEPER-2846): what it has behind it can only be had as a snapshot.
                break;
            }
            if !has_begun {
                has_begun = true;
                handler.send(Packet::Diff { zxid: core.history.delivered() }, outputs);
            }
            handler.send(Packet::Proposal { zxid, payload }, outputs);
            handler.sent = zxid;
            if !handler.is_paddock {
                handler.send(Packet::Commit { zxid }, outputs);
            }
            at = zxid;
        }
        if has_begun && handler.is_paddock && at > before {
            handler.send(Packet::Commit { zxid: at }, outputs);
        }
        handler.stage = Stage::Reading { at, has_begun };
        handler.heard_ms = now_ms;
        if at == before {
            // No progress: the log does not lead to where memory begins.
            self.history_read(link, None, core, outputs);
        } else {
            self.catch_up(link, at, core, outputs);
        }
    }

    /// The learner has everything up to `at`: the rest comes from memory, or more of it from disk.
    fn catch_up(&mut self, link: LinkId, at: Zxid, core: &Core, outputs: &mut Vec<Output>) {
        let (epoch, now_ms) = (self.epoch(), self.now_ms());
        let Some(handler) = self.learners().get_mut(&link) else { return };
        if core.history.at_or_below(at) == Some(at) {
            feed(handler, at, epoch, now_ms, core, outputs);
        } else {
            handler.stage = Stage::Reading { at, has_begun: true };
            outputs.push(Output::ReadHistory { link, after: at });
        }
    }

    /// The state is frozen at `at`.
    fn snapshot_taken(&mut self, link: LinkId, at: Zxid, core: &Core, outputs: &mut Vec<Output>) {
        let epoch = self.epoch();
        let Some(handler) = self.learners().get_mut(&link).filter(|handler| handler.stage == Stage::Freezing) else { return };
        assert!(at <= core.history.delivered(), "a snapshot holds what is delivered: {at}, delivered is {}", core.history.delivered());
        let needs_stamp = !handler.is_paddock && handler.last_zxid > at;
        if needs_stamp && at.epoch() == epoch {
            // Only a learner that claims what this leader never proposed is ahead of a snapshot of this epoch.
            self.close(link, CloseReason::Misbehaved, outputs);
            return;
        }
        let zxid = if needs_stamp { epoch.zxid() } else { at };
        handler.send(Packet::Snap { zxid }, outputs);
        handler.stage = Stage::Streaming { at };
        outputs.push(Output::StreamSnapshot(link));
    }

    /// The learner's link has the whole snapshot.
    fn snapshot_sent(&mut self, link: LinkId, core: &Core, outputs: &mut Vec<Output>) {
        let now_ms = self.now_ms();
        let Some(handler) = self.learners().get_mut(&link) else { return };
        let Stage::Streaming { at } = handler.stage else { return };
        handler.heard_ms = now_ms;
        handler.sent = at;
        self.catch_up(link, at, core, outputs);
    }
}

impl LearnerMaster for Leader {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn learners(&mut self) -> &mut BTreeMap<LinkId, LearnerHandler> {
        &mut self.learners
    }

    fn offer<'a>(&self, core: &'a Core) -> Offer<'a> {
        Offer {
            history: &core.history,
            epoch: self.epoch,
            adopted: self.adopted_before,
            knows_all: true,
            reads_disk: core.reads_disk,
            forces_snapshot: core.forces_snapshot,
        }
    }

    /// It logged them: they are durable there, which may be all that was lacking.
    fn wait(&mut self, link: LinkId, core: &mut Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link) else { return };
        handler.stage = Stage::Waiting;
        let is_voter = !handler.is_observer;
        let last_zxid = handler.last_zxid;
        if let Some(sid) = handler.sid.filter(|&sid| is_voter && core.membership.is_participant(sid)) {
            self.count(sid, last_zxid, core, outputs);
        }
    }

    /// Until the epoch is established only if there is no quorum without this learner.
    fn may_stamp(&self, link: LinkId, core: &Core) -> bool {
        let others = self.learners.values().filter(|other| other.link != link && other.stage >= Stage::Promised);
        let sids: BTreeSet<ServerId> = others.filter_map(|other| other.sid).chain([core.own]).collect();
        self.phase == Phase::Broadcasting || !core.membership.contains_quorum(&sids)
    }
}

/// Gives an observer what was delivered since output `first`, up to `last`. The history may have dropped it already.
pub(super) fn inform(handler: &mut LearnerHandler, first: usize, last: Zxid, outputs: &mut Vec<Output>) {
    for index in first..outputs.len() {
        if let Output::Deliver { zxid, payload } = &outputs[index]
            && *zxid <= last
        {
            let (zxid, packet) = (*zxid, Packet::Inform { zxid: *zxid, payload: payload.clone() });
            handler.send_commit(zxid, packet, outputs);
        }
    }
}

/// Gives a learner everything in memory above `after`, then NEWLEADER. From here on proposals are forwarded to it.
fn feed(handler: &mut LearnerHandler, after: Zxid, epoch: Epoch, now_ms: i64, core: &Core, outputs: &mut Vec<Output>) {
    handler.sent = after;
    let mut told = after;
    for (zxid, payload, is_delivered) in core.history.above(after) {
        if is_delivered {
            handler.send(Packet::Proposal { zxid, payload }, outputs);
            handler.sent = zxid;
            told = zxid;
            if !handler.is_paddock {
                handler.send(Packet::Commit { zxid }, outputs);
            }
        } else if !handler.is_observer {
            handler.send(Packet::Proposal { zxid, payload }, outputs);
            handler.proposed(zxid, now_ms);
        }
    }
    if handler.is_paddock && told > after {
        handler.send(Packet::Commit { zxid: told }, outputs);
    }
    handler.told = core.history.delivered();
    handler.stage = Stage::Syncing;
    handler.send(Packet::NewLeader { epoch, config: Some(offered_configuration(core, epoch)) }, outputs);
}
