//! What clients of an ensemble see: of a leader, of followers and observers, and when they move or roles end.

use jute::Encode;

use super::Input;
use super::pump::{Pump, READ_ONLY_MS, TICK_MS, Told, connection};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::records::client as requests;
use crate::proto::records::data::{Acl, Id};
use crate::session::SessionCell;
use crate::zab::{self, ServerState};

pub(super) fn create(path: &str, flags: i32) -> Vec<u8> {
    let anyone = Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
    requests::CreateRequest { path: Some(path.into()), data: None, acl: Some(vec![anyone]), flags }.to_vec()
}

pub(super) fn delete(path: &str) -> Vec<u8> {
    requests::DeleteRequest { path: Some(path.into()), version: -1 }.to_vec()
}

pub(super) fn sync(path: &str) -> Vec<u8> {
    requests::SyncRequest { path: Some(path.into()) }.to_vec()
}

#[test]
fn every_member_takes_writes_and_answers_in_order() {
    let mut pump = Pump::serving(3, 1);
    for index in 0..4 {
        pump.open(index, 1, 4000);
        pump.request(index, 1, 1, OpCode::CREATE, create(&format!("/{index}"), 0));
        pump.request(index, 1, 2, OpCode::CREATE, create(&format!("/{index}"), 0));
        pump.request(index, 1, 3, OpCode::DELETE, delete("/missing"));
        pump.request(index, 1, 4, OpCode::CREATE, vec![0, 0]);
        pump.request(index, 1, 5, OpCode::CREATE, create(&format!("/{index}/e"), 1));
        let told = [
            Told::Done(1),
            Told::Failed(2, ErrorCode::NODE_EXISTS),
            Told::Failed(3, ErrorCode::NO_NODE),
            Told::Failed(4, ErrorCode::MARSHALLING_ERROR),
            Told::Done(5),
        ];
        assert_eq!(pump.told(index, 1), told, "server index {index}");
        assert_eq!(pump.has(&format!("/{index}/e")), [true; 4]);
    }
    pump.agree();
}

#[test]
fn the_id_of_a_session_names_its_server() {
    let mut pump = Pump::serving(3, 0);
    for index in 0..3 {
        let session = pump.open(index, 1, 4000);
        assert_eq!(session.id().0 >> 56, index as i64 + 1);
    }
}

#[test]
fn a_malformed_request_waits_for_the_write_before_it() {
    let mut pump = Pump::serving(3, 0);
    let follower = pump.learners()[0];
    pump.open(follower, 1, 4000);
    pump.held.insert(follower);
    pump.request(follower, 1, 1, OpCode::CREATE, create("/a", 0));
    pump.request(follower, 1, 2, OpCode::SET_DATA, vec![1]);
    assert_eq!(pump.told(follower, 1), []);
    pump.release();
    assert_eq!(pump.told(follower, 1), [Told::Done(1), Told::Failed(2, ErrorCode::MARSHALLING_ERROR)]);
}

#[test]
fn a_sync_keeps_its_place_among_the_requests_of_its_client() {
    let mut pump = Pump::serving(3, 0);
    for index in 0..3 {
        pump.open(index, 1, 4000);
        let inputs = [
            (1, OpCode::CREATE, create("/a", 0)),
            (2, OpCode::SYNC, sync("/a")),
            (3, OpCode::DELETE, delete("/a")),
            (4, OpCode::SYNC, sync("/b")),
            (5, OpCode::SYNC, vec![]),
            (6, OpCode::CREATE, create("/b", 1)),
        ];
        pump.held.extend(0..3);
        for (xid, op, body) in inputs {
            pump.request(index, 1, xid, op, body);
        }
        pump.release();
        let told = [
            Told::Done(1),
            Told::Synced(2, Some("/a".to_owned())),
            Told::Done(3),
            Told::Synced(4, Some("/b".to_owned())),
            Told::Failed(5, ErrorCode::MARSHALLING_ERROR),
            Told::Done(6),
        ];
        assert_eq!(pump.told(index, 1), told, "server index {index}");
        pump.request(index, 1, 7, OpCode::CLOSE_SESSION, vec![]);
        assert_eq!(pump.has("/b"), [false; 3], "the ephemeral is gone with its session");
    }
    pump.agree();
}

#[test]
fn a_leader_without_its_quorum_confirms_no_sync() {
    let mut pump = Pump::serving(3, 0);
    let leader = pump.leader();
    pump.open(leader, 1, 4000);
    pump.held.extend(0..3);
    pump.request(leader, 1, 1, OpCode::SYNC, sync("/"));
    assert_eq!(pump.told(leader, 1), [], "nobody has answered");
    pump.release();
    assert_eq!(pump.told(leader, 1), [Told::Synced(1, Some("/".to_owned()))]);
}

/// Two sessions of a server with an ephemeral each. Nothing is heard of the one that this gives, and its ephemeral goes everywhere.
pub(super) fn one_of_two_falls_silent(pump: &mut Pump, server: usize) -> std::sync::Arc<SessionCell> {
    let heard = pump.open(server, 1, 10 * TICK_MS as i32);
    let silent = pump.open(server, 2, 10 * TICK_MS as i32);
    pump.request(server, 1, 1, OpCode::CREATE, create("/heard", 1));
    pump.request(server, 2, 1, OpCode::CREATE, create("/silent", 1));
    for _ in 0..30 {
        heard.touch(pump.now_ms);
        pump.advance(TICK_MS);
    }
    assert_eq!((pump.has("/heard"), pump.has("/silent")), (vec![true; 3], vec![false; 3]));
    silent
}

#[test]
fn sessions_live_while_any_server_hears_of_them_and_expire_at_the_leader_alone() {
    let mut pump = Pump::serving(3, 0);
    let follower = pump.learners()[0];
    let silent = one_of_two_falls_silent(&mut pump, follower);
    let leader = pump.leader();
    for (index, node) in pump.nodes.iter().enumerate() {
        let expected: &[_] = if index == leader { &[silent.id()] } else { &[] };
        assert_eq!(node.outside.expired, expected);
    }
    assert!(pump.nodes[follower].outside.closed.contains(&connection(2)), "the connection of the expired session is closed");
    pump.agree();
}

/// A leader that is cut off proposes the end of sessions that others go on with.
#[test]
fn nobody_is_told_of_an_expiry_that_is_not_committed() {
    let mut pump = Pump::serving(3, 0);
    let leader = pump.leader();
    let session = pump.open(leader, 1, 2 * TICK_MS as i32);
    pump.acks_wait = true;
    for _ in 0..4 {
        pump.advance(TICK_MS);
    }
    assert_eq!(pump.nodes[leader].outside.expired, [session.id()]);
    pump.resume(leader, 2, session.id(), 4000);
    let outside = &pump.nodes[leader].outside;
    assert!(outside.closed.contains(&connection(2)) && !outside.refused.contains(&connection(2)), "it may live on");
    pump.release();
    pump.resume(leader, 3, session.id(), 4000);
    assert!(pump.nodes[leader].outside.refused.contains(&connection(3)), "now it is over");
}

/// A touch just before the connection broke counts too.
#[test]
fn a_session_whose_connection_is_gone_has_its_whole_timeout() {
    let mut pump = Pump::serving(3, 0);
    let follower = pump.learners()[0];
    let session = pump.open(follower, 1, 10 * TICK_MS as i32);
    pump.request(follower, 1, 1, OpCode::CREATE, create("/e", 1));
    for _ in 0..8 {
        session.touch(pump.now_ms);
        pump.advance(TICK_MS);
    }
    session.touch(pump.now_ms);
    pump.give(follower, Input::Disconnected { connection: connection(1), session: session.id() });
    pump.advance(9 * TICK_MS);
    assert_eq!(pump.has("/e"), [true; 3]);
    pump.advance(4 * TICK_MS);
    assert_eq!(pump.has("/e"), [false; 3]);
}

#[test]
fn a_session_moves_and_its_old_connection_ends() {
    let mut pump = Pump::serving(3, 0);
    let (leader, followers) = (pump.leader(), pump.learners());
    let (from, to) = (followers[0], followers[1]);
    let session = pump.open(from, 1, 4000);
    pump.resume(to, 2, session.id(), 5000);
    let moved = pump.nodes[to].outside.open.get(&connection(2)).expect("it lives").clone();
    assert_eq!((moved.id(), moved.timeout_ms()), (session.id(), 5000));
    pump.request(from, 1, 1, OpCode::CREATE, create("/old", 0));
    assert!(pump.told(from, 1).is_empty() && pump.nodes[from].outside.closed.contains(&connection(1)), "it moved");
    pump.request(to, 2, 1, OpCode::CREATE, create("/new", 1));
    pump.resume(leader, 3, session.id(), 5000);
    pump.request(leader, 3, 2, OpCode::CREATE, create("/newest", 1));
    pump.request(to, 2, 3, OpCode::CREATE, create("/old", 0));
    assert_eq!((pump.told(to, 2), pump.told(leader, 3)), ([Told::Done(1)].as_slice(), [Told::Done(2)].as_slice()));
    pump.resume(from, 4, session.id(), 5000);
    pump.request(leader, 3, 4, OpCode::CREATE, create("/old", 0));
    assert!(pump.nodes[leader].outside.closed.contains(&connection(3)), "it moved on");
    pump.request(leader, 3, 5, OpCode::SYNC, sync("/"));
    assert_eq!(pump.told(leader, 3).len(), 1, "a sync is for the server that the session speaks through");
    assert_eq!((pump.has("/old"), pump.has("/new"), pump.has("/newest")), (vec![false; 3], vec![true; 3], vec![true; 3]));
    pump.agree();
}

/// Clients such as kazoo count their requests from one again on each connection, and a learner knows a commit by session and number: what
/// was proposed before the session came must not pass for what its client asks for there.
#[test]
fn a_session_that_moved_is_not_told_of_what_it_asked_elsewhere() {
    for by_leader in [false, true] {
        let mut pump = Pump::serving(3, 1);
        let from = if by_leader { pump.leader() } else { pump.learners()[0] };
        for to in pump.learners().into_iter().filter(|&to| to != from) {
            let session = pump.open(from, 1, 4000);
            pump.acks_wait = true;
            pump.request(from, 1, 1, OpCode::CREATE, create("/old", 0));
            let slot = 10 + to as u32;
            pump.resume(to, slot, session.id(), 4000);
            let is_open = pump.nodes[to].outside.open.contains_key(&connection(slot));
            assert!(!is_open, "what it asked for elsewhere is not decided");
            pump.release();
            pump.acks_wait = true;
            pump.request(to, slot, 1, OpCode::DELETE, delete("/missing"));
            assert_eq!((pump.told(to, slot), pump.has("/old")), ([].as_slice(), vec![true; 4]));
            pump.release();
            assert_eq!(pump.told(to, slot), [Told::Failed(1, ErrorCode::NO_NODE)]);
            pump.request(to, slot, 2, OpCode::DELETE, delete("/old"));
        }
        pump.agree();
    }
}

/// A leader that has proposed nothing yet has no txn to wait for.
#[test]
fn a_new_leader_refuses_what_it_cannot_decode_at_once() {
    let mut pump = Pump::serving(3, 0);
    let (old, follower) = (pump.leader(), pump.learners()[0]);
    let session = pump.open(follower, 1, 4000);
    pump.give(old, Input::Zab(zab::Input::Shutdown));
    pump.advance(10 * TICK_MS);
    let (leader, follower) = (pump.leader(), pump.learners()[0]);
    for index in [follower, leader] {
        pump.resume(index, 2, session.id(), 4000);
        pump.request(index, 2, 1, OpCode::CREATE, vec![0, 0]);
        assert_eq!(pump.told(index, 2), [Told::Failed(1, ErrorCode::MARSHALLING_ERROR)], "server index {index}");
    }
}

#[test]
fn nobody_resumes_a_session_that_is_over_or_with_a_wrong_password() {
    let mut pump = Pump::serving(3, 0);
    for index in 0..3 {
        let session = pump.open(index, 1, 4000);
        let wrong = Input::ResumeSession {
            connection: connection(2),
            session: session.id(),
            password: vec![0; 16],
            timeout_ms: 4000,
            takes_read_only: false,
        };
        pump.give(index, wrong);
        pump.request(index, 1, 1, OpCode::CLOSE_SESSION, vec![]);
        for other in 0..3 {
            pump.resume(other, 3 + index as u32, session.id(), 4000);
            assert!(pump.nodes[other].outside.refused.contains(&connection(3 + index as u32)));
        }
        assert!(pump.nodes[index].outside.refused.contains(&connection(2)));
    }
}

#[test]
fn when_the_leader_is_cut_off_its_clients_go_and_the_others_elect_another() {
    let mut pump = Pump::serving(3, 0);
    let old = pump.leader();
    let follower = pump.learners()[0];
    let session = pump.open(follower, 1, 40 * TICK_MS as i32);
    pump.request(follower, 1, 1, OpCode::CREATE, create("/kept", 1));
    pump.open(old, 7, 4000);
    pump.give(old, Input::Zab(zab::Input::Shutdown));
    assert_eq!(pump.nodes[old].outside.serving, None);
    pump.give(old, Input::OpenSession { connection: connection(9), timeout_ms: 4000, takes_read_only: true });
    assert!(pump.nodes[old].outside.closed.contains(&connection(9)), "clients go elsewhere");
    pump.advance(10 * TICK_MS);
    let new = pump.leader();
    assert_ne!(new, old);
    for index in pump.learners().into_iter().chain([new]) {
        let slot = 20 + index as u32;
        pump.resume(index, slot, session.id(), 40 * TICK_MS as i32);
        pump.request(index, slot, 5, OpCode::CREATE, create(&format!("/after{index}"), 0));
        assert_eq!(pump.told(index, slot), [Told::Done(5)]);
    }
    assert!(pump.nodes[new].replica.sessions().get(session.id()).is_some());
    pump.advance(39 * TICK_MS);
    let live = pump.nodes[new].shared.tree.read().find("/kept").is_some();
    assert!(live, "the new leader gave the session its whole timeout");
}

#[test]
fn a_role_that_ends_loses_what_was_under_way() {
    let mut pump = Pump::serving(3, 0);
    let leader = pump.leader();
    let follower = pump.learners()[0];
    pump.open(follower, 1, 4000);
    pump.held.insert(follower);
    pump.request(follower, 1, 1, OpCode::CREATE, create("/a", 0));
    pump.request(follower, 1, 2, OpCode::SYNC, sync("/a"));
    pump.request(follower, 1, 3, OpCode::CLOSE_SESSION, vec![]);
    pump.cut_off(follower);
    assert_eq!(pump.nodes[follower].outside.serving, None);
    pump.release();
    pump.advance(20 * TICK_MS);
    assert_eq!(pump.told(follower, 1), [], "nobody is told");
    assert!(pump.nodes.iter().all(|node| node.outside.serving.is_some()) && pump.leader() == leader);
    assert_eq!(pump.has("/a"), [true; 3], "it was proposed all the same");
    pump.agree();
}

fn open_read_only(pump: &mut Pump, index: usize, slot: u32, takes_read_only: bool) -> bool {
    pump.give(index, Input::OpenSession { connection: connection(slot), timeout_ms: 4000, takes_read_only });
    pump.nodes[index].outside.open.contains_key(&connection(slot))
}

/// client-protocol.md §13. A server without a leader serves nobody at first, and later only who puts up with it.
#[test]
fn without_a_leader_reads_are_served_to_those_who_ask_for_no_more() {
    let mut pump = Pump::serving(3, 0);
    let (old, others) = (pump.leader(), pump.learners());
    let index = others[0];
    let session = pump.open(index, 1, 4000);
    for gone in [old, others[1]] {
        pump.give(gone, Input::Zab(zab::Input::Shutdown));
    }
    pump.advance(READ_ONLY_MS / 2);
    assert!(!open_read_only(&mut pump, index, 2, true) && !pump.nodes[index].outside.is_read_only, "it may find a leader soon");
    pump.advance(2 * READ_ONLY_MS);
    assert!(pump.nodes[index].outside.is_read_only && pump.nodes[index].outside.serving.is_none());
    assert!(!open_read_only(&mut pump, index, 3, false), "who wants the truth goes elsewhere");
    assert!(open_read_only(&mut pump, index, 4, true));
    pump.request(index, 4, 1, OpCode::CREATE, create("/no", 0));
    pump.request(index, 4, 2, OpCode::SYNC, sync("/"));
    pump.request(index, 4, 3, OpCode::SET_DATA, vec![1]);
    let refused = |xid| Told::Failed(xid, ErrorCode::NOT_READ_ONLY);
    assert_eq!(pump.told(index, 4), [refused(1), refused(2), refused(3)]);
    let resume = |id, slot: u32, password: Vec<u8>| Input::ResumeSession {
        connection: connection(slot),
        session: id,
        password,
        timeout_ms: 4000,
        takes_read_only: true,
    };
    let own = pump.nodes[index].outside.open[&connection(4)].id();
    let word = |id| crate::proto::password::generate(id).to_vec();
    pump.give(index, resume(session.id(), 5, word(session.id())));
    pump.give(index, resume(own, 6, vec![0; 16]));
    pump.give(index, resume(own, 7, word(own)));
    let outside = &pump.nodes[index].outside;
    assert!(outside.closed.contains(&connection(5)), "a session of the ensemble does not live on here");
    assert!(outside.refused.contains(&connection(6)) && outside.open.contains_key(&connection(7)));
    assert!(outside.closed.contains(&connection(4)), "its old connection ends");
    pump.request(index, 7, 8, OpCode::CLOSE_SESSION, vec![]);
    assert_eq!(pump.told(index, 7), [Told::Done(8)]);
    assert_eq!(pump.nodes[index].replica.sessions().len(), 1, "no txn tells of them");
}

#[test]
fn sessions_of_reads_expire_and_end_when_there_is_a_leader() {
    let mut pump = Pump::serving(3, 0);
    let index = pump.learners()[0];
    pump.isolated.insert(index);
    pump.cut_off(index);
    pump.advance(2 * READ_ONLY_MS);
    assert!(open_read_only(&mut pump, index, 1, true) && open_read_only(&mut pump, index, 2, true));
    let heard = pump.nodes[index].outside.open[&connection(1)].clone();
    for _ in 0..60 {
        heard.touch(pump.now_ms);
        pump.advance(TICK_MS);
    }
    assert!(pump.nodes[index].outside.closed.contains(&connection(2)) && !pump.nodes[index].outside.closed.contains(&connection(1)));
    pump.heal();
    pump.advance(20 * TICK_MS);
    assert!(pump.nodes[index].outside.serving.is_some() && !pump.nodes[index].outside.is_read_only);
    pump.request(index, 1, 1, OpCode::CREATE, create("/late", 0));
    assert_eq!(pump.told(index, 1), [Told::Failed(1, ErrorCode::SESSION_EXPIRED)]);
    assert!(!pump.has("/late")[index]);
}

#[test]
fn an_observer_serves_and_does_not_count() {
    let mut pump = Pump::serving(3, 2);
    let observers: Vec<_> = (3..5).collect();
    assert!(observers.iter().all(|&index| pump.nodes[index].outside.serving == Some(ServerState::Observing)));
    let counts = pump.nodes[pump.leader()].replica.learner_counts();
    assert_eq!((counts.learners, counts.synced_followers, counts.synced_observers), (4, 2, 2));
    pump.open(3, 1, 4000);
    pump.request(3, 1, 1, OpCode::CREATE, create("/o", 0));
    pump.request(3, 1, 2, OpCode::SYNC, sync("/o"));
    assert_eq!(pump.told(3, 1), [Told::Done(1), Told::Synced(2, Some("/o".to_owned()))]);
    pump.agree();
}

#[test]
fn every_member_shows_the_configuration() {
    let pump = Pump::serving(3, 0);
    for node in &pump.nodes {
        let tree = node.shared.tree.read();
        let id = tree.find("/zookeeper/config").expect("it is predefined");
        assert_eq!(tree.data(id), Some(b"version=0".as_slice()));
    }
}
