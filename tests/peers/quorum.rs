//! The quorum port: learners and their leader (quorum-protocol.md §2.1).

use paddock::ids::{ServerId, Zxid};
use paddock::zab::{CloseReason, Input, Output, Packet};
use tokio::io::AsyncReadExt;

use crate::harness::*;
use crate::hostile::connect_when_open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_go_both_ways_in_order() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let link = join(&learner, &leader, 2).await;
    leader.inbox.expect(Input::LearnerPacket(link, introduction())).await;
    for batch in 0..100 {
        (0..200).for_each(|counter| leader.send_to_learner(link, proposal(200 * batch + counter)));
        leader.peers.flush();
        learner.send_to_leader(Packet::Ack { zxid: Zxid(batch.into()) });
        learner.peers.flush();
    }
    let packets = learner.packets_from_leader(20_000).await;
    assert!(packets.iter().enumerate().all(|(index, packet)| *packet == proposal(index as u32)));
    let acks = |inputs: &[Input]| {
        let acks = inputs.iter().filter_map(|input| match input {
            Input::LearnerPacket(_, Packet::Ack { zxid }) => Some(zxid.0),
            _ => None,
        });
        let acks: Vec<i64> = acks.collect();
        (acks.len() == 100).then_some(acks)
    };
    let acks = leader.inbox.until("acks", acks).await;
    assert!(acks.into_iter().eq(0..100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_not_there_is_told_and_one_that_comes_a_moment_late_is_met() {
    let members = members(1..=2);
    let learner = start(1, &members).await;
    learner.unreachable(2).await;
    learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(2) });
    learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;

    let leader = start(2, &members).await;
    learner.reachable(2).await;
    learner.inbox.clear();
    // The core asks again with another link; here it is the same one, for the one before is over.
    learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(2) });
    leader.peers.carry_out(&Output::OpenQuorumPort);
    learner.inbox.until("an answer", |inputs| (!inputs.is_empty()).then_some(())).await;
    if learner.inbox.all().contains(&Input::LeaderDisconnected(LINK)) {
        learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(2) });
    }
    learner.inbox.expect(Input::LeaderConnected(LINK)).await;
}

/// A learner gets what was sent before it is hung up on; the core hears nothing of a hanging up that it asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_is_hung_up_on_behind_what_was_sent() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let link = join(&learner, &leader, 2).await;
    (0..5000).for_each(|counter| leader.send_to_learner(link, proposal(counter)));
    leader.peers.carry_out(&Output::CloseLearner(link, CloseReason::Misbehaved));
    learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
    assert_eq!(learner.packets_from_leader(5000).await.len(), 5000);
    // The learner may come again: its next link is another one.
    learner.inbox.clear();
    let again = join_again(&learner, &leader, link).await;
    assert!(again > link);
    assert!(!leader.inbox.all().contains(&Input::LearnerDisconnected(link)));
}

/// Nor does it get megabytes of the past over a slow link, when that is why it is hung up on: it would serve them as if they were new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_is_too_slow_gets_nothing_more() {
    let members = members(1..=2);
    let leader = start(2, &members).await;
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let mut raw = connect_when_open(quorum_port(&members, 2)).await;
    raw.write_packets(&[introduction()]).await;
    let link = leader.learner().await;
    (0..50_000).for_each(|counter| leader.send_to_learner(link, proposal(counter)));
    leader.peers.flush();
    leader.peers.carry_out(&Output::CloseLearner(link, CloseReason::Silent));
    let mut received = Vec::new();
    let end = soon("the end of the link", raw.stream.read_to_end(&mut received)).await;
    assert!(end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset), "{} bytes, then an end", received.len());
}

async fn join_again(learner: &Server, leader: &Server, before: paddock::zab::LinkId) -> paddock::zab::LinkId {
    learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(2) });
    learner.inbox.expect(Input::LeaderConnected(LINK)).await;
    learner.send_to_leader(introduction());
    learner.peers.flush();
    let newer = |inputs: &[Input]| {
        inputs
            .iter()
            .find_map(|input| if let Input::LearnerConnected(link) = input { Some(*link).filter(|link| *link > before) } else { None })
    };
    leader.inbox.until("another link", newer).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_up_is_missed_at_once() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let link = join(&learner, &leader, 2).await;
    learner.peers.carry_out(&Output::DisconnectLeader(LINK));
    leader.inbox.expect(Input::LearnerDisconnected(link)).await;
    assert!(!learner.inbox.all().contains(&Input::LeaderDisconnected(LINK)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_closes_with_its_links_and_opens_again() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    for _ in 0..5 {
        leader.peers.carry_out(&Output::OpenQuorumPort);
        let mut raw = connect_when_open(quorum_port(&members, 2)).await;
        raw.write_packets(&[introduction()]).await;
        leader.learner().await;
        leader.inbox.clear();
        leader.peers.carry_out(&Output::CloseQuorumPort);
        raw.closed().await;
        // A port that closes resets whoever it has not accepted yet.
        soon("a closed port", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", quorum_port(&members, 2))).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(2) });
    learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
}

/// A leader with two addresses of which one is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_addresses_is_enough() {
    let mut members = members(1..=2);
    let mut dead = members[&ServerId(2)][0].clone();
    dead.host = "no.such.name.invalid".to_owned();
    members.get_mut(&ServerId(2)).expect("it is there").insert(0, dead);
    let mut settings = settings(1, &members);
    settings.is_multi_address = true;
    let learner = start_with(settings).await;
    let own: paddock::net::peers::Addresses = {
        let mut own = members.clone();
        own.get_mut(&ServerId(2)).expect("it is there").remove(0);
        own
    };
    let leader = start(2, &own).await;
    learner.reachable(2).await;
    leader.peers.carry_out(&Output::OpenQuorumPort);
    join(&learner, &leader, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_shutdown_nothing_is_open() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    join(&learner, &leader, 2).await;
    leader.peers.shutdown();
    leader.peers.carry_out(&Output::OpenQuorumPort);
    learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
    learner.unreachable(2).await;
    for port in [quorum_port(&members, 2), election_port(&members, 2)] {
        soon("a closed port", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
