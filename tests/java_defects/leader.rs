//! A leader of Java learners (quorum-protocol.md §5.2, §6.4).

use paddock::ids::{Epoch, Zxid};
use paddock::zab::{CloseReason, HistorySlice, Input, LinkId, Output, Packet};

use crate::harness::*;

const FIRST: LinkId = LinkId(7);
const SECOND: LinkId = LinkId(8);

/// Server 2 joins a leader that is established with server 1, and has everything but its ack of NEWLEADER.
fn with_a_second_learner() -> Server {
    let mut server = Server::established(FIRST, false);
    server.introduce(2, SECOND);
    server.promise(SECOND, zxid(1, 9));
    assert_eq!(server.told(SECOND), [Packet::Diff { zxid: zxid(1, 9) }, newleader(2)]);
    server
}

fn slice(zxids: &[Zxid]) -> Option<HistorySlice> {
    Some(HistorySlice { begins_exactly: true, txns: zxids.iter().map(|&zxid| (zxid, txn())).collect() })
}

/// Some releases let the ack of a proposal overtake that of NEWLEADER, and a Java leader takes it for a broken one.
#[test]
fn zookeeper_4685_an_ack_that_comes_before_that_of_newleader_counts_behind_it() {
    let mut server = with_a_second_learner();
    assert_eq!(server.propose(), zxid(2, 1));
    server.input(Input::Persisted(zxid(2, 1)));
    server.says(SECOND, ack(2, 1));
    assert_eq!(server.outputs, [], "it is neither counted nor refused");
    server.says(SECOND, ack(2, 0));
    assert_eq!(server.delivered(), [zxid(2, 1)]);
    assert!(server.told(SECOND).starts_with(&[Packet::UpToDate]));
}

/// A commit between NEWLEADER and UPTODATE brings learners of many releases down. And the last of them must not be missed (the model's
/// finding of a stale zxid in UPTODATE).
#[test]
fn zookeeper_4394_commits_wait_until_the_learner_has_uptodate() {
    let mut server = with_a_second_learner();
    server.propose();
    server.propose();
    assert_eq!(server.told(SECOND), [proposal(2, 2)], "proposals do not wait");
    server.input(Input::Persisted(zxid(2, 2)));
    server.says(FIRST, ack(2, 2));
    assert_eq!(server.told(FIRST), [commit(2, 1), commit(2, 2)]);
    assert_eq!(server.told(SECOND), []);
    server.says(SECOND, ack(2, 0));
    assert_eq!(server.told(SECOND), [Packet::UpToDate, commit(2, 1), commit(2, 2)]);
}

/// The model's finding: what is proposed between a learner's promise and its NEWLEADER must reach it.
#[test]
fn what_is_proposed_while_a_learner_joins_reaches_it() {
    let mut server = Server::established(FIRST, false);
    server.propose();
    server.introduce(2, SECOND);
    server.propose();
    assert_eq!(server.told(SECOND), []);
    server.promise(SECOND, zxid(1, 9));
    assert_eq!(server.told(SECOND), [Packet::Diff { zxid: zxid(1, 9) }, proposal(2, 1), proposal(2, 2), newleader(2)]);
    server.propose();
    assert_eq!(server.told(SECOND), [proposal(2, 3)]);
}

#[test]
fn zookeeper_3104_nothing_stands_between_a_snapshot_and_what_it_lacks() {
    let mut server = Server::established(FIRST, false);
    server.introduce(2, SECOND);
    server.promise(SECOND, zxid(1, 2));
    assert_eq!((server.told(SECOND), server.outputs.contains(&Output::TakeSnapshot(SECOND))), (vec![], true));
    server.propose();
    assert_eq!(server.told(SECOND), []);
    server.input(Input::SnapshotTaken(SECOND, zxid(1, 9)));
    assert_eq!(server.told(SECOND), [Packet::Snap { zxid: zxid(1, 9) }]);
    assert_eq!(server.outputs.last(), Some(&Output::StreamSnapshot(SECOND)));
    server.propose();
    server.input(Input::Persisted(zxid(2, 2)));
    server.says(FIRST, ack(2, 2));
    assert_eq!(server.told(SECOND), [], "the bytes are on their way");
    server.input(Input::SnapshotSent(SECOND));
    let rest = [proposal(2, 1), commit(2, 1), proposal(2, 2), commit(2, 2), newleader(2)];
    assert_eq!(server.told(SECOND), rest);
}

/// The log on disk ends where the memory begins, or is read on: Java sends NEWLEADER over the gap.
#[test]
fn zookeeper_2418_no_gap_is_left_between_the_log_and_the_memory() {
    let mut server = Server::established(FIRST, true);
    server.propose();
    server.introduce(2, SECOND);
    server.promise(SECOND, zxid(1, 5));
    assert!(server.outputs.contains(&Output::ReadHistory { link: SECOND, after: zxid(1, 5) }));
    server.input(Input::HistoryRead(SECOND, slice(&[zxid(1, 6), zxid(1, 7)])));
    assert_eq!(server.told(SECOND)[1..], [proposal(1, 6), commit(1, 6), proposal(1, 7), commit(1, 7)]);
    assert!(server.outputs.contains(&Output::ReadHistory { link: SECOND, after: zxid(1, 7) }), "1:8 is not in memory");
    server.input(Input::HistoryRead(SECOND, slice(&[zxid(1, 8), zxid(1, 9)])));
    assert_eq!(server.told(SECOND), [proposal(1, 8), commit(1, 8), proposal(1, 9), commit(1, 9), proposal(2, 1), newleader(2)]);
}

#[test]
fn zookeeper_2846_u4_nobody_gets_what_lies_behind_a_hole() {
    for (txns, told) in [(vec![zxid(1, 7)], vec![]), (vec![zxid(1, 6), zxid(1, 8)], vec![proposal(1, 6), commit(1, 6)])] {
        let mut server = Server::established(FIRST, true);
        server.introduce(2, SECOND);
        server.promise(SECOND, zxid(1, 5));
        server.input(Input::HistoryRead(SECOND, slice(&txns)));
        assert_eq!(server.told(SECOND).get(1..).unwrap_or_default(), told);
        if told.is_empty() {
            assert!(server.outputs.contains(&Output::TakeSnapshot(SECOND)), "it has nothing yet: a snapshot helps");
        } else {
            assert!(server.outputs.contains(&Output::ReadHistory { link: SECOND, after: zxid(1, 6) }));
            server.input(Input::HistoryRead(SECOND, slice(&[zxid(1, 8)])));
            assert_eq!(server.outputs, [Output::CloseLearner(SECOND, CloseReason::Silent)], "it comes again, with what it has by then");
        }
    }
}

/// 335, 1081, 1082: an epoch that no quorum has stored could have two leaders.
#[test]
fn zookeeper_1081_a_leader_serves_when_a_quorum_with_itself_has_adopted_the_epoch() {
    let mut server = Server::leading(FIRST, false);
    server.promise(FIRST, zxid(1, 9));
    assert!(server.outputs.contains(&Output::StoreCurrentEpoch(Epoch(2))));
    server.says(FIRST, ack(2, 0));
    assert_eq!((server.told(FIRST), server.zab.is_serving()), (vec![], false), "its own is not durable");
    server.input(Input::CurrentEpochStored(Epoch(2)));
    assert_eq!((server.told(FIRST), server.zab.is_serving()), (vec![Packet::UpToDate], true));

    let mut server = Server::leading(FIRST, false);
    server.promise(FIRST, zxid(1, 9));
    server.input(Input::CurrentEpochStored(Epoch(2)));
    assert!(!server.zab.is_serving(), "nobody else has");
}

/// A server that comes back before its old connection is missed.
#[test]
fn zookeeper_2164_a_learner_that_connects_again_takes_the_place_of_its_older_link() {
    let mut server = Server::established(FIRST, false);
    server.introduce(1, SECOND);
    assert!(server.outputs.contains(&Output::CloseLearner(FIRST, CloseReason::Replaced)));
    server.promise(SECOND, zxid(1, 9));
    server.says(SECOND, ack(2, 0));
    assert_eq!((server.told(SECOND), server.zab.is_serving()), (vec![Packet::UpToDate], true));
}

/// §6.4-4: TRUNC to an absent target, or over a later snapshot, is where Java learners go wrong.
#[test]
fn u1_1549_a_java_learner_ahead_of_the_history_gets_a_snapshot_above_its_tail() {
    let mut server = Server::established(FIRST, true);
    server.introduce(2, SECOND);
    server.promise(SECOND, zxid(1, 12));
    assert!(server.outputs.contains(&Output::TakeSnapshot(SECOND)));
    server.input(Input::SnapshotTaken(SECOND, zxid(1, 9)));
    assert_eq!(server.told(SECOND), [Packet::Snap { zxid: zxid(2, 0) }]);
}
