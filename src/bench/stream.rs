//! The steady workloads: each connection keeps its requests under way, or a schedule says when the next one is due.

use fastrand::Rng;

use super::args::Plan;
use super::error::BenchError;
use super::fleet::{Fleet, Load};
use super::interrupt;
use super::layout::Layout;
use super::link::{Link, Sent};
use super::meter::Meter;
use super::outcome::{CONNECTION_LOSS, OPERATION_TIMEOUT, Outcome};
use super::pace::Pace;
use super::spread::Keys;
use super::tally::Tally;
use super::usage::Usage;
use super::window::Window;
use super::workload::{Kind, Workload};
use crate::client::frames::{Reply, Request};
use crate::client::servers::Servers;
use crate::proto::error_code::ErrorCode;

/// Znodes that a connection creates in one folder before it makes the next.
const MADE_FOLDER_MAX: u32 = 10_000;
/// How long the end of a run waits for the last replies, in ns.
const DRAIN_PATIENCE: u64 = 30_000_000_000;
/// How long all sessions may be lost before the run gives up, in ns.
const LOST_PATIENCE: u64 = 120_000_000_000;
/// How often a run looks at the clock at least, in ns.
const LOOK_EVERY: u64 = 100_000_000;
/// Connections that begin their handshakes at a time.
const OPENING_AT_ONCE: usize = 128;

/// What a connection has created.
#[derive(Clone, Copy, Default)]
struct Maker {
    folder: u32,
    next: u32,
    /// Whether the newest znode is to be deleted next.
    is_made: bool,
}

/// The state of a steady workload.
struct Stream<'a> {
    plan: &'a Plan,
    layout: &'a Layout,
    random: Rng,
    keys: Keys,
    data: Vec<u8>,
    path: String,
    parts: Vec<String>,
    makers: Vec<Maker>,
    window: Window,
    pace: Option<Pace>,
    is_running: bool,
    last_reply: u64,
    tally: Tally,
    meter: Meter,
}

/// Runs a steady workload on znodes that have been made.
///
/// # Errors
/// When the connections cannot be opened, or all are lost for long.
pub fn run(servers: &Servers, plan: &Plan, layout: &Layout) -> Result<Outcome, BenchError> {
    let mut fleet = Fleet::new(servers, plan, plan.connections)?;
    let mut stream = Stream::new(plan, layout);
    fleet.open_all(&mut stream, OPENING_AT_ONCE)?;
    while fleet.outstanding() > 0 {
        let until = fleet.now() + LOOK_EVERY;
        fleet.turn(&mut stream, until)?;
    }
    stream.begin(fleet.now());
    for index in 0..plan.connections {
        fleet.poke(&mut stream, index, |_, _, _| {});
    }
    let mut usage = None;
    let mut open_at = fleet.now();
    let mut next_link = 0;
    loop {
        let now = fleet.now();
        if usage.is_none() && now >= stream.window.measure_from {
            usage = Some(Usage::begin(&plan.pids)?);
        }
        if interrupt::requested() {
            stream.window.close(now);
        }
        if now >= stream.window.stop_at {
            break;
        }
        stream.meter.tick(now, &stream.tally);
        next_link = stream.pump(&mut fleet, next_link);
        let wake_at = stream.next_due(&fleet).min(now + LOOK_EVERY).min(stream.window.stop_at);
        fleet.turn(&mut stream, wake_at)?;
        if fleet.links().iter().any(Link::is_open) {
            open_at = now;
        } else if now - open_at > LOST_PATIENCE {
            return Err(BenchError::AllLost { seconds: LOST_PATIENCE / 1_000_000_000, last: fleet.last_failure().to_owned() });
        }
    }
    stream.finish(&mut fleet, usage)
}

impl<'a> Stream<'a> {
    fn new(plan: &'a Plan, layout: &'a Layout) -> Self {
        Self {
            plan,
            layout,
            random: Rng::with_seed(plan.seed),
            keys: Keys::new(plan.keys, plan.spread),
            data: vec![b'y'; plan.size],
            path: String::new(),
            parts: Vec::new(),
            makers: vec![Maker::default(); plan.connections],
            window: Window::closed(),
            pace: None,
            is_running: false,
            last_reply: 0,
            tally: Tally::default(),
            meter: Meter::new(plan.progress),
        }
    }

    fn begin(&mut self, now: u64) {
        self.window = Window::new(self.plan, now);
        self.pace = self.plan.rate.map(|rate| Pace::new(now, rate));
        self.is_running = true;
        self.tally.silence.heard(self.window.measure_from);
    }

    /// Gives what is due to connections that have room, in turns; gives the connection that comes next.
    fn pump(&mut self, fleet: &mut Fleet, mut next_link: usize) -> usize {
        let Some(pace) = &self.pace else { return next_link };
        let mut due = pace.due_count(fleet.now());
        let mut without_room = 0;
        while due > 0 && without_room < fleet.links().len() {
            let link = &fleet.links()[next_link];
            if link.is_open() && link.outstanding() < self.plan.outstanding {
                fleet.poke(self, next_link, |_, _, _| {});
                due -= 1;
                without_room = 0;
            } else {
                without_room += 1;
            }
            next_link = (next_link + 1) % fleet.links().len();
        }
        next_link
    }

    /// When something is due that some connection has room for.
    fn next_due(&self, fleet: &Fleet) -> u64 {
        let Some(pace) = &self.pace else { return u64::MAX };
        let has_room = fleet.links().iter().any(|link| link.is_open() && link.outstanding() < self.plan.outstanding);
        if has_room { pace.next_due() } else { u64::MAX }
    }

    fn finish(mut self, fleet: &mut Fleet, usage: Option<Usage>) -> Result<Outcome, BenchError> {
        self.is_running = false;
        let stopped = self.window.stop_at.max(self.window.measure_from);
        let deadline = fleet.now() + DRAIN_PATIENCE;
        while fleet.outstanding() > 0 && fleet.now() < deadline {
            fleet.turn(&mut self, deadline)?;
        }
        let end = stopped.max(self.last_reply);
        let usage = usage.map(|usage| usage.end(&self.plan.pids)).transpose()?;
        for _ in 0..fleet.outstanding() {
            self.tally.fail(Kind::Aside, OPERATION_TIMEOUT);
        }
        fleet.close_all(&mut self)?;
        self.tally.silence.heard(end);
        let seconds = end.saturating_sub(self.window.measure_from) as f64 / 1e9;
        let mut outcome = Outcome::new(self.tally, seconds, usage);
        outcome.add_counts(fleet.counts());
        outcome.shift_pauses(self.window.measure_from);
        Ok(outcome)
    }

    /// Puts the next operation of this connection into its buffer.
    fn issue(&mut self, link: &mut Link, since: u64, now: u64) {
        match self.plan.workload {
            Workload::Get => self.on_key(link, Kind::Get, since),
            Workload::Exists => self.on_key(link, Kind::Exists, since),
            Workload::Set | Workload::Failover => self.on_key(link, Kind::Set, since),
            Workload::Mixed(reads) => {
                let kind = if self.random.u32(..100) < reads { Kind::Get } else { Kind::Set };
                self.on_key(link, kind, since);
            }
            Workload::Children(_) => {
                self.layout.folder(self.keys.draw(&mut self.random), &mut self.path);
                link.send(&Request::Children(&self.path), Kind::Children, since);
            }
            Workload::Multi(parts) => self.multi(link, parts as usize, since),
            Workload::Create => self.create(link, since),
            Workload::Delete => self.create_or_delete(link, since),
            Workload::Watch | Workload::Sessions => unreachable!("these run in rounds, not as a stream"),
        }
        self.window.begin(since, now);
    }

    fn on_key(&mut self, link: &mut Link, kind: Kind, since: u64) {
        self.layout.key(self.keys.draw(&mut self.random), &mut self.path);
        let request = match kind {
            Kind::Get => Request::Get(&self.path, false),
            Kind::Exists => Request::Exists(&self.path),
            _ => Request::Set(&self.path, &self.data),
        };
        link.send(&request, kind, since);
    }

    fn multi(&mut self, link: &mut Link, parts: usize, since: u64) {
        self.parts.resize(parts, String::new());
        for path in &mut self.parts {
            self.layout.key(self.keys.draw(&mut self.random), path);
        }
        link.send(&Request::Multi(&self.parts, &self.data), Kind::Multi, since);
    }

    fn create(&mut self, link: &mut Link, since: u64) {
        let maker = &mut self.makers[link.index];
        if maker.next == MADE_FOLDER_MAX {
            *maker = Maker { folder: maker.folder + 1, ..Maker::default() };
        }
        if maker.next == 0 {
            self.layout.made_folder(link.index, maker.folder, &mut self.path);
            link.send(&Request::Create(&self.path, b""), Kind::Aside, since);
        }
        self.layout.made(link.index, maker.folder, maker.next, &mut self.path);
        maker.next += 1;
        link.send(&Request::Create(&self.path, &self.data), Kind::Create, since);
    }

    fn create_or_delete(&mut self, link: &mut Link, since: u64) {
        let maker = &mut self.makers[link.index];
        self.layout.made(link.index, 0, maker.next, &mut self.path);
        maker.is_made = !maker.is_made;
        if maker.is_made {
            link.send(&Request::Create(&self.path, &self.data), Kind::Create, since);
        } else {
            maker.next = maker.next.wrapping_add(1);
            link.send(&Request::Delete(&self.path), Kind::Delete, since);
        }
    }
}

impl Load for Stream<'_> {
    fn opened(&mut self, link: &mut Link, now: u64) {
        // This server may be behind the one that the znodes were made on.
        link.send(&Request::Sync(&self.layout.root), Kind::Aside, now);
        // What was under way on a lost connection may have been done or not: go on with names that are surely free.
        let maker = &mut self.makers[link.index];
        *maker = match self.plan.workload {
            Workload::Create => Maker { folder: maker.folder + u32::from(maker.next > 0), ..Maker::default() },
            _ => Maker { next: maker.next.wrapping_add(1), is_made: false, ..*maker },
        };
    }

    fn answered(&mut self, _link: &mut Link, sent: Sent, reply: &Reply<'_>, now: u64) {
        // What comes before the load and what ends the sessions is not part of it.
        if sent.kind == Kind::Close || (sent.kind == Kind::Aside && !self.window.counts(sent.since)) {
            return;
        }
        let latency = now.saturating_sub(sent.since);
        self.meter.record(latency);
        if !self.window.counts(sent.since) {
            return;
        }
        self.last_reply = now;
        let err = if sent.kind == Kind::Multi && reply.err == ErrorCode::OK { reply.multi_error() } else { reply.err };
        if err != ErrorCode::OK {
            self.tally.fail(sent.kind, err.0);
        } else if sent.kind != Kind::Aside {
            self.tally.record(sent.kind, latency);
            if sent.kind.is_write() {
                self.tally.silence.heard(now);
            }
        }
    }

    fn lost(&mut self, _link: &mut Link, sent: Sent, now: u64) {
        if self.window.counts(sent.since) && !matches!(sent.kind, Kind::Aside | Kind::Close) {
            self.last_reply = now;
            self.tally.fail(sent.kind, CONNECTION_LOSS);
        }
    }

    fn told(&mut self, _link: &mut Link, _now: u64) {}

    fn refill(&mut self, link: &mut Link, now: u64) {
        if !self.is_running {
            return;
        }
        if self.pace.is_some() {
            let has_room = link.outstanding() < self.plan.outstanding && self.window.is_open(now);
            if let Some(since) = self.pace.as_mut().filter(|_| has_room).and_then(|pace| pace.take(now)) {
                self.issue(link, since, now);
            }
            return;
        }
        while link.outstanding() < self.plan.outstanding && self.window.is_open(now) {
            self.issue(link, now, now);
        }
    }
}
