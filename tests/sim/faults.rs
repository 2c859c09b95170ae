//! What goes wrong, and when: each seed has its own mixture.

use crate::random::Random;
use crate::world::{Event, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// One server loses power; the others see its connections close, or do not.
    Crash,
    CrashLeader,
    CrashAll,
    ShutDown,
    /// The servers fall into two groups.
    Halves,
    /// The leader hears nobody, is heard by nobody, or both.
    LeaderAlone,
    /// Each server hears its two neighbours only.
    Ring,
    /// One path is cut in one direction.
    OneWay,
    Heal,
    /// One connection between a learner and its leader breaks.
    Break,
    SlowDisk,
    Snapshot,
}

const ALL: [Fault; 12] = [
    Fault::Crash,
    Fault::CrashLeader,
    Fault::CrashAll,
    Fault::ShutDown,
    Fault::Halves,
    Fault::LeaderAlone,
    Fault::Ring,
    Fault::OneWay,
    Fault::Heal,
    Fault::Break,
    Fault::SlowDisk,
    Fault::Snapshot,
];

/// The mixture of one run.
#[derive(Debug)]
pub struct Faults {
    mixture: Vec<Fault>,
    pause_max_ms: i64,
}

impl Faults {
    pub fn new(random: &mut Random) -> Self {
        let mut mixture = Vec::new();
        for fault in ALL {
            let weight = [0, 0, 1, 3][random.between(0, 3) as usize];
            mixture.extend(std::iter::repeat_n(fault, weight));
        }
        mixture.extend([Fault::Heal, Fault::Snapshot]);
        Self { mixture, pause_max_ms: [30, 150, 600][random.between(0, 2) as usize] }
    }

    /// One fault, and when the next one comes.
    pub fn strike(&self, world: &mut World) {
        let fault = world.random.pick(&self.mixture).expect("there is always something that goes wrong");
        world.say(|| format!("fault: {fault:?}"));
        let count = world.nodes.len();
        let all: Vec<usize> = (0..count).collect();
        let one = world.random.pick(&all).expect("there is a server");
        let leader = all.iter().copied().find(|&node| world.is_leading(node)).unwrap_or(one);
        match fault {
            Fault::Crash => self.crash(one, world),
            Fault::CrashLeader => self.crash(leader, world),
            Fault::CrashAll => all.iter().for_each(|&node| self.crash(node, world)),
            Fault::ShutDown => {
                world.shut_down(leader);
                self.restart_later(leader, world);
            }
            Fault::Halves => {
                let (left, right): (Vec<usize>, Vec<usize>) = all.iter().partition(|_| world.random.chance(50));
                world.network.cut_paths(&left, &right);
                world.network.cut_paths(&right, &left);
            }
            Fault::LeaderAlone => {
                let direction = world.random.between(0, 2);
                if direction != 0 {
                    world.network.cut_paths(&[leader], &all);
                }
                if direction != 1 {
                    world.network.cut_paths(&all, &[leader]);
                }
            }
            Fault::Ring => {
                for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to))) {
                    let distance = (from + count - to) % count;
                    world.network.cut[from][to] = distance > 1 && distance < count - 1;
                }
            }
            Fault::OneWay => {
                let other = world.random.pick(&all).expect("there is a server");
                world.network.cut_paths(&[one], &[other]);
            }
            Fault::Heal => heal(world),
            Fault::Break => world.break_stream(),
            Fault::SlowDisk => world.nodes[one].disk_max_ms = world.random.between(0, 300),
            Fault::Snapshot => world.own_snapshot(one),
        }
        let pause = world.random.between(1, self.pause_max_ms);
        world.after(pause, Event::Fault);
    }

    fn crash(&self, node: usize, world: &mut World) {
        let clean = world.random.chance(70);
        world.crash(node, clean);
        self.restart_later(node, world);
    }

    fn restart_later(&self, node: usize, world: &mut World) {
        let pause = world.random.between(1, 800);
        world.after(pause, Event::Restart { node });
    }
}

/// Every path works again; who could not talk says its last word again.
pub fn heal(world: &mut World) {
    world.network.heal();
    let count = world.nodes.len();
    for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))).filter(|(from, to)| from != to) {
        world.repeat_mail(from, to);
    }
}
