//! To whom an observer comes.

use crate::ids::{Epoch, ServerId, Zxid};
use crate::zab::{
    Configuration, Input, LinkId, Membership, Notification, Output, Packet, Reason, Recovered, RoleChange, ServerState, Settings, Timing,
    Vote, Zab, fixture,
};

const INIT_LIMIT_MS: i64 = 5000;

/// Server 9 observes; 3 leads 1, 2 and 4 in epoch 2. The links that it was asked to make, with the server and whether that is a follower.
struct Observer {
    zab: Zab,
    outputs: Vec<Output>,
    now_ms: i64,
}

impl Observer {
    fn elected(has_observer_masters: bool, reconnect_max_ms: i64) -> Self {
        let configuration = Configuration { observers: [ServerId(9)].into(), ..fixture::voters(4) };
        let membership = Membership::new(configuration);
        let timing = Timing { observer_reconnect_max_ms: reconnect_max_ms, ..Timing::new(500, 10, 4) };
        let settings = Settings { membership, timing, has_observer_masters, ..fixture::settings(9) };
        let recovered = Recovered { accepted_epoch: Some(Epoch(1)), current_epoch: Some(Epoch(1)), ..Recovered::default() };
        let mut observer = Self { zab: Zab::start(settings, recovered, 0, &mut Vec::new()), outputs: Vec::new(), now_ms: 0 };
        observer.hear_votes();
        observer
    }

    fn hear_votes(&mut self) {
        self.outputs.clear();
        for (from, state) in [(1, ServerState::Following), (2, ServerState::Following), (3, ServerState::Leading)] {
            let vote = Vote { leader: ServerId(3), zxid: Zxid(0), peer_epoch: Epoch(2) };
            let notification = Notification { state, vote, election_epoch: 1, version: 2, config: None };
            self.zab.handle(Input::Notification { from: ServerId(from), notification }, self.now_ms, &mut self.outputs);
        }
    }

    fn give(&mut self, input: Input) {
        self.outputs.clear();
        self.zab.handle(input, self.now_ms, &mut self.outputs);
    }

    /// The link that it asked for by the last input: to whom, and whether at the port for observers.
    fn dialed(&self) -> Option<(LinkId, i64, bool)> {
        self.outputs.iter().find_map(|output| match output {
            Output::ConnectMaster { link, master } => Some((*link, master.0, true)),
            Output::ConnectLeader { link, leader } => Some((*link, leader.0, false)),
            _ => None,
        })
    }

    /// Waits until it dials somebody.
    fn next_dialed(&mut self) -> (LinkId, i64, bool) {
        loop {
            if let Some(dialed) = self.dialed() {
                return dialed;
            }
            self.now_ms = self.zab.wake_ms().expect("it goes on").max(self.now_ms);
            self.give(Input::Tick);
        }
    }

    fn gives_up(&self, why: Reason) -> bool {
        self.outputs.contains(&Output::Role(RoleChange::Looking { reason: why }))
    }
}

#[test]
fn followers_are_tried_in_turn_and_the_leader_when_none_comes() {
    let mut observer = Observer::elected(true, 0);
    let mut followers = Vec::new();
    loop {
        let (link, sid, is_master) = observer.next_dialed();
        if !is_master {
            assert_eq!(sid, 3, "the leader is dialed at its own port");
            break;
        }
        assert!(observer.now_ms < INIT_LIMIT_MS + 100);
        followers.push(sid);
        observer.give(Input::LeaderDisconnected(link));
    }
    assert!(observer.now_ms >= INIT_LIMIT_MS, "a follower that has just begun may take initLimit to serve: {} ms", observer.now_ms);
    let mut first: Vec<i64> = followers[..3].to_vec();
    first.sort_unstable();
    assert_eq!(first, [1, 2, 4]);
    assert_eq!(followers[..3], followers[3..6], "and again");
}

#[test]
fn a_follower_that_does_not_answer_is_left_for_the_next() {
    let mut observer = Observer::elected(true, 0);
    let (_, first, _) = observer.next_dialed();
    observer.outputs.clear();
    let (_, second, is_master) = observer.next_dialed();
    assert!(is_master && second != first, "{first}, {second}");
    assert!(observer.outputs.iter().any(|output| matches!(output, Output::DisconnectLeader(_))), "the dialing is given up");
}

/// It is elected anew after that, and does not come to the same follower first.
#[test]
fn a_follower_that_is_lost_is_not_the_next_one_again() {
    let mut observer = Observer::elected(true, 0);
    let (link, first, _) = observer.next_dialed();
    observer.give(Input::LeaderConnected(link));
    assert_eq!(observer.zab.learner_master(), Some(ServerId(first)));
    observer.give(Input::LeaderPacket(link, Packet::LeaderInfo { epoch: Epoch(2), version: 0x1_0000, is_paddock: true }));
    observer.give(Input::AcceptedEpochStored(Epoch(2)));
    observer.give(Input::LeaderDisconnected(link));
    assert!(observer.gives_up(Reason::LeaderLost));
    assert_eq!(observer.zab.learner_master(), None);
    while observer.zab.state() == ServerState::Looking {
        observer.now_ms += 50;
        assert!(observer.now_ms < INIT_LIMIT_MS, "it is elected anew");
        observer.give(Input::Tick);
        observer.hear_votes();
    }
    assert_ne!(observer.next_dialed().1, first);
}

/// What the voters say of their epoch is newer than what that follower knows.
#[test]
fn a_follower_of_an_older_leader_is_left() {
    for (epoch, is_left) in [(1, true), (2, false)] {
        let mut observer = Observer::elected(true, 0);
        let (link, _, _) = observer.next_dialed();
        observer.give(Input::LeaderConnected(link));
        observer.give(Input::LeaderPacket(link, Packet::LeaderInfo { epoch: Epoch(epoch), version: 0x1_0000, is_paddock: true }));
        assert_eq!(observer.gives_up(Reason::EpochTooOld), is_left, "epoch {epoch}");
    }
}

/// `observer.reconnectDelayMs`: not all observers of an ensemble come to the leader at once.
#[test]
fn the_leader_is_dialed_after_a_while_if_it_is_to_be() {
    let mut at_once = Observer::elected(false, 0);
    assert_eq!((at_once.next_dialed().1, at_once.now_ms), (3, 0));
    let mut later = Observer::elected(false, 100_000);
    assert_eq!(later.dialed(), None);
    let (_, sid, is_master) = later.next_dialed();
    assert!(sid == 3 && !is_master && (1..100_000).contains(&later.now_ms), "after {} ms", later.now_ms);
}
