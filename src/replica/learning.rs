//! A follower's or observer's own clients: their writes go to the leader, and are answered when the commit comes by, matched by session
//! and cxid as Java does (`CommitProcessor`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use jute::{Decode, Encode, Reader};

use super::core::{Replica, Role, SyncFor, Txnless};
use super::effects::{Effects, View};
use super::input::{Now, Request};
use super::local_sessions;
use super::relay::{Asker, Askers, Speakers};
use super::riders::{self, Forwarded};
use super::shared::Shared;
use crate::ids::{ConnectionId, SessionId};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::records::client::SyncRequest;
use crate::proto::records::txn::CreateSessionTxn;
use crate::proto::txn::TxnHeader;
use crate::request::decode;
use crate::session::SessionCell;
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::watch::WatchAccess;
use crate::zab::{self, LinkId, Output, Packet, Rider, RiderKind, answer_ping};

/// A request of an own client whose turn has not come.
enum Waiting {
    /// The leader has it. It may make ephemerals for a session that is local and stays so: the leader will refuse that.
    Forwarded { connection: ConnectionId, cxid: i32, is_ephemeral_of_local: bool },
    /// It has no txn of its own, and is answered behind the one before it.
    Txnless { connection: ConnectionId, xid: i32, answer: Txnless },
}

/// What a learner waits for.
#[derive(Default)]
pub(super) struct Learning {
    forwarded: BTreeMap<SessionId, VecDeque<Waiting>>,
    opening: BTreeMap<SessionId, (ConnectionId, Arc<SessionCell>)>,
    pub(super) askers: Askers,
    pub(super) speakers: Speakers,
    /// The leader answers syncs in their order, without saying which.
    pub(super) syncs: VecDeque<SyncFor>,
    /// Sessions that were heard of since the last PING, and are not connected here any more, or never were.
    heard: BTreeMap<SessionId, i32>,
    pinged_ms: i64,
}

impl Learning {
    /// Begins to serve.
    pub(super) fn new(now_ms: i64) -> Self {
        Self { pinged_ms: now_ms, ..Self::default() }
    }

    /// The connection of a session is gone; the leader is to know when it was heard of last.
    pub(super) fn disconnected(&mut self, cell: &SessionCell) {
        if cell.touched_ms() >= self.pinged_ms {
            self.heard(cell.id(), cell.timeout_ms());
        }
    }

    /// A session was heard of; the leader is to know.
    pub(super) fn heard(&mut self, session: SessionId, timeout_ms: i32) {
        self.heard.insert(session, timeout_ms);
    }

    fn push(&mut self, session: SessionId, waiting: Waiting) {
        self.forwarded.entry(session).or_default().push_back(waiting);
    }

    fn pop_if(&mut self, session: SessionId, is_due: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
        let queue = self.forwarded.get_mut(&session)?;
        let waiting = queue.pop_front_if(|waiting| is_due(waiting));
        if queue.is_empty() {
            self.forwarded.remove(&session);
        }
        waiting
    }

    /// A txn is applied: answers the own client that waits for it, and what stands behind that. True when a client was answered.
    pub(super) fn answer(&mut self, header: &TxnHeader, applied: &Applied<'_>, view: &mut View<'_>, effects: &mut impl Effects) -> bool {
        let session = SessionId(header.client_id);
        if OpCode(header.type_) == OpCode::CREATE_SESSION {
            if let Some((connection, cell)) = self.opening.remove(&session) {
                effects.session_opened(connection, cell);
            }
            return false;
        }
        let is_this = |waiting: &Waiting| matches!(waiting, Waiting::Forwarded { cxid, .. } if *cxid == header.cxid);
        let Some(Waiting::Forwarded { connection, cxid, is_ephemeral_of_local }) = self.pop_if(session, is_this) else { return false };
        if is_ephemeral_of_local {
            answer_write(view, connection, cxid, &local_sessions::refused(applied), effects);
        } else {
            answer_write(view, connection, cxid, applied, effects);
        }
        while let Some(Waiting::Txnless { connection, xid, answer }) =
            self.pop_if(session, |waiting| matches!(waiting, Waiting::Txnless { .. }))
        {
            effects.reply(view, connection, xid, &answer.applied());
        }
        true
    }
}

/// Answers a write. A session that moved to another server is no error that a client hears of: its old connection ends
/// (`FinalRequestProcessor`, ZOOKEEPER-710).
pub(super) fn answer_write(view: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>, effects: &mut impl Effects) {
    if *applied == Applied::Failed(ErrorCode::SESSION_MOVED) {
        effects.close(connection);
    } else {
        effects.reply(view, connection, xid, applied);
    }
}

impl Replica {
    pub(super) fn tell_leader(&mut self, rider: Rider, now: Now) {
        self.zab.handle(zab::Input::ToLeader(rider), now.monotonic_ms, &mut self.outputs);
    }

    /// A write or a sync of an own client. What cannot be decoded is refused here: it must not reach a Java leader (U6).
    pub(super) fn forward(&mut self, tree: &DataTree, now: Now, request: &Request, effects: &mut impl Effects) {
        let (session, connection, xid) = (request.session.id(), request.connection, request.xid);
        let is_sync = request.op == OpCode::SYNC;
        if !self.is_known_here(session) {
            return;
        }
        if request.op == OpCode::CLOSE_SESSION && self.locals.end(session) {
            return self.answer_txnless_behind(tree, session, (connection, xid, Txnless::Closed), effects);
        }
        let path = if is_sync { SyncRequest::decode(&mut Reader::new(&request.body)).map(|sync| sync.path) } else { Ok(None) };
        let write = if is_sync { None } else { decode::decode(request.op, &request.body).ok() };
        if path.is_err() || (!is_sync && write.is_none()) {
            return self.answer_txnless_behind(tree, session, (connection, xid, Txnless::Undecodable), effects);
        }
        let mut is_ephemeral_of_local = write.is_some_and(|write| self.is_ephemeral_of_local(session, &write));
        if is_ephemeral_of_local && let Some(time_out) = self.learner_upgrade(session, now) {
            self.forward_session(session, time_out, now);
            is_ephemeral_of_local = false;
        }
        let Role::Learning(learning) = &mut self.role else { return };
        if is_sync {
            learning.syncs.push_back(SyncFor::Own(connection));
            self.syncs.begin(connection, xid, path.ok().flatten().map(Into::into));
        } else {
            learning.push(session, Waiting::Forwarded { connection, cxid: xid, is_ephemeral_of_local });
        }
        if request.op == OpCode::CLOSE_SESSION {
            request.session.set_closing();
        }
        let forwarded = Forwarded { session, cxid: xid, op: request.op, body: request.body.clone() };
        self.tell_leader(forwarded.rider(&request.identities), now);
    }

    fn answer_txnless_behind(
        &mut self,
        tree: &DataTree,
        session: SessionId,
        (connection, xid, answer): (ConnectionId, i32, Txnless),
        effects: &mut impl Effects,
    ) {
        let Role::Learning(learning) = &mut self.role else { return };
        if learning.forwarded.contains_key(&session) {
            learning.push(session, Waiting::Txnless { connection, xid, answer });
            return;
        }
        let shared = Arc::clone(&self.shared);
        let mut view = View { tree, watches: WatchAccess::Free(&shared.watches) };
        effects.reply(&mut view, connection, xid, &answer.applied());
    }

    /// A new session: its id is chosen here, the leader proposes it.
    pub(super) fn forward_open(&mut self, connection: ConnectionId, timeout_ms: i32, now: Now) {
        let Role::Learning(learning) = &mut self.role else { return };
        let session = self.sessions.allocate();
        let cell = self.sessions.track(session, timeout_ms, now.monotonic_ms);
        self.sessions.bind(session, Some(connection));
        learning.opening.insert(session, (connection, cell));
        self.forward_session(session, timeout_ms, now);
    }

    fn forward_session(&mut self, session: SessionId, time_out: i32, now: Now) {
        let body = CreateSessionTxn { time_out }.to_vec().into();
        self.tell_leader(Forwarded { session, cxid: 0, op: OpCode::CREATE_SESSION, body }.rider(&[]), now);
    }

    /// A session that is to be closed, though nobody here speaks for it.
    pub(super) fn forward_close(&mut self, session: SessionId, now: Now) {
        let close = Forwarded { session, cxid: 0, op: OpCode::CLOSE_SESSION, body: Bytes::new() };
        self.tell_leader(close.rider(&[]), now);
    }

    /// A client comes back to its session, with the right password: the leader knows whether it lives.
    pub(super) fn ask_leader(
        &mut self,
        connection: ConnectionId,
        session: SessionId,
        timeout_ms: i32,
        now: Now,
        effects: &mut impl Effects,
    ) {
        let Role::Learning(learning) = &mut self.role else { return };
        for older in learning.askers.ask(session, connection, timeout_ms) {
            effects.close(older);
        }
        self.tell_leader(riders::revalidate(session, timeout_ms), now);
    }

    /// A rider of the leader.
    pub(super) fn leader_rider(&mut self, shared: &Shared, now: Now, rider: &Rider, effects: &mut impl Effects) {
        let Role::Learning(learning) = &mut self.role else { return };
        match rider.kind {
            RiderKind::Ping => self.answer_ping(now, rider),
            RiderKind::Revalidate => self.revalidated(now, rider, effects),
            RiderKind::Sync => match learning.syncs.pop_front() {
                Some(SyncFor::Own(connection)) => self.synced(shared, now, connection, effects),
                Some(SyncFor::Learner(link)) => tell_observer(link, riders::synced(), effects),
                None => {}
            },
            RiderKind::Request => {}
        }
    }

    /// Tells the leader which sessions were heard of since the last PING.
    fn answer_ping(&mut self, now: Now, ping: &Rider) {
        let Role::Learning(learning) = &mut self.role else { return };
        let mut heard = std::mem::take(&mut learning.heard);
        let since_ms = std::mem::replace(&mut learning.pinged_ms, now.monotonic_ms);
        let touched = self.sessions.connected().filter(|cell| cell.touched_ms() >= since_ms && !cell.is_closing());
        heard.extend(touched.map(|cell| (cell.id(), cell.timeout_ms())));
        let answer = answer_ping(ping, riders::touches(heard.into_iter()));
        self.tell_leader(answer, now);
    }

    fn revalidated(&mut self, now: Now, rider: &Rider, effects: &mut impl Effects) {
        let Role::Learning(learning) = &mut self.role else { return };
        let Some((session, is_valid)) = riders::read_validity(rider) else { return };
        let (connection, timeout_ms) = match learning.askers.answered(session) {
            Some(Asker::Own(Some(connection), timeout_ms)) => (connection, timeout_ms),
            Some(Asker::Observer(link)) => return self.revalidated_for(link, session, is_valid, effects),
            Some(Asker::Own(None, _)) | None => return,
        };
        if !is_valid {
            effects.session_refused(connection);
            return;
        }
        learning.speakers.moved(session, None);
        if self.sessions.get(session).is_none() {
            // Its createSession is on the way.
            self.sessions.track(session, timeout_ms, now.monotonic_ms);
        }
        self.sessions.resume(session, timeout_ms, now.monotonic_ms);
        self.sessions.bind(session, Some(connection));
        if let Some(cell) = self.sessions.get(session) {
            let cell = Arc::clone(cell);
            effects.session_opened(connection, cell);
        }
    }

    /// The session speaks through an observer from now on, if it lives: its connection here is an old one.
    fn revalidated_for(&mut self, link: LinkId, session: SessionId, is_valid: bool, effects: &mut impl Effects) {
        let Role::Learning(learning) = &mut self.role else { return };
        if is_valid {
            learning.speakers.moved(session, Some(link));
            if let Some(old) = self.sessions.bind(session, None) {
                effects.close(old);
            }
        }
        tell_observer(link, riders::validity(session, is_valid), effects);
    }
}

/// An answer of the leader is passed on in its very place between the commits: a Java observer goes by that.
fn tell_observer(link: LinkId, answer: Rider, effects: &mut impl Effects) {
    effects.carry_out(Output::ToLearner(link, Packet::Rider(answer)));
}
