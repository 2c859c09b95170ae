//! Through whom an observer observes (`QuorumPeer.findLearnerMaster`, `nextObserverMaster`): each follower in turn.
//!
//! Java has the leader in the list too, and dials a port there that no leader opens.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::ServerId;

/// The turn that it is.
#[derive(Debug, Default)]
pub(super) struct LearnerMasters {
    /// Who votes, in an order that differs from observer to observer, so that they spread over the followers.
    order: Vec<ServerId>,
    /// Those whose turn in this round is still to come.
    left: VecDeque<ServerId>,
}

impl LearnerMasters {
    /// The follower whose turn it is; `None` at the end of each round. `chance` gives a number below its argument.
    pub(super) fn next(&mut self, voters: &BTreeSet<ServerId>, leader: ServerId, chance: impl FnMut(u64) -> u64) -> Option<ServerId> {
        if self.order.iter().copied().collect::<BTreeSet<_>>() != *voters {
            self.order = shuffled(voters, chance);
            self.left = self.order.iter().copied().collect();
        }
        let next = std::iter::from_fn(|| self.left.pop_front()).find(|&sid| sid != leader);
        if next.is_none() {
            self.left = self.order.iter().copied().collect();
        }
        next
    }
}

fn shuffled(voters: &BTreeSet<ServerId>, mut chance: impl FnMut(u64) -> u64) -> Vec<ServerId> {
    let mut order: Vec<ServerId> = voters.iter().copied().collect();
    for last in (1..order.len()).rev() {
        order.swap(last, chance(last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(sids: impl IntoIterator<Item = i64>) -> BTreeSet<ServerId> {
        sids.into_iter().map(ServerId).collect()
    }

    /// The turns of one round.
    fn round(masters: &mut LearnerMasters, voters: &BTreeSet<ServerId>, chance: u64) -> Vec<ServerId> {
        std::iter::from_fn(|| masters.next(voters, ServerId(3), |limit| chance % limit)).collect()
    }

    #[test]
    fn each_follower_has_its_turn_in_each_round() {
        let (mut masters, voters) = (LearnerMasters::default(), voters(1..=4));
        let first = round(&mut masters, &voters, 1);
        assert_eq!(first.iter().copied().collect::<BTreeSet<_>>(), [1, 2, 4].map(ServerId).into());
        assert_eq!(round(&mut masters, &voters, 7), first, "the order stays");
        assert_eq!(masters.next(&voters, ServerId(3), |_| 0), Some(first[0]));
        assert_eq!(masters.next(&voters, first[1], |_| 0).filter(|&sid| sid == first[1]), None, "who leads now is no follower");
    }

    #[test]
    fn orders_differ_and_members_that_change_make_a_new_one() {
        let of = |chance| round(&mut LearnerMasters::default(), &voters(1..=9), chance);
        assert!((0..9).any(|chance| of(chance) != of(0)));
        let mut masters = LearnerMasters::default();
        assert_eq!(masters.next(&voters([3]), ServerId(3), |_| 0), None, "a leader without followers");
        assert_eq!(masters.next(&voters([3, 5]), ServerId(3), |_| 0), Some(ServerId(5)));
    }
}
