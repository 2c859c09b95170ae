//! What a learner does when its link or its leader is not what it should be, and what it waits for.

use super::{CONNECT_LIMIT_MS, HELD_BYTES_MAX, UNCOMMITTED_BYTES_MAX};
use crate::ids::{Epoch, ServerId, Zxid};
use crate::zab::{Input, LinkId, Notification, Output, Packet, Reason, Recovered, RoleChange, ServerState, Timing, Vote, Zab, fixture};

const INIT_LIMIT_MS: i64 = 20_000;

/// A server that looks for a leader, and has promised nothing.
fn started() -> Zab {
    recovered(Epoch(0))
}

/// The same with a promise in its files.
fn recovered(accepted_epoch: Epoch) -> Zab {
    let recovered = Recovered { accepted_epoch: Some(accepted_epoch), current_epoch: Some(Epoch(0)), ..Recovered::default() };
    Zab::start(fixture::settings(1), recovered, 0, &mut Vec::new())
}

/// Lets it follow server 3, and tell that who it is.
fn register(zab: &mut Zab) {
    for (from, state) in [(2, ServerState::Following), (3, ServerState::Leading)] {
        let vote = Vote { leader: ServerId(3), zxid: Zxid(0), peer_epoch: Epoch(1) };
        let notification = Notification { state, vote, election_epoch: 1, version: 2, config: None };
        zab.handle(Input::Notification { from: ServerId(from), notification }, 0, &mut Vec::new());
    }
    zab.handle(Input::LeaderConnected(LinkId(1)), 0, &mut Vec::new());
}

fn registered() -> Zab {
    let mut zab = started();
    register(&mut zab);
    zab
}

/// The same, and server 3 tells its epoch 1; gives what that is answered.
fn told_epoch(zab: &mut Zab) -> Vec<Output> {
    register(zab);
    let mut outputs = Vec::new();
    let leader_info = Packet::LeaderInfo { epoch: Epoch(1), version: 0x1_0000, is_paddock: false };
    zab.handle(Input::LeaderPacket(LinkId(1), leader_info), 0, &mut outputs);
    outputs
}

/// A server that follows server 3, up to its promise.
fn promised() -> Zab {
    let mut zab = started();
    told_epoch(&mut zab);
    zab.handle(Input::AcceptedEpochStored(Epoch(1)), 0, &mut Vec::new());
    zab
}

/// The promises that leave.
fn promises(outputs: &[Output]) -> Vec<Option<Epoch>> {
    let promise = |output: &Output| match output {
        Output::ToLeader(_, Packet::AckEpoch { current_epoch, .. }) => Some(*current_epoch),
        _ => None,
    };
    outputs.iter().filter_map(promise).collect()
}

/// Two leaders of one epoch would have a quorum each if a server could promise it to both.
#[test]
fn a_promise_counts_once_and_only_when_it_is_durable() {
    let mut zab = started();
    assert_eq!(promises(&told_epoch(&mut zab)), []);
    let mut outputs = Vec::new();
    zab.handle(Input::AcceptedEpochStored(Epoch(1)), 0, &mut outputs);
    assert_eq!(promises(&outputs), [Some(Epoch(0))]);
    assert_eq!(promises(&told_epoch(&mut recovered(Epoch(1)))), [None], "it goes on with the leader, and does not count");
}

fn handled(zab: &mut Zab, input: Input, now_ms: i64) -> Vec<Output> {
    let mut outputs = Vec::new();
    zab.handle(input, now_ms, &mut outputs);
    outputs
}

const LOST: Output = Output::Role(RoleChange::Looking { reason: Reason::LeaderLost });

/// A proxy takes the connection before a Java leader has opened its port, and drops it.
#[test]
fn a_link_that_ends_before_a_word_came_over_it_is_made_again() {
    let mut zab = registered();
    let mut now_ms = 0;
    for number in 1.. {
        assert_eq!(handled(&mut zab, Input::LeaderDisconnected(LinkId(number)), now_ms), [], "attempt {number}");
        now_ms = zab.wake_ms().expect("it will be made again");
        let outputs = handled(&mut zab, Input::Tick, now_ms);
        if now_ms > CONNECT_LIMIT_MS {
            assert!(outputs.contains(&LOST) && number > 10, "{outputs:?} after {number} attempts");
            return;
        }
        let link = LinkId(number + 1);
        assert_eq!(outputs, [Output::ConnectLeader { link, leader: ServerId(3) }]);
        let outputs = handled(&mut zab, Input::LeaderConnected(link), now_ms);
        assert!(matches!(outputs[..], [Output::ToLeader(to, Packet::FollowerInfo(_))] if to == link), "{outputs:?}");
    }
}

#[test]
fn a_leader_that_has_spoken_or_moved_on_or_cannot_be_reached_is_not_dialed_again() {
    let disconnected = Input::LeaderDisconnected(LinkId(1));
    assert!(handled(&mut promised(), disconnected.clone(), 1).contains(&LOST));
    assert!(handled(&mut registered(), disconnected.clone(), CONNECT_LIMIT_MS + 1).contains(&LOST), "a link that stood for long");
    let mut zab = registered();
    handled(&mut zab, Input::PeerUnreachable(ServerId(3)), 0);
    assert!(handled(&mut zab, disconnected.clone(), 1).contains(&LOST));
    for breaks_first in [true, false] {
        let mut zab = registered();
        if breaks_first {
            assert_eq!(handled(&mut zab, disconnected.clone(), 1), []);
        }
        let vote = Vote { leader: ServerId(3), zxid: Zxid(0), peer_epoch: Epoch(0) };
        let notification = Notification { state: ServerState::Looking, vote, election_epoch: 2, version: 2, config: None };
        assert!(handled(&mut zab, Input::Notification { from: ServerId(3), notification }, 2).contains(&LOST));
    }
}

/// Server 2 voted for itself while nobody reached 3. Then 3 came.
#[test]
fn a_leader_that_backs_another_by_now_is_not_waited_for() {
    let vote = |leader: i64, round: i64| {
        let vote = Vote { leader: ServerId(leader), zxid: Zxid(0), peer_epoch: Epoch(0) };
        let notification = Notification { state: ServerState::Looking, vote, election_epoch: round, version: 2, config: None };
        Input::Notification { from: ServerId(2), notification }
    };
    let mut zab = started();
    zab.handle(Input::PeerUnreachable(ServerId(3)), 0, &mut Vec::new());
    zab.handle(vote(2, 1), 0, &mut Vec::new());
    assert_eq!(zab.state(), ServerState::Following);
    zab.handle(vote(2, 1), 1, &mut Vec::new());
    assert_eq!(zab.state(), ServerState::Following, "it says so again");
    let mut outputs = Vec::new();
    zab.handle(vote(3, 1), 2, &mut outputs);
    assert!(outputs.contains(&Output::Role(RoleChange::Looking { reason: Reason::LeaderLost })), "{outputs:?}");
}

/// Server 2 lost the leader first, and said so: this server need not hear it again.
#[test]
fn a_vote_for_the_next_round_that_came_a_little_early_counts() {
    for (later_ms, is_elected) in [(10, true), (1001, false)] {
        let mut zab = promised();
        let vote = Vote { leader: ServerId(2), zxid: Zxid(0), peer_epoch: Epoch(0) };
        let notification = Notification { state: ServerState::Looking, vote, election_epoch: 2, version: 2, config: None };
        zab.handle(Input::Notification { from: ServerId(2), notification }, 5, &mut Vec::new());
        let mut outputs = Vec::new();
        zab.handle(Input::PeerUnreachable(ServerId(3)), 5 + later_ms, &mut outputs);
        zab.handle(Input::LeaderDisconnected(LinkId(1)), 5 + later_ms, &mut outputs);
        let elected = RoleChange::Elected { state: ServerState::Following, leader: ServerId(2), took_ms: 0 };
        assert_eq!(outputs.contains(&Output::Role(elected)), is_elected, "{later_ms} ms later");
    }
}

/// A leader refuses a history of its own epoch that goes beyond it, each time: ZooKeeper's `TruncateTest.testTruncate` makes such a one.
#[test]
fn who_is_turned_away_behind_its_promise_waits_before_it_comes_again() {
    let mut zab = promised();
    assert!(handled(&mut zab, Input::LeaderDisconnected(LinkId(1)), 5).contains(&LOST));
    let again_ms = zab.wake_ms().expect("it will look again");
    assert_eq!(again_ms, 5 + Timing::new(2000, 10, 5).connect_retry_ms);
    assert!(handled(&mut zab, Input::Tick, again_ms - 1).is_empty());
    assert!(!handled(&mut zab, Input::Tick, again_ms).is_empty());
}

fn loses_leader(zab: &mut Zab, now_ms: i64) -> bool {
    let mut outputs = Vec::new();
    zab.handle(Input::Tick, now_ms, &mut outputs);
    outputs.contains(&Output::Role(RoleChange::Looking { reason: Reason::LeaderSilent }))
}

/// Its bytes are no packets. The rim breaks the link when they stop.
#[test]
fn a_snapshot_may_take_longer_than_the_leader_may_be_silent() {
    let mut zab = promised();
    assert!(loses_leader(&mut zab, INIT_LIMIT_MS + 1));
    let mut zab = promised();
    zab.handle(Input::LeaderPacket(LinkId(1), Packet::Snap { zxid: Zxid(0x1_0000_0000) }), 1, &mut Vec::new());
    assert!(!loses_leader(&mut zab, INIT_LIMIT_MS + 2) && !loses_leader(&mut zab, 3 * INIT_LIMIT_MS));
    assert!(zab.wake_ms().is_some_and(|wake_ms| wake_ms > 3 * INIT_LIMIT_MS), "and nobody is in a hurry");
}

fn proposal(epoch: i64, counter: u32, bytes: usize) -> Packet {
    Packet::Proposal { zxid: Zxid::new(Epoch(epoch), counter), payload: bytes::Bytes::from(vec![0; bytes]) }
}

/// A follower of server 3 in epoch 1, at the given step.
fn after(packets: impl IntoIterator<Item = Packet>) -> Zab {
    let mut zab = promised();
    for packet in packets {
        let _ = hears(&mut zab, packet);
        handled(&mut zab, Input::CurrentEpochStored(Epoch(1)), 0);
    }
    zab
}

fn hears(zab: &mut Zab, packet: Packet) -> Option<Reason> {
    let reason = |output: &Output| if let Output::Role(RoleChange::Looking { reason }) = output { Some(*reason) } else { None };
    handled(zab, Input::LeaderPacket(LinkId(1), packet), 0).iter().find_map(reason)
}

/// Its acks would be counted from one epoch to the other, four thousand million of them; and what stands in the log of an epoch is taken
/// for what the leader of that epoch proposed.
#[test]
fn what_is_proposed_for_another_epoch_than_the_leaders_is_not_logged() {
    let diff = || Packet::Diff { zxid: Zxid(0) };
    let newleader = || Packet::NewLeader { epoch: Epoch(1), config: None };
    let misbehaved = Some(Reason::LeaderMisbehaved);
    assert_eq!(hears(&mut after([diff()]), proposal(2, 1, 9)), misbehaved, "from the future, as history");
    assert_eq!(hears(&mut after([diff()]), proposal(0, 1, 9)), None, "history");
    for packets in [vec![diff(), newleader()], vec![diff(), newleader(), Packet::UpToDate]] {
        for (epoch, expected) in [(0, misbehaved), (1, None), (2, misbehaved)] {
            assert_eq!(hears(&mut after(packets.clone()), proposal(epoch, 1, 9)), expected, "of epoch {epoch} behind {packets:?}");
        }
    }
    let snapshot = |epoch, counter| Packet::Snap { zxid: Zxid::new(Epoch(epoch), counter) };
    assert_eq!(hears(&mut after([]), snapshot(2, 0)), misbehaved);
    assert_eq!(hears(&mut after([]), snapshot(1, 7)), None);
}

#[test]
fn what_a_leader_says_before_it_is_its_turn_is_kept_within_bounds() {
    let mut zab = registered();
    assert_eq!(hears(&mut zab, Packet::LeaderInfo { epoch: Epoch(1), version: 0x1_0000, is_paddock: false }), None);
    let chunk = proposal(1, 1, 1 << 20);
    let kept = (0..1000).take_while(|_| hears(&mut zab, chunk.clone()).is_none()).count();
    assert_eq!(kept, HELD_BYTES_MAX >> 20);
}

#[test]
fn a_leader_that_commits_nothing_is_left() {
    let mut zab = after([Packet::Diff { zxid: Zxid(0) }, Packet::NewLeader { epoch: Epoch(1), config: None }, Packet::UpToDate]);
    let payload = bytes::Bytes::from(vec![0; 1 << 20]);
    let propose = |zab: &mut Zab, counter| hears(zab, Packet::Proposal { zxid: Zxid::new(Epoch(1), counter), payload: payload.clone() });
    let kept = (1..2000).take_while(|&counter| propose(&mut zab, counter).is_none()).count();
    assert_eq!(kept, (UNCOMMITTED_BYTES_MAX >> 20) + 1);
    assert!(!zab.is_serving());
}
