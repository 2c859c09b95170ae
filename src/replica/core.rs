//! One replica: requests become txns, committed txns are applied, sessions open, expire and close.
//!
//! Order of a turn: all inputs are prepared against the tree and what is pending over it, then everything delivered is applied under
//! one write lock, each reply right after its txn.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::effects::{Effects, View};
use super::input::{Input, Now, Request};
use super::shared::Shared;
use crate::ids::{ConnectionId, ServerId, SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::password;
use crate::proto::records::txn as records;
use crate::proto::txn::{self, Body, TxnDigest, TxnHeader};
use crate::request::decode::{self, Write, WriteError};
use crate::request::overlay::Overlay;
use crate::request::prepare::{Prepare, WriteRules};
use crate::session::{SessionCell, SessionTable};
use crate::tree::acl::Identity;
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::digest::DIGEST_VERSION;
use crate::tree::snapshot_walk::SnapshotStart;
use crate::tree::watch::WatchAccess;
use crate::zab::{Configuration, HistoryLimits, Membership, Output, Recovered, Settings, Timing, Zab};

/// What a replica is told at its start.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// This server's id; 1 when it stands alone, as Java's does.
    pub server_id: u8,
    /// The tick, ms.
    pub tick_time_ms: i64,
    /// Keys the hashes.
    pub seed: u64,
    /// The rules of writes.
    pub rules: WriteRules,
}

/// Who waits for a txn.
pub(super) enum Origin {
    /// A client's write.
    Request {
        /// Where the reply goes.
        connection: ConnectionId,
        /// The request's number.
        xid: i32,
    },
    /// A write that could not even be decoded: it has no txn of its own and is answered behind the one before it.
    Undecodable {
        /// Where the reply goes.
        connection: ConnectionId,
        /// The request's number.
        xid: i32,
    },
    /// A client's new session.
    OpenSession {
        /// The client's connection.
        connection: ConnectionId,
        /// The session.
        session: Arc<SessionCell>,
    },
    /// Nobody: expiry and sweeps.
    Server,
}

/// An ordering core that leads itself.
fn standalone(settings: &ReplicaSettings, last_zxid: Zxid, now: Now) -> Zab {
    let server_id = ServerId(i64::from(settings.server_id));
    let zab_settings = Settings {
        server_id,
        membership: Membership::new(Configuration::alone(server_id)),
        is_standalone: true,
        timing: Timing::new(settings.tick_time_ms, 1, 1),
        // There is no learner to keep history for.
        history: HistoryLimits { delivered_count_max: 0, delivered_bytes_max: 0 },
        reads_disk: false,
        forces_snapshot: false,
        seed: settings.seed,
    };
    let mut outputs = Vec::new();
    let zab = Zab::start(zab_settings, Recovered { last_zxid, ..Recovered::default() }, now.monotonic_ms, &mut outputs);
    assert!(outputs.is_empty(), "nothing has to be done before such a server leads: {outputs:?}");
    zab
}

/// One replica of the ensemble.
pub struct Replica {
    pub(super) shared: Arc<Shared>,
    pub(super) sessions: SessionTable,
    pub(super) overlay: Overlay,
    pub(super) in_flight: VecDeque<(Zxid, Origin)>,
    zab: Zab,
    rules: WriteRules,
    outputs: Vec<Output>,
    encoded: Vec<u8>,
    /// Payloads are cut off its front: many share one allocation.
    payloads: BytesMut,
}

/// Bytes that payloads are cut from.
const PAYLOADS_BYTES: usize = 64 << 10;

impl Replica {
    /// A standalone server over a recovered tree, with the sessions found on disk: each has its whole timeout from now.
    #[must_use]
    pub fn standalone(settings: ReplicaSettings, shared: Arc<Shared>, sessions: &[(SessionId, i32)], now: Now) -> Self {
        let (last_zxid, digest) = {
            let tree = shared.tree.read();
            (tree.last_zxid(), tree.digest())
        };
        let mut table = SessionTable::new(settings.server_id, now.wall_ms, settings.tick_time_ms);
        for &(session, timeout_ms) in sessions {
            table.created(session, timeout_ms, now.monotonic_ms);
        }
        Self {
            shared,
            sessions: table,
            overlay: Overlay::new(settings.seed, digest),
            in_flight: VecDeque::new(),
            zab: standalone(&settings, last_zxid, now),
            rules: settings.rules,
            outputs: Vec::new(),
            encoded: Vec::new(),
            payloads: BytesMut::with_capacity(PAYLOADS_BYTES),
        }
    }

    /// The state that the disk holds after a truncation or the installation of a snapshot, before the input that says so. No client is
    /// served then. Each session has its whole timeout from now.
    pub fn reload(&mut self, (tree, sessions): (DataTree, Vec<(SessionId, i32)>), now: Now) {
        self.overlay.reset(tree.digest());
        self.sessions.reload(&sessions, now.monotonic_ms);
        *self.shared.tree.write() = tree;
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &SessionTable {
        &self.sessions
    }

    /// Begins a snapshot of what is applied now, sessions and tree alike. Appends the part before the znodes to `out`.
    pub fn begin_snapshot(&self, out: &mut Vec<u8>) -> SnapshotStart {
        let sessions: Vec<(SessionId, i32)> = self.sessions.iter().collect();
        self.shared.tree.write().begin_snapshot(&sessions, out)
    }

    /// Number of txns that are proposed and not applied.
    #[must_use]
    pub fn outstanding_count(&self) -> usize {
        self.zab.outstanding_count()
    }

    /// Handles a batch of inputs in their order.
    pub fn handle(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>, effects: &mut impl Effects) {
        let shared = Arc::clone(&self.shared);
        {
            let tree = shared.tree.read();
            for input in inputs {
                self.handle_one(&tree, now, input, effects);
            }
        }
        let mut delivered = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::Append { zxid, payload } => effects.append(zxid, payload),
                Output::Deliver { payload, .. } => delivered.push(payload),
                other => effects.carry_out(other),
            }
        }
        if !delivered.is_empty() {
            self.apply_all(&shared, &delivered, now, effects);
        }
        if self.in_flight.front().is_some_and(|(zxid, origin)| matches!(origin, Origin::Undecodable { .. }) && *zxid <= self.applied_zxid())
        {
            self.answer_undecodable(&shared, effects);
        }
    }

    fn applied_zxid(&self) -> Zxid {
        self.shared.tree.read().last_zxid()
    }

    fn handle_one(&mut self, tree: &DataTree, now: Now, input: Input, effects: &mut impl Effects) {
        match input {
            Input::Request(request) => self.request(tree, now, &request),
            Input::OpenSession { connection, timeout_ms } => self.open_session(tree, connection, timeout_ms, now),
            Input::ResumeSession { connection, session, password, timeout_ms } => {
                self.resume_session(connection, session, &password, timeout_ms, now, effects);
            }
            Input::Disconnected { connection, session } => {
                if self.sessions.connection(session) == Some(connection) {
                    self.sessions.bind(session, None);
                }
            }
            Input::Reap { path } => self.reap(tree, now, &path),
            Input::Tick => self.expire_sessions(tree, now, effects),
            Input::Zab(input) => self.zab.handle(input, now.monotonic_ms, &mut self.outputs),
        }
    }

    fn request(&mut self, tree: &DataTree, now: Now, request: &Request) {
        let (connection, xid) = (request.connection, request.xid);
        let write = match decode::decode(request.op, &request.body) {
            Ok(write) => Ok(write),
            // Java gives a malformed multi a zxid of its own, and no other malformed write.
            Err(error) if request.op == OpCode::MULTI && error != WriteError::NullAcl => Err(ErrorCode::MARSHALLING_ERROR),
            Err(_) => {
                self.in_flight.push_back((self.zab.last_proposed(), Origin::Undecodable { connection, xid }));
                return;
            }
        };
        let session = request.session.id();
        let is_close = request.op == OpCode::CLOSE_SESSION;
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
        let origin = Origin::Request { connection, xid };
        match checked {
            Ok(write) => self.propose_write(tree, now, (session, xid), &request.identities, write, origin),
            Err(error) => self.propose_error(now, (session, xid), error, origin),
        }
    }

    fn propose_write(
        &mut self,
        tree: &DataTree,
        now: Now,
        (session, cxid): (SessionId, i32),
        identities: &[Identity],
        write: Write<'_>,
        origin: Origin,
    ) {
        let mut prepare = Prepare {
            tree,
            overlay: &mut self.overlay,
            rules: &self.rules,
            zxid: self.zab.next_zxid(),
            time_ms: now.wall_ms,
            session,
            identities,
        };
        match prepare.write(write) {
            Ok((kind, body)) => self.propose(tree, now, (session, cxid), kind, &body, origin),
            Err(error) => self.propose_error(now, (session, cxid), error, origin),
        }
    }

    /// A failed write has a txn too: it takes a zxid and is answered in its turn.
    fn propose_error(&mut self, now: Now, (session, cxid): (SessionId, i32), error: ErrorCode, origin: Origin) {
        let body = Body::Error(records::ErrorTxn { err: error.0 });
        self.propose_payload(now, (session, cxid), OpCode::ERROR, &body, None, origin);
    }

    fn propose(&mut self, tree: &DataTree, now: Now, client: (SessionId, i32), kind: OpCode, body: &Body<'_>, origin: Origin) {
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
        self.in_flight.push_back((zxid, origin));
    }

    fn open_session(&mut self, tree: &DataTree, connection: ConnectionId, timeout_ms: i32, now: Now) {
        let id = self.sessions.allocate();
        let session = self.sessions.track(id, timeout_ms, now.monotonic_ms);
        self.sessions.bind(id, Some(connection));
        let body = Body::CreateSession(records::CreateSessionTxn { time_out: timeout_ms });
        self.propose(tree, now, (id, 0), OpCode::CREATE_SESSION, &body, Origin::OpenSession { connection, session });
    }

    /// Another connection of the same session is closed before the password is looked at (client-protocol.md §1.4 step 8).
    fn resume_session(
        &mut self,
        connection: ConnectionId,
        id: SessionId,
        given: &[u8],
        timeout_ms: i32,
        now: Now,
        effects: &mut impl Effects,
    ) {
        if let Some(old) = self.sessions.connection(id).filter(|&old| old != connection) {
            self.sessions.bind(id, None);
            effects.close(old);
        }
        match self.sessions.get(id) {
            Some(cell) if password::matches(id, given) && !cell.is_closing() => {
                let cell = Arc::clone(cell);
                self.sessions.resume(id, timeout_ms, now.monotonic_ms);
                self.sessions.bind(id, Some(connection));
                effects.session_opened(connection, cell);
            }
            _ => effects.session_refused(connection),
        }
    }

    fn reap(&mut self, tree: &DataTree, now: Now, path: &str) {
        let mut prepare = Prepare {
            tree,
            overlay: &mut self.overlay,
            rules: &self.rules,
            zxid: self.zab.next_zxid(),
            time_ms: now.wall_ms,
            session: SessionId::NONE,
            identities: &[],
        };
        // Gone, used again or refilled meanwhile: the next sweep looks again.
        if let Ok((kind, body)) = prepare.delete_container(path) {
            self.propose(tree, now, (SessionId::NONE, 0), kind, &body, Origin::Server);
        }
    }

    fn expire_sessions(&mut self, tree: &DataTree, now: Now, effects: &mut impl Effects) {
        for cell in self.sessions.expired(now.monotonic_ms) {
            effects.session_expired(&cell);
            cell.set_closing();
            self.propose_write(tree, now, (cell.id(), 0), &[], Write::CloseSession, Origin::Server);
        }
    }

    fn answer_undecodable(&mut self, shared: &Shared, effects: &mut impl Effects) {
        let tree = shared.tree.read();
        let mut view = View { tree: &tree, watches: WatchAccess::Free(&shared.watches) };
        while let Some((zxid, Origin::Undecodable { connection, xid })) = self.in_flight.front() {
            if *zxid > tree.last_zxid() {
                return;
            }
            effects.reply(&mut view, *connection, *xid, &Applied::Failed(ErrorCode::MARSHALLING_ERROR));
            self.in_flight.pop_front();
        }
    }
}
