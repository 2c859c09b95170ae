//! Faults of the disk: a failed, short or impossible change at every place of a server's life. The server stops acknowledging or goes
//! on, and whatever the disk holds then, killed or without power, comes back with all that was acknowledged.

use std::path::Path;
use std::sync::Arc;

use paddock::ids::Zxid;
use paddock::replica::Now;
use paddock::storage::epoch_file::{self, CURRENT_EPOCH};
use paddock::storage::{Compression, FileSystem, StorageError, TxnLogOptions};

use super::history::{History, State};
use super::random::Random;
use super::server::{Server, Setup};
use crate::sim_fs::{Disk, Fault, Faults, SimFileSystem, images};

/// Images that are tried after a fault.
const IMAGES_PER_FAULT: u64 = 12;

/// How a life with a fault in it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The fault came too late to be met.
    Untouched,
    /// It hit something that the server can do without.
    WentOn,
    /// The server stopped acknowledging, or did not start.
    Stopped,
}

struct Life {
    sim: SimFileSystem,
    setup: Setup,
    history: History,
    random: Random,
    acked: Zxid,
    went_on: bool,
}

fn setup(seed: u64) -> Setup {
    let compression = [Compression::None, Compression::Gzip, Compression::Snappy][seed as usize % 3];
    let log = TxnLogOptions { prealloc_size_bytes: 2048, size_limit_bytes: None, force_sync: true };
    Setup::new(log, compression, 8)
}

const NOW: Now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };

impl Life {
    fn new(seed: u64, fault: Option<(u64, Fault)>) -> Self {
        let sim = SimFileSystem::new();
        sim.set_faults(Faults { at_change: fault, ..Faults::default() });
        let (history, random) = (History::new(), Random(seed));
        Self { sim, setup: setup(seed), history, random, acked: Zxid::ZERO, went_on: false }
    }

    fn fs(&self) -> Arc<dyn FileSystem> {
        Arc::new(self.sim.clone())
    }

    /// A start, work with snapshots and a purge, a restart, work again. An error is one that ends the process.
    fn run(&mut self) -> Result<(), StorageError> {
        for _ in 0..2 {
            let (mut server, last) = Server::start(self.fs(), &self.setup, NOW)?;
            self.history.cut(last);
            self.acked = self.acked.max(last);
            for round in 0..10 {
                self.round(&mut server, round)?;
            }
            server.close()?;
        }
        Ok(())
    }

    fn round(&mut self, server: &mut Server, round: u64) -> Result<(), StorageError> {
        for _ in 0..3 {
            server.client(&mut self.random, &mut self.history);
        }
        match server.log(&mut self.history) {
            Ok(last) => self.acked = self.acked.max(last.unwrap_or_default()),
            Err(error) => {
                self.nothing_more_is_acknowledged(server, &error);
                return Err(error);
            }
        }
        if round % 4 == 3 {
            server.rest()?;
        }
        // What follows the server can do without.
        let optional = [server.begin_snapshot(), server.step_snapshot(), server.finish_snapshot(), server.purge().map(|_| ())];
        self.went_on |= optional.iter().any(Result::is_err);
        Ok(())
    }

    /// A fault that has passed does not bring the log back to life.
    fn nothing_more_is_acknowledged(&mut self, server: &mut Server, first: &StorageError) {
        self.sim.set_faults(Faults::default());
        for _ in 0..3 {
            server.client(&mut self.random, &mut self.history);
            match server.log(&mut self.history) {
                // The client's request made no txn.
                Ok(None) => {}
                Ok(Some(zxid)) => panic!("{zxid} is acknowledged after: {first}"),
                Err(again) => assert_eq!(again.to_string(), first.to_string(), "the first reason is the one that is told"),
            }
        }
    }

    fn check(&self, fs: &Arc<dyn FileSystem>, what: &str) {
        let (_, start) = self.setup.recover(fs).unwrap_or_else(|error| panic!("{what}: {error}"));
        let last = start.recovered.last_zxid;
        assert!(last >= self.acked, "{what}: {} was acknowledged, {last} came back", self.acked);
        let state = State::of(&start.tree, start.sessions.iter().copied());
        assert_eq!(Some(state), self.history.state(last), "{what}: the state at {last}");
    }

    /// The process is gone: what the kernel has comes back, and what a power cut leaves.
    fn check_what_is_left(&mut self, what: &str) {
        let mut disk = Disk::from_image(&SimFileSystem::empty_image());
        self.sim.take_journal().iter().for_each(|op| disk.apply(op));
        let mut random = self.random.clone();
        images(&disk, IMAGES_PER_FAULT, &mut |limit| random.below(limit), |image| {
            let fs: Arc<dyn FileSystem> = Arc::new(SimFileSystem::from_image(&image));
            self.check(&fs, what);
        });
        self.sim.kill();
        self.sim.set_faults(Faults::default());
        self.check(&self.fs(), what);
        let (server, last) = Server::start(self.fs(), &self.setup, NOW).unwrap_or_else(|error| panic!("{what}: {error}"));
        drop(server);
        // A failed fsync leaves records that the kernel shows and the disk does not have: once served they must stay.
        self.acked = last;
        self.sim.take_journal().iter().for_each(|op| disk.apply(op));
        images(&disk, IMAGES_PER_FAULT, &mut |limit| random.below(limit), |image| {
            let fs: Arc<dyn FileSystem> = Arc::new(SimFileSystem::from_image(&image));
            self.check(&fs, &format!("{what}, started again and cut off"));
        });
    }
}

fn live(seed: u64, change: u64, fault: Fault) -> End {
    let mut life = Life::new(seed, Some((change, fault)));
    let what = format!("seed {seed}, {fault:?} at change {change}");
    let end = match life.run() {
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(" /"), "{what}: the message names no file: {text}");
            End::Stopped
        }
        Ok(()) if life.went_on => End::WentOn,
        Ok(()) => End::Untouched,
    };
    life.check_what_is_left(&what);
    end
}

/// Every change of a life fails in every way.
fn sweep(seed: u64, faults: &[Fault]) {
    let mut untroubled = Life::new(seed, None);
    untroubled.run().expect("no fault");
    let changes = untroubled.sim.change_count();
    let (mut stopped, mut went_on, mut untouched) = (0, 0, 0);
    for change in 0..changes {
        for &fault in faults {
            match live(seed, change, fault) {
                End::Stopped => stopped += 1,
                End::WentOn => went_on += 1,
                End::Untouched => untouched += 1,
            }
        }
    }
    println!("seed {seed}, {faults:?}: {changes} changes: stopped {stopped}, went on {went_on}, untouched {untouched}");
    assert!(stopped > 0 && went_on > 0);
}

/// An epoch is the old one or the new one at every moment, and the new one once `write` returned.
#[test]
fn epochs_survive_power_cuts_and_faults() {
    let dir = Path::new("/");
    for fault in [None, Some(Fault::Error), Some(Fault::Short(1)), Some(Fault::Full(1))] {
        for change in 0..12 {
            let sim = SimFileSystem::new();
            sim.set_faults(Faults { at_change: fault.map(|fault| (change, fault)), ..Faults::default() });
            let mut disk = Disk::from_image(&SimFileSystem::empty_image());
            let mut sure = None;
            for epoch in [9, 10, 11] {
                let written = epoch_file::write(&sim, dir, CURRENT_EPOCH, epoch).is_ok();
                let check = |disk: &Disk, sure: Option<i64>| {
                    images(disk, 500, &mut |_| 0, |image| {
                        let found = epoch_file::read(&SimFileSystem::from_image(&image), dir, CURRENT_EPOCH).expect("whole");
                        assert!(found >= sure && found <= Some(epoch), "{found:?} between {sure:?} and {epoch}, {fault:?} at {change}");
                    });
                };
                for op in sim.take_journal() {
                    disk.apply(&op);
                    check(&disk, sure);
                }
                sure = if written { Some(epoch) } else { sure };
                check(&disk, sure);
            }
        }
    }
}

#[test]
fn every_change_fails() {
    (0..3).for_each(|seed| sweep(seed, &[Fault::Error]));
}

#[test]
fn every_write_is_short() {
    (3..6).for_each(|seed| sweep(seed, &[Fault::Short(1), Fault::Short(30)]));
}

#[test]
fn the_disk_is_full_from_every_change_on() {
    (6..9).for_each(|seed| sweep(seed, &[Fault::Full(0), Fault::Full(100)]));
}
