//! The snapshot as it goes from a leader to a learner, inside the connection on the quorum port: the body of a snapshot file and a
//! signature, without header, seals and sections.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use super::error::StorageError;
use super::fs::FileSystem;
use super::install::ReceivedSnapshot;
use super::snapshot::{Sections, SnapshotWriter};
use super::snapshot_codec::Compression;
use super::stream_parser::{SIGNATURE, StreamParser};
use crate::ids::Zxid;

/// Appends what ends a snapshot in the stream.
pub fn put_signature(out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
}

/// Why a snapshot is not received.
#[derive(Clone, Debug, Error)]
pub enum ReceiveError {
    /// The stream is no snapshot.
    #[error("the snapshot of {zxid} from the leader is malformed at offset {offset}: {reason}")]
    Malformed {
        /// What the leader said that it is.
        zxid: Zxid,
        /// How many bytes were read before, as far as they were whole fields.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The disk refuses it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What became of a part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes that belong to the snapshot; packets follow.
    pub consumed: usize,
    /// The snapshot is whole, and durable.
    pub is_complete: bool,
}

/// Tells one file of a process from another: two connections may carry a snapshot of the same zxid.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Takes a snapshot off a stream into a temporary file. Dropped before it is complete, it leaves nothing behind.
pub struct SnapshotReceiver {
    zxid: Zxid,
    compression: Compression,
    parser: StreamParser,
    offset: u64,
    writer: Option<SnapshotWriter>,
    received: Option<ReceivedSnapshot>,
}

impl SnapshotReceiver {
    /// Receives a snapshot that its sender says to be of `zxid`, into a file in the directory of the snapshots. No field of it may have more
    /// than `field_bytes_max` bytes (Java's limit is `jute.maxbuffer` and some more).
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(
        fs: Arc<dyn FileSystem>,
        snap_dir: &Path,
        zxid: Zxid,
        compression: Compression,
        field_bytes_max: u32,
    ) -> Result<Self, StorageError> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let writer = SnapshotWriter::received(fs, snap_dir, zxid, compression, number)?;
        Ok(Self { zxid, compression, parser: StreamParser::new(field_bytes_max), offset: 0, writer: Some(writer), received: None })
    }

    /// Takes bytes of the stream. Waits for the disk. What follows the end of the snapshot is not touched.
    ///
    /// # Errors
    /// When the stream is no snapshot, or the disk refuses it: it is to be given up, and its connection closed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Received, ReceiveError> {
        let malformed = |reason, offset| ReceiveError::Malformed { zxid: self.zxid, offset, reason };
        let parsed = self.parser.parse(bytes).map_err(|reason| malformed(reason, self.offset))?;
        self.offset += parsed.consumed as u64;
        if let Some(writer) = &mut self.writer {
            writer.write(&bytes[..parsed.body])?;
        }
        let is_complete = self.parser.is_done();
        if let Some(writer) = self.writer.take_if(|_| is_complete) {
            self.received = Some(writer.finish_received(self.zxid, self.compression, Sections { digest: None, last_zxid: None })?);
        }
        Ok(Received { consumed: parsed.consumed, is_complete })
    }

    /// The snapshot, once it is complete.
    #[must_use]
    pub fn finish(self) -> Option<ReceivedSnapshot> {
        self.received
    }
}
