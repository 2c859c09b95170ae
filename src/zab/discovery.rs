//! Discovery on the leader: which epoch is new to a quorum, and whether a quorum promises to follow it (quorum-protocol.md §2.3).
//!
//! ```text
//!   COLLECTING ── a quorum told its accepted epoch ──► FIXED ── a quorum, none ahead of the leader, promised ──► over
//! ```
//! While a reconfiguration is being agreed on, a quorum is one of both configurations, where a Java leader asks the committed one only: the
//! new one may be committed and have a leader already, and one that does not know it must not get the epoch of that.
//!
//! A server promises an epoch to one leader only (it is counted only when the epoch is newer than what it had accepted), and two quorums
//! share a server: so at most one leader per epoch gets through.

use std::collections::BTreeSet;

use super::membership::Membership;
use crate::ids::{Epoch, ServerId, Zxid};

/// What decides who has the better history (`StateSummary`): compared in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Summary {
    pub(super) current_epoch: Epoch,
    pub(super) last_zxid: Zxid,
}

/// A promise and what it meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Counted, or not to be counted; either way the learner goes on.
    Accepted,
    /// The learner's history is better than the leader's.
    Ahead,
}

/// Discovery under way.
#[derive(Debug)]
pub(super) struct Discovery {
    epoch: Epoch,
    informed: BTreeSet<ServerId>,
    promised: BTreeSet<ServerId>,
    is_fixed: bool,
    is_over: bool,
    /// The leader's own, from the beginning of its leadership.
    summary: Summary,
}

impl Discovery {
    /// The leader itself is the first to tell its accepted epoch.
    pub(super) fn new(own: ServerId, accepted_epoch: Epoch, summary: Summary, membership: &Membership) -> Self {
        let (informed, promised) = (BTreeSet::new(), BTreeSet::new());
        let mut discovery = Self { epoch: Epoch(0), informed, promised, is_fixed: false, is_over: false, summary };
        discovery.inform(own, accepted_epoch, membership);
        discovery
    }

    /// The epoch as it stands.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether the epoch is decided.
    pub(super) fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Whether a quorum has promised.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// A learner tells its accepted epoch. Observers raise the epoch, but are no part of the quorum (ZOOKEEPER-2959).
    pub(super) fn inform(&mut self, sid: ServerId, accepted_epoch: Epoch, membership: &Membership) {
        if self.is_fixed {
            return;
        }
        self.epoch = self.epoch.max(accepted_epoch.next());
        self.informed.insert(sid);
        self.is_fixed = membership.contains_quorum(&self.informed);
    }

    /// A learner promises (ACKEPOCH). `theirs` is `None` when it had promised before: it goes on, but does not count.
    pub(super) fn promise(&mut self, sid: ServerId, theirs: Option<Summary>, membership: &Membership) -> Promise {
        assert!(self.is_fixed, "nobody can promise an epoch that is not decided");
        let Some(theirs) = theirs.filter(|_| !self.is_over) else { return Promise::Accepted };
        if theirs > self.summary {
            return Promise::Ahead;
        }
        // A server without a database cannot vouch for a history.
        if theirs.last_zxid != super::election::UNINITIALIZED {
            self.promised.insert(sid);
            self.is_over = membership.contains_quorum(&self.promised);
        }
        Promise::Accepted
    }
}

#[cfg(test)]
mod tests {
    use super::super::membership::Configuration;
    use super::super::quorum::QuorumVerifier;
    use super::*;

    fn membership() -> Membership {
        let verifier = QuorumVerifier::majority((1..=3).map(ServerId));
        Membership::new(Configuration { observers: [ServerId(9)].into(), ..Configuration::of(0, verifier) })
    }

    fn summary(epoch: i64, zxid: i64) -> Summary {
        Summary { current_epoch: Epoch(epoch), last_zxid: Zxid(zxid) }
    }

    #[test]
    fn the_epoch_is_newer_than_what_a_quorum_accepted() {
        let members = membership();
        let mut discovery = Discovery::new(ServerId(1), Epoch(4), summary(4, 7), &members);
        assert!(!discovery.is_fixed());
        discovery.inform(ServerId(3), Epoch(6), &members);
        assert_eq!((discovery.epoch(), discovery.is_fixed()), (Epoch(7), true));
        discovery.inform(ServerId(2), Epoch(9), &members);
        assert_eq!(discovery.epoch(), Epoch(7), "decided is decided");
    }

    /// ZOOKEEPER-2959: an observer is no part of the quorum, neither of the epoch nor of the promises.
    #[test]
    fn zookeeper_2959_observers_do_not_count() {
        let members = membership();
        let mut discovery = Discovery::new(ServerId(1), Epoch(0), summary(0, 0), &members);
        discovery.inform(ServerId(9), Epoch(5), &members);
        assert!(!discovery.is_fixed());
        discovery.inform(ServerId(2), Epoch(0), &members);
        assert!(discovery.is_fixed());
        discovery.promise(ServerId(1), Some(summary(0, 0)), &members);
        discovery.promise(ServerId(9), Some(summary(0, 0)), &members);
        assert!(!discovery.is_over());
    }

    #[test]
    fn a_promise_counts_unless_it_was_made_before_or_comes_from_a_better_history() {
        let members = membership();
        let mut discovery = Discovery::new(ServerId(1), Epoch(0), summary(2, 7), &members);
        discovery.inform(ServerId(2), Epoch(0), &members);
        assert_eq!(discovery.promise(ServerId(1), Some(summary(2, 7)), &members), Promise::Accepted);
        assert_eq!(discovery.promise(ServerId(2), None, &members), Promise::Accepted);
        assert_eq!(discovery.promise(ServerId(2), Some(summary(2, 8)), &members), Promise::Ahead);
        assert_eq!(discovery.promise(ServerId(2), Some(summary(3, 1)), &members), Promise::Ahead);
        assert_eq!(discovery.promise(ServerId(2), Some(summary(2, -1)), &members), Promise::Accepted);
        assert!(!discovery.is_over());
        assert_eq!(discovery.promise(ServerId(3), Some(summary(1, 99)), &members), Promise::Accepted);
        assert!(discovery.is_over());
        assert_eq!(discovery.promise(ServerId(2), Some(summary(3, 1)), &members), Promise::Accepted, "a quorum has decided already");
    }
}
