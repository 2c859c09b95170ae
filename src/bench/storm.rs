//! The sessions workload, in rounds: all sessions are opened as fast as the servers can, then all are closed.

use super::args::Plan;
use super::error::BenchError;
use super::fleet::{Fleet, Load};
use super::interrupt;
use super::link::{Link, Sent};
use super::meter::Meter;
use super::outcome::{CONNECTION_LOSS, Outcome};
use super::tally::Tally;
use super::usage::Usage;
use super::window::Window;
use super::workload::Kind;
use crate::client::frames::Reply;
use crate::client::servers::Servers;
use crate::proto::error_code::ErrorCode;

/// How long closing may take without any progress, in ns.
const CLOSING_PATIENCE: u64 = 30_000_000_000;

struct Storm {
    is_measured: bool,
    tally: Tally,
    meter: Meter,
}

/// Runs rounds until the window ends; at least one is measured.
///
/// # Errors
/// When sessions cannot be opened.
pub fn run(servers: &Servers, plan: &Plan) -> Result<Outcome, BenchError> {
    let mut storm = Storm { is_measured: false, tally: Tally::default(), meter: Meter::new(plan.progress) };
    let mut fleet = Fleet::new(servers, plan, plan.connections)?;
    let mut window = Window::new(plan, fleet.now());
    let (mut usage, mut began) = (None, 0);
    while !interrupt::requested() && (window.is_open(fleet.now()) || storm.tally.operations() == 0) {
        if usage.is_none() && window.counts(fleet.now()) {
            usage = Some(Usage::begin(&plan.pids)?);
            began = fleet.now();
            storm.is_measured = true;
        }
        storm.round(&mut fleet, plan)?;
        for _ in 0..plan.connections {
            window.begin(if storm.is_measured { fleet.now() } else { 0 }, fleet.now());
        }
    }
    let seconds = if usage.is_some() { (fleet.now() - began) as f64 / 1e9 } else { 0.0 };
    let used = usage.map(|usage| usage.end(&plan.pids)).transpose()?;
    let mut outcome = Outcome::new(storm.tally, seconds, used);
    outcome.add_counts(fleet.counts());
    Ok(outcome)
}

impl Storm {
    fn round(&mut self, fleet: &mut Fleet, plan: &Plan) -> Result<(), BenchError> {
        let began = fleet.now();
        match fleet.open_all(self, plan.outstanding) {
            // The sessions that are open are closed before the run ends.
            Err(BenchError::Interrupted) => {}
            opened => opened?,
        }
        let opened = fleet.now();
        self.close_all(fleet, plan.outstanding)?;
        if self.is_measured {
            self.tally.add_active(Kind::Open, opened - began);
            self.tally.add_active(Kind::Close, fleet.now() - opened);
        }
        self.meter.tick(fleet.now(), &self.tally);
        Ok(())
    }

    fn close_all(&mut self, fleet: &mut Fleet, at_once: usize) -> Result<(), BenchError> {
        let mut next = 0;
        let (mut closing, mut since) = (usize::MAX, fleet.now());
        while fleet.links().iter().any(|link| link.is_open() || link.outstanding() > 0) && fleet.now() - since < CLOSING_PATIENCE {
            let mut under_way = fleet.outstanding();
            while next < fleet.links().len() && under_way < at_once {
                if fleet.links()[next].is_open() {
                    fleet.poke(self, next, |link, _, now| link.close(now));
                    under_way += 1;
                }
                next += 1;
            }
            let left = fleet.links().len() - next + under_way;
            if left < closing {
                (closing, since) = (left, fleet.now());
            }
            let until = fleet.now() + CLOSING_PATIENCE;
            fleet.turn(self, until)?;
        }
        Ok(())
    }
}

impl Load for Storm {
    fn opened(&mut self, link: &mut Link, now: u64) {
        let latency = now.saturating_sub(link.begun_at());
        self.meter.record(latency);
        if self.is_measured {
            self.tally.record(Kind::Open, latency);
        }
    }

    fn answered(&mut self, _link: &mut Link, sent: Sent, reply: &Reply<'_>, now: u64) {
        if !self.is_measured {
            return;
        }
        match reply.err {
            ErrorCode::OK => self.tally.record(sent.kind, now.saturating_sub(sent.since)),
            err => self.tally.fail(sent.kind, err.0),
        }
    }

    fn lost(&mut self, _link: &mut Link, sent: Sent, _now: u64) {
        self.tally.fail(sent.kind, CONNECTION_LOSS);
    }

    fn told(&mut self, _link: &mut Link, _now: u64) {}

    fn refill(&mut self, _link: &mut Link, _now: u64) {}
}
