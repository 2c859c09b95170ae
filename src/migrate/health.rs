//! Whether the ensemble is whole: who belongs to it, who leads, who keeps up, and whether one member may go.

use super::finding::{Level, Report};
use super::member::Member;
use super::survey::{Lag, Pace, Survey};
use crate::ids::{ServerId, Zxid};

const ABOUT: &str = "ensemble";

/// Judges the ensemble as it is now.
pub fn judge(survey: &Survey, report: &mut Report) {
    judge_membership(survey, report);
    judge_serving(survey, report);
    judge_leader(survey, report);
    if let Some(pace) = &survey.pace {
        judge_pace(survey, pace, report);
    }
    judge_followers(survey, report);
    judge_trees(survey, report);
    judge_spare(survey, report);
}

/// Every member has to be among the addresses, since nothing is known of others.
fn judge_membership(survey: &Survey, report: &mut Report) {
    let Some(membership) = &survey.membership else {
        let why = survey.config_problem.as_deref().unwrap_or("no server answered");
        return report.add(
            Level::Caution,
            ABOUT,
            format!("/zookeeper/config could not be read ({why}): the addresses are taken for all members"),
        );
    };
    if membership.members.servers.is_empty() {
        return;
    }
    let ids: Vec<ServerId> = survey.members.iter().filter_map(|member| member.id).collect();
    let is_complete = ids.len() == survey.members.len();
    let missing: Vec<ServerId> = membership.members.servers.keys().filter(|id| !ids.contains(id)).copied().collect();
    for id in &missing {
        let level = if is_complete { Level::Stop } else { Level::Caution };
        report.add(
            level,
            ABOUT,
            format!("server {id} is a member, and none of the addresses is known to be its: give the client address of every member"),
        );
    }
    for id in ids.iter().filter(|id| !membership.members.servers.contains_key(id)) {
        report.add(Level::Stop, ABOUT, format!("server {id} is no member by /zookeeper/config: an address of another ensemble?"));
    }
    if missing.is_empty() {
        report.add(Level::Good, ABOUT, format!("all {} members were asked, {} of them vote", ids.len(), membership.voter_count()));
    }
    if membership.is_hierarchical() {
        report.add(Level::Caution, ABOUT, "groups and weights decide what a quorum is: count yourself whether one member may go");
    }
}

fn judge_serving(survey: &Survey, report: &mut Report) {
    for member in &survey.members {
        match (&member.silence, member.mode()) {
            (_, Some(_)) if member.serves() => {}
            (_, Some(mode)) => report.add(Level::Stop, &member.name(), format!("is in mode {mode:?}: it takes no writes")),
            (Some(why), None) if member.has_given_session == Some(true) => {
                report.add(Level::Caution, &member.name(), format!("gives sessions and answers no word: {why}"));
            }
            (Some(why), None) => report.add(Level::Stop, &member.name(), format!("does not answer: {why}")),
            (None, None) if member.has_given_session == Some(true) => {
                report.add(Level::Caution, &member.name(), "gives sessions, but tells neither its role nor its version");
            }
            (None, None) => report.add(Level::Stop, &member.name(), "does not serve: it has no leader, or is starting"),
        }
    }
}

fn judge_leader(survey: &Survey, report: &mut Report) {
    let leaders: Vec<String> = survey.members.iter().filter(|member| member.leads()).map(Member::name).collect();
    match leaders.as_slice() {
        [one] => report.add(Level::Good, ABOUT, format!("{one} leads")),
        [] => report.add(Level::Stop, ABOUT, "nobody says that it leads"),
        several => report.add(Level::Stop, ABOUT, format!("{} say that they lead: addresses of several ensembles?", several.join(" and "))),
    }
}

fn judge_pace(survey: &Survey, pace: &Pace, report: &mut Report) {
    for (index, (member, lag)) in survey.members.iter().zip(&pace.lags).enumerate().filter(|(_, (member, _))| member.serves()) {
        match lag {
            _ if index == pace.leader => {}
            Lag::None => report.add(Level::Good, &member.name(), format!("has all that the leader had, zxid {}", pace.zxid)),
            Lag::Behind(reached) => {
                let reached = reached.map_or_else(|| "it tells no zxid".to_owned(), |reached| format!("it is at {reached}"));
                report.add(
                    Level::Stop,
                    &member.name(),
                    format!("did not reach zxid {} of the leader in time, {reached}: see --patience", pace.zxid),
                );
            }
        }
    }
}

/// What the leader says of its followers.
fn judge_followers(survey: &Survey, report: &mut Report) {
    let Some(leader) = survey.leader().filter(|leader| leader.mode() == Some("leader")) else { return };
    let Some(synced) = leader.number("synced_followers") else {
        return report.add(Level::Fact, &leader.name(), "does not tell how many followers are in step: mntr is not allowed");
    };
    let wanted = voter_count(survey).saturating_sub(1);
    report.expect(synced == wanted as i64, Level::Stop, &leader.name(), format!("counts {synced} of {wanted} followers in step"));
}

/// What the members say of the tree at the same zxid, and their own counts of mismatches.
fn judge_trees(survey: &Survey, report: &mut Report) {
    for member in &survey.members {
        if let Some(twin) = survey.leader().filter(|leader| leader.address != member.address).and_then(|leader| Twin::of(member, leader)) {
            judge_twin(member, &twin, report);
        }
        if let Some(count) = member.number("digest_mismatches_count").filter(|count| *count != 0) {
            let others = survey.members.iter().filter(|other| other.address != member.address);
            let agrees_now = others.filter_map(|other| Twin::of(member, other)).any(|twin| twin.agrees());
            judge_mismatches(member, count, agrees_now, report);
        }
    }
}

/// The newest zxid of which two members tell the digest. Older ones do not count: a tree that differed does not come to agree by itself, but a
/// Java server that follows up a snapshot differs until it has.
struct Twin<'a> {
    zxid: Zxid,
    own: &'a str,
    other: &'a str,
}

impl<'a> Twin<'a> {
    fn of(member: &'a Member, other: &'a Member) -> Option<Self> {
        let mut common = member.digests.iter().rev().filter_map(|(zxid, own)| Some((*zxid, own, other.digests.get(zxid)?)));
        common.next().map(|(zxid, own, other)| Self { zxid, own, other })
    }

    fn agrees(&self) -> bool {
        self.own == self.other
    }
}

fn judge_twin(member: &Member, twin: &Twin<'_>, report: &mut Report) {
    let Twin { zxid, own, other } = twin;
    if twin.agrees() {
        return report.add(Level::Good, &member.name(), format!("has the leader's digest at zxid {zxid}"));
    }
    let text = format!("has another tree than the leader: digest {own} at zxid {zxid}, the leader's is {other}");
    report.add(Level::Stop, &member.name(), text);
}

/// A Java server counts mismatches while it follows up a snapshot that its leader went on writing behind, too: only digests of now tell.
fn judge_mismatches(member: &Member, count: i64, agrees_now: bool, report: &mut Report) {
    let seen = format!("has counted {count} digests that did not match");
    if agrees_now {
        return report.add(Level::Caution, &member.name(), format!("{seen}, and agrees now: Java counts them when it joins by a snapshot"));
    }
    let text = format!("{seen}, and nothing shows that it agrees now: allow the word hash on every member, and look after 128 more writes");
    report.add(Level::Stop, &member.name(), text);
}

/// A member may only be stopped if the rest is still a quorum.
fn judge_spare(survey: &Survey, report: &mut Report) {
    let voters = voter_count(survey);
    let quorum = survey.membership.as_ref().map_or(voters / 2 + 1, super::membership::Membership::quorum_size);
    let serving =
        survey.members.iter().filter(|member| is_voter(survey, member) && (member.serves() || member.has_given_session == Some(true)));
    match serving.count() {
        0 => {}
        serving if serving > quorum => {
            report.add(Level::Good, ABOUT, format!("{serving} of {voters} voters serve and {quorum} are a quorum: one may go"));
        }
        serving if serving == voters => {
            report.add(Level::Caution, ABOUT, format!("all {voters} voters are needed: nobody is served while one is replaced"));
        }
        serving => {
            report.add(
                Level::Stop,
                ABOUT,
                format!("{serving} of {voters} voters serve and {quorum} are a quorum: bring the others back first"),
            );
        }
    }
}

fn voter_count(survey: &Survey) -> usize {
    let listed = survey.membership.as_ref().map(super::membership::Membership::voter_count);
    listed.unwrap_or_else(|| survey.members.iter().filter(|member| member.mode() != Some("observer")).count())
}

fn is_voter(survey: &Survey, member: &Member) -> bool {
    match (&survey.membership, member.id) {
        (Some(membership), Some(id)) => membership.is_voter(id),
        _ => member.mode() != Some("observer"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use crate::migrate::membership::Membership;

    fn stops(survey: &Survey) -> Vec<String> {
        let mut report = Report::default();
        judge(survey, &mut report);
        let stops = report.findings.into_iter().filter(|finding| finding.level == Level::Stop);
        stops.map(|finding| format!("{}: {}", finding.about, finding.text)).collect()
    }

    #[track_caller]
    fn assert_stops(survey: &Survey, parts: &[&str]) {
        let stops = stops(survey);
        assert_eq!(stops.len(), parts.len(), "{stops:#?}");
        for (stop, part) in stops.iter().zip(parts) {
            assert!(stop.contains(part), "{stop}");
        }
    }

    #[test]
    fn a_whole_ensemble_may_lose_one() {
        let mut report = Report::default();
        judge(&fixtures::survey(), &mut report);
        assert!(report.findings.iter().all(|finding| finding.level == Level::Good), "{report}");
        let text = report.to_string();
        for line in [
            "ok    ensemble: all 3 members were asked, 3 of them vote\n",
            "ok    ensemble: server 2 (zk2:2181) leads\n",
            "ok    server 1 (zk1:2181): has all that the leader had, zxid 0x100000100\n",
            "ok    server 2 (zk2:2181): counts 2 of 2 followers in step\n",
            "ok    server 3 (zk3:2181): has the leader's digest at zxid 0x100000100\n",
            "ok    ensemble: 3 of 3 voters serve and 2 are a quorum: one may go\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_member_that_is_down_leaves_no_spare() {
        let mut survey = fixtures::survey();
        let id = survey.members[2].id;
        survey.members[2] = Member { address: "zk3:2181".to_owned(), id, silence: Some("refused".to_owned()), ..Member::default() };
        assert_stops(&survey, &["server 3 (zk3:2181): does not answer: refused", "bring the others back first"]);
    }

    #[test]
    fn a_member_that_was_not_named_is_missed() {
        let mut survey = fixtures::survey();
        survey.members.pop();
        assert_stops(&survey, &["server 3 is a member", "2 of 3 voters serve"]);
        survey.members[0].id = Some(ServerId(7));
        assert_stops(&survey, &["server 1 is a member", "server 3 is a member", "server 7 is no member", "1 of 3 voters serve"]);
    }

    #[test]
    fn there_is_one_leader() {
        let mut survey = fixtures::survey();
        fixtures::status(&mut survey.members[1]).mode = "follower".to_owned();
        assert_stops(&survey, &["nobody says that it leads"]);
        for member in &mut survey.members[..2] {
            fixtures::status(member).mode = "leader".to_owned();
        }
        assert!(stops(&survey)[0].contains("server 1 (zk1:2181) and server 2 (zk2:2181) say that they lead"));
    }

    #[test]
    fn who_is_behind_stops_it() {
        let mut survey = fixtures::survey();
        survey.pace.as_mut().expect("there is a leader").lags[0] = Lag::Behind(Some(Zxid(0x1_0000_0001)));
        assert_stops(&survey, &["server 1 (zk1:2181): did not reach zxid 0x100000100 of the leader in time, it is at 0x100000001"]);
    }

    #[test]
    fn trees_that_differ_stop_it() {
        let mut survey = fixtures::survey();
        survey.members[0].digests.insert(Zxid(0x1_0000_0080), "6".to_owned());
        assert_stops(&survey, &[]);
        survey.members[0].digests.insert(Zxid(0x1_0000_0100), "7".to_owned());
        assert_stops(&survey, &["server 1 (zk1:2181): has another tree than the leader: digest 7 at zxid 0x100000100, the leader's is 6"]);
        survey.members[0].digests.clear();
        assert_stops(&survey, &[]);
        survey.members[0].take("mntr", crate::migrate::words::Answer::Text("zk_digest_mismatches_count\t3\n".to_owned()));
        assert_stops(&survey, &["has counted 3 digests that did not match, and nothing shows that it agrees now"]);
        survey.members[0].digests = survey.members[1].digests.clone();
        assert_stops(&survey, &[]);
    }

    #[test]
    fn two_voters_and_one_server_are_served_with_a_gap() {
        let mut survey = fixtures::survey();
        survey.members.pop();
        survey.membership = Membership::parse("server.1=a:1:2\nserver.2=b:1:2\n");
        survey.members[1].take("mntr", crate::migrate::words::Answer::Text("zk_synced_followers\t1\n".to_owned()));
        let mut report = Report::default();
        judge(&survey, &mut report);
        assert!(report.is_go() && report.to_string().contains("all 2 voters are needed"), "{report}");
        let alone = Survey { members: vec![fixtures::member(0, "standalone")], ..Survey::default() };
        let mut report = Report::default();
        judge(&alone, &mut report);
        assert!(report.is_go() && report.to_string().contains("all 1 voters are needed"), "{report}");
    }

    #[test]
    fn a_silent_whitelist_leaves_what_sessions_show() {
        let mut survey = fixtures::survey();
        survey.members[0].status = None;
        survey.members[0].has_given_session = Some(true);
        survey.members[1].numbers = None;
        assert_stops(&survey, &[]);
        survey.members[0].has_given_session = Some(false);
        assert_stops(&survey, &["server 1 (zk1:2181): does not serve", "2 of 3 voters serve"]);
    }
}
