//! Which sets of servers are a quorum: of a majority, and of weighted groups.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::ServerId;

/// Decides whether a set of servers is a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumVerifier {
    /// More than half of the participants (`QuorumMaj`).
    Majority {
        /// Those who vote.
        participants: BTreeSet<ServerId>,
    },
    /// More than half of the weight in more than half of the groups (`QuorumHierarchical`).
    Hierarchical {
        /// The weights of those who vote, by group. A group without weight does not count.
        groups: BTreeMap<i64, BTreeMap<ServerId, i64>>,
    },
}

impl QuorumVerifier {
    /// A majority of these servers is a quorum.
    #[must_use]
    pub fn majority(participants: impl IntoIterator<Item = ServerId>) -> Self {
        Self::Majority { participants: participants.into_iter().collect() }
    }

    /// Whether this server votes.
    #[must_use]
    pub fn is_participant(&self, sid: ServerId) -> bool {
        match self {
            Self::Majority { participants } => participants.contains(&sid),
            Self::Hierarchical { groups } => groups.values().any(|group| group.contains_key(&sid)),
        }
    }

    /// Those who vote, in the order of their ids.
    #[must_use]
    pub fn participants(&self) -> BTreeSet<ServerId> {
        match self {
            Self::Majority { participants } => participants.clone(),
            Self::Hierarchical { groups } => groups.values().flat_map(|group| group.keys().copied()).collect(),
        }
    }

    /// How much a server counts: one without weight cannot lead.
    #[must_use]
    pub fn weight(&self, sid: ServerId) -> i64 {
        match self {
            Self::Majority { .. } => 1,
            Self::Hierarchical { groups } => groups.values().find_map(|group| group.get(&sid).copied()).unwrap_or(0),
        }
    }

    /// Whether the participants among `acks` are a quorum. Any two quorums of one verifier share a server.
    #[must_use]
    pub fn contains_quorum(&self, acks: &BTreeSet<ServerId>) -> bool {
        match self {
            Self::Majority { participants } => participants.intersection(acks).count() > participants.len() / 2,
            Self::Hierarchical { groups } => {
                let weighted = groups.values().filter(|group| group.values().sum::<i64>() > 0);
                let (mut count, mut won) = (0, 0);
                for group in weighted {
                    count += 1;
                    let total: i64 = group.values().sum();
                    let acked: i64 = group.iter().filter(|(sid, _)| acks.contains(sid)).map(|(_, weight)| weight).sum();
                    won += usize::from(acked > total / 2);
                }
                won > count / 2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sids: impl IntoIterator<Item = i64>) -> BTreeSet<ServerId> {
        sids.into_iter().map(ServerId).collect()
    }

    fn majority(sids: impl IntoIterator<Item = i64>) -> QuorumVerifier {
        QuorumVerifier::majority(sids.into_iter().map(ServerId))
    }

    fn hierarchical(groups: &[&[(i64, i64)]]) -> QuorumVerifier {
        let group = |members: &&[(i64, i64)]| members.iter().map(|&(sid, weight)| (ServerId(sid), weight)).collect();
        QuorumVerifier::Hierarchical { groups: (1..).zip(groups.iter().map(group)).collect() }
    }

    #[test]
    fn more_than_half_of_the_participants() {
        let verifier = majority([1, 2, 3, 4]);
        assert!(!verifier.contains_quorum(&set([1, 2, 9])));
        assert!(verifier.contains_quorum(&set([1, 2, 3])));
        assert!(majority([1]).contains_quorum(&set([1])));
        assert!(!majority([]).contains_quorum(&set([])));
    }

    /// `QuorumHierarchical.containsQuorum`: more than half of the weight in more than half of the groups that have any.
    #[test]
    fn weighted_groups() {
        let verifier = hierarchical(&[&[(1, 1), (2, 1), (3, 1)], &[(4, 1), (5, 1), (6, 1)], &[(7, 1), (8, 1), (9, 1)]]);
        assert!(verifier.contains_quorum(&set([1, 2, 4, 5])));
        assert!(!verifier.contains_quorum(&set([1, 2, 3, 4])));
        assert!(!verifier.contains_quorum(&set([1, 4, 7])));
        assert!(!verifier.contains_quorum(&set([])));
        let heavy = hierarchical(&[&[(1, 3), (2, 1)], &[(3, 0)]]);
        assert!(heavy.contains_quorum(&set([1])));
        assert!(!heavy.contains_quorum(&set([2, 3])));
        assert_eq!((heavy.weight(ServerId(1)), heavy.weight(ServerId(3)), heavy.weight(ServerId(7))), (3, 0, 0));
    }

    #[test]
    fn any_two_quorums_share_a_server() {
        let verifiers = [
            majority(1..=4),
            majority(1..=5),
            hierarchical(&[&[(1, 1), (2, 2), (3, 1)], &[(4, 1), (5, 3)], &[(6, 1)]]),
            hierarchical(&[&[(1, 1), (2, 1)], &[(3, 5), (4, 0)]]),
        ];
        for verifier in verifiers {
            let subsets: Vec<_> = (0..64_i64).map(|bits| set((1..=6).filter(|sid| bits >> (sid - 1) & 1 == 1))).collect();
            let quorums: Vec<_> = subsets.iter().filter(|subset| verifier.contains_quorum(subset)).collect();
            assert!(!quorums.is_empty());
            for (a, b) in quorums.iter().flat_map(|a| quorums.iter().map(move |b| (a, b))) {
                assert!(!a.is_disjoint(b), "{verifier:?}: {a:?} and {b:?}");
            }
        }
    }
}
