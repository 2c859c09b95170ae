//! Who has made which proposal durable, and what is committed by that.

use std::collections::BTreeMap;

use super::membership::Membership;
use crate::ids::{ServerId, Zxid};

/// The acks of one epoch. An ack covers everything before it: nobody acks what has a predecessor that is not durable.
#[derive(Debug, Default)]
pub(super) struct Acks {
    acked: BTreeMap<ServerId, Zxid>,
}

impl Acks {
    /// A server has made everything up to `zxid` durable. True when that is news.
    pub(super) fn record(&mut self, sid: ServerId, zxid: Zxid) -> bool {
        let known = self.acked.entry(sid).or_insert(Zxid::ZERO);
        let is_news = zxid > *known;
        *known = (*known).max(zxid);
        is_news
    }

    /// The newest zxid that a quorum has made durable.
    pub(super) fn commit_point(&self, membership: &Membership) -> Option<Zxid> {
        // One server alone needs no sets: this is the way of every write of a standalone server.
        if let (1, Some((&sid, &zxid))) = (self.acked.len(), self.acked.first_key_value()) {
            return membership.contains_quorum(&[sid].into()).then_some(zxid);
        }
        membership.reached_by_quorum(&self.acked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::membership::Configuration;
    use super::super::quorum::QuorumVerifier;
    use super::*;

    fn membership(version: i64, sids: impl IntoIterator<Item = i64>) -> Configuration {
        let verifier = QuorumVerifier::majority(sids.into_iter().map(ServerId));
        Configuration::of(version, verifier)
    }

    #[test]
    fn committed_is_what_a_quorum_has() {
        let membership = Membership::new(membership(0, 1..=3));
        let mut acks = Acks::default();
        assert!(acks.record(ServerId(1), Zxid(3)));
        assert_eq!(acks.commit_point(&membership), None);
        assert!(acks.record(ServerId(2), Zxid(2)));
        assert_eq!(acks.commit_point(&membership), Some(Zxid(2)));
        assert!(!acks.record(ServerId(2), Zxid(1)), "an ack never goes back");
        assert_eq!(acks.commit_point(&membership), Some(Zxid(2)));
        acks.record(ServerId(9), Zxid(9));
        assert_eq!(acks.commit_point(&membership), Some(Zxid(2)), "who does not vote does not count");
    }

    #[test]
    fn one_server_is_its_own_quorum_and_a_reconfiguration_needs_both() {
        let mut alone = Membership::new(membership(0, [1]));
        let mut acks = Acks::default();
        acks.record(ServerId(1), Zxid(5));
        assert_eq!(acks.commit_point(&alone), Some(Zxid(5)));
        alone.propose(membership(1, 1..=3));
        assert_eq!(acks.commit_point(&alone), None);
        acks.record(ServerId(3), Zxid(4));
        assert_eq!(acks.commit_point(&alone), Some(Zxid(4)));
    }
}
