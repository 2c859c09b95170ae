//! What the words need to know of the server: plain structs, and the trait that hands them out.

use std::net::SocketAddr;

use super::environment::Environment;
use super::metrics::Metrics;
use super::stats::ServerStats;
use super::version::full_version;
use crate::ids::{SessionId, Zxid};

/// What this server is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Alone, without an ensemble.
    Standalone,
    /// Leading an ensemble.
    Leader,
    /// Following a leader, with a vote.
    Follower,
    /// Following a leader, without a vote.
    Observer,
    /// Cut off from its quorum, serving only clients that accept that.
    ReadOnly,
}

impl Mode {
    /// The name that `srvr` and `mntr` print (`ServerStats.Provider.getState`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Numbers about the tree.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TreeStats {
    /// Nodes, the server's own included (5 in an empty tree).
    pub node_count: u64,
    /// Bytes of all paths and data.
    pub approximate_data_size: u64,
    /// Ephemeral nodes.
    pub ephemerals_count: u64,
    /// Watches of all kinds.
    pub watch_count: u64,
    /// The last transaction applied.
    pub last_zxid: Zxid,
}

/// A connection, as `stat` and `cons` show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionView {
    /// The client's end.
    pub address: SocketAddr,
    /// What the server waits for, as Java's selector numbers it: 1 to read, 4 to write, 0 for a connection that sent a word.
    pub interest_ops: u32,
    /// Requests read and not yet answered.
    pub queued: u64,
    /// Packets received since the last `crst`.
    pub received: u64,
    /// Packets sent since the last `crst`.
    pub sent: u64,
    /// `None` before the handshake.
    pub session: Option<ConnectionSessionView>,
}

/// The part of a connection that exists once it has a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionSessionView {
    /// The session.
    pub session_id: SessionId,
    /// Name of the last operation answered, see [`last_operation_name`](super::last_operation_name); `null` before the first,
    /// `NA` after a reset.
    pub last_operation: &'static str,
    /// When the connection was accepted, in milliseconds since 1970.
    pub established_epoch_ms: i64,
    /// The session timeout agreed upon.
    pub timeout_ms: i32,
    /// xid of the last request answered that had one; negative: none, and not printed.
    pub last_cxid: i64,
    /// zxid of the last reply; -1 before the first.
    pub last_zxid: Zxid,
    /// When the last reply was made, on the server's monotonic clock; 0 before the first.
    pub last_response_ms: i64,
    /// Latency of the last request.
    pub last_latency_ms: i64,
    /// Lowest latency; 0 before the first.
    pub min_latency_ms: i64,
    /// Mean latency, rounded down.
    pub avg_latency_ms: i64,
    /// Highest latency.
    pub max_latency_ms: i64,
}

/// Totals of the data watches. Child and persistent-only watches are not in any of the `wch` words.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WatchSummary {
    /// Connections with at least one data watch.
    pub connection_count: u64,
    /// Paths with at least one data watch.
    pub path_count: u64,
    /// Pairs of the two.
    pub watch_count: u64,
}

/// Sessions, or connections, that expire together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpiryBucket<T> {
    /// When they expire, in milliseconds since 1970.
    pub expires_epoch_ms: i64,
    /// Those that do.
    pub members: Vec<T>,
}

/// The sessions, as `dump` shows them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionsView {
    /// Those that only this server knows, by expiry, soonest first; `None` where there are no such.
    pub local: Option<Vec<ExpiryBucket<SessionId>>>,
    /// All others.
    pub global: GlobalSessionsView,
}

/// The sessions that the ensemble knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GlobalSessionsView {
    /// By expiry, soonest first: on a leader, and on a server that stands alone.
    ByExpiry(Vec<ExpiryBucket<SessionId>>),
    /// By id, each with its timeout in ms: on a server that lets none of them expire.
    ById(Vec<(SessionId, i32)>),
}

/// A connection, as `dump` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionExpiryView {
    /// The client's end.
    pub address: SocketAddr,
    /// [`SessionId::NONE`] before the handshake.
    pub session_id: SessionId,
}

/// What `conf` shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfView {
    /// Port for plain connections; -1 without.
    pub client_port: i32,
    /// Port for TLS connections; -1 without.
    pub secure_client_port: i32,
    /// The directory of the snapshots, absolute, with `version-2`.
    pub data_dir: String,
    /// The directory of the logs, absolute, with `version-2`.
    pub data_log_dir: String,
    /// The tick.
    pub tick_time_ms: i32,
    /// Connections per client address; 0: no limit.
    pub max_client_cnxns: i32,
    /// Lowest session timeout.
    pub min_session_timeout_ms: i32,
    /// Highest session timeout.
    pub max_session_timeout_ms: i32,
    /// Accept queue; -1: the system's default.
    pub client_port_listen_backlog: i32,
    /// 0 in a standalone server.
    pub server_id: i64,
    /// Lines of an ensemble (`initLimit=` …), each with its line feed; empty in a standalone server.
    pub ensemble_lines: String,
}

/// Bytes of all files in the two directories. Both are the whole size when the directories are the same.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DirectorySizes {
    /// The directory of the snapshots.
    pub data_dir_bytes: u64,
    /// The directory of the logs.
    pub log_dir_bytes: u64,
}

/// The quota of a namespace, i.e. of everything below the first component of a path. Where both a soft and a hard limit are set
/// the hard one counts; limits of several quotas in one namespace are added up (`QuotaMetricsUtils`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaView {
    /// The first component of the path.
    pub namespace: String,
    /// Nodes allowed; -1: not limited.
    pub count_limit: i64,
    /// Bytes allowed; -1: not limited.
    pub bytes_limit: i64,
    /// Nodes there.
    pub count_usage: i64,
    /// Bytes there.
    pub bytes_usage: i64,
}

/// Sessions that this server tracks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SessionCounts {
    /// Sessions that are transactions.
    pub global: u64,
    /// Sessions that only this server knows.
    pub local: u64,
}

/// Sizes in bytes of what a leader proposed; -1 before the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProposalSizes {
    /// The last proposal.
    pub last: i64,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

/// What a leader knows of its learners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeadershipView {
    /// Connected learners, observers among them.
    pub learners: u64,
    /// Learners that follow and serve, and have a vote.
    pub synced_followers: u64,
    /// Learners that follow and serve, and have none.
    pub synced_non_voting_followers: u64,
    /// Observers that serve.
    pub synced_observers: u64,
    /// Syncs that wait for their answer.
    pub pending_syncs: u64,
    /// Ms since it took office.
    pub uptime_ms: i64,
}

/// What a member of an ensemble knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnsembleView {
    /// What it does, and how far it has come (`QuorumPeer.getDetailedState`).
    pub peer_state: &'static str,
    /// How many servers vote.
    pub quorum_size: u64,
    /// How long the last election took, ms; -1 before the first.
    pub election_ms: i64,
    /// Of a leader.
    pub leadership: Option<LeadershipView>,
    /// Of an observer: the server that it observes through.
    pub observer_master: Option<i64>,
    /// Of a follower that serves observers: how many of them serve.
    pub synced_observers: Option<u64>,
}

/// What the words need of the server. Every method is cheap, returns a copy and takes its locks inside; none is called while
/// another one runs, so a view over several methods need not be of one moment.
pub trait ServerView {
    /// The version, without the words in front of it.
    fn version(&self) -> String {
        full_version()
    }

    /// Does the server take requests? When not, most words answer one fixed line.
    fn is_serving(&self) -> bool;

    /// What this server is.
    fn mode(&self) -> Mode;

    /// Statistics that `srst` resets, and the trace mask.
    fn stats(&self) -> &ServerStats;

    /// The metrics.
    fn metrics(&self) -> &Metrics;

    /// Numbers about the tree.
    fn tree_stats(&self) -> TreeStats;

    /// How many sessions there are.
    fn session_counts(&self) -> SessionCounts;

    /// Open client connections, the asking one included.
    fn connection_count(&self) -> u64;

    /// Requests read and not yet answered, over all connections.
    fn outstanding_requests(&self) -> u64;

    /// Milliseconds since the server began to serve; -1 before.
    fn uptime_ms(&self) -> i64;

    /// Every open client connection, the asking one included.
    fn connections(&self) -> Vec<ConnectionView>;

    /// Totals of the data watches.
    fn watch_summary(&self) -> WatchSummary;

    /// The paths of the data watches of each session that has any.
    fn watches_by_session(&self) -> Vec<(SessionId, Vec<String>)>;

    /// The sessions with data watches of each path that has any.
    fn watches_by_path(&self) -> Vec<(String, Vec<SessionId>)>;

    /// The sessions.
    fn sessions(&self) -> SessionsView;

    /// The connections by expiry, soonest first.
    fn connections_by_expiry(&self) -> Vec<ExpiryBucket<ConnectionExpiryView>>;

    /// The ephemeral nodes of each session that has any.
    fn ephemerals(&self) -> Vec<(SessionId, Vec<String>)>;

    /// The recent digests, oldest first: one per 128 transactions.
    fn digests(&self) -> Vec<(Zxid, u64)>;

    /// The effective configuration.
    fn config(&self) -> ConfView;

    /// Sizes of the data directories; 0 where one cannot be read.
    fn directory_sizes(&self) -> DirectorySizes;

    /// All quotas, by namespace.
    fn quotas(&self) -> Vec<QuotaView>;

    /// Sizes of proposals; `None` unless this server leads.
    fn proposal_sizes(&self) -> Option<ProposalSizes> {
        None
    }

    /// The ensemble; `None` on a standalone server.
    fn ensemble(&self) -> Option<EnsembleView> {
        None
    }

    /// The environment of the process.
    fn environment(&self) -> Environment {
        Environment::of_process()
    }

    /// Resets what `srst` resets.
    fn reset_server_stats(&self) {
        self.stats().reset();
        self.metrics().reset();
    }

    /// What clients make the server hold, and the limits of it: names and values for the end of `mntr`.
    fn holdings(&self) -> Vec<(&'static str, u64)>;

    /// Resets the statistics of every connection.
    fn reset_connection_stats(&self);
}
