//! The snapshot that a leader sends: from the link to a temporary file, and from there to the log thread, which installs it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::Zxid;
use crate::net::peers::{SnapshotFactory, SnapshotSink};
use crate::storage::{Compression, Directories, FileSystem, ReceiveError, Received, ReceivedSnapshot, SnapshotReceiver};

/// Where snapshots arrive. Only the newest that is complete is kept: a server has one leader.
pub(super) struct Incoming {
    fs: Arc<dyn FileSystem>,
    directories: Arc<Directories>,
    compression: Compression,
    field_bytes_max: u32,
    place: Arc<Mutex<Place>>,
}

/// Where a complete snapshot waits to be installed.
#[derive(Default)]
struct Place {
    /// How many have begun to arrive. One that is not the newest comes too late: its connection is gone.
    begun: u64,
    complete: Option<ReceivedSnapshot>,
}

impl Incoming {
    /// Nothing has arrived. No field of a snapshot may have more than `field_bytes_max` bytes.
    pub(super) fn new(fs: Arc<dyn FileSystem>, directories: Arc<Directories>, compression: Compression, field_bytes_max: u32) -> Self {
        Self { fs, directories, compression, field_bytes_max, place: Arc::default() }
    }

    /// The snapshot of this zxid, if it has arrived.
    pub(super) fn take(&self, zxid: Zxid) -> Option<ReceivedSnapshot> {
        self.place.lock().complete.take().filter(|received| received.zxid() == zxid)
    }
}

impl SnapshotFactory for Incoming {
    fn receive(&self, zxid: Zxid) -> io::Result<Box<dyn SnapshotSink>> {
        let number = {
            let mut place = self.place.lock();
            place.begun += 1;
            // What was not installed has become useless.
            place.complete = None;
            place.begun
        };
        let (fs, dir) = (Arc::clone(&self.fs), self.directories.snap_dir());
        let receiver = SnapshotReceiver::new(fs, dir, zxid, self.compression, self.field_bytes_max).map_err(io::Error::other)?;
        Ok(Box::new(Sink { number, receiver: Some(receiver), place: Arc::clone(&self.place) }))
    }
}

/// One snapshot while it arrives.
struct Sink {
    number: u64,
    receiver: Option<SnapshotReceiver>,
    place: Arc<Mutex<Place>>,
}

impl SnapshotSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<Received> {
        let Some(receiver) = &mut self.receiver else { return Ok(Received { consumed: 0, is_complete: true }) };
        let received = receiver.write(bytes).map_err(as_io_error)?;
        if received.is_complete {
            let complete = self.receiver.take().and_then(SnapshotReceiver::finish);
            let mut place = self.place.lock();
            if place.begun == self.number {
                place.complete = complete;
            }
        }
        Ok(received)
    }
}

fn as_io_error(error: ReceiveError) -> io::Error {
    match error {
        ReceiveError::Malformed { .. } => io::Error::new(io::ErrorKind::InvalidData, error),
        ReceiveError::Storage(_) => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{RealFileSystem, put_signature};

    fn stream() -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes.extend_from_slice(b"\0\0\0\x01/");
        put_signature(&mut bytes);
        bytes
    }

    fn names(dir: &std::path::Path) -> usize {
        let is_received = |name: &str| name.starts_with("paddock-snapshot");
        RealFileSystem.list(&dir.join("version-2")).expect("there").iter().filter(|name| is_received(name)).count()
    }

    #[test]
    fn the_newest_complete_snapshot_is_kept_until_it_is_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
        let directories = Arc::new(Directories::open(&fs, dir.path(), dir.path(), true).expect("free"));
        let incoming = Incoming::new(fs, directories, Compression::None, 1000);
        let mut half = incoming.receive(Zxid(5)).expect("writable");
        assert!(!half.write(&stream()[..9]).expect("sound so far").is_complete);
        assert!(incoming.take(Zxid(5)).is_none());
        let mut whole = incoming.receive(Zxid(5)).expect("writable");
        let mut bytes = stream();
        bytes.push(7);
        assert_eq!(whole.write(&bytes).expect("a snapshot"), Received { consumed: bytes.len() - 1, is_complete: true });
        assert_eq!(names(dir.path()), 2);
        drop((half, whole));
        assert_eq!(names(dir.path()), 1, "what is complete stays");
        assert!(incoming.take(Zxid(6)).is_none(), "another was asked for");
        assert_eq!(names(dir.path()), 0);
        let mut late = incoming.receive(Zxid(6)).expect("writable");
        let mut again = incoming.receive(Zxid(7)).expect("writable");
        again.write(&stream()).expect("a snapshot");
        assert!(late.write(&stream()).expect("a snapshot").is_complete, "of a connection that is gone");
        assert!(incoming.take(Zxid(7)).is_some());
        let mut hostile = incoming.receive(Zxid(8)).expect("writable");
        assert_eq!(hostile.write(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff]).expect("so far").consumed, 9);
        assert_eq!(hostile.write(&[0xff; 9]).expect_err("no path").kind(), io::ErrorKind::InvalidData);
    }
}
