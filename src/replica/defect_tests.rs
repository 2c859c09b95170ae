//! Defects of Java's servers that clients of an ensemble could meet (quorum-protocol.md §5); `docs/java-defects.md` has them all.

use bytes::Bytes;
use jute::Encode;

use super::Input;
use super::pump::{Pump, READ_ONLY_MS, TICK_MS, Told, connection, resumption};
use super::riders::Forwarded;
use crate::ids::Zxid;
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::records::client as requests;
use crate::proto::records::data::{Acl, Id};
use crate::proto::records::txn::CreateTxn;
use crate::proto::txn::{Body, Txn, TxnHeader};
use crate::replica::{Replica, ReplicaSettings, Shared};
use crate::tree::data_tree::DataTree;
use crate::tree::stat::OwnerRules;
use crate::zab::{self, LinkId, Packet, ServerState};

/// The names of a leader's links, and of a learner's.
fn links(of_leader: bool) -> impl Iterator<Item = LinkId> {
    let first = if of_leader { 1_000_001 } else { 1 };
    (first..first + 10).map(LinkId)
}

fn last_logged(pump: &Pump) -> Vec<Zxid> {
    pump.nodes.iter().map(|node| node.replica.zab.last_logged()).collect()
}

fn check(path: &str) -> Vec<u8> {
    requests::CheckVersionRequest { path: Some(path.into()), version: 0 }.to_vec()
}

/// A check outside a multi became a txn that no server could decode: all went down, and could not start again.
#[test]
fn zookeeper_2623_a_check_that_is_forwarded_becomes_an_error_and_no_txn() {
    let mut pump = Pump::serving(3, 1);
    for index in 0..4 {
        pump.open(index, 1, 4000);
        pump.request(index, 1, 1, OpCode::CHECK, check("/"));
        assert_eq!(pump.told(index, 1).len(), 1, "server index {index}");
        assert!(matches!(pump.told(index, 1), [Told::Failed(1, _)]));
    }
    pump.agree();
}

/// A Java learner forwards what its client sent without a look at it. A Java leader gives the error the zxid of the txn before.
#[test]
fn u6_what_a_learner_forwards_and_nobody_can_decode_has_a_zxid_of_its_own() {
    for (op, body) in [(OpCode::CREATE, vec![0, 0]), (OpCode::CHECK, check("/")), (OpCode(99), vec![])] {
        let mut pump = Pump::serving(3, 0);
        let (leader, follower) = (pump.leader(), pump.learners()[0]);
        let session = pump.open(follower, 1, 4000);
        let before = pump.nodes[leader].replica.zab.last_proposed();
        let forwarded = Forwarded { session: session.id(), cxid: 1, op, body: Bytes::from(body) };
        for link in links(true) {
            let rider = Packet::Rider(forwarded.rider(&[]));
            pump.give(leader, Input::Zab(zab::Input::LearnerPacket(link, rider)));
        }
        assert_eq!(last_logged(&pump), [before.next().next(); 3], "{op:?}: one for each of two links");
        pump.agree();
    }
}

/// What came from a client and cannot be decoded goes no further: a leader of Java's must not see it.
#[test]
fn u6_what_an_own_client_sends_and_nobody_can_decode_is_not_forwarded() {
    let mut pump = Pump::serving(3, 1);
    for index in pump.learners() {
        pump.open(index, 1, 4000);
        let before = last_logged(&pump);
        for (xid, op) in (1..).zip([OpCode::CREATE, OpCode::SET_DATA, OpCode::MULTI, OpCode::SET_ACL, OpCode::DELETE]) {
            pump.request(index, 1, xid, op, vec![0, 0]);
        }
        let told: Vec<Told> = (1..=5).map(|xid| Told::Failed(xid, ErrorCode::MARSHALLING_ERROR)).collect();
        assert_eq!((pump.told(index, 1), last_logged(&pump)), (told.as_slice(), before));
    }
}

/// A txn that nobody can decode is not logged, whoever proposes it.
#[test]
fn zookeeper_2623_a_leader_that_proposes_what_is_no_txn_is_left() {
    let mut pump = Pump::serving(3, 0);
    let (leader, follower) = (pump.leader(), pump.learners()[0]);
    let zxid = pump.nodes[leader].replica.zab.last_proposed().next();
    let before = pump.nodes[follower].replica.zab.last_logged();
    pump.isolated.insert(follower);
    for link in links(false) {
        let packet = Packet::Proposal { zxid, payload: Bytes::from_static(b"nothing that was ever a txn, of any type") };
        pump.give(follower, Input::Zab(zab::Input::LeaderPacket(link, packet)));
    }
    assert_eq!((pump.nodes[follower].replica.zab.last_logged(), pump.nodes[follower].outside.serving), (before, None));
}

/// Sessions of a read-only server were counted as if they were history, and learners were told to truncate to them.
#[test]
fn zookeeper_3526_a_read_only_server_logs_nothing() {
    let mut pump = Pump::serving(3, 0);
    let index = pump.learners()[0];
    pump.open(index, 9, 4000);
    let before = (pump.nodes[index].replica.zab.last_logged(), pump.nodes[index].shared.tree.read().last_zxid());
    pump.isolated.insert(index);
    pump.cut_off(index);
    pump.advance(2 * READ_ONLY_MS);
    pump.give(index, Input::OpenSession { connection: connection(1), timeout_ms: 4000, takes_read_only: true });
    pump.request(index, 1, 1, OpCode::CREATE, vec![0, 0]);
    pump.request(index, 1, 2, OpCode::CLOSE_SESSION, vec![]);
    assert_eq!(pump.told(index, 1), [Told::Failed(1, ErrorCode::NOT_READ_ONLY), Told::Done(2)]);
    let after = (pump.nodes[index].replica.zab.last_logged(), pump.nodes[index].shared.tree.read().last_zxid());
    assert_eq!(after, before);
    pump.heal();
    pump.advance(20 * TICK_MS);
    pump.open(index, 2, 4000);
    pump.agree();
}

/// An ephemeral of a session that nobody knows.
fn leave_behind(tree: &mut DataTree, path: &'static str) {
    let anyone = Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
    let body = CreateTxn { path: Some(path.into()), data: None, acl: Some(vec![anyone]), ephemeral: true, parent_c_version: -1 };
    let zxid = tree.last_zxid().0;
    let header = TxnHeader { client_id: 0x77, cxid: 1, zxid, time: 1, type_: OpCode::CREATE.0 };
    tree.apply(&Txn { header, body: Body::Create(body), digest: None }, &mut ());
}

/// Java's leader removes them from its own tree without a word: with every other server they stay.
#[test]
fn zookeeper_5010_u8_ephemerals_of_a_session_that_nobody_knows_go_by_a_txn() {
    let mut pump = Pump::serving(3, 0);
    let session = pump.open(0, 1, 40 * TICK_MS as i32);
    pump.nodes.iter_mut().for_each(|node| leave_behind(&mut node.shared.tree.write(), "/orphan"));
    let (old, before) = (pump.leader(), last_logged(&pump));
    pump.give(old, Input::Zab(zab::Input::Shutdown));
    pump.advance(10 * TICK_MS);
    for index in pump.learners().into_iter().chain([pump.leader()]) {
        let node = &pump.nodes[index];
        let tree = node.shared.tree.read();
        assert!(tree.find("/orphan").is_none() && node.replica.zab.last_logged() > before[index]);
        assert_eq!(tree.digest(), pump.nodes[pump.leader()].shared.tree.read().digest());
        assert!(node.replica.sessions().get(session.id()).is_some(), "a session that is known lives on");
    }
}

/// A leader that has none itself, as a Java server that removed its own, is asked by the learner that has.
#[test]
fn zookeeper_5010_a_learner_that_has_such_ephemerals_asks_its_leader_to_close_their_session() {
    // Where no digest tells the trees apart: those of such servers are apart already.
    let path = "/zookeeper/quota/orphan";
    let mut pump = Pump::serving(3, 1);
    for index in pump.learners() {
        leave_behind(&mut pump.nodes[index].shared.tree.write(), path);
        pump.cut_off(index);
        pump.advance(10 * TICK_MS);
        assert_eq!(pump.has(path), [false; 4], "server index {index}");
    }
}

#[test]
fn zookeeper_5010_a_server_that_stands_alone_logs_the_end_of_their_session() {
    let mut tree = DataTree::new(1, OwnerRules::default(), true);
    leave_behind(&mut tree, "/orphan");
    let shared = std::sync::Arc::new(Shared::new(tree, 1));
    let settings = ReplicaSettings {
        server_id: 1,
        tick_time_ms: TICK_MS,
        sessions_max: 10,
        read_only_delay_ms: None,
        local_sessions: crate::replica::LocalSessions::Off,
        seed: 1,
        rules: crate::request::prepare::WriteRules { close_session_txn: true, ..Default::default() },
    };
    let now = crate::replica::Now { wall_ms: 1, monotonic_ms: 1 };
    let mut replica = Replica::standalone(settings, std::sync::Arc::clone(&shared), &[], now);
    let mut outside = crate::replica::pump::Outside::default();
    replica.handle(now, [], &mut outside);
    let zxid = replica.zab.last_proposed();
    assert!(matches!(outside.outputs[..], [zab::Output::Append { .. }]) && shared.tree.read().find("/orphan").is_some());
    replica.handle(now, [Input::Zab(zab::Input::Persisted(zxid))], &mut outside);
    assert!(shared.tree.read().find("/orphan").is_none());
}

/// A Java leader that was stopped for longer than sessions live lets them expire when it wakes, and says so to their clients, though others
/// lead by then and go on with them. Nor does it know those that were opened meanwhile.
#[test]
fn u14_a_leader_that_wakes_refuses_no_session_that_lives() {
    let mut pump = Pump::serving(3, 0);
    let timeout_ms = 10 * TICK_MS as i32;
    let (old, other) = (pump.leader(), pump.learners()[0]);
    let known = pump.open(other, 1, timeout_ms);
    pump.stop(old);
    pump.advance(14 * TICK_MS);
    let leads = |index: &usize| *index != old && pump.nodes[*index].outside.serving == Some(ServerState::Leading);
    let new = (0..3).find(leads).expect("the others have elected one of them");
    pump.resume(new, 6, known.id(), timeout_ms);
    let later = pump.open(new, 7, timeout_ms);
    let claims = [resumption(2, known.id(), timeout_ms), resumption(3, later.id(), timeout_ms)];
    pump.wake(old, [Input::Tick].into_iter().chain(claims));
    let outside = &pump.nodes[old].outside;
    assert_eq!((outside.refused.len(), outside.expired.as_slice()), (0, [].as_slice()));
    assert!([2, 3].iter().all(|&slot| outside.closed.contains(&connection(slot))), "the clients try elsewhere, or again");
    pump.advance(5 * TICK_MS);
    for (slot, session) in [(4, known), (5, later)] {
        pump.resume(old, slot, session.id(), timeout_ms);
        assert!(pump.nodes[old].outside.open.contains_key(&connection(slot)), "as a follower it knows them");
    }
}
