//! What a reconfiguration does to a server in each of its roles (quorum-protocol.md §2.11, `QuorumPeer.processReconfig`).
//!
//! ```text
//!  leader:   proposes it ─► commits it by quorums of both ─► COMMITANDACTIVATE, INFORMANDACTIVATE ─► leads on, or hands over and leaves
//!  learner:  logs it ─► is told that it is committed ─► goes on, or leaves: for another leader, or in another role
//!  looking:  hears of a later committed one ─► goes by that, and begins the election anew
//! ```

use bytes::Bytes;

use super::core::Core;
use super::leader::Leader;
use super::learner::Learner;
use super::membership::Configuration;
use super::output::{Output, Reason};
use super::packet::Packet;
use crate::ids::{Epoch, ServerId, Zxid};

impl Core {
    fn read_configuration(&self, text: &[u8]) -> Option<Configuration> {
        self.reader.and_then(|reader| (reader.parse)(text))
    }

    /// A txn that proposes a configuration is about to be logged: from now on every quorum is one of that too.
    pub(super) fn note_proposed(&mut self, zxid: Zxid, payload: &Bytes, outputs: &mut Vec<Output>) {
        let text = self.reader.and_then(|reader| (reader.proposed_by)(payload));
        let proposed = text.and_then(|text| self.read_configuration(&text));
        if let Some(next) = proposed.filter(|next| next.version == zxid.0) {
            outputs.push(Output::ConfigurationProposed(Box::new(next.clone())));
            self.membership.propose(next);
        }
    }

    /// A leader that finds nothing but files stamps what they say, so that everybody can tell it from later ones (ZOOKEEPER-1783).
    pub(super) fn stamp_configuration(&mut self, epoch: Epoch) {
        if self.reader.is_some() && self.membership.last_seen().version == 0 {
            self.membership.propose(self.membership.committed().stamped(epoch));
        }
    }

    /// What was being agreed on is agreed on.
    pub(super) fn activate(&mut self, outputs: &mut Vec<Output>) {
        if self.membership.is_changing() {
            self.membership.activate();
            self.tell_activated(outputs);
        }
    }

    /// Somebody says that this configuration is committed. True when that is news.
    pub(super) fn adopt_configuration(&mut self, committed: Configuration, outputs: &mut Vec<Output>) -> bool {
        let is_news = self.membership.adopt(committed);
        if is_news {
            self.tell_activated(outputs);
        }
        is_news
    }

    /// A peer tells what it goes by. True when that is later than what this server goes by.
    pub(super) fn hear_configuration(&mut self, text: Option<&Bytes>, outputs: &mut Vec<Output>) -> bool {
        let other = text.filter(|text| **text != self.membership.committed().text);
        let heard = other.and_then(|text| self.read_configuration(text));
        heard.is_some_and(|heard| self.adopt_configuration(heard, outputs))
    }

    fn tell_activated(&self, outputs: &mut Vec<Output>) {
        outputs.push(Output::ConfigurationActivated(Box::new(self.membership.committed().clone())));
    }
}

impl Leader {
    /// The epoch begins, by quorums of what was committed and of what was being agreed on: so that is agreed on now. Whoever is no
    /// participant of it cannot lead on.
    pub(super) fn begin_with_last_seen(&mut self, core: &mut Core, outputs: &mut Vec<Output>) {
        core.activate(outputs);
        // Those who only now hear that they vote come back as followers.
        self.had_quorum = self.has_quorum(core);
        if !core.membership.is_participant(core.own) {
            self.dismissed = Some(Reason::Reconfigured { designated: None });
        }
    }

    /// Commits a reconfiguration. From here on the new configuration counts alone.
    pub(super) fn commit_reconfiguration(&mut self, zxid: Zxid, core: &mut Core, outputs: &mut Vec<Output>) {
        let designated = self.designated(zxid, core);
        let first = outputs.len();
        core.deliver_up_to(zxid, outputs);
        assert_eq!(core.history.delivered(), zxid, "a reconfiguration is committed in its turn");
        core.committed = zxid;
        core.activate(outputs);
        self.had_quorum = self.has_quorum(core);
        let told = designated.unwrap_or(core.own);
        self.activated.push((zxid, told));
        for handler in self.learners.values_mut().filter(|handler| handler.is_forwarding()) {
            handler.activate(zxid, told, first, outputs);
        }
        if designated != Some(core.own) {
            self.dismissed = Some(Reason::Reconfigured { designated });
        }
    }

    /// Who leads next: this server if it is a participant in the same place, else whoever of the new participants has most of the history
    /// (`Leader.getDesignatedLeader`).
    fn designated(&self, zxid: Zxid, core: &Core) -> Option<ServerId> {
        let (now, next) = (core.membership.committed(), core.membership.last_seen());
        if next.verifier.is_participant(core.own) && next.addresses.get(&core.own) == now.addresses.get(&core.own) {
            return Some(core.own);
        }
        let acked = self.learners.values().filter(|handler| handler.is_in_sync() && handler.acked >= zxid);
        let candidates = acked.filter_map(|handler| Some((handler.acked, handler.sid?)));
        candidates.filter(|(_, sid)| next.verifier.is_participant(*sid) && next.verifier.weight(*sid) > 0).max().map(|(_, sid)| sid)
    }

    /// Whether a quorum of a configuration is in sync with this leader now (`Leader.isQuorumSynced`).
    pub(super) fn is_quorum_in_sync(&self, configuration: &Configuration, core: &Core) -> bool {
        let in_sync = self.learners.values().filter(|handler| handler.is_in_sync()).filter_map(|handler| handler.sid);
        // Whoever has just been made an observer is about to leave, and comes back as one: its acks would be waited for in vain.
        let in_sync = in_sync.filter(|sid| !core.membership.committed().observers.contains(sid));
        configuration.verifier.contains_quorum(&in_sync.chain([core.own]).collect())
    }
}

impl Learner {
    /// The leader says that the reconfiguration of `zxid` is committed, and who leads on.
    pub(super) fn activate(&mut self, zxid: Zxid, designated: ServerId, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let first = outputs.len();
        self.deliver(zxid, core, outputs)?;
        if outputs.len() > first
            && let Some(master) = self.observer_master()
        {
            master.activated(zxid, designated, first, core, outputs);
        }
        if core.membership.pending() != Some(zxid) {
            // This server goes by its files, or knows it already.
            return Ok(());
        }
        core.activate(outputs);
        if designated == self.leader() && !self.changes_role(core) {
            return Ok(());
        }
        Err(Reason::Reconfigured { designated: Some(designated) })
    }

    /// UPTODATE: what NEWLEADER told is committed, unless it is a txn that is not.
    pub(super) fn go_by_offered(&mut self, core: &mut Core, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let offered = self.take_offered().and_then(|text| core.read_configuration(&text));
        let delivered = core.history.delivered();
        let committed = offered.filter(|offered| offered.zxid().is_none_or(|zxid| zxid <= delivered));
        let is_news = committed.is_some_and(|committed| core.adopt_configuration(committed, outputs));
        if is_news && (self.changes_role(core) || !core.membership.is_participant(self.leader())) {
            return Err(Reason::Reconfigured { designated: None });
        }
        Ok(())
    }

    fn changes_role(&self, core: &Core) -> bool {
        self.is_observer() != core.membership.observes(core.own)
    }
}

/// What NEWLEADER says. A learner goes by it from UPTODATE on, so it must be committed then: what is logged when the epoch begins is
/// committed with its beginning, what is proposed later is not (a Java leader tells that too, and a learner goes by it too early).
pub(super) fn offered_configuration(core: &Core, epoch: Epoch) -> Bytes {
    let is_established = core.vote.peer_epoch == epoch;
    let membership = &core.membership;
    if is_established { membership.committed().text.clone() } else { membership.last_seen().text.clone() }
}

/// A learner's share of a reconfiguration's commit.
pub(super) fn inform_and_activate(zxid: Zxid, designated_leader: ServerId, first: usize, outputs: &[Output]) -> Option<Packet> {
    outputs[first..].iter().find_map(|output| match output {
        Output::Deliver { zxid: delivered, payload } if *delivered == zxid => {
            Some(Packet::InformAndActivate { zxid, designated_leader, payload: payload.clone() })
        }
        _ => None,
    })
}
