//! Becoming a member of an ensemble: what the ordering core is told of the configuration and of the disk, and the links to the others.

use std::sync::Arc;

use super::current_members::CurrentMembers;
use super::ensemble::{Door, Ensemble};
use super::incoming::Incoming;
use super::node::Node;
use super::persistence::{PersistenceSettings, Start};
use super::snapshots::Snapshots;
use super::start::StartError;
use super::wake;
use crate::config::Settings;
use crate::ids::ServerId;
use crate::net::peers::{PeerSettings, Peers};
use crate::replica::{self, Input};
use crate::storage::epoch_file::Epochs;
use crate::storage::{Directories, FileSystem, HistoryReader, HistoryReaderSettings, StorageError};
use crate::zab::{self, HistoryLimits, Membership, Recovered, Timing};

/// Payload bytes that are read from the log at once for a learner.
const HISTORY_SLICE_BYTES: usize = 1 << 20;

/// This server's id.
pub(super) fn server_id(settings: &Settings) -> ServerId {
    ServerId(settings.ensemble.server_id)
}

fn timing(settings: &Settings) -> Timing {
    let ensemble = &settings.ensemble;
    Timing {
        notification_min_ms: i64::from(ensemble.notification_min_ms),
        notification_max_ms: i64::from(ensemble.notification_max_ms.max(ensemble.notification_min_ms)),
        observer_delay_max_ms: i64::from(ensemble.observer_delay_max_ms),
        observer_reconnect_max_ms: i64::from(ensemble.observer_reconnect_delay_max_ms),
        ..Timing::new(i64::from(settings.session.tick_time_ms), i64::from(ensemble.init_limit_ticks), i64::from(ensemble.sync_limit_ticks))
    }
}

/// How much of the history is kept in memory for learners.
pub(super) fn kept_history(settings: &Settings) -> HistoryLimits {
    HistoryLimits { delivered_count_max: settings.ensemble.commit_log_count as usize, ..HistoryLimits::default() }
}

/// What the core is told of the configuration.
pub(super) fn zab_settings(settings: &Settings, seed: u64) -> zab::Settings {
    let ensemble = &settings.ensemble;
    zab::Settings {
        server_id: server_id(settings),
        membership: Membership::new(replica::configuration(&ensemble.members, ensemble.config_version)),
        reader: ensemble.reconfig_enabled.then_some(replica::READER),
        is_standalone: false,
        timing: timing(settings),
        history: kept_history(settings),
        reads_disk: ensemble.snapshot_size_factor.is_some(),
        forces_snapshot: ensemble.forces_snapshot,
        has_observer_masters: settings.peers.observer_master_port.is_some(),
        seed,
    }
}

/// What the core is told of the disk. A server that had a database, as its epochs say, and has none now may have acknowledged anything: it
/// does not vote before it has one again, and neither does one that `may_begin` none (ZOOKEEPER-261).
///
/// # Errors
/// When the epoch files show that something was lost.
pub(super) fn recovered(
    fs: &dyn FileSystem,
    directories: &Directories,
    start: &mut Start,
    may_begin: bool,
) -> Result<Recovered, StorageError> {
    let last_zxid = start.recovered.last_zxid;
    let epochs = Epochs::read(fs, directories.snap_dir(), last_zxid)?;
    tracing::info!(accepted_epoch = ?epochs.accepted, current_epoch = ?epochs.current, %last_zxid, "epochs recovered");
    let is_lost = start.is_empty() && epochs.has_history();
    if is_lost {
        tracing::error!(
            accepted_epoch = ?epochs.accepted,
            "this server had a database, but there is none: it takes a leader's, and does not vote before it has it. Only if no member of \
             the ensemble has its data any more, remove acceptedEpoch and currentEpoch"
        );
    }
    Ok(Recovered {
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        last_zxid,
        recent: std::mem::take(&mut start.recent),
        is_uninitialized: is_lost || (start.is_empty() && !may_begin),
    })
}

/// Where snapshots of a leader arrive.
pub(super) fn incoming(
    fs: &Arc<dyn FileSystem>,
    directories: &Arc<Directories>,
    settings: &Settings,
    persistence: &PersistenceSettings,
) -> Incoming {
    let field_bytes_max = u32::try_from(settings.limits.record_bytes_max()).unwrap_or(u32::MAX);
    Incoming::new(Arc::clone(fs), Arc::clone(directories), persistence.compression, field_bytes_max)
}

/// Binds the election port, and begins to look for a leader.
///
/// # Errors
/// When the election port cannot be bound.
pub(super) async fn join(
    node: &Arc<Node>,
    fs: &Arc<dyn FileSystem>,
    directories: &Directories,
    settings: &Settings,
    (snapshots, incoming): (Snapshots, Arc<Incoming>),
) -> Result<(), StartError> {
    let history = settings.ensemble.snapshot_size_factor.map(|size_factor| {
        let reading = HistoryReaderSettings { slice_bytes: HISTORY_SLICE_BYTES, size_factor };
        HistoryReader::new(Arc::clone(fs), directories.snap_dir(), directories.log_dir(), reading)
    });
    let ensemble = Ensemble::new(history, snapshots, CurrentMembers::new(&settings.ensemble));
    let door = Arc::new(Door::closed(Arc::clone(node)));
    let peers = Peers::start(PeerSettings::new(settings, server_id(settings)), Arc::clone(&door) as _, incoming).await?;
    assert!(ensemble.peers.set(peers).is_ok() && node.ensemble.set(ensemble).is_ok(), "a server joins once");
    tokio::spawn(wake::run(Arc::clone(node)));
    door.open(vec![Input::Zab(zab::Input::Tick)]);
    Ok(())
}

/// Gives up the role, so that the others need not wait for a timeout, and closes every link.
pub(super) fn leave(node: &Node) {
    if let Some(ensemble) = node.ensemble.get() {
        node.submit(vec![Input::Zab(zab::Input::Shutdown)]);
        if let Some(peers) = ensemble.peers.get() {
            peers.shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// quorum-protocol.md §4, ZOOKEEPER-261: whoever lost what it may have acknowledged, or may not begin, has no vote.
    #[test]
    fn a_lost_database_has_no_vote() {
        for (epochs, has_database, may_begin, is_uninitialized) in [
            (None, false, true, false),
            (None, false, false, true),
            (Some("0"), false, true, false),
            (Some("3"), false, true, true),
            (Some("3"), true, true, false),
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            let fs: Arc<dyn FileSystem> = Arc::new(crate::storage::RealFileSystem);
            let directories = Directories::open(&fs, dir.path(), dir.path(), true).expect("free");
            if let Some(epoch) = epochs {
                for name in ["acceptedEpoch", "currentEpoch"] {
                    std::fs::write(directories.snap_dir().join(name), epoch).expect("writable");
                }
            }
            let settings = crate::server::settings::persistence(&Settings::embedded_default(dir.path()));
            let mut start = crate::server::persistence::restore(&fs, &directories, &settings, 1).expect("sound");
            start.recovered.snapshot = has_database.then_some(crate::ids::Zxid::ZERO);
            let found = recovered(fs.as_ref(), &directories, &mut start, may_begin).expect("sound");
            assert_eq!(found.is_uninitialized, is_uninitialized, "{epochs:?}, {has_database}, {may_begin}");
        }
    }
}
