//! What is durable: the transaction log, snapshots and epoch files, in ZooKeeper's own formats, and reading them back.
//! And how a history is replaced by a beginning of itself, or by a snapshot that was received.
//!
//! Contract: what [`TxnLog::commit`] returned for is there after any crash; a failed commit is final. A snapshot exists under its
//! name only when it is whole and durable. After each create, rename and remove the directory is synced too.

pub mod directory;
pub mod epoch_file;
mod error;
mod fs;
mod history;
mod install;
mod layout;
mod log_reader;
mod mark;
mod names;
mod purge;
mod recovery;
mod replacement;
#[cfg(test)]
mod replacement_tests;
mod replay;
mod snapshot;
mod snapshot_codec;
mod snapshot_stream;
mod stream_parser;
#[cfg(test)]
mod tests;
mod truncate;
mod txn_log;
pub mod whole_file;

pub use directory::Directories;
pub use error::StorageError;
pub use fs::{File, FileSystem, RealFileSystem};
pub use history::{HistoryReader, HistoryReaderSettings};
pub use install::ReceivedSnapshot;
pub use purge::purge;
pub use recovery::{Recovered, RecoveryOptions, Restore, rebuild, recover};
pub use snapshot::{Sections, SnapshotAclEntry, SnapshotStat, SnapshotVisitor, SnapshotWriter, read_snapshot};
pub use snapshot_codec::Compression;
pub use snapshot_stream::{ReceiveError, Received, SnapshotReceiver, put_signature};
pub use truncate::{Truncation, truncate, truncate_and_rebuild};
pub use txn_log::{CommitStats, TxnLog, TxnLogOptions};
