//! What the links need from the rest of the server: somebody who takes what came, and the two ends of a snapshot.

use std::io;

use crate::ids::Zxid;
use crate::storage::Received;
use crate::zab::Input;

/// Where the links put what happened to them. Inputs of one link are handled in the order of the calls.
pub trait PeerInbox: Send + Sync {
    /// Takes a batch. May run the replica at once, on the caller's thread, which is one of tokio's: the caller holds no lock that
    /// [`super::Peers::carry_out`] takes.
    fn submit(&self, inputs: Vec<Input>);

    /// Whether so much waits to be handled that nothing more should be read for now.
    fn is_full(&self) -> bool;
}

/// A frozen state, as the bytes that go to a learner behind SNAP.
pub trait SnapshotSource: Send {
    /// Appends the next part of them; false when that was the last. Called on a thread that may block.
    ///
    /// # Errors
    /// When the state is no longer there: what was sent of it is nothing, and the link is closed.
    fn next_slice(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// A snapshot that is being received. Dropped before it is complete, it leaves nothing behind.
pub trait SnapshotSink: Send {
    /// Takes the bytes that came next. Called on a thread that may block.
    ///
    /// # Errors
    /// When the bytes are no snapshot, or cannot be written: the link to the leader is closed.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Received>;
}

/// Makes the receiving end of snapshots.
pub trait SnapshotFactory: Send + Sync {
    /// A snapshot of this zxid begins to come. Called on a thread that may block.
    ///
    /// # Errors
    /// When no file can be made for it: the link to the leader is closed.
    fn receive(&self, zxid: Zxid) -> io::Result<Box<dyn SnapshotSink>>;
}
