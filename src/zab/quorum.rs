//! Which sets of servers are a quorum: of a majority, of weighted groups, and of two configurations at once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

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

/// One configuration of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The zxid of the reconfiguration that made it; 0 for the one in the files.
    pub version: i64,
    /// Its text, as notifications and NEWLEADER carry it.
    pub text: Bytes,
    /// Who votes, and what a quorum is.
    pub verifier: QuorumVerifier,
    /// Who does not vote.
    pub observers: BTreeSet<ServerId>,
}

impl Configuration {
    /// The configuration of a server that stands alone.
    #[must_use]
    pub fn alone(sid: ServerId) -> Self {
        Self { version: 0, text: Bytes::new(), verifier: QuorumVerifier::majority([sid]), observers: BTreeSet::new() }
    }
}

/// The committed configuration, and the one that is being agreed on: while there are two, a quorum is one of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    committed: Configuration,
    /// Proposed, newer than the committed one.
    last_seen: Option<Configuration>,
}

impl Membership {
    /// A membership that nobody is about to change.
    #[must_use]
    pub fn new(committed: Configuration) -> Self {
        Self { committed, last_seen: None }
    }

    /// A reconfiguration is proposed: from here on quorums are those of both. An older one changes nothing.
    pub fn propose(&mut self, next: Configuration) {
        if next.version > self.committed.version {
            self.last_seen = Some(next);
        }
    }

    /// The proposed configuration is committed.
    pub fn activate(&mut self) {
        if let Some(next) = self.last_seen.take() {
            self.committed = next;
        }
    }

    /// The committed configuration.
    #[must_use]
    pub fn committed(&self) -> &Configuration {
        &self.committed
    }

    /// The newest configuration known.
    #[must_use]
    pub fn last_seen(&self) -> &Configuration {
        self.last_seen.as_ref().unwrap_or(&self.committed)
    }

    fn verifiers(&self) -> impl Iterator<Item = &QuorumVerifier> {
        std::iter::once(&self.committed).chain(&self.last_seen).map(|configuration| &configuration.verifier)
    }

    /// Whether this server votes in one of the configurations (`validVoter`).
    #[must_use]
    pub fn is_participant(&self, sid: ServerId) -> bool {
        self.verifiers().any(|verifier| verifier.is_participant(sid))
    }

    /// Everybody who votes in one of the configurations.
    #[must_use]
    pub fn participants(&self) -> BTreeSet<ServerId> {
        self.verifiers().flat_map(QuorumVerifier::participants).collect()
    }

    /// Whether `acks` hold a quorum of every configuration that counts now.
    #[must_use]
    pub fn contains_quorum(&self, acks: &BTreeSet<ServerId>) -> bool {
        self.verifiers().all(|verifier| verifier.contains_quorum(acks))
    }

    /// The largest value that a quorum has reached: of zxids, of rounds. `None` when no quorum has any.
    #[must_use]
    pub fn reached_by_quorum<T: Copy + Ord>(&self, reached: &BTreeMap<ServerId, T>) -> Option<T> {
        let mut values: Vec<T> = reached.values().copied().collect();
        values.sort_unstable();
        values.dedup();
        let by_quorum = |value: &T| self.contains_quorum(&reached.iter().filter(|(_, has)| *has >= value).map(|(&sid, _)| sid).collect());
        values.into_iter().rev().find(by_quorum)
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

    fn configuration(version: i64, verifier: QuorumVerifier) -> Configuration {
        Configuration { version, text: Bytes::new(), verifier, observers: BTreeSet::new() }
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

    #[test]
    fn while_a_reconfiguration_is_under_way_both_must_agree() {
        let mut membership = Membership::new(configuration(0, majority([1, 2, 3])));
        membership.propose(configuration(7, majority([3, 4, 5])));
        assert!(!membership.contains_quorum(&set([1, 2, 3])));
        assert!(membership.contains_quorum(&set([1, 3, 4])));
        assert_eq!(membership.participants(), set(1..=5));
        assert!(membership.is_participant(ServerId(5)) && membership.is_participant(ServerId(1)));
        membership.activate();
        assert!(membership.contains_quorum(&set([4, 5])) && !membership.is_participant(ServerId(1)));
        membership.propose(configuration(6, majority([9])));
        assert_eq!(membership.last_seen().version, 7);
    }

    #[test]
    fn what_a_quorum_has_reached() {
        let membership = Membership::new(configuration(0, majority([1, 2, 3])));
        let mut reached = BTreeMap::from([(ServerId(1), 9)]);
        assert_eq!(membership.reached_by_quorum(&reached), None);
        reached.insert(ServerId(8), 9);
        assert_eq!(membership.reached_by_quorum(&reached), None, "who does not vote does not count");
        reached.insert(ServerId(3), 7);
        assert_eq!(membership.reached_by_quorum(&reached), Some(7));
        reached.insert(ServerId(2), 8);
        assert_eq!(membership.reached_by_quorum(&reached), Some(8));
    }
}
