//! A log file read back at a start, raw or with its records framed properly around hostile payloads.

use std::path::PathBuf;
use std::sync::Arc;

use paddock::ids::Zxid;
use paddock::storage::{FileSystem, Recovered, RecoveryOptions, StorageError, recover};

use crate::check::tree;
use crate::choices::Choices;
use crate::memory_fs::MemoryFs;
use crate::restore::Target;

/// The first 16 bytes of a log file.
const HEADER: &[u8; 16] = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";

/// The file that a sequence of payloads, each behind its length of two bytes, makes.
#[must_use]
pub fn framed(payloads: &[u8]) -> Vec<u8> {
    let mut choices = Choices::new(payloads);
    let mut file = HEADER.to_vec();
    while !choices.is_empty() {
        let payload = choices.block();
        let mut adler = simd_adler32::Adler32::new();
        adler.write(payload);
        file.extend_from_slice(&u64::from(adler.finish()).to_be_bytes());
        file.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        file.extend_from_slice(payload);
        file.push(b'B');
    }
    file
}

/// The first byte says whether the rest is a file or payloads to frame.
pub fn run(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else { return };
    let file = if which & 1 == 0 { rest.to_vec() } else { framed(rest) };
    let dir = PathBuf::from("/version-2");
    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::with(&dir.join("log.1"), file));
    let options = RecoveryOptions { snap_dir: dir.clone(), log_dir: dir, trust_empty: true };
    let Ok((recovered, digest)) = recover_once(&fs, &options) else { return };
    let (again, same) = recover_once(&fs, &options).expect("what was readable once is readable again");
    assert_eq!((again.last_zxid, again.txn_count, again.cut_bytes), (recovered.last_zxid, recovered.txn_count, 0));
    assert_eq!(same, digest);
}

fn recover_once(fs: &Arc<dyn FileSystem>, options: &RecoveryOptions) -> Result<(Recovered, u64), StorageError> {
    let mut target = Target::default();
    let recovered = recover(fs, options, &mut target)?;
    let (state, _) = target.finish();
    tree(&state);
    assert!(recovered.last_zxid >= Zxid::ZERO);
    Ok((recovered, state.digest()))
}
