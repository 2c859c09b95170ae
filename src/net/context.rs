//! What all connections of a server share.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use super::connection_throttle::{ConnectionThrottle, ThrottleSettings};
use super::link::LargeRequests;
use super::stats::ServerStats;
use super::table::ConnectionTable;
use crate::admin::Word;
use crate::ids::ConnectionId;
use crate::replica::{Input, Shared};
use crate::request::auth::AuthRules;

/// Where connections put what the replica has to do. Inputs of one connection are handled in the order of the calls.
pub trait Inbox: Send + Sync {
    /// Takes a batch. May run the replica at once, on the caller's thread: the caller holds no lock.
    fn submit(&self, inputs: Vec<Input>);

    /// Whether this server knows by the time `now_ms` that it may answer reads. It finds out when it does not: a process that was
    /// stopped may have been left behind by its ensemble, and connections may be closed then. The caller holds no lock.
    fn is_current(&self, now_ms: i64) -> bool;

    /// Whether this server has no leader, by the time `now_ms`, but should soon have one: a handshake waits until then.
    fn awaits_leader(&self, now_ms: i64) -> bool;

    /// The answer to an allowed word; what it refuses is an answer too. `argument` is what `stmk` sets.
    fn four_letter_word(&self, word: Word, argument: Option<[u8; 8]>) -> Vec<u8>;

    /// Whether a word may be executed: only then are its arguments waited for.
    fn allows_word(&self, word: Word) -> bool;
}

/// What the configuration says of connections.
#[derive(Clone, Debug)]
pub struct NetSettings {
    /// Largest frame, `jute.maxbuffer`, bytes.
    pub frame_bytes_max: usize,
    /// Smallest session timeout, ms.
    pub session_timeout_ms_min: i32,
    /// Largest session timeout, ms.
    pub session_timeout_ms_max: i32,
    /// Connections per client address; 0 is no limit.
    pub connections_per_address_max: usize,
    /// Connections in total; 0 is no limit.
    pub connections_max: usize,
    /// How long a socket may take to open a session, ms.
    pub sessionless_timeout_ms: u64,
    /// Writes under way in the whole server beyond which busy connections are not read.
    pub outstanding_max: usize,
    /// Frames larger than this are large; negative: none is.
    pub large_request_bytes: i64,
    /// Bytes of large requests under way beyond which a connection is closed.
    pub large_request_bytes_max: usize,
    /// Whether keep-alive is set on sockets.
    pub keep_alive: bool,
    /// Schemes of which a connection needs one, if any is demanded.
    pub enforced_schemes: Option<Vec<String>>,
    /// Authentication.
    pub auth: AuthRules,
    /// `skipACL`.
    pub skip_acl: bool,
    /// Sockets that may come after one that has not begun a session before it is closed.
    pub sockets_before_handshake_max: usize,
    /// Bytes of half-received frames in the whole server beyond which a connection that adds to them is closed.
    pub input_bytes_max: usize,
    /// Bytes of requests under way in the whole server beyond which no more are read.
    pub request_bytes_max: usize,
    /// Bytes of replies that wait in the whole server beyond which the connection with the most of them is closed.
    pub output_bytes_max: usize,
    /// The throttle before new sessions, if there is one.
    pub connection_throttle: Option<ThrottleSettings>,
}

/// What all connections share.
pub struct Context {
    /// The tree and the watches.
    pub shared: Arc<Shared>,
    /// The replica's inbox.
    pub inbox: Arc<dyn Inbox>,
    /// All connections.
    pub table: Arc<ConnectionTable>,
    /// Counters.
    pub stats: Arc<ServerStats>,
    /// The configuration.
    pub settings: NetSettings,
    /// Zero of the monotonic clock.
    pub start: Instant,
    pub(super) throttle: parking_lot::Mutex<ConnectionThrottle>,
    pub(super) large: LargeRequests,
    /// Held by whoever does what may take long: one at a time, so that the other threads stay free for the rest.
    pub(super) long_work: parking_lot::Mutex<()>,
    /// Connections in the order in which they came, until so many came after them that they must have begun a session.
    lobby: parking_lot::Mutex<VecDeque<ConnectionId>>,
}

impl Context {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        inbox: Arc<dyn Inbox>,
        table: Arc<ConnectionTable>,
        stats: Arc<ServerStats>,
        settings: NetSettings,
        start: Instant,
    ) -> Self {
        let (throttle, large) = (parking_lot::Mutex::default(), LargeRequests::default());
        let (long_work, lobby) = (parking_lot::Mutex::default(), parking_lot::Mutex::default());
        Self { shared, inbox, table, stats, settings, start, throttle, large, long_work, lobby }
    }

    /// Ms of the monotonic clock.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }

    /// Whether the connection throttle lets a handshake pass.
    pub(super) fn admits_session(&self, is_new: bool) -> bool {
        let Some(settings) = &self.settings.connection_throttle else { return true };
        let weight = if is_new { settings.new_session_weight } else { settings.renew_session_weight };
        self.throttle.lock().take(settings, weight, self.now_ms(), chance())
    }

    /// A socket came. The one that came so many sockets earlier has begun a session by now, or makes room: whoever wants one
    /// takes milliseconds, and a crowd that wants none cannot keep it out.
    pub(super) fn enter_lobby(&self, id: ConnectionId) {
        let mut lobby = self.lobby.lock();
        lobby.push_back(id);
        if lobby.len() <= self.settings.sockets_before_handshake_max {
            return;
        }
        let oldest = lobby.pop_front().and_then(|oldest| self.table.get(oldest));
        drop(lobby);
        if let Some(connection) = oldest.filter(|connection| connection.leave_lobby()) {
            self.stats.count_sessionless_expired();
            tracing::debug!(address = %connection.address(), "closed before its handshake: too many sockets came after it");
        }
    }

    /// Whether more bytes wait for clients than may.
    pub(super) fn is_output_exceeded(&self) -> bool {
        self.stats.output.bytes() > self.settings.output_bytes_max
    }

    /// Whether requests under way take more bytes than they may.
    pub(super) fn are_requests_exceeded(&self) -> bool {
        self.stats.requests.bytes() > self.settings.request_bytes_max
    }

    /// Whether half-received frames take more bytes than they may.
    pub(super) fn is_input_exceeded(&self) -> bool {
        self.stats.input.bytes() > self.settings.input_bytes_max
    }

    /// Closes the connections whose clients have taken least, until the others fit. The caller holds no lock.
    pub(super) fn relieve(&self) {
        while self.is_output_exceeded() {
            let all = self.table.all();
            let slowest = all.iter().max_by_key(|connection| connection.output_bytes());
            if !slowest.is_some_and(|connection| connection.evict()) {
                return;
            }
        }
    }
}

/// A random number from 0 to 1. The standard library keys its hashes at random.
fn chance() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}
