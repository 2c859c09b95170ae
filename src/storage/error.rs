//! What can go wrong with the files, with the numbers to find the place and the words to get out of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::{Epoch, Zxid};

/// How a member of an ensemble gets its data anew. It keeps its epochs: a server with epochs and without data does not vote until it has
/// everything, so that nothing acknowledged is lost while it has forgotten it.
const FETCH: &str = "move log.*, snapshot.* and paddock.synced of its data directories away (keep myid, acceptedEpoch and currentEpoch) and \
                     start it, so that it fetches everything from the leader";

/// A fault of the storage. Every one of them stops the node: there is no way to go on with a log that may have lost something.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The system refused an operation on a file.
    #[error("cannot {operation} {path}: {source}{}", hint(source))]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A log file holds bytes that were durable once and cannot be read as records any more.
    #[error(
        "transaction log {path} is damaged at offset {offset}: {reason}. The last transaction read before it is {last}. \
         Restore this file from a backup; or, if this server is one of an ensemble whose other members are healthy, {}",
        FETCH
    )]
    LogDamaged {
        /// The log file.
        path: PathBuf,
        /// Where the first unreadable record begins, in bytes.
        offset: u64,
        /// The last zxid before the damage: of the log, or of the snapshot below it.
        last: Zxid,
        /// What is wrong there.
        reason: String,
    },
    /// Transactions are missing between two that are there.
    #[error(
        "transactions are missing: {path} has {found} at offset {offset}, but the one before it is {last}. A log file was lost, \
         or a snapshot. Restore it from a backup; or, if this server is one of an ensemble whose other members are healthy, {}",
        FETCH
    )]
    LogHole {
        /// The log file that holds the first transaction after the hole.
        path: PathBuf,
        /// Where that transaction begins, in bytes.
        offset: u64,
        /// The last transaction before the hole.
        last: Zxid,
        /// The first transaction after the hole.
        found: Zxid,
    },
    /// The disk does not give the bytes of a log file.
    #[error(
        "transaction log {path} cannot be read at offset {offset}: {reason}. Check the disk and its permissions; restore this file \
         from a backup; or, if this server is one of an ensemble whose other members are healthy, {}",
        FETCH
    )]
    LogUnreadable {
        /// The log file.
        path: PathBuf,
        /// The first sector that cannot be read, in bytes.
        offset: u64,
        /// What the system said.
        reason: String,
    },
    /// The newest transactions are gone, though they were durable.
    #[error(
        "transactions are missing: {mark} says that {log} was durable up to offset {offset}, which is transaction {needed}, but the \
         files lead only to {reached}. A log file or a snapshot was lost: restore it from a backup. Only if the log was shortened on \
         purpose, or this server is to fetch everything from the leader of its ensemble, remove {mark}"
    )]
    LogMissing {
        /// The synced mark.
        mark: PathBuf,
        /// The log file that it names.
        log: PathBuf,
        /// Up to where that file was durable, in bytes.
        offset: u64,
        /// The last transaction found.
        reached: Zxid,
        /// The last transaction that was durable.
        needed: Zxid,
    },
    /// A snapshot cannot be read to its end, or a seal of it does not match.
    #[error("snapshot {path} is damaged at offset {offset} of its uncompressed content: {reason}")]
    SnapshotDamaged {
        /// The snapshot file.
        path: PathBuf,
        /// How many uncompressed bytes had been read.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A received snapshot was taking the place of everything else when the server stopped, and is damaged now.
    #[error(
        "received snapshot {path} is damaged: it was taking the place of all snapshots and logs when the server stopped. Remove it to go \
         on with what was there before, if snapshots and logs are complete; or, if the other members of the ensemble are healthy, {}",
        FETCH
    )]
    InstallDamaged {
        /// The snapshot.
        path: PathBuf,
    },
    /// The tree was replaced by another while a snapshot of it was being written.
    #[error("the snapshot of {zxid} was given up: it is no longer part of the history")]
    SnapshotGivenUp {
        /// The zxid of the snapshot.
        zxid: Zxid,
    },
    /// Snapshots and log do not lead to the end of the history any more.
    #[error("snapshots and log do not lead to transaction {last} any more, which was durable: files were lost while the server ran")]
    HistoryLost {
        /// The last transaction that was durable.
        last: Zxid,
    },
    /// The newer snapshots are damaged and the log does not lead from an older one past them.
    #[error(
        "snapshot {path} is damaged ({reason}), and the log cannot stand in for it: from snapshot {from} it leads only to \
         {reached}, not to {needed}. Restore the snapshot or the missing log files from a backup; or, if this server is one of an \
         ensemble whose other members are healthy, {}",
        FETCH
    )]
    SnapshotNotReplaceable {
        /// The newest damaged snapshot.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The zxid of the older snapshot that was tried.
        from: Zxid,
        /// The last transaction that the log holds.
        reached: Zxid,
        /// The zxid of the damaged snapshot.
        needed: Zxid,
    },
    /// There are snapshots, but none can be loaded.
    #[error("no valid snapshot in {dir}: {count} tried, the newest is {newest} ({reason}). Restore one from a backup")]
    NoValidSnapshot {
        /// The directory of the snapshots.
        dir: PathBuf,
        /// How many files were tried.
        count: usize,
        /// The newest of them.
        newest: String,
        /// What is wrong with the newest.
        reason: String,
    },
    /// There are log files but no snapshot to start from.
    #[error(
        "no snapshot in {snap_dir}, but there is the transaction log {log}. Something is missing: restore the snapshots. Only when \
         upgrading from ZooKeeper 3.4, where a server may have had none, set snapshot.trust.empty=true for one start"
    )]
    SnapshotsMissing {
        /// The directory of the snapshots.
        snap_dir: PathBuf,
        /// The oldest log file.
        log: PathBuf,
    },
    /// A needed directory does not exist and may not be created.
    #[error("directory {path} does not exist, and zookeeper.datadir.autocreate is false: create it, or correct dataDir and dataLogDir")]
    MissingDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// There is no database, and none may be made.
    #[error(
        "{path} holds no database, and db.autocreate=false forbids to begin an empty one. If this server is new, create the empty file {marker}; if not, its data is missing: check dataDir, dataLogDir and their mounts"
    )]
    NoDatabase {
        /// Where the snapshots would be.
        path: PathBuf,
        /// The file that allows an empty database once.
        marker: PathBuf,
    },
    /// Another process uses the data directory.
    #[error("data directory {path} is in use: another server holds the lock {lock}. Stop that server, or give this one its own dataDir")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
    },
    /// With two directories, a file lies in the one where its kind does not belong (`FileTxnSnapLog.checkLogDir`, `checkSnapDir`).
    #[error(
        "{path} does not belong into this directory: with dataLogDir apart from dataDir, move log.* to dataLogDir and snapshot.* to dataDir"
    )]
    Misplaced {
        /// The misplaced file.
        path: PathBuf,
    },
    /// An epoch file does not hold a number.
    #[error(
        "epoch file {path} does not hold a number from 0 to 2147483647 but {found:?}: restore it, or write the epoch (the zxid's high half) of the last transaction"
    )]
    EpochFile {
        /// The file.
        path: PathBuf,
        /// Its first characters.
        found: String,
    },
    /// One of the two epoch files was lost.
    #[error(
        "epoch file {path} is missing, though {other} says {epoch} and the last transaction is {last}. Restore it from a backup; or, if \
         this server is one of an ensemble whose other members are healthy, write {epoch} into it and {}",
        FETCH
    )]
    EpochMissing {
        /// The file that is missing.
        path: PathBuf,
        /// The one that is there.
        other: PathBuf,
        /// What it says.
        epoch: Epoch,
        /// The end of the history.
        last: Zxid,
    },
    /// The promise is older than the leadership that was adopted.
    #[error(
        "{dir}: acceptedEpoch is {accepted}, below currentEpoch, which is {current}: the disk lost the newer one. Restore the files from a \
         backup; or, if this server is one of an ensemble whose other members are healthy, write {current} into acceptedEpoch and {}",
        FETCH
    )]
    EpochsContradict {
        /// The directory of both.
        dir: PathBuf,
        /// The promise.
        accepted: Epoch,
        /// The leadership adopted.
        current: Epoch,
    },
    /// The content of a transaction could not be taken in.
    #[error("transaction {zxid} in {path} at offset {offset} cannot be applied: {reason}")]
    TxnRejected {
        /// The log file.
        path: PathBuf,
        /// Where the record begins, in bytes.
        offset: u64,
        /// The zxid of the transaction.
        zxid: Zxid,
        /// What the taker said.
        reason: String,
    },
    /// A transaction of a size that the log format has no room for.
    #[error("transaction {zxid} has {size} bytes; a log record holds 1 to {limit}")]
    PayloadSize {
        /// The zxid of the transaction.
        zxid: Zxid,
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        limit: usize,
    },
    /// A transaction was appended that is not after the last one.
    #[error("transaction {zxid} was appended to the log after {last}")]
    AppendOrder {
        /// The zxid appended.
        zxid: Zxid,
        /// The zxid appended before it.
        last: Zxid,
    },
    /// The file that a new log would get already holds records.
    #[error("transaction log {path} exists and holds records: a new log file would overwrite them. Move it away if it is not wanted")]
    LogExists {
        /// The log file.
        path: PathBuf,
    },
}

impl StorageError {
    /// An error of the system, with the operation and the file it was about.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_path_buf(), source: Arc::new(source) }
    }
}

/// What to do about an error of the system.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ". The server's user must be able to read and write its data directories and all files in them",
        io::ErrorKind::ReadOnlyFilesystem => ". The file system is read-only: see why, and mount it for writing",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ". Make room on the disk, then start the server again",
        _ => "",
    }
}

/// Adds the operation and the path to an `io::Result`.
pub(crate) trait IoContext<T> {
    /// Turns the error into [`StorageError::Io`].
    fn context(self, operation: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|e| StorageError::io(operation, path, e))
    }
}
