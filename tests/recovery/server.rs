//! A server without threads and sockets: the shipped replica, log, snapshots, purge and recovery, one step at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use paddock::ids::{ConnectionId, Zxid};
use paddock::proto::op_code::OpCode;
use paddock::replica::{Effects, Input, LocalSessions, Now, Replica, ReplicaSettings, Request, Shared, View};
use paddock::request::auth::AuthRules;
use paddock::request::prepare::WriteRules;
use paddock::server::persistence::{Journal, PersistenceSettings, SnapshotJob, Start, Truncated, restore};
use paddock::session::SessionCell;
use paddock::storage::{Compression, Directories, FileSystem, StorageError, TxnLogOptions, purge};
use paddock::tree::acl::{AclList, Identity};
use paddock::tree::apply::Applied;
use paddock::tree::watch::{EventType, Watcher};
use paddock::zab;
use paddock::zab::HistoryLimits;

use super::history::{History, RULES, State};
use super::random::{Random, write};

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `dataLogDir`; `dataDir` is `/data`.
    pub log_dir: &'static str,
    /// What the storage is told.
    pub persistence: PersistenceSettings,
}

/// `dataDir`.
pub const DATA_DIR: &str = "/data";

impl Setup {
    /// A random one, with small files so that rolls and snapshots come often.
    pub fn random(random: &mut Random) -> Self {
        let log = TxnLogOptions {
            prealloc_size_bytes: random.one_of(&[0, 1000, 8192]),
            size_limit_bytes: random.one_of(&[None, Some(600), Some(1500)]),
            force_sync: true,
        };
        let compression = random.one_of(&[Compression::None, Compression::None, Compression::Gzip, Compression::Snappy]);
        let snap_count = random.one_of(&[6, 12, 30]);
        Self { log_dir: random.one_of(&[DATA_DIR, DATA_DIR, "/logs"]), ..Self::new(log, compression, snap_count) }
    }

    /// A plain one.
    pub fn new(log: TxnLogOptions, compression: Compression, snap_count: u64) -> Self {
        let persistence = PersistenceSettings {
            log,
            snap_count: Some(snap_count),
            snap_bytes: None,
            slice_bytes: 200,
            compression,
            with_digest: true,
            with_last_zxid: true,
            owner_rules: RULES,
            digest_enabled: true,
            trust_empty: false,
            kept: HistoryLimits::default(),
        };
        Self { log_dir: DATA_DIR, persistence }
    }

    /// Opens the directories and reads everything back.
    ///
    /// # Errors
    /// As a start refuses.
    pub fn recover(&self, fs: &Arc<dyn FileSystem>) -> Result<(Directories, Start), StorageError> {
        let directories = Directories::open(fs, Path::new(DATA_DIR), Path::new(self.log_dir), true)?;
        let start = restore(fs, &directories, &self.persistence, 1)?;
        Ok((directories, start))
    }
}

/// What comes out of a turn.
struct Sink<'a> {
    history: &'a mut History,
    appended: &'a mut Vec<(Zxid, Bytes)>,
    sessions: &'a mut BTreeMap<ConnectionId, Arc<SessionCell>>,
}

impl Effects for Sink<'_> {
    fn append(&mut self, zxid: Zxid, payload: Bytes) {
        self.history.push(zxid, &payload);
        self.appended.push((zxid, payload));
    }
    fn carry_out(&mut self, output: zab::Output) {
        panic!("a server without an ensemble asks for nothing else: {output:?}");
    }
    fn reply(&mut self, _: &mut View<'_>, _: ConnectionId, _: i32, _: &Applied<'_>) {}
    fn event(&mut self, _: &[Watcher], _: Zxid, _: EventType, _: &str, _: &AclList) {}
    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>) {
        self.sessions.insert(connection, session);
    }
    fn session_refused(&mut self, _: ConnectionId) {}
    fn close(&mut self, connection: ConnectionId) {
        self.sessions.remove(&connection);
    }
    fn session_expired(&mut self, _: &SessionCell) {}
    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64) {
        panic!("digest of {zxid}: {got:#x} instead of {expected:#x}");
    }
}

/// A running server.
pub struct Server {
    fs: Arc<dyn FileSystem>,
    setup: Setup,
    directories: Directories,
    shared: Arc<Shared>,
    replica: Replica,
    journal: Journal,
    snapshot: Option<SnapshotJob>,
    waiting: Vec<(Zxid, Bytes)>,
    sessions: BTreeMap<ConnectionId, Arc<SessionCell>>,
    connections: u32,
    now: Now,
}

impl Server {
    /// Starts one: recovery, the first snapshot if it is due, a new log. Gives the last zxid found.
    ///
    /// # Errors
    /// As a start refuses.
    pub fn start(fs: Arc<dyn FileSystem>, setup: &Setup, now: Now) -> Result<(Self, Zxid), StorageError> {
        let (directories, start) = setup.recover(&fs)?;
        let Start { tree, sessions, recovered, .. } = start;
        let shared = Arc::new(Shared::new(tree, 1));
        let auth = AuthRules::default();
        let rules =
            WriteRules { auth, skip_acl: false, enforce_quota: false, reconfig_enabled: false, voters_min: 2, close_session_txn: true };
        let settings = ReplicaSettings {
            server_id: 1,
            tick_time_ms: 100,
            read_only_delay_ms: None,
            local_sessions: LocalSessions::Off,
            seed: 1,
            sessions_max: 1_000_000,
            rules,
        };
        let replica = Replica::standalone(settings, Arc::clone(&shared), &sessions, now);
        let journal = Journal::new(Arc::clone(&fs), &directories, &setup.persistence, recovered.last_zxid, 1);
        let mut server = Self {
            fs,
            setup: setup.clone(),
            directories,
            shared,
            replica,
            journal,
            snapshot: None,
            waiting: Vec::new(),
            sessions: BTreeMap::new(),
            connections: 0,
            now,
        };
        if recovered.needs_snapshot() {
            server.begin_snapshot()?;
            server.finish_snapshot()?;
        }
        Ok((server, recovered.last_zxid))
    }

    /// The state that clients can see.
    pub fn state(&self) -> (Zxid, State) {
        let tree = self.shared.tree.read();
        (tree.last_zxid(), State::of(&tree, self.replica.sessions().iter()))
    }

    /// Some milliseconds pass; sessions may expire.
    pub fn pass(&mut self, ms: i64, history: &mut History) {
        self.now = Now { wall_ms: self.now.wall_ms + ms, monotonic_ms: self.now.monotonic_ms + ms };
        self.handle(vec![Input::Tick], history);
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    fn handle(&mut self, inputs: Vec<Input>, history: &mut History) {
        let mut sink = Sink { history, appended: &mut self.waiting, sessions: &mut self.sessions };
        self.replica.handle(self.now, inputs, &mut sink);
    }

    /// A client does something: opens a session, writes, closes; or a container is swept.
    pub fn client(&mut self, random: &mut Random, history: &mut History) {
        let connections: Vec<ConnectionId> = self.sessions.keys().copied().collect();
        let input = match random.below(20) {
            _ if connections.is_empty() => self.open(random),
            0 | 1 => self.open(random),
            2 => self.request(random.one_of(&connections), OpCode::CLOSE_SESSION, Vec::new()),
            3 => Input::Reap { path: random.one_of(&["/a", "/b", "/c", "/a/x/1"]).to_owned() },
            _ => {
                let (op, body) = write(random);
                self.request(random.one_of(&connections), op, body)
            }
        };
        self.handle(vec![input], history);
    }

    fn open(&mut self, random: &mut Random) -> Input {
        self.connections += 1;
        let connection = ConnectionId { slot: self.connections, generation: 0 };
        Input::OpenSession { connection, timeout_ms: random.one_of(&[200, 1000, 5000]), takes_read_only: false }
    }

    fn request(&self, connection: ConnectionId, op: OpCode, body: Vec<u8>) -> Input {
        let identities: Arc<[Identity]> = Arc::new([Identity::new("ip", "10.0.0.1")]);
        let session = Arc::clone(&self.sessions[&connection]);
        Input::Request(Request { connection, session, xid: 1, op, body: body.into(), identities })
    }

    /// The log takes all that waits. Gives the last zxid that is acknowledged from now on.
    ///
    /// # Errors
    /// When the disk fails: the process would stop here.
    pub fn log(&mut self, history: &mut History) -> Result<Option<Zxid>, StorageError> {
        let batch = std::mem::take(&mut self.waiting);
        let Some(written) = self.journal.write(batch.iter().map(|(zxid, payload)| (*zxid, payload)), || 0)? else { return Ok(None) };
        self.handle(vec![Input::Zab(zab::Input::Persisted(written.last))], history);
        if written.is_snapshot_due && self.snapshot.is_none() {
            // A snapshot that fails is told to the operator; the server goes on.
            let _ = self.begin_snapshot();
        }
        Ok(Some(written.last))
    }

    /// The mark is synced, as the log thread does when it is idle.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn rest(&mut self) -> Result<(), StorageError> {
        self.journal.sync_mark()
    }

    /// A snapshot begins, unless one is at work.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin_snapshot(&mut self) -> Result<(), StorageError> {
        if self.snapshot.is_none() {
            let mut head = Vec::new();
            let start = self.replica.begin_snapshot(&mut head);
            let (shared, settings) = (Arc::clone(&self.shared), &self.setup.persistence);
            self.snapshot = Some(SnapshotJob::new(&self.fs, &self.directories, settings, shared, start, head)?);
        }
        Ok(())
    }

    /// A snapshot at work goes on by one slice, or comes to its end.
    ///
    /// # Errors
    /// When the disk fails; the snapshot is given up.
    pub fn step_snapshot(&mut self) -> Result<(), StorageError> {
        let Some(mut job) = self.snapshot.take() else { return Ok(()) };
        if job.step()? {
            self.snapshot = Some(job);
        } else {
            job.finish()?;
        }
        Ok(())
    }

    /// A snapshot at work comes to its end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish_snapshot(&mut self) -> Result<(), StorageError> {
        while self.snapshot.is_some() {
            self.step_snapshot()?;
        }
        Ok(())
    }

    /// Old files are purged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn purge(&self) -> Result<usize, StorageError> {
        purge(self.fs.as_ref(), self.directories.snap_dir(), self.directories.log_dir(), 3, self.directories.files())
            .map(|removed| removed.len())
    }

    /// The history is truncated, as a leader demands of a follower; a snapshot at work is given up. False when that is refused. The server is
    /// of no use then: its replica stands alone, and knows nothing of it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn truncate(&mut self, to: Zxid) -> Result<bool, StorageError> {
        self.snapshot = None;
        let applied = self.shared.tree.read().last_zxid();
        Ok(!matches!(self.journal.truncate(to, applied)?, Truncated::Refused(_)))
    }

    /// An orderly end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn close(mut self) -> Result<(), StorageError> {
        self.journal.close()
    }
}
