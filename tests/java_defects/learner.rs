//! A learner of a Java leader (quorum-protocol.md §5.1, §5.3).

use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{Input, Notification, Output, Packet, Reason, Recovered, ServerState, SyncMode, Vote};

use crate::harness::*;

/// 3911, 4646, 3023, 4785 are acks of NEWLEADER before the txns behind them were durable; 335 one before the epoch was.
#[test]
fn zookeeper_3911_newleader_is_acked_when_its_history_is_durable() {
    let mut server = Server::promised(zxid(1, 4));
    server.hear_all([Packet::Diff { zxid: zxid(1, 6) }, proposal(1, 5), commit(1, 5), proposal(1, 6), commit(1, 6), newleader(2)]);
    for durable in [zxid(1, 4), zxid(1, 5)] {
        server.input(Input::Persisted(durable));
        assert_eq!(server.outputs, [], "durable up to {durable}");
    }
    server.input(Input::Persisted(zxid(1, 6)));
    assert_eq!(server.told_leader(), [], "the epoch is not durable");
    server.input(Input::CurrentEpochStored(Epoch(2)));
    assert_eq!(server.told_leader(), [ack(2, 0)]);
}

/// Java wrote the epoch first: after a crash a server with less outvotes those with more.
#[test]
fn zookeeper_4643_the_epoch_is_written_behind_its_history() {
    let mut server = Server::promised(zxid(1, 4));
    server.hear_all([Packet::Diff { zxid: zxid(1, 5) }, proposal(1, 5), commit(1, 5)]);
    server.hear(newleader(2));
    assert_eq!(server.outputs, []);
    server.input(Input::Persisted(zxid(1, 5)));
    assert_eq!(server.outputs, [Output::StoreCurrentEpoch(Epoch(2))]);
    assert_eq!(server.zab.current_epoch(), Epoch(1));
}

#[test]
fn zookeeper_4685_no_ack_of_a_proposal_overtakes_that_of_newleader() {
    let mut server = Server::promised(zxid(1, 4));
    server.hear_all([Packet::Diff { zxid: zxid(1, 4) }, proposal(2, 1), newleader(2), proposal(2, 2)]);
    server.input(Input::Persisted(zxid(2, 2)));
    assert_eq!(server.told_leader(), []);
    server.input(Input::CurrentEpochStored(Epoch(2)));
    assert_eq!(server.told_leader(), [ack(2, 0), ack(2, 1), ack(2, 2)], "each on its own, as Java wants it");
}

#[test]
fn zookeeper_4394_a_commit_between_newleader_and_uptodate_is_carried_out() {
    let mut server = Server::promised(zxid(1, 4));
    server.hear_all([Packet::Diff { zxid: zxid(1, 4) }, proposal(2, 1), newleader(2)]);
    server.hear(commit(2, 1));
    assert_eq!((server.delivered(), server.looking()), (vec![zxid(2, 1)], None), "before its ack");
    server.hear(proposal(2, 2));
    server.input(Input::Persisted(zxid(2, 2)));
    server.input(Input::CurrentEpochStored(Epoch(2)));
    server.hear(commit(2, 2));
    assert_eq!((server.delivered(), server.looking()), (vec![zxid(2, 2)], None), "behind its ack");
    server.hear(Packet::UpToDate);
    assert!(server.zab.is_serving());
}

/// 3.9.3 leaves holes in what it gives to others.
#[test]
fn zookeeper_4925_a_leader_with_a_hole_in_its_history_is_left() {
    for hole in [proposal(1, 7), proposal(2, 2), commit(1, 6)] {
        let mut server = Server::promised(zxid(1, 4));
        server.hear_all([Packet::Diff { zxid: zxid(1, 8) }, proposal(1, 5), commit(1, 5)]);
        server.hear(hole.clone());
        assert_eq!((server.looking(), server.appended()), (Some(Reason::LeaderMisbehaved), vec![]), "{hole:?}");
        server.input(Input::Persisted(zxid(1, 5)));
        assert_eq!(server.votes(), [(zxid(1, 5), Epoch(1))]);
    }
}

#[test]
fn zookeeper_2355_the_zxid_of_diff_is_no_txn() {
    let mut server = Server::promised(zxid(1, 4));
    server.hear(Packet::Diff { zxid: zxid(1, 9) });
    server.loses_leader();
    assert_eq!(server.votes(), [(zxid(1, 4), Epoch(1))]);
}

/// 1154: the vote lagged the log. 4882: a txn is applied whose own write is under way, or has failed. 4712, 4502, 4541: the log of the role
/// before is still being written.
#[test]
fn zookeeper_1154_4712_4882_a_vote_tells_all_that_is_logged_and_waits_until_it_is_durable() {
    let mut server = Server::serving(zxid(1, 4));
    server.hear_all([proposal(2, 1), proposal(2, 2), commit(2, 1)]);
    server.loses_leader();
    assert_eq!((server.looking(), server.votes()), (Some(Reason::LeaderLost), vec![]));
    assert_eq!(server.zab.wake_ms(), None, "only the disk can say more");
    server.input(Input::Persisted(zxid(2, 1)));
    assert_eq!(server.votes(), []);
    server.input(Input::Persisted(zxid(2, 2)));
    assert_eq!(server.votes(), [(zxid(2, 2), Epoch(2))], "applied or not");
}

/// Java acks into a link that is closed, and falls over.
#[test]
fn zookeeper_4409_a_disk_that_answers_behind_the_end_of_the_link_does_no_harm() {
    let mut server = Server::serving(zxid(1, 4));
    server.hear(proposal(2, 1));
    server.loses_leader();
    server.input(Input::Persisted(zxid(2, 1)));
    assert_eq!(server.told_leader(), []);
    assert_eq!(server.votes(), [(zxid(2, 1), Epoch(2))]);
}

#[test]
fn zookeeper_5094_what_follows_a_truncation_is_history_when_it_is_durable() {
    let mut server = Server::promised(zxid(1, 9));
    assert_eq!(server.hear(Packet::Trunc { zxid: zxid(1, 6) }), [Output::Truncate(zxid(1, 6))]);
    server.hear_all([proposal(2, 1), commit(2, 1)]);
    server.input(Input::Truncated(zxid(1, 6)));
    assert_eq!((server.appended(), server.delivered()), (vec![zxid(2, 1)], vec![zxid(2, 1)]));
    server.loses_leader();
    assert_eq!(server.votes(), [], "it is applied, and not durable");
    server.input(Input::Persisted(zxid(2, 1)));
    assert_eq!(server.votes(), [(zxid(2, 1), Epoch(1))]);
}

/// U5: what came before NEWLEADER is in the log, not only in a snapshot that nobody synced.
#[test]
fn u5_newleader_is_not_acked_before_the_truncation_and_what_follows_it_are_durable() {
    let mut server = Server::promised(zxid(1, 9));
    server.hear_all([Packet::Trunc { zxid: zxid(1, 6) }, proposal(2, 1), commit(2, 1), newleader(2)]);
    assert_eq!(server.outputs, [], "the log is being truncated");
    server.input(Input::Truncated(zxid(1, 6)));
    assert_eq!((server.appended(), server.told_leader()), (vec![zxid(2, 1)], vec![]));
    server.input(Input::Persisted(zxid(2, 1)));
    server.input(Input::CurrentEpochStored(Epoch(2)));
    assert_eq!(server.told_leader(), [ack(2, 0)]);
}

#[test]
fn zookeeper_3642_a_snapshot_is_history_when_it_is_installed() {
    let mut cut_short = Server::promised(zxid(1, 4));
    cut_short.hear(Packet::Snap { zxid: zxid(1, 9) });
    cut_short.loses_leader();
    assert_eq!(cut_short.votes(), [(zxid(1, 4), Epoch(1))], "the old history stands");

    let mut server = Server::promised(zxid(1, 4));
    server.hear(Packet::Snap { zxid: zxid(1, 9) });
    server.input(Input::SnapshotReceived(server.link));
    assert_eq!(server.outputs, [Output::InstallSnapshot(zxid(1, 9))]);
    server.loses_leader();
    assert_eq!(server.votes(), []);
    server.input(Input::SnapshotInstalled(zxid(1, 9)));
    assert_eq!(server.votes(), [(zxid(1, 9), Epoch(1))]);
}

/// What a Java leader proposes while it writes its fuzzy snapshot comes once more behind it.
#[test]
fn what_a_snapshot_holds_already_may_be_proposed_again() {
    let mut server = Server::promised(zxid(1, 4));
    server.hear_all([Packet::Snap { zxid: zxid(2, 3) }]);
    server.input(Input::SnapshotReceived(server.link));
    server.input(Input::SnapshotInstalled(zxid(2, 3)));
    for repeated in [2, 3] {
        server.hear_all([proposal(2, repeated), commit(2, repeated)]);
        assert_eq!((server.outputs.as_slice(), server.zab.last_logged()), ([].as_slice(), zxid(2, 3)));
    }
    server.hear(proposal(2, 4));
    assert_eq!(server.appended(), [zxid(2, 4)]);
}

/// A Java leader gives the zxid of the txn before to a request that it cannot decode.
#[test]
fn u6_a_zxid_that_is_proposed_twice_is_logged_and_applied_once() {
    let mut server = Server::serving(zxid(1, 4));
    server.hear(proposal(2, 1));
    assert_eq!(server.appended(), [zxid(2, 1)]);
    server.hear(proposal(2, 1));
    assert_eq!(server.outputs, []);
    server.hear(commit(2, 1));
    assert_eq!(server.delivered(), [zxid(2, 1)]);
    server.hear_all([commit(2, 1), proposal(2, 2)]);
    assert_eq!((server.appended(), server.looking()), (vec![zxid(2, 2)], None), "life goes on");
}

#[test]
fn u1_a_truncation_that_is_refused_is_followed_by_a_snapshot_and_by_nothing_else() {
    for (epoch, last_zxid, current_epoch) in [(2, Zxid::ZERO, None), (3, zxid(1, 9), Some(Epoch(1)))] {
        let mut server = Server::promised(zxid(1, 9));
        server.hear(Packet::Trunc { zxid: zxid(1, 6) });
        server.input(Input::TruncationRefused(zxid(1, 6)));
        assert_eq!(server.looking(), Some(Reason::TruncationRefused));
        assert_eq!(server.votes(), [(zxid(1, 9), Epoch(1))], "a vote never tells less than there is");
        server.find_leader(epoch);
        if epoch > 2 {
            server.input(Input::AcceptedEpochStored(Epoch(epoch)));
        }
        let promise = Packet::AckEpoch { last_zxid, current_epoch };
        assert_eq!(server.told_leader(), [promise], "only a promise that does not count may tell less");
        server.hear(Packet::Diff { zxid: zxid(1, 9) });
        assert_eq!(server.looking().is_some(), epoch == 2, "epoch {epoch}");
    }
}

/// What was logged and not applied is applied before anything is served on top of it.
#[test]
fn zookeeper_2845_a_new_leader_applies_what_it_has_logged() {
    let mut server = Server::serving(zxid(1, 4));
    server.hear_all([proposal(2, 1), proposal(2, 2), commit(2, 1)]);
    server.loses_leader();
    server.input(Input::Persisted(zxid(2, 2)));
    let vote = Vote { leader: ServerId(1), zxid: zxid(2, 2), peer_epoch: Epoch(2) };
    let notification = Notification { state: ServerState::Looking, vote, election_epoch: 2, version: 2, config: None };
    server.input(Input::Notification { from: ServerId(2), notification });
    assert_eq!((server.zab.state(), server.delivered()), (ServerState::Leading, vec![zxid(2, 2)]));
    assert!(!server.zab.is_serving());
}

/// The same of a follower that follows again: a DIFF goes on where its log ends.
#[test]
fn zookeeper_2845_a_follower_applies_what_it_has_logged_before_a_diff() {
    let mut server = Server::serving(zxid(1, 4));
    server.hear_all([proposal(2, 1), proposal(2, 2), commit(2, 1)]);
    server.loses_leader();
    server.input(Input::Persisted(zxid(2, 2)));
    server.find_leader(3);
    server.input(Input::AcceptedEpochStored(Epoch(3)));
    assert_eq!(server.told_leader(), [Packet::AckEpoch { last_zxid: zxid(2, 2), current_epoch: Some(Epoch(2)) }]);
    server.hear(Packet::Diff { zxid: zxid(2, 3) });
    assert_eq!(server.delivered(), [zxid(2, 2)]);
    server.hear_all([proposal(2, 3), commit(2, 3)]);
    assert_eq!(server.delivered(), [zxid(2, 3)]);
}

/// A Java server is raised from the dead by another thread that sets its state.
#[test]
fn zookeeper_4203_a_server_that_stopped_stays_stopped() {
    let mut server = Server::serving(zxid(1, 4));
    server.hear(proposal(2, 1));
    server.input(Input::Shutdown);
    let link = server.link;
    for input in [
        Input::Persisted(zxid(2, 1)),
        Input::LeaderPacket(link, commit(2, 1)),
        Input::LeaderDisconnected(link),
        Input::PeerReachable(ServerId(2)),
        Input::Tick,
    ] {
        assert_eq!(server.input(input.clone()), [], "{input:?}");
    }
    assert_eq!((server.zab.wake_ms(), server.zab.is_serving()), (None, false));
}

/// A crash between the history of an epoch and the file that says that it was adopted. A Java server does not start with that.
#[test]
fn u3_1653_2354_an_epoch_whose_history_is_durable_is_adopted_at_the_start() {
    let crashed =
        Recovered { accepted_epoch: Some(Epoch(2)), current_epoch: Some(Epoch(1)), last_zxid: zxid(2, 3), ..Recovered::default() };
    let mut server = Server::start(1, crashed, false);
    assert!(server.outputs.contains(&Output::StoreCurrentEpoch(Epoch(2))) && server.votes().is_empty());
    server.input(Input::CurrentEpochStored(Epoch(2)));
    assert_eq!(server.votes(), [(zxid(2, 3), Epoch(2))]);

    let renamed =
        Recovered { accepted_epoch: Some(Epoch(1)), current_epoch: Some(Epoch(1)), last_zxid: zxid(2, 3), ..Recovered::default() };
    let mut server = Server::start(1, renamed, false);
    for input in [Input::AcceptedEpochStored(Epoch(2)), Input::CurrentEpochStored(Epoch(2))] {
        assert_eq!(server.votes(), []);
        server.input(input);
    }
    assert_eq!(server.votes(), [(zxid(2, 3), Epoch(2))]);
}

/// 2307: the value in memory was changed before the file.
#[test]
fn zookeeper_2307_an_epoch_is_promised_when_its_file_is_written() {
    let mut server = Server::start(1, disk(zxid(1, 4)), false);
    server.find_leader(2);
    assert_eq!(server.outputs, [Output::StoreAcceptedEpoch(Epoch(2))]);
    assert_eq!(server.zab.accepted_epoch(), Epoch(1));
    server.input(Input::AcceptedEpochStored(Epoch(2)));
    assert_eq!((server.zab.accepted_epoch(), server.told_leader().len()), (Epoch(2), 1));
}

/// Whoever does not say the new epoch keeps newcomers from finding a quorum that agrees.
#[test]
fn zookeeper_1805_1818_whoever_follows_says_the_epoch_in_which_it_follows() {
    let mut server = Server::serving(zxid(1, 4));
    let vote = Vote { leader: ServerId(2), zxid: zxid(1, 3), peer_epoch: Epoch(1) };
    let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
    server.input(Input::Notification { from: ServerId(2), notification });
    let answer =
        server.outputs.iter().find_map(|output| if let Output::Notify { notification, .. } = output { Some(notification) } else { None });
    let answer = answer.expect("it tells who leads");
    assert_eq!((answer.state, answer.vote.leader, answer.vote.peer_epoch), (ServerState::Following, ServerId(3), Epoch(2)));
}

/// As many ways to synchronize as there are, and after each the follower serves what the leader has.
#[test]
fn every_way_to_synchronize_ends_in_the_history_of_the_leader() {
    for mode in [SyncMode::Diff, SyncMode::Trunc, SyncMode::Snap] {
        let mut server = Server::promised(zxid(1, 9));
        match mode {
            SyncMode::Diff => {
                server.hear(Packet::Diff { zxid: zxid(1, 9) });
            }
            SyncMode::Trunc => {
                server.hear(Packet::Trunc { zxid: zxid(1, 6) });
                server.input(Input::Truncated(zxid(1, 6)));
            }
            SyncMode::Snap => {
                server.hear(Packet::Snap { zxid: zxid(2, 0) });
                server.input(Input::SnapshotReceived(server.link));
                server.input(Input::SnapshotInstalled(zxid(2, 0)));
            }
        }
        server.hear_all([proposal(2, 1), commit(2, 1), newleader(2)]);
        server.input(Input::Persisted(zxid(2, 1)));
        server.input(Input::CurrentEpochStored(Epoch(2)));
        server.hear(Packet::UpToDate);
        assert_eq!((server.zab.is_serving(), server.zab.last_delivered()), (true, zxid(2, 1)), "{mode:?}");
    }
}

/// Java wrote it in the character set of its platform, and counted characters.
#[test]
fn zookeeper_4787_the_configuration_in_a_notification_is_utf_8() {
    let text = "server.1=m\u{fc}nchen:2888:3888:participant";
    let vote = Vote { leader: ServerId(3), zxid: zxid(1, 4), peer_epoch: Epoch(1) };
    let config = Some(bytes::Bytes::from_static(text.as_bytes()));
    let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config };
    let mut bytes = Vec::new();
    notification.encode(&mut bytes);
    assert_eq!((&bytes[40..44], &bytes[44..]), ((text.chars().count() as u32 + 1).to_be_bytes().as_slice(), text.as_bytes()));
    assert_eq!(Notification::decode(&bytes.into()), Ok(notification));
}
