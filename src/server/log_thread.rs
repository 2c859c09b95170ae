//! The log thread: takes all that waits, in its order; writes appends that stand together with one write and one fdatasync, and tells
//! the replica.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::Command;
use super::config_files::ConfigFiles;
use super::incoming::Incoming;
use super::node::Node;
use super::persistence::{Journal, Truncated};
use super::snapshots::Snapshots;
use crate::ids::Zxid;
use crate::replica::Input;
use crate::storage::StorageError;
use crate::zab;

/// The mark beside the log is synced this often at most, and this long after the last batch at the latest.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// What the log thread works with.
pub(super) struct LogThread {
    pub(super) node: Arc<Node>,
    pub(super) journal: Journal,
    pub(super) snapshots: Snapshots,
    /// Snapshots from a leader; `None` for a server that has none.
    pub(super) incoming: Option<Arc<Incoming>>,
    /// The files of the configuration; `None` where it is in none, or never changes.
    pub(super) config_files: Option<ConfigFiles>,
    /// `fsync.warningthresholdms`.
    pub(super) warning_threshold_ms: u64,
}

impl LogThread {
    /// Runs until the node stops. An error of the disk is final.
    pub(super) fn run(&mut self) -> Result<(), StorageError> {
        let mut mark_synced = Instant::now();
        while let Some((commands, since_ms)) = next_commands(&self.node) {
            for run in commands.chunk_by(|one, next| one.is_append() && next.is_append()) {
                self.carry_out(run, since_ms)?;
            }
            if commands.is_empty() || mark_synced.elapsed() >= MARK_INTERVAL {
                self.journal.sync_mark()?;
                mark_synced = Instant::now();
            }
        }
        self.journal.close()
    }

    /// Carries out appends that stand together, or one other order. `since_ms` is when the first of all that waits came.
    fn carry_out(&mut self, run: &[Command], since_ms: i64) -> Result<(), StorageError> {
        match run {
            [Command::StoreAcceptedEpoch(epoch)] => {
                self.journal.store_accepted_epoch(*epoch)?;
                self.tell(zab::Input::AcceptedEpochStored(*epoch));
            }
            [Command::StoreCurrentEpoch(epoch)] => {
                self.journal.store_current_epoch(*epoch)?;
                self.tell(zab::Input::CurrentEpochStored(*epoch));
            }
            [Command::Truncate(to)] => self.truncate(*to)?,
            [Command::InstallSnapshot(zxid)] => self.install(*zxid)?,
            [Command::ProposeConfiguration(next)] => self.config_files.iter().for_each(|files| files.propose(next)),
            [Command::ActivateConfiguration(next)] => self.config_files.iter().for_each(|files| files.activate(next)),
            appends => self.append(appends, since_ms)?,
        }
        Ok(())
    }

    fn tell(&self, input: zab::Input) {
        self.node.submit(vec![Input::Zab(input)]);
    }

    fn append(&mut self, appends: &[Command], since_ms: i64) -> Result<(), StorageError> {
        let node = &self.node;
        let (started, started_ms) = (Instant::now(), node.clock.now().monotonic_ms);
        let written = self.journal.write(appends.iter().filter_map(Command::appended), || node.shared.tree.read().snapshot_bytes())?;
        let took_ms = started.elapsed().as_millis() as u64;
        node.stats.add_flush(appends.len(), started_ms - since_ms, took_ms as i64);
        if took_ms > self.warning_threshold_ms {
            tracing::warn!(took_ms, "fsync-ing the write ahead log took long, which will adversely affect operation latency");
        }
        if let Some(written) = written {
            self.tell(zab::Input::Persisted(written.last));
            if written.is_snapshot_due {
                self.snapshots.start(&self.node);
            }
        }
        Ok(())
    }

    /// No snapshot may be under way: it would come to stand above the target, or be of a history that is gone.
    fn truncate(&mut self, to: Zxid) -> Result<(), StorageError> {
        let paused = self.snapshots.pause();
        let applied = self.node.shared.tree.read().last_zxid();
        if applied > to {
            // Two trees at once may be more than the memory holds.
            self.node.reload(self.journal.empty_state());
        }
        let (answer, state) = match self.journal.truncate(to, applied)? {
            Truncated::Kept => (zab::Input::Truncated(to), None),
            Truncated::Reloaded(state) => (zab::Input::Truncated(to), Some(state)),
            Truncated::Refused(state) => (zab::Input::TruncationRefused(to), state),
        };
        tracing::info!(%to, %applied, is_refused = matches!(answer, zab::Input::TruncationRefused(_)), "history truncated");
        if let Some(state) = state {
            self.node.reload(state);
        }
        drop(paused);
        self.tell(answer);
        Ok(())
    }

    /// As a truncation.
    fn install(&mut self, zxid: Zxid) -> Result<(), StorageError> {
        let paused = self.snapshots.pause();
        let Some(received) = self.incoming.as_ref().and_then(|incoming| incoming.take(zxid)) else {
            tracing::error!(%zxid, "there is no such snapshot to be installed");
            self.tell(zab::Input::InstallationRefused(zxid));
            return Ok(());
        };
        self.node.reload(self.journal.empty_state());
        let (answer, state) = match self.journal.install(received)? {
            Ok(state) => (zab::Input::SnapshotInstalled(zxid), state),
            Err(state) => (zab::Input::InstallationRefused(zxid), state),
        };
        tracing::info!(%zxid, is_refused = matches!(answer, zab::Input::InstallationRefused(_)), "snapshot of the leader installed");
        self.node.reload(state);
        // It has no digest, and that of a Java leader is of no single zxid: one of our own replaces it as soon as this server serves.
        drop(paused);
        self.snapshots.start(&self.node);
        self.tell(answer);
        Ok(())
    }
}

/// All that waits, and since when; nothing when nothing came for the mark's interval; `None` when the node stops.
fn next_commands(node: &Node) -> Option<(Vec<Command>, i64)> {
    let mut queue = node.log.lock();
    while queue.is_empty() {
        if queue.is_stopping {
            return None;
        }
        queue.is_idle = true;
        let waited = node.log_wakes.wait_for(&mut queue, MARK_INTERVAL);
        queue.is_idle = false;
        if waited.timed_out() {
            break;
        }
    }
    let since_ms = queue.since_ms;
    Some((queue.take(), since_ms))
}
