//! Local sessions: known to the server alone that their clients came to, so that opening, keeping and ending one costs no txn.
//!
//! A local session writes and watches like any other and may not own ephemerals. Where sessions may be upgraded the first create of one
//! makes it a session of the ensemble before that: same id, same timeout, and the create follows (`QuorumZooKeeperServer`,
//! `UpgradeableSessionTracker`). No local session outlives the role of its server.

use std::sync::Arc;

use super::core::{Origin, Replica, Role, Txnless};
use super::effects::Effects;
use super::input::{Claim, Now, Request};
use crate::ids::{ConnectionId, SessionId};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::password;
use crate::proto::records::txn as records;
use crate::proto::txn::Body;
use crate::request::decode::Write;
use crate::session::{Owner, SessionCell, SessionTable};
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;

/// Whether new sessions are local. The same on all servers of an ensemble.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LocalSessions {
    /// The ensemble knows every session.
    #[default]
    Off,
    /// They are, and stay so: no ephemerals.
    Kept,
    /// They are until they create an ephemeral.
    Upgraded,
}

/// The local sessions of this server.
pub(super) struct Locals {
    rule: LocalSessions,
    /// The high byte of the sessions made here.
    server_id: u8,
    table: SessionTable,
}

impl Locals {
    pub(super) fn new(rule: LocalSessions, server_id: u8, tick_time_ms: i64, now: Now) -> Self {
        // Ids come from the table of all sessions: none of them may come again.
        Self { rule, server_id, table: SessionTable::new(server_id, now.wall_ms, tick_time_ms) }
    }

    /// Whether new sessions are local.
    pub(super) fn are_on(&self) -> bool {
        self.rule != LocalSessions::Off
    }

    pub(super) fn table(&self) -> &SessionTable {
        &self.table
    }

    /// Whether a session may be a local one of another server: its id names its server (`LeaderSessionTracker.checkSession`).
    pub(super) fn may_be_elsewhere(&self, session: SessionId) -> bool {
        self.are_on() && (session.0 >> 56) as u8 != self.server_id
    }

    /// Ends a session; false if it is none of these. Nothing more is accepted of it.
    pub(super) fn end(&mut self, session: SessionId) -> bool {
        let Some((cell, _)) = self.table.take(session) else { return false };
        cell.set_closing();
        true
    }

    /// The role of this server ends, and all of them with it.
    pub(super) fn end_all(&mut self) {
        self.table.cells().for_each(|cell| cell.set_closing());
        self.table.clear();
    }

    /// The connection of a session is gone; false if it is none of these.
    pub(super) fn disconnected(&mut self, connection: ConnectionId, session: SessionId) -> bool {
        let is_bound = self.table.connection(session) == Some(connection);
        if is_bound {
            self.table.bind(session, None);
        }
        is_bound
    }
}

/// What the client of a local session hears of a create that its leader refused: the leader knows no such session, its server does.
/// Java tells so of a single create; in a multi a Java follower passes on the SESSIONEXPIRED of its leader, for a session that lives.
pub(super) fn refused<'a>(applied: &Applied<'a>) -> Applied<'a> {
    let part = |part: &Applied<'a>| match part {
        Applied::Failed(ErrorCode::SESSION_EXPIRED) => Applied::Failed(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION),
        other => other.clone(),
    };
    match applied {
        Applied::Failed(_) => Applied::Failed(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION),
        Applied::Multi(parts) => Applied::Multi(parts.iter().map(part).collect()),
        other => other.clone(),
    }
}

impl Replica {
    /// A new session, which only this server knows.
    pub(super) fn open_local(&mut self, connection: ConnectionId, timeout_ms: i32, now: Now, effects: &mut impl Effects) {
        if matches!(self.role, Role::Leading) && !self.zab.can_propose() {
            return;
        }
        let id = self.sessions.allocate();
        let cell = self.locals.table.track(id, timeout_ms, now.monotonic_ms);
        cell.set_owner(Owner::Here);
        self.locals.table.bind(id, Some(connection));
        effects.session_opened(connection, cell);
    }

    /// A client comes back to a session that only this server knows. Gives false if there is no such session: then the ensemble may know
    /// it, or nobody does any more.
    pub(super) fn resume_local(&mut self, claim: Claim<'_>, now: Now, effects: &mut impl Effects) -> bool {
        let Claim { connection, session: id, password: given, timeout_ms } = claim;
        let Some(cell) = self.locals.table.get(id).cloned() else { return false };
        // As with any session, its old connection ends before the password is looked at.
        if let Some(old) = self.locals.table.bind(id, None).filter(|&old| old != connection) {
            effects.close(old);
        }
        if !password::matches(id, given) {
            effects.session_refused(connection);
            return true;
        }
        self.locals.table.resume(id, timeout_ms, now.monotonic_ms);
        self.locals.table.bind(id, Some(connection));
        effects.session_opened(connection, cell);
        true
    }

    /// Ends the local sessions that nothing was heard of. What they asked for before is done all the same.
    pub(super) fn expire_local(&mut self, now: Now, effects: &mut impl Effects) {
        for cell in self.locals.table.expired(now.monotonic_ms) {
            effects.session_expired(&cell);
            let connection = self.locals.table.connection(cell.id());
            self.locals.end(cell.id());
            if let Some(connection) = connection {
                effects.close(connection);
            }
        }
    }

    /// Whether this server knows the session of a request. Where sessions are local a leader cannot tell one that is over from one of
    /// another server, so what is left of a session that ended here goes no further (`ZooKeeperServer.touch`).
    pub(super) fn is_known_here(&self, session: SessionId) -> bool {
        !self.locals.are_on() || self.sessions.get(session).is_some() || self.locals.table.get(session).is_some()
    }

    /// Whether a session may own ephemerals; if not, why.
    pub(super) fn may_own_ephemerals(&self, session: SessionId) -> Result<(), ErrorCode> {
        if !self.locals.are_on() || self.sessions.get(session).is_some() {
            Ok(())
        } else if self.locals.table.get(session).is_some() {
            Err(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION)
        } else {
            // One of another server: that one knows better (`LeaderSessionTracker.checkGlobalSession`).
            Err(ErrorCode::SESSION_EXPIRED)
        }
    }

    /// Whether a write makes ephemerals and its session is a local one.
    pub(super) fn is_ephemeral_of_local(&self, session: SessionId, write: &Write<'_>) -> bool {
        self.locals.are_on() && write.creates_ephemeral() && self.locals.table.get(session).is_some()
    }

    /// The end of a local session on a leader: answered behind what its client asked for. False if the session is none.
    pub(super) fn lead_local_close(&mut self, request: &Request) -> bool {
        if !self.locals.end(request.session.id()) {
            return false;
        }
        let (connection, xid) = (request.connection, request.xid);
        self.in_flight.push_back((self.last_outstanding(), Origin::Txnless { connection, xid, answer: Txnless::Closed }));
        true
    }

    /// On a leader: the session of a write that makes ephemerals is proposed first, if it is a local one that may be upgraded.
    pub(super) fn lead_upgrade(&mut self, tree: &DataTree, now: Now, session: SessionId, write: &Write<'_>) {
        if self.is_ephemeral_of_local(session, write)
            && let Some(cell) = self.upgrade(session, now)
        {
            let body = Body::CreateSession(records::CreateSessionTxn { time_out: cell.created_timeout_ms() });
            self.propose(tree, now, (session, 0), OpCode::CREATE_SESSION, &body, Origin::Server);
        }
    }

    /// On a learner: a local session that is about to own ephemerals is upgraded, if that may be. Gives the timeout to forward.
    pub(super) fn learner_upgrade(&mut self, session: SessionId, now: Now) -> Option<i32> {
        self.upgrade(session, now).map(|cell| cell.created_timeout_ms())
    }

    /// Moves a session from the local ones to those of the ensemble, as one that is proposed; its connection notices nothing. The ensemble
    /// takes no more of them than of others.
    fn upgrade(&mut self, session: SessionId, now: Now) -> Option<Arc<SessionCell>> {
        if self.locals.rule != LocalSessions::Upgraded || self.sessions.len() >= self.sessions_max {
            return None;
        }
        let (cell, connection) = self.locals.table.take(session)?;
        cell.touch(now.monotonic_ms);
        self.sessions.adopt(&cell, connection);
        Some(cell)
    }
}
