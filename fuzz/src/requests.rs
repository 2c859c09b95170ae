//! One request of a client: handshakes, the bodies of every op code, and what becomes of them over a small tree.

use std::sync::Arc;

use paddock::ids::{SessionId, Zxid};
use paddock::proto::connect::ConnectRequest;
use paddock::proto::op_code::{OpCode, OpKind};
use paddock::proto::records::txn as records;
use paddock::proto::txn::{self, Body, Txn, TxnDigest, TxnHeader};
use paddock::request::decode::{Write, decode};
use paddock::request::overlay::Overlay;
use paddock::request::prepare::{Prepare, WriteRules};
use paddock::request::read::ReadContext;
use paddock::request::reply::encode_body;
use paddock::tree::acl::Identity;
use paddock::tree::data_tree::DataTree;
use paddock::tree::watch::{WatchAccess, WatchTable};

use crate::check::{frames, open_acl, tree};
use crate::restore::{RULES, SEED};

/// What the first byte chooses from: every op code a client can send, and some it cannot.
pub const OPS: [i32; 32] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 100, 101, 102, 103, 104, 105, 106, 107, -10, -11, 0];

/// The first byte says which request, or a handshake; the rest is its body.
pub fn run(data: &[u8]) {
    let Some((&which, body)) = data.split_first() else { return };
    let Some(&op) = OPS.get(usize::from(which)) else {
        let _ = ConnectRequest::decode(body);
        return;
    };
    match OpCode(op).kind() {
        OpKind::Write => write(OpCode(op), body),
        OpKind::Read => read(OpCode(op), body),
        OpKind::Immediate | OpKind::Invalid => {}
    }
}

const SESSION: SessionId = SessionId(0x0100_0000_0000_0055);

fn identities() -> [Identity; 2] {
    [Identity::new("ip", "127.0.0.1"), Identity::new("digest", "user:tl+z3z0vO6PfPfEENfLF96E6pM0=")]
}

fn txn_create(path: &'static str, ephemeral: bool) -> Body<'static> {
    let data = Some(path.as_bytes().into());
    Body::Create(records::CreateTxn { path: Some(path.into()), data, acl: open_acl(), ephemeral, parent_c_version: -1 })
}

/// The tree that requests and txns meet: some znodes, an ephemeral, a quota.
#[must_use]
pub fn small_tree() -> DataTree {
    let mut tree = DataTree::new(SEED, RULES, true);
    let paths = [
        "/a",
        "/a/b",
        "/a/b/c",
        "/a/e",
        "/q",
        "/zookeeper/quota/q",
        "/zookeeper/quota/q/zookeeper_limits",
        "/zookeeper/quota/q/zookeeper_stats",
    ];
    for (index, path) in paths.into_iter().enumerate() {
        let zxid = index as i64 + 1;
        let header = TxnHeader { client_id: SESSION.0, cxid: 0, zxid, time: 1000 + zxid, type_: 1 };
        tree.apply(&Txn { header, body: txn_create(path, path == "/a/e"), digest: None }, &mut ());
    }
    tree
}

fn write(op: OpCode, body: &[u8]) {
    let Ok(write) = decode(op, body) else { return };
    let mut tree_after = small_tree();
    let tree_before = small_tree();
    let mut overlay = Overlay::new(SEED, tree_before.digest());
    let rules = WriteRules { close_session_txn: true, enforce_quota: true, ..WriteRules::default() };
    let zxid = tree_before.last_zxid().next();
    let identities = identities();
    let mut prepare = Prepare {
        tree: &tree_before,
        overlay: &mut overlay,
        rules: &rules,
        zxid,
        time_ms: 5000,
        session: SESSION,
        identities: &identities,
        may_own_ephemerals: Ok(()),
        acl_bytes_left: 1 << 20,
    };
    let is_close = matches!(write, Write::CloseSession);
    let Ok((kind, body)) = prepare.write(write) else {
        assert_eq!(overlay.digest(), tree_before.digest(), "a refused write leaves nothing pending");
        return;
    };
    let digest = TxnDigest { version: 2, tree_digest: overlay.digest() as i64 };
    let header = TxnHeader { client_id: SESSION.0, cxid: 1, zxid: zxid.0, time: 5000, type_: kind.0 };
    let payload = txn::encode(&header, &body, Some(digest));
    let txn = Txn::decode(&payload).expect("a txn of ours decodes");
    let applied = tree_after.apply(&txn, &mut ());
    encode_body(&applied, &mut Vec::new());
    tree(&tree_after);
    if !is_close {
        assert_eq!(tree_after.digest(), overlay.digest(), "what was promised is what came: {body:?}");
    }
    assert_eq!(tree_after.last_zxid(), zxid);
}

fn read(op: OpCode, body: &[u8]) {
    let tree = small_tree();
    let mut watches = WatchTable::new(SEED);
    let identities: Arc<[Identity]> = identities().into();
    let mut out = Vec::new();
    let mut context = ReadContext::new(&tree, WatchAccess::Held(&mut watches), (3, SESSION), &identities, false);
    context.answer(77, op, body, &mut out);
    let frames = frames(&out);
    let (last, events) = frames.split_last().expect("every read is answered");
    assert_eq!(last.0, if op == OpCode::PING { -2 } else { 77 });
    assert_eq!(Zxid(last.1), tree.last_zxid());
    assert!(events.iter().all(|event| event.0 == -1), "only events come before the reply");
    watches.remove_watcher(3);
    assert_eq!(watches.total(), 0, "watches end with their connection");
}
