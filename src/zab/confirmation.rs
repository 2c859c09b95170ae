//! Confirming a `sync`: a leader answers one only after a quorum has shown, since it came, that it still follows.
//!
//! Java followers have one thing to show: they answer each PING, in order, from UPTODATE on. So a round is a PING to each, and who has
//! answered as many PINGs as were sent when the round began has confirmed it. Syncs that come during a round share the next one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::input::{LinkId, SyncId};
use super::membership::Membership;
use crate::ids::{ServerId, Zxid};

/// A sync, and what was proposed when it came.
type Waiting = (SyncId, Zxid);

/// The syncs of a leader that are not answered.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    /// Came during the round.
    next: VecDeque<Waiting>,
    /// Wait for the round.
    current: VecDeque<Waiting>,
    /// Are confirmed, and wait for the delivery of what was proposed before them.
    confirmed: VecDeque<Waiting>,
    /// For each learner of the round: how many of its PINGs must be answered.
    due: BTreeMap<LinkId, u64>,
    answered: BTreeSet<ServerId>,
}

impl Confirmations {
    /// A sync came. True when a round must begin: [`Self::begin`].
    pub(super) fn push(&mut self, sync: SyncId, last_proposed: Zxid) -> bool {
        self.next.push_back((sync, last_proposed));
        self.current.is_empty()
    }

    /// Begins a round; the PINGs of it are sent now and told by [`Self::pinged`].
    pub(super) fn begin(&mut self, own: ServerId) {
        assert!(self.current.is_empty(), "one round at a time");
        self.current = std::mem::take(&mut self.next);
        self.due.clear();
        self.answered = BTreeSet::from([own]);
    }

    /// Whether a round is under way.
    pub(super) fn is_running(&self) -> bool {
        !self.current.is_empty()
    }

    /// A PING was sent to a learner, its `count`th since UPTODATE.
    pub(super) fn pinged(&mut self, link: LinkId, count: u64) {
        if self.is_running() {
            self.due.entry(link).or_insert(count);
        }
    }

    /// A learner answered its `count`th PING.
    pub(super) fn answered(&mut self, link: LinkId, sid: ServerId, count: u64) {
        if self.due.get(&link).is_some_and(|&due| count >= due) {
            self.answered.insert(sid);
        }
    }

    /// Ends the round if a quorum has answered. True when the next one must begin.
    pub(super) fn conclude(&mut self, membership: &Membership) -> bool {
        if !self.is_running() || !membership.contains_quorum(&self.answered) {
            return false;
        }
        self.confirmed.append(&mut self.current);
        !self.next.is_empty()
    }

    /// The next sync that may be answered now.
    pub(super) fn pop(&mut self, delivered: Zxid) -> Option<SyncId> {
        self.confirmed.pop_front_if(|(_, proposed)| *proposed <= delivered).map(|(sync, _)| sync)
    }
}

#[cfg(test)]
mod tests {
    use super::super::membership::Configuration;
    use super::super::quorum::QuorumVerifier;
    use super::*;

    fn membership(count: i64) -> Membership {
        let verifier = QuorumVerifier::majority((1..=count).map(ServerId));
        Membership::new(Configuration::of(0, verifier))
    }

    #[test]
    fn alone_a_sync_waits_for_delivery_only() {
        let mut confirmations = Confirmations::default();
        assert!(confirmations.push(SyncId(1), Zxid(5)));
        confirmations.begin(ServerId(1));
        assert!(!confirmations.conclude(&membership(1)));
        assert_eq!(confirmations.pop(Zxid(4)), None);
        assert_eq!((confirmations.pop(Zxid(5)), confirmations.pop(Zxid(5))), (Some(SyncId(1)), None));
    }

    #[test]
    fn only_a_ping_sent_after_the_sync_confirms_it() {
        let mut confirmations = Confirmations::default();
        let (link, follower) = (LinkId(7), ServerId(2));
        assert!(confirmations.push(SyncId(1), Zxid(0)));
        confirmations.begin(ServerId(1));
        confirmations.pinged(link, 4);
        confirmations.answered(link, follower, 3);
        confirmations.conclude(&membership(3));
        assert_eq!(confirmations.pop(Zxid(0)), None, "the third PING was sent before");
        assert!(!confirmations.push(SyncId(2), Zxid(0)), "it shares the next round");
        confirmations.answered(link, follower, 4);
        assert!(confirmations.conclude(&membership(3)));
        assert_eq!((confirmations.pop(Zxid(0)), confirmations.pop(Zxid(0))), (Some(SyncId(1)), None));
        confirmations.begin(ServerId(1));
        confirmations.pinged(link, 5);
        confirmations.answered(link, follower, 5);
        confirmations.conclude(&membership(3));
        assert_eq!(confirmations.pop(Zxid(0)), Some(SyncId(2)));
    }
}
