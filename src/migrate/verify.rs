//! `paddock migrate verify`: whether a member that was just replaced is whole.

use super::args::Target;
use super::check::{describe, is};
use super::finding::{Level, Report};
use super::health;
use super::release::Kind;
use super::survey::{Survey, Trial};

/// Judges the member with this index, and the ensemble around it.
pub fn judge(survey: &Survey, index: usize, trial: &Trial, target: Target, report: &mut Report) {
    let member = &survey.members[index];
    let name = member.name();
    describe(member, report);
    if member.serves() {
        match member.kind() {
            Kind::Unknown(_) => report.add(Level::Caution, &name, format!("is {}: whether it was replaced cannot be seen", member.kind())),
            kind => report.expect(is(member, target), Level::Stop, &name, format!("runs {kind}")),
        }
    }
    match &trial.problem {
        None => report.add(Level::Good, &name, "opened a session, synced it, read, and closed it"),
        Some(problem) => report.add(Level::Stop, &name, format!("does not serve a client: {problem}")),
    }
    if let Some(twins) = survey.twins {
        let text = format!("has {} znodes at zxid {}, the leader has {}", twins.member_nodes, twins.zxid, twins.leader_nodes);
        report.expect(twins.member_nodes == twins.leader_nodes, Level::Stop, &name, text);
    }
    if let Some(count) = member.number("num_alive_connections").filter(|count| *count > 0) {
        report.add(Level::Fact, &name, format!("{count} clients are connected, this command among them"));
    }
    health::judge(survey, report);
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::super::survey::Twins;
    use super::*;
    use crate::ids::Zxid;

    fn judged(survey: &Survey, problem: Option<&str>, target: Target) -> Report {
        let mut report = Report::default();
        judge(survey, 0, &Trial { problem: problem.map(str::to_owned) }, target, &mut report);
        report
    }

    #[test]
    fn a_member_that_was_replaced_is_whole() {
        let mut survey = fixtures::survey();
        assert!(judged(&survey, None, Target::Paddock).to_string().contains("stop  server 1 (zk1:2181): runs Java 3.9.6\n"));
        assert!(judged(&survey, None, Target::Java).is_go());
        fixtures::replace(&mut survey.members[0]);
        let report = judged(&survey, None, Target::Paddock);
        assert!(report.to_string().ends_with("\ngo\n"), "{report}");
        assert!(!judged(&survey, None, Target::Java).is_go());
        let report = judged(&survey, Some("it gave no session"), Target::Paddock);
        assert!(report.to_string().contains("stop  server 1 (zk1:2181): does not serve a client: it gave no session\n"), "{report}");
    }

    #[test]
    fn trees_of_different_size_stop_it() {
        let mut survey = fixtures::survey();
        survey.twins = Some(Twins { zxid: Zxid(7), leader_nodes: 9, member_nodes: 8 });
        let report = judged(&survey, None, Target::Java);
        assert!(report.to_string().contains("stop  server 1 (zk1:2181): has 8 znodes at zxid 0x7, the leader has 9\n"), "{report}");
    }
}
