//! What all connections of a server share.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use super::connection_throttle::{ConnectionThrottle, ThrottleSettings};
use super::link::LargeRequests;
use super::stats::ServerStats;
use super::table::ConnectionTable;
use crate::admin::Word;
use crate::replica::{Input, Shared};
use crate::request::auth::AuthRules;

/// Where connections put what the replica has to do. Inputs of one connection are handled in the order of the calls.
pub trait Inbox: Send + Sync {
    /// Takes a batch. May run the replica at once, on the caller's thread: the caller holds no lock.
    fn submit(&self, inputs: Vec<Input>);

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
        Self { shared, inbox, table, stats, settings, start, throttle: parking_lot::Mutex::default(), large: LargeRequests::default() }
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
}

/// A random number from 0 to 1. The standard library keys its hashes at random.
fn chance() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}
