//! The broadcast phase on the leader: proposals, acks, and delivery in zxid order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::output::Output;
use super::quorum::QuorumVerifier;
use crate::ids::Zxid;

/// An established leader.
///
/// Invariant: delivered <= committed <= proposed, and everything committed is durable on a quorum.
pub struct Zab {
    sid: i64,
    verifier: QuorumVerifier,
    /// Proposed and not delivered, in zxid order.
    outstanding: VecDeque<(Zxid, Bytes)>,
    /// Up to where each server has made its history durable.
    persisted: BTreeMap<i64, Zxid>,
    last_proposed: Zxid,
    last_committed: Zxid,
}

impl Zab {
    /// A leader whose history ends at `last_zxid`, all of it committed.
    #[must_use]
    pub fn established(sid: i64, verifier: QuorumVerifier, last_zxid: Zxid) -> Self {
        let persisted = BTreeMap::from([(sid, last_zxid)]);
        Self { sid, verifier, outstanding: VecDeque::new(), persisted, last_proposed: last_zxid, last_committed: last_zxid }
    }

    /// The zxid of the next proposal.
    #[must_use]
    pub fn next_zxid(&self) -> Zxid {
        self.last_proposed.next()
    }

    /// The zxid of the newest proposal.
    #[must_use]
    pub fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// Number of proposals that are not delivered yet.
    #[must_use]
    pub fn outstanding_count(&self) -> usize {
        self.outstanding.len()
    }

    /// Proposes the txn of [`Self::next_zxid`].
    pub fn propose(&mut self, payload: Bytes, outputs: &mut Vec<Output>) -> Zxid {
        let zxid = self.next_zxid();
        self.last_proposed = zxid;
        self.outstanding.push_back((zxid, payload.clone()));
        outputs.push(Output::Append { zxid, payload });
        zxid
    }

    /// This server's log is durable up to `zxid`: its own ack.
    pub fn persisted(&mut self, zxid: Zxid, outputs: &mut Vec<Output>) {
        self.ack(self.sid, zxid, outputs);
    }

    /// A server has made everything up to `zxid` durable.
    fn ack(&mut self, sid: i64, zxid: Zxid, outputs: &mut Vec<Output>) {
        assert!(zxid <= self.last_proposed, "nobody persists {zxid} before it is proposed; the newest is {}", self.last_proposed);
        let known = self.persisted.entry(sid).or_insert(zxid);
        *known = (*known).max(zxid);
        let committed = self.commit_point();
        while self.outstanding.front().is_some_and(|(next, _)| *next <= committed) {
            let (next, payload) = self.outstanding.pop_front().expect("there is a front");
            assert!(next > self.last_committed, "delivery is in zxid order: {next} after {}", self.last_committed);
            self.last_committed = next;
            outputs.push(Output::Deliver { zxid: next, payload });
        }
    }

    /// The newest zxid that a quorum has made durable.
    fn commit_point(&self) -> Zxid {
        let candidates: BTreeSet<Zxid> = self.persisted.values().copied().collect();
        candidates.into_iter().rev().find(|&zxid| self.is_on_quorum(zxid)).unwrap_or(self.last_committed)
    }

    fn is_on_quorum(&self, zxid: Zxid) -> bool {
        let acks: BTreeSet<i64> = self.persisted.iter().filter(|(_, persisted)| **persisted >= zxid).map(|(&sid, _)| sid).collect();
        self.verifier.contains_quorum(&acks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(outputs: &[Output]) -> Vec<i64> {
        let zxid = |output: &Output| match output {
            Output::Deliver { zxid, .. } => Some(zxid.0),
            Output::Append { .. } => None,
        };
        outputs.iter().filter_map(zxid).collect()
    }

    #[test]
    fn nothing_is_delivered_before_it_is_durable() {
        let mut zab = Zab::established(1, QuorumVerifier::majority([1]), Zxid(7));
        let mut outputs = Vec::new();
        for _ in 0..3 {
            zab.propose(Bytes::from_static(b"txn"), &mut outputs);
        }
        assert_eq!((delivered(&outputs), outputs.len()), (vec![], 3));
        outputs.clear();
        zab.persisted(Zxid(9), &mut outputs);
        assert_eq!(delivered(&outputs), [8, 9]);
        outputs.clear();
        zab.persisted(Zxid(9), &mut outputs);
        assert_eq!(outputs, []);
        zab.persisted(Zxid(10), &mut outputs);
        assert_eq!((delivered(&outputs), zab.outstanding_count()), (vec![10], 0));
    }

    #[test]
    fn own_ack_is_not_enough_among_three() {
        let mut zab = Zab::established(1, QuorumVerifier::majority([1, 2, 3]), Zxid(0));
        let mut outputs = Vec::new();
        zab.propose(Bytes::new(), &mut outputs);
        zab.persisted(Zxid(1), &mut outputs);
        assert!(delivered(&outputs).is_empty());
        zab.ack(3, Zxid(1), &mut outputs);
        assert_eq!(delivered(&outputs), [1]);
    }

    #[test]
    #[should_panic(expected = "nobody persists")]
    fn an_ack_from_the_future_is_a_broken_invariant() {
        Zab::established(1, QuorumVerifier::majority([1]), Zxid(0)).persisted(Zxid(1), &mut Vec::new());
    }
}
