//! What a leader makes of what its learners say.

use bytes::Bytes;

use crate::ids::{Epoch, ServerId, Zxid};
use crate::zab::{
    Configuration, HistoryLimits, Input, Introduction, LinkId, Membership, Notification, Output, Packet, QuorumVerifier, Recovered,
    ServerState, Settings, Timing, Vote, Zab,
};

const LINK: LinkId = LinkId(7);

fn zxid(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// Server 3 of three, whose history ends in 1:9; server 1 follows it in epoch 2. The disk has answered everything.
fn leader() -> Zab {
    let verifier = QuorumVerifier::majority((1..=3).map(ServerId));
    let configuration = Configuration { version: 0, text: Bytes::new(), verifier, observers: [].into() };
    let settings = Settings {
        server_id: ServerId(3),
        membership: Membership::new(configuration),
        is_standalone: false,
        timing: Timing::new(2000, 10, 5),
        history: HistoryLimits::default(),
        reads_disk: false,
        forces_snapshot: false,
        seed: 1,
    };
    let last_zxid = zxid(1, 9);
    let recovered = Recovered { accepted_epoch: Some(Epoch(1)), current_epoch: Some(Epoch(1)), last_zxid, ..Recovered::default() };
    let mut zab = Zab::start(settings, recovered, 0, &mut Vec::new());
    let vote = Vote { leader: ServerId(3), zxid: last_zxid, peer_epoch: Epoch(1) };
    let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
    let info = Introduction { accepted_epoch: Epoch(1), sid: Some(ServerId(1)), config_version: 0, is_paddock: false };
    let inputs = [
        Input::Notification { from: ServerId(1), notification: notification.clone() },
        Input::Notification { from: ServerId(2), notification },
        Input::LearnerConnected(LINK),
        Input::LearnerPacket(LINK, Packet::FollowerInfo(info)),
        Input::AcceptedEpochStored(Epoch(2)),
        Input::LearnerPacket(LINK, Packet::AckEpoch { last_zxid, current_epoch: Some(Epoch(1)) }),
        Input::CurrentEpochStored(Epoch(2)),
        Input::LearnerPacket(LINK, Packet::Ack { zxid: zxid(2, 0) }),
    ];
    for input in inputs {
        zab.handle(input, 0, &mut Vec::new());
    }
    assert!(zab.can_propose(), "a quorum has adopted the epoch");
    zab
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
