//! Counters of the whole server that connections update, many requests at a time.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::admin::summary::Batch;
use crate::admin::{Metrics, ServerStats as Resettable};

/// Packets, latencies, metrics, and what is under way.
#[derive(Debug, Default)]
pub struct ServerStats {
    /// What `srvr` shows and `srst` resets.
    pub server: Resettable,
    /// What `mntr` shows.
    pub metrics: Metrics,
    in_process: AtomicUsize,
}

/// Writes that are done, counted together.
#[derive(Debug, Default)]
pub struct Done {
    writes: usize,
    sent: u64,
    latency: Batch,
}

impl Done {
    /// A write took this long, and so many packets were queued for it and the reads behind it.
    pub(super) fn count_write(&mut self, latency_ms: i64, sent: u64) {
        self.writes += 1;
        self.sent += sent;
        self.latency.record(latency_ms);
    }
}

impl ServerStats {
    /// Takes in what was counted.
    pub fn add_done(&self, done: &Done) {
        if done.writes > 0 {
            self.end(done.writes);
            self.add_sent(done.sent);
            self.server.request_latency.record_batch(&done.latency);
        }
    }

    /// So many packets with so many bytes came in.
    pub fn add_received(&self, packets: u64, bytes: u64) {
        self.server.packets_received.add(packets);
        self.metrics.counters.bytes_received_count.add(bytes);
    }

    /// So many packets were queued to go out.
    pub fn add_sent(&self, packets: u64) {
        self.server.packets_sent.add(packets);
    }

    /// So many requests took this long each.
    pub fn add_latency(&self, requests: u64, ms: i64) {
        self.server.request_latency.record_batch(&Batch::repeated(ms, requests));
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

    /// A connection was refused by a limit.
    pub fn count_rejected(&self) {
        self.metrics.counters.connection_rejected.inc();
    }

    /// A session expired.
    pub fn count_expired_session(&self) {
        self.metrics.counters.stale_sessions_expired.inc();
    }

    /// A socket never opened a session.
    pub fn count_sessionless_expired(&self) {
        self.metrics.counters.sessionless_connections_expired.inc();
    }

    /// A snapshot was written and took so long.
    pub fn add_snapshot(&self, took_ms: u64) {
        self.metrics.summaries.snapshottime.record(took_ms as i64);
    }

    /// A snapshot could not be written.
    pub fn count_snapshot_error(&self) {
        self.metrics.counters.snapshot_error_count.inc();
    }

    /// A digest did not match.
    pub fn count_digest_mismatch(&self) {
        self.metrics.counters.digest_mismatches_count.inc();
    }
}
