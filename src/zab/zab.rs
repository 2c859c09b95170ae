//! The object: one server's part in the ordering of txns. It dispatches inputs to the role, and changes roles.
//!
//! ```text
//!            ┌──────────── the role ends ────────────┐
//!            ▼                                       │
//!   start ─ PAUSING ─ the disk is quiet ─► LOOKING ─ elected ─► LEADING, or LEARNING (a follower or an observer)
//! ```
//! While it pauses nothing is said of this server's history: what it says must be durable.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::core::{Core, Recovered, Settings};
use super::election::{Elected, Election};
use super::input::Input;
use super::leader::{Leader, LearnerCounts, Phase};
use super::learner::Learner;
use super::membership::{Configuration, Membership};
use super::notification::{Notification, ServerState, Vote};
use super::output::{Output, Reason, RoleChange};
use crate::ids::{Epoch, ServerId, Zxid};

/// A vote for a later round that came so long before this server lost its leader, ms, is of the election that begins now: whoever sent it
/// had lost the leader a little earlier. An older one may be a vote of somebody who has found a leader since.
const MISSED_MS: i64 = 1000;

#[derive(Debug)]
enum Role {
    /// Between two roles, until the disk is quiet and this time has come.
    Pausing {
        until_ms: i64,
        /// The leader that a reconfiguration named: there is no election.
        designated: Option<ServerId>,
    },
    Looking(Election),
    Leading(Box<Leader>),
    Learning(Box<Learner>),
    Stopped,
}

/// The ordering core of one server. See the documentation of this room for the order of calls.
#[derive(Debug)]
pub struct Zab {
    core: Core,
    role: Role,
    /// The newest notification of each participant that came while this server paused, or for a later round while it had a role, with
    /// the time.
    missed: BTreeMap<ServerId, (i64, Notification)>,
}

impl Zab {
    /// A server with what its disk holds. A standalone one leads when this returns; any other begins to look for a leader.
    #[must_use]
    pub fn start(settings: Settings, recovered: Recovered, now_ms: i64, outputs: &mut Vec<Output>) -> Self {
        let core = Core::new(settings, recovered, outputs);
        let mut zab = Self { role: Role::Pausing { until_ms: now_ms, designated: None }, core, missed: BTreeMap::new() };
        if zab.core.is_standalone {
            let leader = Leader::standalone(&zab.core, now_ms);
            zab.core.state = ServerState::Leading;
            zab.core.committed = zab.core.history.last();
            zab.role = Role::Leading(Box::new(leader));
        } else {
            outputs.push(Output::Role(RoleChange::Looking { reason: Reason::Started }));
            zab.advance(now_ms, outputs);
        }
        zab
    }

    /// Handles one input. `now_ms` is a monotonic clock that never goes back.
    ///
    /// # Panics
    /// When an invariant is broken, or storage answers what was not asked: this server must not go on then.
    pub fn handle(&mut self, input: Input, now_ms: i64, outputs: &mut Vec<Output>) {
        if matches!(self.role, Role::Stopped) {
            return;
        }
        self.core.note(&input);
        let result = match input {
            Input::Shutdown => {
                self.stop(outputs);
                return;
            }
            Input::Notification { from, notification } => self.notification(from, notification, now_ms, outputs),
            Input::PeerReachable(peer) => {
                self.greet(peer, outputs);
                Ok(())
            }
            input => self.dispatch(input, now_ms, outputs),
        };
        if let Err(reason) = result {
            self.look(reason, now_ms, outputs);
        }
        self.advance(now_ms, outputs);
    }

    fn dispatch(&mut self, input: Input, now_ms: i64, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let core = &mut self.core;
        match &mut self.role {
            Role::Leading(leader) => leader.handle(input, core, now_ms, outputs),
            Role::Learning(learner) => learner.handle(input, core, now_ms, outputs),
            Role::Looking(election) => {
                let elected = match input {
                    Input::Tick => election.tick(now_ms, &core.booth(), outputs),
                    Input::PeerUnreachable(_) => election.reachability_changed(now_ms, &core.booth()),
                    _ => None,
                };
                self.take_office(elected, now_ms, outputs);
                Ok(())
            }
            Role::Pausing { .. } | Role::Stopped => Ok(()),
        }
    }

    /// When [`Input::Tick`] is due next; `None` when nothing waits for the time.
    #[must_use]
    pub fn wake_ms(&self) -> Option<i64> {
        match &self.role {
            // While the disk is at work its answer is what counts.
            Role::Pausing { until_ms, .. } => self.core.is_quiet().then_some(*until_ms),
            Role::Looking(election) => Some(election.wake_ms()),
            Role::Leading(leader) => leader.wake_ms(&self.core),
            Role::Learning(learner) => Some(learner.wake_ms(&self.core)),
            Role::Stopped => None,
        }
    }

    // Elections.

    /// A peer's vote (`WorkerReceiver`): an election takes it; whoever is not looking tells those who are what was decided.
    ///
    /// Only questions are answered, that is those of looking servers, and only servers that vote answer: nobody takes the word of another,
    /// except on who belongs to the ensemble.
    /// Two servers that answer one another do so for ever, as fast as the network is.
    fn notification(&mut self, from: ServerId, notification: Notification, now_ms: i64, outputs: &mut Vec<Output>) -> Result<(), Reason> {
        let is_participant = self.core.membership.is_participant(from);
        let asks = notification.state == ServerState::Looking && self.core.has_news_for(&notification);
        let core = &mut self.core;
        match &mut self.role {
            Role::Looking(_) if core.hear_configuration(notification.config.as_ref(), outputs) => {
                // Other members vote: the election begins anew, with this vote in it.
                self.role = Role::Pausing { until_ms: now_ms, designated: None };
                self.missed.insert(from, (now_ms, notification));
            }
            Role::Looking(election) if is_participant => {
                let elected = election.handle(from, &notification, now_ms, &mut core.booth(), outputs);
                self.take_office(elected, now_ms, outputs);
            }
            Role::Looking(election) => {
                // Somebody who does not vote asks: it learns what this server backs. A Java observer answers an older round with its own.
                if asks && notification.election_epoch <= core.round {
                    outputs.push(Output::Notify { to: from, notification: election.notification(&core.booth()) });
                }
            }
            Role::Pausing { .. } => {
                if is_participant {
                    self.missed.insert(from, (now_ms, notification));
                }
            }
            Role::Leading(_) | Role::Learning(_) => {
                if asks {
                    outputs.push(Output::Notify { to: from, notification: core.settled_notification() });
                }
                let result = match &mut self.role {
                    Role::Learning(learner) => learner.notified(from, &notification, core),
                    Role::Leading(leader) if is_participant => leader.notified(from, &notification, core),
                    _ => Ok(()),
                };
                if is_participant && notification.state == ServerState::Looking && notification.election_epoch > core.vote_round {
                    self.missed.insert(from, (now_ms, notification));
                }
                return result;
            }
            Role::Stopped => {}
        }
        Ok(())
    }

    /// There is a new connection to a peer: it may have missed this server's vote.
    fn greet(&mut self, peer: ServerId, outputs: &mut Vec<Output>) {
        if let Role::Looking(election) = &self.role
            && self.core.membership.is_participant(peer)
        {
            let notification = election.notification(&self.core.booth());
            outputs.push(Output::Notify { to: peer, notification });
        }
    }

    /// The role ends.
    fn look(&mut self, reason: Reason, now_ms: i64, outputs: &mut Vec<Output>) {
        self.core.is_patient = match &self.role {
            Role::Leading(leader) => leader.phase == Phase::Collecting,
            Role::Learning(learner) => !learner.has_promised(),
            _ => false,
        };
        let is_turned_away =
            reason == Reason::LeaderLost && matches!(&self.role, Role::Learning(learner) if learner.is_turned_away(&self.core));
        self.leave(outputs);
        self.core.state = ServerState::Looking;
        self.missed.retain(|_, (came_ms, _)| now_ms - *came_ms <= MISSED_MS);
        let designated = if let Reason::Reconfigured { designated } = reason { designated } else { None };
        let is_urgent = self.core.is_participant() || designated.is_some();
        let delay_ms = if is_urgent { 0 } else { self.core.timing.observer_delay_max_ms };
        // Whoever takes office in vain must not do so again and again as fast as the network is: a leader that refuses a history does so
        // each time.
        let pause_ms = if self.core.is_patient || is_turned_away { self.core.timing.connect_retry_ms } else { 0 };
        let until_ms = now_ms + pause_ms + self.core.chance(delay_ms as u64 + 1) as i64;
        self.role = Role::Pausing { until_ms, designated };
        outputs.push(Output::Role(RoleChange::Looking { reason }));
    }

    fn leave(&self, outputs: &mut Vec<Output>) {
        match &self.role {
            Role::Leading(_) => outputs.push(Output::CloseQuorumPort),
            Role::Learning(learner) => {
                if learner.observer_counts().is_some() {
                    outputs.push(Output::CloseQuorumPort);
                }
                outputs.push(Output::DisconnectLeader(learner.link()));
            }
            Role::Pausing { .. } | Role::Looking(_) | Role::Stopped => {}
        }
    }

    /// Closing every connection is what lets the others act at once: nobody waits for a timeout.
    fn stop(&mut self, outputs: &mut Vec<Output>) {
        self.leave(outputs);
        self.role = Role::Stopped;
        outputs.push(Output::Role(RoleChange::Stopped));
    }

    /// Opens an election as soon as nothing is being written.
    fn advance(&mut self, now_ms: i64, outputs: &mut Vec<Output>) {
        let Role::Pausing { until_ms, designated } = self.role else { return };
        if !self.core.is_quiet() || now_ms < until_ms {
            return;
        }
        if let Some(leader) = designated {
            return self.take_designated_office(leader, now_ms, outputs);
        }
        let own_vote = self.core.own_vote();
        let (election, elected) = Election::begin(own_vote, now_ms, &mut self.core.booth(), outputs);
        self.role = Role::Looking(election);
        self.take_office(elected, now_ms, outputs);
        for (from, (_, notification)) in std::mem::take(&mut self.missed) {
            // What was missed cannot end a role that has only just begun.
            let _ = self.notification(from, notification, now_ms, outputs);
        }
    }

    fn take_office(&mut self, elected: Option<Elected>, now_ms: i64, outputs: &mut Vec<Output>) {
        let Some(elected) = elected else { return };
        let Role::Looking(election) = &self.role else { unreachable!("only an election elects") };
        let took_ms = now_ms - election.started_ms();
        self.begin_office(elected, took_ms, now_ms, outputs);
    }

    /// A reconfiguration named the leader (`QuorumPeer.updateServerState`). If it does not lead, the role ends with an election.
    fn take_designated_office(&mut self, leader: ServerId, now_ms: i64, outputs: &mut Vec<Output>) {
        let core = &self.core;
        let vote = Vote { leader, zxid: core.last_zxid(), peer_epoch: core.current_epoch };
        let elected = Elected::new(vote, core.round, core.own, &core.membership);
        self.begin_office(elected, 0, now_ms, outputs);
    }

    fn begin_office(&mut self, elected: Elected, took_ms: i64, now_ms: i64, outputs: &mut Vec<Output>) {
        let Elected { vote, election_epoch, state } = elected;
        let core = &mut self.core;
        (core.vote, core.vote_round, core.state) = (vote, election_epoch, state);
        outputs.push(Output::Role(RoleChange::Elected { state, leader: vote.leader, took_ms }));
        self.role = if state == ServerState::Leading {
            Role::Leading(Box::new(Leader::elected(core, now_ms, outputs)))
        } else {
            Role::Learning(Box::new(Learner::elected(vote.leader, core, now_ms, outputs)))
        };
    }

    // Proposing: only a leader that serves.

    /// Whether [`Self::propose`] may be called.
    #[must_use]
    pub fn can_propose(&self) -> bool {
        matches!(&self.role, Role::Leading(leader) if leader.can_propose(&self.core))
    }

    fn leader(&self) -> &Leader {
        match &self.role {
            Role::Leading(leader) => leader,
            _ => panic!("only a leader proposes"),
        }
    }

    /// The zxid of the next proposal.
    ///
    /// # Panics
    /// Unless [`Self::can_propose`].
    #[must_use]
    pub fn next_zxid(&self) -> Zxid {
        self.leader().next_zxid()
    }

    /// The zxid of the newest proposal of this leadership.
    ///
    /// # Panics
    /// Unless [`Self::can_propose`].
    #[must_use]
    pub fn last_proposed(&self) -> Zxid {
        self.leader().last_proposed()
    }

    /// Proposes the txn of [`Self::next_zxid`].
    ///
    /// # Panics
    /// Unless [`Self::can_propose`].
    pub fn propose(&mut self, payload: Bytes, outputs: &mut Vec<Output>) -> Zxid {
        match &mut self.role {
            Role::Leading(leader) => leader.propose(payload, &mut self.core, outputs),
            _ => panic!("only a leader proposes"),
        }
    }

    // Views.

    /// Number of txns that are logged, or about to be, and not delivered.
    #[must_use]
    pub fn outstanding_count(&self) -> usize {
        self.core.history.undelivered_count()
    }

    /// What this server does.
    #[must_use]
    pub fn state(&self) -> ServerState {
        self.core.state
    }

    /// Whether clients may be served: this server follows, observes or leads an established epoch.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        match &self.role {
            Role::Leading(leader) => leader.phase == Phase::Broadcasting,
            Role::Learning(learner) => learner.is_serving(),
            _ => false,
        }
    }

    /// The epoch that this server has promised to follow, durably.
    #[must_use]
    pub fn accepted_epoch(&self) -> Epoch {
        self.core.accepted_epoch
    }

    /// The epoch whose history this server has, durably.
    #[must_use]
    pub fn current_epoch(&self) -> Epoch {
        self.core.current_epoch
    }

    /// The newest delivered txn.
    #[must_use]
    pub fn last_delivered(&self) -> Zxid {
        self.core.history.delivered()
    }

    /// The newest logged txn, durable or not.
    #[must_use]
    pub fn last_logged(&self) -> Zxid {
        self.core.history.last()
    }

    /// The learners of this leader; nothing on any other server.
    #[must_use]
    pub fn learner_counts(&self) -> LearnerCounts {
        match &self.role {
            Role::Leading(leader) => leader.learner_counts(&self.core),
            _ => LearnerCounts::default(),
        }
    }

    /// The observers of this follower; `None` unless it serves such.
    #[must_use]
    pub fn observer_counts(&self) -> Option<LearnerCounts> {
        match &self.role {
            Role::Learning(learner) => learner.observer_counts(),
            _ => None,
        }
    }

    /// Of an observer: the server that it observes through, a follower or the leader.
    #[must_use]
    pub fn learner_master(&self) -> Option<ServerId> {
        match &self.role {
            Role::Learning(learner) if learner.is_observer() => Some(learner.master()),
            _ => None,
        }
    }

    /// The applied state is another one now, whose newest configuration is this: it was read back from the disk.
    pub fn replace_configuration(&mut self, last_seen: Option<Configuration>) {
        self.core.membership.replace(last_seen);
    }

    /// Whether this server leads a quorum of this configuration that is in sync with it.
    #[must_use]
    pub fn is_quorum_in_sync(&self, configuration: &Configuration) -> bool {
        matches!(&self.role, Role::Leading(leader) if leader.is_quorum_in_sync(configuration, &self.core))
    }

    /// Who belongs to the ensemble.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.core.membership
    }
}
