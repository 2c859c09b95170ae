//! Damage and foreign hands: every byte flipped or unreadable, every file missing or forbidden, files that nobody expects. A start gives
//! all that was there, or refuses with a message that names the file; it never gives less, and never something else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paddock::ids::Zxid;
use paddock::replica::Now;
use paddock::storage::{Compression, FileSystem, StorageError, TxnLogOptions};

use super::history::{History, State};
use super::random::Random;
use super::server::{Server, Setup};
use crate::sim_fs::{Faults, Image, SimFileSystem};

/// A data directory at rest, and what it holds.
struct Rest {
    image: Image,
    setup: Setup,
    last: Zxid,
    state: State,
}

/// A server's life with two snapshots, three log files, and a clean end, a kill, or a kill in the middle of a log file.
fn rest(compression: Compression, is_clean: bool) -> Rest {
    let log = TxnLogOptions { prealloc_size_bytes: 600, size_limit_bytes: None, force_sync: true };
    let setup = Setup::new(log, compression, 1000);
    let (sim, mut history, mut random) = (SimFileSystem::new(), History::new(), Random(7));
    let fs: Arc<dyn FileSystem> = Arc::new(sim.clone());
    let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
    for run in 0..2 {
        let (mut server, _) = Server::start(Arc::clone(&fs), &setup, now).expect("a sound disk");
        for _ in 0..5 {
            server.client(&mut random, &mut history);
            server.client(&mut random, &mut history);
            server.log(&mut history).expect("a sound disk");
        }
        if is_clean || run == 0 {
            server.close().expect("a sound disk");
        } else {
            std::mem::forget(server);
        }
    }
    let last = history.last();
    let image = Image { files: sim.files(), dirs: vec!["/".into(), "/data".into(), "/data/version-2".into()] };
    Rest { image, setup, last, state: history.state(last).expect("the last state") }
}

/// What a start made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Served,
    Refused,
}

impl Rest {
    fn start(&self, sim: &SimFileSystem) -> Result<(Zxid, State), StorageError> {
        let fs: Arc<dyn FileSystem> = Arc::new(sim.clone());
        let (_, start) = self.setup.recover(&fs)?;
        Ok((start.recovered.last_zxid, State::of(&start.tree, start.sessions.iter().copied())))
    }

    /// All or a refusal that names a file in the directory.
    fn judge(&self, sim: &SimFileSystem, what: &str) -> (Outcome, String) {
        match self.start(sim) {
            Ok(found) => {
                assert_eq!(found, (self.last, self.state), "{what}: served something else than {}", self.last);
                (Outcome::Served, String::new())
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("/data/version-2"), "{what}: the message names no file: {text}");
                (Outcome::Refused, text)
            }
        }
    }

    fn names(&self) -> Vec<PathBuf> {
        self.image.files.keys().cloned().collect()
    }

    fn named(&self, prefix: &str) -> Vec<PathBuf> {
        let is_named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix));
        self.names().into_iter().filter(is_named).collect()
    }

    fn with(&self, name: &str, bytes: &[u8]) -> SimFileSystem {
        let mut image = self.image.clone();
        image.files.insert(Path::new("/data/version-2").join(name), Arc::new(bytes.to_vec()));
        SimFileSystem::from_image(&image)
    }
}

const CODECS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

/// Of long runs of zeros a few bytes stand for all.
fn is_of_interest(bytes: &[u8], at: usize) -> bool {
    at.is_multiple_of(61) || bytes[at.saturating_sub(16)..(at + 16).min(bytes.len())].iter().any(|&byte| byte != 0)
}

#[test]
fn every_flipped_bit() {
    for (compression, is_clean) in CODECS.into_iter().flat_map(|codec| [(codec, true), (codec, false)]) {
        let rest = rest(compression, is_clean);
        let (mut served, mut refused) = (0, 0);
        for (path, bytes) in &rest.image.files {
            for at in (0..bytes.len()).filter(|&at| is_of_interest(bytes, at)).map(|at| at as u64) {
                let bits: &[u8] = if compression == Compression::None && is_clean { &[0x01, 0x80] } else { &[0x04] };
                for &bit in bits {
                    let sim = SimFileSystem::from_image(&rest.image);
                    sim.rot(path, at, bit);
                    let (outcome, text) = rest.judge(&sim, &format!("{compression:?}, {} byte {at} bit {bit:#x}", path.display()));
                    match outcome {
                        Outcome::Served => served += 1,
                        Outcome::Refused => {
                            assert!(text.contains("offset"), "{text}");
                            refused += 1;
                        }
                    }
                }
            }
        }
        println!("{compression:?}, clean {is_clean}: {served} served, {refused} refused");
        assert!(served > 0 && refused > 0);
    }
}

#[test]
fn every_unreadable_sector() {
    for compression in CODECS {
        let rest = rest(compression, true);
        for (path, bytes) in &rest.image.files {
            for at in (0..bytes.len() as u64).step_by(512) {
                let sim = SimFileSystem::from_image(&rest.image);
                sim.set_faults(Faults { unreadable: Some((path.clone(), at)), ..Faults::default() });
                let (outcome, text) = rest.judge(&sim, &format!("{} sector {at}", path.display()));
                if path.display().to_string().contains("/log.") && outcome == Outcome::Refused {
                    assert!(text.contains(&format!("{} cannot be read at offset {at}:", path.display())), "{text}");
                }
            }
        }
    }
}

#[test]
fn every_file_missing_or_cut_short() {
    for is_clean in [true, false] {
        let rest = rest(Compression::None, is_clean);
        for path in rest.names() {
            let mut image = rest.image.clone();
            let bytes = image.files.remove(&path).expect("listed");
            rest.judge(&SimFileSystem::from_image(&image), &format!("without {}", path.display()));
            for len in 0..bytes.len() {
                image.files.insert(path.clone(), Arc::new(bytes[..len].to_vec()));
                rest.judge(&SimFileSystem::from_image(&image), &format!("{} cut to {len}", path.display()));
            }
        }
        let missing = |path: &PathBuf| {
            let mut image = rest.image.clone();
            image.files.remove(path);
            rest.judge(&SimFileSystem::from_image(&image), "missing").0
        };
        let newest_log = rest.named("log.").pop().expect("there are logs");
        assert_eq!(missing(&newest_log), Outcome::Refused, "the newest log is missed");
        let newest_snapshot = rest.named("snapshot.").pop().expect("there are snapshots");
        assert_eq!(missing(&newest_snapshot), Outcome::Served, "an older snapshot and the log stand in");
    }
}

#[test]
fn every_file_forbidden() {
    let rest = rest(Compression::None, true);
    let dir = PathBuf::from("/data/version-2");
    for path in rest.names().into_iter().chain([dir]) {
        let sim = SimFileSystem::from_image(&rest.image);
        sim.set_faults(Faults { forbidden: Some(path.clone()), ..Faults::default() });
        let (outcome, text) = rest.judge(&sim, &format!("{} forbidden", path.display()));
        if outcome == Outcome::Refused {
            assert!(text.contains(&path.display().to_string()) && text.contains("permission") || text.contains("user must"), "{text}");
        }
    }
}

#[test]
fn files_that_nobody_expects() {
    let rest = rest(Compression::None, true);
    let header = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
    let next = format!("log.{:x}", rest.last.0 + 1);
    let cases: [(&str, &[u8], Outcome); 13] = [
        ("log.5.bak", b"somebody's copy", Outcome::Served),
        ("log.zz", b"not a zxid", Outcome::Served),
        ("README", b"do not touch", Outcome::Served),
        ("snapshot.ff.tmp", b"a left-over", Outcome::Served),
        ("paddock-snapshot.ff.tmp", b"a left-over", Outcome::Served),
        ("acceptedEpoch.tmp", b"1", Outcome::Served),
        (&next, b"", Outcome::Served),
        (&next, &header[..7], Outcome::Served),
        (&next, &header, Outcome::Served),
        ("log.3", b"", Outcome::Served),
        (&next, b"this is not a log at all, but has its name", Outcome::Refused),
        ("snapshot.ffff", b"", Outcome::Refused),
        ("snapshot.2", b"", Outcome::Served),
    ];
    for (name, bytes, expected) in cases {
        let sim = rest.with(name, bytes);
        assert_eq!(rest.judge(&sim, name).0, expected, "{name} with {} bytes", bytes.len());
        if !name.ends_with(".tmp") && !bytes.is_empty() && *bytes != header[..7] && *bytes != header {
            let kept = sim.files().get(&Path::new("/data/version-2").join(name)).is_some_and(|kept| kept.as_slice() == bytes);
            assert!(kept, "{name} was touched");
        }
    }
}

#[test]
fn a_directory_in_use() {
    let rest = rest(Compression::None, true);
    let sim = SimFileSystem::from_image(&rest.image);
    let fs: Arc<dyn FileSystem> = Arc::new(sim.clone());
    let held = rest.setup.recover(&fs).expect("free");
    let (outcome, text) = rest.judge(&sim, "in use");
    assert_eq!(outcome, Outcome::Refused);
    assert!(text.contains("in use") && text.contains("paddock.lock"), "{text}");
    drop(held);
    assert_eq!(rest.judge(&sim, "free again").0, Outcome::Served);
}
