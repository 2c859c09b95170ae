//! Carrying out the effects of one turn: one small method each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::command::Command;
use super::ensemble::Ensemble;
use super::node::Node;
use crate::admin::Metrics;
use crate::ids::{ConnectionId, Zxid};
use crate::net::{Connection, Done, Namespaces};
use crate::replica::{Effects, View};
use crate::request::read::encode_event;
use crate::session::SessionCell;
use crate::tree::acl::AclList;
use crate::tree::apply::Applied;
use crate::tree::watch::{EventType, Watcher};
use crate::zab::{LinkId, Output, Packet, RoleChange};

/// What a follower did for its observers in a turn.
#[derive(Default)]
struct Observed {
    proposals: u64,
    commits: u64,
    committing: Duration,
}

impl Observed {
    /// Nothing is done for a proposal (Java keeps it until its commit); it is counted all the same.
    fn count(&self, metrics: &Metrics) {
        let summaries = &metrics.percentile_summaries;
        if self.proposals > 0 {
            summaries.om_proposal_process_time_ms.record_many(0, self.proposals);
        }
        if self.commits > 0 {
            summaries.om_commit_process_time_ms.record(self.committing.as_millis() as i64);
        }
    }
}

/// The effects of a turn that are not carried out yet.
pub(super) struct Execute<'a> {
    node: &'a Node,
    commands: Vec<Command>,
    to_freeze: Vec<LinkId>,
    touched: Vec<Arc<Connection>>,
    closed: Vec<Arc<Connection>>,
    opened: Vec<(ConnectionId, Arc<SessionCell>)>,
    now_ms: i64,
    done: Done,
    observed: Observed,
    written: MutexGuard<'a, Namespaces>,
}

impl<'a> Execute<'a> {
    /// `now_ms` is the time of the turn by the monotonic clock.
    pub(super) fn new(node: &'a Node, now_ms: i64) -> Self {
        Self {
            node,
            commands: Vec::new(),
            to_freeze: Vec::new(),
            touched: Vec::new(),
            closed: Vec::new(),
            opened: Vec::new(),
            now_ms,
            done: Done::default(),
            observed: Observed::default(),
            written: node.written.lock(),
        }
    }

    /// Hands the disk's work to the log thread. Gives the connections that have something to write, each once, and the learners that the
    /// applied state is to be frozen for.
    pub(super) fn finish(mut self, touched: &mut Vec<Arc<Connection>>) -> Vec<LinkId> {
        self.node.order(std::mem::take(&mut self.commands), self.now_ms);
        self.node.stats.add_done(&self.done);
        self.written.flush(&self.node.stats.metrics);
        self.observed.count(&self.node.stats.metrics);
        // Whoever takes a session over is told when its old connection is out of everybody's sight.
        self.closed.iter().for_each(|connection| connection.leave());
        let is_read_only = self.node.ensemble.get().is_some_and(Ensemble::is_read_only);
        for (connection, session) in std::mem::take(&mut self.opened) {
            self.with(connection, |connection| connection.opened(session, is_read_only));
        }
        self.touched.sort_unstable_by_key(|connection| connection.id());
        self.touched.dedup_by_key(|connection| connection.id());
        touched.append(&mut self.touched);
        self.to_freeze
    }

    /// Nobody is served any more: clients look for another server.
    fn let_clients_go(&mut self) {
        for connection in self.node.table.all() {
            if connection.end_service() {
                self.closed.push(connection);
            }
        }
    }

    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&Connection)) {
        // Replies come in runs for one connection.
        if self.touched.last().is_none_or(|last| last.id() != id) {
            let Some(connection) = self.node.table.get(id) else { return };
            self.touched.push(connection);
        }
        if let Some(connection) = self.touched.last() {
            act(connection);
        }
    }
}

impl Effects for Execute<'_> {
    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        if let Some(ensemble) = self.node.ensemble.get() {
            ensemble.logged(payload.len());
            self.observed.proposals += u64::from(ensemble.serves_observers());
        }
        self.commands.push(Command::Append { zxid, payload });
    }

    fn carry_out(&mut self, output: Output) {
        let Some(ensemble) = self.node.ensemble.get() else {
            unreachable!("a server without an ensemble has nobody to talk to: {output:?}");
        };
        match &output {
            Output::ConfigurationProposed(next) => self.commands.push(Command::ProposeConfiguration(next.clone())),
            Output::ConfigurationActivated(next) => self.commands.push(Command::ActivateConfiguration(next.clone())),
            _ => {}
        }
        let output = match Command::from_output(output) {
            Ok(command) => return self.commands.push(command),
            Err(output) => output,
        };
        match output {
            Output::TakeSnapshot(link) => self.to_freeze.push(link),
            Output::ToLearner(_, Packet::Inform { .. } | Packet::InformAndActivate { .. }) if ensemble.serves_observers() => {
                let began = Instant::now();
                ensemble.carry_out(self.node, &output);
                self.observed.commits += 1;
                self.observed.committing += began.elapsed();
            }
            other => {
                if let Output::Role(RoleChange::Looking { .. } | RoleChange::Elected { .. } | RoleChange::Stopped) = other {
                    self.let_clients_go();
                }
                ensemble.carry_out(self.node, &other);
            }
        }
    }

    fn reply(&mut self, view: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>) {
        let (now_ms, mut done) = (self.now_ms, std::mem::take(&mut self.done));
        self.with(connection, |connection| connection.complete_write(view, xid, applied, now_ms, &mut done));
        self.done = done;
    }

    fn event(&mut self, watchers: &[Watcher], zxid: Zxid, event: EventType, path: &str, acl: &AclList) {
        let mut frame = Vec::with_capacity(48 + path.len());
        encode_event(&mut frame, zxid, event, path);
        self.node.stats.add_event(event, watchers.len(), frame.len() - 4);
        for &watcher in watchers {
            if let Some(connection) = self.node.table.in_slot(watcher) {
                connection.event(&frame, acl);
                self.touched.push(connection);
            }
        }
    }

    fn written(&mut self, path: &str, data_bytes: usize) {
        self.written.record(&self.node.stats.metrics, path, path.len() + data_bytes);
    }

    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>) {
        self.opened.push((connection, session));
    }

    fn read_only_began(&mut self) {
        if let Some(ensemble) = self.node.ensemble.get() {
            ensemble.begin_read_only();
        }
    }

    fn session_refused(&mut self, connection: ConnectionId) {
        self.with(connection, Connection::refused);
    }

    fn close(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.node.table.get(connection) {
            connection.close();
            self.closed.push(connection);
        }
    }

    fn session_expired(&mut self, session: &SessionCell) {
        self.node.stats.count_expired_session();
        tracing::info!(session = %session.id(), timeout_ms = session.timeout_ms(), "Expiring session");
    }

    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64) {
        self.node.stats.count_digest_mismatch();
        tracing::error!(%zxid, expected, got, "digest mismatch");
    }
}
