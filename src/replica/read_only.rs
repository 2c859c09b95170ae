//! A member that has been without a leader for long answers the reads of clients that put up with it (client-protocol.md §13).
//!
//! What it shows may be older than what the ensemble has, and its end may never be committed. Its sessions are known to nobody else, no txn
//! tells of them, and they end when there is a leader again. Nobody else is served.

use std::sync::Arc;

use super::core::{Replica, Role};
use super::effects::{Effects, View};
use super::input::{Claim, Now, Request};
use crate::ids::ConnectionId;
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::password;
use crate::session::SessionTable;
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::watch::WatchAccess;

impl Replica {
    /// When reads begin to be served if no leader is found before, ms of the monotonic clock.
    pub(super) fn read_only_at_ms(&self) -> Option<i64> {
        let is_idle = matches!(self.role, Role::Idle);
        self.looking_since_ms.zip(self.read_only_delay_ms).filter(|_| is_idle).map(|(since_ms, delay_ms)| since_ms + delay_ms)
    }

    /// Begins to serve reads when it is time.
    pub(super) fn consider_read_only(&mut self, now: Now, effects: &mut impl Effects) {
        if self.read_only_at_ms().is_some_and(|at_ms| now.monotonic_ms >= at_ms) {
            // Ids come from the table of all sessions: none of them may come again.
            self.role = Role::ReadOnly(SessionTable::new(0, now.wall_ms, self.tick_time_ms));
            effects.read_only_began();
        }
    }

    /// A new session, which only this server knows.
    pub(super) fn open_read_only(&mut self, connection: ConnectionId, timeout_ms: i32, now: Now, effects: &mut impl Effects) {
        let Role::ReadOnly(sessions) = &mut self.role else { return };
        if sessions.len() >= self.sessions_max {
            effects.close(connection);
            return;
        }
        let id = self.sessions.allocate();
        let cell = sessions.track(id, timeout_ms, now.monotonic_ms);
        sessions.bind(id, Some(connection));
        effects.session_opened(connection, cell);
    }

    /// A session of the ensemble is left alone: its client must not take this server for one that keeps it alive
    /// (`ReadOnlyZooKeeperServer.validateSession`).
    pub(super) fn resume_read_only(&mut self, claim: Claim<'_>, now: Now, effects: &mut impl Effects) {
        let Claim { connection, session: id, password: given, timeout_ms } = claim;
        let Role::ReadOnly(sessions) = &mut self.role else { return };
        if self.sessions.get(id).is_some() {
            effects.close(connection);
            return;
        }
        let Some(cell) = sessions.get(id).filter(|_| password::matches(id, given)).cloned() else {
            effects.session_refused(connection);
            return;
        };
        if let Some(old) = sessions.bind(id, Some(connection)).filter(|&old| old != connection) {
            effects.close(old);
        }
        sessions.resume(id, timeout_ms, now.monotonic_ms);
        effects.session_opened(connection, cell);
    }

    /// A client may end its session; every other write, and `sync`, is refused unread (`ReadOnlyRequestProcessor`).
    pub(super) fn answer_read_only(&mut self, tree: &DataTree, request: &Request, effects: &mut impl Effects) {
        let Role::ReadOnly(sessions) = &mut self.role else { return };
        let applied = if request.op == OpCode::CLOSE_SESSION {
            sessions.remove(request.session.id());
            Applied::Session
        } else {
            Applied::Failed(ErrorCode::NOT_READ_ONLY)
        };
        let shared = Arc::clone(&self.shared);
        let mut view = View { tree, watches: WatchAccess::Free(&shared.watches) };
        effects.reply(&mut view, request.connection, request.xid, &applied);
    }

    /// Ends the sessions that nothing was heard of.
    pub(super) fn expire_read_only(&mut self, now: Now, effects: &mut impl Effects) {
        let Role::ReadOnly(sessions) = &mut self.role else { return };
        for cell in sessions.expired(now.monotonic_ms) {
            effects.session_expired(&cell);
            if let Some(connection) = sessions.remove(cell.id()) {
                effects.close(connection);
            }
        }
    }
}
