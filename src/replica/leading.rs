//! A leader's own clients: their writes become proposals, their sessions open, go on and expire. A standalone server is one.

use std::sync::Arc;

use jute::{Decode, Reader};

use super::core::{Origin, PAYLOADS_BYTES, Replica, Role, SyncFor, Txnless};
use super::effects::{Effects, View};
use super::input::{Claim, Now, Request};
use super::shared::Shared;
use crate::ids::{ConnectionId, SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::password;
use crate::proto::records::client::SyncRequest;
use crate::proto::records::txn as records;
use crate::proto::txn::{self, Body, TxnDigest, TxnHeader};
use crate::request::decode::{self, Write, WriteError};
use crate::request::prepare::{Prepare, acl_bytes_max};
use crate::session::Owner;
use crate::tree::acl::Identity;
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::digest::DIGEST_VERSION;
use crate::tree::watch::WatchAccess;
use crate::zab::{self, SyncId};

impl Replica {
    /// A write or a sync of an own client.
    pub(super) fn lead(&mut self, tree: &DataTree, now: Now, request: &Request, effects: &mut impl Effects) {
        let (connection, xid) = (request.connection, request.xid);
        let is_close = request.op == OpCode::CLOSE_SESSION;
        let undecodable = Origin::Txnless { connection, xid, answer: Txnless::Undecodable };
        if !self.is_known_here(request.session.id()) || (is_close && self.lead_local_close(request)) {
            return;
        }
        if !is_close && !request.session.is_owned_by(Owner::Here) {
            // The client speaks through another server: this connection is an old one.
            effects.close(connection);
            return;
        }
        if request.op == OpCode::SYNC {
            match SyncRequest::decode(&mut Reader::new(&request.body)) {
                Ok(sync) => self.sync(connection, xid, sync.path.map(Into::into), now),
                Err(_) => self.in_flight.push_back((self.last_outstanding(), undecodable)),
            }
            return;
        }
        let write = match decode::decode(request.op, &request.body) {
            Ok(write) => Ok(write),
            // Java gives a malformed multi a zxid of its own, and no other malformed write.
            Err(error) if request.op == OpCode::MULTI && error != WriteError::NullAcl => Err(ErrorCode::MARSHALLING_ERROR),
            Err(_) => {
                self.in_flight.push_back((self.last_outstanding(), undecodable));
                return;
            }
        };
        let session = request.session.id();
        if is_close && request.session.is_closing() && self.sessions.get(session).is_none() {
            return;
        }
        let checked = match write {
            Ok(_) if request.session.is_closing() && !is_close => Err(ErrorCode::SESSION_EXPIRED),
            other => other,
        };
        if is_close {
            request.session.set_closing();
        }
        if let Ok(write) = &checked {
            self.lead_upgrade(tree, now, session, write);
        }
        let origin = Origin::Request { connection, xid };
        match checked {
            Ok(write) => self.propose_write(tree, now, (session, xid), (&request.identities, request.body.len()), write, origin),
            Err(error) => self.propose_error(now, (session, xid), error, origin),
        }
    }

    // Proposals. Only a leader that can propose comes here.

    /// The next txn is made by this: a request of so many bytes, of whoever has these identities.
    fn prepare<'a>(
        &'a mut self,
        tree: &'a DataTree,
        now: Now,
        session: SessionId,
        (identities, request_bytes): (&'a [Identity], usize),
    ) -> Prepare<'a> {
        let may_own_ephemerals = self.may_own_ephemerals(session);
        Prepare {
            tree,
            overlay: &mut self.overlay,
            rules: &self.rules,
            zxid: self.zab.next_zxid(),
            time_ms: now.wall_ms,
            session,
            identities,
            may_own_ephemerals,
            acl_bytes_left: acl_bytes_max(request_bytes),
        }
    }

    pub(super) fn propose_write(
        &mut self,
        tree: &DataTree,
        now: Now,
        (session, cxid): (SessionId, i32),
        (identities, request_bytes): (&[Identity], usize),
        write: Write<'_>,
        origin: Origin,
    ) {
        let prepared = match &write {
            Write::Reconfig(request) => self
                .next_configuration(request)
                .and_then(|text| self.prepare(tree, now, session, (identities, request_bytes)).configuration(text)),
            _ => self.prepare(tree, now, session, (identities, request_bytes)).write(write),
        };
        match prepared {
            Ok((kind, body)) => self.propose(tree, now, (session, cxid), kind, &body, origin),
            Err(error) => self.propose_error(now, (session, cxid), error, origin),
        }
    }

    /// A failed write has a txn too: it takes a zxid and is answered in its turn.
    pub(super) fn propose_error(&mut self, now: Now, (session, cxid): (SessionId, i32), error: ErrorCode, origin: Origin) {
        let body = Body::Error(records::ErrorTxn { err: error.0 });
        self.propose_payload(now, (session, cxid), OpCode::ERROR, &body, None, origin);
    }

    pub(super) fn propose(&mut self, tree: &DataTree, now: Now, client: (SessionId, i32), kind: OpCode, body: &Body<'_>, origin: Origin) {
        let digest = tree.digest_enabled().then(|| TxnDigest { version: DIGEST_VERSION, tree_digest: self.overlay.digest() as i64 });
        self.propose_payload(now, client, kind, body, digest, origin);
    }

    fn propose_payload(
        &mut self,
        now: Now,
        (session, cxid): (SessionId, i32),
        kind: OpCode,
        body: &Body<'_>,
        digest: Option<TxnDigest>,
        origin: Origin,
    ) {
        let zxid = self.zab.next_zxid();
        let header = TxnHeader { client_id: session.0, cxid, zxid: zxid.0, time: now.wall_ms, type_: kind.0 };
        txn::encode_into(&mut self.encoded, &header, body, digest);
        self.payloads.extend_from_slice(&self.encoded);
        let payload = self.payloads.split().freeze();
        self.encoded.clear();
        self.encoded.shrink_to(PAYLOADS_BYTES);
        self.zab.propose(payload, &mut self.outputs);
        if !matches!(origin, Origin::Server) {
            self.in_flight.push_back((zxid, origin));
        }
    }

    /// What has to be applied before everything is that was proposed so far. A leader that has proposed nothing in its epoch waits for
    /// nothing.
    pub(super) fn last_outstanding(&self) -> Zxid {
        if self.zab.outstanding_count() > 0 { self.zab.last_proposed() } else { self.applied_zxid() }
    }

    // Syncs.

    fn sync(&mut self, connection: ConnectionId, xid: i32, path: Option<String>, now: Now) {
        self.syncs.begin(connection, xid, path);
        self.confirm(SyncFor::Own(connection), now);
    }

    /// Has a quorum confirm that this server still leads.
    pub(super) fn confirm(&mut self, sync: SyncFor, now: Now) {
        self.next_sync += 1;
        let id = SyncId(self.next_sync);
        let from = if let SyncFor::Learner(link) = &sync { Some(*link) } else { None };
        self.unconfirmed.insert(id, sync);
        self.zab.handle(zab::Input::Sync { sync: id, from }, now.monotonic_ms, &mut self.outputs);
    }

    /// A quorum has confirmed it, and what was proposed before the sync is applied.
    pub(super) fn sync_confirmed(&mut self, shared: &Shared, now: Now, sync: SyncId, effects: &mut impl Effects) {
        match self.unconfirmed.remove(&sync) {
            Some(SyncFor::Own(connection)) => self.synced(shared, now, connection, effects),
            Some(SyncFor::Learner(link)) => {
                let answer = zab::Input::ToLearner(link, super::riders::synced());
                self.zab.handle(answer, now.monotonic_ms, &mut self.outputs);
            }
            None => {}
        }
    }

    /// Answers a sync of an own client, and goes on with what waited behind it.
    pub(super) fn synced(&mut self, shared: &Shared, now: Now, connection: ConnectionId, effects: &mut impl Effects) {
        let Some((waiting, held)) = self.syncs.end(connection) else { return };
        let tree = shared.tree.read();
        let mut view = View { tree: &tree, watches: WatchAccess::Free(&shared.watches) };
        effects.reply(&mut view, connection, waiting.xid, &Applied::Synced(waiting.path.as_deref()));
        for request in held {
            // Another sync among them holds back the rest.
            if let Some(request) = self.syncs.hold(request) {
                self.request(&tree, now, request, effects);
            }
        }
    }

    // Sessions.

    pub(super) fn open_session(&mut self, tree: &DataTree, connection: ConnectionId, timeout_ms: i32, now: Now) {
        if !self.zab.can_propose() {
            return;
        }
        let id = self.sessions.allocate();
        let session = self.sessions.track(id, timeout_ms, now.monotonic_ms);
        session.set_owner(Owner::Here);
        self.sessions.bind(id, Some(connection));
        let body = Body::CreateSession(records::CreateSessionTxn { time_out: timeout_ms });
        self.propose(tree, now, (id, 0), OpCode::CREATE_SESSION, &body, Origin::OpenSession { connection, session });
    }

    /// Another connection of the same session is closed before the password is looked at (client-protocol.md §1.4 step 8).
    pub(super) fn resume_session(&mut self, claim: Claim<'_>, now: Now, effects: &mut impl Effects) {
        let Claim { connection, session: id, password: given, timeout_ms } = claim;
        // A leader that has lost its office in this very turn does not know which sessions live.
        if matches!(self.role, Role::Idle) || matches!(self.role, Role::Leading) && !self.zab.can_propose() {
            effects.close(connection);
            return;
        }
        if self.resume_local(claim, now, effects) {
            return;
        }
        if let Some(old) = self.sessions.connection(id).filter(|&old| old != connection) {
            self.sessions.bind(id, None);
            effects.close(old);
        }
        if !password::matches(id, given) {
            effects.session_refused(connection);
            return;
        }
        if matches!(self.role, Role::Learning(_)) {
            self.ask_leader(connection, id, timeout_ms, now, effects);
            return;
        }
        match self.sessions.get(id) {
            // Its end is proposed, and may come to nothing: another leader would go on with it. Who asks again will know.
            Some(cell) if cell.is_closing() => effects.close(connection),
            Some(cell) => {
                let cell = Arc::clone(cell);
                cell.set_owner(Owner::Here);
                self.sessions.resume(id, timeout_ms, now.monotonic_ms);
                self.sessions.bind(id, Some(connection));
                effects.session_opened(connection, cell);
            }
            None => effects.session_refused(connection),
        }
    }

    pub(super) fn reap(&mut self, tree: &DataTree, now: Now, path: &str) {
        if !self.zab.can_propose() {
            return;
        }
        let mut prepare = self.prepare(tree, now, SessionId::NONE, (&[], 0));
        // Gone, used again or refilled meanwhile: the next sweep looks again.
        if let Ok((kind, body)) = prepare.delete_container(path) {
            self.propose(tree, now, (SessionId::NONE, 0), kind, &body, Origin::Server);
        }
    }

    /// Ephemerals whose session nobody knows, as Java servers leave them behind. Java's leader removes them for itself alone
    /// (ZOOKEEPER-5010): here their session is closed by a txn, which a learner asks its leader for.
    pub(super) fn close_orphans(&mut self, now: Now) {
        let shared = Arc::clone(&self.shared);
        let tree = shared.tree.read();
        let orphans: Vec<SessionId> = tree.ephemeral_owners().filter(|&session| self.sessions.get(session).is_none()).collect();
        for session in orphans {
            tracing::warn!(%session, "closing a session that is not known and has ephemerals");
            match self.role {
                Role::Leading if self.zab.can_propose() => {
                    self.propose_write(&tree, now, (session, 0), (&[], 0), Write::CloseSession, Origin::Server);
                }
                Role::Learning(_) => self.forward_close(session, now),
                _ => {}
            }
        }
    }

    /// Only the leader lets sessions of the ensemble expire.
    pub(super) fn expire_sessions(&mut self, tree: &DataTree, now: Now, effects: &mut impl Effects) {
        self.expire_read_only(now, effects);
        self.expire_local(now, effects);
        if !matches!(self.role, Role::Leading) {
            return;
        }
        for cell in self.sessions.expired(now.monotonic_ms) {
            if !self.zab.can_propose() {
                return;
            }
            effects.session_expired(&cell);
            cell.set_closing();
            self.propose_write(tree, now, (cell.id(), 0), (&[], 0), Write::CloseSession, Origin::Server);
        }
    }
}
