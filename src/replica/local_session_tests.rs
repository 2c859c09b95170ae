//! What clients see of sessions that only their server knows, and of those that become sessions of the ensemble.

use jute::Encode;

use super::ensemble_tests::{create, delete, one_of_two_falls_silent, sync};
use super::pump::{Pump, TICK_MS, Told, connection};
use super::{Input, LocalSessions};
use crate::ids::SessionId;
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::records::client::{MultiHeader, SetDataRequest};
use crate::zab;

const LONG_MS: i32 = 100 * TICK_MS as i32;

fn set_data(path: &str) -> Vec<u8> {
    SetDataRequest { path: Some(path.into()), data: None, version: -1 }.to_vec()
}

/// A multi of creates, each with its flags.
fn creates(ops: &[(&str, i32)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (path, flags) in ops {
        MultiHeader { type_: OpCode::CREATE.0, done: false, err: -1 }.encode(&mut body);
        body.extend(create(path, *flags));
    }
    MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut body);
    body
}

/// How many sessions a server knows: of the ensemble, and its own.
fn counts(pump: &Pump, index: usize) -> (usize, usize) {
    let replica = &pump.nodes[index].replica;
    (replica.sessions().len(), replica.local_sessions().expect("they are on").len())
}

fn is_global(pump: &Pump, session: SessionId) -> Vec<bool> {
    pump.nodes.iter().map(|node| node.replica.sessions().iter().any(|(id, _)| id == session)).collect()
}

fn is_open(pump: &Pump, index: usize, slot: u32) -> bool {
    let outside = &pump.nodes[index].outside;
    outside.open.contains_key(&connection(slot)) && !outside.closed.contains(&connection(slot))
}

fn was_refused(pump: &Pump, index: usize, slot: u32) -> bool {
    pump.nodes[index].outside.refused.contains(&connection(slot))
}

#[test]
fn a_local_session_writes_on_every_member_without_a_txn_of_its_own() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Kept, 3, 1);
    for index in 0..4 {
        let before = pump.nodes[index].shared.tree.read().last_zxid();
        let session = pump.open(index, 1, 4000);
        assert_eq!(session.id().0 >> 56, index as i64 + 1);
        assert_eq!(pump.nodes[index].shared.tree.read().last_zxid(), before, "it was opened without a txn");
        pump.request(index, 1, 1, OpCode::CREATE, create(&format!("/{index}"), 0));
        pump.request(index, 1, 2, OpCode::SYNC, sync("/"));
        pump.request(index, 1, 3, OpCode::CREATE, vec![0]);
        pump.request(index, 1, 4, OpCode::DELETE, delete("/missing"));
        let told = [
            Told::Done(1),
            Told::Synced(2, Some("/".to_owned())),
            Told::Failed(3, ErrorCode::MARSHALLING_ERROR),
            Told::Failed(4, ErrorCode::NO_NODE),
        ];
        assert_eq!(pump.told(index, 1), told, "server index {index}");
        assert_eq!((pump.has(&format!("/{index}")), counts(&pump, index)), (vec![true; 4], (0, 1)));
        let before = pump.nodes[index].shared.tree.read().last_zxid();
        pump.request(index, 1, 5, OpCode::CLOSE_SESSION, vec![]);
        assert_eq!((pump.told(index, 1).last(), counts(&pump, index)), (Some(&Told::Done(5)), (0, 0)));
        assert_eq!(pump.nodes[index].shared.tree.read().last_zxid(), before, "it was closed without a txn");
    }
    pump.agree();
}

/// A Java leader says so of a multi too; see `local_sessions::refused` for what a Java follower says.
#[test]
fn a_session_that_stays_local_owns_no_ephemerals() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Kept, 3, 1);
    for index in 0..4 {
        pump.open(index, 1, 4000);
        let refusal = |xid| Told::Failed(xid, ErrorCode::EPHEMERAL_ON_LOCAL_SESSION);
        pump.request(index, 1, 1, OpCode::CREATE, create("/e", 1));
        pump.request(index, 1, 2, OpCode::CREATE2, create("/missing/e", 3));
        pump.request(index, 1, 3, OpCode::MULTI, creates(&[("/p", 0), ("/e", 1), ("/q", 0)]));
        pump.request(index, 1, 4, OpCode::CREATE, create(&format!("/{index}"), 0));
        assert_eq!(pump.told(index, 1), [refusal(1), refusal(2), Told::Done(3), Told::Done(4)], "server index {index}");
        let failed = [ErrorCode::OK, ErrorCode::EPHEMERAL_ON_LOCAL_SESSION, ErrorCode::RUNTIME_INCONSISTENCY];
        assert_eq!(pump.nodes[index].outside.failed_parts, failed, "server index {index}");
        assert_eq!((pump.has("/e"), pump.has("/p"), counts(&pump, index)), (vec![false; 4], vec![false; 4], (0, 1)));
    }
    pump.agree();
}

#[test]
fn an_ephemeral_makes_a_session_one_of_the_ensemble() {
    for by_multi in [false, true] {
        let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 1);
        for index in 0..4 {
            let (slot, path, other) = (index as u32, format!("/e{index}"), (index + 1) % 4);
            let session = pump.open(index, slot, LONG_MS);
            pump.acks_wait = true;
            pump.request(index, slot, 1, OpCode::CREATE, create(&format!("/{index}"), 0));
            let (op, body) = if by_multi {
                (OpCode::MULTI, creates(&[(&format!("/p{index}"), 0), (&path, 1)]))
            } else {
                (OpCode::CREATE, create(&path, 1))
            };
            pump.request(index, slot, 2, op, body);
            pump.request(index, slot, 3, OpCode::SET_DATA, set_data(&path));
            assert_eq!(pump.told(index, slot), [], "nothing is decided");
            pump.release();
            assert_eq!(pump.told(index, slot), [Told::Done(1), Told::Done(2), Told::Done(3)], "server index {index}");
            assert_eq!((pump.has(&path), is_global(&pump, session.id())), (vec![true; 4], vec![true; 4]));
            assert_eq!(counts(&pump, index).1, 0);
            pump.resume(other, 10 + slot, session.id(), LONG_MS);
            assert!(is_open(&pump, other, 10 + slot), "it is known everywhere");
            pump.request(other, 10 + slot, 4, OpCode::CLOSE_SESSION, vec![]);
            assert_eq!((pump.told(other, 10 + slot), pump.has(&path)), ([Told::Done(4)].as_slice(), vec![false; 4]));
        }
        pump.agree();
    }
}

/// Java upgrades before anything else is looked at.
#[test]
fn a_create_that_fails_upgrades_too_and_only_the_first_does() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    for index in 0..3 {
        let session = pump.open(index, 1, LONG_MS);
        pump.request(index, 1, 1, OpCode::CREATE, create("/missing/e", 1));
        assert_eq!(pump.told(index, 1), [Told::Failed(1, ErrorCode::NO_NODE)]);
        assert_eq!(is_global(&pump, session.id()), [true; 3]);
        let before = pump.nodes[index].shared.tree.read().last_zxid();
        pump.request(index, 1, 2, OpCode::CREATE, create(&format!("/e{index}"), 1));
        let after = pump.nodes[index].shared.tree.read().last_zxid();
        assert_eq!((pump.told(index, 1).last(), after.0 - before.0), (Some(&Told::Done(2)), 1));
    }
}

#[test]
fn the_end_of_a_local_session_waits_for_what_it_asked_for() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    for index in 0..3 {
        let session = pump.open(index, 1, 4000);
        pump.acks_wait = true;
        pump.request(index, 1, 1, OpCode::CREATE, create(&format!("/{index}"), 0));
        let late = pump.request_of(index, 1, 3, OpCode::CREATE, create("/late", 1));
        pump.request(index, 1, 2, OpCode::CLOSE_SESSION, vec![]);
        pump.give(index, Input::Request(late));
        pump.resume(index, 2, session.id(), 4000);
        assert_eq!((pump.told(index, 1), is_open(&pump, index, 2)), ([].as_slice(), false));
        assert!(session.is_closing(), "nothing more is read of its client");
        pump.release();
        assert_eq!(pump.told(index, 1), [Told::Done(1), Told::Done(2)], "server index {index}");
        assert!(was_refused(&pump, index, 2), "it was over when its client came back");
        assert_eq!((pump.has(&format!("/{index}")), pump.has("/late"), counts(&pump, index)), (vec![true; 3], vec![false; 3], (0, 0)));
    }
}

#[test]
fn a_local_session_is_resumed_where_it_is_known_and_nowhere_else() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    for index in 0..3 {
        let base = 10 * index as u32;
        let session = pump.open(index, base, 4000);
        pump.request(index, base, 1, OpCode::CREATE, create(&format!("/{index}"), 0));
        for other in (0..3).filter(|&other| other != index) {
            pump.resume(other, base + 1, session.id(), 4000);
            assert!(was_refused(&pump, other, base + 1), "from {index} to {other}");
        }
        let (session, timeout_ms, takes_read_only) = (session.id(), 4000, false);
        let wrong = Input::ResumeSession { connection: connection(base + 2), session, password: vec![0; 16], timeout_ms, takes_read_only };
        pump.give(index, wrong);
        assert!(was_refused(&pump, index, base + 2) && pump.nodes[index].outside.closed.contains(&connection(base)));
        pump.resume(index, base + 3, session, 6000);
        assert!(is_open(&pump, index, base + 3) && pump.nodes[index].outside.open[&connection(base + 3)].timeout_ms() == 6000);
        pump.give(index, Input::Disconnected { connection: connection(base), session });
        pump.request(index, base + 3, 1, OpCode::DELETE, delete(&format!("/{index}")));
        assert_eq!((pump.told(index, base + 3), counts(&pump, index)), ([Told::Done(1)].as_slice(), (0, 1)));
    }
    pump.agree();
}

#[test]
fn local_sessions_expire_on_their_server() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    for index in 0..3 {
        let heard = pump.open(index, 1, 10 * TICK_MS as i32);
        let silent = pump.open(index, 2, 10 * TICK_MS as i32);
        let gone = pump.open(index, 3, 10 * TICK_MS as i32);
        let before = pump.nodes[index].shared.tree.read().last_zxid();
        pump.give(index, Input::Disconnected { connection: connection(3), session: gone.id() });
        for _ in 0..30 {
            heard.touch(pump.now_ms);
            pump.advance(TICK_MS);
        }
        assert_eq!(pump.nodes[index].outside.expired, [silent.id(), gone.id()]);
        assert!(is_open(&pump, index, 1) && pump.nodes[index].outside.closed.contains(&connection(2)));
        assert!(!pump.nodes[index].outside.closed.contains(&connection(3)), "it has none");
        assert_eq!((counts(&pump, index), pump.nodes[index].shared.tree.read().last_zxid()), ((0, 1), before), "without a txn");
        pump.request(index, 2, 1, OpCode::CREATE, create("/late", 1));
        pump.request(index, 2, 2, OpCode::CREATE, create("/late", 0));
        assert_eq!((pump.told(index, 2), pump.has("/late")), ([].as_slice(), vec![false; 3]));
        pump.resume(index, 4, silent.id(), 4000);
        assert!(was_refused(&pump, index, 4));
    }
}

/// From its upgrade on it is the leader who lets it expire, with a whole timeout, and who hears of it from its server.
#[test]
fn an_upgraded_session_expires_at_the_leader() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    let (leader, follower) = (pump.leader(), pump.learners()[0]);
    let silent = one_of_two_falls_silent(&mut pump, follower);
    assert_eq!(
        (&pump.nodes[leader].outside.expired[..], &pump.nodes[follower].outside.expired[..]),
        ([silent.id()].as_slice(), [].as_slice())
    );
    assert!(pump.nodes[follower].outside.closed.contains(&connection(2)));
}

#[test]
fn local_sessions_end_with_the_role_of_their_server() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    let (leader, follower) = (pump.leader(), pump.learners()[0]);
    let session = pump.open(follower, 1, LONG_MS);
    let stale = pump.request_of(follower, 1, 1, OpCode::CREATE, create("/stale", 0));
    pump.cut_off(follower);
    assert_eq!(counts(&pump, follower), (0, 0));
    pump.advance(20 * TICK_MS);
    assert!(pump.leader() == leader && pump.nodes[follower].outside.serving.is_some());
    pump.give(follower, Input::Request(stale));
    assert_eq!((pump.told(follower, 1), pump.has("/stale")), ([].as_slice(), vec![false; 3]), "it is over");
    pump.resume(follower, 2, session.id(), LONG_MS);
    assert!(was_refused(&pump, follower, 2));
}

/// What was proposed of the upgrade may be in the history of the next leader: then the session lives, with all that its client can know.
#[test]
fn an_upgrade_outlives_its_leader_or_leaves_nothing() {
    for is_logged in [true, false] {
        let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
        let (old, followers) = (pump.leader(), pump.learners());
        let session = pump.open(followers[0], 1, LONG_MS);
        if is_logged {
            pump.acks_wait = true;
        } else {
            pump.held.extend(followers.iter().copied());
        }
        pump.request(followers[0], 1, 1, OpCode::CREATE, create("/e", 1));
        assert_eq!(pump.told(followers[0], 1), []);
        pump.give(old, Input::Zab(zab::Input::Shutdown));
        pump.release();
        pump.advance(20 * TICK_MS);
        for &index in &followers {
            assert_eq!(pump.has("/e")[index], is_logged);
            pump.resume(index, 2, session.id(), LONG_MS);
            assert_eq!((is_open(&pump, index, 2), was_refused(&pump, index, 2)), (is_logged, !is_logged), "server index {index}");
        }
        assert_eq!(pump.told(followers[0], 1), [], "its connection ended with the role");
    }
}

/// A leader cannot tell a local session of another server from none, its own it can; and nobody makes an ephemeral that nobody would remove.
#[test]
fn a_leader_takes_writes_of_sessions_that_others_may_know() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Kept, 3, 0);
    let (leader, follower) = (pump.leader(), pump.learners()[0]);
    let own = SessionId((leader as i64 + 1) << 56 | 77);
    let foreign = SessionId((follower as i64 + 1) << 56 | 77);
    let ops = [(own, "/own", 0), (foreign, "/foreign", 0), (foreign, "/foreign-e", 1)];
    for (xid, (session, path, flags)) in ops.into_iter().enumerate() {
        pump.forward(follower, session, xid as i32, OpCode::CREATE, create(path, flags));
    }
    let found = ["/own", "/foreign", "/foreign-e"].map(|path| pump.has(path)[leader]);
    assert_eq!(found, [false, true, false]);
    let mut strict = Pump::serving(3, 0);
    let follower = strict.learners()[0];
    strict.forward(follower, foreign, 1, OpCode::CREATE, create("/foreign", 0));
    assert_eq!(strict.has("/foreign"), [false; 3], "there are none");
}

#[test]
fn local_sessions_count_for_the_limit_of_sessions() {
    let mut pump = Pump::with_local_sessions(LocalSessions::Upgraded, 3, 0);
    for index in [pump.learners()[0], pump.leader()] {
        let global = counts(&pump, index).0;
        pump.nodes[index].replica.sessions_max = global + 2;
        pump.open(index, 1, LONG_MS);
        pump.open(index, 2, LONG_MS);
        pump.request(index, 1, 1, OpCode::CREATE, create(&format!("/{index}"), 1));
        pump.give(index, Input::OpenSession { connection: connection(3), timeout_ms: 4000, takes_read_only: false });
        assert!(!is_open(&pump, index, 3) && counts(&pump, index) == (global + 1, 1));
        pump.nodes[index].replica.sessions_max = global + 1;
        pump.request(index, 2, 1, OpCode::CREATE, create("/e", 1));
        assert_eq!(pump.told(index, 2), [Told::Failed(1, ErrorCode::EPHEMERAL_ON_LOCAL_SESSION)], "the ensemble has too many");
        pump.request(index, 2, 2, OpCode::CLOSE_SESSION, vec![]);
        pump.nodes[index].replica.sessions_max = global + 2;
        pump.open(index, 4, LONG_MS);
    }
}
