//! What is durable: the transaction log, snapshots and epoch files, in ZooKeeper's own formats, and reading them back.
//!
//! Contract: what [`TxnLog::commit`] returned for is there after any crash; a failed commit is final. A snapshot exists under its
//! name only when it is whole and durable. After each create, rename and remove the directory is synced too.

pub mod directory;
pub mod epoch_file;
mod error;
mod fs;
mod layout;
mod log_reader;
mod mark;
mod names;
mod purge;
mod recovery;
mod replay;
mod snapshot;
mod snapshot_codec;
#[cfg(test)]
mod tests;
mod txn_log;

pub use directory::Directories;
pub use error::StorageError;
pub use fs::{File, FileSystem, RealFileSystem};
pub use purge::purge;
pub use recovery::{Recovered, RecoveryOptions, Restore, recover};
pub use snapshot::{Sections, SnapshotAclEntry, SnapshotStat, SnapshotVisitor, SnapshotWriter, read_snapshot};
pub use snapshot_codec::Compression;
pub use txn_log::{CommitStats, TxnLog, TxnLogOptions};
