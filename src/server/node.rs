//! The replica behind its inbox. It has no thread of its own: whoever brings work runs a turn, unless somebody does already.

use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::clock::Clock;
use super::command::Command;
use super::ensemble::Ensemble;
use super::execute::Execute;
use super::learner_snapshot::LearnerSnapshot;
use super::persistence::{State, Walk};
use super::settings::SNAPSHOT_SLICE_BYTES;
use crate::config::HostPort;
use crate::ids::ServerId;
use crate::net::{Connection, ConnectionTable, Direction, Namespaces, ServerStats};
use crate::replica::{Input, Replica, Shared};
use crate::session::SessionTable;
use crate::tree::snapshot_walk::SnapshotStart;
use crate::zab::{self, LearnerCounts, LinkId};

/// So many bytes of txns wait for the log thread before nothing more is taken from peers. Clients have limits of their own.
const LOG_QUEUE_BYTES_MAX: usize = 64 << 20;

/// What waits for the log thread.
#[derive(Default)]
pub(super) struct LogQueue {
    waiting: Vec<Command>,
    /// Bytes of the txns in it.
    bytes: usize,
    /// Since when the first of them waits, in ms of the monotonic clock.
    pub(super) since_ms: i64,
    pub(super) is_idle: bool,
    pub(super) is_stopping: bool,
}

impl LogQueue {
    /// Takes all that waits.
    pub(super) fn take(&mut self) -> Vec<Command> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Adds a batch to a queue; one that is empty takes it over as it is.
fn append<T>(queue: &mut Vec<T>, mut batch: Vec<T>) {
    if queue.is_empty() { *queue = batch } else { queue.append(&mut batch) }
}

/// The replica and what surrounds it.
pub(super) struct Node {
    replica: Mutex<Replica>,
    inbox: Mutex<Vec<Input>>,
    pub(super) shared: Arc<Shared>,
    pub(super) table: Arc<ConnectionTable>,
    pub(super) stats: Arc<ServerStats>,
    pub(super) clock: Clock,
    pub(super) log: Mutex<LogQueue>,
    pub(super) log_wakes: Condvar,
    /// What turns write where. Whoever runs one holds it.
    pub(super) written: Mutex<Namespaces>,
    /// Set on a member of an ensemble, before its first turn.
    pub(super) ensemble: OnceLock<Ensemble>,
    /// Where a reconfiguration wants clients to be served.
    pub(super) client_port: watch::Sender<Option<HostPort>>,
    own: Weak<Self>,
}

impl Node {
    pub(super) fn new(replica: Replica, shared: Arc<Shared>, clock: Clock) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            replica: Mutex::new(replica),
            inbox: Mutex::default(),
            shared,
            table: Arc::default(),
            stats: Arc::default(),
            clock,
            log: Mutex::default(),
            log_wakes: Condvar::new(),
            written: Mutex::new(Namespaces::new(Direction::Write)),
            ensemble: OnceLock::new(),
            client_port: watch::Sender::new(None),
            own: own.clone(),
        })
    }

    /// Itself, for those who hold on to it.
    pub(super) fn handle(&self) -> Arc<Self> {
        self.own.upgrade().expect("whoever calls it holds the node")
    }

    /// How many inputs wait for the replica.
    pub(super) fn inbox_count(&self) -> usize {
        self.inbox.lock().len()
    }

    /// Puts work into the inbox and sees to it that it is done: here and now, or by the thread that is in a turn.
    pub(super) fn submit(&self, inputs: Vec<Input>) {
        append(&mut self.inbox.lock(), inputs);
        while let Some(mut replica) = self.replica.try_lock() {
            let touched = self.run_turns(&mut replica);
            drop(replica);
            if let Some(ensemble) = self.ensemble.get() {
                ensemble.flush();
            }
            for connection in touched {
                connection.flush();
            }
            // Whoever came while the replica was ours left its work to us.
            if self.inbox.lock().is_empty() {
                return;
            }
        }
    }

    /// Whether the core knows the time; tells it if not, which may end its role and close connections. The caller holds no lock.
    pub(super) fn is_current(&self, now_ms: i64) -> bool {
        let Some(ensemble) = self.ensemble.get() else { return true };
        if !ensemble.wake.is_late(now_ms) {
            return true;
        }
        self.submit(vec![Input::Zab(zab::Input::Tick)]);
        !ensemble.wake.is_late(now_ms)
    }

    fn run_turns(&self, replica: &mut Replica) -> Vec<Arc<Connection>> {
        let mut touched = Vec::new();
        loop {
            let mut inputs = std::mem::take(&mut *self.inbox.lock());
            if inputs.is_empty() {
                if let Some(ensemble) = self.ensemble.get() {
                    ensemble.wake.set(replica.wake_ms());
                }
                return touched;
            }
            let now = self.clock.now();
            if self.ensemble.get().is_some_and(|ensemble| ensemble.wake.is_late(now.monotonic_ms)) {
                // What waited in the sockets of a process that was stopped is not from now.
                inputs.insert(0, Input::Zab(zab::Input::Tick));
            }
            let count = inputs.len();
            let mut execute = Execute::new(self, now.monotonic_ms);
            replica.handle(now, inputs, &mut execute);
            let to_freeze = execute.finish(&mut touched);
            to_freeze.into_iter().for_each(|link| self.freeze(replica, link));
            self.stats.add_turn(count, self.clock.now().monotonic_ms - now.monotonic_ms);
        }
    }

    /// Freezes the applied state for a learner.
    fn freeze(&self, replica: &Replica, link: LinkId) {
        let mut head = Vec::new();
        let start = replica.begin_snapshot(&mut head);
        let zxid = start.zxid;
        let walk = Walk { shared: Arc::clone(&self.shared), id: start.walk };
        if let Some(ensemble) = self.ensemble.get() {
            ensemble.keep(link, LearnerSnapshot { walk, zxid, head, slice_bytes: SNAPSHOT_SLICE_BYTES });
            self.inbox.lock().push(Input::Zab(zab::Input::SnapshotTaken(link, zxid)));
        }
    }

    /// Adds to the log thread's queue, in order: the caller is in a turn.
    pub(super) fn order(&self, commands: Vec<Command>, now_ms: i64) {
        if commands.is_empty() {
            return;
        }
        let bytes: usize = commands.iter().filter_map(Command::appended).map(|(_, payload)| payload.len()).sum();
        let mut log = self.log.lock();
        if log.waiting.is_empty() {
            log.since_ms = now_ms;
        }
        append(&mut log.waiting, commands);
        log.bytes += bytes;
        let wake = log.is_idle;
        drop(log);
        if wake {
            self.log_wakes.notify_one();
        }
    }

    /// Whether so much waits for the log thread that nothing more should be taken from a peer.
    pub(super) fn is_log_full(&self) -> bool {
        self.log.lock().bytes >= LOG_QUEUE_BYTES_MAX
    }

    /// The replica takes over a state that was read back from the disk. What is submitted after this finds it there.
    pub(super) fn reload(&self, state: State) {
        let now = self.clock.now();
        self.replica.lock().reload(state, now);
        self.submit(Vec::new());
    }

    /// Begins a snapshot of what is applied now; appends its head to `out`.
    pub(super) fn begin_snapshot(&self, out: &mut Vec<u8>) -> SnapshotStart {
        let start = self.replica.lock().begin_snapshot(out);
        self.submit(Vec::new());
        start
    }

    /// Numbers of sessions: those that the ensemble knows, and the local ones.
    pub(super) fn session_counts(&self) -> (usize, usize) {
        self.view_sessions(|global, local| (global.len(), local.map_or(0, SessionTable::len)))
    }

    /// Looks at the sessions: those that the ensemble knows, and the local ones if there are such.
    pub(super) fn view_sessions<T>(&self, look: impl FnOnce(&SessionTable, Option<&SessionTable>) -> T) -> T {
        let replica = self.replica.lock();
        let seen = look(replica.sessions(), replica.local_sessions());
        drop(replica);
        self.submit(Vec::new());
        seen
    }

    /// The server through which this one observes, and the observers that this one serves while it follows.
    pub(super) fn observers(&self) -> (Option<ServerId>, Option<LearnerCounts>) {
        let replica = self.replica.lock();
        let observers = (replica.learner_master(), replica.observer_counts());
        drop(replica);
        self.submit(Vec::new());
        observers
    }

    /// The learners of this leader, and the number of syncs that wait.
    pub(super) fn leadership(&self) -> (LearnerCounts, usize) {
        let replica = self.replica.lock();
        let leadership = (replica.learner_counts(), replica.pending_sync_count());
        drop(replica);
        self.submit(Vec::new());
        leadership
    }
}
