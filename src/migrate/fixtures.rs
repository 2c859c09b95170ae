//! Three servers as they show themselves, for the tests of the judges.

use super::facts::Status;
use super::member::Member;
use super::membership::Membership;
use super::release::Kind;
use super::survey::{Lag, Pace, Survey};
use super::words::Answer;
use crate::ids::Zxid;

const MEMBERS: &str =
    "server.1=zk1:2888:3888:participant\nserver.2=zk2:2888:3888:participant\nserver.3=zk3:2888:3888:participant\nversion=0";

/// A Java 3.9.6 server with this id and mode that allows every word.
pub fn member(id: i64, mode: &str) -> Member {
    let mut member = Member::new(format!("zk{id}:2181"));
    let srvr = format!(
        "Zookeeper version: 3.9.6-ab, built on 2026-09-03 19:29 UTC\nConnections: 3\nZxid: 0x100000100\nMode: {mode}\nNode count: 9\n"
    );
    let mntr = "zk_synced_followers\t2\nzk_pending_syncs\t0\nzk_approximate_data_size\t2000000\nzk_global_sessions\t7\n\
                zk_local_sessions\t0\nzk_watch_count\t5\nzk_digest_mismatches_count\t0\n";
    let conf = format!(
        "clientPort=2181\nsecureClientPort=-1\ndataDir=/data/version-2\ndataLogDir=/data/version-2\ndataDirSize=1000\n\
         dataLogSize=67109498\ntickTime=2000\nserverId={id}\ninitLimit=10\nsyncLimit=5\nmembership: \n{MEMBERS}"
    );
    for (word, text) in [
        ("srvr", srvr.as_str()),
        ("ruok", "imok"),
        ("mntr", mntr),
        ("conf", &conf),
        ("envi", "Environment:\nuser.name=zookeeper\n"),
        ("hash", "100000080: 5\n100000100: 6\n"),
    ] {
        member.take(word, Answer::Text(text.to_owned()));
    }
    member
}

/// Servers 1 to 3 of Java, of which server 2 leads and the others follow in step.
pub fn survey() -> Survey {
    let members = vec![member(1, "follower"), member(2, "leader"), member(3, "follower")];
    let pace = Pace { leader: 1, zxid: Zxid(0x1_0000_0100), lags: vec![Lag::None, Lag::None, Lag::None] };
    Survey {
        members,
        membership: Membership::parse(MEMBERS),
        config_problem: None,
        acl_schemes: ["world".to_owned()].into(),
        pace: Some(pace),
        twins: None,
    }
}

/// Makes it a Paddock server.
pub fn replace(member: &mut Member) {
    status(member).version = "3.9.6-paddock-0.1.0, built on 2026-11-24 00:00 UTC".to_owned();
    assert!(matches!(member.kind(), Kind::Paddock(_)));
}

/// Its status, to be changed.
pub fn status(member: &mut Member) -> &mut Status {
    member.status.as_mut().expect("it has answered srvr")
}
