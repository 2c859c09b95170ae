//! What a leader makes of what its learners say.

use bytes::Bytes;

use super::super::core::Core;
use super::{COUNTER_MAX, Leader, Phase, Reason};
use crate::ids::{Epoch, ServerId, Zxid};
use crate::zab::{
    CloseReason, Configuration, Input, Introduction, LinkId, Membership, Notification, Output, Packet, Recovered, ServerState, Settings,
    Vote, Zab, fixture,
};

const LINK: LinkId = LinkId(7);

fn zxid(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// Server 3 of three.
fn settings() -> Settings {
    fixture::settings(3)
}

/// Its history ends in 1:9.
fn recovered() -> Recovered {
    Recovered { accepted_epoch: Some(Epoch(1)), current_epoch: Some(Epoch(1)), last_zxid: zxid(1, 9), ..Recovered::default() }
}

/// Server 1 follows in epoch 2; the disk answers everything.
fn establishes() -> [Input; 6] {
    let info =
        Introduction { accepted_epoch: Epoch(1), sid: Some(ServerId(1)), config_version: 0, is_paddock: false, serves_observers: false };
    [
        Input::LearnerConnected(LINK),
        Input::LearnerPacket(LINK, Packet::FollowerInfo(info)),
        Input::AcceptedEpochStored(Epoch(2)),
        Input::LearnerPacket(LINK, Packet::AckEpoch { last_zxid: zxid(1, 9), current_epoch: Some(Epoch(1)) }),
        Input::CurrentEpochStored(Epoch(2)),
        Input::LearnerPacket(LINK, Packet::Ack { zxid: zxid(2, 0) }),
    ]
}

/// Elected and established.
fn leader() -> Zab {
    let mut zab = Zab::start(settings(), recovered(), 0, &mut Vec::new());
    let vote = Vote { leader: ServerId(3), zxid: zxid(1, 9), peer_epoch: Epoch(1) };
    let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
    let votes = [1, 2].map(|from| Input::Notification { from: ServerId(from), notification: notification.clone() });
    for input in votes.into_iter().chain(establishes()) {
        zab.handle(input, 0, &mut Vec::new());
    }
    assert!(zab.can_propose(), "a quorum has adopted the epoch");
    zab
}

/// Server 2 is elected by 1, while nobody reaches 3. Then 3 comes, which is better.
#[test]
fn whose_voters_change_their_minds_does_not_wait_for_them() {
    let vote = |from: i64, leader: i64, round: i64| {
        let vote = Vote { leader: ServerId(leader), zxid: zxid(1, 9), peer_epoch: Epoch(1) };
        let notification = Notification { state: ServerState::Looking, vote, election_epoch: round, version: 2, config: None };
        Input::Notification { from: ServerId(from), notification }
    };
    let info =
        Introduction { accepted_epoch: Epoch(1), sid: Some(ServerId(1)), config_version: 0, is_paddock: true, serves_observers: false };
    for follows in [false, true] {
        let mut zab = Zab::start(Settings { server_id: ServerId(2), ..settings() }, recovered(), 0, &mut Vec::new());
        let mut state_after = |input: Input| {
            zab.handle(input, 0, &mut Vec::new());
            zab.state()
        };
        state_after(Input::PeerUnreachable(ServerId(3)));
        assert_eq!(state_after(vote(1, 2, 1)), ServerState::Leading);
        if follows {
            state_after(Input::LearnerConnected(LINK));
            state_after(Input::LearnerPacket(LINK, Packet::FollowerInfo(info)));
        }
        assert_eq!(state_after(vote(3, 3, 1)), ServerState::Leading, "1 is enough");
        assert_eq!(state_after(vote(1, 3, 2)), ServerState::Leading, "it looks anew: it will hear who leads");
        let expected = if follows { ServerState::Leading } else { ServerState::Looking };
        assert_eq!(state_after(vote(1, 3, 1)), expected);
    }
}

/// ZooKeeper's `QuorumZxidSyncTest.testBehindLeader`: all servers but one are emptied and begin anew, then that one comes back.
#[test]
fn a_history_of_a_later_epoch_than_the_leaders_stays_outside() {
    let link = LinkId(8);
    let info =
        Introduction { accepted_epoch: Epoch(5), sid: Some(ServerId(2)), config_version: 0, is_paddock: false, serves_observers: false };
    for (current, expected) in [(5, ServerState::Leading), (2, ServerState::Looking)] {
        let mut zab = leader();
        let mut outputs = Vec::new();
        let vote = Vote { leader: ServerId(2), zxid: zxid(current, 1), peer_epoch: Epoch(current) };
        let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
        zab.handle(Input::Notification { from: ServerId(2), notification }, 0, &mut outputs);
        zab.handle(Input::LearnerConnected(link), 0, &mut outputs);
        zab.handle(Input::LearnerPacket(link, Packet::FollowerInfo(info)), 0, &mut outputs);
        assert_eq!(zab.state(), expected, "one that only promised a later epoch is followed by the next election");
        let is_closed = outputs.contains(&Output::CloseLearner(link, CloseReason::OtherPast));
        assert_eq!(is_closed, expected == ServerState::Leading);
    }
}

fn delivered(zab: &mut Zab, input: Input) -> Vec<Zxid> {
    let mut outputs = Vec::new();
    zab.handle(input, 0, &mut outputs);
    outputs.iter().filter_map(|output| if let Output::Deliver { zxid, .. } = output { Some(*zxid) } else { None }).collect()
}

/// Some releases ack the history that they were given, txn by txn (ZOOKEEPER-4646). Those counters mean nothing in this epoch.
#[test]
fn an_ack_of_an_older_epoch_counts_for_nothing() {
    let mut zab = leader();
    for _ in 0..5 {
        zab.propose(Bytes::from_static(b"txn"), &mut Vec::new());
    }
    assert_eq!(delivered(&mut zab, Input::Persisted(zxid(2, 5))), []);
    assert_eq!(delivered(&mut zab, Input::LearnerPacket(LINK, Packet::Ack { zxid: zxid(1, 5) })), []);
    assert_eq!(delivered(&mut zab, Input::LearnerPacket(LINK, Packet::Ack { zxid: zxid(2, 2) })), [zxid(2, 1), zxid(2, 2)]);
}

/// Everything that was proposed is committed first; then a new epoch begins with counter 1.
#[test]
fn zookeeper_1277_the_last_counter_of_an_epoch_is_given_to_nobody() {
    let mut outputs = Vec::new();
    let mut core = Core::new(settings(), recovered(), &mut outputs);
    let mut leader = Leader::elected(&mut core, 0, &mut outputs);
    let mut handle = |leader: &mut Leader, core: &mut Core, input: Input| {
        core.note(&input);
        leader.handle(input, core, 0, &mut outputs)
    };
    for input in establishes() {
        assert_eq!(handle(&mut leader, &mut core, input), Ok(()));
    }
    assert_eq!(leader.phase, Phase::Broadcasting);
    let (almost, last) = (zxid(2, COUNTER_MAX - 1), zxid(2, COUNTER_MAX));
    core.history.replace(almost);
    (core.persisted, leader.last_proposed) = (almost, almost);
    leader.learners.get_mut(&LINK).expect("it follows").told = almost;
    assert_eq!(leader.propose(Bytes::from_static(b"txn"), &mut core, &mut Vec::new()), last);
    assert!(!leader.can_propose(&core));
    assert_eq!(handle(&mut leader, &mut core, Input::Persisted(last)), Ok(()), "it is not committed");
    assert_eq!(handle(&mut leader, &mut core, Input::LearnerPacket(LINK, Packet::Ack { zxid: last })), Err(Reason::EpochExhausted));
    assert_eq!(core.history.delivered(), last);
}

/// There is nobody to elect: a server that stands alone goes on in the next epoch.
#[test]
fn zookeeper_1277_alone_the_next_epoch_begins_at_once() {
    let alone = Settings { membership: Membership::new(Configuration::alone(ServerId(3))), is_standalone: true, ..settings() };
    let recovered = Recovered { last_zxid: zxid(1, COUNTER_MAX - 1), ..Recovered::default() };
    let mut zab = Zab::start(alone, recovered, 0, &mut Vec::new());
    let mut propose = || zab.propose(Bytes::from_static(b"txn"), &mut Vec::new());
    assert_eq!([propose(), propose(), propose()], [zxid(1, COUNTER_MAX), zxid(2, 1), zxid(2, 2)]);
}

/// There is no epoch behind the last one, and a leader that took it for promised could never lead again.
#[test]
fn who_has_promised_the_last_epoch_is_left_out() {
    let vote = Vote { leader: ServerId(3), zxid: zxid(1, 9), peer_epoch: Epoch(1) };
    let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
    let mut zab = Zab::start(settings(), recovered(), 0, &mut Vec::new());
    for from in [1, 2] {
        zab.handle(Input::Notification { from: ServerId(from), notification: notification.clone() }, 0, &mut Vec::new());
    }
    let info =
        Introduction { accepted_epoch: Epoch::LAST, sid: Some(ServerId(2)), config_version: 0, is_paddock: false, serves_observers: false };
    let mut outputs = Vec::new();
    for input in [Input::LearnerConnected(LinkId(8)), Input::LearnerPacket(LinkId(8), Packet::FollowerInfo(info))] {
        zab.handle(input, 0, &mut outputs);
    }
    assert_eq!(outputs, [Output::CloseLearner(LinkId(8), CloseReason::Misbehaved)]);
    establishes().into_iter().for_each(|input| zab.handle(input, 0, &mut Vec::new()));
    assert!(zab.can_propose(), "with the other one it leads");
}
