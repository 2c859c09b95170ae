//! Fast leader election: votes, rounds, and when a vote is final (quorum-protocol.md §1.5, §1.6).
//!
//! Electing the wrong leader is harmless: discovery compares its history with those of a quorum, and fails. So all waiting here serves
//! liveness only, and a vote that everybody agrees on who can be reached needs no waiting at all. For the same reason a quorum of the
//! committed configuration elects, where Java asks for one of a proposed configuration too: who votes in that one only may not know it
//! yet, and would never say what it backs.
//!
//! ```text
//!            a better vote: adopt it, tell everybody
//!             ┌──────┐
//!             ▼      │    a quorum backs the vote         nothing better for finalize_wait,
//!   begin ─► LOOKING ┴──────────────────────► FINALIZING ─────────────────────────────────► elected
//!             │                                             or everybody reachable agrees       ▲
//!             └── a quorum follows a leader, and that leader says that it leads ────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::membership::Membership;
use super::notification::{NOTIFICATION_VERSION, Notification, ServerState, Vote};
use super::output::Output;
use super::timing::Timing;
use crate::ids::{ServerId, Zxid};

/// The zxid of a server whose database was never initialised: it does not vote (ZOOKEEPER-261).
pub const UNINITIALIZED: Zxid = Zxid(-1);

/// A vote of a round that lies so far ahead is none: no ensemble has held so many elections, and rounds must not run out.
const ROUNDS_AHEAD_MAX: i64 = 1 << 32;

/// What an election needs to know of its server. The round outlives the election.
pub(super) struct Booth<'a> {
    pub(super) own: ServerId,
    pub(super) membership: &'a Membership,
    pub(super) timing: &'a Timing,
    /// Peers to which there is surely no connection.
    pub(super) unreachable: &'a BTreeSet<ServerId>,
    /// The election before this one came to nothing: all who could be heard agreed, and one of them then heard somebody better. Now
    /// everybody has time to hear.
    pub(super) is_patient: bool,
    /// Members may change.
    pub(super) is_changeable: bool,
    /// The round of elections (`logicalclock`).
    pub(super) round: &'a mut i64,
}

impl Booth<'_> {
    /// Where members change, a participant may name one that a reconfiguration makes a participant, of which this server has not heard.
    fn may_lead(&self, leader: ServerId) -> bool {
        self.membership.is_participant(leader) || (self.is_changeable && leader != Vote::NONE.leader)
    }
}

/// A vote that was received, with who-knows-what of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ballot {
    vote: Vote,
    election_epoch: i64,
    state: ServerState,
    version: i32,
}

impl Ballot {
    fn of(notification: &Notification) -> Self {
        let Notification { state, vote, election_epoch, version, .. } = *notification;
        Self { vote, election_epoch, state, version }
    }

    /// Whether two ballots count for the same leader (`Vote.equals`). Votes of servers that are out of the election may differ in what
    /// the leader's history looked like when they voted.
    fn agrees(&self, other: &Self) -> bool {
        if self.state == ServerState::Looking || other.state == ServerState::Looking {
            return self.vote == other.vote && self.election_epoch == other.election_epoch;
        }
        let one_is_old = (self.version == 0) != (other.version == 0);
        self.vote.leader == other.vote.leader && (one_is_old || self.vote.peer_epoch == other.vote.peer_epoch)
    }
}

/// Whether `new` is a better vote than `current` (`totalOrderPredicate`): the leader with the latest epoch, then the longest history, then
/// the largest id. A server without weight never leads.
pub(super) fn beats(new: &Vote, current: &Vote, membership: &Membership) -> bool {
    let order = |vote: &Vote| (vote.peer_epoch, vote.zxid, vote.leader);
    membership.committed().verifier.weight(new.leader) != 0 && order(new) > order(current)
}

/// The result of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elected {
    pub(super) vote: Vote,
    pub(super) election_epoch: i64,
    pub(super) state: ServerState,
}

impl Elected {
    /// What this server does under the leader of a vote.
    pub(super) fn new(vote: Vote, election_epoch: i64, own: ServerId, membership: &Membership) -> Self {
        let state = match () {
            () if vote.leader == own => ServerState::Leading,
            () if membership.observes(own) => ServerState::Observing,
            () => ServerState::Following,
        };
        Self { vote, election_epoch, state }
    }
}

/// An election under way.
#[derive(Debug)]
pub(super) struct Election {
    /// The vote for oneself.
    initial: Vote,
    proposal: Vote,
    /// The votes of this round (`recvset`).
    received: BTreeMap<ServerId, Ballot>,
    /// The votes of those who are out of the election (`outofelection`).
    settled: BTreeMap<ServerId, Ballot>,
    started_ms: i64,
    interval_ms: i64,
    resend_at_ms: i64,
    /// When the vote becomes final.
    final_at_ms: Option<i64>,
}

impl Election {
    /// Opens a new round. `own_vote` is a vote for this server with its durable history; [`Vote::NONE`] for one that does not vote.
    pub(super) fn begin(own_vote: Vote, now_ms: i64, booth: &mut Booth<'_>, outputs: &mut Vec<Output>) -> (Self, Option<Elected>) {
        *booth.round += 1;
        let interval_ms = booth.timing.notification_min_ms;
        let mut election = Self {
            initial: own_vote,
            proposal: own_vote,
            received: BTreeMap::new(),
            settled: BTreeMap::new(),
            started_ms: now_ms,
            interval_ms,
            resend_at_ms: now_ms + interval_ms,
            final_at_ms: None,
        };
        election.broadcast(booth, outputs);
        let elected = election.conclude(now_ms, booth);
        (election, elected)
    }

    pub(super) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// When something is due.
    pub(super) fn wake_ms(&self) -> i64 {
        self.final_at_ms.map_or(self.resend_at_ms, |final_at_ms| final_at_ms.min(self.resend_at_ms))
    }

    /// The vote as it stands, for a peer.
    pub(super) fn notification(&self, booth: &Booth<'_>) -> Notification {
        Notification {
            state: ServerState::Looking,
            vote: self.proposal,
            election_epoch: *booth.round,
            version: NOTIFICATION_VERSION,
            config: Some(booth.membership.committed().text.clone()),
        }
    }

    fn broadcast(&mut self, booth: &Booth<'_>, outputs: &mut Vec<Output>) {
        let notification = self.notification(booth);
        for to in booth.membership.participants() {
            if to == booth.own {
                // Java sends this to itself through its queue.
                self.received.insert(to, Ballot::of(&notification));
            } else {
                outputs.push(Output::Notify { to, notification: notification.clone() });
            }
        }
    }

    /// Time has passed: says the vote again to those who may have missed it, or ends the waiting for a better one.
    pub(super) fn tick(&mut self, now_ms: i64, booth: &Booth<'_>, outputs: &mut Vec<Output>) -> Option<Elected> {
        let elected = self.conclude(now_ms, booth);
        if elected.is_none() && now_ms >= self.resend_at_ms {
            self.broadcast(booth, outputs);
            self.interval_ms = (2 * self.interval_ms).min(booth.timing.notification_max_ms);
            self.resend_at_ms = now_ms + self.interval_ms;
        }
        elected
    }

    /// A peer's connection came or went: perhaps everybody who can be reached agrees now.
    pub(super) fn reachability_changed(&mut self, now_ms: i64, booth: &Booth<'_>) -> Option<Elected> {
        self.conclude(now_ms, booth)
    }

    /// A notification of a participant.
    pub(super) fn handle(
        &mut self,
        from: ServerId,
        notification: &Notification,
        now_ms: i64,
        booth: &mut Booth<'_>,
        outputs: &mut Vec<Output>,
    ) -> Option<Elected> {
        if !booth.membership.is_participant(from) || !booth.may_lead(notification.vote.leader) {
            return None;
        }
        let ballot = Ballot::of(notification);
        if ballot.election_epoch.saturating_sub(*booth.round) > ROUNDS_AHEAD_MAX {
            return None;
        }
        match notification.state {
            ServerState::Looking => self.looking(from, ballot, now_ms, booth, outputs),
            ServerState::Observing => None,
            ServerState::Following | ServerState::Leading => self.out_of_election(from, ballot, booth),
        }
    }

    fn looking(
        &mut self,
        from: ServerId,
        ballot: Ballot,
        now_ms: i64,
        booth: &mut Booth<'_>,
        outputs: &mut Vec<Output>,
    ) -> Option<Elected> {
        if ballot.election_epoch < *booth.round {
            // It is behind: it learns of this round, unless it would not take it from one who does not vote.
            if booth.membership.is_participant(booth.own) {
                outputs.push(Output::Notify { to: from, notification: self.notification(booth) });
            }
            return None;
        }
        if self.initial.zxid == UNINITIALIZED || ballot.vote.zxid == UNINITIALIZED {
            return None;
        }
        if ballot.election_epoch > *booth.round {
            *booth.round = ballot.election_epoch;
            self.received.clear();
            self.proposal = if beats(&ballot.vote, &self.initial, booth.membership) { ballot.vote } else { self.initial };
            self.final_at_ms = None;
            self.broadcast(booth, outputs);
        } else if beats(&ballot.vote, &self.proposal, booth.membership) {
            self.proposal = ballot.vote;
            self.final_at_ms = None;
            self.broadcast(booth, outputs);
        } else if beats(&self.proposal, &ballot.vote, booth.membership)
            && booth.membership.is_participant(booth.own)
            && self.received.get(&from) != Some(&ballot)
        {
            // It does not know this vote: when that came it may still have followed the old leader. It would ask only after a while. If it
            // says the same once more it does not take this vote: it does not know that this server votes.
            outputs.push(Output::Notify { to: from, notification: self.notification(booth) });
        }
        self.received.insert(from, ballot);
        self.conclude(now_ms, booth)
    }

    /// A quorum of this round backs the vote: it is final when nothing better comes for a while, or when nobody is left to bring it.
    fn conclude(&mut self, now_ms: i64, booth: &Booth<'_>) -> Option<Elected> {
        let backs = |ballot: &Ballot| ballot.vote == self.proposal && ballot.election_epoch == *booth.round;
        let backers: BTreeSet<ServerId> = self.received.iter().filter(|(_, ballot)| backs(ballot)).map(|(&sid, _)| sid).collect();
        if !booth.membership.committed().verifier.contains_quorum(&backers) {
            self.final_at_ms = None;
            return None;
        }
        let final_at_ms = *self.final_at_ms.get_or_insert(now_ms + booth.timing.finalize_wait_ms);
        let all_agree = booth.membership.participants().iter().all(|sid| backers.contains(sid) || booth.unreachable.contains(sid));
        ((all_agree && !booth.is_patient) || now_ms >= final_at_ms).then(|| elected(&self.proposal, *booth.round, booth))
    }

    /// A peer has a leader already.
    fn out_of_election(&mut self, from: ServerId, ballot: Ballot, booth: &mut Booth<'_>) -> Option<Elected> {
        if ballot.election_epoch == *booth.round {
            self.received.insert(from, ballot);
            if has_quorum(&self.received, &ballot, booth) {
                return Some(elected(&ballot.vote, *booth.round, booth));
            }
        }
        self.settled.insert(from, ballot);
        if has_quorum(&self.settled, &ballot, booth) {
            *booth.round = ballot.election_epoch;
            return Some(elected(&ballot.vote, *booth.round, booth));
        }
        None
    }
}

fn elected(vote: &Vote, election_epoch: i64, booth: &Booth<'_>) -> Elected {
    Elected::new(*vote, election_epoch, booth.own, booth.membership)
}

/// Whether a quorum of `ballots` agrees with this one, and the leader itself says that it leads (`checkLeader`).
fn has_quorum(ballots: &BTreeMap<ServerId, Ballot>, ballot: &Ballot, booth: &Booth<'_>) -> bool {
    let leader = ballot.vote.leader;
    let leads = if leader == booth.own {
        ballot.election_epoch == *booth.round
    } else {
        // Of one that a reconfiguration makes a participant this server hears from others only.
        let is_unheard = booth.is_changeable && !booth.membership.is_participant(leader);
        is_unheard || ballots.get(&leader).is_some_and(|of_leader| of_leader.state == ServerState::Leading)
    };
    let agree = ballots.iter().filter(|(_, other)| other.agrees(ballot)).map(|(&sid, _)| sid).collect();
    leads && booth.membership.committed().verifier.contains_quorum(&agree)
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
