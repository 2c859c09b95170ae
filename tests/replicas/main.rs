//! Ensembles of complete replicas, with clients, under crashes and cuts, from a seed.
//!
//! `REPLICA_SEEDS=5000 cargo test --release --test replicas` runs so many seeds, with fixed members and with
//! changing ones; a failed one prints how to replay it.

mod clients;
mod disk;
mod members;
mod model;
mod promises;
#[path = "../sim/random.rs"]
mod random;
mod requests;
mod watches;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clients::Clients;
use random::Random;
use world::{Event, World, names};

const FIXED_SEEDS: u64 = 16;
/// How long faults go on, ms.
const FAULTS_MS: i64 = 12_000;
/// How long everybody may take to serve again, and sessions without a client to expire, ms.
const REST_MS: i64 = 20_000;

fn fault(world: &mut World) {
    let node = world.random.between(0, world.nodes.len() as i64 - 1) as usize;
    match world.random.between(0, 9) {
        0..=2 => world.crash(node),
        3..=5 => (0..world.nodes.len()).for_each(|node| world.start(node)),
        6 => world.isolate(node),
        7 => (0..world.nodes.len()).for_each(|node| world.crash(node)),
        _ => world.heal(),
    }
    let next = world.now + world.random.between(20, 1500);
    world.at(next, Event::Fault);
}

/// Runs until `until`, with faults and requests or without.
fn run_to(world: &mut World, clients: &mut Clients, until: i64, (has_faults, has_work): (bool, bool)) {
    while let Some(event) = world.run_until(until) {
        match event {
            Event::Client { connection, told } => clients.told(connection, told, world),
            Event::Fault if has_faults => fault(world),
            Event::Workload if has_work => {
                clients.act(world);
                let next = world.now + world.random.between(1, 40);
                world.at(next, Event::Workload);
            }
            _ => {}
        }
    }
}

/// One run; gives how many creations were acknowledged, how many watches fired, and how often other members were agreed on.
fn run(seed: u64, changes: bool, trace: bool) -> [usize; 3] {
    let mut world = World::new(seed, changes, trace);
    let mut clients = Clients::new(Random::new(seed).between(2, 6) as usize);
    world.at(500, Event::Workload);
    world.at(1000, Event::Fault);
    run_to(&mut world, &mut clients, FAULTS_MS, (true, true));
    world.heal();
    (0..world.nodes.len()).for_each(|node| world.start(node));
    run_to(&mut world, &mut clients, FAULTS_MS + REST_MS, (false, false));
    assert!(world.is_at_rest(), "everybody serves the same again, some time after the last fault");
    let acknowledged = std::mem::take(&mut clients.acknowledged);
    check(&world, &acknowledged);
    let promises = clients.promises();
    let fired = promises.fired.len();
    let model = promises.check(world.nodes[0].disk.history());
    world.nodes.iter().for_each(|node| model.compare(&node.shared.tree.read()));
    [acknowledged.len(), fired, model.member_changes]
}

fn check(world: &World, acknowledged: &BTreeSet<String>) {
    let digest = |node: usize| world.nodes[node].shared.tree.read().digest();
    for node in 0..world.nodes.len() {
        assert_eq!(digest(node), digest(0), "equal digests at equal zxids: server index {node}");
        let (replayed, _) = world.nodes[node].disk.state();
        assert_eq!(replayed.digest(), digest(0), "what is durable gives what is applied: server index {node}");
        let here: BTreeSet<String> = names(&world.nodes[node].shared.tree.read()).into_iter().collect();
        let missing: Vec<_> = acknowledged.difference(&here).collect();
        assert!(missing.is_empty(), "acknowledged writes are present on server index {node}: {missing:?} are not");
        let (sessions, owners) = world.sessions(node);
        assert_eq!((sessions.len(), owners.len()), (0, 0), "a session that nobody speaks for expires, its ephemerals with it");
        assert!(here.iter().all(|name| !name.starts_with('e')), "ephemerals are gone with their sessions");
    }
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn clients_may_believe_what_they_are_told() {
    believe(false);
}

#[test]
fn clients_may_believe_it_while_members_change() {
    believe(true);
}

fn believe(changes: bool) {
    if let Some(seed) = environment("REPLICA_SEED") {
        println!("seed {seed}: {:?}", run(seed, changes, environment("REPLICA_TRACE").is_some()));
        return;
    }
    let count = environment("REPLICA_SEEDS").unwrap_or(FIXED_SEEDS);
    let (mut totals, mut failed) = ([0; 3], Vec::new());
    for seed in 0..count {
        match catch_unwind(AssertUnwindSafe(|| run(seed, changes, false))) {
            Ok(counts) => totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count),
            Err(_) => {
                println!(
                    "seed {seed} failed; replay it with: REPLICA_SEED={seed} REPLICA_TRACE=1 cargo test --test replicas {} -- --nocapture",
                    if changes { "while_members" } else { "what_they" }
                );
                failed.push(seed);
            }
        }
    }
    let [acknowledged, fired, changed] = totals;
    println!("{count} seeds, {acknowledged} acknowledged writes, {fired} watches that fired, {changed} changes of members");
    assert!(failed.is_empty(), "seeds that broke a promise: {failed:?}");
    assert!(acknowledged > 0 && fired > 0, "something was written, and heard of");
    assert_eq!(changed > 0, changes, "members change where they may");
}
