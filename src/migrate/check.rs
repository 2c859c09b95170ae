//! `paddock migrate check`: whether an ensemble can move.

use super::args::Target;
use super::finding::{Level, Report};
use super::health;
use super::member::Member;
use super::release::Kind;
use super::survey::Survey;
use crate::config;

const BYTES_PER_MB: i64 = 1_000_000;
/// Schemes of which a client always has an identity on both servers.
const SCHEMES_SERVED: [&str; 5] = ["world", "digest", "ip", "auth", "super"];

/// Judges the ensemble as a whole.
pub fn judge(survey: &Survey, target: Target, report: &mut Report) {
    for member in &survey.members {
        describe(member, report);
    }
    judge_releases(survey, target, report);
    health::judge(survey, report);
    describe_data(survey, report);
    judge_features(survey, target, report);
}

/// One line of what a member is, and one for each word that it does not allow.
pub fn describe(member: &Member, report: &mut Report) {
    let Some(status) = &member.status else { return };
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let zxid = status.zxid.map_or_else(|| "?".to_owned(), |zxid| zxid.to_string());
    let (connections, nodes) = (count(status.connection_count), count(status.node_count));
    let text = format!("{}, {}, zxid {zxid}, {connections} connections, {nodes} znodes", status.mode, member.kind());
    report.add(Level::Fact, &member.name(), text);
    if let Some(line) = member.missing_whitelist() {
        let text = format!("does not allow {}; this line in its zoo.cfg would: {line}", member.refused.join(", "));
        report.add(Level::Fact, &member.name(), text);
    }
    if let (Some(conf), Some(environment)) = (&member.conf, &member.environment) {
        let text = format!(
            "runs as user {} on data in {} and log in {}",
            environment.text("user.name").unwrap_or("?"),
            conf.text("dataDir").unwrap_or("?"),
            conf.text("dataLogDir").unwrap_or("?"),
        );
        report.add(Level::Fact, &member.name(), text);
    }
}

fn judge_releases(survey: &Survey, target: Target, report: &mut Report) {
    let mut seen = Vec::new();
    for kind in survey.members.iter().filter(|member| member.status.is_some()).map(Member::kind) {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    for kind in &seen {
        match kind {
            Kind::Java(release) => {
                let (level, text) = release.judge();
                report.add(level, "version", text);
            }
            Kind::Paddock(version) => report.add(Level::Fact, "version", format!("members of Paddock {version} are there already")),
            Kind::Unknown(_) => report.add(Level::Caution, "version", format!("a member is {kind}: see the releases in docs/migration.md")),
        }
    }
    if seen.iter().filter(|kind| matches!(kind, Kind::Java(_))).count() > 1 {
        report.add(Level::Caution, "version", "the Java servers are of several releases: finish that update first");
    }
    let left = survey.members.iter().filter(|member| !is(member, target)).count();
    report.add(Level::Fact, "version", format!("{left} of {} members are still to be replaced", survey.members.len()));
}

/// Whether a member is what it shall become.
#[must_use]
pub fn is(member: &Member, target: Target) -> bool {
    match target {
        Target::Paddock => matches!(member.kind(), Kind::Paddock(_)),
        Target::Java => matches!(member.kind(), Kind::Java(_)),
    }
}

fn describe_data(survey: &Survey, report: &mut Report) {
    let leader = survey.leader().or_else(|| survey.members.iter().find(|member| member.numbers.is_some()));
    let Some(leader) = leader.filter(|leader| leader.numbers.is_some()) else { return };
    let number = |name| leader.number(name).unwrap_or_default();
    let text = format!(
        "{} znodes with {} MB of names and data, {} sessions, {} watches on the leader",
        number("znode_count").max(leader.status.as_ref().and_then(|status| status.node_count).unwrap_or_default() as i64),
        number("approximate_data_size") / BYTES_PER_MB,
        number("global_sessions"),
        number("watch_count"),
    );
    report.add(Level::Fact, "data", text);
    let limit = i64::from(config::Settings::embedded_default(std::path::Path::new("data")).limits.sessions_max);
    if number("global_sessions") > limit / 2 {
        report.add(Level::Caution, "data", format!("Paddock holds {limit} sessions unless paddock.maxSessions says otherwise"));
    }
}

/// What is in use and not served on the other side.
fn judge_features(survey: &Survey, target: Target, report: &mut Report) {
    for member in &survey.members {
        judge_local_sessions(member, target, report);
    }
    if target == Target::Java {
        return;
    }
    for member in &survey.members {
        let port = member.conf.as_ref().and_then(|conf| conf.number("secureClientPort")).filter(|port| *port > 0);
        if let Some((port, remark)) = port.and_then(|port| Some((port, config::remark("secureClientPort", &port.to_string())?))) {
            report.add(Level::Stop, &member.name(), format!("secureClientPort={port} {remark}: its clients would be cut off"));
        }
    }
    for scheme in survey.acl_schemes.iter().filter(|scheme| !SCHEMES_SERVED.contains(&scheme.as_str())) {
        let text = format!("znodes near the root belong to scheme {scheme:?}: no client can get that identity from Paddock");
        report.add(Level::Stop, "acl", text);
    }
    if survey.membership.as_ref().is_some_and(|membership| membership.version != 0) {
        let text = "its members were changed at run time (reconfig): a member's file of members (dynamicConfigFile) goes with its zoo.cfg";
        report.add(Level::Caution, "ensemble", text);
    }
}

/// Sessions that only one server knows cannot be taken to another, neither in Java nor here.
fn judge_local_sessions(member: &Member, target: Target, report: &mut Report) {
    let Some(count) = member.number("local_sessions").filter(|count| *count > 0) else { return };
    match config::remark("localSessionsEnabled", "true").filter(|_| target == Target::Paddock) {
        Some(remark) => report.add(Level::Stop, &member.name(), format!("has {count} local sessions; localSessionsEnabled {remark}")),
        None => {
            let text =
                format!("has {count} local sessions: they end when it is replaced, as with every restart, and their clients open new ones");
            report.add(Level::Caution, &member.name(), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::super::words::Answer;
    use super::*;

    fn judged(survey: &Survey, target: Target) -> Report {
        let mut report = Report::default();
        judge(survey, target, &mut report);
        report
    }

    #[track_caller]
    fn assert_has(report: &Report, line: &str) {
        assert!(report.to_string().contains(line), "{line} in {report}");
    }

    #[test]
    fn a_sound_ensemble_may_move() {
        let report = judged(&fixtures::survey(), Target::Paddock);
        assert!(report.is_go(), "{report}");
        assert_has(&report, "fact  server 1 (zk1:2181): follower, Java 3.9.6, zxid 0x100000100, 3 connections, 9 znodes\n");
        assert_has(&report, "fact  server 1 (zk1:2181): runs as user zookeeper on data in /data/version-2 and log in /data/version-2\n");
        assert_has(&report, "fact  version: 3 of 3 members are still to be replaced\n");
        assert_has(&report, "fact  data: 9 znodes with 2 MB of names and data, 7 sessions, 5 watches on the leader\n");
        assert!(report.to_string().ends_with("\ngo\n"), "{report}");
    }

    #[test]
    fn words_that_are_not_allowed_are_named_with_the_line_that_would() {
        let mut survey = fixtures::survey();
        let mut member = Member::new("zk1:2181".to_owned());
        member.take("srvr", Answer::Text("Zookeeper version: 3.9.6-ab\nMode: follower\nZxid: 0x100000100\n".to_owned()));
        member.take("mntr", Answer::NotAllowed);
        member.take("conf", Answer::NotAllowed);
        member.id = survey.members[0].id;
        survey.members[0] = member;
        let report = judged(&survey, Target::Paddock);
        assert_has(
            &report,
            "does not allow mntr, conf; this line in its zoo.cfg would: 4lw.commands.whitelist=srvr,ruok,mntr,conf,envi,hash",
        );
        assert!(report.is_go(), "{report}");
    }

    #[test]
    fn releases_count_once_and_mixtures_are_told() {
        let mut survey = fixtures::survey();
        fixtures::status(&mut survey.members[0]).version = "3.9.3-x".to_owned();
        fixtures::replace(&mut survey.members[2]);
        let report = judged(&survey, Target::Paddock);
        assert_has(&report, "stop  version: Java 3.9.3 cannot be a partner");
        assert_has(&report, "care  version: the Java servers are of several releases");
        assert_has(&report, "fact  version: 2 of 3 members are still to be replaced\n");
        assert_has(&judged(&survey, Target::Java), "fact  version: 1 of 3 members are still to be replaced\n");
    }

    #[test]
    fn what_is_not_served_stops_it() {
        let mut survey = fixtures::survey();
        survey.members[0].take("conf", Answer::Text("serverId=1\nsecureClientPort=2281\n".to_owned()));
        survey.acl_schemes.insert("sasl".to_owned());
        survey.membership.as_mut().expect("known").version = 5;
        let report = judged(&survey, Target::Paddock);
        assert_has(&report, "stop  server 1 (zk1:2181): secureClientPort=2281 ");
        assert_has(&report, "stop  acl: znodes near the root belong to scheme \"sasl\"");
        assert_has(&report, "care  ensemble: its members were changed at run time");
        assert!(judged(&survey, Target::Java).is_go(), "Java serves all of it");
    }

    #[test]
    fn local_sessions_are_looked_at_as_the_configuration_is() {
        let mut survey = fixtures::survey();
        survey.members[0].take("mntr", Answer::Text("zk_local_sessions\t4\n".to_owned()));
        assert_eq!(judged(&survey, Target::Paddock).is_go(), config::remark("localSessionsEnabled", "true").is_none());
        assert_has(&judged(&survey, Target::Java), "care  server 1 (zk1:2181): has 4 local sessions: they end when it is replaced");
    }
}
