//! One replica: requests become txns, committed txns are applied, sessions open, expire and close.
//!
//! Order of a turn: all inputs are prepared against the tree and what is pending over it, then everything delivered is applied under
//! one write lock, each reply right after its txn. What the ordering core has for the replica comes in between, in its order.
//!
//! What this server is at the moment decides what becomes of its own clients' requests: [`Role`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::configuration;
use super::effects::{Effects, View};
use super::input::{Claim, Input, Now, Request};
use super::learning::Learning;
use super::local_sessions::{LocalSessions, Locals};
use super::shared::Shared;
use super::syncs::Syncs;
use crate::ids::{ConnectionId, ServerId, SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::txn::Txn;
use crate::request::overlay::Overlay;
use crate::request::prepare::WriteRules;
use crate::session::{SessionCell, SessionTable};
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::snapshot_walk::SnapshotStart;
use crate::tree::watch::WatchAccess;
use crate::zab::{
    self, Configuration, HistoryLimits, LearnerCounts, LinkId, Membership, Output, Packet, Recovered, Settings, SyncId, Timing, Zab,
};

/// What a replica is told at its start.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// The high byte of the sessions made here: the low byte of this server's id; 1 when it stands alone, as Java's does.
    pub server_id: u8,
    /// The tick, ms.
    pub tick_time_ms: i64,
    /// Sessions in total; a client that wants one more is closed.
    pub sessions_max: usize,
    /// Without a leader for so long, ms, a member serves clients that put up with old data; `None`: never (`readonlymode.enabled`).
    pub read_only_delay_ms: Option<i64>,
    /// Whether new sessions are local ones of a member. Off on a server that stands alone.
    pub local_sessions: LocalSessions,
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
    /// A request that has no txn of its own and is answered behind the one before it.
    Txnless {
        /// Where the reply goes.
        connection: ConnectionId,
        /// The request's number.
        xid: i32,
        /// With what.
        answer: Txnless,
    },
    /// A client's new session.
    OpenSession {
        /// The client's connection.
        connection: ConnectionId,
        /// The session.
        session: Arc<SessionCell>,
    },
    /// Nobody here: expiry, sweeps, and what learners forwarded.
    Server,
}

/// The answer to a request that has no txn of its own.
#[derive(Clone, Copy)]
pub(super) enum Txnless {
    /// It could not even be decoded.
    Undecodable,
    /// A local session has ended.
    Closed,
}

impl Txnless {
    pub(super) fn applied(self) -> Applied<'static> {
        match self {
            Self::Undecodable => Applied::Failed(ErrorCode::MARSHALLING_ERROR),
            Self::Closed => Applied::Session,
        }
    }
}

/// Who waits for the confirmation of a sync.
pub(super) enum SyncFor {
    Own(ConnectionId),
    Learner(LinkId),
}

/// What this server does for its clients.
pub(super) enum Role {
    /// Nothing: there is no leader.
    Idle,
    /// It proposes their writes.
    Leading,
    /// It forwards their writes, and answers when their commits come by.
    Learning(Learning),
    /// There has been no leader for long: it answers reads, within sessions of its own.
    ReadOnly(SessionTable),
}

/// An ordering core that leads itself.
fn standalone(settings: &ReplicaSettings, last_zxid: Zxid, now: Now) -> Zab {
    let server_id = ServerId(i64::from(settings.server_id));
    let zab_settings = Settings {
        server_id,
        membership: Membership::new(Configuration::alone(server_id)),
        reader: None,
        is_standalone: true,
        timing: Timing::new(settings.tick_time_ms, 1, 1),
        // There is no learner to keep history for.
        history: HistoryLimits { delivered_count_max: 0, delivered_bytes_max: 0 },
        reads_disk: false,
        forces_snapshot: false,
        has_observer_masters: false,
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
    pub(super) locals: Locals,
    pub(super) overlay: Overlay,
    pub(super) zab: Zab,
    pub(super) role: Role,
    /// Of a leader: proposals in zxid order, and who waits for each.
    pub(super) in_flight: VecDeque<(Zxid, Origin)>,
    /// Of a leader: what learners asked of sessions, each answered when everything up to a zxid is applied.
    pub(super) validities: VecDeque<(Zxid, LinkId, SessionId, bool)>,
    /// Of a leader: syncs that a quorum has to confirm.
    pub(super) unconfirmed: BTreeMap<SyncId, SyncFor>,
    pub(super) next_sync: u64,
    pub(super) syncs: Syncs,
    pub(super) rules: WriteRules,
    pub(super) sessions_max: usize,
    pub(super) read_only_delay_ms: Option<i64>,
    pub(super) tick_time_ms: i64,
    /// Since when a member looks for a leader, ms of the monotonic clock.
    pub(super) looking_since_ms: Option<i64>,
    pub(super) outputs: Vec<Output>,
    /// An empty buffer for the outputs of the next round.
    spare: Vec<Output>,
    delivered: Vec<Bytes>,
    pub(super) encoded: Vec<u8>,
    /// Payloads are cut off its front: many share one allocation.
    pub(super) payloads: BytesMut,
}

/// Bytes that payloads are cut from.
pub(super) const PAYLOADS_BYTES: usize = 64 << 10;

impl Replica {
    /// A standalone server over a recovered tree, with the sessions found on disk: each has its whole timeout from now.
    #[must_use]
    pub fn standalone(settings: ReplicaSettings, shared: Arc<Shared>, sessions: &[(SessionId, i32)], now: Now) -> Self {
        let last_zxid = shared.tree.read().last_zxid();
        let zab = standalone(&settings, last_zxid, now);
        let mut replica = Self::new(settings, zab, Role::Leading, shared, sessions, now);
        replica.close_orphans(now);
        replica
    }

    /// A member of an ensemble, over a recovered tree with the sessions found on disk. What it asks for at once comes with the first
    /// call of [`Self::handle`].
    #[must_use]
    pub fn member(
        settings: ReplicaSettings,
        (mut ensemble, recovered): (Settings, Recovered),
        shared: Arc<Shared>,
        sessions: &[(SessionId, i32)],
        now: Now,
    ) -> Self {
        let mut outputs = Vec::new();
        if let Some(last_seen) = ensemble.reader.and_then(|_| configuration::of_tree(&shared.tree.read())) {
            ensemble.membership.propose(last_seen);
        }
        let zab = Zab::start(ensemble, recovered, now.monotonic_ms, &mut outputs);
        let mut replica = Self::new(settings, zab, Role::Idle, Arc::clone(&shared), sessions, now);
        replica.sessions.leave_office();
        replica.outputs = outputs;
        replica.put_config(&mut shared.tree.write(), now);
        replica
    }

    fn new(settings: ReplicaSettings, zab: Zab, role: Role, shared: Arc<Shared>, sessions: &[(SessionId, i32)], now: Now) -> Self {
        let digest = shared.tree.read().digest();
        let mut table = SessionTable::new(settings.server_id, now.wall_ms, settings.tick_time_ms);
        for &(session, timeout_ms) in sessions {
            table.created(session, timeout_ms, now.monotonic_ms);
        }
        Self {
            shared,
            sessions: table,
            locals: Locals::new(settings.local_sessions, settings.server_id, settings.tick_time_ms, now),
            overlay: Overlay::new(settings.seed, digest),
            zab,
            role,
            in_flight: VecDeque::new(),
            validities: VecDeque::new(),
            unconfirmed: BTreeMap::new(),
            next_sync: 0,
            syncs: Syncs::default(),
            rules: settings.rules,
            sessions_max: settings.sessions_max,
            read_only_delay_ms: settings.read_only_delay_ms,
            tick_time_ms: settings.tick_time_ms,
            looking_since_ms: None,
            outputs: Vec::new(),
            spare: Vec::new(),
            delivered: Vec::new(),
            encoded: Vec::new(),
            payloads: BytesMut::with_capacity(PAYLOADS_BYTES),
        }
    }

    /// The state that the disk holds after a truncation or the installation of a snapshot, before the input that says so. No client is
    /// served then. Each session has its whole timeout from now.
    pub fn reload(&mut self, (mut tree, sessions): (DataTree, Vec<(SessionId, i32)>), now: Now) {
        self.overlay.reset(tree.digest());
        self.sessions.reload(&sessions, now.monotonic_ms);
        if self.rules.reconfig_enabled {
            self.zab.replace_configuration(configuration::of_tree(&tree));
        }
        self.put_config(&mut tree, now);
        *self.shared.tree.write() = tree;
    }

    /// Each member of an ensemble shows the configuration that it goes by.
    fn put_config(&self, tree: &mut DataTree, now: Now) {
        let config = self.zab.membership().committed();
        // What a txn put there is at least as new, and with `reconfigEnabled` it counts.
        let is_known = || configuration::of_tree(tree).is_some_and(|known| known.version >= config.version);
        let is_due = !self.rules.reconfig_enabled || !is_known();
        if is_due && !config.text.is_empty() {
            tree.put_config(&config.text, Zxid(config.version), now.wall_ms);
        }
    }

    // Views.

    /// The sessions that the ensemble knows.
    #[must_use]
    pub fn sessions(&self) -> &SessionTable {
        &self.sessions
    }

    /// The sessions that only this server knows; `None` where there are no such.
    #[must_use]
    pub fn local_sessions(&self) -> Option<&SessionTable> {
        self.locals.are_on().then(|| self.locals.table())
    }

    /// Whether clients are served by a leader's word: what is applied is committed then, and only then may a snapshot of it be taken.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        matches!(self.role, Role::Leading | Role::Learning(_))
    }

    /// When the input `Zab(Tick)` is due next, ms of the monotonic clock.
    #[must_use]
    pub fn wake_ms(&self) -> Option<i64> {
        let core_ms = self.zab.wake_ms();
        core_ms.into_iter().chain(self.read_only_at_ms()).min()
    }

    /// The learners of this leader; nothing on any other server.
    #[must_use]
    pub fn learner_counts(&self) -> LearnerCounts {
        self.zab.learner_counts()
    }

    /// Of an observer: the server that it observes through.
    #[must_use]
    pub fn learner_master(&self) -> Option<ServerId> {
        self.zab.learner_master()
    }

    /// The observers of this follower; `None` unless it serves such.
    #[must_use]
    pub fn observer_counts(&self) -> Option<LearnerCounts> {
        self.zab.observer_counts()
    }

    /// Number of syncs that wait for their answer.
    #[must_use]
    pub fn pending_sync_count(&self) -> usize {
        self.syncs.len().max(self.unconfirmed.len())
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

    // Turns.

    /// Handles a batch of inputs in their order.
    pub fn handle(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>, effects: &mut impl Effects) {
        let shared = Arc::clone(&self.shared);
        {
            let tree = shared.tree.read();
            for input in inputs {
                self.handle_one(&tree, now, input, effects);
            }
        }
        loop {
            self.settle(&shared, now, effects);
            if self.outputs.is_empty() {
                self.catch_up(&shared, now, effects);
            }
            if self.outputs.is_empty() {
                self.consider_read_only(now, effects);
                return;
            }
        }
    }

    fn handle_one(&mut self, tree: &DataTree, now: Now, input: Input, effects: &mut impl Effects) {
        match input {
            Input::Request(request) => {
                if let Some(request) = self.syncs.hold(request) {
                    self.request(tree, now, request, effects);
                }
            }
            Input::OpenSession { connection, .. } if self.sessions.len() + self.locals.table().len() >= self.sessions_max => {
                effects.close(connection);
            }
            Input::OpenSession { connection, timeout_ms, takes_read_only } => match self.role {
                Role::Leading | Role::Learning(_) if self.locals.are_on() => self.open_local(connection, timeout_ms, now, effects),
                Role::Leading => self.open_session(tree, connection, timeout_ms, now),
                Role::Learning(_) => self.forward_open(connection, timeout_ms, now),
                Role::ReadOnly(_) if takes_read_only => self.open_read_only(connection, timeout_ms, now, effects),
                Role::Idle | Role::ReadOnly(_) => effects.close(connection),
            },
            Input::ResumeSession { connection, session, password, timeout_ms, takes_read_only } => {
                let claim = Claim { connection, session, password: &password, timeout_ms };
                match self.role {
                    Role::ReadOnly(_) if takes_read_only => self.resume_read_only(claim, now, effects),
                    Role::ReadOnly(_) => effects.close(connection),
                    _ => self.resume_session(claim, now, effects),
                }
            }
            Input::Disconnected { connection, session } => self.disconnected(connection, session),
            Input::Reap { path } => self.reap(tree, now, &path),
            Input::Tick => self.expire_sessions(tree, now, effects),
            Input::Zab(input) => self.zab.handle(understood(input), now.monotonic_ms, &mut self.outputs),
        }
    }

    /// A write or a sync of an own client.
    pub(super) fn request(&mut self, tree: &DataTree, now: Now, request: Request, effects: &mut impl Effects) {
        match self.role {
            Role::Leading if self.zab.can_propose() => self.lead(tree, now, &request, effects),
            Role::Learning(_) => self.forward(tree, now, &request, effects),
            // Its connection is closed by now, or will be when the role has ended.
            Role::Leading => {}
            Role::ReadOnly(_) => self.answer_read_only(tree, &request, effects),
            Role::Idle => effects.close(request.connection),
        }
    }

    fn disconnected(&mut self, connection: ConnectionId, session: SessionId) {
        self.syncs.forget(connection);
        if self.locals.disconnected(connection, session) {
            return;
        }
        if let Role::ReadOnly(sessions) = &mut self.role
            && sessions.connection(session) == Some(connection)
        {
            sessions.bind(session, None);
            return;
        }
        if self.sessions.connection(session) == Some(connection) {
            self.sessions.bind(session, None);
            if let (Role::Learning(learning), Some(cell)) = (&mut self.role, self.sessions.get(session)) {
                learning.disconnected(cell);
            }
        }
    }

    /// Works off what the ordering core has put out so far. There may be more of it afterwards.
    fn settle(&mut self, shared: &Shared, now: Now, effects: &mut impl Effects) {
        let mut outputs = std::mem::replace(&mut self.outputs, std::mem::take(&mut self.spare));
        for output in outputs.drain(..) {
            match output {
                Output::Append { zxid, payload } => effects.append(zxid, payload),
                Output::Deliver { payload, .. } => self.delivered.push(payload),
                Output::FromLearner(link, _, rider) => self.learner_rider(shared, now, link, &rider),
                Output::FromLeader(rider) => {
                    self.catch_up(shared, now, effects);
                    self.leader_rider(shared, now, &rider, effects);
                }
                Output::SyncConfirmed(sync) => {
                    self.catch_up(shared, now, effects);
                    self.sync_confirmed(shared, now, sync, effects);
                }
                Output::ConfigurationActivated(_) => {
                    self.catch_up(shared, now, effects);
                    self.put_config(&mut shared.tree.write(), now);
                    effects.carry_out(output);
                }
                Output::Role(change) => {
                    self.catch_up(shared, now, effects);
                    self.role_changed(change, now);
                    effects.carry_out(output);
                }
                other => effects.carry_out(other),
            }
        }
        self.spare = outputs;
    }

    /// Applies what is delivered, and answers what waits for no more than that.
    fn catch_up(&mut self, shared: &Shared, now: Now, effects: &mut impl Effects) {
        if !self.delivered.is_empty() {
            let delivered = std::mem::take(&mut self.delivered);
            self.apply_all(shared, &delivered, now, effects);
            self.delivered = delivered;
            self.delivered.clear();
        }
        if self.in_flight.front().is_some_and(|(zxid, origin)| matches!(origin, Origin::Txnless { .. }) && *zxid <= self.applied_zxid()) {
            self.answer_txnless(shared, effects);
        }
        if !self.validities.is_empty() {
            self.tell_validities(now, self.applied_zxid());
        }
    }

    pub(super) fn applied_zxid(&self) -> Zxid {
        self.shared.tree.read().last_zxid()
    }

    fn answer_txnless(&mut self, shared: &Shared, effects: &mut impl Effects) {
        let tree = shared.tree.read();
        let mut view = View { tree: &tree, watches: WatchAccess::Free(&shared.watches) };
        while let Some((zxid, Origin::Txnless { connection, xid, answer })) = self.in_flight.front() {
            if *zxid > tree.last_zxid() {
                return;
            }
            effects.reply(&mut view, *connection, *xid, &answer.applied());
            self.in_flight.pop_front();
        }
    }
}

/// A leader that sends what is no txn is no leader: nothing that could not be read back is logged.
fn understood(input: zab::Input) -> zab::Input {
    if let zab::Input::LeaderPacket(
        link,
        Packet::Proposal { zxid, payload } | Packet::Inform { zxid, payload } | Packet::InformAndActivate { zxid, payload, .. },
    ) = &input
    {
        let error = match Txn::decode(payload) {
            Ok(txn) if txn.header.zxid == zxid.0 => return input,
            Ok(txn) => format!("it says that it is {}", Zxid(txn.header.zxid)),
            Err(error) => error.to_string(),
        };
        tracing::error!(%zxid, error, "the leader sends what is no txn: leaving it");
        return zab::Input::LeaderDisconnected(*link);
    }
    input
}
