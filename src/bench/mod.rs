//! `paddock bench`: puts load on any ensemble that speaks the client protocol and measures how it answers.
//!
//! One thread drives all connections (`fleet`, `link`); what they send is decided by a load: `stream` for the steady workloads,
//! `fanout` for watches, `storm` for sessions. The rest is arguments, names, schedule, counts and reports. It is a client like any
//! other: it uses `client` and the records of `proto`, and nothing of the server.

mod args;
mod control;
mod error;
mod fanout;
mod fleet;
mod interrupt;
mod layout;
mod link;
mod meter;
mod outcome;
mod pace;
mod prepare;
mod report;
mod silence;
mod spread;
mod storm;
mod stream;
mod tally;
mod usage;
mod window;
mod workload;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use args::Arguments;
use args::Plan;
use error::BenchError;
use layout::Layout;
use outcome::Outcome;
use workload::Workload;

use crate::client::servers::Servers;

/// Wrong arguments.
const INVALID_INVOCATION: u8 = 2;
/// Files that are open besides the connections.
const FILES_BESIDES: u64 = 64;

/// Runs what the arguments say and prints the result; errors go to standard error.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match run_all(arguments) {
        Ok(is_sound) if is_sound => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("paddock: {error}");
            if matches!(error, BenchError::Argument { .. } | BenchError::Servers(_)) {
                ExitCode::from(INVALID_INVOCATION)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Gives whether there is a result without disorder.
fn run_all(arguments: &Arguments) -> Result<bool, BenchError> {
    let plan = Plan::new(arguments, arguments.progress || io::stderr().is_terminal())?;
    let servers = Servers::resolve(&arguments.servers)?;
    let other = arguments.compare.as_deref().map(Servers::resolve).transpose()?;
    allow_files(plan.connections as u64 + FILES_BESIDES)?;
    interrupt::watch().map_err(error::system("signal handlers"))?;
    let Some(other) = other else {
        let outcome = run_once(&servers, &plan)?;
        if arguments.json {
            println!("{:#}", report::to_json(&plan, &servers.text, &outcome));
        } else {
            print!("{}\n{}", report::headline(&plan, &servers.text), report::table(&outcome));
        }
        return Ok(is_sound(&outcome));
    };
    let targets = [&servers, &other];
    let (outcomes, rounds) = run_in_turns(targets, &plan, arguments.rounds)?;
    let (names, outcomes) = (targets.map(|target| target.text.as_str()), [&outcomes[0], &outcomes[1]]);
    if arguments.json {
        println!("{:#}", report::compare_json(&plan, names, outcomes, rounds));
    } else {
        print!("{}\n{}", report::headline(&plan, "two targets in turns"), report::compare_table(names, outcomes, rounds));
    }
    Ok(outcomes.into_iter().all(is_sound))
}

fn is_sound(outcome: &Outcome) -> bool {
    outcome.tally.disorder == 0 && outcome.tally.operations() > 0
}

/// A, B, A, B and so on; after an interrupt, as many rounds as both have had.
fn run_in_turns(targets: [&Servers; 2], plan: &Plan, rounds: u32) -> Result<([Outcome; 2], u32), BenchError> {
    let mut sums = [Outcome::default(), Outcome::default()];
    for round in 1..=rounds {
        let mut pair = Vec::new();
        for (name, target) in ["A", "B"].iter().zip(targets) {
            if plan.progress {
                eprintln!("round {round} of {rounds}, {name}: {}", target.text);
            }
            match run_once(target, plan) {
                Err(BenchError::Interrupted) if round > 1 => return Ok((sums, round - 1)),
                outcome => pair.push(outcome?),
            }
            if interrupt::requested() && round > 1 {
                return Ok((sums, round - 1));
            }
        }
        for (sum, outcome) in sums.iter_mut().zip(&pair) {
            sum.merge(outcome);
        }
    }
    Ok((sums, rounds))
}

/// Makes the znodes, puts the load on, and removes the znodes whatever came of it.
fn run_once(servers: &Servers, plan: &Plan) -> Result<Outcome, BenchError> {
    if plan.workload == Workload::Sessions {
        control::Control::connect(servers, plan)?.close();
        return started(storm::run(servers, plan)?);
    }
    let layout = Layout::new(&servers.chroot, plan);
    let made = prepare::make(servers, plan, &layout);
    let is_anything_made = !matches!(
        made,
        Err(BenchError::CannotConnect { .. } | BenchError::NotServing { .. } | BenchError::Protocol { .. } | BenchError::Refused { .. })
    );
    let outcome = made.and_then(|()| match plan.workload {
        Workload::Watch => fanout::run(servers, plan, &layout),
        _ => stream::run(servers, plan, &layout),
    });
    let removed = if is_anything_made { prepare::remove(servers, plan, &layout.root) } else { Ok(()) };
    if let Err(error) = removed {
        eprintln!("paddock: {} is left behind: {error}", layout.root);
    }
    started(outcome?)
}

fn started(outcome: Outcome) -> Result<Outcome, BenchError> {
    if outcome.used.is_none() && interrupt::requested() { Err(BenchError::Interrupted) } else { Ok(outcome) }
}

/// Raises this process's limit on open files as far as needed and allowed.
fn allow_files(needed: u64) -> Result<(), BenchError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit { current: limit.maximum.map_or(Some(needed), |maximum| Some(maximum.min(needed))), maximum: limit.maximum };
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(BenchError::Argument {
            what: "--connections".to_owned(),
            why: format!("{needed} open files are needed and the limit is {}: see ulimit -n", limit.maximum.unwrap_or(0)),
        });
    }
    setrlimit(Resource::Nofile, raised).map_err(|error| error::system("raising the limit on open files")(error.into()))
}
