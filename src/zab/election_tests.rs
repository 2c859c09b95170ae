//! Elections, notification by notification (`FastLeaderElection`).

use super::*;
use crate::ids::Epoch;
use crate::zab::{Configuration, QuorumVerifier};

/// Server 2 of 1, 2, 3 votes; its history ends in (2, 5).
struct Room {
    membership: Membership,
    timing: Timing,
    unreachable: BTreeSet<ServerId>,
    round: i64,
    outputs: Vec<Output>,
}

impl Room {
    fn new() -> Self {
        let verifier = QuorumVerifier::majority((1..=3).map(ServerId));
        let configuration = Configuration { observers: [ServerId(9)].into(), ..Configuration::of(0, verifier) };
        Self {
            membership: Membership::new(configuration),
            timing: Timing::new(2000, 10, 5),
            unreachable: BTreeSet::new(),
            round: 0,
            outputs: Vec::new(),
        }
    }

    fn booth(&mut self) -> Booth<'_> {
        Booth {
            own: ServerId(2),
            membership: &self.membership,
            timing: &self.timing,
            unreachable: &self.unreachable,
            is_patient: false,
            is_changeable: false,
            round: &mut self.round,
        }
    }

    fn begin(&mut self) -> Election {
        let mut outputs = Vec::new();
        let (election, elected) = Election::begin(vote(2, 2, 5), 0, &mut self.booth(), &mut outputs);
        assert_eq!(elected, None);
        election
    }

    fn hear(&mut self, election: &mut Election, from: i64, notification: &Notification, now_ms: i64) -> Option<Elected> {
        let mut outputs = Vec::new();
        let elected = election.handle(ServerId(from), notification, now_ms, &mut self.booth(), &mut outputs);
        self.outputs = outputs;
        elected
    }

    /// To whom something was sent, and which leader it proposes.
    fn sent(&self) -> Vec<(i64, i64)> {
        let sent = |output: &Output| match output {
            Output::Notify { to, notification } => (to.0, notification.vote.leader.0),
            other => panic!("an election only sends: {other:?}"),
        };
        self.outputs.iter().map(sent).collect()
    }
}

fn vote(leader: i64, epoch: i64, counter: u32) -> Vote {
    Vote { leader: ServerId(leader), zxid: Zxid::new(Epoch(epoch), counter), peer_epoch: Epoch(epoch) }
}

fn notification(state: ServerState, vote: Vote, round: i64) -> Notification {
    Notification { state, vote, election_epoch: round, version: NOTIFICATION_VERSION, config: None }
}

fn looking(vote: Vote, round: i64) -> Notification {
    notification(ServerState::Looking, vote, round)
}

/// `totalOrderPredicate`: epoch before zxid before id.
#[test]
fn the_order_of_votes() {
    let room = Room::new();
    let worse_to_better = [vote(3, 1, 9), vote(1, 2, 5), vote(2, 2, 5), vote(1, 2, 6), vote(1, 3, 0)];
    for (index, new) in worse_to_better.iter().enumerate() {
        for (other, current) in worse_to_better.iter().enumerate() {
            assert_eq!(beats(new, current, &room.membership), index > other, "{new:?} against {current:?}");
        }
    }
    let late_epoch = Vote { peer_epoch: Epoch(4), ..vote(1, 1, 1) };
    assert!(beats(&late_epoch, &vote(3, 3, 9), &room.membership), "the epoch that was adopted counts before the last txn");
}

#[test]
fn a_server_without_weight_never_leads() {
    let groups = [(1, [(ServerId(1), 1), (ServerId(2), 1), (ServerId(3), 0)].into())].into();
    let configuration = Configuration::of(0, QuorumVerifier::Hierarchical { groups });
    let membership = Membership::new(configuration);
    assert!(!beats(&vote(3, 9, 9), &vote(1, 1, 1), &membership));
    assert!(beats(&vote(2, 1, 1), &vote(1, 1, 1), &membership));
}

#[test]
fn a_better_vote_is_adopted_and_told_to_everybody() {
    let mut room = Room::new();
    let mut election = room.begin();
    assert_eq!(room.hear(&mut election, 3, &looking(vote(3, 2, 5), 1), 10), None);
    assert_eq!(room.sent(), [(1, 3), (3, 3)]);
}

/// Two servers lose their leader, one a moment before the other: what the first says then is no vote to the second, which still follows.
#[test]
fn whoever_backs_a_worse_vote_in_the_same_round_is_told_the_better_one() {
    let mut room = Room::new();
    let mut election = room.begin();
    assert_eq!(room.hear(&mut election, 1, &looking(vote(1, 2, 4), 1), 20), None);
    assert_eq!(room.sent(), [(1, 2)]);
    assert_eq!(room.hear(&mut election, 1, &looking(vote(2, 2, 5), 1), 30).map(|elected| elected.vote.leader), None);
    assert!(room.sent().is_empty(), "whoever agrees is told nothing");
}

/// 200 ms without anything better, and no more than that, as long as somebody may have something better to say.
#[test]
fn a_quorum_waits_for_those_who_have_not_spoken() {
    let mut room = Room::new();
    let mut election = room.begin();
    assert_eq!(room.hear(&mut election, 3, &looking(vote(3, 2, 5), 1), 10), None);
    let mut outputs = Vec::new();
    assert_eq!(election.wake_ms(), 200);
    assert_eq!(election.tick(209, &room.booth(), &mut outputs), None);
    let expected = Elected { vote: vote(3, 2, 5), election_epoch: 1, state: ServerState::Following };
    assert_eq!(election.tick(210, &room.booth(), &mut outputs), Some(expected));
}

#[test]
fn nobody_waits_when_everybody_who_can_be_reached_agrees() {
    let mut room = Room::new();
    let mut election = room.begin();
    room.unreachable.insert(ServerId(1));
    let expected = Elected { vote: vote(3, 2, 5), election_epoch: 1, state: ServerState::Following };
    assert_eq!(room.hear(&mut election, 3, &looking(vote(3, 2, 5), 1), 10), Some(expected));

    let mut room = Room::new();
    let mut election = room.begin();
    assert_eq!(room.hear(&mut election, 1, &looking(vote(2, 2, 5), 1), 10), None);
    let expected = Elected { vote: vote(2, 2, 5), election_epoch: 1, state: ServerState::Leading };
    assert_eq!(room.hear(&mut election, 3, &looking(vote(2, 2, 5), 1), 11), Some(expected));
}

#[test]
fn a_later_round_forgets_the_votes_of_the_one_before() {
    let mut room = Room::new();
    let mut election = room.begin();
    room.unreachable.insert(ServerId(3));
    assert_eq!(room.hear(&mut election, 1, &looking(vote(1, 2, 4), 7), 10), None);
    assert_eq!((room.round, room.sent()), (7, vec![(1, 2), (3, 2)]), "its own vote is better than the one it hears");
    assert_eq!(room.hear(&mut election, 1, &looking(vote(2, 2, 5), 6), 20), None);
    assert_eq!(room.sent(), [(1, 2)], "whoever is behind is told the round");
    let expected = Elected { vote: vote(2, 2, 5), election_epoch: 7, state: ServerState::Leading };
    assert_eq!(room.hear(&mut election, 1, &looking(vote(2, 2, 5), 7), 30), Some(expected));
}

/// ZOOKEEPER-1732, 1805, 1818: votes of those who have a leader may differ in everything but the leader and its epoch.
#[test]
fn zookeeper_1732_a_newcomer_joins_by_the_votes_of_a_quorum() {
    let mut room = Room::new();
    let mut election = room.begin();
    let following = notification(ServerState::Following, Vote { zxid: Zxid(3), ..vote(3, 4, 0) }, 9);
    assert_eq!(room.hear(&mut election, 1, &following, 10), None, "the leader itself must say so");
    let leading = notification(ServerState::Leading, vote(3, 4, 0), 8);
    let expected = Elected { vote: vote(3, 4, 0), election_epoch: 8, state: ServerState::Following };
    assert_eq!(room.hear(&mut election, 3, &leading, 11), Some(expected));
    assert_eq!(room.round, 8);
}

#[test]
fn a_follower_of_another_epoch_is_no_part_of_the_quorum() {
    let mut room = Room::new();
    let mut election = room.begin();
    assert_eq!(room.hear(&mut election, 3, &notification(ServerState::Leading, vote(3, 4, 0), 8), 10), None);
    assert_eq!(room.hear(&mut election, 1, &notification(ServerState::Following, vote(3, 3, 0), 8), 11), None);
    let old = Notification { version: 0, ..notification(ServerState::Following, vote(3, 3, 0), 8) };
    assert!(room.hear(&mut election, 1, &old, 12).is_some(), "a server before 3.4.6 does not tell the epoch");
}

/// ZOOKEEPER-261: a server that lost its database must not outvote those that have one.
#[test]
fn zookeeper_261_a_server_without_a_database_is_not_counted() {
    let mut room = Room::new();
    let mut election = room.begin();
    let empty = Vote { leader: ServerId(3), zxid: UNINITIALIZED, peer_epoch: Epoch(9) };
    assert_eq!(room.hear(&mut election, 3, &looking(empty, 1), 10), None);
    assert_eq!((room.sent(), election.received.len()), (vec![], 1), "only its own vote is there");
}

#[test]
fn observers_and_strangers_have_no_voice() {
    let mut room = Room::new();
    let mut election = room.begin();
    for (from, leader) in [(9, 3), (8, 3), (3, 9), (3, 8)] {
        assert_eq!(room.hear(&mut election, from, &looking(vote(leader, 9, 9), 5), 10), None);
        assert_eq!((room.round, room.sent()), (1, vec![]), "{from} for {leader}");
    }
}

#[test]
fn a_vote_is_said_again_less_and_less_often() {
    let mut room = Room::new();
    let mut election = room.begin();
    let mut said = Vec::new();
    for now_ms in 0..100_000 {
        let mut outputs = Vec::new();
        assert_eq!(election.tick(now_ms, &room.booth(), &mut outputs), None);
        if !outputs.is_empty() {
            said.push(now_ms);
        }
    }
    assert_eq!(said, [200, 600, 1400, 3000, 6200, 12_600, 25_400, 51_000]);
}

/// Rounds are counted from the start of the oldest process: whoever says that there were so many more lies, and the counter must not run out.
#[test]
fn a_round_that_no_ensemble_can_have_reached_is_not_joined() {
    for (round, expected) in [(ROUNDS_AHEAD_MAX, ROUNDS_AHEAD_MAX), (ROUNDS_AHEAD_MAX + 2, 1), (i64::MAX, 1), (i64::MIN, 1)] {
        let mut room = Room::new();
        let mut election = room.begin();
        room.hear(&mut election, 3, &looking(vote(3, 2, 5), round), 0);
        assert_eq!(room.round, expected, "round {round}");
    }
}
