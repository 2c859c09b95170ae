//! A snapshot file in each of its three forms, raw or sealed properly around a hostile body. One that loads is written and loaded again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paddock::ids::{SessionId, Zxid};
use paddock::storage::{Compression, FileSystem, Sections, SnapshotWriter, StorageError, read_snapshot};
use paddock::tree::data_tree::DataTree;
use paddock::tree::snapshot_walk::{WalkId, Walked};

use crate::check::tree;
use crate::memory_fs::MemoryFs;
use crate::restore::Target;

const CODECS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

/// The first byte says which form, and whether the rest is a file or the body of one.
pub fn run(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else { return };
    let codec = CODECS[usize::from(which) % CODECS.len()];
    let (fs, path) = if which & 0x80 == 0 {
        let path = PathBuf::from("/snapshot.1");
        (Arc::new(MemoryFs::with(&path, rest.to_vec())) as Arc<dyn FileSystem>, path)
    } else {
        sealed(rest, codec, Sections { digest: None, last_zxid: None })
    };
    let Ok((state, sessions)) = load(&fs, &path, codec) else { return };
    tree(&state);
    let (fs, path) = written(state, &sessions, codec);
    let (again, sessions_again) = load(&fs, &path, codec).expect("a snapshot of ours loads");
    tree(&again);
    assert_eq!(sessions_again, sessions);
}

/// The file around a body.
#[must_use]
pub fn sealed(body: &[u8], codec: Compression, sections: Sections) -> (Arc<dyn FileSystem>, PathBuf) {
    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::default());
    let mut writer = SnapshotWriter::new(Arc::clone(&fs), Path::new("/"), Zxid(1), codec).expect("memory takes everything");
    writer.write(body).expect("memory takes everything");
    let path = writer.finish(sections).expect("memory takes everything");
    (fs, path)
}

/// Loads a snapshot as a start does.
///
/// # Errors
/// When the file is damaged.
pub fn load(fs: &Arc<dyn FileSystem>, path: &Path, codec: Compression) -> Result<(DataTree, Vec<(SessionId, i32)>), StorageError> {
    let mut target = Target::default();
    target.0.reset(true);
    let sections = read_snapshot(fs.as_ref(), path, codec, &mut target)?;
    target.0.snapshot_loaded(Zxid(1), sections.digest);
    Ok(target.finish())
}

/// Appends the next znodes, about so many bytes of them; true when all are there.
pub fn slice(state: &DataTree, walk: &WalkId, bytes: usize, body: &mut Vec<u8>) -> bool {
    let mut out = Vec::new();
    let walked = state.continue_snapshot(walk, bytes, &mut out);
    body.append(&mut out);
    assert_ne!(walked, Walked::Ended, "a walk whose name is held goes on");
    walked == Walked::Whole
}

/// The snapshot of a tree.
#[must_use]
pub fn written(mut state: DataTree, sessions: &[(SessionId, i32)], codec: Compression) -> (Arc<dyn FileSystem>, PathBuf) {
    let mut body = Vec::new();
    let start = state.begin_snapshot(sessions, &mut body);
    while !slice(&state, &start.walk, 100, &mut body) {}
    state.end_snapshot(&start.walk);
    sealed(&body, codec, Sections { digest: Some((start.zxid, 2, start.digest as i64)), last_zxid: Some(start.zxid) })
}
