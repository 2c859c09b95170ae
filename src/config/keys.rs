//! The keys that have an effect: one line each, from its text to its setting (operations.md §2, §14, §17).

use super::error::Reason;
use super::settings::{DigestAlgorithm, FourLetterWhitelist, Secret, Settings, SnapshotCompression};
use super::values::{
    Fault, Outcome, decode, decode_u32, decode_u32_or_off, decode_u64, decode_u64_or_off, property_bool, ratio, strict, strict_bool,
};

/// Sets the key; `None` when it is not one of these.
pub(super) fn set(settings: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    let groups = [set_parser_key, set_peers, set_storage, set_limits, set_throttles, set_tree, set_auth];
    groups.iter().find_map(|group| group(settings, key, value))
}

/// Keys that the parser of ZooKeeper knows by name: a bad value stops the start.
fn set_parser_key(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    Some(match key {
        "dataDir" if value.is_empty() => Err(Reason::Empty.into()),
        "dataDir" => put(&mut s.storage.data_dir, Ok(value.into())),
        "dataLogDir" => put(&mut s.storage.data_log_dir, Ok(value.into())),
        "clientPort" => put(&mut s.network.client_port, strict(value, 0, 65535).map(|port| port as u16)),
        "clientPortAddress" => put(&mut s.network.client_port_address, Ok(Some(value.to_owned()))),
        "clientPortListenBacklog" => put(&mut s.network.client_port_listen_backlog, strict(value, -1, i32::MAX).map(positive)),
        "tickTime" => put(&mut s.session.tick_time_ms, strict(value, 1, i32::MAX)),
        "maxClientCnxns" => put(&mut s.network.max_client_cnxns, strict(value, i32::MIN, i32::MAX).map(positive)),
        "minSessionTimeout" => put(&mut s.session.configured_min_session_timeout_ms, strict(value, -1, i32::MAX).map(set_or_none)),
        "maxSessionTimeout" => put(&mut s.session.configured_max_session_timeout_ms, strict(value, -1, i32::MAX).map(set_or_none)),
        "autopurge.snapRetainCount" => {
            put(&mut s.storage.autopurge_snap_retain_count, strict(value, i32::MIN, i32::MAX).map(|count| count.max(3) as u32))
        }
        "autopurge.purgeInterval" => put(&mut s.storage.autopurge_purge_interval_hours, strict(value, i32::MIN, i32::MAX).map(positive)),
        "standaloneEnabled" => put(&mut s.ensemble.standalone_enabled, strict_bool(value)),
        "localSessionsEnabled" => put(&mut s.ensemble.local_sessions_enabled, strict_bool(value)),
        "localSessionsUpgradingEnabled" => put(&mut s.ensemble.local_sessions_upgrading_enabled, strict_bool(value)),
        "reconfigEnabled" => put(&mut s.ensemble.reconfig_enabled, strict_bool(value)),
        _ => return None,
    })
}

/// The links between servers.
fn set_peers(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    let (ensemble, peers) = (&mut s.ensemble, &mut s.peers);
    let ticks = |value| strict(value, 0, i32::MAX).map(i32::unsigned_abs);
    Some(match key {
        "initLimit" => put(&mut ensemble.init_limit_ticks, ticks(value)),
        "syncLimit" => put(&mut ensemble.sync_limit_ticks, ticks(value)),
        "connectToLearnerMasterLimit" => put(&mut peers.connect_to_leader_limit_ticks, strict(value, 0, i32::MAX).map(positive)),
        "observerMasterPort" => put(&mut peers.observer_master_port, strict(value, i32::MIN, 65535).map(port)),
        "quorumListenOnAllIPs" => put(&mut peers.listens_on_all_ips, strict_bool(value)),
        "multiAddress.enabled" => put(&mut peers.multi_address_enabled, strict_bool(value)),
        "cnxTimeout" => keep(&mut peers.connect_timeout_ms, decode(value, 1, i32::MAX.into()).map(i64::unsigned_abs)),
        "quorumCnxnTimeoutMs" => {
            keep(&mut peers.handshake_timeout_ms, decode_u32_or_off(value).map(|timeout_ms| timeout_ms.map(u64::from)))
        }
        "electionPortBindRetry" => keep(&mut peers.election_port_bind_attempts, decode_u32(value, 0)),
        "leaderConnectDelayDuringRetryMs" => keep(&mut peers.leader_connect_pause_ms, decode_u32(value, 0).map(u64::from)),
        "tcpKeepAlive" => property_bool(&mut peers.tcp_keep_alive, value),
        "commitLogCount" => keep(&mut ensemble.commit_log_count, decode_u32(value, 0).map(|count| count.max(500))),
        "snapshotSizeFactor" => match value.parse::<f64>() {
            Ok(factor) if factor < 0.0 => keep(&mut ensemble.snapshot_size_factor, Ok(None)),
            Ok(factor) if factor <= 1.0 => keep(&mut ensemble.snapshot_size_factor, Ok(Some(factor))),
            _ => Err(Fault::Keep(Reason::NotOneOf { expected: "a number up to 1; negative is off" })),
        },
        "forceSnapshotSync" => property_bool(&mut ensemble.forces_snapshot, value),
        "fastleader.minNotificationInterval" => keep(&mut ensemble.notification_min_ms, decode_u32(value, 1)),
        "fastleader.maxNotificationInterval" => keep(&mut ensemble.notification_max_ms, decode_u32(value, 1)),
        "observer.election.DelayMs" => keep(&mut ensemble.observer_delay_max_ms, decode_u32(value, 0)),
        "observer.reconnectDelayMs" => keep(&mut ensemble.observer_reconnect_delay_max_ms, decode_u32(value, 0)),
        "observerMaster.sizeLimit" => keep(&mut peers.observer_queue_bytes_max, decode_u32(value, 1)),
        _ => return None,
    })
}

fn set_storage(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    let storage = &mut s.storage;
    Some(match key {
        "snapCount" => keep(&mut storage.snap_count, decode_u32(value, 2).map(Some)),
        "snapSizeLimitInKb" => keep(&mut storage.snap_size_limit_bytes, decode_u64_or_off(value).map(kilobytes)),
        "txnLogSizeLimitInKb" => keep(&mut storage.txn_log_size_limit_bytes, decode_u64_or_off(value).map(kilobytes)),
        "preAllocSize" => keep(&mut storage.prealloc_size_bytes, decode_u64(value).map(|kb| kb.saturating_mul(1024))),
        "forceSync" => keep(&mut storage.force_sync, Ok(value != "no")),
        "fsync.warningthresholdms" => keep(&mut storage.fsync_warning_threshold_ms, decode_u64(value)),
        "snapshot.compression.method" => match value {
            "" => keep(&mut storage.snapshot_compression, Ok(SnapshotCompression::Plain)),
            "gz" => keep(&mut storage.snapshot_compression, Ok(SnapshotCompression::Gzip)),
            "snappy" => keep(&mut storage.snapshot_compression, Ok(SnapshotCompression::Snappy)),
            _ => Err(Reason::NotOneOf { expected: "empty, gz or snappy" }.into()),
        },
        "snapshot.trust.empty" => property_bool(&mut storage.trust_empty_snapshot, value),
        "datadir.autocreate" => property_bool(&mut storage.datadir_autocreate, value),
        "db.autocreate" => property_bool(&mut storage.db_autocreate, value),
        "digest.enabled" => property_bool(&mut storage.digest_enabled, value),
        "serializeLastProcessedZxid.enabled" => property_bool(&mut storage.serialize_last_processed_zxid, value),
        "closeSessionTxn.enabled" => property_bool(&mut storage.close_session_txn, value),
        _ => return None,
    })
}

fn set_limits(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    Some(match key {
        "jute.maxbuffer" => keep(&mut s.limits.jute_max_buffer_bytes, decode_u32(value, 1)),
        "jute.maxbuffer.extrasize" => keep(&mut s.limits.jute_max_buffer_extra_bytes, decode_u32(value, 0).map(Some)),
        "globalOutstandingLimit" => keep(&mut s.limits.global_outstanding_limit, decode_u32(value, 0)),
        "largeRequestMaxBytes" => keep(&mut s.limits.large_request_max_bytes, decode_u64(value)),
        "largeRequestThreshold" => keep(&mut s.limits.large_request_threshold_bytes, decode_u32_or_off(value)),
        "paddock.maxSocketsBeforeHandshake" => keep(&mut s.limits.sockets_before_handshake_max, decode_u32(value, 1)),
        "paddock.maxSessions" => keep(&mut s.limits.sessions_max, decode_u32(value, 1)),
        "paddock.maxWatches" => keep(&mut s.limits.watches_max, decode_u32(value, 1)),
        "paddock.maxWatchBytes" => keep(&mut s.limits.watch_bytes_max, decode_u64(value)),
        "paddock.maxInputBytes" => keep(&mut s.limits.input_bytes_max, decode_u64(value)),
        "paddock.maxRequestBytes" => keep(&mut s.limits.request_bytes_max, decode_u64(value)),
        "paddock.maxOutputBytes" => keep(&mut s.limits.output_bytes_max, decode_u64(value)),
        "maxCnxns" => keep(&mut s.network.max_cnxns, decode_u32_or_off(value)),
        "nio.sessionlessCnxnTimeout" => keep(&mut s.network.sessionless_cnxn_timeout_ms, decode_u64(value)),
        "clientTcpKeepAlive" => property_bool(&mut s.network.client_tcp_keep_alive, value),
        "4lw.commands.whitelist" => keep(&mut s.admin.four_letter_whitelist, Ok(whitelist(value))),
        "readonlymode.enabled" => property_bool(&mut s.ensemble.read_only_mode_enabled, value),
        "audit.enable" => {
            let mut wanted = false;
            match property_bool(&mut wanted, value) {
                Ok(()) if wanted => Err(Fault::Taken("has no effect: this version writes no audit log".to_owned())),
                other => other,
            }
        }
        _ => return None,
    })
}

/// The documented names of the throttles, which the Java server does not read, count like the ones it reads (operations.md §17).
fn set_throttles(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    let (requests, connections) = (&mut s.request_throttle, &mut s.connection_throttle);
    Some(match key {
        "request_throttle_max_requests" | "requestThrottleLimit" => keep(&mut requests.max_requests, decode_u32_or_off(value)),
        "connection_throttle_tokens" | "connectionMaxTokens" => keep(&mut connections.tokens, decode_u32_or_off(value)),
        "connection_throttle_fill_time" | "connectionTokenFillTime" => keep(&mut connections.fill_time_ms, decode_u32(value, 1)),
        "connection_throttle_fill_count" | "connectionTokenFillCount" => keep(&mut connections.fill_count, decode_u32(value, 0)),
        "connection_throttle_freeze_time" | "connectionFreezeTime" => keep(&mut connections.freeze_time_ms, decode_u32_or_off(value)),
        "connection_throttle_drop_increase" | "connectionDropIncrease" => keep(&mut connections.drop_increase, ratio(value)),
        "connection_throttle_drop_decrease" | "connectionDropDecrease" => keep(&mut connections.drop_decrease, ratio(value)),
        "connection_throttle_decrease_ratio" | "connectionDecreaseRatio" => keep(&mut connections.decrease_ratio, ratio(value)),
        "connection_throttle_weight_enabled" => property_bool(&mut connections.weight_enabled, value),
        "connection_throttle_global_session_weight" => keep(&mut connections.global_session_weight, decode_u32(value, 1)),
        "connection_throttle_local_session_weight" => keep(&mut connections.local_session_weight, decode_u32(value, 1)),
        "connection_throttle_renew_session_weight" => keep(&mut connections.renew_session_weight, decode_u32(value, 1)),
        _ => return None,
    })
}

fn set_tree(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    let tree = &mut s.tree;
    Some(match key {
        "extendedTypesEnabled" => property_bool(&mut tree.extended_types_enabled, value),
        "emulate353TTLNodes" => property_bool(&mut tree.emulate_353_ttl_nodes, value),
        "enforceQuota" => property_bool(&mut tree.enforce_quota, value),
        "skipACL" => keep(&mut tree.skip_acl, Ok(value == "yes")),
        "znode.container.checkIntervalMs" => keep(&mut tree.container_check_interval_ms, decode(value, 1, i64::MAX).map(i64::unsigned_abs)),
        "znode.container.maxPerMinute" => keep(&mut tree.container_max_per_minute, decode_u32(value, 1)),
        "znode.container.maxNeverUsedIntervalMs" => keep(&mut tree.container_max_never_used_interval_ms, decode_u64_or_off(value)),
        _ => return None,
    })
}

fn set_auth(s: &mut Settings, key: &str, value: &str) -> Option<Outcome> {
    let auth = &mut s.auth;
    Some(match key {
        key if key.starts_with("authProvider.") && value.ends_with(".EnsembleAuthenticationProvider") => {
            put(&mut auth.ensemble_scheme, Ok(true))
        }
        "ensembleAuthName" => {
            let names = value.split(',').map(|name| name.trim().to_owned()).collect();
            put(&mut auth.ensemble_names, Ok(Some(names)))
        }
        "DigestAuthenticationProvider.enabled" => property_bool(&mut auth.digest_enabled, value),
        "DigestAuthenticationProvider.superDigest" => keep(&mut auth.super_digest, Ok(Some(Secret(value.to_owned())))),
        "DigestAuthenticationProvider.digestAlg" => match algorithm(value) {
            Some(algorithm) => keep(&mut auth.digest_algorithm, Ok(algorithm)),
            None => Err(Reason::NotOneOf { expected: "SHA1, SHA-224, SHA-256, SHA-384 or SHA-512" }.into()),
        },
        _ => return None,
    })
}

fn algorithm(name: &str) -> Option<DigestAlgorithm> {
    Some(match name.to_ascii_uppercase().as_str() {
        "SHA1" | "SHA-1" => DigestAlgorithm::Sha1,
        "SHA-224" => DigestAlgorithm::Sha224,
        "SHA-256" => DigestAlgorithm::Sha256,
        "SHA-384" => DigestAlgorithm::Sha384,
        "SHA-512" => DigestAlgorithm::Sha512,
        _ => return None,
    })
}

fn whitelist(value: &str) -> FourLetterWhitelist {
    let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
    if value.split(',').any(|word| word.trim() == "*") {
        return FourLetterWhitelist::All;
    }
    FourLetterWhitelist::Only(words.chain(["srvr"]).map(str::to_owned).collect())
}

fn put<T>(target: &mut T, value: Result<T, Reason>) -> Outcome {
    *target = value?;
    Ok(())
}

fn keep<T>(target: &mut T, value: Result<T, Fault>) -> Outcome {
    *target = value?;
    Ok(())
}

fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number > 0)
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|&port| port > 0)
}

fn set_or_none(number: i32) -> Option<i32> {
    (number >= 0).then_some(number)
}

fn kilobytes(kb: Option<u64>) -> Option<u64> {
    kb.map(|kb| kb.saturating_mul(1024))
}
