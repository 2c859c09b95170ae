//! Counters of the whole server that connections update, many requests at a time.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::holdings::Held;
use crate::admin::summary::{Batch, Runs};
use crate::admin::{Metrics, ServerStats as Resettable};
use crate::tree::watch::EventType;

/// Packets, latencies, metrics, and what is under way.
#[derive(Debug, Default)]
pub struct ServerStats {
    /// What `srvr` shows and `srst` resets.
    pub server: Resettable,
    /// What `mntr` shows.
    pub metrics: Metrics,
    in_process: AtomicUsize,
    /// Frames that have not arrived whole.
    pub input: Held,
    /// Requests that wait for their turn or are under way.
    pub requests: Held,
    /// Replies and events that their clients have not taken.
    pub output: Held,
}

/// Requests that one thread answered, counted together.
#[derive(Debug)]
pub struct Done {
    writes: usize,
    sent: u64,
    bytes: u64,
    last: usize,
    min: usize,
    max: usize,
    read_latency: Runs,
    write_latency: Runs,
}

impl Default for Done {
    fn default() -> Self {
        let (read_latency, write_latency) = (Runs::default(), Runs::default());
        Self { writes: 0, sent: 0, bytes: 0, last: 0, min: usize::MAX, max: 0, read_latency, write_latency }
    }
}

impl Done {
    /// A write took this long.
    pub(super) fn count_write(&mut self, latency_ms: i64) {
        self.writes += 1;
        self.write_latency.record(latency_ms);
    }

    /// A read took this long.
    pub(super) fn count_read(&mut self, latency_ms: i64) {
        self.read_latency.record(latency_ms);
    }

    /// A reply of so many bytes was queued, the four of its length included.
    pub(super) fn count_reply(&mut self, framed_bytes: usize) {
        let bytes = framed_bytes.saturating_sub(4);
        self.sent += 1;
        self.bytes += bytes as u64;
        self.last = bytes;
        self.min = self.min.min(bytes);
        self.max = self.max.max(bytes);
    }
}

impl ServerStats {
    /// Takes in what was counted.
    pub fn add_done(&self, done: &Done) {
        if done.writes > 0 {
            self.end(done.writes);
        }
        if done.sent > 0 {
            self.add_sent(done.sent);
            self.metrics.counters.response_bytes.add(done.bytes);
            self.server.client_response_size.record_all(done.last, done.min, done.max);
        }
        let percentiles = &self.metrics.percentile_summaries;
        for (latency_ms, count) in done.read_latency.all() {
            self.server.request_latency.record_batch(&Batch::repeated(latency_ms, count));
            percentiles.readlatency.record_many(latency_ms, count);
        }
        for (latency_ms, count) in done.write_latency.all() {
            self.server.request_latency.record_batch(&Batch::repeated(latency_ms, count));
            percentiles.updatelatency.record_many(latency_ms, count);
            // A server without an ensemble applies what it received itself.
            percentiles.propagation_latency.record_many(latency_ms, count);
        }
    }

    /// Watchers were told of an event, in so many bytes each without the length.
    pub fn add_event(&self, event: EventType, watchers: usize, bytes: usize) {
        let summaries = &self.metrics.summaries;
        let summary = match event {
            EventType::NodeCreated => &summaries.node_created_watch_count,
            EventType::NodeDeleted => &summaries.node_deleted_watch_count,
            EventType::NodeDataChanged => &summaries.node_changed_watch_count,
            EventType::NodeChildrenChanged => &summaries.node_children_watch_count,
        };
        summary.record(watchers as i64);
        self.metrics.counters.watch_bytes.add((bytes * watchers) as u64);
    }

    /// A client went away.
    pub fn count_drop(&self) {
        self.metrics.counters.connection_drop_count.inc();
    }

    /// The log thread made a batch of txns durable: so many, the first of which had waited so long, in so long.
    pub fn add_flush(&self, txns: usize, waited_ms: i64, took_ms: i64) {
        let Metrics { summaries, percentile_summaries, counters, .. } = &self.metrics;
        counters.sync_processor_request_queued.add(txns as u64);
        summaries.fsynctime.record(took_ms);
        summaries.sync_processor_batch_size.record(txns as i64);
        summaries.sync_process_time.record(took_ms);
        percentile_summaries.sync_processor_queue_time_ms.record(waited_ms);
        percentile_summaries.sync_processor_queue_flush_time_ms.record(took_ms);
        percentile_summaries.sync_processor_queue_and_flush_time_ms.record_many(waited_ms + took_ms, txns as u64);
    }

    /// A turn of the replica took in so many inputs and lasted so long.
    pub fn add_turn(&self, inputs: usize, took_ms: i64) {
        self.metrics.counters.prep_processor_request_queued.add(inputs as u64);
        self.metrics.summaries.prep_processor_queue_size.record(inputs as i64);
        self.metrics.summaries.prep_process_time.record(took_ms);
    }

    /// The start read the database in so long, and replayed so many txns.
    pub fn add_start(&self, took_ms: u64, txns: u64) {
        self.metrics.summaries.dbinittime.record(took_ms as i64);
        self.metrics.summaries.startup_txns_loaded.record(txns as i64);
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
