//! What a follower makes of observers that come to it.

use bytes::Bytes;

use crate::ids::{Epoch, ServerId, Zxid};
use crate::zab::{
    CloseReason, Configuration, Input, Introduction, LinkId, Membership, Notification, Output, Packet, Recovered, Rider, RiderKind,
    ServerState, Settings, Vote, Zab, fixture,
};

const TICK_MS: i64 = 2000;
/// To the leader.
const LEADER: LinkId = LinkId(1);
const OBSERVER: LinkId = LinkId(100);

fn zxid(counter: u32) -> Zxid {
    Zxid::new(Epoch(2), counter)
}

fn txn(counter: u32) -> Bytes {
    Bytes::from(format!("txn {counter}"))
}

/// Server 1, which follows server 3 in epoch 2; its disk answers at once. It has 2:1 to 2:3, all of them committed.
struct Follower {
    zab: Zab,
    outputs: Vec<Output>,
    now_ms: i64,
}

impl Follower {
    fn serving() -> Self {
        let configuration = Configuration { observers: [ServerId(9)].into(), ..fixture::voters(3) };
        let membership = Membership::new(configuration);
        let settings = Settings { membership, reads_disk: true, has_observer_masters: true, ..fixture::settings(1) };
        let recovered = Recovered { accepted_epoch: Some(Epoch(1)), current_epoch: Some(Epoch(1)), ..Recovered::default() };
        let mut follower = Self { zab: Zab::start(settings, recovered, 0, &mut Vec::new()), outputs: Vec::new(), now_ms: 0 };
        for (from, state) in [(2, ServerState::Following), (3, ServerState::Leading)] {
            let vote = Vote { leader: ServerId(3), zxid: Zxid(0), peer_epoch: Epoch(2) };
            let notification = Notification { state, vote, election_epoch: 1, version: 2, config: None };
            follower.give(Input::Notification { from: ServerId(from), notification });
        }
        follower.give(Input::LeaderConnected(LEADER));
        follower.hear(Packet::LeaderInfo { epoch: Epoch(2), version: 0x1_0000, is_paddock: true });
        follower.hear(Packet::Diff { zxid: Zxid(0) });
        (1..=3).for_each(|counter| follower.hear(Packet::Proposal { zxid: zxid(counter), payload: txn(counter) }));
        follower.hear(Packet::Commit { zxid: zxid(3) });
        follower.hear(Packet::NewLeader { epoch: Epoch(2), config: None });
        follower.hear(Packet::UpToDate);
        assert!(follower.outputs.contains(&Output::OpenObserverMasterPort), "{:?}", follower.outputs);
        follower
    }

    /// Handles an input, and all that its disk answers. The outputs of this are in `outputs`.
    fn give(&mut self, input: Input) {
        self.outputs.clear();
        self.zab.handle(input, self.now_ms, &mut self.outputs);
        let mut written = 0;
        while let Some(output) = self.outputs.get(written).cloned() {
            written += 1;
            let answer = match output {
                Output::Append { zxid, .. } => Input::Persisted(zxid),
                Output::StoreAcceptedEpoch(epoch) => Input::AcceptedEpochStored(epoch),
                Output::StoreCurrentEpoch(epoch) => Input::CurrentEpochStored(epoch),
                _ => continue,
            };
            self.zab.handle(answer, self.now_ms, &mut self.outputs);
        }
    }

    fn hear(&mut self, packet: Packet) {
        self.give(Input::LeaderPacket(LEADER, packet));
    }

    /// The observer says something.
    fn observer(&mut self, packet: Packet) {
        self.give(Input::LearnerPacket(OBSERVER, packet));
    }

    fn introduced(&mut self, is_paddock: bool, last: Zxid) {
        let sid = Some(ServerId(9));
        let info = Introduction { accepted_epoch: Epoch(1), sid, config_version: 0, is_paddock, serves_observers: false };
        self.give(Input::LearnerConnected(OBSERVER));
        self.observer(Packet::ObserverInfo(info));
        assert_eq!(self.told(), [Packet::LeaderInfo { epoch: Epoch(2), version: 0x1_0000, is_paddock: true }]);
        self.observer(Packet::AckEpoch { last_zxid: last, current_epoch: Some(Epoch(1)) });
    }

    fn observed(&mut self) {
        self.introduced(true, zxid(3));
        self.observer(Packet::Ack { zxid: zxid(0) });
        assert_eq!(self.told(), [Packet::UpToDate], "nobody else is waited for");
    }

    /// What the observer was told by the last input.
    fn told(&self) -> Vec<Packet> {
        let told = |output: &Output| match output {
            Output::ToLearner(OBSERVER, packet) => Some(packet.clone()),
            _ => None,
        };
        self.outputs.iter().filter_map(told).collect()
    }

    fn hangs_up(&self) -> Option<CloseReason> {
        self.outputs.iter().find_map(|output| if let Output::CloseLearner(OBSERVER, reason) = output { Some(*reason) } else { None })
    }

    fn synced_observers(&self) -> Option<usize> {
        self.zab.observer_counts().map(|counts| counts.synced_observers)
    }
}

#[test]
fn an_observer_gets_what_it_lacks_and_then_what_is_committed() {
    let mut follower = Follower::serving();
    follower.hear(Packet::Proposal { zxid: zxid(4), payload: txn(4) });
    follower.introduced(true, zxid(1));
    let proposal = |counter| Packet::Proposal { zxid: zxid(counter), payload: txn(counter) };
    let new_leader = Packet::NewLeader { epoch: Epoch(2), config: Some(Bytes::new()) };
    let history = [Packet::Diff { zxid: zxid(3) }, proposal(2), proposal(3), Packet::Commit { zxid: zxid(3) }, new_leader];
    assert_eq!(follower.told(), history, "what is not committed yet is not told");
    follower.observer(Packet::Ack { zxid: zxid(0) });
    assert_eq!(follower.told(), [Packet::UpToDate]);
    follower.hear(proposal(5));
    assert_eq!(follower.told(), []);
    follower.hear(Packet::Commit { zxid: zxid(5) });
    assert_eq!(follower.told(), [4, 5].map(|counter| Packet::Inform { zxid: zxid(counter), payload: txn(counter) }));
    assert_eq!(follower.synced_observers(), Some(1));
    follower.observer(Packet::Ack { zxid: zxid(0) });
    assert_eq!(follower.hangs_up(), None, "that answers UPTODATE");
}

/// A Java observer has no TRUNC to fear, and one that is far behind gets a snapshot.
#[test]
fn an_observer_without_a_common_history_gets_a_snapshot() {
    let mut follower = Follower::serving();
    follower.introduced(false, Zxid::new(Epoch(1), 7));
    assert!(follower.outputs.contains(&Output::TakeSnapshot(OBSERVER)), "{:?}", follower.outputs);
    follower.give(Input::SnapshotTaken(OBSERVER, zxid(3)));
    assert_eq!(follower.told(), [Packet::Snap { zxid: zxid(3) }]);
    follower.hear(Packet::Proposal { zxid: zxid(4), payload: txn(4) });
    follower.hear(Packet::Commit { zxid: zxid(4) });
    assert_eq!(follower.told(), [], "while the snapshot is sent");
    follower.give(Input::SnapshotSent(OBSERVER));
    assert_eq!(follower.told()[..2], [Packet::Proposal { zxid: zxid(4), payload: txn(4) }, Packet::Commit { zxid: zxid(4) }]);
}

/// It comes from the leader, or from a faster follower. Java tells it to truncate what is committed.
#[test]
fn an_observer_that_is_ahead_is_waited_for() {
    let mut follower = Follower::serving();
    follower.introduced(false, zxid(4));
    assert_eq!((follower.told(), follower.hangs_up()), (vec![], None));
    follower.hear(Packet::Proposal { zxid: zxid(4), payload: txn(4) });
    follower.hear(Packet::Commit { zxid: zxid(4) });
    let new_leader = Packet::NewLeader { epoch: Epoch(2), config: Some(Bytes::new()) };
    assert_eq!(follower.told(), [Packet::Diff { zxid: zxid(4) }, new_leader]);
}

/// One whose zxid never comes is no observer of this ensemble.
#[test]
fn who_claims_what_never_comes_is_given_up() {
    let mut follower = Follower::serving();
    follower.introduced(true, zxid(400));
    for tick in 1..=11 {
        follower.now_ms = tick * TICK_MS;
        assert_eq!(follower.hangs_up(), None, "it has initLimit");
        follower.hear(Packet::Rider(Rider { kind: RiderKind::Ping, zxid: zxid(3), data: None, authinfo: None }));
    }
    assert_eq!(follower.hangs_up(), Some(CloseReason::Silent));
}

/// `LearnerHandler`: "Non observer attempting to connect to ObserverMaster".
#[test]
fn only_observers_are_served() {
    let info = |sid, config_version| Introduction {
        accepted_epoch: Epoch(1),
        sid: Some(ServerId(sid)),
        config_version,
        is_paddock: false,
        serves_observers: false,
    };
    for (first, reason) in [
        (Packet::FollowerInfo(info(2, 0)), CloseReason::Misbehaved),
        (Packet::ObserverInfo(info(1, 0)), CloseReason::Misbehaved),
        (Packet::ObserverInfo(info(9, 5)), CloseReason::LaterConfiguration),
        (Packet::UpToDate, CloseReason::Misbehaved),
    ] {
        let mut follower = Follower::serving();
        follower.give(Input::LearnerConnected(OBSERVER));
        follower.observer(first.clone());
        assert_eq!(follower.hangs_up(), Some(reason), "{first:?}");
    }
}

#[test]
fn an_observer_acks_no_txn() {
    let mut follower = Follower::serving();
    follower.observed();
    follower.observer(Packet::Ack { zxid: zxid(3) });
    assert_eq!(follower.hangs_up(), Some(CloseReason::Misbehaved));
    assert_eq!(follower.synced_observers(), Some(0));
}

/// An observer hears nothing while its master hears nothing of the leader, however the time goes.
#[test]
fn only_the_leaders_pings_are_passed_on() {
    let mut follower = Follower::serving();
    follower.observed();
    let ping = Packet::Rider(Rider { kind: RiderKind::Ping, zxid: zxid(3), data: None, authinfo: None });
    follower.now_ms = 4 * TICK_MS;
    follower.give(Input::Tick);
    assert_eq!(follower.told(), []);
    follower.hear(ping.clone());
    assert_eq!(follower.told(), std::slice::from_ref(&ping));
    follower.now_ms += 1;
    follower.hear(ping.clone());
    assert_eq!(follower.told(), [], "a leader that confirms syncs pings very often");
    follower.now_ms += TICK_MS / 2;
    follower.hear(ping.clone());
    assert_eq!(follower.told(), [ping]);
}

#[test]
fn observers_go_at_once_when_the_role_ends() {
    for end in [Input::LeaderDisconnected(LEADER), Input::Shutdown] {
        let mut follower = Follower::serving();
        follower.observed();
        follower.give(end.clone());
        assert!(follower.outputs.contains(&Output::CloseQuorumPort), "{end:?}: {:?}", follower.outputs);
        assert_eq!(follower.synced_observers(), None);
    }
}

#[test]
fn what_an_observer_forwards_counts_once_it_serves() {
    let mut follower = Follower::serving();
    follower.introduced(true, zxid(3));
    let rider = Rider { kind: RiderKind::Request, zxid: Zxid(-1), data: Some(Bytes::from_static(b"request")), authinfo: None };
    follower.observer(Packet::Rider(rider.clone()));
    assert_eq!(follower.outputs, [], "before UPTODATE there is nobody who asks");
    follower.observer(Packet::Ack { zxid: zxid(0) });
    follower.observer(Packet::Rider(rider.clone()));
    assert_eq!(follower.outputs, [Output::FromLearner(OBSERVER, ServerId(9), rider)]);
}

/// It comes back before its old connection is known to be over.
#[test]
fn an_observer_that_connects_again_takes_the_place_of_its_old_connection() {
    let mut follower = Follower::serving();
    follower.observed();
    let again = LinkId(101);
    let info =
        Introduction { accepted_epoch: Epoch(2), sid: Some(ServerId(9)), config_version: 0, is_paddock: true, serves_observers: false };
    follower.give(Input::LearnerConnected(again));
    follower.give(Input::LearnerPacket(again, Packet::ObserverInfo(info)));
    assert_eq!(follower.hangs_up(), Some(CloseReason::Replaced));
}
