//! The keys that the parser knows by name (`QuorumPeerConfig.parseProperties`). A bad value stops the start.

use std::path::PathBuf;

use super::super::error::Reason;
use super::super::notice::Level::{self, Debug, Info};
use super::super::settings::MIN_SNAP_RETAIN_COUNT;
use super::super::values::{Fault, Outcome, parse_int, strict, strict_bool};
use super::{Flag, Key, any};

const STANDALONE: &str = "is for ensembles and has no effect on a standalone server";
const NO_JVM: &str = "tunes a part of the Java server that does not exist here";

/// A port, 0 to 65535; 0 counts as not set, as in ZooKeeper.
fn port(target: &mut u16, value: &str) -> Outcome {
    *target = u16::try_from(strict(value, 0, u16::MAX.into())?).unwrap_or_default();
    Ok(())
}

fn path(target: &mut Option<PathBuf>, value: &str) -> Outcome {
    *target = Some(PathBuf::from(nonempty(value)?));
    Ok(())
}

fn nonempty(value: &str) -> Result<&str, Reason> {
    if value.is_empty() { Err(Reason::Empty) } else { Ok(value) }
}

fn text(target: &mut Option<String>, value: &str) -> Outcome {
    *target = Some(nonempty(value)?.to_owned());
    Ok(())
}

fn flag(target: &mut bool, value: &str) -> Outcome {
    *target = strict_bool(value)?;
    Ok(())
}

/// A session clamp: -1 follows the tick.
fn session_clamp(target: &mut Option<i32>, value: &str) -> Outcome {
    *target = Some(strict(value, -1, i32::MAX)?).filter(|timeout| *timeout != -1);
    Ok(())
}

fn count_or_off(target: &mut Option<u32>, value: &str) -> Outcome {
    *target = u32::try_from(parse_int(value)?).ok().filter(|count| *count > 0);
    Ok(())
}

fn milliseconds(target: &mut u64, value: &str) -> Outcome {
    *target = super::super::values::parse_long(value)
        .and_then(|number| u64::try_from(number).map_err(|_| Reason::OutOfRange { min: 0, max: i64::MAX }))?;
    Ok(())
}

/// `QuorumPeerConfig` raises a smaller count to 3 with a warning.
fn retain_count(target: &mut u32, value: &str) -> Outcome {
    let count = u32::try_from(parse_int(value)?).unwrap_or(0);
    *target = count.max(MIN_SNAP_RETAIN_COUNT);
    if count < MIN_SNAP_RETAIN_COUNT {
        return Err(Fault::Taken(format!("fewer than {MIN_SNAP_RETAIN_COUNT} snapshots are never kept; {MIN_SNAP_RETAIN_COUNT} is used")));
    }
    Ok(())
}

const fn ensemble(name: &'static str, set: super::Setter) -> Key {
    Key::own(name, set).without_effect(Info, STANDALONE)
}

const fn ignored(name: &'static str, set: super::Setter, level: Level, reason: &'static str) -> Key {
    Key::own(name, set).without_effect(level, reason)
}

fn ticks(value: &str) -> Outcome {
    strict(value, 0, i32::MAX)?;
    Ok(())
}

fn only_boolean(value: &str) -> Outcome {
    strict_bool(value)?;
    Ok(())
}

fn only_number(value: &str) -> Outcome {
    parse_int(value)?;
    Ok(())
}

/// A switch that may only be off.
fn protection(value: &str, what: &'static str) -> Outcome {
    if strict_bool(value)? { Err(Reason::ProtectionMissing { what }.into()) } else { Ok(()) }
}

pub(super) static KEYS: &[Key] = &[
    Key::own("dataDir", |d, v| path(&mut d.data_dir, v)),
    Key::own("dataLogDir", |d, v| path(&mut d.data_log_dir, v)),
    Key::own("clientPort", |d, v| port(&mut d.client_port, v)),
    Key::own("clientPortAddress", |d, v| text(&mut d.client_port_address, v)),
    ignored(
        "secureClientPort",
        |d, v| port(&mut d.secure_client_port, v),
        Level::Warn,
        "this version does not serve TLS; the port stays closed",
    ),
    ignored(
        "secureClientPortAddress",
        |d, v| text(&mut d.secure_client_port_address, v),
        Level::Warn,
        "this version does not serve TLS; the port stays closed",
    ),
    ensemble("observerMasterPort", |_, v| port(&mut 0, v)),
    Key::own("clientPortListenBacklog", |d, v| count_or_off(&mut d.settings.network.client_port_listen_backlog, v)),
    Key::own("tickTime", |d, v| {
        d.settings.session.tick_time_ms = strict(v, 1, i32::MAX)?;
        Ok(())
    }),
    Key::own("maxClientCnxns", |d, v| count_or_off(&mut d.settings.network.max_client_cnxns, v)),
    Key::own("minSessionTimeout", |d, v| session_clamp(&mut d.settings.session.configured_min_session_timeout_ms, v)),
    Key::own("maxSessionTimeout", |d, v| session_clamp(&mut d.settings.session.configured_max_session_timeout_ms, v)),
    ensemble("initLimit", |_, v| ticks(v)),
    ensemble("syncLimit", |_, v| ticks(v)),
    ensemble("connectToLearnerMasterLimit", |_, v| ticks(v)),
    ensemble("electionAlg", |_, v| match parse_int(v)? {
        3 => Ok(()),
        _ => Err(Reason::NotOneOf { expected: "3, the only election algorithm there is" }.into()),
    }),
    ensemble("quorumListenOnAllIPs", |_, v| only_boolean(v)),
    ensemble("peerType", |d, v| {
        d.peer_type = Some(super::super::members::Role::parse(v).ok_or(Reason::NotOneOf { expected: "participant or observer" })?);
        Ok(())
    }),
    ensemble("syncEnabled", |_, v| only_boolean(v)),
    Key::own("observer.syncEnabled", any).flagged(Flag::Prefixed).without_effect(Info, STANDALONE),
    Key::own("dynamicConfigFile", |d, v| path(&mut d.dynamic_config_file, v)),
    Key::own("autopurge.snapRetainCount", |d, v| retain_count(&mut d.settings.storage.autopurge_snap_retain_count, v)),
    Key::own("autopurge.purgeInterval", |d, v| count_or_off(&mut d.settings.storage.autopurge_purge_interval_hours, v)),
    Key::own("standaloneEnabled", |d, v| flag(&mut d.settings.ensemble.standalone_enabled, v)),
    Key::own("reconfigEnabled", |d, v| flag(&mut d.settings.ensemble.reconfig_enabled, v)),
    Key::own("sslQuorum", |_, v| protection(v, "TLS between servers")),
    ensemble("portUnification", |_, v| only_boolean(v)),
    ensemble("sslQuorumReloadCertFiles", |_, v| only_boolean(v)),
    Key::own("localSessionsEnabled", |d, v| flag(&mut d.settings.session.local_sessions_enabled, v)),
    Key::own("localSessionsUpgradingEnabled", |d, v| flag(&mut d.settings.session.local_sessions_upgrading_enabled, v)),
    ensemble("quorum.auth.enableSasl", |_, v| only_boolean(v)),
    Key::own("quorum.auth.serverRequireSasl", |_, v| protection(v, "SASL between servers")),
    Key::own("quorum.auth.learnerRequireSasl", |_, v| protection(v, "SASL between servers")),
    ensemble("quorum.auth.learner.saslLoginContext", any),
    ensemble("quorum.auth.server.saslLoginContext", any),
    ensemble("quorum.auth.kerberos.servicePrincipal", any),
    ignored("quorum.cnxn.threads.size", |_, v| only_number(v), Debug, NO_JVM),
    Key::own("jvm.pause.monitor", |d, v| flag(&mut d.settings.admin.pause_monitor_enabled, v)),
    Key::own("jvm.pause.info-threshold.ms", |d, v| milliseconds(&mut d.settings.admin.pause_info_threshold_ms, v)),
    Key::own("jvm.pause.warn-threshold.ms", |d, v| milliseconds(&mut d.settings.admin.pause_warn_threshold_ms, v)),
    Key::own("jvm.pause.sleep.time.ms", |d, v| milliseconds(&mut d.settings.admin.pause_sleep_time_ms, v)),
    Key::own("multiAddress.enabled", |d, v| flag(&mut d.multi_address_enabled, v)).flagged(Flag::Prefixed),
    Key::own("multiAddress.reachabilityCheckEnabled", |_, v| only_boolean(v)).flagged(Flag::Prefixed).without_effect(Info, STANDALONE),
    Key::own("multiAddress.reachabilityCheckTimeoutMs", |_, v| only_number(v)).flagged(Flag::Prefixed).without_effect(Info, STANDALONE),
    ensemble("oraclePath", any),
    ensemble("version", any),
];
