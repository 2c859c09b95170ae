//! Truncations and installations under power cuts and faults: at every change of the file system, what a cut could leave comes back as the
//! history before or as the one after, never as a mixture; and once the call has returned, as the one after.

use std::cell::Cell;
use std::sync::Arc;

use paddock::ids::Zxid;
use paddock::replica::Now;
use paddock::server::persistence::{Journal, State as Restored, Truncated};
use paddock::storage::{
    Compression, Directories, FileSystem, ReceivedSnapshot, SnapshotReceiver, StorageError, TxnLogOptions, put_signature,
};
use paddock::tree::snapshot_walk::Walked;

use super::history::{History, State};
use super::random::Random;
use super::server::{DATA_DIR, Server, Setup};
use crate::sim_fs::{Disk, Fault, Faults, Image, SimFileSystem, images};

const NOW: Now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
/// Images at one moment at most: nearly always all there are.
const IMAGES_PER_MOMENT: u64 = 400;
/// One image in so many is cut a second time, while it recovers.
const SECOND_CUT_ONCE_IN: u64 = 7;

/// A data directory at rest.
struct Rest {
    image: Image,
    setup: Setup,
    history: History,
    last: Zxid,
}

/// What a start finds.
type Found = (Zxid, State);

fn setup(compression: Compression, log_dir: &'static str) -> Setup {
    let log = TxnLogOptions { prealloc_size_bytes: 600, size_limit_bytes: Some(1200), force_sync: true };
    Setup { log_dir, ..Setup::new(log, compression, 1000) }
}

/// A life with several log files and a snapshot in each of three runs.
fn rest(seed: u64, setup: Setup) -> Rest {
    let (sim, mut history, mut random) = (SimFileSystem::new(), History::new(), Random(seed));
    for run in 0..3 {
        let (mut server, _) = Server::start(Arc::new(sim.clone()), &setup, NOW).expect("a sound disk");
        for _ in 0..3 + run {
            server.client(&mut random, &mut history);
            server.client(&mut random, &mut history);
            server.log(&mut history).expect("a sound disk");
        }
        if run == 2 {
            // The mark of a killed run, and room that was allocated ahead.
            sim.kill();
            std::mem::forget(server);
        } else {
            server.close().expect("a sound disk");
        }
    }
    let dirs = ["/", "/data", "/data/version-2", "/logs", "/logs/version-2"].map(Into::into).to_vec();
    let last = history.last();
    Rest { image: Image { files: sim.files(), dirs }, setup, history, last }
}

fn find(setup: &Setup, fs: &Arc<dyn FileSystem>) -> Result<Found, StorageError> {
    let (_, start) = setup.recover(fs)?;
    assert_eq!(start.digest_mismatches, 0);
    Ok((start.recovered.last_zxid, State::of(&start.tree, start.sessions.iter().copied())))
}

/// A snapshot of another history, as a leader sends it, and what it stands for.
fn stream(seed: u64) -> (Vec<u8>, Found) {
    let mut other = rest(seed, setup(Compression::None, DATA_DIR));
    other.last = Zxid(other.last.0 - 2);
    let fs: Arc<dyn FileSystem> = Arc::new(SimFileSystem::from_image(&other.image));
    let (_, mut start) = other.setup.recover(&fs).expect("a sound disk");
    let mut bytes = Vec::new();
    let walk = start.tree.begin_snapshot(&start.sessions, &mut bytes).walk;
    while start.tree.continue_snapshot(&walk, bytes.len() + 100, &mut bytes) == Walked::More {}
    put_signature(&mut bytes);
    (bytes, (start.recovered.last_zxid, State::of(&start.tree, start.sessions.iter().copied())))
}

/// What is done to the history, and what it is then.
#[derive(Clone)]
enum Act {
    Truncate(Zxid),
    Install(Zxid, Vec<u8>),
}

impl Act {
    /// Does it. `None`: it was refused.
    fn run(&self, fs: &Arc<dyn FileSystem>, directories: &Directories, rest: &Rest) -> Result<Option<Restored>, StorageError> {
        let mut journal = Journal::new(Arc::clone(fs), directories, &rest.setup.persistence, rest.last, 1);
        match self {
            Self::Truncate(to) => match journal.truncate(*to, rest.last)? {
                Truncated::Reloaded(state) => Ok(Some(state)),
                Truncated::Refused(_) => Ok(None),
                Truncated::Kept => panic!("the state in memory is above the target"),
            },
            Self::Install(zxid, bytes) => {
                let received = receive(fs, directories, rest, *zxid, bytes)?;
                let installed = journal.install(received)?;
                Ok(Some(installed.ok().expect("the snapshot of a sound server loads")))
            }
        }
    }
}

fn receive(
    fs: &Arc<dyn FileSystem>,
    directories: &Directories,
    rest: &Rest,
    zxid: Zxid,
    bytes: &[u8],
) -> Result<ReceivedSnapshot, StorageError> {
    let compression = rest.setup.persistence.compression;
    let mut receiver = SnapshotReceiver::new(Arc::clone(fs), directories.snap_dir(), zxid, compression, 1 << 20)?;
    let received = receiver.write(bytes).map_err(|error| match error {
        paddock::storage::ReceiveError::Storage(error) => error,
        malformed => panic!("{malformed}"),
    })?;
    assert!(received.is_complete && received.consumed == bytes.len());
    Ok(receiver.finish().expect("complete"))
}

/// One act on one directory, checked at every moment.
struct Check<'a> {
    rest: &'a Rest,
    old: Found,
    new: Found,
    random: Random,
    images: Cell<u64>,
    /// Images that came back as the history before, and as the one after.
    outcomes: Cell<(u64, u64)>,
}

impl<'a> Check<'a> {
    fn new(rest: &'a Rest, new: Found) -> Self {
        let old = (rest.last, rest.history.state(rest.last).expect("the last state"));
        Self { rest, old, new, random: Random(1), images: Cell::new(0), outcomes: Cell::new((0, 0)) }
    }

    fn sim(&self) -> (SimFileSystem, Arc<dyn FileSystem>) {
        let sim = SimFileSystem::from_image(&self.rest.image);
        (sim.clone(), Arc::new(sim))
    }

    fn check(&self, image: &Image, may_be_old: bool, what: &str) {
        let sim = SimFileSystem::from_image(image);
        let fs: Arc<dyn FileSystem> = Arc::new(sim.clone());
        let found = find(&self.rest.setup, &fs).unwrap_or_else(|error| panic!("{what}: no start: {error}\n{}", describe(image)));
        let is_old = found == self.old;
        assert!(is_old || found == self.new, "{what}: {found:?} is neither {:?} nor {:?}\n{}", self.old, self.new, describe(image));
        assert!(may_be_old || !is_old || self.old == self.new, "{what}: done, and undone\n{}", describe(image));
        self.images.set(self.images.get() + 1);
        let (old, new) = self.outcomes.get();
        self.outcomes.set(if is_old { (old + 1, new) } else { (old, new + 1) });
        if self.images.get().is_multiple_of(SECOND_CUT_ONCE_IN) {
            self.check_second_cut(image, &sim, found, what);
        }
    }

    /// The power goes again while a start recovers: what it had found is what every later one finds.
    fn check_second_cut(&self, image: &Image, sim: &SimFileSystem, found: Found, what: &str) {
        let mut disk = Disk::from_image(image);
        let mut random = self.random.clone();
        for op in sim.take_journal() {
            disk.apply(&op);
            images(&disk, 12, &mut |limit| random.below(limit), |image| {
                let fs: Arc<dyn FileSystem> = Arc::new(SimFileSystem::from_image(&image));
                let again = find(&self.rest.setup, &fs);
                let again = again.unwrap_or_else(|error| panic!("{what}: no second start: {error}\n{}", describe(&image)));
                assert_eq!(again, found, "{what}: a second start finds something else\n{}", describe(&image));
            });
        }
    }

    /// Every image of every moment of an act that succeeds.
    fn power_cuts(&mut self, act: &Act, what: &str) {
        let (sim, fs) = self.sim();
        let directories = self.open(&fs);
        sim.take_journal();
        let (tree, sessions) = act.run(&fs, &directories, self.rest).expect("a sound disk").expect("not refused");
        assert_eq!((tree.last_zxid(), State::of(&tree, sessions.into_iter())), self.new, "{what}: the state that is handed over");
        let mut disk = Disk::from_image(&self.rest.image);
        let mut random = self.random.clone();
        for op in sim.take_journal() {
            disk.apply(&op);
            images(&disk, IMAGES_PER_MOMENT, &mut |limit| random.below(limit), |image| self.check(&image, true, what));
        }
        images(&disk, IMAGES_PER_MOMENT, &mut |limit| random.below(limit), |image| self.check(&image, false, what));
        let (old, new) = self.outcomes.get();
        assert!(old > 0 && new > 0, "{what}: {old} before, {new} after");
        let left = disk.everything().files.into_keys().filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        assert_eq!(left.filter(|name| name.starts_with("paddock-")).count(), 0, "{what}: nothing is left over");
    }

    fn open(&self, fs: &Arc<dyn FileSystem>) -> Directories {
        Directories::open(fs, DATA_DIR.as_ref(), self.rest.setup.log_dir.as_ref(), true).expect("a sound disk")
    }

    /// Every change of an act fails in a way: the process ends, and a start finds the one history or the other.
    fn faults(&mut self, act: &Act, fault: Fault, no_links: bool, what: &str) {
        let mut change = 0;
        loop {
            let (sim, fs) = self.sim();
            let directories = self.open(&fs);
            let before = sim.change_count();
            sim.set_faults(Faults { at_change: Some((before + change, fault)), no_links, ..Faults::default() });
            let done = act.run(&fs, &directories, self.rest);
            let is_over = sim.change_count() <= before + change;
            let what = format!("{what}, {fault:?} at change {change}");
            let mut disk = Disk::from_image(&self.rest.image);
            sim.take_journal().iter().for_each(|op| disk.apply(op));
            let mut random = self.random.clone();
            if !no_links {
                images(&disk, 40, &mut |limit| random.below(limit), |image| self.check(&image, done.is_err(), &what));
            }
            self.check(&disk.everything(), done.is_err(), &what);
            if is_over {
                assert!(done.is_ok(), "{what}: nothing failed");
                return;
            }
            change += 1;
        }
    }
}

fn describe(image: &Image) -> String {
    image.files.iter().map(|(path, bytes)| format!("  {} {} bytes\n", path.display(), bytes.len())).collect()
}

const PLACES: [(Compression, &str); 3] = [(Compression::None, DATA_DIR), (Compression::Gzip, "/logs"), (Compression::Snappy, DATA_DIR)];

/// Every target of a truncation, from nothing to everything but the last txn.
fn targets(rest: &Rest) -> impl Iterator<Item = (Act, Found)> {
    (0..rest.last.0).map(Zxid).map(|to| (Act::Truncate(to), (to, rest.history.state(to).expect("it was"))))
}

#[test]
fn truncations_survive_power_cuts() {
    let mut images = 0;
    for (seed, (compression, log_dir)) in PLACES.into_iter().enumerate() {
        let rest = rest(seed as u64 + 1, setup(compression, log_dir));
        for (act, new) in targets(&rest) {
            let mut check = Check::new(&rest, new);
            check.power_cuts(&act, &format!("{compression:?} in {log_dir}, truncated to {}", new.0));
            images += check.images.get();
        }
    }
    println!("{images} images of truncations");
}

#[test]
fn installations_survive_power_cuts() {
    let mut images = 0;
    for (seed, (compression, log_dir)) in PLACES.into_iter().enumerate() {
        let rest = rest(seed as u64 + 4, setup(compression, log_dir));
        let (bytes, (_, state)) = stream(seed as u64 + 7);
        // Below everything, in the middle, between the newest snapshot and the end of the log, at the end, and of a later epoch.
        for zxid in [1, rest.last.0 / 2, rest.last.0 - 1, rest.last.0, 0x3_0000_0007] {
            let mut check = Check::new(&rest, (Zxid(zxid), state));
            check.power_cuts(&Act::Install(Zxid(zxid), bytes.clone()), &format!("{compression:?} in {log_dir}, {zxid:#x} installed"));
            images += check.images.get();
        }
    }
    println!("{images} images of installations");
}

#[test]
fn truncations_and_installations_survive_faults() {
    let rest = rest(11, setup(Compression::None, "/logs"));
    let (bytes, (_, state)) = stream(12);
    let install = (Act::Install(Zxid(3), bytes), (Zxid(3), state));
    let acts: Vec<_> = targets(&rest).filter(|(_, (to, _))| to.0 % 3 == 1).chain([install]).collect();
    for (act, new) in acts {
        for fault in [Fault::Error, Fault::Short(5), Fault::Full(0), Fault::Full(20)] {
            Check::new(&rest, new).faults(&act, fault, false, &format!("{} on a faulty disk", new.0));
        }
    }
}

/// Where files cannot have two names, an installation that a kill cuts short is completed too.
#[test]
fn installations_without_links_survive_kills() {
    let rest = rest(13, setup(Compression::None, DATA_DIR));
    let (bytes, (_, state)) = stream(14);
    let act = Act::Install(Zxid(2), bytes);
    Check::new(&rest, (Zxid(2), state)).faults(&act, Fault::Error, true, "no links");
}

/// A snapshot that rots while its installation is cut short must not take the rest with it.
#[test]
fn a_rotten_snapshot_does_not_replace_anything() {
    let rest = rest(15, setup(Compression::None, DATA_DIR));
    let mut image = rest.image.clone();
    image.files.insert("/data/version-2/paddock-install.5".into(), Arc::new(b"ZKSN and then nothing of sense".to_vec()));
    let sim = SimFileSystem::from_image(&image);
    let error = find(&rest.setup, &(Arc::new(sim.clone()) as Arc<dyn FileSystem>)).expect_err("refused").to_string();
    assert!(error.contains("paddock-install.5") && error.contains("Remove it"), "{error}");
    sim.kill();
    sim.remove("/data/version-2/paddock-install.5".as_ref()).expect("there");
    let found = find(&rest.setup, &(Arc::new(sim) as Arc<dyn FileSystem>)).expect("as before");
    assert_eq!(found.0, rest.last);
}

/// What a start reads after a refused truncation, and after a snapshot that does not load, is what was there; the log goes on.
#[test]
fn what_is_refused_leaves_everything_as_it_is() {
    let rest = rest(16, setup(Compression::None, DATA_DIR));
    let state = rest.history.state(rest.last).expect("the last state");
    let sim = SimFileSystem::from_image(&rest.image);
    let fs: Arc<dyn FileSystem> = Arc::new(sim.clone());
    let directories = Directories::open(&fs, DATA_DIR.as_ref(), DATA_DIR.as_ref(), true).expect("a sound disk");
    let mut journal = Journal::new(Arc::clone(&fs), &directories, &rest.setup.persistence, rest.last, 1);
    let before = sim.files();
    let Truncated::Refused(Some((tree, sessions))) = journal.truncate(Zxid(0x1_0000_0001), Zxid(0x1_0000_0002)).expect("sound") else {
        panic!("there is no such txn");
    };
    assert_eq!(State::of(&tree, sessions.into_iter()), state);
    assert!(matches!(journal.truncate(Zxid(rest.last.0 + 1), rest.last), Ok(Truncated::Refused(None))));
    let mut orphan = vec![0; 8];
    orphan.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0\0\0");
    orphan.extend_from_slice(&[0; 64]);
    orphan.extend_from_slice(b"\0\0\0\x04/a/b\xff\xff\xff\xff");
    orphan.extend_from_slice(&[0; 68]);
    orphan.extend_from_slice(b"\0\0\0\x01/");
    put_signature(&mut orphan);
    let received = receive(&fs, &directories, &rest, Zxid(7), &orphan).expect("it has an end");
    let Ok(Err((tree, sessions))) = journal.install(received) else { panic!("a znode without its parent") };
    assert_eq!(State::of(&tree, sessions.into_iter()), state);
    assert_eq!(sim.files(), before, "nothing was changed");
}
