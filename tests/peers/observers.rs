//! The port at which a follower serves observers: open while it follows, with the limits of the quorum port.

use paddock::ids::{ServerId, Zxid};
use paddock::net::peers::PeerSettings;
use paddock::net::peers::limits::LOBBY_CONNECTIONS_MAX;
use paddock::zab::{CloseReason, Input, Output, Packet};

use crate::harness::*;
use crate::hostile::connect_when_open;

/// Two members that agree on the port.
fn agreed() -> (u16, impl Fn(i64) -> PeerSettings) {
    let (members, port) = (members(1..=2), free_port());
    (port, move |sid| PeerSettings { observer_master_port: Some(port), ..settings(sid, &members) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_comes_to_a_follower_and_is_let_go_when_that_ends() {
    let (port, of) = agreed();
    let (observer, master) = (start_with(of(1)).await, start_with(of(2)).await);
    observer.reachable(2).await;
    master.peers.carry_out(&Output::OpenObserverMasterPort);
    drop(connect_when_open(port).await);
    observer.peers.carry_out(&Output::ConnectMaster { link: LINK, master: ServerId(2) });
    observer.inbox.expect(Input::LeaderConnected(LINK)).await;
    observer.send_to_leader(introduction());
    observer.peers.flush();
    let link = master.learner().await;
    let inform = Packet::Inform { zxid: Zxid(7), payload: bytes::Bytes::from_static(b"txn") };
    master.send_to_learner(link, inform.clone());
    master.peers.carry_out(&Output::CloseQuorumPort);
    master.peers.flush();
    assert_eq!(observer.packets_from_leader(1).await, [inform], "what was sent before comes first");
    observer.inbox.expect(Input::LeaderDisconnected(LINK)).await;
}

/// A port that is closed, or about to be.
async fn closed(port: u16) {
    soon("a closed port", async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// One of the two ports is open, never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_serves_no_observers_there_and_a_follower_no_followers() {
    let (port, of) = agreed();
    let server = start_with(of(2)).await;
    let quorum = quorum_port(&of(2).members, 2);
    server.peers.carry_out(&Output::OpenQuorumPort);
    drop(connect_when_open(quorum).await);
    closed(port).await;
    server.peers.carry_out(&Output::CloseQuorumPort);
    server.peers.carry_out(&Output::OpenObserverMasterPort);
    drop(connect_when_open(port).await);
    closed(quorum).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_or_nonsense_there_is_hung_up_on_and_others_are_served() {
    let (port, of) = agreed();
    let server = start_with(PeerSettings { silence_limit_ms: 200, ..of(2) }).await;
    server.peers.carry_out(&Output::OpenObserverMasterPort);
    let mut silent = connect_when_open(port).await;
    silent.write(&[0; 15]).await;
    silent.closed().await;
    let mut long = Raw::connect(port).await;
    long.write(&[[0, 0, 0, 16].as_slice(), &[0; 8], &[0, 0x7f, 0xff, 0xff]].concat()).await;
    long.closed().await;
    let mut crowd = Vec::new();
    for _ in 0..LOBBY_CONNECTIONS_MAX + 10 {
        crowd.push(Raw::connect(port).await);
    }
    let mut honest = Raw::connect(port).await;
    honest.write_packets(&[introduction()]).await;
    let link = server.learner().await;
    server.peers.carry_out(&Output::CloseLearner(link, CloseReason::Misbehaved));
    honest.closed().await;
}

/// `observerMaster.sizeLimit`: an observer that takes nothing costs no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_that_takes_nothing_is_given_up() {
    let (port, of) = agreed();
    let server = start_with(PeerSettings { observer_queue_bytes_max: 1 << 20, ..of(2) }).await;
    server.peers.carry_out(&Output::OpenObserverMasterPort);
    let mut slow = connect_when_open(port).await;
    slow.write_packets(&[introduction()]).await;
    let link = server.learner().await;
    soon("the end of the link", async {
        while !server.inbox.all().contains(&Input::LearnerDisconnected(link)) {
            (0..1000).for_each(|counter| server.send_to_learner(link, proposal(counter)));
            server.peers.flush();
            tokio::task::yield_now().await;
        }
    })
    .await;
}
