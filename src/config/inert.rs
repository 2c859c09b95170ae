//! Keys that are understood and have no effect here, each with the reason that the operator reads.

const OTHER_MACHINERY: &str = "has no effect here: it tunes a part of the Java server that this one does not have";
const ENSEMBLE: &str = "has no effect: this version does without it, alone and in an ensemble";
const TLS: &str = "has no effect: TLS is not served by this version, its port stays closed";
const SASL: &str = "has no effect: SASL is not served by this version; clients are told that it is not configured";
const HTTP: &str = "has no effect: the HTTP port of the AdminServer and of metrics is not served by this version and stays closed";
const GROUP_COMMIT: &str = "has no effect here: whatever waits is made durable together, and nothing waits for more to come";
const NO_QUEUE: &str = "has no effect here: a connection over the limit is not read, so no request grows old in a queue";
const ALL_ADDRESSES: &str = "has no effect here: all addresses of a server are tried at once, and unanswered data breaks a connection";
const AUDIT: &str = "has no effect: this version writes no audit log";

const TABLE: &[(&str, &[&str])] = &[
    (
        OTHER_MACHINERY,
        &[
            "serverCnxnFactory",
            "nio.numSelectorThreads",
            "nio.numWorkerThreads",
            "nio.directBufferBytes",
            "nio.shutdownTimeout",
            "netty.advancedFlowControl.enabled",
            "netty.server.outstandingHandshake.limit",
            "netty.server.earlyDropSecureConnectionHandshakes",
            "watchManagerName",
            "watcherCleanThreadsNum",
            "watcherCleanThreshold",
            "watcherCleanIntervalInSeconds",
            "maxInProcessingDeadWatchers",
            "bitHashCacheSize",
            "maxResponseCacheSize",
            "maxGetChildrenResponseCacheSize",
            "intBufferStartingSizeBytes",
            "messageTracker.BufferSize",
            "messageTracker.Enabled",
            "pathStats.enabled",
            "pathStats.slotCapacity",
            "pathStats.slotDuration",
            "pathStats.maxDepth",
            "pathStats.sampleRate",
            "pathStats.initialDelay",
            "pathStats.delay",
            "pathStats.topPathMax",
            "commitProcessor.numWorkerThreads",
            "commitProcessor.shutdownTimeout",
            "commitProcessor.maxReadBatchSize",
            "commitProcessor.maxCommitBatchSize",
            "request_throttler.shutdownTimeout",
            "jmx.log4j.disable",
            "quorum.cnxn.threads.size",
            "follower.nodelay",
            "leader.nodelay",
            "controllerPort",
            "testingonly.initialZxid",
            "test.allowDiscontinuousProposals",
            "jvm.pause.monitor",
            "jvm.pause.info-threshold.ms",
            "jvm.pause.warn-threshold.ms",
            "jvm.pause.sleep.time.ms",
            "log.dir",
            "log.file",
            "root.logger",
            "console.threshold",
            "log.threshold",
            "tracelog.dir",
            "tracelog.file",
        ],
    ),
    (
        ENSEMBLE,
        &[
            "electionAlg",
            "peerType",
            "syncEnabled",
            "oraclePath",
            "leaderServes",
            "leader.maxTimeToWaitForEpoch",
            "leader.maxConcurrentSnapSyncs",
            "leader.maxConcurrentDiffSyncs",
            "leader.ackLoggingFrequency",
            "leader.closeSocketAsync",
            "learner.closeSocketAsync",
            "learner.asyncSending",
            "forward_learner_requests_to_commit_processor_disabled",
            "follower.skipLearnerRequestToNextProcessor",
            "portUnification",
            "sslQuorumReloadCertFiles",
            "enableEagerACLCheck",
        ],
    ),
    (
        TLS,
        &[
            "secureClientPort",
            "secureClientPortAddress",
            "client.portUnification",
            "client.certReload",
            "fips-mode",
            "X509AuthenticationProvider.superUser",
        ],
    ),
    (
        SASL,
        &[
            "superUser",
            "SASLAuthenticationProvider.superPassword",
            "allowSaslFailedClients",
            "sasl.serverconfig",
            "sasl.client",
            "kerberos.removeHostFromPrincipal",
            "kerberos.removeRealmFromPrincipal",
            "kerberos.canonicalizeHostNames",
            "security.auth_to_local",
            "kerberos.minReLoginTimeMs",
            "requireKerberosConfig",
            "letAnySaslUserDoX",
            "server.principal",
            "server.realm",
            "kinit",
            "quorum.auth.learner.saslLoginContext",
            "quorum.auth.server.saslLoginContext",
            "quorum.auth.kerberos.servicePrincipal",
        ],
    ),
    (GROUP_COMMIT, &["flushDelay", "maxWriteQueuePollTime", "maxBatchSize"]),
    (
        NO_QUEUE,
        &[
            "request_throttle_stall_time",
            "requestThrottleStallTime",
            "request_throttle_drop_stale",
            "requestThrottleDropStale",
            "request_stale_latency_check",
            "requestStaleLatencyCheck",
            "request_stale_connection_check",
            "requestStaleConnectionCheck",
            "throttled_op_wait_time",
            "throttledOpWaitTime",
        ],
    ),
    (ALL_ADDRESSES, &["multiAddress.reachabilityCheckEnabled", "multiAddress.reachabilityCheckTimeoutMs"]),
    (HTTP, &["IPAuthenticationProvider.usexforwardedfor"]),
    (AUDIT, &["audit.impl.class"]),
];

const PREFIXES: &[(&str, &str)] = &[
    ("ssl.", TLS),
    ("authProvider", "has no effect: additional authentication providers are not served by this version"),
    ("admin.", HTTP),
    ("metricsProvider.", HTTP),
    ("superUser.", SASL),
];

/// Why a key has no effect; `None` if it is not one of these.
pub(super) fn reason(key: &str) -> Option<&'static str> {
    let named = TABLE.iter().find(|(_, keys)| keys.contains(&key)).map(|(reason, _)| *reason);
    named.or_else(|| PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, reason)| *reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_there_twice() {
        let all: Vec<&str> = TABLE.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
        let distinct: std::collections::BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
        assert_eq!(reason("ssl.keyStore.location"), Some(TLS));
        assert_eq!(reason("snapCount"), None);
    }
}
