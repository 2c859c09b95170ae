//! Snapshots between packets.

use std::io;
use std::sync::atomic::Ordering::SeqCst;

use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::net::peers::SnapshotSource;
use paddock::zab::{Input, Output, Packet};

use crate::harness::*;

/// Slices of a snapshot.
struct Slices {
    bytes: Vec<u8>,
    at: usize,
}

/// Not a part of the length of a buffer anywhere.
const SLICE_BYTES: usize = 100_003;

impl SnapshotSource for Slices {
    fn next_slice(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let end = self.bytes.len().min(self.at + SLICE_BYTES);
        out.extend_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Ok(end < self.bytes.len())
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 181) as u8).collect()
}

fn snap(length: usize) -> Packet {
    Packet::Snap { zxid: Zxid::new(Epoch(0), length as u32) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_stands_between_the_packets_before_and_behind_it() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let link = join(&learner, &leader, 2).await;
    for length in [1, 3 * SLICE_BYTES, 20 << 20] {
        learner.inbox.clear();
        leader.inbox.clear();
        leader.send_to_learner(link, proposal(1));
        leader.send_to_learner(link, snap(length));
        leader.peers.stream_snapshot(link, Box::new(Slices { bytes: content(length), at: 0 }));
        (2..100).for_each(|counter| leader.send_to_learner(link, proposal(counter)));
        leader.peers.flush();
        leader.inbox.expect(Input::SnapshotSent(link)).await;
        leader.send_to_learner(link, proposal(100));
        leader.peers.flush();
        learner.packets_from_leader(101).await;
        let packet = |packet| Input::LeaderPacket(LINK, packet);
        let mut expected = vec![packet(proposal(1)), packet(snap(length)), Input::SnapshotReceived(LINK)];
        expected.extend((2..=100).map(|counter| packet(proposal(counter))));
        let of_link = |input: &Input| !matches!(input, Input::PeerReachable(_) | Input::PeerUnreachable(_));
        assert!(learner.inbox.all().into_iter().filter(of_link).eq(expected), "{length} bytes");
        assert_eq!(learner.shelf.complete.lock().pop(), Some(content(length)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_snapshot_is_forgotten() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let link = join(&learner, &leader, 2).await;
    leader.send_to_learner(link, snap(1000));
    leader.peers.stream_snapshot(link, Box::new(Slices { bytes: content(999), at: 0 }));
    leader.inbox.expect(Input::SnapshotSent(link)).await;
    learner.packets_from_leader(1).await;
    learner.peers.carry_out(&Output::DisconnectLeader(LINK));
    leader.inbox.expect(Input::LearnerDisconnected(link)).await;
    soon("the end of the sink", async {
        while !learner.shelf.dropped.load(SeqCst) {
            learner.shelf.changed.notified().await;
        }
    })
    .await;
    assert!(learner.shelf.complete.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_snapshot_ends_the_link() {
    let members = members(1..=2);
    let (learner, leader) = (start(1, &members).await, start(2, &members).await);
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let link = join(&learner, &leader, 2).await;
    leader.send_to_learner(link, snap(1000));
    leader.peers.stream_snapshot(link, Box::new(Slices { bytes: vec![BAD; 1000], at: 0 }));
    learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
    leader.inbox.expect(Input::LearnerDisconnected(link)).await;
}

/// Whoever has a long queue is given no more of a history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_comes_when_the_learner_has_read() {
    let members = members(1..=2);
    let leader = start(2, &members).await;
    leader.peers.carry_out(&Output::OpenQuorumPort);
    let mut raw = crate::hostile::connect_when_open(quorum_port(&members, 2)).await;
    raw.write_packets(&[introduction()]).await;
    let link = leader.learner().await;
    soon("room at first", leader.peers.room(link)).await;
    let payload = bytes::Bytes::from(vec![7; 1 << 20]);
    let large = |counter| Packet::Proposal { zxid: Zxid::new(Epoch(1), counter), payload: payload.clone() };
    (0..20).for_each(|counter| leader.send_to_learner(link, large(counter)));
    leader.peers.flush();
    let room = leader.peers.room(link);
    let reads = async {
        for counter in 0..20 {
            assert_eq!(raw.packet().await, large(counter));
        }
    };
    let (_, ()) = tokio::join!(soon("room", room), reads);
    drop(raw);
    leader.inbox.expect(Input::LearnerDisconnected(link)).await;
    soon("no need for room", leader.peers.room(link)).await;
    assert!(!leader.inbox.all().contains(&Input::PeerReachable(ServerId(2))));
}
