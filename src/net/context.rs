//! What all connections of a server share.

use std::sync::Arc;
use std::time::Instant;

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
    /// The token bucket before new sessions, if there is one.
    pub session_tokens: Option<TokenBucketSettings>,
}

/// The token bucket of `connection_throttle_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucketSettings {
    /// Tokens in a full bucket.
    pub tokens: i64,
    /// Ms between refills.
    pub fill_time_ms: i64,
    /// Tokens of a refill.
    pub fill_count: i64,
    /// Tokens that a new session costs.
    pub new_session_weight: i64,
    /// Tokens that a resumed session costs.
    pub renew_session_weight: i64,
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
    pub(super) tokens: parking_lot::Mutex<TokenBucket>,
    pub(super) large: LargeRequests,
}

/// How full the bucket is.
#[derive(Debug, Default)]
pub(super) struct TokenBucket {
    left: Option<i64>,
    filled_ms: i64,
}

impl TokenBucket {
    /// Takes tokens if there are enough (`BlueThrottle.checkLimit`).
    fn take(&mut self, settings: &TokenBucketSettings, weight: i64, now_ms: i64) -> bool {
        let left = self.left.unwrap_or(settings.tokens);
        let elapsed = now_ms - self.filled_ms;
        let left = if elapsed > settings.fill_time_ms {
            self.filled_ms = now_ms;
            (left + elapsed / settings.fill_time_ms.max(1) * settings.fill_count).min(settings.tokens)
        } else {
            left
        };
        let granted = left >= weight;
        self.left = Some(if granted { left - weight } else { left });
        granted
    }
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
        Self { shared, inbox, table, stats, settings, start, tokens: parking_lot::Mutex::default(), large: LargeRequests::default() }
    }

    /// Ms of the monotonic clock.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }

    /// Whether the connection throttle lets a handshake pass.
    pub(super) fn admits_session(&self, is_new: bool) -> bool {
        let Some(settings) = &self.settings.session_tokens else { return true };
        let weight = if is_new { settings.new_session_weight } else { settings.renew_session_weight };
        self.tokens.lock().take(settings, weight, self.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_refills_with_time() {
        let settings = TokenBucketSettings { tokens: 2, fill_time_ms: 10, fill_count: 1, new_session_weight: 1, renew_session_weight: 1 };
        let mut bucket = TokenBucket::default();
        let taken: Vec<bool> = [1, 1, 1, 30, 30, 30].iter().map(|&now| bucket.take(&settings, 1, now)).collect();
        assert_eq!(taken, [true, true, false, true, true, false]);
    }
}
