//! Protocol time: how long the core waits for what (quorum-protocol.md §1.6, §2.12).

/// The limits of the protocol. All times in the core are ms of a monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// `tickTime`, ms.
    pub tick_ms: i64,
    /// `initLimit`: ticks that connecting and synchronizing may take.
    pub init_limit_ticks: i64,
    /// `syncLimit`: ticks without a word after which the other end is given up.
    pub sync_limit_ticks: i64,
    /// How long a looking server whose vote has a quorum waits for a better one, ms, unless everybody who can be reached agrees.
    pub finalize_wait_ms: i64,
    /// `fastleader.minNotificationInterval`: the first interval between notifications, ms.
    pub notification_min_ms: i64,
    /// `fastleader.maxNotificationInterval`: the longest interval between notifications, ms.
    pub notification_max_ms: i64,
    /// `observer.election.DelayMs`: an observer that lost its leader waits up to so long before it looks, ms.
    pub observer_delay_max_ms: i64,
    /// `observer.reconnectDelayMs`: an observer waits up to so long before it connects to the leader, ms.
    pub observer_reconnect_max_ms: i64,
    /// How long a learner waits before it dials the leader again, ms.
    pub connect_retry_ms: i64,
}

impl Timing {
    /// The limits of these three settings, with the defaults of everything else.
    #[must_use]
    pub fn new(tick_ms: i64, init_limit_ticks: i64, sync_limit_ticks: i64) -> Self {
        Self {
            tick_ms: tick_ms.max(1),
            init_limit_ticks: init_limit_ticks.max(1),
            sync_limit_ticks: sync_limit_ticks.max(1),
            finalize_wait_ms: 200,
            notification_min_ms: 200,
            notification_max_ms: 60_000,
            observer_delay_max_ms: 200,
            observer_reconnect_max_ms: 0,
            connect_retry_ms: 20,
        }
    }

    /// The time for connecting and synchronizing, ms.
    #[must_use]
    pub fn init_limit_ms(&self) -> i64 {
        self.tick_ms.saturating_mul(self.init_limit_ticks)
    }

    /// The time without a word after which the other end is given up, ms.
    #[must_use]
    pub fn sync_limit_ms(&self) -> i64 {
        self.tick_ms.saturating_mul(self.sync_limit_ticks)
    }

    /// The time between two PINGs of a leader, ms.
    #[must_use]
    pub fn ping_interval_ms(&self) -> i64 {
        (self.tick_ms / 2).max(1)
    }
}
