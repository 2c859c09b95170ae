//! Simulation of the ordering core: N servers, one seed, every fault there is, and the published invariants at every step.
//!
//! Two more tests set one core against partners that keep to no rule.
//!
//! `SIM_SEEDS=20000 cargo test --release --test sim` runs so many fresh seeds; `SIM_SEED=7 SIM_TRACE=1 cargo test --test sim -- --nocapture`
//! runs one and tells everything.

mod checkers;
mod disk;
mod faults;
mod hostile;
mod hostile_leader;
mod hostile_learners;
mod members;
mod network;
mod random;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use faults::Faults;
use world::{Event, World};

/// Always run, whatever the environment says: those that found something once, and the first ones.
const FIXED_SEEDS: u64 = 200;
/// Faults strike for this time, ms.
const FAULTS_MS: i64 = 4000;

/// One run. Panics when an invariant is broken; returns how many events there were, how many txns, and how many proposals of other members.
fn run(seed: u64, changes: bool, trace: bool) -> (u64, usize, usize) {
    let mut world = World::new(seed, changes, trace);
    let faults = Faults::new(&mut world.random);
    world.after(400, Event::Fault);
    while let Some(event) = world.run_until(FAULTS_MS) {
        assert!(matches!(event, Event::Fault), "only faults come out");
        faults.strike(&mut world);
    }
    recover(&mut world);
    (world.event_count, world.checkers.committed().len(), world.change_count)
}

/// Faults are over. Within a bound everybody serves the same epoch, goes on committing, and has the same history.
fn recover(world: &mut World) {
    world.say(|| "faults are over".to_owned());
    faults::heal(world);
    for node in 0..world.nodes.len() {
        world.nodes[node].disk_max_ms = 3;
        world.restart(node);
    }
    // A leader that waits for a quorum, its election, discovery and synchronization, twice over.
    let deadline = world.now + 8 * world.init_limit_ms();
    let committed = world.checkers.committed().len();
    while world.now < deadline {
        let until = world.now + 50;
        while world.run_until(until).is_some() {}
        if world.checkers.committed().len() > committed && world.is_serving() {
            world.stop_workload();
            break;
        }
    }
    assert!(
        world.checkers.committed().len() > committed,
        "Liveness: nothing is committed {} ms after the last fault",
        8 * world.init_limit_ms()
    );
    while world.now < deadline && !world.is_at_rest() {
        let until = world.now + 50;
        while world.run_until(until).is_some() {}
    }
    assert!(
        world.is_at_rest(),
        "Liveness: not everybody serves {} ms after the last fault: {}",
        8 * world.init_limit_ms(),
        world.describe()
    );
    for node in 0..world.nodes.len() {
        world.checkers.at_rest(node, &world.nodes[node].state);
    }
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn invariants_hold_under_every_fault() {
    hold(false);
}

#[test]
fn invariants_hold_while_members_change() {
    hold(true);
}

#[test]
fn a_hostile_leader_breaks_no_promise() {
    attacks("a_hostile_leader", hostile_leader::run);
}

#[test]
fn hostile_learners_break_no_promise() {
    attacks("hostile_learners", hostile_learners::run);
}

/// Attacks from the fixed seeds and the fresh ones; in all of them together something must have come about.
fn attacks(name: &str, run: fn(u64) -> usize) {
    let fresh = environment("SIM_SEEDS").unwrap_or(50);
    let first = environment("SIM_FIRST").unwrap_or_else(fresh_start);
    let seeds = (0..FIXED_SEEDS).chain((0..fresh).map(|index| first.wrapping_add(index)));
    let mut done = 0;
    for seed in environment("SIM_SEED").map_or_else(|| seeds.collect(), |seed| vec![seed]) {
        let result = catch_unwind(|| run(seed));
        done += result.unwrap_or_else(|_| panic!("replay it with: SIM_SEED={seed} cargo test --test sim {name} -- --nocapture"));
    }
    println!("{name}: {done} in {} seeds", FIXED_SEEDS + fresh);
    assert!(done > 0 || environment("SIM_SEED").is_some(), "the core got nowhere");
}

/// Runs the fixed seeds and the fresh ones.
fn hold(with_changes: bool) {
    if let Some(seed) = environment("SIM_SEED") {
        let (events, txns, changes) = run(seed, with_changes, environment("SIM_TRACE").is_some());
        println!("seed {seed}: {events} events, {txns} txns, {changes} proposals of other members");
        return;
    }
    let fresh = environment("SIM_SEEDS").unwrap_or(0);
    let first = environment("SIM_FIRST").unwrap_or_else(fresh_start);
    let seeds = (0..FIXED_SEEDS).chain((0..fresh).map(|index| first.wrapping_add(index)));
    let (started, mut events, mut txns, mut changes, mut count) = (Instant::now(), 0, 0, 0, 0);
    let mut failed = Vec::new();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed, with_changes, false))) {
            Ok((seed_events, seed_txns, seed_changes)) => {
                events += seed_events;
                txns += seed_txns;
                changes += seed_changes;
            }
            Err(_) => {
                println!("seed {seed} failed; replay it with: SIM_SEED={seed} SIM_TRACE=1 cargo test --test sim -- --nocapture");
                failed.push(seed);
                if failed.len() >= 10 {
                    break;
                }
            }
        }
        count += 1;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    println!("{count} seeds, {events} events, {txns} txns, {changes} proposals of other members, {rate:.0} seeds per second");
    assert!(failed.is_empty(), "seeds that broke an invariant: {failed:?}");
}

/// Where fresh seeds begin: another place each time.
fn fresh_start() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("seed") >> 16
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..5 {
        for changes in [false, true] {
            assert_eq!(run(seed, changes, false), run(seed, changes, false), "seed {seed}");
        }
    }
}
