//! `paddock migrate`: looks at a running ensemble before and after each of its members is replaced, and says whether to go on.
//!
//! `survey` asks the servers, as any client may. `check`, `verify` and what they share (`health`, `settings`) judge what was said; they are
//! pure, as is all that reads answers (`facts`, `release`, `membership`). Whatever a server answers is taken for hostile: every read has an
//! end in time and in bytes, and what is printed of it is cleaned first.

mod args;
mod check;
mod dial;
mod facts;
mod finding;
mod health;
mod member;
mod membership;
mod release;
mod session;
mod settings;
mod steps;
mod survey;
mod verify;
mod words;

#[cfg(test)]
mod fixtures;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

pub use args::Arguments;
use args::{Action, Common, Plan};
use finding::{Level, Report};
use member::Member;

/// Wrong arguments.
const INVALID_INVOCATION: u8 = 2;
/// Between two looks at an ensemble that is not whole yet.
const PAUSE: Duration = Duration::from_millis(250);

/// Looks, judges and prints; exit code 0 says go, 1 not now, 2 wrong arguments.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let common = arguments.action.common();
    let report = match Plan::new(common) {
        Ok(plan) => match &arguments.action {
            Action::Check(_) => Ok(check_all(&plan, common)),
            Action::Verify { member, .. } => verify_one(&plan, common, member),
        },
        Err(why) => Err(why),
    };
    match report {
        Ok(report) => {
            if common.json {
                println!("{:#}", report.to_json());
            } else {
                print!("{report}");
            }
            if report.is_go() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("paddock: {why}");
            ExitCode::from(INVALID_INVOCATION)
        }
    }
}

fn check_all(plan: &Plan, common: &Common) -> Report {
    let survey = survey::take(&plan.hosts, plan.patience);
    let mut report = Report::default();
    check::judge(&survey, plan.target, &mut report);
    if let Some(file) = &common.config {
        settings::judge(file, &environment(), survey.membership.as_ref(), &mut report);
    }
    if report.is_go() {
        report.next = steps::first(&survey, plan);
    }
    report
}

/// A server that was just started needs a while, and so does an ensemble whose leader was stopped: looks again until all is well, or until
/// `--patience` is over.
fn verify_one(plan: &Plan, common: &Common, name: &str) -> Result<Report, String> {
    let deadline = Instant::now() + plan.patience;
    loop {
        let report = look_at(plan, common, name, deadline.saturating_duration_since(Instant::now()))?;
        if report.is_go() || Instant::now() >= deadline {
            return Ok(report);
        }
        thread::sleep(PAUSE);
    }
}

fn look_at(plan: &Plan, common: &Common, name: &str, patience: Duration) -> Result<Report, String> {
    let mut survey = survey::take(&plan.hosts, patience);
    let mut report = Report::default();
    let Some(index) = find(&survey.members, name)? else {
        health::judge(&survey, &mut report);
        report.add(Level::Stop, name, "no server that answers is this member");
        return Ok(report);
    };
    let trial = survey::try_out(&plan.hosts[index], patience);
    survey.compare(&plan.hosts, index);
    verify::judge(&survey, index, &trial, plan.target, &mut report);
    if let Some(file) = &common.config {
        settings::judge(file, &environment(), survey.membership.as_ref(), &mut report);
    }
    if report.is_go() {
        report.next = steps::next(&survey, plan);
    }
    report.back = steps::back(&survey.members[index], plan);
    Ok(report)
}

/// The member that is meant, by its id or by its address as given; `None` when it may be one that does not answer.
///
/// # Errors
/// When it can be none of them.
fn find(members: &[Member], name: &str) -> Result<Option<usize>, String> {
    let by_id = |member: &Member| member.id.is_some_and(|id| id.to_string() == name);
    let found = members.iter().position(|member| member.address == name || by_id(member));
    if found.is_some() || (name.parse::<i64>().is_ok() && members.iter().any(|member| member.id.is_none())) {
        return Ok(found);
    }
    let known: Vec<String> = members.iter().map(Member::name).collect();
    Err(format!("--member {name}: none of {} is that; give one of the addresses, or the number of a server line", known.join(", ")))
}

fn environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_by_number_and_by_address() {
        let mut members = fixtures::survey().members;
        assert_eq!((find(&members, "3"), find(&members, "zk2:2181")), (Ok(Some(2)), Ok(Some(1))));
        assert!(find(&members, "4").is_err_and(|why| why.contains("server 1 (zk1:2181), server 2 (zk2:2181)")));
        members[0].id = None;
        assert_eq!(find(&members, "1"), Ok(None));
        assert!(find(&members, "zk9:2181").is_err());
    }
}
