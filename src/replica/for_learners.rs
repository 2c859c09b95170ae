//! What a leader does for the sessions of its learners: proposes their writes, keeps their sessions, confirms their syncs. A follower passes
//! on what its observers want (`relay`).

use jute::{Decode, Reader};

use super::core::{Origin, Replica, Role, SyncFor};
use super::input::Now;
use super::riders::{self, Forwarded};
use super::shared::Shared;
use crate::ids::{SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::{OpCode, OpKind};
use crate::proto::records::txn as records;
use crate::proto::txn::Body;
use crate::request::decode::{self, Write};
use crate::session::Owner;
use crate::tree::data_tree::DataTree;
use crate::zab::{self, LinkId, Rider, RiderKind};

impl Replica {
    /// A rider of a learner.
    pub(super) fn learner_rider(&mut self, shared: &Shared, now: Now, link: LinkId, rider: &Rider) {
        if matches!(self.role, Role::Learning(_)) {
            return self.relay(now, link, rider);
        }
        if !matches!(self.role, Role::Leading) || !self.zab.can_propose() {
            return;
        }
        match rider.kind {
            RiderKind::Request => self.forwarded(shared, now, link, rider),
            RiderKind::Ping => self.heard_of(now, rider),
            RiderKind::Revalidate => self.revalidate(now, link, rider),
            RiderKind::Sync => {}
        }
    }

    /// The sessions that a learner heard of, each with its timeout.
    fn heard_of(&mut self, now: Now, rider: &Rider) {
        for (session, timeout_ms) in riders::read_touches(rider) {
            self.sessions.resume(session, timeout_ms, now.monotonic_ms);
        }
    }

    /// A client came to a learner with a session: if it lives, it speaks through that learner from now on. The learner hears so behind
    /// the commits of all that is proposed: it knows its clients' writes by session and number, and a client may have begun to count anew.
    fn revalidate(&mut self, now: Now, link: LinkId, rider: &Rider) {
        let Some((session, timeout_ms)) = riders::read_touches(rider).next() else { return };
        let cell = self.sessions.get(session).filter(|cell| !cell.is_closing());
        let is_valid = cell.is_some();
        if let Some(cell) = cell {
            cell.set_owner(Owner::Learner(link.0));
            self.sessions.resume(session, timeout_ms, now.monotonic_ms);
        }
        self.validities.push_back((self.last_outstanding(), link, session, is_valid));
    }

    /// Answers about the sessions that waited for nothing later than `applied`.
    pub(super) fn tell_validities(&mut self, now: Now, applied: Zxid) {
        while let Some((_, link, session, is_valid)) = self.validities.pop_front_if(|(behind, ..)| *behind <= applied) {
            let answer = zab::Input::ToLearner(link, riders::validity(session, is_valid));
            self.zab.handle(answer, now.monotonic_ms, &mut self.outputs);
        }
    }

    fn forwarded(&mut self, shared: &Shared, now: Now, link: LinkId, rider: &Rider) {
        let Some(request) = Forwarded::read(rider) else {
            tracing::warn!(link = link.0, "a learner forwards a request that is cut off: dropped");
            return;
        };
        let tree = shared.tree.read();
        match request.op {
            OpCode::SYNC => self.confirm(SyncFor::Learner(link), now),
            OpCode::CREATE_SESSION => self.open_for(&tree, now, link, &request),
            OpCode::CLOSE_SESSION => {
                if let Some(cell) = self.sessions.get(request.session) {
                    cell.set_closing();
                }
                self.propose_write(&tree, now, (request.session, request.cxid), (&[], 0), Write::CloseSession, Origin::Server);
            }
            _ => self.write_for(&tree, now, link, &request, rider),
        }
    }

    /// The learner has chosen the id.
    fn open_for(&mut self, tree: &DataTree, now: Now, link: LinkId, request: &Forwarded) {
        let Ok(create) = records::CreateSessionTxn::decode(&mut Reader::new(&request.body)) else {
            return self.propose_error(now, (request.session, request.cxid), ErrorCode::MARSHALLING_ERROR, Origin::Server);
        };
        let id = request.session;
        if self.sessions.get(id).is_none() {
            self.sessions.track(id, create.time_out, now.monotonic_ms);
        }
        if let Some(cell) = self.sessions.get(id) {
            cell.set_owner(Owner::Learner(link.0));
        }
        self.sessions.resume(id, create.time_out, now.monotonic_ms);
        self.propose(tree, now, (id, request.cxid), OpCode::CREATE_SESSION, &Body::CreateSession(create), Origin::Server);
    }

    fn write_for(&mut self, tree: &DataTree, now: Now, link: LinkId, request: &Forwarded, rider: &Rider) {
        let client = (request.session, request.cxid);
        let decoded = match (request.op.kind(), self.speaks(request.session, link)) {
            // What no client may send reaches no log, whoever forwards it (ZOOKEEPER-2623).
            (OpKind::Read | OpKind::Immediate | OpKind::Invalid, _) => Err(ErrorCode::UNIMPLEMENTED),
            (OpKind::Write, Err(error)) => Err(error),
            (OpKind::Write, Ok(())) => decode::decode(request.op, &request.body).map_err(|_| ErrorCode::MARSHALLING_ERROR),
        };
        match decoded {
            Ok(write) => {
                let who = (&riders::identities(rider)[..], request.body.len());
                self.propose_write(tree, now, client, who, write, Origin::Server);
            }
            Err(error) => self.propose_error(now, client, error, Origin::Server),
        }
    }

    /// Whether a session lives and speaks through this learner (`SessionTrackerImpl.checkSession`), or may be known to it alone.
    fn speaks(&self, session: SessionId, link: LinkId) -> Result<(), ErrorCode> {
        match self.sessions.get(session) {
            Some(cell) if !cell.is_closing() => {
                if cell.is_owned_by(Owner::Learner(link.0)) {
                    Ok(())
                } else {
                    Err(ErrorCode::SESSION_MOVED)
                }
            }
            None if self.locals.may_be_elsewhere(session) => Ok(()),
            _ => Err(ErrorCode::SESSION_EXPIRED),
        }
    }
}
