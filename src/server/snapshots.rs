//! The thread that writes a snapshot while requests go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::node::Node;
use super::persistence::{PersistenceSettings, SnapshotJob};
use crate::ids::Zxid;
use crate::storage::{Directories, FileSystem, StorageError};

/// Where and how snapshots are written.
#[derive(Clone)]
pub(super) struct Snapshots {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) directories: Arc<Directories>,
    pub(super) settings: Arc<PersistenceSettings>,
    pub(super) is_running: Arc<AtomicBool>,
}

impl Snapshots {
    /// Starts the thread, unless one is at work still. A failure is counted and logged; the server goes on with a longer log.
    pub(super) fn start(&self, node: &Arc<Node>) {
        if self.is_running.swap(true, Ordering::AcqRel) {
            tracing::warn!("Too busy to snap, skipping");
            return;
        }
        let (node, snapshots) = (Arc::clone(node), self.clone());
        let work = move || {
            snapshots.run(&node);
            snapshots.is_running.store(false, Ordering::Release);
        };
        if let Err(error) = thread::Builder::new().name("snapshot".to_owned()).spawn(work) {
            tracing::error!(%error, "snapshot thread could not start");
            self.is_running.store(false, Ordering::Release);
        }
    }

    fn run(&self, node: &Node) {
        let started = Instant::now();
        match self.write(node) {
            Ok((zxid, path)) => {
                let took_ms = started.elapsed().as_millis() as u64;
                node.stats.add_snapshot(took_ms);
                tracing::info!(%zxid, path = %path.display(), took_ms, "snapshot written");
            }
            Err(error) => {
                node.stats.count_snapshot_error();
                tracing::error!(%error, "snapshot failed: the server goes on, but its next start replays a longer log");
            }
        }
    }

    /// Writes a snapshot of what is applied now.
    pub(super) fn write(&self, node: &Node) -> Result<(Zxid, PathBuf), StorageError> {
        let mut head = Vec::new();
        let start = node.begin_snapshot(&mut head);
        SnapshotJob::new(&self.fs, &self.directories, &self.settings, Arc::clone(&node.shared), start, head)?.finish()
    }
}
