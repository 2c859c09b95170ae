//! What the server was told to be: every key that has a meaning here, as a typed field with its unit in the name.
//!
//! Fields hold what was configured; values that follow from several fields are methods, so a raw and a derived value cannot be mixed up.
//! Defaults are those of `QuorumPeerConfig` and of the classes that read the system property `zookeeper.<key>`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::members::Members;

/// Shortest accepted `tickTime`-derived default: a session lives at least this many ticks (`minSessionTimeout`).
const MIN_SESSION_TICKS: i32 = 2;
/// A session lives at most this many ticks when `maxSessionTimeout` is not set.
const MAX_SESSION_TICKS: i32 = 20;
/// `jute.maxbuffer` when nothing is set: 0xfffff bytes.
pub const DEFAULT_JUTE_MAX_BUFFER_BYTES: u32 = 0xf_ffff;
/// The least that `jute.maxbuffer.extrasize` can mean, bytes.
const MIN_JUTE_MAX_BUFFER_EXTRA_BYTES: u32 = 1024;
/// `tickTime` when zoo.cfg does not set it (`ZooKeeperServer.DEFAULT_TICK_TIME`), in milliseconds.
pub const DEFAULT_TICK_TIME_MS: i32 = 3000;
/// The lowest `autopurge.snapRetainCount` (`QuorumPeerConfig.MIN_SNAP_RETAIN_COUNT`).
pub const MIN_SNAP_RETAIN_COUNT: u32 = 3;

/// Everything that a standalone server is told at its start. Made by [`super::load`], [`super::from_arguments`] or [`Settings::embedded_default`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Files: where they are, when they roll, how they are written.
    pub storage: StorageSettings,
    /// The plain client port and what connections to it get.
    pub network: NetworkSettings,
    /// Tick and session clamps.
    pub session: SessionSettings,
    /// Sizes and counts that bound what clients may send.
    pub limits: LimitSettings,
    /// The request throttler.
    pub request_throttle: RequestThrottleSettings,
    /// The token bucket in front of new sessions.
    pub connection_throttle: ConnectionThrottleSettings,
    /// Rules of the tree: node kinds, ACL, quota, containers.
    pub tree: TreeSettings,
    /// Who a client may be.
    pub auth: AuthSettings,
    /// The four-letter words.
    pub admin: AdminSettings,
    /// Switches that concern the server as a member of an ensemble.
    pub ensemble: EnsembleSettings,
    /// The links to other servers.
    pub peers: PeerLinkSettings,
}

/// Files: where they are, when they roll, how they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageSettings {
    /// `dataDir`, required: snapshots and `myid`. The files are in its `version-2`.
    pub data_dir: PathBuf,
    /// `dataLogDir`, default `dataDir`: the transaction log. The files are in its `version-2`.
    pub data_log_dir: PathBuf,
    /// `datadir.autocreate`, default true: make missing data directories.
    pub datadir_autocreate: bool,
    /// `db.autocreate`, default true: an empty data directory is a valid empty database.
    pub db_autocreate: bool,
    /// `snapCount`, at least 2: transactions between two snapshots, to be randomised between half and whole. `None`: 100000, and no
    /// snapshot before the log has grown by half of what the snapshot takes.
    pub snap_count: Option<u32>,
    /// `snapSizeLimitInKb`, default 4194304 KB; `None` (0 or less) is off: log bytes that also trigger a snapshot.
    pub snap_size_limit_bytes: Option<u64>,
    /// `txnLogSizeLimitInKb`, default off (`None`): size at which a log file is rolled.
    pub txn_log_size_limit_bytes: Option<u64>,
    /// `preAllocSize` (KB), default 65536 KB: the block by which a log file grows. 0 is no padding.
    pub prealloc_size_bytes: u64,
    /// `forceSync`, default true ("yes"; only "no" turns it off): fsync the log before acknowledging.
    pub force_sync: bool,
    /// `fsync.warningthresholdms`, default 1000: an fsync longer than this is logged as a warning.
    pub fsync_warning_threshold_ms: u64,
    /// `snapshot.compression.method`, default plain.
    pub snapshot_compression: SnapshotCompression,
    /// `snapshot.trust.empty`, default false: start on a log without a snapshot.
    pub trust_empty_snapshot: bool,
    /// `digest.enabled`, default true: keep the incremental digest of the tree.
    pub digest_enabled: bool,
    /// `serializeLastProcessedZxid.enabled`, default true: put the last zxid in snapshots.
    pub serialize_last_processed_zxid: bool,
    /// `closeSessionTxn.enabled`, default true: close-session transactions list the deleted paths.
    pub close_session_txn: bool,
    /// `autopurge.snapRetainCount`, default 3, at least 3: snapshots that the purge keeps.
    pub autopurge_snap_retain_count: u32,
    /// `autopurge.purgeInterval`, default off (`None`, 0 or less): hours between two purges.
    pub autopurge_purge_interval_hours: Option<u32>,
}

/// How a new snapshot is written (`snapshot.compression.method`); reading goes by the file's own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotCompression {
    /// Uncompressed with an Adler-32 trailer: the empty value.
    Plain,
    /// `gz`, file suffix `.gz`.
    Gzip,
    /// `snappy`, file suffix `.snappy`.
    Snappy,
}

/// The plain client port and what connections to it get.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSettings {
    /// `clientPort` (or the client part of the own `server.N` line), required. 0, a port of the system's choice, only without a file.
    pub client_port: u16,
    /// `clientPortAddress`, default any address (`None`): name or address to bind to, as written.
    pub client_port_address: Option<String>,
    /// `clientPortListenBacklog`, default the system's (`None`, -1 or less): length of the accept queue.
    pub client_port_listen_backlog: Option<u32>,
    /// `maxClientCnxns`, default 60 with a file and none without; `None` (0) is no limit: connections of one client address.
    pub max_client_cnxns: Option<u32>,
    /// `maxCnxns`, default none (`None`, 0): connections in total.
    pub max_cnxns: Option<u32>,
    /// `nio.sessionlessCnxnTimeout`, default 10000: a connection without a session is closed after this time.
    pub sessionless_cnxn_timeout_ms: u64,
    /// `clientTcpKeepAlive`, default false.
    pub client_tcp_keep_alive: bool,
}

/// Tick and session clamps.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSettings {
    /// `tickTime`, default 3000, above 0: the base unit of time.
    pub tick_time_ms: i32,
    /// `minSessionTimeout` as configured; `None` (-1) follows the tick, see [`Self::min_session_timeout_ms`].
    pub configured_min_session_timeout_ms: Option<i32>,
    /// `maxSessionTimeout` as configured; `None` (-1) follows the tick, see [`Self::max_session_timeout_ms`].
    pub configured_max_session_timeout_ms: Option<i32>,
}

impl SessionSettings {
    /// The lower clamp on session timeouts: as configured, else 2 ticks.
    #[must_use]
    pub fn min_session_timeout_ms(&self) -> i32 {
        self.configured_min_session_timeout_ms.unwrap_or(self.tick_time_ms.saturating_mul(MIN_SESSION_TICKS))
    }

    /// The upper clamp on session timeouts: as configured, else 20 ticks.
    #[must_use]
    pub fn max_session_timeout_ms(&self) -> i32 {
        self.configured_max_session_timeout_ms.unwrap_or(self.tick_time_ms.saturating_mul(MAX_SESSION_TICKS))
    }
}

/// Sizes and counts that bound what clients may send.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSettings {
    /// `jute.maxbuffer`, default 0xfffff: the largest packet and the largest field that is accepted.
    pub jute_max_buffer_bytes: u32,
    /// `jute.maxbuffer.extrasize`, default as much as `jute.maxbuffer`, at least 1024: what packets between servers may have beyond that.
    pub jute_max_buffer_extra_bytes: Option<u32>,
    /// `globalOutstandingLimit`, default 1000: queued requests above which clients are not read.
    pub global_outstanding_limit: u32,
    /// `largeRequestMaxBytes`, default 104857600: sum of large requests in flight.
    pub large_request_max_bytes: u64,
    /// `paddock.maxSocketsBeforeHandshake`, default 4096: sockets that may come after one before it must have begun a session.
    pub sockets_before_handshake_max: u32,
    /// `paddock.maxSessions`, default 1000000: sessions in total; a handshake for one more is closed.
    pub sessions_max: u32,
    /// `paddock.maxWatches`, default 20000000: watches in total; a connection with many that adds one is closed.
    pub watches_max: u32,
    /// `paddock.maxWatchBytes`, default 1073741824: bytes of watched paths in total.
    pub watch_bytes_max: u64,
    /// `paddock.maxInputBytes`, default 268435456: bytes of half-received frames in total.
    pub input_bytes_max: u64,
    /// `paddock.maxRequestBytes`, default 8388608: bytes of requests under way in total; more are not read.
    pub request_bytes_max: u64,
    /// `paddock.maxOutputBytes`, default 536870912: bytes of replies and events in total that clients have not taken.
    pub output_bytes_max: u64,
    /// `largeRequestThreshold`, default off (`None`, 0 or less): size in bytes from which a request is large.
    pub large_request_threshold_bytes: Option<u32>,
}

impl LimitSettings {
    /// The largest content of a packet between servers, bytes (`BinaryInputArchive.checkLength`).
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        let extra = self.jute_max_buffer_extra_bytes.unwrap_or(self.jute_max_buffer_bytes).max(MIN_JUTE_MAX_BUFFER_EXTRA_BYTES);
        self.jute_max_buffer_bytes as usize + extra as usize
    }
}

/// The request throttler (`request_throttle_*`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestThrottleSettings {
    /// `request_throttle_max_requests`, default off (`None`, 0 or less): requests in flight.
    pub max_requests: Option<u32>,
}

/// The token bucket in front of new sessions (`connection_throttle_*`, `BlueThrottle`).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionThrottleSettings {
    /// `connection_throttle_tokens`, default off (`None`, 0 or less): size of the bucket.
    pub tokens: Option<u32>,
    /// `connection_throttle_fill_time`, default 1: refill period.
    pub fill_time_ms: u32,
    /// `connection_throttle_fill_count`, default 1: tokens per refill.
    pub fill_count: u32,
    /// `connection_throttle_freeze_time`, default off (`None`, negative): how often the drop probability is adjusted.
    pub freeze_time_ms: Option<u32>,
    /// `connection_throttle_drop_increase`, default 0.02: step up of the drop probability, 0 to 1.
    pub drop_increase: f64,
    /// `connection_throttle_drop_decrease`, default 0.002: step down of the drop probability, 0 to 1.
    pub drop_decrease: f64,
    /// `connection_throttle_decrease_ratio`, default 0: share of the bucket that must be full for a step down, 0 to 1.
    pub decrease_ratio: f64,
    /// `connection_throttle_weight_enabled`, default false: sessions cost by their kind, else 1 token each.
    pub weight_enabled: bool,
    /// `connection_throttle_global_session_weight`, default 3: tokens for a new global session.
    pub global_session_weight: u32,
    /// `connection_throttle_local_session_weight`, default 1: tokens for a new session where new sessions are local.
    pub local_session_weight: u32,
    /// `connection_throttle_renew_session_weight`, default 2: tokens for a reconnect.
    pub renew_session_weight: u32,
}

/// Rules of the tree: node kinds, ACL, quota, containers.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeSettings {
    /// `extendedTypesEnabled`, default false: allow TTL nodes.
    pub extended_types_enabled: bool,
    /// `emulate353TTLNodes`, default false: read the TTL encoding of ZooKeeper 3.5.3.
    pub emulate_353_ttl_nodes: bool,
    /// `enforceQuota`, default false: hard quotas answer QUOTAEXCEEDED.
    pub enforce_quota: bool,
    /// `skipACL`, default false (only "yes" turns it on): no permission checks at all.
    pub skip_acl: bool,
    /// `znode.container.checkIntervalMs`, default 60000: period of the container and TTL sweep.
    pub container_check_interval_ms: u64,
    /// `znode.container.maxPerMinute`, default 10000, at least 1: deletions per minute by the sweep.
    pub container_max_per_minute: u32,
    /// `znode.container.maxNeverUsedIntervalMs`, default never (`None`, 0 or less): age at which a container that never had a child is deleted.
    pub container_max_never_used_interval_ms: Option<u64>,
}

/// The hash of the digest scheme (`DigestAuthenticationProvider.digestAlg`). Changing it orphans stored ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-1, the default.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A value that must not reach a log: its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who a client may be.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthSettings {
    /// `DigestAuthenticationProvider.enabled`, default true.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.digestAlg`, default SHA1.
    pub digest_algorithm: DigestAlgorithm,
    /// `DigestAuthenticationProvider.superDigest`, default none: `super:<base64 of the hash of user:password>`.
    pub super_digest: Option<Secret>,
    /// `enforce.auth.enabled` with `enforce.auth.schemes`, default off (`None`): a session without one of these schemes gets -124 for its requests.
    pub enforce_schemes: Option<BTreeSet<String>>,
    /// `authProvider.N` with `EnsembleAuthenticationProvider`, default off: clients may say which ensemble they mean.
    pub ensemble_scheme: bool,
    /// `ensembleAuthName`, default none (any name will do): the names of this ensemble.
    pub ensemble_names: Option<BTreeSet<String>>,
}

/// The four-letter words that are answered (`4lw.commands.whitelist`, default `srvr` only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FourLetterWhitelist {
    /// `*`.
    All,
    /// These words. `srvr` is always among them; `isro` is while read-only mode is enabled (`FourLetterCommands.isEnabled`).
    Only(BTreeSet<String>),
}

impl FourLetterWhitelist {
    /// Whether `word` may be executed.
    #[must_use]
    pub fn allows(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(words) => words.contains(word),
        }
    }
}

/// What operators may ask.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminSettings {
    /// `4lw.commands.whitelist`.
    pub four_letter_whitelist: FourLetterWhitelist,
}

/// Fewer committed txns than this are not worth keeping (`ZKDatabase`).
const COMMIT_LOG_COUNT_MIN: u32 = 500;

/// Switches that concern the server as a member of an ensemble.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleSettings {
    /// The server id that `conf` prints as `serverId`: 0 on a standalone server, whatever `myid` says.
    pub server_id: i64,
    /// Whether this server is a member of an ensemble: there are several servers, or one and `standaloneEnabled=false`.
    pub is_member: bool,
    /// `standaloneEnabled`, default true: a configuration of one voter runs standalone.
    pub standalone_enabled: bool,
    /// `reconfigEnabled`, default false. On a standalone server reconfig answers UNIMPLEMENTED.
    pub reconfig_enabled: bool,
    /// `localSessionsEnabled`, default false: a member opens new sessions for itself alone. A server that stands alone has no such.
    pub local_sessions_enabled: bool,
    /// `localSessionsUpgradingEnabled`, default false: a local session becomes one of the ensemble when it creates an ephemeral.
    pub local_sessions_upgrading_enabled: bool,
    /// `readonlymode.enabled`, default false: a member without a leader serves reads to clients that put up with it. Adds `isro` to the
    /// whitelist.
    pub read_only_mode_enabled: bool,
    /// The `server.N`, `group.G` and `weight.N` lines.
    pub members: Members,
    /// Their version: the number at the end of the name of `dynamicConfigFile`, or 0.
    pub config_version: i64,
    /// The file that they came from, directly or through `dynamicConfigFile`: a reconfiguration rewrites it. `None` without a file.
    pub config_file: Option<PathBuf>,
    /// `initLimit`, without a default (0): ticks that a learner may take to connect and to synchronize.
    pub init_limit_ticks: u32,
    /// `syncLimit`, without a default (0): ticks after which a server that says nothing is given up.
    pub sync_limit_ticks: u32,
    /// `commitLogCount`, default and least 500: committed txns that are kept in memory for learners.
    pub commit_log_count: u32,
    /// `snapshotSizeFactor`, default 0.33; negative is off (`None`): a log longer than this part of a snapshot is not read for a learner.
    pub snapshot_size_factor: Option<f64>,
    /// `forceSnapshotSync`, default false: learners always get a snapshot.
    pub forces_snapshot: bool,
    /// `fastleader.minNotificationInterval`, default 200.
    pub notification_min_ms: u32,
    /// `fastleader.maxNotificationInterval`, default 60000.
    pub notification_max_ms: u32,
    /// `observer.election.DelayMs`, default 200: an observer that lost its leader waits up to so long before it looks.
    pub observer_delay_max_ms: u32,
    /// `observer.reconnectDelayMs`, default 0: an observer waits up to so long before it connects to the leader, ms.
    pub observer_reconnect_delay_max_ms: u32,
}

/// The links to other servers.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerLinkSettings {
    /// `quorumListenOnAllIPs`, default false: the quorum and election ports are bound on every address of the machine.
    pub listens_on_all_ips: bool,
    /// `multiAddress.enabled`, default false: a server may have several addresses, and says so on the election port.
    pub multi_address_enabled: bool,
    /// `cnxTimeout`, default 5000: how long connecting to an election port may take.
    pub connect_timeout_ms: u64,
    /// `quorumCnxnTimeoutMs`, default syncLimit ticks (`None`, 0 or less): how long the handshake on the election port may take.
    pub handshake_timeout_ms: Option<u64>,
    /// `connectToLearnerMasterLimit`, default `initLimit` (`None`, 0): ticks that connecting to the leader may take.
    pub connect_to_leader_limit_ticks: Option<u32>,
    /// `leaderConnectDelayDuringRetryMs`, default 100: the longest pause between two attempts to connect to the leader.
    pub leader_connect_pause_ms: u64,
    /// `electionPortBindRetry`, default 3: attempts to bind the election port before the server gives up; 0 is without end.
    pub election_port_bind_attempts: u32,
    /// `tcpKeepAlive`, default false: keep-alive on sockets of the election port.
    pub tcp_keep_alive: bool,
    /// `observerMasterPort`, default none (0 or less): a follower serves observers there, and an observer connects to followers there.
    pub observer_master_port: Option<u16>,
    /// `observerMaster.sizeLimit`, default 32 MiB: bytes of commits that may wait for one observer of a follower.
    pub observer_queue_bytes_max: u32,
}

impl Settings {
    /// What zoo.cfg means with only `dataDir` and `clientPort` in it.
    #[must_use]
    pub fn new(data_dir: &Path, client_port: u16) -> Self {
        Self {
            storage: StorageSettings::new(data_dir),
            network: NetworkSettings::new(client_port),
            session: SessionSettings::default(),
            limits: LimitSettings::default(),
            request_throttle: RequestThrottleSettings::default(),
            connection_throttle: ConnectionThrottleSettings::default(),
            tree: TreeSettings::default(),
            auth: AuthSettings::default(),
            admin: AdminSettings::default(),
            ensemble: EnsembleSettings::default(),
            peers: PeerLinkSettings::default(),
        }
    }

    /// For a start without any file or argument: port 2181 and the sample file's tick of 2000 ms.
    ///
    /// The whitelist is wider than ZooKeeper's `srvr`: whoever starts a server without a file wants to look at it, and `ruok` behind a
    /// closed whitelist is the most common question about containers. It holds the words that read a few numbers. Left out are those
    /// that walk every session, watch or connection (`dump`, `wchc`, `wchp`, `cons`), that reset or change something (`crst`, `srst`, `stmk`),
    /// and `envi`, which shows the environment.
    #[must_use]
    pub fn embedded_default(data_dir: &Path) -> Self {
        let mut settings = Self::new(data_dir, 2181);
        settings.session.tick_time_ms = 2000;
        settings.admin.four_letter_whitelist =
            FourLetterWhitelist::Only(["conf", "dirs", "isro", "mntr", "ruok", "srvr", "stat", "wchs"].map(str::to_owned).into());
        settings
    }
}

impl StorageSettings {
    fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            data_log_dir: data_dir.to_owned(),
            datadir_autocreate: true,
            db_autocreate: true,
            snap_count: None,
            snap_size_limit_bytes: Some(4_194_304 * 1024),
            txn_log_size_limit_bytes: None,
            prealloc_size_bytes: 65_536 * 1024,
            force_sync: true,
            fsync_warning_threshold_ms: 1000,
            snapshot_compression: SnapshotCompression::Plain,
            trust_empty_snapshot: false,
            digest_enabled: true,
            serialize_last_processed_zxid: true,
            close_session_txn: true,
            autopurge_snap_retain_count: MIN_SNAP_RETAIN_COUNT,
            autopurge_purge_interval_hours: None,
        }
    }
}

impl NetworkSettings {
    fn new(client_port: u16) -> Self {
        Self {
            client_port,
            client_port_address: None,
            client_port_listen_backlog: None,
            max_client_cnxns: Some(60),
            max_cnxns: None,
            sessionless_cnxn_timeout_ms: 10_000,
            client_tcp_keep_alive: false,
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { tick_time_ms: DEFAULT_TICK_TIME_MS, configured_min_session_timeout_ms: None, configured_max_session_timeout_ms: None }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            jute_max_buffer_bytes: DEFAULT_JUTE_MAX_BUFFER_BYTES,
            jute_max_buffer_extra_bytes: None,
            global_outstanding_limit: 1000,
            large_request_max_bytes: 100 * 1024 * 1024,
            sockets_before_handshake_max: 4096,
            sessions_max: 1_000_000,
            watches_max: 20_000_000,
            watch_bytes_max: 1 << 30,
            input_bytes_max: 256 << 20,
            request_bytes_max: 8 << 20,
            output_bytes_max: 512 << 20,
            large_request_threshold_bytes: None,
        }
    }
}

impl Default for ConnectionThrottleSettings {
    fn default() -> Self {
        Self {
            tokens: None,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weight_enabled: false,
            global_session_weight: 3,
            local_session_weight: 1,
            renew_session_weight: 2,
        }
    }
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self {
            extended_types_enabled: false,
            emulate_353_ttl_nodes: false,
            enforce_quota: false,
            skip_acl: false,
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            container_max_never_used_interval_ms: None,
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            digest_enabled: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            super_digest: None,
            enforce_schemes: None,
            ensemble_scheme: false,
            ensemble_names: None,
        }
    }
}

impl Default for PeerLinkSettings {
    fn default() -> Self {
        Self {
            listens_on_all_ips: false,
            multi_address_enabled: false,
            connect_timeout_ms: 5000,
            handshake_timeout_ms: None,
            connect_to_leader_limit_ticks: None,
            leader_connect_pause_ms: 100,
            election_port_bind_attempts: 3,
            tcp_keep_alive: false,
            observer_master_port: None,
            observer_queue_bytes_max: 32 << 20,
        }
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { four_letter_whitelist: FourLetterWhitelist::Only(["srvr".to_owned()].into()) }
    }
}

impl Default for EnsembleSettings {
    fn default() -> Self {
        Self {
            server_id: 0,
            standalone_enabled: true,
            reconfig_enabled: false,
            local_sessions_enabled: false,
            local_sessions_upgrading_enabled: false,
            config_version: 0,
            config_file: None,
            read_only_mode_enabled: false,
            members: Members::default(),
            init_limit_ticks: 0,
            sync_limit_ticks: 0,
            commit_log_count: COMMIT_LOG_COUNT_MIN,
            snapshot_size_factor: Some(0.33),
            forces_snapshot: false,
            notification_min_ms: 200,
            notification_max_ms: 60_000,
            observer_delay_max_ms: 200,
            observer_reconnect_delay_max_ms: 0,
            is_member: false,
        }
    }
}
