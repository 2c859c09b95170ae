//! The thread that writes a snapshot while requests go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::node::Node;
use super::persistence::{PersistenceSettings, SnapshotJob};
use crate::ids::Zxid;
use crate::storage::{Directories, FileSystem, StorageError};

/// What the thread is about.
#[derive(Debug, Default)]
struct Work {
    is_running: bool,
    /// It is to give up.
    is_cancelled: bool,
    /// What is applied is committed: only then a snapshot is taken.
    is_allowed: bool,
    /// One is wanted as soon as it is allowed.
    is_wanted: bool,
    /// The history is being replaced.
    is_paused: bool,
}

/// Where and how snapshots are written.
#[derive(Clone)]
pub(super) struct Snapshots {
    fs: Arc<dyn FileSystem>,
    directories: Arc<Directories>,
    settings: Arc<PersistenceSettings>,
    work: Arc<Mutex<Work>>,
    ended: Arc<Condvar>,
}

/// As long as it lives, no snapshot is under way and none begins.
pub(super) struct Paused(Arc<Mutex<Work>>);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.lock().is_paused = false;
    }
}

impl Snapshots {
    /// Snapshots are wanted, but not allowed yet.
    pub(super) fn new(fs: Arc<dyn FileSystem>, directories: Arc<Directories>, settings: Arc<PersistenceSettings>) -> Self {
        Self { fs, directories, settings, work: Arc::default(), ended: Arc::default() }
    }

    /// From now on what is applied is committed. Takes the snapshot that was wanted meanwhile.
    pub(super) fn allow(&self, node: &Arc<Node>) {
        let is_wanted = {
            let mut work = self.work.lock();
            work.is_allowed = true;
            std::mem::take(&mut work.is_wanted)
        };
        if is_wanted {
            self.start(node);
        }
    }

    /// From now on what is applied may be taken back. A snapshot that is under way is of what was committed when it began.
    pub(super) fn forbid(&self) {
        self.work.lock().is_allowed = false;
    }

    /// Gives up a snapshot that is under way and waits until its thread has ended; none begins until what is returned is dropped.
    pub(super) fn pause(&self) -> Paused {
        let mut work = self.work.lock();
        (work.is_paused, work.is_cancelled) = (true, true);
        while work.is_running {
            self.ended.wait(&mut work);
        }
        work.is_cancelled = false;
        Paused(Arc::clone(&self.work))
    }

    /// Starts the thread, unless one is at work still. A failure is counted and logged; the server goes on with a longer log.
    pub(super) fn start(&self, node: &Arc<Node>) {
        {
            let mut work = self.work.lock();
            if !work.is_allowed || work.is_paused {
                work.is_wanted = true;
                return;
            }
            if work.is_running {
                tracing::warn!("Too busy to snap, skipping");
                return;
            }
            work.is_running = true;
        }
        let (node, snapshots) = (Arc::clone(node), self.clone());
        let work = move || {
            snapshots.run(&node);
            snapshots.end();
        };
        if let Err(error) = thread::Builder::new().name("snapshot".to_owned()).spawn(work) {
            tracing::error!(%error, "snapshot thread could not start");
            self.end();
        }
    }

    fn end(&self) {
        self.work.lock().is_running = false;
        self.ended.notify_all();
    }

    fn run(&self, node: &Node) {
        let started = Instant::now();
        match self.write(node) {
            Ok(Some((zxid, path))) => {
                let took_ms = started.elapsed().as_millis() as u64;
                node.stats.add_snapshot(took_ms);
                tracing::info!(%zxid, path = %path.display(), took_ms, "snapshot written");
            }
            Ok(None) => tracing::info!("snapshot given up: the history is being replaced"),
            Err(error) => {
                node.stats.count_snapshot_error();
                tracing::error!(%error, "snapshot failed: the server goes on, but its next start replays a longer log");
            }
        }
    }

    /// Writes a snapshot of what is applied now; `None` when it was given up.
    pub(super) fn write(&self, node: &Node) -> Result<Option<(Zxid, PathBuf)>, StorageError> {
        let mut head = Vec::new();
        let start = node.begin_snapshot(&mut head);
        let mut job = SnapshotJob::new(&self.fs, &self.directories, &self.settings, Arc::clone(&node.shared), start, head)?;
        while job.step()? {
            if self.work.lock().is_cancelled {
                return Ok(None);
            }
        }
        job.finish().map(Some)
    }
}
