//! What a member's `zoo.cfg` says that Paddock does not serve.

use std::path::Path;

use super::finding::{Level, Report};
use super::membership::Membership;
use crate::config::{self, Examined, Notice, Problem, Reason};

const ABOUT: &str = "zoo.cfg";
/// Settings whose clients lose something on the day of the move, unlike those that only lose a comfort.
const STOPS: [(&str, &str); 2] = [("secureClientPort", ""), ("localSessionsEnabled", "true")];

/// Reads the file as the server would, and judges what it says about it. `environment` holds the variables of the process.
pub fn judge(file: &Path, environment: &[(String, String)], membership: Option<&Membership>, report: &mut Report) {
    match config::examine(file, environment) {
        Ok(examined) => judge_examined(&examined, membership, report),
        Err(error) => report.add(Level::Stop, ABOUT, error.to_string()),
    }
}

fn judge_examined(examined: &Examined, membership: Option<&Membership>, report: &mut Report) {
    for problem in &examined.problems {
        report.add(if is_local(problem) { Level::Caution } else { Level::Stop }, ABOUT, problem.to_string());
    }
    for notice in &examined.notices {
        report.add(level(notice, examined), ABOUT, notice.to_string());
    }
    if let Some(membership) = membership.filter(|membership| membership.members.servers != examined.members.servers) {
        let texts = [&examined.members, &membership.members].map(|members| members.text(0).replace('\n', " "));
        report.add(Level::Caution, ABOUT, format!("names other members than /zookeeper/config: {} against {}", texts[0], texts[1]));
    }
    if examined.problems.is_empty() && examined.notices.is_empty() {
        report.add(Level::Good, ABOUT, "every setting has its effect in Paddock");
    }
}

/// Whether a problem is one of this machine and not of the file: the check may run anywhere.
fn is_local(problem: &Problem) -> bool {
    matches!(problem.reason, Reason::MyIdUnreadable { .. })
}

fn level(notice: &Notice, examined: &Examined) -> Level {
    let value = examined.values.get(&notice.key).map_or("", String::as_str);
    let is_stop = STOPS.iter().any(|(key, on)| notice.key == *key && (on.is_empty() || value.eq_ignore_ascii_case(on)));
    match notice.level {
        _ if is_stop => Level::Stop,
        // What is switched off is not missed.
        _ if value.eq_ignore_ascii_case("false") => Level::Fact,
        config::Level::Warn => Level::Caution,
        config::Level::Info | config::Level::Debug => Level::Fact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "dataDir=/nowhere\nclientPort=2181\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";

    fn judged(more: &str, membership: Option<&str>) -> Report {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zoo.cfg");
        std::fs::write(&file, format!("{FILE}{more}")).expect("writable");
        let mut report = Report::default();
        judge(&file, &[], membership.and_then(Membership::parse).as_ref(), &mut report);
        report
    }

    #[test]
    fn what_costs_clients_stops_it_and_the_rest_is_told() {
        let report =
            judged("nio.numWorkerThreads=3\nsecureClientPort=2281\naudit.enable=true\nadmin.enableServer=false\n", None).to_string();
        for (word, part) in [
            ("fact", "nio.numWorkerThreads"),
            ("fact", "admin.enableServer"),
            ("stop", "secureClientPort"),
            ("care", "audit.enable"),
            ("care", "myid"),
        ] {
            let is_told = report.lines().any(|line| line.starts_with(word) && line.contains(part));
            assert!(is_told, "{word} {part} in {report}");
        }
        assert!(!judged("sslQuorum=true\n", None).is_go());
    }

    #[test]
    fn local_sessions_count_when_they_are_on() {
        assert!(judged("localSessionsEnabled=false\n", None).is_go());
        let is_served = config::remark("localSessionsEnabled", "true").is_none();
        assert_eq!(judged("localSessionsEnabled=true\n", None).is_go(), is_served);
    }

    #[test]
    fn other_members_than_the_ensembles_are_told() {
        let same = judged("", Some("server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=0"));
        assert!(!same.to_string().contains("names other members"), "{same}");
        let other = judged("", Some("server.1=a:1:2:participant\nversion=0"));
        assert!(other.to_string().contains("care  zoo.cfg: names other members"), "{other}");
        let mut report = Report::default();
        judge(Path::new("/nowhere/zoo.cfg"), &[], None, &mut report);
        assert!(!report.is_go());
    }
}
