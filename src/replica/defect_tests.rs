//! Defects of Java's servers that clients of an ensemble could meet (quorum-protocol.md §5).

use super::Input;
use super::pump::{Pump, TICK_MS};
use crate::ids::Zxid;
use crate::proto::op_code::OpCode;
use crate::proto::records::data::{Acl, Id};
use crate::proto::records::txn::CreateTxn;
use crate::proto::txn::{Body, Txn, TxnHeader};
use crate::replica::{Replica, ReplicaSettings, Shared};
use crate::tree::data_tree::DataTree;
use crate::tree::stat::OwnerRules;
use crate::zab;

fn last_logged(pump: &Pump) -> Vec<Zxid> {
    pump.nodes.iter().map(|node| node.replica.zab.last_logged()).collect()
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
