//! What the benches share: names, requests, txns and trees of any size, made by the product's own code.

#![allow(dead_code, reason = "each bench uses its part")]

use std::borrow::Cow;

use jute::Encode;
use paddock::ids::Zxid;
use paddock::proto::op_code::OpCode;
use paddock::proto::records::client::{CreateRequest, GetDataRequest, MultiHeader, SetDataRequest};
use paddock::proto::records::data::{Acl, Id};
use paddock::proto::records::txn::{CreateTxn, SetDataTxn};
use paddock::proto::txn::{self, Body, Txn, TxnHeader};
use paddock::tree::data_tree::DataTree;
use paddock::tree::stat::OwnerRules;

/// Data of each znode.
pub const DATA: [u8; 100] = [b'x'; 100];
/// Znodes in one folder.
const FOLDER: u64 = 1_000;
/// Seed of the hash tables.
pub const SEED: u64 = 7;
const TIME_MS: i64 = 1_700_000_000_000;

/// The path of znode `number`.
pub fn path(number: u64) -> String {
    format!("/f{}/k{number}", number / FOLDER)
}

/// A cheap scattered order over `0..count`.
pub fn scattered(step: u64, count: u64) -> u64 {
    step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count
}

fn anyone() -> Vec<Acl<'static>> {
    vec![Acl { perms: 31, id: Id { scheme: Some(Cow::Borrowed("world")), id: Some(Cow::Borrowed("anyone")) } }]
}

fn header(op: OpCode, zxid: i64) -> TxnHeader {
    TxnHeader { client_id: 0x100, cxid: 1, zxid, time: TIME_MS, type_: op.0 }
}

/// The payload of a create txn.
pub fn create_txn(path: &str, zxid: i64) -> Vec<u8> {
    let body = CreateTxn {
        path: Some(Cow::Borrowed(path)),
        data: Some(Cow::Borrowed(&DATA)),
        acl: Some(anyone()),
        ephemeral: false,
        parent_c_version: -1,
    };
    txn::encode(&header(OpCode::CREATE, zxid), &Body::Create(body), None)
}

/// The payload of a setData txn.
pub fn set_txn(path: &str, zxid: i64) -> Vec<u8> {
    let body = SetDataTxn { path: Some(Cow::Borrowed(path)), data: Some(Cow::Borrowed(&DATA)), version: 1 };
    txn::encode(&header(OpCode::SET_DATA, zxid), &Body::SetData(body), None)
}

/// The payloads that make `count` znodes in their folders, with zxids from 1 on.
pub fn txns(count: u64) -> impl Iterator<Item = Vec<u8>> {
    let paths = (0..count).flat_map(|number| {
        let folder = number.is_multiple_of(FOLDER).then(|| format!("/f{}", number / FOLDER));
        folder.into_iter().chain([path(number)])
    });
    paths.zip(1..).map(|(path, zxid)| create_txn(&path, zxid))
}

/// Applies a payload.
pub fn apply(tree: &mut DataTree, payload: &[u8]) {
    let txn = Txn::decode(payload).expect("the product encoded it");
    tree.apply(&txn, &mut ());
}

/// A tree without znodes of its own.
pub fn empty_tree() -> DataTree {
    DataTree::new(SEED, OwnerRules::default(), true)
}

/// A tree of `count` znodes.
pub fn tree(count: u64) -> DataTree {
    let mut tree = empty_tree();
    for payload in txns(count) {
        apply(&mut tree, &payload);
    }
    assert!(tree.find(&path(count - 1)).is_some() && tree.last_zxid() > Zxid::ZERO, "the tree is built");
    tree
}

/// The body of a getData or exists request.
pub fn get_request(path: &str) -> Vec<u8> {
    GetDataRequest { path: Some(Cow::Borrowed(path)), watch: false }.to_vec()
}

/// The body of a create request.
pub fn create_request(path: &str) -> Vec<u8> {
    CreateRequest { path: Some(Cow::Borrowed(path)), data: Some(Cow::Borrowed(&DATA)), acl: Some(anyone()), flags: 0 }.to_vec()
}

/// The body of a setData request.
pub fn set_request(path: &str) -> Vec<u8> {
    SetDataRequest { path: Some(Cow::Borrowed(path)), data: Some(Cow::Borrowed(&DATA)), version: -1 }.to_vec()
}

/// The body of a multi of setData.
pub fn multi_request(paths: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for path in paths {
        MultiHeader { type_: OpCode::SET_DATA.0, done: false, err: -1 }.encode(&mut out);
        out.extend_from_slice(&set_request(path));
    }
    MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut out);
    out
}
