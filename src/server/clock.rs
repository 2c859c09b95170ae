//! The clocks of the machine: the only place that reads them for the replica.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::replica::Now;

/// Wall clock and monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Zero of the monotonic clock.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    pub(super) fn now(&self) -> Now {
        Now { wall_ms: wall_ms(), monotonic_ms: self.start.elapsed().as_millis() as i64 }
    }
}

/// Ms since 1970.
pub(super) fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}
