//! Statistics of the server and of one connection: latency, packets, reply sizes, trace mask.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::summary::{Batch, Counter, Summary};
use super::view::{ConnectionSessionView, ConnectionView};
use crate::ids::{SessionId, Zxid};

/// The mask that ZooKeeper starts with: client requests, server packets, sessions and warnings (`ZooTrace`).
const TRACE_MASK_DEFAULT: i64 = 306;

/// The last, smallest and largest of some sizes in bytes; -1 before the first (`BufferStats`).
#[derive(Debug)]
pub struct SizeStats {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

impl Default for SizeStats {
    fn default() -> Self {
        Self { last: (-1).into(), min: (-1).into(), max: (-1).into() }
    }
}

impl SizeStats {
    /// Adds one size. Two threads that add the very first sizes at once may lose the smaller one, which the next one corrects.
    pub fn record(&self, size_bytes: usize) {
        let size = size_bytes as i64;
        self.last.store(size, Relaxed);
        let min = self.min.load(Relaxed);
        if min == -1 || size < min {
            self.min.store(size, Relaxed);
        }
        if size > self.max.load(Relaxed) {
            self.max.fetch_max(size, Relaxed);
        }
    }

    /// Adds sizes of which these are the last, the smallest and the largest.
    pub fn record_all(&self, last: usize, min: usize, max: usize) {
        self.record(min);
        self.record(max);
        self.last.store(last as i64, Relaxed);
    }

    /// The last, smallest and largest.
    #[must_use]
    pub fn values(&self) -> (i64, i64, i64) {
        (self.last.load(Relaxed), self.min.load(Relaxed), self.max.load(Relaxed))
    }

    /// Forgets all sizes.
    pub fn reset(&self) {
        self.last.store(-1, Relaxed);
        self.min.store(-1, Relaxed);
        self.max.store(-1, Relaxed);
    }
}

/// Statistics of the whole server (`ServerStats`). The word that asks counts as one packet received and one sent.
#[derive(Debug)]
pub struct ServerStats {
    /// Packets read from clients.
    pub packets_received: Counter,
    /// Packets written to clients, notifications included.
    pub packets_sent: Counter,
    /// Milliseconds from reading a request to its reply.
    pub request_latency: Summary,
    /// Sizes of replies.
    pub client_response_size: SizeStats,
    /// What `stmk` sets and `gtmk` shows.
    pub trace_mask: AtomicI64,
}

impl Default for ServerStats {
    fn default() -> Self {
        Self {
            packets_received: Counter::default(),
            packets_sent: Counter::default(),
            request_latency: Summary::default(),
            client_response_size: SizeStats::default(),
            trace_mask: AtomicI64::new(TRACE_MASK_DEFAULT),
        }
    }
}

/// What one thread did since it last told the server, so that a batch of requests costs a handful of atomic operations.
#[derive(Clone, Copy, Default, Debug)]
pub struct StatsBatch {
    /// Packets read.
    pub packets_received: u64,
    /// Packets written.
    pub packets_sent: u64,
    /// Latencies in milliseconds.
    pub latency: Batch,
}

impl ServerStats {
    /// Adds a batch and leaves it empty.
    pub fn record_batch(&self, batch: &mut StatsBatch) {
        if batch.packets_received > 0 {
            self.packets_received.add(batch.packets_received);
        }
        if batch.packets_sent > 0 {
            self.packets_sent.add(batch.packets_sent);
        }
        self.request_latency.record_batch(&batch.latency);
        *batch = StatsBatch::default();
    }

    /// Resets everything but the trace mask.
    pub fn reset(&self) {
        self.packets_received.reset();
        self.packets_sent.reset();
        self.request_latency.reset();
        self.client_response_size.reset();
    }
}

/// Statistics of one connection (`ServerCnxn`). Not shared: its owner updates it and makes views of it.
#[derive(Clone, Debug)]
pub struct ConnectionStats {
    /// Packets received since the last `crst`.
    pub received: u64,
    /// Packets sent since the last `crst`.
    pub sent: u64,
    established_epoch_ms: i64,
    last_operation: &'static str,
    last_cxid: i64,
    last_zxid: Zxid,
    last_response_ms: i64,
    last_latency_ms: i64,
    latency_min_ms: i64,
    latency_max_ms: i64,
    latency_count: i64,
    latency_sum_ms: i64,
}

/// A reply that was just made, for the statistics of its connection. Times are on the server's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// xid of the request; negative ones (ping) leave the last one in place.
    pub cxid: i64,
    /// zxid in the reply's header.
    pub zxid: Zxid,
    /// See [`last_operation_name`].
    pub operation: &'static str,
    /// When the request was read.
    pub received_ms: i64,
    /// Now.
    pub answered_ms: i64,
}

impl ConnectionStats {
    /// Statistics of a connection accepted at a time in milliseconds since 1970. Java has null and zeros until the first reply.
    #[must_use]
    pub fn new(established_epoch_ms: i64) -> Self {
        Self {
            received: 0,
            sent: 0,
            established_epoch_ms,
            last_operation: "null",
            last_cxid: 0,
            last_zxid: Zxid::ZERO,
            last_response_ms: 0,
            last_latency_ms: 0,
            latency_min_ms: i64::MAX,
            latency_max_ms: 0,
            latency_count: 0,
            latency_sum_ms: 0,
        }
    }

    /// Adds a reply.
    pub fn record(&mut self, reply: Reply) {
        if reply.cxid >= 0 {
            self.last_cxid = reply.cxid;
        }
        let latency_ms = reply.answered_ms - reply.received_ms;
        self.last_zxid = reply.zxid;
        self.last_operation = reply.operation;
        self.last_response_ms = reply.answered_ms;
        self.last_latency_ms = latency_ms;
        self.latency_min_ms = self.latency_min_ms.min(latency_ms);
        self.latency_max_ms = self.latency_max_ms.max(latency_ms);
        self.latency_count += 1;
        self.latency_sum_ms += latency_ms;
    }

    /// Forgets everything but when the connection was accepted, as `crst` does; what was last is then unknown instead of null.
    pub fn reset(&mut self) {
        let fresh = Self::new(self.established_epoch_ms);
        *self = Self { last_operation: "NA", last_cxid: -1, last_zxid: Zxid(-1), ..fresh };
    }

    /// The connection as the words show it. `session` is its id and timeout in milliseconds, `None` before the handshake.
    #[must_use]
    pub fn view(&self, address: SocketAddr, interest_ops: u32, queued: u64, session: Option<(SessionId, i32)>) -> ConnectionView {
        let session = session.map(|(session_id, timeout_ms)| self.session_view(session_id, timeout_ms));
        ConnectionView { address, interest_ops, queued, received: self.received, sent: self.sent, session }
    }

    fn session_view(&self, session_id: SessionId, timeout_ms: i32) -> ConnectionSessionView {
        ConnectionSessionView {
            session_id,
            last_operation: self.last_operation,
            established_epoch_ms: self.established_epoch_ms,
            timeout_ms,
            last_cxid: self.last_cxid,
            last_zxid: self.last_zxid,
            last_response_ms: self.last_response_ms,
            last_latency_ms: self.last_latency_ms,
            min_latency_ms: if self.latency_min_ms == i64::MAX { 0 } else { self.latency_min_ms },
            avg_latency_ms: self.latency_sum_ms.checked_div(self.latency_count).unwrap_or(0),
            max_latency_ms: self.latency_max_ms,
        }
    }
}

/// How `cons` calls the operation with this op code (`FinalRequestProcessor`); `NA` for one that is not answered there.
#[must_use]
pub fn last_operation_name(op_code: i32) -> &'static str {
    match op_code {
        1 | 15 | 19 | 21 => "CREA",
        2 | 20 => "DELE",
        3 => "EXIS",
        4 => "GETD",
        5 => "SETD",
        6 => "GETA",
        7 => "SETA",
        8 | 12 => "GETC",
        9 => "SYNC",
        11 => "PING",
        13 => "CHEC",
        14 => "MULT",
        16 => "RECO",
        17 => "CHKW",
        18 => "REMW",
        22 => "MLTR",
        101 => "SETW",
        103 => "GETE",
        104 => "GETACN",
        105 => "STW2",
        106 => "ADDW",
        107 => "HOMI",
        -10 => "SESS",
        -11 => "CLOS",
        _ => "NA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(cxid: i64, latency_ms: i64) -> Reply {
        Reply { cxid, zxid: Zxid(9), operation: "PING", received_ms: 100, answered_ms: 100 + latency_ms }
    }

    #[test]
    fn a_batch_reaches_the_server_and_is_emptied() {
        let stats = ServerStats::default();
        let mut batch = StatsBatch { packets_received: 3, packets_sent: 2, ..StatsBatch::default() };
        batch.latency.record(5);
        stats.record_batch(&mut batch);
        stats.record_batch(&mut batch);
        assert_eq!((stats.packets_received.value(), stats.packets_sent.value()), (3, 2));
        assert_eq!(stats.request_latency.values().count, 1);
        stats.trace_mask.store(5, Relaxed);
        stats.reset();
        assert_eq!((stats.packets_received.value(), stats.packets_sent.value()), (0, 0));
        assert_eq!(stats.request_latency.values().count, 0);
        assert_eq!(stats.trace_mask.load(Relaxed), 5);
    }

    #[test]
    fn sizes_start_at_minus_one() {
        let sizes = SizeStats::default();
        assert_eq!(sizes.values(), (-1, -1, -1));
        [20, 5, 7].into_iter().for_each(|size| sizes.record(size));
        assert_eq!(sizes.values(), (7, 5, 20));
        sizes.reset();
        assert_eq!(sizes.values(), (-1, -1, -1));
    }

    #[test]
    fn a_connection_keeps_its_last_real_xid() {
        let mut stats = ConnectionStats::new(1000);
        stats.record(reply(4, 3));
        stats.record(reply(-2, 0));
        let address = "127.0.0.1:1".parse().expect("a literal address");
        let view = stats.view(address, 1, 0, Some((SessionId(7), 4000))).session.expect("a session was given");
        assert_eq!((view.last_cxid, view.last_zxid, view.last_response_ms), (4, Zxid(9), 100));
        assert_eq!((view.last_latency_ms, view.min_latency_ms, view.avg_latency_ms, view.max_latency_ms), (0, 0, 1, 3));
    }

    #[test]
    fn a_reset_connection_looks_new() {
        let mut stats = ConnectionStats::new(1000);
        stats.received = 5;
        stats.sent = 6;
        stats.record(reply(4, 3));
        stats.reset();
        let address = "127.0.0.1:1".parse().expect("a literal address");
        let view = stats.view(address, 1, 0, Some((SessionId(7), 4000)));
        assert_eq!((view.received, view.sent), (0, 0));
        let session = view.session.expect("a session was given");
        assert_eq!((session.established_epoch_ms, session.last_operation, session.last_cxid), (1000, "NA", -1));
        assert_eq!((session.min_latency_ms, session.avg_latency_ms, session.max_latency_ms), (0, 0, 0));
    }

    #[test]
    fn operations_have_the_names_of_cons() {
        assert_eq!(last_operation_name(15), "CREA");
        assert_eq!(last_operation_name(-10), "SESS");
        assert_eq!(last_operation_name(100), "NA");
    }
}
