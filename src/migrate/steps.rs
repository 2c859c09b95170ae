//! What to do next, and how to go back: one member at a time, observers first, the leader last.

use super::args::{Plan, Target};
use super::check::is;
use super::member::Member;
use super::survey::Survey;

/// The first step, after everything was found sound.
#[must_use]
pub fn first(survey: &Survey, plan: &Plan) -> Vec<String> {
    let order = order(survey, plan.target);
    if order.is_empty() {
        return vec![done(plan.target)];
    }
    let names: Vec<String> = order.iter().map(|member| member.name()).collect();
    let mut lines = vec![format!("copy each member's data directories away first; the order is {}", names.join(", then "))];
    lines.extend(next(survey, plan));
    lines
}

/// The step after this one.
#[must_use]
pub fn next(survey: &Survey, plan: &Plan) -> Vec<String> {
    match order(survey, plan.target).first() {
        None => vec![done(plan.target)],
        Some(member) => replace(member, plan, plan.target),
    }
}

/// The way back from the step that made this member what it is.
#[must_use]
pub fn back(member: &Member, plan: &Plan) -> Vec<String> {
    let origin = match plan.target {
        Target::Paddock => Target::Java,
        Target::Java => Target::Paddock,
    };
    replace(member, plan, origin)
}

fn done(target: Target) -> String {
    match target {
        Target::Paddock => "nothing: every member is Paddock; going back stays possible, member by member, with --to java".to_owned(),
        Target::Java => "nothing: every member is Java".to_owned(),
    }
}

/// The members that are still to be replaced, in the order in which that is done.
fn order(survey: &Survey, target: Target) -> Vec<&Member> {
    let mut left: Vec<&Member> = survey.members.iter().filter(|member| !is(member, target)).collect();
    left.sort_by_key(|member| match member.mode() {
        Some("observer") => 0,
        Some("leader" | "standalone") => 2,
        _ => 1,
    });
    left
}

/// The commands that make a member something else.
fn replace(member: &Member, plan: &Plan, target: Target) -> Vec<String> {
    let (name, Plan { servers, config, .. }) = (member.name(), plan);
    let (stop, start, option) = match target {
        Target::Paddock => ("zkServer.sh stop", format!("paddock server {config}"), ""),
        Target::Java => ("stop the paddock process with SIGTERM", format!("zkServer.sh start {config}"), " --to java"),
    };
    let id = member.id.map_or_else(|| member.address.clone(), |id| id.to_string());
    let role = member.mode().unwrap_or("role unknown");
    vec![
        format!("on {name}, {role}: {stop}"),
        format!("on {name}: {start}    as the same user, with the same files"),
        format!("paddock migrate verify {servers} --member {id}{option}"),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixtures;
    use super::*;

    fn plan(target: Target) -> Plan {
        Plan { hosts: Vec::new(), servers: "zk1,zk2,zk3".to_owned(), config: "/c".to_owned(), target, patience: Duration::ZERO }
    }

    #[test]
    fn followers_go_first_and_the_leader_last() {
        let mut survey = fixtures::survey();
        let lines = first(&survey, &plan(Target::Paddock));
        assert!(lines[0].ends_with("the order is server 1 (zk1:2181), then server 3 (zk3:2181), then server 2 (zk2:2181)"), "{lines:?}");
        assert_eq!(lines[1..], replace(&survey.members[0], &plan(Target::Paddock), Target::Paddock));
        fixtures::status(&mut survey.members[2]).mode = "observer".to_owned();
        assert!(next(&survey, &plan(Target::Paddock))[0].starts_with("on server 3"));
        for index in [0, 2] {
            fixtures::replace(&mut survey.members[index]);
        }
        assert_eq!(next(&survey, &plan(Target::Paddock))[0], "on server 2 (zk2:2181), leader: zkServer.sh stop");
        fixtures::replace(&mut survey.members[1]);
        assert!(next(&survey, &plan(Target::Paddock))[0].starts_with("nothing"));
        assert!(first(&survey, &plan(Target::Paddock))[0].starts_with("nothing"));
    }

    #[test]
    fn the_way_back_is_the_other_server_on_the_same_files() {
        let survey = fixtures::survey();
        let lines = back(&survey.members[0], &plan(Target::Paddock));
        assert_eq!(lines[1], "on server 1 (zk1:2181): zkServer.sh start /c    as the same user, with the same files");
        assert_eq!(lines[2], "paddock migrate verify zk1,zk2,zk3 --member 1 --to java");
        assert_eq!(back(&survey.members[0], &plan(Target::Java))[2], "paddock migrate verify zk1,zk2,zk3 --member 1");
    }
}
