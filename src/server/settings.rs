//! From the configuration to what each room is told.

use super::member;
use super::persistence::PersistenceSettings;
use crate::config::{DigestAlgorithm, Settings, SnapshotCompression};
use crate::net::{DropSettings, NetSettings, ThrottleSettings};
use crate::proto::limits::{WATCH_BYTES_PER_CONNECTION_MAX, WATCHES_PER_CONNECTION_MAX};
use crate::replica::{LocalSessions, ReplicaSettings};
use crate::request::auth::{AuthRules, DigestAlgorithm as Algorithm};
use crate::request::prepare::WriteRules;
use crate::storage::{Compression, TxnLogOptions};
use crate::tree::stat::OwnerRules;
use crate::tree::watch::WatchLimits;
use crate::zab::HistoryLimits;

/// A server alone has no learner.
const NOTHING_KEPT: HistoryLimits = HistoryLimits { delivered_count_max: 0, delivered_bytes_max: 0 };
/// A member looks for a leader at least for so long, ms, before it serves reads (`QuorumPeer.run`).
const READ_ONLY_DELAY_MS_MIN: i64 = 2000;
/// Bytes of znodes that a snapshot copies while it keeps writes from being applied.
pub(super) const SNAPSHOT_SLICE_BYTES: usize = 256 << 10;

pub(super) fn auth_rules(settings: &Settings) -> AuthRules {
    let digest_algorithm = match settings.auth.digest_algorithm {
        DigestAlgorithm::Sha1 => Algorithm::Sha1,
        DigestAlgorithm::Sha224 => Algorithm::Sha224,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Sha384 => Algorithm::Sha384,
        DigestAlgorithm::Sha512 => Algorithm::Sha512,
    };
    AuthRules {
        digest_enabled: settings.auth.digest_enabled,
        digest_algorithm,
        super_digest: settings.auth.super_digest.as_ref().map(|secret| secret.0.clone()),
        ensemble: settings.auth.ensemble_scheme.then(|| settings.auth.ensemble_names.clone()),
    }
}

fn write_rules(settings: &Settings) -> WriteRules {
    WriteRules {
        auth: auth_rules(settings),
        skip_acl: settings.tree.skip_acl,
        enforce_quota: settings.tree.enforce_quota,
        reconfig_enabled: settings.ensemble.reconfig_enabled,
        voters_min: if settings.ensemble.standalone_enabled { 2 } else { 1 },
        close_session_txn: settings.storage.close_session_txn,
    }
}

/// `server_id` goes into the ids of sessions.
pub(super) fn replica(settings: &Settings, server_id: u8, seed: u64) -> ReplicaSettings {
    ReplicaSettings {
        server_id,
        tick_time_ms: i64::from(settings.session.tick_time_ms),
        sessions_max: settings.limits.sessions_max as usize,
        read_only_delay_ms: settings.ensemble.read_only_mode_enabled.then(|| read_only_delay_ms(settings)),
        local_sessions: local_sessions(settings),
        seed,
        rules: write_rules(settings),
    }
}

/// Java reads the same keys and has local sessions in an ensemble only.
fn local_sessions(settings: &Settings) -> LocalSessions {
    let ensemble = &settings.ensemble;
    match (ensemble.is_member && ensemble.local_sessions_enabled, ensemble.local_sessions_upgrading_enabled) {
        (false, _) => LocalSessions::Off,
        (true, false) => LocalSessions::Kept,
        (true, true) => LocalSessions::Upgraded,
    }
}

/// How long a member looks for a leader before it serves reads.
fn read_only_delay_ms(settings: &Settings) -> i64 {
    i64::from(settings.session.tick_time_ms).max(READ_ONLY_DELAY_MS_MIN)
}

fn owner_rules(settings: &Settings) -> OwnerRules {
    OwnerRules { extended_types: settings.tree.extended_types_enabled, emulate_353: settings.tree.emulate_353_ttl_nodes }
}

pub(super) fn persistence(settings: &Settings) -> PersistenceSettings {
    let storage = &settings.storage;
    PersistenceSettings {
        log: TxnLogOptions {
            prealloc_size_bytes: storage.prealloc_size_bytes,
            size_limit_bytes: storage.txn_log_size_limit_bytes,
            force_sync: storage.force_sync,
        },
        snap_count: storage.snap_count.map(u64::from),
        snap_bytes: storage.snap_size_limit_bytes,
        slice_bytes: SNAPSHOT_SLICE_BYTES,
        compression: compression(settings),
        with_digest: storage.digest_enabled,
        with_last_zxid: storage.serialize_last_processed_zxid,
        owner_rules: owner_rules(settings),
        digest_enabled: storage.digest_enabled,
        trust_empty: storage.trust_empty_snapshot,
        kept: if settings.ensemble.is_member { member::kept_history(settings) } else { NOTHING_KEPT },
    }
}

pub(super) fn watch_limits(settings: &Settings) -> WatchLimits {
    let limits = &settings.limits;
    WatchLimits {
        watches_max: limits.watches_max as usize,
        path_bytes_max: limits.watch_bytes_max as usize,
        watches_per_connection_max: WATCHES_PER_CONNECTION_MAX,
        path_bytes_per_connection_max: WATCH_BYTES_PER_CONNECTION_MAX,
    }
}

fn compression(settings: &Settings) -> Compression {
    match settings.storage.snapshot_compression {
        SnapshotCompression::Plain => Compression::None,
        SnapshotCompression::Gzip => Compression::Gzip,
        SnapshotCompression::Snappy => Compression::Snappy,
    }
}

pub(super) fn net(settings: &Settings) -> NetSettings {
    NetSettings {
        frame_bytes_max: settings.limits.jute_max_buffer_bytes as usize,
        session_timeout_ms_min: settings.session.min_session_timeout_ms(),
        session_timeout_ms_max: settings.session.max_session_timeout_ms(),
        connections_per_address_max: settings.network.max_client_cnxns.unwrap_or(0) as usize,
        connections_max: settings.network.max_cnxns.unwrap_or(0) as usize,
        sockets_before_handshake_max: settings.limits.sockets_before_handshake_max as usize,
        input_bytes_max: settings.limits.input_bytes_max as usize,
        request_bytes_max: settings.limits.request_bytes_max as usize,
        output_bytes_max: settings.limits.output_bytes_max as usize,
        sessionless_timeout_ms: settings.network.sessionless_cnxn_timeout_ms,
        outstanding_max: outstanding_max(settings),
        large_request_bytes: settings.limits.large_request_threshold_bytes.map_or(-1, i64::from),
        large_request_bytes_max: settings.limits.large_request_max_bytes as usize,
        keep_alive: settings.network.client_tcp_keep_alive,
        enforced_schemes: settings.auth.enforce_schemes.as_ref().map(|schemes| schemes.iter().cloned().collect()),
        auth: auth_rules(settings),
        skip_acl: settings.tree.skip_acl,
        connection_throttle: connection_throttle(settings),
    }
}

/// The smaller of what may be queued and what may be in process: here both are the same thing.
fn outstanding_max(settings: &Settings) -> usize {
    let queued = settings.limits.global_outstanding_limit as usize;
    settings.request_throttle.max_requests.map_or(queued, |limit| queued.min(limit as usize))
}

fn connection_throttle(settings: &Settings) -> Option<ThrottleSettings> {
    let throttle = &settings.connection_throttle;
    let tokens = throttle.tokens?;
    let new = if local_sessions(settings) == LocalSessions::Off { throttle.global_session_weight } else { throttle.local_session_weight };
    let (new, renew) = if throttle.weight_enabled { (new, throttle.renew_session_weight) } else { (1, 1) };
    let scale = if throttle.weight_enabled { i64::from(throttle.global_session_weight) } else { 1 };
    let drops = throttle.freeze_time_ms.map(|freeze_time_ms| DropSettings {
        freeze_time_ms: i64::from(freeze_time_ms),
        increase: throttle.drop_increase,
        decrease: throttle.drop_decrease,
        decrease_ratio: throttle.decrease_ratio,
    });
    Some(ThrottleSettings {
        tokens: i64::from(tokens) * scale,
        fill_time_ms: i64::from(throttle.fill_time_ms),
        fill_count: i64::from(throttle.fill_count) * scale,
        new_session_weight: i64::from(new),
        renew_session_weight: i64::from(renew),
        drops,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn sessions_are_local_in_ensembles_only() {
        let mut settings = Settings::new(Path::new("/d"), 1);
        settings.ensemble.local_sessions_enabled = true;
        settings.connection_throttle.tokens = Some(9);
        settings.connection_throttle.weight_enabled = true;
        let weight = |settings: &Settings| connection_throttle(settings).expect("it is on").new_session_weight;
        assert_eq!((local_sessions(&settings), weight(&settings)), (LocalSessions::Off, 3));
        settings.ensemble.is_member = true;
        assert_eq!((local_sessions(&settings), weight(&settings)), (LocalSessions::Kept, 1));
        settings.ensemble.local_sessions_upgrading_enabled = true;
        assert_eq!(local_sessions(&settings), LocalSessions::Upgraded);
        settings.ensemble.local_sessions_enabled = false;
        assert_eq!(local_sessions(&settings), LocalSessions::Off);
    }
}
