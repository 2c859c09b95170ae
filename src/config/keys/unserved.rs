//! Keys of parts that this version does not have: TLS, SASL, AdminServer, exporters, statistics of paths. They are accepted and said to do nothing.

use super::super::error::Reason;
use super::super::notice::Level::{self, Debug, Info, Warn};
use super::super::values::property_bool;
use super::{Family, Flag, Key, any};

const NO_TLS: &str = "this version does not serve TLS; no TLS port is opened";
const NO_SASL: &str = "this version does not serve SASL; clients cannot log in with it";
const NO_X509: &str = "this version does not serve TLS, so no client can present a certificate";
const NO_ADMIN: &str = "this version does not serve the AdminServer; its port stays closed";
const NO_METRICS_HTTP: &str = "this version does not export metrics by HTTP; the port stays closed (mntr gives the metrics)";
const NO_PATH_STATS: &str = "this version keeps no statistics of paths";
const NO_CLASSES: &str = "Java classes cannot be loaded here";
const JAVA_CLIENT: &str = "is read by Java clients, not by servers";
const LOGGING: &str = "is for the Java logging set-up and has no effect here";

const fn ignored(name: &'static str, level: Level, reason: &'static str) -> Key {
    Key::property(name, any).without_effect(level, reason)
}

/// Known exporters by class; others cannot be loaded, which is said but stops nothing, since metrics protect nobody.
const METRICS_CLASS: Key = Key::own("metricsProvider.className", |_, value| {
    use super::super::values::Fault::Taken;
    match value {
        "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider" => Ok(()),
        "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider" => Err(Taken(NO_METRICS_HTTP.to_owned())),
        "org.apache.zookeeper.metrics.impl.NullMetricsProvider" => Err(Taken("metrics are kept all the same".to_owned())),
        "" => Err(Reason::Empty.into()),
        _ => Err(Taken(format!("{NO_CLASSES}; the default metrics are kept"))),
    }
});

/// A switch that is harmless when it is off.
const ADMIN_ENABLE: Key = Key::property("admin.enableServer", |_, value| {
    let mut enabled = false;
    let outcome = property_bool(&mut enabled, value);
    if enabled { Err(super::super::values::Fault::Taken(NO_ADMIN.to_owned())) } else { outcome }
});

pub(super) static KEYS: &[Key] = &[
    METRICS_CLASS,
    ADMIN_ENABLE,
    ignored("admin.serverAddress", Warn, NO_ADMIN),
    ignored("admin.serverPort", Warn, NO_ADMIN),
    ignored("admin.idleTimeout", Warn, NO_ADMIN),
    ignored("admin.commandURL", Warn, NO_ADMIN),
    ignored("admin.httpVersion", Warn, NO_ADMIN),
    ignored("admin.portUnification", Warn, NO_ADMIN),
    ignored("admin.forceHttps", Warn, NO_ADMIN),
    ignored("admin.needClientAuth", Warn, NO_ADMIN),
    ignored("admin.rateLimiterIntervalInMS", Warn, NO_ADMIN),
    ignored("admin.snapshot.enabled", Warn, NO_ADMIN),
    ignored("admin.restore.enabled", Warn, NO_ADMIN),
    ignored("audit.impl.class", Warn, NO_CLASSES),
    ignored("pathStats.enabled", Info, NO_PATH_STATS),
    ignored("pathStats.slotCapacity", Info, NO_PATH_STATS),
    ignored("pathStats.slotDuration", Info, NO_PATH_STATS),
    ignored("pathStats.maxDepth", Info, NO_PATH_STATS),
    ignored("pathStats.sampleRate", Info, NO_PATH_STATS),
    ignored("pathStats.initialDelay", Info, NO_PATH_STATS),
    ignored("pathStats.delay", Info, NO_PATH_STATS),
    ignored("pathStats.topPathMax", Info, NO_PATH_STATS),
    ignored("netty.server.outstandingHandshake.limit", Warn, NO_TLS),
    ignored("netty.server.earlyDropSecureConnectionHandshakes", Warn, NO_TLS),
    ignored("client.portUnification", Warn, NO_TLS),
    ignored("client.certReload", Warn, NO_TLS),
    ignored("fips-mode", Info, NO_TLS),
    ignored("X509AuthenticationProvider.superUser", Warn, NO_X509),
    ignored("superUser", Warn, NO_SASL),
    ignored("SASLAuthenticationProvider.superPassword", Warn, NO_SASL),
    ignored("allowSaslFailedClients", Warn, NO_SASL),
    ignored("IPAuthenticationProvider.usexforwardedfor", Warn, NO_ADMIN),
    ignored("sasl.serverconfig", Warn, NO_SASL),
    ignored("kerberos.removeHostFromPrincipal", Warn, NO_SASL),
    ignored("kerberos.removeRealmFromPrincipal", Warn, NO_SASL),
    ignored("kerberos.canonicalizeHostNames", Warn, NO_SASL),
    ignored("kerberos.minReLoginTimeMs", Warn, NO_SASL),
    ignored("security.auth_to_local", Warn, NO_SASL),
    ignored("requireKerberosConfig", Warn, NO_SASL),
    ignored("letAnySaslUserDoX", Warn, NO_SASL),
    ignored("server.principal", Warn, NO_SASL),
    ignored("server.realm", Warn, NO_SASL),
    ignored("kinit", Warn, NO_SASL),
    ignored("java.security.auth.login.config", Warn, NO_SASL).flagged(Flag::Raw),
    ignored("client.secure", Info, JAVA_CLIENT),
    ignored("clientCnxnSocket", Info, JAVA_CLIENT),
    ignored("sasl.client", Info, JAVA_CLIENT),
    ignored("sasl.clientconfig", Info, JAVA_CLIENT),
    ignored("sasl.client.username", Info, JAVA_CLIENT),
    ignored("root.logger", Debug, LOGGING),
    ignored("jmx.log4j.disable", Debug, LOGGING),
];

pub(super) static FAMILIES: &[Family] = &[
    Family { prefix: "ssl.", flag: Flag::Prefixed, no_effect: (Warn, NO_TLS) },
    Family { prefix: "authProvider.", flag: Flag::Prefixed, no_effect: (Warn, "only the built-in schemes world, ip and digest are served") },
    Family { prefix: "superUser.", flag: Flag::Prefixed, no_effect: (Warn, NO_SASL) },
    Family { prefix: "metricsProvider.", flag: Flag::FileOnly, no_effect: (Warn, NO_METRICS_HTTP) },
    Family { prefix: "admin.", flag: Flag::Prefixed, no_effect: (Warn, NO_ADMIN) },
    Family { prefix: "log.", flag: Flag::Prefixed, no_effect: (Debug, LOGGING) },
    Family { prefix: "console.", flag: Flag::Prefixed, no_effect: (Debug, LOGGING) },
    Family { prefix: "tracelog.", flag: Flag::Prefixed, no_effect: (Debug, LOGGING) },
];
