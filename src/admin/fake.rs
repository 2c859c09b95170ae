//! A server for tests: fixed views, in the states in which a genuine 3.9.6 was asked for its answers.

use std::cell::Cell;

use super::environment::Environment;
use super::metrics::Metrics;
use super::stats::{ConnectionStats, Reply, ServerStats, StatsBatch, last_operation_name};
use super::view::*;
use crate::ids::{SessionId, Zxid};

pub(crate) const A: SessionId = SessionId(0x0100_000e_605f_0000);
pub(crate) const B: SessionId = SessionId(0x0100_000e_605f_0001);

/// Plain fields that the view methods copy out.
pub(crate) struct FakeServer {
    pub(crate) serving: bool,
    pub(crate) mode: Mode,
    pub(crate) proposal_sizes: Option<ProposalSizes>,
    pub(crate) connection_resets: Cell<u32>,
    pub(crate) connections: Vec<ConnectionView>,
    pub(crate) digests: Vec<(Zxid, u64)>,
    pub(crate) sessions: SessionsView,
    busy: bool,
    stats: ServerStats,
    metrics: Metrics,
}

impl FakeServer {
    /// Just started: an empty tree, and only the connection that asks.
    pub(crate) fn empty() -> Self {
        Self {
            serving: true,
            mode: Mode::Standalone,
            proposal_sizes: None,
            connection_resets: Cell::new(0),
            connections: vec![asking_connection(44878)],
            digests: Vec::new(),
            sessions: SessionsView { local: None, global: GlobalSessionsView::ByExpiry(Vec::new()) },
            busy: false,
            stats: ServerStats::default(),
            metrics: Metrics::default(),
        }
    }

    /// Two sessions with ephemeral nodes and watches.
    pub(crate) fn busy() -> Self {
        let mut server = Self::empty();
        server.busy = true;
        server.connections = vec![connection_a(), asking_connection(45124), connection_b()];
        server.digests = vec![(Zxid(0x80), 202_411_509_674), (Zxid(0x100), u64::MAX)];
        server.sessions.global = GlobalSessionsView::ByExpiry(vec![expiring(1_795_479_895_000, A), expiring(1_795_479_905_000, B)]);
        let mut batch = StatsBatch { packets_received: 41, packets_sent: 43, ..StatsBatch::default() };
        [0, 16, 1].into_iter().chain([2; 8]).for_each(|ms| batch.latency.record(ms));
        [0; 5].into_iter().for_each(|ms| batch.latency.record(ms));
        server.stats.record_batch(&mut batch);
        server
    }
}

/// A bucket with one session in it.
pub(crate) fn expiring(expires_epoch_ms: i64, session: SessionId) -> ExpiryBucket<SessionId> {
    ExpiryBucket { expires_epoch_ms, members: vec![session] }
}

fn asking_connection(port: u16) -> ConnectionView {
    let mut stats = ConnectionStats::new(0);
    stats.received = 1;
    stats.view(([127, 0, 0, 1], port).into(), 0, 0, None)
}

fn connection_a() -> ConnectionView {
    let mut stats = ConnectionStats::new(1_795_479_884_150);
    (stats.received, stats.sent) = (27, 27);
    let set = |cxid, ms: i64| Reply {
        cxid,
        zxid: Zxid(0x1a),
        operation: last_operation_name(5),
        received_ms: 1_201_029 - ms,
        answered_ms: 1_201_029,
    };
    [set(0x18, 16), set(0x19, 0), set(0x1a, 0), set(-2, 0), set(0x1a, 1)].into_iter().for_each(|reply| stats.record(reply));
    stats.view(([127, 0, 0, 1], 45056).into(), 1, 0, Some((A, 10_000)))
}

fn connection_b() -> ConnectionView {
    let mut stats = ConnectionStats::new(1_795_479_884_178);
    (stats.received, stats.sent) = (5, 6);
    stats.view(([127, 0, 0, 1], 45064).into(), 1, 2, Some((B, 20_000)))
}

impl ServerView for FakeServer {
    fn version(&self) -> String {
        "3.9.6-test, built on never".to_owned()
    }

    fn is_serving(&self) -> bool {
        self.serving
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn stats(&self) -> &ServerStats {
        &self.stats
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn tree_stats(&self) -> TreeStats {
        if self.busy {
            let last_zxid = Zxid(0x1a);
            TreeStats { node_count: 9, approximate_data_size: 84, ephemerals_count: 3, watch_count: 5, last_zxid }
        } else {
            TreeStats { node_count: 5, approximate_data_size: 44, ..TreeStats::default() }
        }
    }

    fn session_counts(&self) -> SessionCounts {
        SessionCounts { global: if self.busy { 2 } else { 0 }, local: 0 }
    }

    fn connection_count(&self) -> u64 {
        self.connections.len() as u64
    }

    fn outstanding_requests(&self) -> u64 {
        0
    }

    fn uptime_ms(&self) -> i64 {
        259_054
    }

    fn connections(&self) -> Vec<ConnectionView> {
        self.connections.clone()
    }

    fn watch_summary(&self) -> WatchSummary {
        if self.busy { WatchSummary { connection_count: 2, path_count: 3, watch_count: 4 } } else { WatchSummary::default() }
    }

    fn watches_by_session(&self) -> Vec<(SessionId, Vec<String>)> {
        let all = vec![(A, vec!["/w".to_owned(), "/nope".to_owned()]), (B, vec!["/w".to_owned(), "/e3".to_owned()])];
        if self.busy { all } else { Vec::new() }
    }

    fn watches_by_path(&self) -> Vec<(String, Vec<SessionId>)> {
        let all = vec![("/w".to_owned(), vec![B, A]), ("/e3".to_owned(), vec![B]), ("/nope".to_owned(), vec![A])];
        if self.busy { all } else { Vec::new() }
    }

    fn sessions(&self) -> SessionsView {
        self.sessions.clone()
    }

    fn connections_by_expiry(&self) -> Vec<ExpiryBucket<ConnectionExpiryView>> {
        let view = |connection: &ConnectionView| ConnectionExpiryView {
            address: connection.address,
            session_id: connection.session.as_ref().map_or(SessionId::NONE, |session| session.session_id),
        };
        vec![
            ExpiryBucket { expires_epoch_ms: 1_795_479_903_000, members: self.connections.iter().map(view).collect() },
            ExpiryBucket { expires_epoch_ms: 1_795_479_913_000, members: Vec::new() },
        ]
    }

    fn ephemerals(&self) -> Vec<(SessionId, Vec<String>)> {
        let all = vec![(B, vec!["/e3".to_owned()]), (A, vec!["/w/e2".to_owned(), "/w/e1".to_owned()])];
        if self.busy { all } else { Vec::new() }
    }

    fn digests(&self) -> Vec<(Zxid, u64)> {
        self.digests.clone()
    }

    fn config(&self) -> ConfView {
        ConfView {
            client_port: 30200,
            secure_client_port: -1,
            data_dir: "/data/version-2".to_owned(),
            data_log_dir: "/log/version-2".to_owned(),
            tick_time_ms: 2000,
            max_client_cnxns: 0,
            min_session_timeout_ms: 4000,
            max_session_timeout_ms: 40_000,
            client_port_listen_backlog: -1,
            server_id: 0,
            ensemble_lines: String::new(),
        }
    }

    fn directory_sizes(&self) -> DirectorySizes {
        DirectorySizes { data_dir_bytes: 478, log_dir_bytes: 67_109_358 }
    }

    fn quotas(&self) -> Vec<QuotaView> {
        let namespace = "app".to_owned();
        let quota = QuotaView { namespace, count_limit: -1, bytes_limit: 10_000, count_usage: 402, bytes_usage: 4000 };
        if self.busy { vec![quota] } else { Vec::new() }
    }

    fn proposal_sizes(&self) -> Option<ProposalSizes> {
        self.proposal_sizes
    }

    fn environment(&self) -> Environment {
        Environment::new(vec![("host.name", "localhost".to_owned()), ("java.home", String::new())])
    }

    fn holdings(&self) -> Vec<(&'static str, u64)> {
        vec![("output_bytes", 77)]
    }

    fn reset_connection_stats(&self) {
        self.connection_resets.set(self.connection_resets.get() + 1);
    }
}
