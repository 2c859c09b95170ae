//! The leader brings its learners up to date: it carries out the plans of `synchronization`.
//!
//! Proposals are forwarded to a learner from the moment at which it was given everything in memory, in one step with that: so there is
//! neither a gap nor a doublet. Before that moment nothing is queued for it: while it reads from disk or takes a snapshot it costs no memory.

use std::collections::BTreeSet;

use super::core::Core;
use super::history::follows;
use super::input::{HistorySlice, LinkId};
use super::leader::{Leader, Phase};
use super::learner_handler::{LearnerHandler, Stage};
use super::output::{CloseReason, Output};
use super::packet::Packet;
use super::synchronization::{Offer, Plan, choose};
use crate::ids::{ServerId, Zxid};

impl Leader {
    /// Chooses a plan for a learner and begins with it.
    pub(super) fn synchronize(&mut self, link: LinkId, core: &mut Core, outputs: &mut Vec<Output>) {
        let offer = Offer {
            history: &core.history,
            epoch: self.epoch,
            adopted: self.adopted_before,
            reads_disk: core.reads_disk,
            forces_snapshot: core.forces_snapshot,
        };
        let Some(handler) = self.learners.get_mut(&link) else { return };
        match choose(handler.last_zxid, handler.is_paddock, &offer) {
            Plan::Diff { after } => {
                handler.send(Packet::Diff { zxid: core.history.delivered() }, outputs);
                feed(handler, after, self.epoch, self.now_ms, core, outputs);
            }
            Plan::Trunc { to } => {
                handler.send(Packet::Trunc { zxid: to }, outputs);
                feed(handler, to, self.epoch, self.now_ms, core, outputs);
            }
            Plan::DiffFromDisk { after } => {
                handler.stage = Stage::Reading { at: after, has_begun: false };
                outputs.push(Output::ReadHistory { link, after });
            }
            Plan::Snap => self.snapshot(link, core, outputs),
            Plan::Await => self.wait(link, core, outputs),
            Plan::Refuse => self.close(link, CloseReason::Misbehaved, outputs),
        }
    }

    /// It logged proposals of this epoch that are not committed yet: they are durable there, which may be all that was lacking.
    fn wait(&mut self, link: LinkId, core: &mut Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link) else { return };
        handler.stage = Stage::Waiting;
        let is_voter = !handler.is_observer;
        let last_zxid = handler.last_zxid;
        if let Some(sid) = handler.sid.filter(|&sid| is_voter && core.membership.is_participant(sid)) {
            self.count(sid, last_zxid, core, outputs);
        }
    }

    /// A Java learner whose history goes beyond this leader's gets a snapshot stamped with this epoch, under which its stale tail is never
    /// replayed (quorum-protocol.md §6.4-4). Until the epoch is established that stamp stands for a history that may come to nothing, and
    /// another leader would take it for its own: so it waits, unless there is no quorum without it.
    fn snapshot(&mut self, link: LinkId, core: &Core, outputs: &mut Vec<Output>) {
        let is_quorum_without = self.is_quorum_without(link, core);
        let Some(handler) = self.learners.get_mut(&link) else { return };
        let needs_stamp = !handler.is_paddock && handler.last_zxid > core.history.delivered();
        if needs_stamp && self.phase != Phase::Broadcasting && is_quorum_without {
            handler.stage = Stage::Waiting;
        } else {
            handler.stage = Stage::Freezing;
            outputs.push(Output::TakeSnapshot(link));
        }
    }

    fn is_quorum_without(&self, link: LinkId, core: &Core) -> bool {
        let others = self.learners.values().filter(|other| other.link != link && other.stage >= Stage::Promised);
        let sids: BTreeSet<ServerId> = others.filter_map(|other| other.sid).chain([core.own]).collect();
        core.membership.contains_quorum(&sids)
    }

    /// Something was committed, the epoch was established, or a learner went away: those who waited for it go on.
    pub(super) fn resume_waiting(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        let delivered = core.history.delivered();
        // Whoever waits for a commit looks again when its own last txn is delivered; whoever waits for a stamp, every time.
        let is_due = |handler: &&LearnerHandler| {
            let awaits_commit = handler.last_zxid.epoch() == self.epoch && handler.last_zxid > delivered;
            handler.stage == Stage::Waiting && !awaits_commit
        };
        let waiting: Vec<LinkId> = self.learners.values().filter(is_due).map(|handler| handler.link).collect();
        for link in waiting {
            self.synchronize(link, core, outputs);
        }
    }

    /// A part of the log came from disk.
    pub(super) fn history_read(&mut self, link: LinkId, slice: Option<HistorySlice>, core: &mut Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link) else { return };
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
        handler.heard_ms = self.now_ms;
        if at == before {
            // No progress: the log does not lead to where memory begins.
            self.history_read(link, None, core, outputs);
        } else {
            self.catch_up(link, at, core, outputs);
        }
    }

    /// The learner has everything up to `at`: the rest comes from memory, or more of it from disk.
    fn catch_up(&mut self, link: LinkId, at: Zxid, core: &Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link) else { return };
        if core.history.at_or_below(at) == Some(at) {
            feed(handler, at, self.epoch, self.now_ms, core, outputs);
        } else {
            handler.stage = Stage::Reading { at, has_begun: true };
            outputs.push(Output::ReadHistory { link, after: at });
        }
    }

    /// The state is frozen at `at`.
    pub(super) fn snapshot_taken(&mut self, link: LinkId, at: Zxid, core: &Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link).filter(|handler| handler.stage == Stage::Freezing) else { return };
        assert!(at <= core.history.delivered(), "a snapshot holds what is delivered: {at}, delivered is {}", core.history.delivered());
        let needs_stamp = !handler.is_paddock && handler.last_zxid > at;
        if needs_stamp && at.epoch() == self.epoch {
            // Only a learner that claims what this leader never proposed is ahead of a snapshot of this epoch.
            self.close(link, CloseReason::Misbehaved, outputs);
            return;
        }
        let zxid = if needs_stamp { self.epoch.zxid() } else { at };
        handler.send(Packet::Snap { zxid }, outputs);
        handler.stage = Stage::Streaming { at };
        outputs.push(Output::StreamSnapshot(link));
    }

    /// The learner's link has the whole snapshot.
    pub(super) fn snapshot_sent(&mut self, link: LinkId, core: &Core, outputs: &mut Vec<Output>) {
        let Some(handler) = self.learners.get_mut(&link) else { return };
        let Stage::Streaming { at } = handler.stage else { return };
        handler.heard_ms = self.now_ms;
        handler.sent = at;
        self.catch_up(link, at, core, outputs);
    }
}

/// Gives a learner everything in memory above `after`, then NEWLEADER. From here on proposals are forwarded to it.
fn feed(handler: &mut LearnerHandler, after: Zxid, epoch: crate::ids::Epoch, now_ms: i64, core: &Core, outputs: &mut Vec<Output>) {
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
    handler.send(Packet::NewLeader { epoch, config: Some(Leader::offered_configuration(core, epoch)) }, outputs);
}
