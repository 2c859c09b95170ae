//! The watch workload, in rounds: every watcher leaves a watch, one writer sets the znode, and the time counts until each is told.

use super::args::Plan;
use super::error::BenchError;
use super::fleet::{Fleet, Load};
use super::interrupt;
use super::layout::Layout;
use super::link::{Link, Sent};
use super::meter::Meter;
use super::outcome::{CONNECTION_LOSS, OPERATION_TIMEOUT, Outcome};
use super::tally::Tally;
use super::usage::Usage;
use super::window::Window;
use super::workload::Kind;
use crate::client::frames::{Reply, Request};
use crate::client::servers::Servers;
use crate::proto::error_code::ErrorCode;

/// Connections that begin their handshakes at a time.
const OPENING_AT_ONCE: usize = 128;
/// How long a round may take, in ns, before those who were not told count as errors.
const ROUND_PATIENCE: u64 = 30_000_000_000;
const LOOK_EVERY: u64 = 100_000_000;

/// Where a watcher stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watcher {
    /// Its watch is not left yet.
    Arming,
    /// Its watch is left.
    Armed,
    /// It was told.
    Told,
}

struct Fanout {
    path: String,
    data: Vec<u8>,
    watchers: Vec<Watcher>,
    /// How many watchers stand as `Armed`.
    armed: usize,
    /// When the set of this round was sent; `None` between rounds.
    set_at: Option<u64>,
    is_answered: bool,
    last_told: u64,
    is_measured: bool,
    tally: Tally,
    meter: Meter,
}

/// Runs rounds until the window ends; at least one is measured.
///
/// # Errors
/// When the connections cannot be opened.
pub fn run(servers: &Servers, plan: &Plan, layout: &Layout) -> Result<Outcome, BenchError> {
    let mut path = String::new();
    layout.key(0, &mut path);
    let mut fanout = Fanout {
        path,
        data: vec![b'y'; plan.size],
        watchers: vec![Watcher::Arming; plan.connections],
        armed: 0,
        set_at: None,
        is_answered: false,
        last_told: 0,
        is_measured: false,
        tally: Tally::default(),
        meter: Meter::new(plan.progress),
    };
    // The writer is the connection behind the last watcher.
    let mut fleet = Fleet::new(servers, plan, plan.connections + 1)?;
    fleet.open_all(&mut fanout, OPENING_AT_ONCE)?;
    let mut window = Window::new(plan, fleet.now());
    let (mut usage, mut began) = (None, 0);
    while !interrupt::requested() && (window.is_open(fleet.now()) || fanout.tally.operations() == 0) {
        let deadline = fleet.now() + ROUND_PATIENCE;
        fanout.wait_until(&mut fleet, deadline, Fanout::is_all_armed)?;
        if usage.is_none() && window.counts(fleet.now()) {
            usage = Some(Usage::begin(&plan.pids)?);
            began = fleet.now();
            fanout.is_measured = true;
        }
        fanout.round(&mut fleet, plan.connections)?;
        if fanout.is_measured {
            window.begin(fleet.now(), fleet.now());
        }
    }
    let seconds = if usage.is_some() { (fleet.now() - began) as f64 / 1e9 } else { 0.0 };
    let used = usage.map(|usage| usage.end(&plan.pids)).transpose()?;
    let counts = fleet.counts();
    fanout.is_measured = false;
    fleet.close_all(&mut fanout)?;
    let mut outcome = Outcome::new(fanout.tally, seconds, used);
    outcome.add_counts(counts);
    Ok(outcome)
}

impl Fanout {
    fn wait_until(&mut self, fleet: &mut Fleet, deadline: u64, is_done: fn(&Self) -> bool) -> Result<(), BenchError> {
        while !is_done(self) && fleet.now() < deadline && !interrupt::requested() {
            let now = fleet.now();
            self.meter.tick(now, &self.tally);
            fleet.turn(self, now + LOOK_EVERY)?;
        }
        Ok(())
    }

    fn is_all_armed(&self) -> bool {
        self.armed == self.watchers.len()
    }

    fn is_all_told(&self) -> bool {
        self.armed == 0 && self.is_answered
    }

    fn round(&mut self, fleet: &mut Fleet, writer: usize) -> Result<(), BenchError> {
        if !fleet.links()[writer].is_open() {
            let deadline = fleet.now() + LOOK_EVERY;
            return fleet.turn(self, deadline);
        }
        self.is_answered = false;
        let watchers = self.armed;
        fleet.poke(self, writer, |link, fanout, now| {
            fanout.set_at = Some(now);
            link.send(&Request::Set(&fanout.path, &fanout.data), Kind::Set, now);
        });
        let began = fleet.now();
        self.wait_until(fleet, began + ROUND_PATIENCE, Self::is_all_told)?;
        let set_at = self.set_at.take().unwrap_or(began);
        if self.is_measured && self.is_all_told() && watchers > 0 {
            self.tally.record(Kind::Last, self.last_told.saturating_sub(set_at));
            self.tally.add_active(Kind::Event, self.last_told.saturating_sub(set_at));
        } else if !interrupt::requested() {
            (0..self.armed).for_each(|_| self.tally.fail(Kind::Event, OPERATION_TIMEOUT));
        }
        self.arm_all(fleet);
        Ok(())
    }

    fn arm_all(&mut self, fleet: &mut Fleet) {
        self.armed = 0;
        for index in 0..self.watchers.len() {
            self.watchers[index] = Watcher::Arming;
            if fleet.links()[index].is_open() {
                fleet.poke(self, index, |link, fanout, now| fanout.arm(link, now));
            }
        }
    }

    fn arm(&mut self, link: &mut Link, now: u64) {
        link.send(&Request::Get(&self.path, true), Kind::Aside, now);
    }

    fn set_watcher(&mut self, index: usize, to: Watcher) {
        self.armed -= usize::from(self.watchers[index] == Watcher::Armed);
        self.armed += usize::from(to == Watcher::Armed);
        self.watchers[index] = to;
    }
}

impl Load for Fanout {
    fn opened(&mut self, link: &mut Link, now: u64) {
        link.send(&Request::Sync(&self.path), Kind::Aside, now);
        if link.index < self.watchers.len() {
            // A watch of the lost connection is gone with it.
            if self.watchers[link.index] == Watcher::Armed && self.set_at.is_some() {
                self.tally.fail(Kind::Event, CONNECTION_LOSS);
            }
            self.set_watcher(link.index, Watcher::Arming);
            self.arm(link, now);
        }
    }

    fn answered(&mut self, link: &mut Link, sent: Sent, reply: &Reply<'_>, now: u64) {
        if sent.kind == Kind::Set {
            self.is_answered = true;
        }
        if reply.err != ErrorCode::OK {
            return self.tally.fail(sent.kind, reply.err.0);
        }
        if sent.kind == Kind::Set && self.is_measured {
            self.tally.record(Kind::Set, now.saturating_sub(sent.since));
        }
        // The reply to the read that left the watch; the one to sync has only the path.
        let is_armed = sent.kind == Kind::Aside && link.outstanding() == 0;
        if is_armed && link.index < self.watchers.len() && self.watchers[link.index] == Watcher::Arming {
            self.set_watcher(link.index, Watcher::Armed);
        }
    }

    fn lost(&mut self, _link: &mut Link, sent: Sent, _now: u64) {
        if sent.kind == Kind::Set {
            self.is_answered = true;
            self.tally.fail(Kind::Set, CONNECTION_LOSS);
        }
    }

    fn told(&mut self, link: &mut Link, now: u64) {
        let (Some(set_at), index) = (self.set_at, link.index) else { return };
        if index < self.watchers.len() && self.watchers[index] == Watcher::Armed {
            self.set_watcher(index, Watcher::Told);
            self.last_told = now;
            let latency = now.saturating_sub(set_at);
            self.meter.record(latency);
            if self.is_measured {
                self.tally.record(Kind::Event, latency);
            }
        }
    }

    fn refill(&mut self, _link: &mut Link, _now: u64) {}
}
