//! Counters of the whole server that `srvr` and `mntr` show (`ServerStats`). Relaxed: each is right, together they may be a moment apart.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Packets, latencies and what is under way.
#[derive(Debug)]
pub struct ServerStats {
    received: AtomicU64,
    sent: AtomicU64,
    bytes_received: AtomicU64,
    latency_count: AtomicU64,
    latency_sum_ms: AtomicU64,
    latency_min_ms: AtomicI64,
    latency_max_ms: AtomicI64,
    in_process: AtomicUsize,
    rejected: AtomicU64,
    expired_sessions: AtomicU64,
    sessionless_expired: AtomicU64,
    digest_mismatches: AtomicU64,
}

/// Latencies in ms: smallest, mean, largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The smallest; 0 when there is none.
    pub min_ms: i64,
    /// The mean.
    pub mean_ms: f64,
    /// The largest.
    pub max_ms: i64,
}

impl Default for ServerStats {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            latency_count: AtomicU64::new(0),
            latency_sum_ms: AtomicU64::new(0),
            latency_min_ms: AtomicI64::new(i64::MAX),
            latency_max_ms: AtomicI64::new(0),
            in_process: AtomicUsize::new(0),
            rejected: AtomicU64::new(0),
            expired_sessions: AtomicU64::new(0),
            sessionless_expired: AtomicU64::new(0),
            digest_mismatches: AtomicU64::new(0),
        }
    }
}

impl ServerStats {
    /// So many packets with so many bytes came in.
    pub fn add_received(&self, packets: u64, bytes: u64) {
        self.received.fetch_add(packets, Relaxed);
        self.bytes_received.fetch_add(bytes, Relaxed);
    }

    /// So many packets were queued to go out.
    pub fn add_sent(&self, packets: u64) {
        self.sent.fetch_add(packets, Relaxed);
    }

    /// So many requests took this long each.
    pub fn add_latency(&self, requests: u64, ms: i64) {
        if requests == 0 {
            return;
        }
        self.latency_count.fetch_add(requests, Relaxed);
        self.latency_sum_ms.fetch_add(requests * ms.max(0) as u64, Relaxed);
        if ms < self.latency_min_ms.load(Relaxed) {
            self.latency_min_ms.fetch_min(ms, Relaxed);
        }
        if ms > self.latency_max_ms.load(Relaxed) {
            self.latency_max_ms.fetch_max(ms, Relaxed);
        }
    }

    /// So many writes went to the replica.
    pub fn begin(&self, requests: usize) {
        self.in_process.fetch_add(requests, Relaxed);
    }

    /// So many writes are done.
    pub fn end(&self, requests: usize) {
        self.in_process.fetch_sub(requests, Relaxed);
    }

    /// Writes under way.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.in_process.load(Relaxed)
    }

    /// Packets in, packets out, bytes in.
    #[must_use]
    pub fn packets(&self) -> (u64, u64, u64) {
        (self.received.load(Relaxed), self.sent.load(Relaxed), self.bytes_received.load(Relaxed))
    }

    /// Latencies since the last reset.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let count = self.latency_count.load(Relaxed);
        if count == 0 {
            return Latency { min_ms: 0, mean_ms: 0.0, max_ms: 0 };
        }
        let mean_ms = self.latency_sum_ms.load(Relaxed) as f64 / count as f64;
        Latency { min_ms: self.latency_min_ms.load(Relaxed), mean_ms, max_ms: self.latency_max_ms.load(Relaxed) }
    }

    /// A connection was refused by a limit.
    pub fn count_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    /// A session expired.
    pub fn count_expired_session(&self) {
        self.expired_sessions.fetch_add(1, Relaxed);
    }

    /// A socket never opened a session.
    pub fn count_sessionless_expired(&self) {
        self.sessionless_expired.fetch_add(1, Relaxed);
    }

    /// A digest did not match.
    pub fn count_digest_mismatch(&self) {
        self.digest_mismatches.fetch_add(1, Relaxed);
    }

    /// Refused connections, expired sessions, sockets without a session, digest mismatches.
    #[must_use]
    pub fn events(&self) -> [u64; 4] {
        [&self.rejected, &self.expired_sessions, &self.sessionless_expired, &self.digest_mismatches].map(|counter| counter.load(Relaxed))
    }

    /// Forgets packets and latencies (`srst`).
    pub fn reset(&self) {
        for counter in [&self.received, &self.sent, &self.latency_count, &self.latency_sum_ms] {
            counter.store(0, Relaxed);
        }
        self.latency_min_ms.store(i64::MAX, Relaxed);
        self.latency_max_ms.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_and_reset() {
        let stats = ServerStats::default();
        assert_eq!(stats.latency(), Latency { min_ms: 0, mean_ms: 0.0, max_ms: 0 });
        stats.add_latency(3, 0);
        stats.add_latency(1, 8);
        assert_eq!(stats.latency(), Latency { min_ms: 0, mean_ms: 2.0, max_ms: 8 });
        stats.add_received(2, 30);
        stats.reset();
        assert_eq!((stats.packets(), stats.latency().max_ms), ((0, 0, 30), 0));
    }
}
