//! What outlives a role: the durable state, the history, the membership, and the writes that are under way.
//!
//! Order of durable writes (quorum-protocol.md §4): the accepted epoch before its promise; the history before the current epoch before the
//! ack of NEWLEADER; a txn before its ack; a truncation before anything that follows it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::election::{Booth, UNINITIALIZED};
use super::history::History;
use super::input::{Input, LinkId};
use super::learner_masters::LearnerMasters;
use super::membership::{ConfigurationReader, Membership};
use super::notification::{NOTIFICATION_VERSION, Notification, ServerState, Vote};
use super::output::Output;
use super::timing::Timing;
use crate::ids::{Epoch, ServerId, Zxid};

/// What one server of an ensemble is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This server.
    pub server_id: ServerId,
    /// The ensemble.
    pub membership: Membership,
    /// How configurations are read; `None` for a server that goes by its files (`reconfigEnabled=false`).
    pub reader: Option<ConfigurationReader>,
    /// A server without an ensemble: it leads itself from the first moment, in the epoch in which its history ends, and keeps no epochs.
    pub is_standalone: bool,
    /// Protocol time.
    pub timing: Timing,
    /// How much history is kept in memory for learners.
    pub history: super::HistoryLimits,
    /// Whether the log on disk may be read for learners (`snapshotSizeFactor` is not negative).
    pub reads_disk: bool,
    /// `forceSnapshotSync`.
    pub forces_snapshot: bool,
    /// Whether followers serve observers (`observerMasterPort`): this one does, or it observes through them.
    pub has_observer_masters: bool,
    /// Where the little randomness there is comes from.
    pub seed: u64,
}

/// What the disk of a server holds at its start.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The file `acceptedEpoch`, if there is one.
    pub accepted_epoch: Option<Epoch>,
    /// The file `currentEpoch`, if there is one.
    pub current_epoch: Option<Epoch>,
    /// The end of the durable history, all of it applied.
    pub last_zxid: Zxid,
    /// The newest txns of it, in order: as many as are worth keeping for learners.
    pub recent: Vec<(Zxid, Bytes)>,
    /// There is no database, and none may be made up: this server does not vote until it has synchronized (ZOOKEEPER-261).
    pub is_uninitialized: bool,
}

/// The part of the core that is the same in every role.
///
/// Invariants: persisted <= history.last; current_epoch <= accepted_epoch; a truncation or installation is asked for only when nothing else
/// is being written.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) own: ServerId,
    pub(super) membership: Membership,
    pub(super) reader: Option<ConfigurationReader>,
    pub(super) timing: Timing,
    pub(super) reads_disk: bool,
    pub(super) forces_snapshot: bool,
    pub(super) has_observer_masters: bool,
    /// Of an observer.
    masters: LearnerMasters,
    pub(super) is_standalone: bool,
    pub(super) history: History,
    /// Durable up to here.
    pub(super) persisted: Zxid,
    pub(super) accepted_epoch: Epoch,
    pub(super) current_epoch: Epoch,
    pub(super) is_uninitialized: bool,
    /// What was asked of the disk and not confirmed, beside appends.
    writing_accepted: Option<Epoch>,
    writing_current: Option<Epoch>,
    truncating: Option<Zxid>,
    installing: Option<Zxid>,
    /// The epoch in which a truncation could not be carried out: in it, and only there, the history is reported as none.
    pub(super) untruncatable: Option<Epoch>,
    /// The last committed txn that is known to be committed by a quorum: it can never be taken back.
    pub(super) committed: Zxid,
    pub(super) round: i64,
    /// What this server voted for, and in which round.
    pub(super) vote: Vote,
    pub(super) vote_round: i64,
    pub(super) state: ServerState,
    pub(super) unreachable: BTreeSet<ServerId>,
    /// The last office came to nothing.
    pub(super) is_patient: bool,
    chance: u64,
    next_link: u64,
}

impl Core {
    /// Repairs the epochs where a crash fell between two writes: a durable txn of an epoch proves that its whole beginning was received
    /// (quorum-protocol.md §4; ZOOKEEPER-2354, U3).
    pub(super) fn new(settings: Settings, recovered: Recovered, outputs: &mut Vec<Output>) -> Self {
        let Recovered { accepted_epoch, current_epoch, last_zxid, recent, is_uninitialized } = recovered;
        let mut core = Self {
            own: settings.server_id,
            membership: settings.membership,
            reader: settings.reader,
            timing: settings.timing,
            reads_disk: settings.reads_disk,
            forces_snapshot: settings.forces_snapshot,
            has_observer_masters: settings.has_observer_masters,
            masters: LearnerMasters::default(),
            is_standalone: settings.is_standalone,
            history: History::recovered(settings.history, last_zxid, recent),
            persisted: last_zxid,
            accepted_epoch: accepted_epoch.unwrap_or_default(),
            current_epoch: current_epoch.unwrap_or_default(),
            is_uninitialized,
            writing_accepted: None,
            writing_current: None,
            truncating: None,
            installing: None,
            untruncatable: None,
            committed: Zxid::ZERO,
            round: 0,
            vote: Vote::NONE,
            vote_round: 0,
            state: ServerState::Looking,
            unreachable: BTreeSet::new(),
            is_patient: false,
            chance: settings.seed,
            next_link: 0,
        };
        if !core.is_standalone {
            let current = core.current_epoch.max(last_zxid.epoch());
            let accepted = core.accepted_epoch.max(current);
            if accepted_epoch != Some(accepted) {
                core.store_accepted_epoch(accepted, outputs);
            }
            if current_epoch != Some(current) {
                core.store_current_epoch(current, last_zxid, outputs);
            }
        }
        core
    }

    /// Whether everything that was asked of the disk is done: only then may this server vote, for only then is what it says durable.
    pub(super) fn is_quiet(&self) -> bool {
        let is_writing = self.writing_accepted.is_some() || self.writing_current.is_some() || self.is_replacing();
        self.persisted == self.history.last() && !is_writing
    }

    /// Whether the history is being truncated or replaced.
    pub(super) fn is_replacing(&self) -> bool {
        self.truncating.is_some() || self.installing.is_some()
    }

    pub(super) fn append(&mut self, zxid: Zxid, payload: Bytes, outputs: &mut Vec<Output>) {
        assert!(!self.is_replacing(), "nothing is appended to a history that is being replaced");
        self.note_proposed(zxid, &payload, outputs);
        self.history.append(zxid, payload.clone());
        outputs.push(Output::Append { zxid, payload });
    }

    /// Delivers everything up to `zxid`.
    pub(super) fn deliver_up_to(&mut self, zxid: Zxid, outputs: &mut Vec<Output>) {
        while self.history.next_undelivered().is_some_and(|next| next <= zxid) {
            let (zxid, payload) = self.history.deliver().expect("there is an undelivered txn");
            outputs.push(Output::Deliver { zxid, payload });
        }
    }

    pub(super) fn store_accepted_epoch(&mut self, epoch: Epoch, outputs: &mut Vec<Output>) {
        assert!(epoch >= self.accepted_epoch, "a promise is never taken back: {epoch} after {}", self.accepted_epoch);
        self.writing_accepted = Some(epoch);
        outputs.push(Output::StoreAcceptedEpoch(epoch));
    }

    /// `until` is the end of the history with which the epoch begins.
    pub(super) fn store_current_epoch(&mut self, epoch: Epoch, until: Zxid, outputs: &mut Vec<Output>) {
        assert!(epoch >= self.current_epoch, "epochs go up: {epoch} after {}", self.current_epoch);
        assert!(self.persisted >= until, "the history is durable before its epoch (ZOOKEEPER-4643): {} before {until}", self.persisted);
        self.writing_current = Some(epoch);
        outputs.push(Output::StoreCurrentEpoch(epoch));
    }

    pub(super) fn truncate(&mut self, to: Zxid, outputs: &mut Vec<Output>) {
        assert!(self.is_quiet(), "a truncation waits for nothing and nothing waits for it");
        assert!(to >= self.committed, "a committed txn is never taken back: {to} below {}", self.committed);
        self.truncating = Some(to);
        outputs.push(Output::Truncate(to));
    }

    pub(super) fn install_snapshot(&mut self, zxid: Zxid, outputs: &mut Vec<Output>) {
        assert!(self.is_quiet(), "an installation waits for nothing and nothing waits for it");
        self.installing = Some(zxid);
        outputs.push(Output::InstallSnapshot(zxid));
    }

    /// Takes note of what happened to the disk, and of who can be reached: whatever the role is.
    pub(super) fn note(&mut self, input: &Input) {
        match *input {
            Input::Persisted(zxid) => {
                let last = self.history.last();
                assert!(zxid <= last, "nobody persists {zxid} before it is proposed; the newest is {last}");
                self.persisted = self.persisted.max(zxid);
            }
            Input::AcceptedEpochStored(epoch) => {
                self.accepted_epoch = self.accepted_epoch.max(epoch);
                self.writing_accepted.take_if(|writing| *writing <= epoch);
            }
            Input::CurrentEpochStored(epoch) => {
                self.current_epoch = self.current_epoch.max(epoch);
                self.writing_current.take_if(|writing| *writing <= epoch);
            }
            Input::Truncated(to) => {
                assert_eq!(self.truncating.take(), Some(to), "a truncation that was asked for");
                self.history.truncate(to);
                self.membership.truncate(to);
                self.persisted = to;
            }
            Input::TruncationRefused(to) => {
                assert_eq!(self.truncating.take(), Some(to), "a truncation that was asked for");
            }
            Input::SnapshotInstalled(zxid) => {
                assert_eq!(self.installing.take(), Some(zxid), "an installation that was asked for");
                self.history.replace(zxid);
                self.persisted = zxid;
                self.untruncatable = None;
            }
            Input::InstallationRefused(zxid) => {
                assert_eq!(self.installing.take(), Some(zxid), "an installation that was asked for");
            }
            Input::PeerReachable(peer) => drop(self.unreachable.remove(&peer)),
            Input::PeerUnreachable(peer) => drop(self.unreachable.insert(peer)),
            Input::Notification { from, .. } => drop(self.unreachable.remove(&from)),
            _ => {}
        }
    }

    pub(super) fn booth(&mut self) -> Booth<'_> {
        Booth {
            own: self.own,
            membership: &self.membership,
            timing: &self.timing,
            unreachable: &self.unreachable,
            is_patient: self.is_patient,
            is_changeable: self.reader.is_some(),
            round: &mut self.round,
        }
    }

    /// The vote for oneself: what is durable, and nothing for a server that does not vote.
    pub(super) fn own_vote(&self) -> Vote {
        assert!(self.is_quiet(), "a vote tells what is durable");
        if !self.membership.is_participant(self.own) {
            return Vote::NONE;
        }
        Vote { leader: self.own, zxid: self.last_zxid(), peer_epoch: self.current_epoch }
    }

    /// The end of the history as it is told to others.
    pub(super) fn last_zxid(&self) -> Zxid {
        if self.is_uninitialized { UNINITIALIZED } else { self.history.last() }
    }

    /// The vote that stands, for those who are looking.
    pub(super) fn settled_notification(&self) -> Notification {
        Notification {
            state: self.state,
            vote: self.vote,
            election_epoch: self.vote_round,
            version: NOTIFICATION_VERSION,
            config: Some(self.membership.committed().text.clone()),
        }
    }

    /// Whether a server that asks may learn something: who leads, from one that votes; or who votes.
    pub(super) fn has_news_for(&self, notification: &Notification) -> bool {
        let knows_others = self.reader.is_some() && notification.config.as_ref() != Some(&self.membership.committed().text);
        self.is_participant() || knows_others
    }

    pub(super) fn is_participant(&self) -> bool {
        self.membership.is_participant(self.own)
    }

    pub(super) fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// The follower through which an observer may observe next; `None` at the end of each round.
    pub(super) fn next_master(&mut self, leader: ServerId) -> Option<ServerId> {
        if !self.has_observer_masters {
            return None;
        }
        let mut masters = std::mem::take(&mut self.masters);
        let voters = self.membership.committed().verifier.participants();
        let next = masters.next(&voters, leader, |limit| self.chance(limit));
        self.masters = masters;
        next
    }

    /// A number below `limit`; the same seed gives the same numbers.
    pub(super) fn chance(&mut self, limit: u64) -> u64 {
        // One step of splitmix64.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::{Reason, RoleChange};
    use super::super::packet::Packet;
    use super::super::{Zab, fixture};
    use super::*;

    fn settings() -> Settings {
        Settings { reads_disk: true, ..fixture::settings(1) }
    }

    /// Server 1, whose disk answers everything at once.
    struct Server {
        zab: Zab,
        outputs: Vec<Output>,
    }

    impl Server {
        fn start(recovered: Recovered) -> Self {
            let mut outputs = Vec::new();
            let zab = Zab::start(settings(), recovered, 0, &mut outputs);
            let mut server = Self { zab, outputs };
            server.write();
            server
        }

        fn write(&mut self) {
            let mut written = 0;
            while let Some(output) = self.outputs.get(written).cloned() {
                written += 1;
                match output {
                    Output::StoreAcceptedEpoch(epoch) => self.zab.handle(Input::AcceptedEpochStored(epoch), 0, &mut self.outputs),
                    Output::StoreCurrentEpoch(epoch) => self.zab.handle(Input::CurrentEpochStored(epoch), 0, &mut self.outputs),
                    _ => {}
                }
            }
        }

        fn input(&mut self, input: Input, now_ms: i64) -> &[Output] {
            self.outputs.clear();
            self.zab.handle(input, now_ms, &mut self.outputs);
            self.write();
            &self.outputs
        }

        /// The newest vote that it sent.
        fn vote(&self) -> Vote {
            let vote = |output: &Output| match output {
                Output::Notify { notification, .. } => Some(notification.vote),
                _ => None,
            };
            self.outputs.iter().rev().find_map(vote).expect("it votes")
        }

        /// Follows server 3, up to the beginning of a snapshot of 1:9.
        fn receives_a_snapshot(&mut self) {
            let vote = Vote { leader: ServerId(3), zxid: Zxid::new(Epoch(1), 9), peer_epoch: Epoch(1) };
            let mut inputs = vec![Input::Tick];
            for from in [2, 3] {
                let notification = Notification { state: ServerState::Looking, vote, election_epoch: 1, version: 2, config: None };
                inputs.push(Input::Notification { from: ServerId(from), notification });
            }
            let connects = |output: &Output| match output {
                Output::ConnectLeader { link, .. } => Some(*link),
                _ => None,
            };
            let mut now_ms = 1;
            let link = loop {
                let input = inputs.pop().unwrap_or(Input::Tick);
                if let Some(link) = self.input(input, now_ms).iter().find_map(connects) {
                    break link;
                }
                now_ms = self.zab.wake_ms().expect("an election goes on").max(now_ms);
                assert!(now_ms < 10_000, "3 is elected");
            };
            self.input(Input::LeaderConnected(link), now_ms);
            self.input(Input::LeaderPacket(link, Packet::LeaderInfo { epoch: Epoch(2), version: 0x10000, is_paddock: true }), now_ms);
            self.input(Input::LeaderPacket(link, Packet::Snap { zxid: Zxid::new(Epoch(1), 9) }), now_ms);
            self.input(Input::SnapshotReceived(link), now_ms);
            assert!(self.outputs.contains(&Output::InstallSnapshot(Zxid::new(Epoch(1), 9))), "{:?}", self.outputs);
        }
    }

    /// ZOOKEEPER-261: the epochs that a first start writes do not make a database.
    #[test]
    fn zookeeper_261_without_a_database_nothing_is_voted_for_before_it_has_one() {
        for (accepted_epoch, current_epoch) in [(None, None), (Some(Epoch(7)), Some(Epoch(6)))] {
            let server = Server::start(Recovered { accepted_epoch, current_epoch, is_uninitialized: true, ..Recovered::default() });
            assert_eq!(server.vote().zxid, UNINITIALIZED, "{accepted_epoch:?}");
        }
        assert_eq!(Server::start(Recovered::default()).vote().zxid, Zxid::ZERO);
    }

    /// What a leader sends need not be a tree. Nothing was changed, so this server goes on with what it has.
    #[test]
    fn a_snapshot_that_cannot_be_loaded_ends_the_role() {
        let mut server = Server::start(Recovered { last_zxid: Zxid::new(Epoch(1), 4), ..Recovered::default() });
        server.receives_a_snapshot();
        server.input(Input::InstallationRefused(Zxid::new(Epoch(1), 9)), 10_000);
        assert!(server.outputs.contains(&Output::Role(RoleChange::Looking { reason: Reason::LeaderMisbehaved })), "{:?}", server.outputs);
        assert_eq!(server.vote().zxid, Zxid::new(Epoch(1), 4));
    }
}
