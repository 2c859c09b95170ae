//! The keys that work through the property rule: `K` in zoo.cfg, or `-Dzookeeper.K`. A bad number keeps the default, as in ZooKeeper, but is said.

use super::super::draft::Draft;
use super::super::error::Reason;
use super::super::notice::Level::{self, Debug, Info};
use super::super::settings::{DigestAlgorithm, Secret, SnapshotCompression};
use super::super::values::{
    Fault, Outcome, decode, decode_u32, decode_u32_or_off, decode_u64, decode_u64_or_off, parse_long, property_bool, ratio,
};
use super::{Flag, Key, Setter, any};

const STANDALONE: &str = "is for ensembles and has no effect on a standalone server";
const NO_JVM: &str = "tunes a part of the Java server that does not exist here";
const TEST_ONLY: &str = "is for tests of the Java server and has no effect here";
const BYTES_PER_KB: u64 = 1024;

/// Assigns a checked value.
fn put<T>(target: &mut T, value: Result<T, Fault>) -> Outcome {
    *target = value?;
    Ok(())
}

fn kilobytes_or_off(target: &mut Option<u64>, value: &str) -> Outcome {
    *target = decode_u64_or_off(value)?.map(|size| size.saturating_mul(BYTES_PER_KB));
    Ok(())
}

/// `FilePadding` reads it with `Long.parseLong` and keeps the default when that fails.
fn prealloc_size(draft: &mut Draft, value: &str) -> Outcome {
    let size = parse_long(value).map_err(Fault::Keep)?;
    let size = u64::try_from(size).map_err(|_| Fault::Keep(Reason::OutOfRange { min: 0, max: i64::MAX }))?;
    draft.settings.storage.prealloc_size_bytes = size.saturating_mul(BYTES_PER_KB);
    Ok(())
}

/// `ZooKeeperServer.getSnapCount` raises 1 and less to 2.
fn snap_count(draft: &mut Draft, value: &str) -> Outcome {
    let count = decode(value, i32::MIN.into(), i32::MAX.into())?;
    draft.settings.storage.snap_count = u32::try_from(count).unwrap_or(0).max(2);
    if count < 2 {
        return Err(Fault::Taken("must be 2 or more; 2 is used".to_owned()));
    }
    Ok(())
}

/// `forceSync` is on unless the word is exactly `no`.
fn force_sync(draft: &mut Draft, value: &str) -> Outcome {
    draft.settings.storage.force_sync = value != "no";
    match value {
        "yes" => Ok(()),
        "no" => Err(Fault::Taken("writes are acknowledged before they are on disk; a crash of the machine loses them".to_owned())),
        _ => Err(Fault::Taken(format!("{value:?} is neither yes nor no and counts as yes, as in ZooKeeper"))),
    }
}

/// `skipACL` is off unless the word is exactly `yes`.
fn skip_acl(draft: &mut Draft, value: &str) -> Outcome {
    draft.settings.tree.skip_acl = value == "yes";
    match value {
        "no" => Ok(()),
        "yes" => Err(Fault::Taken("no permission is checked: every client may do everything".to_owned())),
        _ => Err(Fault::Taken(format!("{value:?} is neither yes nor no and counts as no, as in ZooKeeper"))),
    }
}

/// `SnapStream.StreamMode.fromString`: anything unknown is uncompressed.
fn compression(draft: &mut Draft, value: &str) -> Outcome {
    let (method, known) = match value {
        "gz" => (SnapshotCompression::Gzip, true),
        "snappy" => (SnapshotCompression::Snappy, true),
        other => (SnapshotCompression::Plain, other.is_empty()),
    };
    draft.settings.storage.snapshot_compression = method;
    if known { Ok(()) } else { Err(Fault::Taken("is neither gz nor snappy; snapshots are written uncompressed, as in ZooKeeper".to_owned())) }
}

/// The names that `MessageDigest.getInstance` takes for these; Java stops the start on an unknown one.
fn digest_algorithm(draft: &mut Draft, value: &str) -> Outcome {
    draft.settings.auth.digest_algorithm = match value.to_ascii_uppercase().as_str() {
        "SHA1" | "SHA-1" | "SHA" => DigestAlgorithm::Sha1,
        "SHA-224" | "SHA224" => DigestAlgorithm::Sha224,
        "SHA-256" | "SHA256" => DigestAlgorithm::Sha256,
        "SHA-384" | "SHA384" => DigestAlgorithm::Sha384,
        "SHA-512" | "SHA512" => DigestAlgorithm::Sha512,
        _ => return Err(Reason::NotOneOf { expected: "SHA1, SHA-224, SHA-256, SHA-384 or SHA-512" }.into()),
    };
    Ok(())
}

/// A weight of the connection throttle: `BlueThrottle` keeps the default for 0 and less.
fn weight(target: &mut u32, value: &str) -> Outcome {
    put(target, decode_u32(value, 1))
}

fn freeze_time(target: &mut Option<u32>, value: &str) -> Outcome {
    *target = u32::try_from(decode(value, i32::MIN.into(), i32::MAX.into())?).ok();
    Ok(())
}

fn super_digest(draft: &mut Draft, value: &str) -> Outcome {
    draft.settings.auth.super_digest = Some(Secret(value.to_owned()));
    Ok(())
}

/// A list with commas; empty items are dropped.
fn words(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty())
}

fn ensemble_auth_names(draft: &mut Draft, value: &str) -> Outcome {
    draft.settings.ensemble.ensemble_auth_names = Some(words(value).collect());
    Ok(())
}

fn four_letter_words(draft: &mut Draft, value: &str) -> Outcome {
    draft.four_letter_words = Some(words(value).collect());
    Ok(())
}

fn enforced_schemes(draft: &mut Draft, value: &str) -> Outcome {
    draft.enforced_schemes = Some(value.split(',').map(|scheme| scheme.trim().to_owned()).collect());
    Ok(())
}

/// The old form of `enforce.auth.*` with the scheme `sasl`.
fn require_client_sasl(_: &mut Draft, value: &str) -> Outcome {
    let mut required = false;
    let outcome = property_bool(&mut required, value);
    if required { Err(Reason::ProtectionMissing { what: "SASL logins of clients" }.into()) } else { outcome }
}

const fn ignored(name: &'static str, level: Level, reason: &'static str) -> Key {
    Key::property(name, any).without_effect(level, reason)
}

const fn raw(name: &'static str, set: Setter) -> Key {
    Key::new(name, Flag::Raw, set)
}

pub(super) static KEYS: &[Key] = &[
    // Write-ahead log, snapshots, storage.
    Key::property("snapCount", snap_count),
    Key::property("snapSizeLimitInKb", |d, v| kilobytes_or_off(&mut d.settings.storage.snap_size_limit_bytes, v)),
    Key::property("txnLogSizeLimitInKb", |d, v| kilobytes_or_off(&mut d.settings.storage.txn_log_size_limit_bytes, v)),
    Key::property("preAllocSize", prealloc_size),
    Key::property("forceSync", force_sync),
    Key::property("fsync.warningthresholdms", |d, v| put(&mut d.settings.storage.fsync_warning_threshold_ms, decode_u64(v))).flagged(Flag::Both),
    Key::property("flushDelay", |d, v| put(&mut d.settings.storage.flush_delay_ms, decode_u64(v))),
    ignored("maxWriteQueuePollTime", Debug, NO_JVM),
    Key::property("maxBatchSize", |d, v| put(&mut d.settings.storage.max_batch_size, decode_u32(v, 0))),
    ignored("commitLogCount", Info, STANDALONE),
    ignored("snapshotSizeFactor", Info, STANDALONE),
    ignored("forceSnapshotSync", Info, STANDALONE),
    Key::property("snapshot.compression.method", compression),
    Key::property("snapshot.trust.empty", |d, v| property_bool(&mut d.settings.storage.trust_empty_snapshot, v)),
    Key::property("datadir.autocreate", |d, v| property_bool(&mut d.settings.storage.datadir_autocreate, v)),
    Key::property("db.autocreate", |d, v| property_bool(&mut d.settings.storage.db_autocreate, v)),
    Key::property("digest.enabled", |d, v| property_bool(&mut d.settings.storage.digest_enabled, v)),
    Key::property("serializeLastProcessedZxid.enabled", |d, v| property_bool(&mut d.settings.storage.serialize_last_processed_zxid, v)),
    Key::property("closeSessionTxn.enabled", |d, v| property_bool(&mut d.settings.storage.close_session_txn, v)),
    Key::property("extendedTypesEnabled", |d, v| property_bool(&mut d.settings.tree.extended_types_enabled, v)),
    Key::property("emulate353TTLNodes", |d, v| property_bool(&mut d.settings.tree.emulate_353_ttl_nodes, v)),
    raw("znode.container.checkIntervalMs", |d, v| put(&mut d.settings.tree.container_check_interval_ms, decode(v, 1, i64::MAX).map(i64::unsigned_abs))),
    raw("znode.container.maxPerMinute", |d, v| put(&mut d.settings.tree.container_max_per_minute, decode_u32(v, 1))),
    raw("znode.container.maxNeverUsedIntervalMs", |d, v| {
        put(&mut d.settings.tree.container_max_never_used_interval_ms, decode_u64_or_off(v))
    }),
    // Requests, limits, throttles.
    raw("jute.maxbuffer", |d, v| put(&mut d.settings.limits.jute_max_buffer_bytes, decode_u32(v, 1))),
    Key::property("jute.maxbuffer.extrasize", |d, v| put(&mut d.settings.limits.configured_jute_max_buffer_extra_bytes, decode_u32(v, 0).map(Some))),
    Key::property("globalOutstandingLimit", |d, v| put(&mut d.settings.limits.global_outstanding_limit, decode_u32(v, 0))),
    Key::property("request_throttle_max_requests", |d, v| put(&mut d.settings.request_throttle.max_requests, decode_u32_or_off(v)))
        .also(&["requestThrottleLimit"]),
    Key::property("request_throttle_stall_time", |d, v| put(&mut d.settings.request_throttle.stall_time_ms, decode_u64(v)))
        .also(&["requestThrottleStallTime"]),
    Key::property("request_throttle_drop_stale", |d, v| property_bool(&mut d.settings.request_throttle.drop_stale, v))
        .also(&["requestThrottleDropStale"]),
    Key::property("request_stale_latency_check", |d, v| property_bool(&mut d.settings.request_throttle.stale_latency_check, v))
        .also(&["requestStaleLatencyCheck"]),
    Key::property("request_stale_connection_check", |d, v| property_bool(&mut d.settings.request_throttle.stale_connection_check, v))
        .also(&["requestStaleConnectionCheck"]),
    Key::property("request_throttler.shutdownTimeout", |d, v| put(&mut d.settings.request_throttle.shutdown_timeout_ms, decode_u64(v))),
    Key::property("throttled_op_wait_time", |d, v| put(&mut d.settings.request_throttle.throttled_op_wait_time_ms, decode_u64_or_off(v)))
        .also(&["throttledOpWaitTime"]),
    Key::property("largeRequestMaxBytes", |d, v| put(&mut d.settings.limits.large_request_max_bytes, decode_u64(v))),
    Key::property("largeRequestThreshold", |d, v| put(&mut d.settings.limits.large_request_threshold_bytes, decode_u32_or_off(v))),
    Key::property("maxCnxns", |d, v| put(&mut d.settings.network.max_cnxns, decode_u32_or_off(v))),
    Key::property("connection_throttle_tokens", |d, v| put(&mut d.settings.connection_throttle.tokens, decode_u32_or_off(v)))
        .also(&["connectionMaxTokens"]),
    Key::property("connection_throttle_fill_time", |d, v| put(&mut d.settings.connection_throttle.fill_time_ms, decode_u32(v, 1)))
        .also(&["connectionTokenFillTime"]),
    Key::property("connection_throttle_fill_count", |d, v| put(&mut d.settings.connection_throttle.fill_count, decode_u32(v, 0)))
        .also(&["connectionTokenFillCount"]),
    Key::property("connection_throttle_freeze_time", |d, v| freeze_time(&mut d.settings.connection_throttle.freeze_time_ms, v))
        .also(&["connectionFreezeTime"]),
    Key::property("connection_throttle_drop_increase", |d, v| put(&mut d.settings.connection_throttle.drop_increase, ratio(v)))
        .also(&["connectionDropIncrease"]),
    Key::property("connection_throttle_drop_decrease", |d, v| put(&mut d.settings.connection_throttle.drop_decrease, ratio(v)))
        .also(&["connectionDropDecrease"]),
    Key::property("connection_throttle_decrease_ratio", |d, v| put(&mut d.settings.connection_throttle.decrease_ratio, ratio(v)))
        .also(&["connectionDecreaseRatio"]),
    Key::property("connection_throttle_weight_enabled", |d, v| property_bool(&mut d.settings.connection_throttle.weight_enabled, v)),
    Key::property("connection_throttle_global_session_weight", |d, v| weight(&mut d.settings.connection_throttle.global_session_weight, v)),
    Key::property("connection_throttle_local_session_weight", |d, v| weight(&mut d.settings.connection_throttle.local_session_weight, v)),
    Key::property("connection_throttle_renew_session_weight", |d, v| weight(&mut d.settings.connection_throttle.renew_session_weight, v)),
    Key::property("enforceQuota", |d, v| property_bool(&mut d.settings.tree.enforce_quota, v)),
    Key::property("skipACL", skip_acl),
    Key::property("enableEagerACLCheck", |d, v| property_bool(&mut d.settings.tree.enable_eager_acl_check, v)),
    ignored("maxResponseCacheSize", Debug, NO_JVM),
    ignored("maxGetChildrenResponseCacheSize", Debug, NO_JVM),
    ignored("intBufferStartingSizeBytes", Debug, NO_JVM),
    ignored("messageTracker.BufferSize", Info, STANDALONE),
    ignored("messageTracker.Enabled", Info, STANDALONE),
    // Network layer.
    ignored("serverCnxnFactory", Info, "there is one network layer here; the choice has no effect"),
    Key::property("nio.sessionlessCnxnTimeout", |d, v| put(&mut d.settings.network.sessionless_cnxn_timeout_ms, decode_u64(v))),
    ignored("nio.numSelectorThreads", Debug, NO_JVM),
    ignored("nio.numWorkerThreads", Debug, NO_JVM),
    ignored("nio.directBufferBytes", Debug, NO_JVM),
    ignored("nio.shutdownTimeout", Debug, NO_JVM),
    ignored("netty.advancedFlowControl.enabled", Debug, NO_JVM),
    ignored("tcpKeepAlive", Info, STANDALONE),
    Key::property("clientTcpKeepAlive", |d, v| property_bool(&mut d.settings.network.client_tcp_keep_alive, v)),
    ignored("follower.nodelay", Debug, STANDALONE).flagged(Flag::Raw),
    ignored("leader.nodelay", Debug, STANDALONE).flagged(Flag::Raw),
    ignored("watchManagerName", Debug, "there is one watch manager here; the choice has no effect"),
    ignored("watcherCleanThreadsNum", Debug, NO_JVM),
    ignored("watcherCleanThreshold", Debug, NO_JVM),
    ignored("watcherCleanIntervalInSeconds", Debug, NO_JVM),
    ignored("maxInProcessingDeadWatchers", Debug, NO_JVM),
    ignored("bitHashCacheSize", Debug, NO_JVM),
    // Quorum, election, learners.
    ignored("leaderServes", Info, STANDALONE),
    ignored("cnxTimeout", Info, STANDALONE),
    ignored("quorumCnxnTimeoutMs", Info, STANDALONE),
    ignored("electionPortBindRetry", Info, STANDALONE),
    ignored("fastleader.minNotificationInterval", Info, STANDALONE),
    ignored("fastleader.maxNotificationInterval", Info, STANDALONE),
    ignored("leaderConnectDelayDuringRetryMs", Info, STANDALONE),
    ignored("leader.maxTimeToWaitForEpoch", Info, STANDALONE),
    ignored("leader.maxConcurrentSnapSyncs", Info, STANDALONE),
    ignored("leader.maxConcurrentDiffSyncs", Info, STANDALONE),
    ignored("leader.ackLoggingFrequency", Debug, STANDALONE),
    ignored("leader.closeSocketAsync", Debug, STANDALONE),
    ignored("learner.closeSocketAsync", Debug, STANDALONE),
    ignored("learner.asyncSending", Debug, STANDALONE),
    ignored("forward_learner_requests_to_commit_processor_disabled", Debug, STANDALONE),
    ignored("follower.skipLearnerRequestToNextProcessor", Debug, STANDALONE),
    ignored("commitProcessor.numWorkerThreads", Debug, NO_JVM),
    ignored("commitProcessor.shutdownTimeout", Debug, NO_JVM),
    ignored("commitProcessor.maxReadBatchSize", Debug, NO_JVM),
    ignored("commitProcessor.maxCommitBatchSize", Debug, NO_JVM),
    ignored("observer.reconnectDelayMs", Info, STANDALONE),
    ignored("observer.election.DelayMs", Info, STANDALONE),
    ignored("observerMaster.sizeLimit", Info, STANDALONE),
    raw("readonlymode.enabled", |d, v| property_bool(&mut d.settings.ensemble.read_only_mode_enabled, v)),
    Key::property("ensembleAuthName", ensemble_auth_names),
    ignored("controllerPort", Info, TEST_ONLY),
    ignored("testingonly.initialZxid", Info, TEST_ONLY),
    ignored("test.allowDiscontinuousProposals", Info, TEST_ONLY),
    // Administration, authentication.
    Key::property("4lw.commands.whitelist", four_letter_words),
    Key::property("audit.enable", |d, v| property_bool(&mut d.settings.admin.audit_enabled, v)),
    Key::property("DigestAuthenticationProvider.enabled", |d, v| property_bool(&mut d.settings.auth.digest_enabled, v)),
    Key::property("DigestAuthenticationProvider.superDigest", super_digest),
    Key::property("DigestAuthenticationProvider.digestAlg", digest_algorithm),
    Key::property("sessionRequireClientSASLAuth", require_client_sasl),
    Key::property("enforce.auth.enabled", |d, v| property_bool(&mut d.enforce_auth_enabled, v)),
    Key::property("enforce.auth.schemes", enforced_schemes),
];
