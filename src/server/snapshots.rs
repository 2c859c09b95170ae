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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::clock::Clock;
    use super::super::settings;
    use super::*;
    use crate::config::Settings;
    use crate::replica::{Replica, Restored, Shared};
    use crate::storage::RealFileSystem;
    use crate::tree::stat::OwnerRules;

    struct Rig {
        dir: tempfile::TempDir,
        node: Arc<Node>,
        snapshots: Snapshots,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().expect("a directory");
        let configured = Settings::embedded_default(dir.path());
        let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
        let directories = Arc::new(Directories::open(&fs, dir.path(), dir.path(), true).expect("free"));
        let (tree, sessions) = Restored::new(1, OwnerRules::default(), true).finish();
        let (shared, clock) = (Arc::new(Shared::new(tree, 1)), Clock::new());
        let replica = Replica::standalone(settings::replica(&configured, 1, 1), Arc::clone(&shared), &sessions, clock.now());
        // The four predefined znodes are several slices.
        let persistence = PersistenceSettings { slice_bytes: 1, ..settings::persistence(&configured) };
        let snapshots = Snapshots::new(fs, directories, Arc::new(persistence));
        Rig { dir, node: Node::new(replica, shared, clock), snapshots }
    }

    impl Rig {
        fn names(&self) -> Vec<String> {
            let names = RealFileSystem.list(&self.dir.path().join("version-2")).expect("there");
            names.into_iter().filter(|name| name.contains("snapshot")).collect()
        }

        fn await_end(&self) {
            let mut work = self.snapshots.work.lock();
            while work.is_running {
                self.snapshots.ended.wait(&mut work);
            }
        }
    }

    #[test]
    fn a_snapshot_waits_until_what_is_applied_is_committed() {
        let rig = rig();
        rig.snapshots.start(&rig.node);
        rig.await_end();
        assert_eq!(rig.names(), [""; 0]);
        rig.snapshots.allow(&rig.node);
        rig.await_end();
        assert_eq!(rig.names(), ["snapshot.0"], "the one that was wanted");
        std::fs::remove_file(rig.dir.path().join("version-2/snapshot.0")).expect("removable");
        rig.snapshots.forbid();
        rig.snapshots.allow(&rig.node);
        rig.await_end();
        assert_eq!(rig.names(), [""; 0], "nothing was wanted meanwhile");
    }

    /// Whoever replaces the history waits for a snapshot under way, which gives up and leaves nothing behind.
    #[test]
    fn a_snapshot_under_way_is_given_up() {
        let rig = rig();
        rig.snapshots.allow(&rig.node);
        let reading = rig.node.shared.tree.read();
        // It cannot begin as long as somebody reads.
        rig.snapshots.start(&rig.node);
        let snapshots = rig.snapshots.clone();
        let pausing = thread::spawn(move || snapshots.pause());
        while !rig.snapshots.work.lock().is_cancelled {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!pausing.is_finished());
        drop(reading);
        let paused = pausing.join().expect("no panic");
        assert_eq!(rig.names(), [""; 0], "neither whole nor in part");
        rig.snapshots.start(&rig.node);
        rig.await_end();
        assert_eq!(rig.names(), [""; 0], "none begins while it is paused");
        drop(paused);
        rig.snapshots.start(&rig.node);
        rig.await_end();
        assert_eq!(rig.names(), ["snapshot.0"]);
    }
}
