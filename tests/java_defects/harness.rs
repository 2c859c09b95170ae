//! One ordering core whose disk and links answer when the test says so. Its partners are Java servers.

use bytes::Bytes;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{
    Configuration, HistoryLimits, Input, Introduction, LinkId, Membership, Notification, Output, Packet, QuorumVerifier, Reason, Recovered,
    RoleChange, ServerState, Settings, Timing, Vote, Zab,
};

pub fn zxid(epoch: i64, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

pub fn txn() -> Bytes {
    Bytes::from_static(b"txn")
}

pub fn proposal(epoch: i64, counter: u32) -> Packet {
    Packet::Proposal { zxid: zxid(epoch, counter), payload: txn() }
}

pub fn commit(epoch: i64, counter: u32) -> Packet {
    Packet::Commit { zxid: zxid(epoch, counter) }
}

pub fn ack(epoch: i64, counter: u32) -> Packet {
    Packet::Ack { zxid: zxid(epoch, counter) }
}

pub fn newleader(epoch: i64) -> Packet {
    Packet::NewLeader { epoch: Epoch(epoch), config: Some(Bytes::new()) }
}

/// A disk with a history up to `last`, all of it adopted.
pub fn disk(last: Zxid) -> Recovered {
    let epoch = Some(last.epoch());
    Recovered { accepted_epoch: epoch, current_epoch: epoch, last_zxid: last, ..Recovered::default() }
}

/// One of three servers.
pub struct Server {
    pub zab: Zab,
    /// What the last call put out.
    pub outputs: Vec<Output>,
    pub link: LinkId,
    round: i64,
}

impl Server {
    pub fn start(id: i64, recovered: Recovered, reads_disk: bool) -> Self {
        let verifier = QuorumVerifier::majority((1..=3).map(ServerId));
        let configuration = Configuration::of(0, verifier);
        let settings = Settings {
            server_id: ServerId(id),
            membership: Membership::new(configuration),
            reader: None,
            is_standalone: false,
            timing: Timing::new(2000, 10, 5),
            history: HistoryLimits::default(),
            reads_disk,
            forces_snapshot: false,
            has_observer_masters: false,
            seed: 1,
        };
        let mut outputs = Vec::new();
        let zab = Zab::start(settings, recovered, 0, &mut outputs);
        Self { zab, outputs, link: LinkId(0), round: 1 }
    }

    pub fn input(&mut self, input: Input) -> &[Output] {
        self.outputs.clear();
        self.zab.handle(input, 0, &mut self.outputs);
        &self.outputs
    }

    /// A packet of the leader.
    pub fn hear(&mut self, packet: Packet) -> &[Output] {
        self.input(Input::LeaderPacket(self.link, packet))
    }

    /// Several packets; what comes of the last is kept.
    pub fn hear_all(&mut self, packets: impl IntoIterator<Item = Packet>) {
        for packet in packets {
            self.hear(packet);
        }
    }

    /// Finds server 3 as the leader of `epoch`, and connects.
    pub fn find_leader(&mut self, epoch: i64) {
        for (from, state) in [(2, ServerState::Following), (3, ServerState::Leading)] {
            let vote = Vote { leader: ServerId(3), zxid: Zxid(0), peer_epoch: Epoch(epoch) };
            let notification = Notification { state, vote, election_epoch: self.round, version: 2, config: None };
            self.input(Input::Notification { from: ServerId(from), notification });
        }
        let connects = |output: &Output| match output {
            Output::ConnectLeader { link, .. } => Some(*link),
            _ => None,
        };
        self.link = self.outputs.iter().find_map(connects).expect("a quorum follows 3");
        self.input(Input::LeaderConnected(self.link));
        self.hear(Packet::LeaderInfo { epoch: Epoch(epoch), version: 0x1_0000, is_paddock: false });
    }

    /// A follower of server 3, a Java server that leads in epoch 2, up to its promise. Its own history ends in `last`.
    pub fn promised(last: Zxid) -> Self {
        let mut server = Self::start(1, disk(last), false);
        server.find_leader(2);
        server.input(Input::AcceptedEpochStored(Epoch(2)));
        assert_eq!(server.told_leader(), [Packet::AckEpoch { last_zxid: last, current_epoch: Some(last.epoch()) }]);
        server
    }

    /// The same, serving.
    pub fn serving(last: Zxid) -> Self {
        let mut server = Self::promised(last);
        server.hear_all([Packet::Diff { zxid: last }, newleader(2)]);
        server.input(Input::CurrentEpochStored(Epoch(2)));
        server.hear(Packet::UpToDate);
        assert!(server.zab.is_serving());
        server
    }

    pub fn loses_leader(&mut self) -> &[Output] {
        self.input(Input::PeerUnreachable(ServerId(3)));
        self.input(Input::LeaderDisconnected(self.link))
    }

    // What was put out by the last call.

    pub fn told_leader(&self) -> Vec<Packet> {
        let told = |output: &Output| if let Output::ToLeader(_, packet) = output { Some(packet.clone()) } else { None };
        self.outputs.iter().filter_map(told).collect()
    }

    pub fn told(&self, learner: LinkId) -> Vec<Packet> {
        let told = |output: &Output| match output {
            Output::ToLearner(link, packet) if *link == learner => Some(packet.clone()),
            _ => None,
        };
        self.outputs.iter().filter_map(told).collect()
    }

    pub fn delivered(&self) -> Vec<Zxid> {
        self.outputs.iter().filter_map(|output| if let Output::Deliver { zxid, .. } = output { Some(*zxid) } else { None }).collect()
    }

    pub fn appended(&self) -> Vec<Zxid> {
        self.outputs.iter().filter_map(|output| if let Output::Append { zxid, .. } = output { Some(*zxid) } else { None }).collect()
    }

    /// The votes for itself: what it says of its own history, and of the epoch.
    pub fn votes(&self) -> Vec<(Zxid, Epoch)> {
        let vote = |output: &Output| match output {
            Output::Notify { notification, to: ServerId(2) } => Some((notification.vote.zxid, notification.vote.peer_epoch)),
            _ => None,
        };
        self.outputs.iter().filter_map(vote).collect()
    }

    /// Why it looks for a leader.
    pub fn looking(&self) -> Option<Reason> {
        let reason = |output: &Output| if let Output::Role(RoleChange::Looking { reason }) = output { Some(*reason) } else { None };
        self.outputs.iter().find_map(reason)
    }

    // A leader.

    /// Server 3, elected by all with a history up to 1:9, has asked server 1 at `link` for its promise of epoch 2.
    pub fn leading(link: LinkId, reads_disk: bool) -> Self {
        let mut server = Self::start(3, disk(zxid(1, 9)), reads_disk);
        let vote = Vote { leader: ServerId(3), zxid: zxid(1, 9), peer_epoch: Epoch(1) };
        for from in [1, 2] {
            let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
            server.input(Input::Notification { from: ServerId(from), notification });
        }
        server.introduce(1, link);
        server.input(Input::AcceptedEpochStored(Epoch(2)));
        server
    }

    /// The same, established: 1 serves, with all of the history.
    pub fn established(link: LinkId, reads_disk: bool) -> Self {
        let mut server = Self::leading(link, reads_disk);
        server.promise(link, zxid(1, 9));
        server.input(Input::CurrentEpochStored(Epoch(2)));
        server.says(link, ack(2, 0));
        assert!(server.zab.can_propose(), "a quorum has adopted the epoch");
        server
    }

    pub fn introduce(&mut self, sid: i64, link: LinkId) {
        self.input(Input::LearnerConnected(link));
        let info = Introduction {
            accepted_epoch: Epoch(1),
            sid: Some(ServerId(sid)),
            config_version: 0,
            is_paddock: false,
            serves_observers: false,
        };
        self.says(link, Packet::FollowerInfo(info));
    }

    pub fn promise(&mut self, link: LinkId, last_zxid: Zxid) {
        self.says(link, Packet::AckEpoch { last_zxid, current_epoch: Some(Epoch(1)) });
    }

    /// A packet of a learner.
    pub fn says(&mut self, learner: LinkId, packet: Packet) -> &[Output] {
        self.input(Input::LearnerPacket(learner, packet))
    }

    pub fn propose(&mut self) -> Zxid {
        self.outputs.clear();
        self.zab.propose(txn(), &mut self.outputs)
    }
}
