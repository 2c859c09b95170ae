//! Who belongs to the ensemble: the committed configuration, and the one that is being agreed on (quorum-protocol.md §2.11).
//!
//! ```text
//!   committed ─ a txn proposes the next ─► committed and last seen: every quorum is one of both ─ that txn is committed ─► committed
//! ```
//! Any quorum of the old configuration holds a server that has the proposal in its log, so a leader that knows nothing of it comes to
//! nothing; and one that knows of it needs a quorum of the new configuration too.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::quorum::QuorumVerifier;
use crate::ids::{Epoch, ServerId, Zxid};

/// One configuration of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The zxid of the reconfiguration that made it; 0 for the one in the files.
    pub version: i64,
    /// Its text, as notifications and NEWLEADER carry it.
    pub text: Bytes,
    /// Who votes, and what a quorum is.
    pub verifier: QuorumVerifier,
    /// Who does not vote.
    pub observers: BTreeSet<ServerId>,
    /// Where each server leads from: a text that only has to differ when the place does.
    pub addresses: BTreeMap<ServerId, String>,
}

impl Configuration {
    /// The configuration of a server that stands alone.
    #[must_use]
    pub fn alone(sid: ServerId) -> Self {
        Self::of(0, QuorumVerifier::majority([sid]))
    }

    /// A configuration without text, observers and addresses.
    #[must_use]
    pub fn of(version: i64, verifier: QuorumVerifier) -> Self {
        Self { version, text: Bytes::new(), verifier, observers: BTreeSet::new(), addresses: BTreeMap::new() }
    }

    /// The txn that made it; `None` for one that no txn made: that of the files, or the one that the first leader stamped.
    #[must_use]
    pub fn zxid(&self) -> Option<Zxid> {
        Some(Zxid(self.version)).filter(|zxid| zxid.counter() != 0)
    }

    /// The same members, with the version that the first leader gives to what the files say (ZOOKEEPER-1783).
    #[must_use]
    pub fn stamped(&self, epoch: Epoch) -> Self {
        const VERSION: &[u8] = b"version=";
        let version = epoch.zxid().0;
        let lines = self.text.windows(VERSION.len()).rposition(|window| window == VERSION).map_or(0, |at| at + VERSION.len());
        let text = [&self.text[..lines], format!("{version:x}").as_bytes()].concat();
        Self { version, text: text.into(), ..self.clone() }
    }
}

/// How the core reads configurations, which are opaque to it.
#[derive(Clone, Copy, Debug)]
pub struct ConfigurationReader {
    /// What a text says; `None` if it is none.
    pub parse: fn(&[u8]) -> Option<Configuration>,
    /// The text of the configuration that a txn proposes; `None` for every other txn. It is asked of each.
    pub proposed_by: fn(&Bytes) -> Option<Bytes>,
}

/// The committed configuration, and the one that is being agreed on: while there are two, a quorum is one of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    committed: Configuration,
    /// Proposed, newer than the committed one.
    last_seen: Option<Configuration>,
}

impl Membership {
    /// A membership that nobody is about to change.
    #[must_use]
    pub fn new(committed: Configuration) -> Self {
        Self { committed, last_seen: None }
    }

    /// A reconfiguration is proposed: from here on quorums are those of both. An older one changes nothing.
    pub fn propose(&mut self, next: Configuration) {
        if next.version > self.committed.version {
            self.last_seen = Some(next);
        }
    }

    /// The proposed configuration is committed.
    pub fn activate(&mut self) {
        if let Some(next) = self.last_seen.take() {
            self.committed = next;
        }
    }

    /// Somebody knows this one to be committed. False: it is no news.
    pub fn adopt(&mut self, committed: Configuration) -> bool {
        if committed.version <= self.committed.version {
            return false;
        }
        self.last_seen.take_if(|last_seen| last_seen.version <= committed.version);
        self.committed = committed;
        true
    }

    /// The history ends here now: what was proposed behind it is not.
    pub fn truncate(&mut self, to: Zxid) {
        self.last_seen.take_if(|last_seen| last_seen.zxid().is_some_and(|zxid| zxid > to));
    }

    /// The history is another one now, whose newest configuration is this.
    pub fn replace(&mut self, last_seen: Option<Configuration>) {
        self.last_seen = last_seen.filter(|last_seen| last_seen.version > self.committed.version);
    }

    /// The txn whose commit ends the reconfiguration that is under way.
    #[must_use]
    pub fn pending(&self) -> Option<Zxid> {
        self.last_seen.as_ref().and_then(Configuration::zxid)
    }

    /// Whether a reconfiguration is under way.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.last_seen.is_some()
    }

    /// The committed configuration.
    #[must_use]
    pub fn committed(&self) -> &Configuration {
        &self.committed
    }

    /// The newest configuration known.
    #[must_use]
    pub fn last_seen(&self) -> &Configuration {
        self.last_seen.as_ref().unwrap_or(&self.committed)
    }

    fn verifiers(&self) -> impl Iterator<Item = &QuorumVerifier> {
        std::iter::once(&self.committed).chain(&self.last_seen).map(|configuration| &configuration.verifier)
    }

    /// Whether this server votes in one of the configurations (`validVoter`).
    #[must_use]
    pub fn is_participant(&self, sid: ServerId) -> bool {
        self.verifiers().any(|verifier| verifier.is_participant(sid))
    }

    /// Whether this server observes. One that is in no configuration follows without a vote, as Java's do: its acks count as soon as a
    /// reconfiguration makes it a participant.
    #[must_use]
    pub fn observes(&self, sid: ServerId) -> bool {
        !self.is_participant(sid) && self.committed.observers.contains(&sid)
    }

    /// Everybody who votes in one of the configurations.
    #[must_use]
    pub fn participants(&self) -> BTreeSet<ServerId> {
        self.verifiers().flat_map(QuorumVerifier::participants).collect()
    }

    /// Whether `acks` hold a quorum of every configuration that counts now.
    #[must_use]
    pub fn contains_quorum(&self, acks: &BTreeSet<ServerId>) -> bool {
        self.verifiers().all(|verifier| verifier.contains_quorum(acks))
    }

    /// The largest value that a quorum has reached: of zxids, of rounds. `None` when no quorum has any.
    #[must_use]
    pub fn reached_by_quorum<T: Copy + Ord>(&self, reached: &BTreeMap<ServerId, T>) -> Option<T> {
        let mut values: Vec<T> = reached.values().copied().collect();
        values.sort_unstable();
        values.dedup();
        let by_quorum = |value: &T| self.contains_quorum(&reached.iter().filter(|(_, has)| *has >= value).map(|(&sid, _)| sid).collect());
        values.into_iter().rev().find(by_quorum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sids: impl IntoIterator<Item = i64>) -> BTreeSet<ServerId> {
        sids.into_iter().map(ServerId).collect()
    }

    fn configuration(version: i64, sids: impl IntoIterator<Item = i64>) -> Configuration {
        Configuration::of(version, QuorumVerifier::majority(sids.into_iter().map(ServerId)))
    }

    #[test]
    fn while_a_reconfiguration_is_under_way_both_must_agree() {
        let mut membership = Membership::new(configuration(0, [1, 2, 3]));
        membership.propose(configuration(7, [3, 4, 5]));
        assert_eq!(membership.pending(), Some(Zxid(7)));
        assert!(!membership.contains_quorum(&set([1, 2, 3])));
        assert!(membership.contains_quorum(&set([1, 3, 4])));
        assert_eq!(membership.participants(), set(1..=5));
        assert!(membership.is_participant(ServerId(5)) && membership.is_participant(ServerId(1)));
        membership.activate();
        assert!(membership.contains_quorum(&set([4, 5])) && !membership.is_participant(ServerId(1)));
        membership.propose(configuration(6, [9]));
        assert_eq!((membership.last_seen().version, membership.is_changing()), (7, false));
    }

    /// What is proposed goes with the history that proposed it.
    #[test]
    fn a_proposed_configuration_is_dropped_with_its_txn() {
        let mut membership = Membership::new(configuration(0, [1, 2, 3]));
        membership.propose(configuration(7, [3, 4, 5]));
        membership.truncate(Zxid(7));
        assert!(membership.is_changing());
        membership.truncate(Zxid(6));
        assert!(!membership.is_changing() && membership.contains_quorum(&set([1, 2])));
        membership.propose(configuration(1 << 32, [1, 2, 3]));
        membership.truncate(Zxid(6));
        assert!(membership.is_changing(), "the first leader's stamp is of no txn");
        membership.replace(Some(configuration(0, [9])));
        assert!(!membership.is_changing(), "an older one is none");
    }

    #[test]
    fn a_later_committed_configuration_ends_what_was_being_agreed_on() {
        let mut membership = Membership::new(configuration(5, [1, 2, 3]));
        membership.propose(configuration(7, [3, 4, 5]));
        assert!(membership.adopt(configuration(6, [1, 2])) && membership.is_changing());
        assert!(membership.adopt(configuration(7, [3, 4, 5])) && !membership.is_changing());
        assert!(!membership.adopt(configuration(6, [1])));
        assert_eq!(membership.committed().version, 7);
    }

    #[test]
    fn the_first_leader_stamps_what_the_files_say() {
        let files = Configuration { text: Bytes::from_static(b"server.1=a:1:2:participant\nversion=0"), ..configuration(0, [1]) };
        let stamped = files.stamped(Epoch(2));
        assert_eq!((&stamped.text[..], stamped.version), (b"server.1=a:1:2:participant\nversion=200000000".as_slice(), 2 << 32));
        assert_eq!((stamped.zxid(), configuration(9, [1]).zxid()), (None, Some(Zxid(9))));
    }

    #[test]
    fn who_is_in_no_list_follows() {
        let mut membership = Membership::new(Configuration { observers: set([9]), ..configuration(0, [1, 2, 3]) });
        assert!(membership.observes(ServerId(9)) && !membership.observes(ServerId(8)) && !membership.observes(ServerId(1)));
        membership.propose(configuration(7, [1, 2, 9]));
        assert!(!membership.observes(ServerId(9)), "its acks are needed");
    }

    #[test]
    fn what_a_quorum_has_reached() {
        let membership = Membership::new(configuration(0, [1, 2, 3]));
        let mut reached = BTreeMap::from([(ServerId(1), 9)]);
        assert_eq!(membership.reached_by_quorum(&reached), None);
        reached.insert(ServerId(8), 9);
        assert_eq!(membership.reached_by_quorum(&reached), None, "who does not vote does not count");
        reached.insert(ServerId(3), 7);
        assert_eq!(membership.reached_by_quorum(&reached), Some(7));
        reached.insert(ServerId(2), 8);
        assert_eq!(membership.reached_by_quorum(&reached), Some(8));
    }
}
