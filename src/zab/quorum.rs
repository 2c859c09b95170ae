//! Which sets of servers are a quorum.

use std::collections::BTreeSet;

/// A majority of the participants (`QuorumMaj`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumVerifier {
    participants: BTreeSet<i64>,
}

impl QuorumVerifier {
    /// A majority of these server ids is a quorum.
    #[must_use]
    pub fn majority(participants: impl IntoIterator<Item = i64>) -> Self {
        Self { participants: participants.into_iter().collect() }
    }

    /// Whether the participants among `acks` are a quorum.
    #[must_use]
    pub fn contains_quorum(&self, acks: &BTreeSet<i64>) -> bool {
        self.participants.intersection(acks).count() > self.participants.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_the_participants() {
        let verifier = QuorumVerifier::majority([1, 2, 3, 4]);
        assert!(!verifier.contains_quorum(&BTreeSet::from([1, 2, 9])));
        assert!(verifier.contains_quorum(&BTreeSet::from([1, 2, 3])));
        assert!(QuorumVerifier::majority([1]).contains_quorum(&BTreeSet::from([1])));
        assert!(!QuorumVerifier::majority([]).contains_quorum(&BTreeSet::new()));
    }
}
