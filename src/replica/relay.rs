//! A follower between observers and the leader: what observers forward goes on as this server's own, and what the leader answers goes to
//! whoever asked (`ObserverMaster`).
//!
//! The leader knows of none of it: to it all sessions behind this server speak through one learner. So it is this server that knows through
//! which of its observers a session speaks, and what the leader could not take goes no further.

use std::collections::{BTreeMap, VecDeque};

use jute::{Decode, Encode, Reader};

use super::core::{Replica, Role, SyncFor};
use super::input::Now;
use super::riders::{self, Forwarded};
use crate::ids::{ConnectionId, SessionId, Zxid};
use crate::proto::op_code::{OpCode, OpKind};
use crate::proto::records::client::DeleteRequest;
use crate::proto::records::txn::CreateSessionTxn;
use crate::request::decode;
use crate::zab::{LinkId, Rider, RiderKind};

/// Whoever waits for the leader's word on a session.
pub(super) enum Asker {
    /// An own client, with the timeout in ms that it has; `None` once another connection of the same session came.
    Own(Option<ConnectionId>, i32),
    /// An observer.
    Observer(LinkId),
}

/// Who asked about which session. The leader answers in the order in which it is asked.
#[derive(Default)]
pub(super) struct Askers(BTreeMap<SessionId, VecDeque<Asker>>);

impl Askers {
    /// An own client asks; gives those of its session that asked before, and are to be closed.
    pub(super) fn ask(&mut self, session: SessionId, connection: ConnectionId, timeout_ms: i32) -> Vec<ConnectionId> {
        let askers = self.0.entry(session).or_default();
        let older = askers.iter_mut().filter_map(|asker| if let Asker::Own(older, _) = asker { older.take() } else { None }).collect();
        askers.push_back(Asker::Own(Some(connection), timeout_ms));
        older
    }

    fn ask_for(&mut self, session: SessionId, link: LinkId) {
        self.0.entry(session).or_default().push_back(Asker::Observer(link));
    }

    /// The leader answered: whom?
    pub(super) fn answered(&mut self, session: SessionId) -> Option<Asker> {
        let askers = self.0.get_mut(&session)?;
        let asker = askers.pop_front();
        if askers.is_empty() {
            self.0.remove(&session);
        }
        asker
    }
}

/// Through whom the sessions speak that came here from elsewhere: an observer, or (`None`) this server itself. A session that was opened
/// behind this server is not listed before it moves.
#[derive(Default)]
pub(super) struct Speakers(BTreeMap<SessionId, Option<LinkId>>);

impl Speakers {
    /// The session speaks through this one from now on.
    pub(super) fn moved(&mut self, session: SessionId, to: Option<LinkId>) {
        self.0.insert(session, to);
    }

    /// The session has ended.
    pub(super) fn ended(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// Anybody may close a session, as at a leader.
    fn may_ask(&self, request: &Forwarded, link: LinkId) -> bool {
        let speaks = self.0.get(&request.session).is_none_or(|speaker| *speaker == Some(link));
        speaks || request.op == OpCode::CLOSE_SESSION
    }
}

/// Whether a leader can make a txn of it. Java's observers forward what no leader may be given: a `check` of its own (ZOOKEEPER-2623), and
/// what cannot be decoded, under which a Java leader breaks its ensemble (U6).
fn is_sound(request: &Forwarded) -> bool {
    match request.op {
        OpCode::CREATE_SESSION => CreateSessionTxn::decode(&mut Reader::new(&request.body)).is_ok(),
        OpCode::CLOSE_SESSION => true,
        op => op.kind() == OpKind::Write && decode::decode(op, &request.body).is_ok(),
    }
}

/// A request that every leader refuses with BADARGUMENTS and a txn: the observer waits for one of this session and number.
fn refused(request: &Forwarded) -> Rider {
    let body = DeleteRequest { path: Some("/".into()), version: -1 }.to_vec().into();
    Forwarded { session: request.session, cxid: request.cxid, op: OpCode::DELETE, body }.rider(&[])
}

impl Replica {
    /// A rider of an observer.
    pub(super) fn relay(&mut self, now: Now, link: LinkId, rider: &Rider) {
        match rider.kind {
            RiderKind::Request => self.relay_request(now, link, rider),
            RiderKind::Ping => self.relay_touches(rider),
            RiderKind::Revalidate => {
                let Role::Learning(learning) = &mut self.role else { return };
                let Some((session, timeout_ms)) = riders::read_touches(rider).next() else { return };
                learning.askers.ask_for(session, link);
                self.tell_leader(riders::revalidate(session, timeout_ms), now);
            }
            RiderKind::Sync => {}
        }
    }

    fn relay_request(&mut self, now: Now, link: LinkId, rider: &Rider) {
        let Role::Learning(learning) = &mut self.role else { return };
        let Some(request) = Forwarded::read(rider) else {
            tracing::warn!(link = link.0, "an observer forwards a request that is cut off: dropped");
            return;
        };
        if request.op == OpCode::SYNC {
            // Whatever it names: the observer waits for the answer, and nothing is done by it.
            learning.syncs.push_back(SyncFor::Learner(link));
        } else if !is_sound(&request) || !learning.speakers.may_ask(&request, link) {
            return self.tell_leader(refused(&request), now);
        }
        // A Java leader fails on a null.
        let authinfo = if request.op == OpCode::CREATE_SESSION { None } else { rider.authinfo.clone().or(Some(Vec::new())) };
        self.tell_leader(Rider { kind: RiderKind::Request, zxid: Zxid(-1), data: rider.data.clone(), authinfo }, now);
    }

    /// The sessions that an observer heard of go into the next answer to the leader's PING. Nobody can make that long by naming others.
    fn relay_touches(&mut self, rider: &Rider) {
        let Role::Learning(learning) = &mut self.role else { return };
        for (session, timeout_ms) in riders::read_touches(rider) {
            if self.sessions.get(session).is_some() {
                learning.heard(session, timeout_ms);
            }
        }
    }
}
