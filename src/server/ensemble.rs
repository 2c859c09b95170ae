//! What a member of an ensemble has beside its replica: links to the others, the log as learners read it, snapshots that come and go, and
//! what its operators see of its role. It carries out what the ordering core asks of the network.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::current_members::CurrentMembers;
use super::learner_snapshot::LearnerSnapshot;
use super::node::Node;
use super::snapshots::Snapshots;
use super::wake::Wake;
use crate::admin::view::ProposalSizes;
use crate::ids::Epoch;
use crate::net::peers::{PeerInbox, Peers};
use crate::replica::Input;
use crate::storage::HistoryReader;
use crate::zab::{self, LinkId, Output, RoleChange, ServerState};

/// After so long without a leader handshakes no longer wait for one, ms. Most elections are over by then, and a client that is sent
/// away comes back only after a pause of its own, or gives up when it has tried every server.
const LEADER_AWAITED_MS: i64 = 500;

/// So many inputs may wait for the replica before links are no longer read.
const INBOX_INPUTS_MAX: usize = 20_000;

/// What this server does, for its operators.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status {
    /// What it serves as; `None` while it does not serve.
    pub(super) serving: Option<ServerState>,
    /// Since when, ms of the monotonic clock.
    pub(super) since_ms: i64,
    /// Since when it has had no leader, ms of the monotonic clock. Of no use while it has one.
    unled_since_ms: i64,
    /// How far it has come where it does not serve yet.
    pub(super) is_synchronizing: Option<ServerState>,
    /// How long the last election took, ms.
    pub(super) election_ms: Option<i64>,
    /// Without a leader it serves those who put up with it.
    pub(super) is_read_only: bool,
}

impl Status {
    /// Whether there are clients that it serves.
    pub(super) fn serves(&self) -> bool {
        self.serving.is_some() || self.is_read_only
    }

    /// Whether it has no leader yet, and has not been without one for long.
    pub(super) fn awaits_leader(&self, now_ms: i64) -> bool {
        !self.serves() && now_ms - self.unled_since_ms < LEADER_AWAITED_MS
    }

    /// What `mntr` prints as `peer_state`.
    pub(super) fn name(&self) -> &'static str {
        match (self.serving, self.is_synchronizing) {
            (Some(ServerState::Leading), _) => "leading - broadcast",
            (Some(ServerState::Observing), _) => "observing - broadcast",
            (Some(_), _) => "following - broadcast",
            (None, Some(ServerState::Leading)) => "leading - synchronization",
            (None, Some(ServerState::Observing)) => "observing - synchronization",
            (None, Some(_)) => "following - synchronization",
            (None, None) => "looking",
        }
    }
}

/// Sizes of what a leader proposed, bytes; -1 before the first.
#[derive(Debug)]
struct Sizes(ProposalSizes);

impl Default for Sizes {
    fn default() -> Self {
        Self(ProposalSizes { last: -1, min: -1, max: -1 })
    }
}

/// The member's side of a node.
pub(super) struct Ensemble {
    pub(super) peers: OnceLock<Arc<Peers>>,
    runtime: Handle,
    /// `None` when the log is not read for learners.
    history: Option<Arc<Mutex<HistoryReader>>>,
    /// Frozen for a learner, and not sent yet.
    frozen: Mutex<BTreeMap<LinkId, LearnerSnapshot>>,
    snapshots: Snapshots,
    pub(super) members: CurrentMembers,
    status: Mutex<Status>,
    proposals: Mutex<Sizes>,
    /// Whether it serves observers while it follows.
    serves_observers: AtomicBool,
    pub(super) wake: Wake,
}

impl Ensemble {
    /// Belongs to the runtime that it is made in.
    pub(super) fn new(history: Option<HistoryReader>, snapshots: Snapshots, members: CurrentMembers) -> Self {
        Self {
            peers: OnceLock::new(),
            runtime: Handle::current(),
            history: history.map(|reader| Arc::new(Mutex::new(reader))),
            frozen: Mutex::default(),
            snapshots,
            members,
            status: Mutex::default(),
            proposals: Mutex::default(),
            serves_observers: AtomicBool::new(false),
            wake: Wake::default(),
        }
    }

    /// What its operators see.
    pub(super) fn status(&self) -> Status {
        *self.status.lock()
    }

    /// Whether it serves without a leader.
    pub(super) fn is_read_only(&self) -> bool {
        self.status.lock().is_read_only
    }

    pub(super) fn begin_read_only(&self) {
        self.status.lock().is_read_only = true;
        tracing::info!("READ-ONLY: there is no leader; clients that put up with old data are served");
    }

    /// What it proposed, if it leads.
    pub(super) fn proposal_sizes(&self) -> Option<ProposalSizes> {
        let leads = self.status().serving == Some(ServerState::Leading);
        leads.then(|| self.proposals.lock().0)
    }

    /// A txn of so many bytes goes to the log.
    pub(super) fn logged(&self, bytes: usize) {
        let (sizes, bytes) = (&mut self.proposals.lock().0, bytes as i64);
        sizes.last = bytes;
        sizes.min = if sizes.min < 0 { bytes } else { sizes.min.min(bytes) };
        sizes.max = sizes.max.max(bytes);
    }

    /// Whether commits are passed on to observers.
    pub(super) fn serves_observers(&self) -> bool {
        self.serves_observers.load(Relaxed)
    }

    /// Writes what was queued for other servers. The caller is in no turn.
    pub(super) fn flush(&self) {
        if let Some(peers) = self.peers.get() {
            peers.flush();
        }
    }

    /// Keeps a snapshot until it may be sent.
    pub(super) fn keep(&self, link: LinkId, snapshot: LearnerSnapshot) {
        self.frozen.lock().insert(link, snapshot);
    }

    /// Carries out what is not for the disk.
    pub(super) fn carry_out(&self, node: &Node, output: &Output) {
        let Some(peers) = self.peers.get() else { return };
        match output {
            Output::ReadHistory { link, after } => self.read_history(node.handle(), peers, *link, *after),
            Output::StreamSnapshot(link) => {
                if let Some(snapshot) = self.frozen.lock().remove(link) {
                    peers.stream_snapshot(*link, Box::new(snapshot));
                }
            }
            Output::CloseLearner(link, _) => drop(self.frozen.lock().remove(link)),
            Output::OpenObserverMasterPort => self.serves_observers.store(true, Relaxed),
            Output::CloseQuorumPort => {
                self.serves_observers.store(false, Relaxed);
                self.frozen.lock().clear();
            }
            Output::ConfigurationProposed(next) => self.members.propose(next, peers),
            Output::ConfigurationActivated(committed) => self.members.activate(committed, peers, node),
            Output::Role(change) => self.role_changed(&node.handle(), *change),
            _ => {}
        }
        peers.carry_out(output);
    }

    /// Reads the log when the learner's queue has room, on a thread that may block.
    fn read_history(&self, node: Arc<Node>, peers: &Arc<Peers>, link: LinkId, after: crate::ids::Zxid) {
        let (peers, history) = (Arc::clone(peers), self.history.clone());
        self.runtime.spawn(async move {
            peers.room(link).await;
            let read = tokio::task::spawn_blocking(move || history.and_then(|history| history.lock().read(after)));
            let slice = read.await.ok().flatten();
            node.submit(vec![Input::Zab(zab::Input::HistoryRead(link, slice))]);
        });
    }

    fn role_changed(&self, node: &Arc<Node>, change: RoleChange) {
        match change {
            RoleChange::Serving { .. } => self.snapshots.allow(node),
            RoleChange::Looking { .. } | RoleChange::Stopped => self.snapshots.forbid(),
            RoleChange::Elected { .. } | RoleChange::Discovered { .. } => {}
        }
        let mut status = self.status.lock();
        status.is_read_only = false;
        status.since_ms = node.clock.now().monotonic_ms;
        if status.serving.is_some() {
            status.unled_since_ms = status.since_ms;
        }
        match change {
            RoleChange::Looking { reason } => {
                let Status { election_ms, unled_since_ms, .. } = *status;
                *status = Status { election_ms, unled_since_ms, ..Status::default() };
                tracing::info!(?reason, "LOOKING: no client is served until there is a leader");
            }
            RoleChange::Elected { state, leader, took_ms } => {
                (status.election_ms, status.is_synchronizing) = (Some(took_ms), Some(state));
                tracing::info!(?state, %leader, took_ms, "elected");
            }
            RoleChange::Discovered { epoch: Epoch(epoch), took_ms } => tracing::info!(epoch, took_ms, "epoch discovered"),
            RoleChange::Serving { state, leader, epoch: Epoch(epoch), mode, took_ms } => {
                status.serving = Some(state);
                *self.proposals.lock() = Sizes::default();
                tracing::info!(?state, %leader, epoch, ?mode, took_ms, "synchronized: serving clients");
            }
            RoleChange::Stopped => {
                *status = Status::default();
                tracing::info!("role given up");
            }
        }
    }
}

/// Where the links put what came. What comes before the member is put together waits.
pub(super) struct Door {
    node: Arc<Node>,
    /// `None` once it is open.
    early: Mutex<Option<Vec<Input>>>,
}

impl Door {
    pub(super) fn closed(node: Arc<Node>) -> Self {
        Self { node, early: Mutex::new(Some(Vec::new())) }
    }

    /// Opens it; `first` goes before what waits.
    pub(super) fn open(&self, mut first: Vec<Input>) {
        first.extend(self.early.lock().take().unwrap_or_default());
        self.node.submit(first);
    }
}

impl PeerInbox for Door {
    fn submit(&self, inputs: Vec<zab::Input>) {
        let inputs = inputs.into_iter().map(Input::Zab);
        if let Some(early) = &mut *self.early.lock() {
            early.extend(inputs);
            return;
        }
        self.node.submit(inputs.collect());
    }

    fn is_full(&self) -> bool {
        self.node.is_log_full() || self.node.inbox_count() > INBOX_INPUTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::{LEADER_AWAITED_MS, Status};
    use crate::zab::ServerState;

    #[test]
    fn a_leader_is_awaited_for_a_while() {
        let looking = Status { unled_since_ms: 100, ..Status::default() };
        let elected = Status { is_synchronizing: Some(ServerState::Following), ..looking };
        for status in [looking, elected] {
            assert!(status.awaits_leader(99 + LEADER_AWAITED_MS));
            assert!(!status.awaits_leader(100 + LEADER_AWAITED_MS), "clients are better off elsewhere");
        }
        assert!(!Status { serving: Some(ServerState::Following), ..looking }.awaits_leader(100), "there is one");
        assert!(!Status { is_read_only: true, ..looking }.awaits_leader(100), "reads are served without one");
    }
}
