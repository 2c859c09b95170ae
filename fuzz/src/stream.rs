//! A snapshot stream from a leader, cut into pieces, with packets behind it. One that loads is installed, and a start finds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paddock::ids::Zxid;
use paddock::storage::{Compression, FileSystem, ReceivedSnapshot, RecoveryOptions, SnapshotReceiver, put_signature, recover};
use paddock::tree::snapshot_walk::Walked;

use crate::check::tree;
use crate::memory_fs::MemoryFs;
use crate::requests::small_tree;
use crate::restore::Target;

/// No field is longer: a limit that inputs reach.
const FIELD_BYTES_MAX: u32 = 300;
const ZXID: Zxid = Zxid(7);

/// The first byte says how long the pieces are; the rest is the stream.
pub fn run(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    let whole = receive(stream, stream.len().max(1));
    let pieces = receive(stream, usize::from(piece) + 1);
    match (whole, pieces) {
        (Some((consumed, whole)), Some((same, pieces))) => {
            assert_eq!(consumed, same, "the end is where it is, however the stream is cut");
            assert!(consumed <= stream.len());
            assert_eq!(installed(whole), installed(pieces));
        }
        (None, None) => {}
        _ => panic!("whether it is a snapshot does not depend on how it is cut"),
    }
}

type Arrived = (Arc<dyn FileSystem>, ReceivedSnapshot);

/// The snapshot and where it ends; `None` if the stream is none, or not to its end.
fn receive(stream: &[u8], piece: usize) -> Option<(usize, Arrived)> {
    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::default());
    let mut receiver = SnapshotReceiver::new(Arc::clone(&fs), Path::new("/version-2"), ZXID, Compression::None, FIELD_BYTES_MAX)
        .expect("memory takes all");
    let mut consumed = 0;
    for piece in stream.chunks(piece) {
        let received = receiver.write(piece).ok()?;
        consumed += received.consumed;
        if received.is_complete {
            return Some((consumed, (fs, receiver.finish().expect("it is complete"))));
        }
        assert_eq!(received.consumed, piece.len(), "all of it belongs to the snapshot");
    }
    assert!(receiver.finish().is_none());
    None
}

/// The digest of what a start finds after the installation; `None` if it does not load.
fn installed((fs, received): Arrived) -> Option<u64> {
    let mut target = Target::default();
    received.load(&mut target).ok()?;
    let (state, sessions) = target.finish();
    tree(&state);
    let dir = PathBuf::from("/version-2");
    let options = RecoveryOptions { snap_dir: dir.clone(), log_dir: dir, trust_empty: false };
    received.install(&options).expect("memory takes all");
    let mut target = Target::default();
    let recovered = recover(&fs, &options, &mut target).expect("what was loaded once is loaded again");
    assert_eq!((recovered.last_zxid, recovered.snapshot), (ZXID, Some(ZXID)));
    let (again, same) = target.finish();
    assert_eq!((again.digest(), same), (state.digest(), sessions));
    Some(state.digest())
}

/// A sound stream, for the corpus.
#[must_use]
pub fn sound() -> Vec<u8> {
    let mut state = small_tree();
    let mut stream = Vec::new();
    let walk = state.begin_snapshot(&[(paddock::ids::SessionId(0x0100_0000_0000_0055), 9000)], &mut stream).walk;
    while state.continue_snapshot(&walk, usize::MAX, &mut stream) == Walked::More {}
    put_signature(&mut stream);
    stream
}
