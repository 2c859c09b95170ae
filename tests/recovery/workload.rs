//! A random life of a server, and the check of what every power cut on its way would leave.

use std::path::Path;
use std::sync::Arc;

use paddock::ids::Zxid;
use paddock::replica::Now;
use paddock::storage::{FileSystem, StorageError};

use super::history::{History, State};
use super::random::Random;
use super::server::{DATA_DIR, Server, Setup};
use crate::sim_fs::{Disk, Enumerated, Image, SimFileSystem, images};

/// Bytes of the header of a log (disk-formats.md §3).
const LOG_HEADER_BYTES: u64 = 16;

/// What was done and found.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Lives.
    pub workloads: u64,
    /// Images that were recovered.
    pub images: u64,
    /// Moments of which all images were built, torn at every byte.
    pub every_byte: u64,
    /// Moments of which all images were built, torn at every sector.
    pub every_sector: u64,
    /// Moments of which a random choice of images was built.
    pub sampled: u64,
    /// Txns.
    pub txns: u64,
    /// Starts.
    pub starts: u64,
    /// Files purged.
    pub purged: u64,
    /// Truncations.
    pub truncations: u64,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            workloads: self.workloads + other.workloads,
            images: self.images + other.images,
            every_byte: self.every_byte + other.every_byte,
            every_sector: self.every_sector + other.every_sector,
            sampled: self.sampled + other.sampled,
            txns: self.txns + other.txns,
            starts: self.starts + other.starts,
            purged: self.purged + other.purged,
            truncations: self.truncations + other.truncations,
        }
    }
}

/// A workload under way.
pub struct Workload {
    random: Random,
    setup: Setup,
    sim: SimFileSystem,
    disk: Disk,
    history: History,
    /// Up to here clients were told, or could read.
    acked: Zxid,
    /// The history is being truncated to here: it may end here as well.
    truncating: Option<Zxid>,
    images_per_moment: u64,
    /// How many times a recovery is itself cut short.
    depth: u32,
    /// What was found.
    pub counts: Counts,
}

/// A loss, or another violation: in words.
pub type Violation = String;

impl Workload {
    /// A workload on an empty disk. At each moment so many images are built at most.
    pub fn new(seed: u64, images_per_moment: u64) -> Self {
        let mut random = Random(seed);
        let setup = Setup::random(&mut random);
        let sim = SimFileSystem::new();
        let counts = Counts { workloads: 1, ..Counts::default() };
        let (disk, history) = (Disk::from_image(&SimFileSystem::empty_image()), History::new());
        Self { random, setup, sim, disk, history, acked: Zxid::ZERO, truncating: None, images_per_moment, depth: 1, counts }
    }

    fn fs(&self) -> Arc<dyn FileSystem> {
        Arc::new(self.sim.clone())
    }

    /// Runs so many steps.
    ///
    /// # Errors
    /// The first violation.
    pub fn run(&mut self, steps: u64) -> Result<(), Violation> {
        let mut server = self.start(Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 })?;
        for _ in 0..steps {
            server = self.step(server)?;
            self.absorb()?;
        }
        Ok(())
    }

    fn start(&mut self, now: Now) -> Result<Server, Violation> {
        self.counts.starts += 1;
        let (server, last) = Server::start(self.fs(), &self.setup, now).map_err(|error| format!("a start after a kill: {error}"))?;
        self.absorb()?;
        self.check(last, server.state().1)?;
        self.history.cut(last);
        self.ack(last)?;
        Ok(server)
    }

    fn step(&mut self, mut server: Server) -> Result<Server, Violation> {
        let told = |error: StorageError| format!("a disk without faults fails: {error}");
        match self.random.below(32) {
            0..=13 => {
                for _ in 0..=self.random.below(4) {
                    server.client(&mut self.random, &mut self.history);
                }
            }
            14..=21 => {
                if let Some(last) = server.log(&mut self.history).map_err(told)? {
                    self.absorb()?;
                    let (at, state) = server.state();
                    if Some(state) != self.history.state(at) {
                        return Err(format!("the running server at {at} is {state:?}, not {:?}", self.history.state(at)));
                    }
                    self.ack(last)?;
                }
            }
            22 | 23 => server.begin_snapshot().map_err(told)?,
            24..=26 => server.step_snapshot().map_err(told)?,
            27 => self.counts.purged += server.purge().map_err(told)? as u64,
            28 => server.rest().map_err(told)?,
            29 => server.pass(300, &mut self.history),
            30 => return self.restart(server),
            _ if self.random.once_in(3) => return self.truncate(server),
            _ if self.random.once_in(2) => return self.power_cut(server),
            _ => {}
        }
        Ok(server)
    }

    /// A clean stop, or a kill with a snapshot at work perhaps, and a start on what the kernel has.
    fn restart(&mut self, server: Server) -> Result<Server, Violation> {
        let now = server.now();
        if self.random.once_in(2) {
            server.close().map_err(|error| format!("a disk without faults fails: {error}"))?;
        } else {
            // The kernel closes the files of a killed process; none of its destructors run.
            self.sim.kill();
            std::mem::forget(server);
        }
        self.start(now)
    }

    /// The power goes while a batch is written, perhaps torn; the life goes on from an image.
    fn power_cut(&mut self, mut server: Server) -> Result<Server, Violation> {
        for _ in 0..self.random.below(4) {
            server.client(&mut self.random, &mut self.history);
        }
        server.log(&mut self.history).map_err(|error| format!("a disk without faults fails: {error}"))?;
        let ops = self.sim.take_journal();
        let done = self.random.below(ops.len() as u64 + 1) as usize;
        for op in &ops[..done] {
            self.disk.apply(op);
            self.check_images()?;
        }
        let random = &mut self.random;
        let image = self.disk.image(&mut |choice| choice.at_random(&mut |limit| random.below(limit)));
        self.counts.txns += (self.history.last().0 - self.acked.0).max(0) as u64;
        self.sim = SimFileSystem::from_image(&image);
        self.disk = Disk::from_image(&image);
        self.start(server.now())
    }

    /// A leader takes txns back that nobody else has.
    fn truncate(&mut self, mut server: Server) -> Result<Server, Violation> {
        let (now, to) = (server.now(), Zxid(self.random.below(self.acked.0 as u64 + 1) as i64));
        self.truncating = Some(to);
        let is_done = server.truncate(to).map_err(|error| format!("a disk without faults fails: {error}"))?;
        self.absorb()?;
        self.truncating = None;
        if is_done {
            self.counts.truncations += 1;
            self.history.cut(to);
            self.acked = to;
            self.check_images()?;
        }
        self.sim.kill();
        std::mem::forget(server);
        self.start(now)
    }

    fn ack(&mut self, zxid: Zxid) -> Result<(), Violation> {
        self.counts.txns += (zxid.0 - self.acked.0).max(0) as u64;
        self.acked = self.acked.max(zxid);
        self.check_images()
    }

    /// Takes in what happened to the file system; after each change every image must recover.
    fn absorb(&mut self) -> Result<(), Violation> {
        for op in self.sim.take_journal() {
            self.disk.apply(&op);
            self.check_images()?;
        }
        Ok(())
    }

    fn check_images(&mut self) -> Result<(), Violation> {
        let disk = std::mem::take(&mut self.disk);
        let mut random = self.random.clone();
        let mut outcome = Ok(());
        let how = images(&disk, self.images_per_moment, &mut |limit| random.below(limit), |image| {
            if outcome.is_ok() {
                outcome = self.check_image(&image).map_err(|violation| format!("{violation}\n{}", describe(&image)));
            }
        });
        self.random.number();
        self.disk = disk;
        match how {
            Enumerated::EveryByte => self.counts.every_byte += 1,
            Enumerated::EverySector => self.counts.every_sector += 1,
            Enumerated::Sampled => self.counts.sampled += 1,
        }
        outcome
    }

    fn check_image(&mut self, image: &Image) -> Result<(), Violation> {
        self.counts.images += 1;
        let sim = SimFileSystem::from_image(image);
        let fs: Arc<dyn FileSystem> = Arc::new(sim.clone());
        check_headers(fs.as_ref(), &[DATA_DIR, self.setup.log_dir])?;
        let (directories, start) = self.setup.recover(&fs).map_err(|error| format!("no recovery: {error}"))?;
        drop(directories);
        if start.digest_mismatches > 0 {
            return Err(format!("{} digests do not match", start.digest_mismatches));
        }
        let state = State::of(&start.tree, start.sessions.iter().copied());
        self.check(start.recovered.last_zxid, state)?;
        if start.recent.iter().rev().zip(0..).any(|(&(zxid, _), back)| zxid.0 != start.recovered.last_zxid.0 - back) {
            return Err(format!("what is kept for learners is not the end of the history: {:?}", start.recent));
        }
        if self.depth > 0 && self.random.once_in(64) {
            self.check_second_cut(image, &sim)?;
        }
        if start.recovered.cut_bytes > 0 {
            self.check_cut(&fs)?;
        }
        Ok(())
    }

    /// What was torn is gone when a recovery is over: a later file must never stand behind it.
    fn check_cut(&self, fs: &Arc<dyn FileSystem>) -> Result<(), Violation> {
        let (_, again) = self.setup.recover(fs).map_err(|error| format!("no recovery after a recovery: {error}"))?;
        match again.recovered.cut_bytes {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes are torn still after a recovery")),
        }
    }

    /// The power goes again, in the middle of the recovery.
    fn check_second_cut(&mut self, image: &Image, sim: &SimFileSystem) -> Result<(), Violation> {
        let (outer, limit) = (std::mem::replace(&mut self.disk, Disk::from_image(image)), self.images_per_moment);
        (self.depth, self.images_per_moment) = (self.depth - 1, limit.min(8));
        let mut outcome = Ok(());
        for op in sim.take_journal() {
            self.disk.apply(&op);
            outcome = outcome.and_then(|()| self.check_images());
        }
        (self.depth, self.images_per_moment, self.disk) = (self.depth + 1, limit, outer);
        outcome.map_err(|violation| format!("after a second power cut: {violation}"))
    }

    /// A recovered state is one that was, and not older than what was acknowledged.
    fn check(&self, last: Zxid, state: State) -> Result<(), Violation> {
        if last < self.acked && self.truncating != Some(last) {
            return Err(format!("lost: {} was acknowledged, {last} came back", self.acked));
        }
        match self.history.state(last) {
            Some(expected) if expected == state => Ok(()),
            Some(expected) => Err(format!("the state at {last} is {state:?}, not {expected:?}")),
            None => Err(format!("{last} came back, which never was")),
        }
    }
}

/// The files of an image, for the report of a failure.
fn describe(image: &Image) -> String {
    let line = |(path, bytes): (&std::path::PathBuf, &Arc<Vec<u8>>)| format!("  {} {} bytes\n", path.display(), bytes.len());
    image.files.iter().map(line).collect()
}

/// A log has its header from the moment on at which it has its name: a Java server that takes this one's place does not start otherwise.
fn check_headers(fs: &dyn FileSystem, places: &[&str]) -> Result<(), Violation> {
    for dir in places.iter().map(|place| Path::new(place).join("version-2")) {
        let logs = fs.list(&dir).unwrap_or_default().into_iter().filter(|name| name.starts_with("log."));
        if let Some(log) = logs.map(|name| dir.join(name)).find(|log| fs.len(log).is_ok_and(|len| len < LOG_HEADER_BYTES)) {
            return Err(format!("{} has no header", log.display()));
        }
    }
    Ok(())
}
