//! The start of a server, its life and its end.

use std::fmt::Display;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use super::clock::Clock;
use super::config_files::ConfigFiles;
use super::incoming::Incoming;
use super::log_thread::LogThread;
use super::node::Node;
use super::persistence::{Journal, Start};
use super::snapshots::Snapshots;
use super::words::Words;
use super::{client_port, member, persistence, purge, settings, timers};
use crate::config::Settings;
use crate::net::peers::PeersError;
use crate::net::{ConnectionTable, Context, ServerStats};
use crate::replica::{Replica, Shared};
use crate::storage::{Directories, FileSystem, RealFileSystem, StorageError, directory};

/// The id that a standalone server puts into its sessions, as Java's does.
const STANDALONE_SERVER_ID: u8 = 1;

/// Why a server does not start, or does not go on.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The client port cannot be bound.
    #[error("cannot listen on client port {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The runtime or a thread cannot start.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The links to the other servers cannot be made.
    #[error(transparent)]
    Peers(#[from] PeersError),
}

impl StartError {
    /// The exit code of the process (`ExitCode`).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Storage(_) => 3,
            Self::Peers(PeersError::Bind { .. }) => 14,
            Self::Listen { .. } | Self::System(_) | Self::Peers(_) => 1,
        }
    }
}

/// Runs a server until it is told to stop: a member of an ensemble if the configuration says so, else one that stands alone.
///
/// # Errors
/// When it cannot start.
pub fn run(settings: Settings) -> Result<(), StartError> {
    let started = Instant::now();
    let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    let directories =
        Directories::open(&fs, &settings.storage.data_dir, &settings.storage.data_log_dir, settings.storage.datadir_autocreate)?;
    let directories = Arc::new(directories);
    let seed = random_seed();
    let persistence = Arc::new(settings::persistence(&settings));
    let mut start = persistence::restore(&fs, &directories, &persistence, seed)?;
    let may_begin = !start.is_empty() || settings.storage.db_autocreate || take_marker(&fs, &directories, &settings)?;
    report_recovery(&start, &directories, started);
    let found = match settings.ensemble.is_member {
        true => Some(member::recovered(fs.as_ref(), &directories, &mut start, may_begin)?),
        false => None,
    };
    let is_missing = found.as_ref().is_some_and(|found| found.is_uninitialized);
    let Start { tree, sessions, recovered, .. } = start;
    let (clock, shared) = (Clock::new(), Arc::new(Shared::new(tree, seed)));
    shared.watches.lock().set_limits(settings::watch_limits(&settings));
    let replica = if let Some(found) = found {
        let ensemble = (member::zab_settings(&settings, seed), found);
        let server_id = member::server_id(&settings).0 as u8;
        Replica::member(settings::replica(&settings, server_id, seed), ensemble, Arc::clone(&shared), &sessions, clock.now())
    } else {
        let replica_settings = settings::replica(&settings, STANDALONE_SERVER_ID, seed);
        Replica::standalone(replica_settings, Arc::clone(&shared), &sessions, clock.now())
    };
    let node = Node::new(replica, shared, clock);
    node.stats.add_start(started.elapsed().as_millis() as u64, recovered.txn_count);
    let snapshots = Snapshots::new(Arc::clone(&fs), Arc::clone(&directories), Arc::clone(&persistence));
    if recovered.needs_snapshot() && !is_missing {
        snapshots.write(&node)?;
    }
    if !settings.ensemble.is_member {
        // What a server alone has applied is committed.
        snapshots.allow(&node);
    }
    let journal = Journal::new(Arc::clone(&fs), &directories, &persistence, recovered.last_zxid, seed);
    let incoming = settings.ensemble.is_member.then(|| Arc::new(member::incoming(&fs, &directories, &settings, &persistence)));
    let place = Place { fs, directories, snapshots: snapshots.clone(), incoming: incoming.clone() };
    let warning_threshold_ms = settings.storage.fsync_warning_threshold_ms;
    let config_files = config_files(&place.fs, &settings);
    let log_thread =
        start_log_thread(LogThread { node: Arc::clone(&node), journal, snapshots, incoming, config_files, warning_threshold_ms })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(Arc::clone(&node), &place, &settings, started));
    member::leave(&node);
    runtime.shutdown_background();
    stop_log_thread(&node, log_thread);
    served
}

/// The files that a reconfiguration rewrites; `None` where there is none.
fn config_files(fs: &Arc<dyn FileSystem>, settings: &Settings) -> Option<ConfigFiles> {
    let file = settings.ensemble.config_file.as_ref()?;
    settings.ensemble.reconfig_enabled.then(|| ConfigFiles::new(Arc::clone(fs), file, member::server_id(settings)))
}

/// Keys the hashes that clients could otherwise collide on purpose.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// A server without a database, which may not make up one. Alone it must not start then; a member of an ensemble does not vote until it
/// has synchronized. True when the file `initialize` says that it may.
fn take_marker(fs: &Arc<dyn FileSystem>, directories: &Directories, settings: &Settings) -> Result<bool, StorageError> {
    match directory::take_empty_marker(fs.as_ref(), directories.snap_dir(), &settings.storage.data_dir) {
        Err(error) if settings.ensemble.is_member => {
            tracing::warn!(%error, "no database here: waiting for one from a leader, without a vote");
            Ok(false)
        }
        taken => taken.map(|()| true),
    }
}

fn report_recovery(start: &Start, directories: &Directories, started: Instant) {
    let recovered = &start.recovered;
    if start.digest_mismatches > 0 {
        let count = start.digest_mismatches;
        tracing::error!(count, "digests on disk do not match the tree: it was damaged, or written by a faulty server");
    }
    let snapshot = recovered.snapshot.map_or_else(|| "none".to_owned(), |zxid| zxid.to_string());
    tracing::info!(
        snapshots = %directories.snap_dir().display(),
        log = %directories.log_dir().display(),
        snapshot,
        txns_replayed = recovered.txn_count,
        last_zxid = %recovered.last_zxid,
        znodes = start.tree.node_count(),
        bytes_cut = recovered.cut_bytes,
        took_ms = started.elapsed().as_millis() as u64,
        "data recovered"
    );
}

fn start_log_thread(mut log_thread: LogThread) -> Result<JoinHandle<()>, std::io::Error> {
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        if let Err(error) = log_thread.run() {
            fatal(&error);
        }
    })
}

/// The disk failed: nothing more is acknowledged, and the next start trusts only what it reads back.
fn fatal(error: &dyn Display) -> ! {
    tracing::error!(%error, "Severe unrecoverable error, exiting");
    std::process::exit(1);
}

fn stop_log_thread(node: &Node, log_thread: JoinHandle<()>) {
    node.log.lock().is_stopping = true;
    node.log_wakes.notify_one();
    if log_thread.join().is_err() {
        tracing::error!("the log thread ended in a panic");
    }
    tracing::info!("stopped");
}

/// Where the data is, and how it is kept.
struct Place {
    fs: Arc<dyn FileSystem>,
    directories: Arc<Directories>,
    snapshots: Snapshots,
    /// Snapshots from a leader, on a member of an ensemble.
    incoming: Option<Arc<Incoming>>,
}

async fn serve(node: Arc<Node>, place: &Place, settings: &Settings, started: Instant) -> Result<(), StartError> {
    let Place { fs, directories, snapshots, incoming } = place;
    let listener = client_port::bind(&settings.network)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let words = Arc::new(Words::new(Arc::clone(&node), settings, directories, fs));
    let (table, stats): (Arc<ConnectionTable>, Arc<ServerStats>) = (Arc::clone(&node.table), Arc::clone(&node.stats));
    let context = Context::new(Arc::clone(&node.shared), words, table, stats, settings::net(settings), node.clock.start());
    if let Some(incoming) = incoming {
        member::join(&node, fs, directories, settings, (snapshots.clone(), Arc::clone(incoming))).await?;
    }
    tokio::spawn(timers::tick(Arc::clone(&node), i64::from(settings.session.tick_time_ms)));
    tokio::spawn(timers::sweep(Arc::clone(&node), settings.tree.clone()));
    if let Some(hours) = settings.storage.autopurge_purge_interval_hours {
        let retain = settings.storage.autopurge_snap_retain_count as usize;
        tokio::spawn(purge::run(Arc::clone(fs), Arc::clone(directories), retain, hours));
    }
    tracing::info!(address = %listener.address()?, took_ms = started.elapsed().as_millis() as u64, "binding to port: serving clients");
    let moves = node.client_port.subscribe();
    tokio::spawn(client_port::serve(listener, settings.network.clone(), Arc::new(context), moves));
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}
