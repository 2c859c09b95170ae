//! Building the state again over what a Java server left: fuzzy snapshots, ACLs, odd txns (quorum-protocol.md §5.1, §5.3; disk-formats.md §6).

use paddock::ids::{SessionId, Zxid};
use paddock::proto::op_code::OpCode;
use paddock::proto::records::data::{Acl, Id};
use paddock::proto::records::txn as records;
use paddock::proto::txn::{Body, TxnHeader, encode};
use paddock::replica::Restored;
use paddock::tree::acl::{AclId, Identity, perms};
use paddock::tree::data_tree::DataTree;
use paddock::tree::stat::{OwnerRules, StatFields};

const FIRST: i64 = 0x100_0000_0000_0001;
const SECOND: i64 = 0x200_0000_0000_0002;

fn restored() -> Restored {
    Restored::new(1, OwnerRules::default(), true)
}

fn acl(perms: i32) -> Option<Vec<Acl<'static>>> {
    Some(vec![Acl { perms, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } }])
}

fn entry(perms: i32) -> (i32, Option<String>, Option<String>) {
    (perms, Some("world".to_owned()), Some("anyone".to_owned()))
}

fn create(path: &'static str, parent_c_version: i32, ephemeral: bool) -> Body<'static> {
    let (path, data) = (Some(path.into()), Some(b"d".as_slice().into()));
    Body::Create(records::CreateTxn { path, data, acl: acl(perms::ALL), ephemeral, parent_c_version })
}

fn delete(path: &'static str) -> Body<'static> {
    Body::Delete(records::DeleteTxn { path: Some(path.into()) })
}

fn set_data(path: &'static str, version: i32) -> Body<'static> {
    Body::SetData(records::SetDataTxn { path: Some(path.into()), data: Some(b"new".as_slice().into()), version })
}

fn payload(zxid: i64, session: i64, op: OpCode, body: &Body<'_>) -> Vec<u8> {
    encode(&TxnHeader { client_id: session, cxid: 1, zxid, time: 100 + zxid, type_: op.0 }, body, None)
}

/// A life: sessions come and go, a znode is deleted and made again, and what is below it too.
fn life() -> Vec<Vec<u8>> {
    let session = Body::CreateSession(records::CreateSessionTxn { time_out: 4000 });
    let close = Body::CloseSession(Some(records::CloseSessionTxn { paths2_delete: Some(vec![Some("/p/e".into())]) }));
    let txns = [
        (FIRST, OpCode::CREATE_SESSION, session.clone()),
        (FIRST, OpCode::CREATE, create("/p", 1, false)),
        (FIRST, OpCode::CREATE, create("/p/a", 1, false)),
        (FIRST, OpCode::CREATE, create("/p/e", 2, true)),
        (FIRST, OpCode::SET_DATA, set_data("/p/a", 1)),
        (FIRST, OpCode::CREATE, create("/p/a/b", 1, false)),
        (FIRST, OpCode::DELETE, delete("/p/a/b")),
        (FIRST, OpCode::DELETE, delete("/p/a")),
        (SECOND, OpCode::CREATE_SESSION, session),
        (FIRST, OpCode::CREATE, create("/p/a", 3, false)),
        (FIRST, OpCode::CREATE, create("/p/a/b", 1, false)),
        (FIRST, OpCode::SET_DATA, set_data("/p/a", 1)),
        (FIRST, OpCode::CLOSE_SESSION, close),
        (SECOND, OpCode::CREATE, create("/p/f", 4, true)),
        (SECOND, OpCode::DELETE, delete("/p/a/b")),
    ];
    (1..).zip(txns).map(|(zxid, (session, op, body))| payload(zxid, session, op, &body)).collect()
}

fn state(restored: Restored) -> (u64, Vec<(SessionId, i32)>, Zxid) {
    let (tree, sessions) = restored.finish();
    (tree.digest(), sessions, tree.last_zxid())
}

/// 3144: sessions. 3145, 3249: ephemerals and closed sessions. 3125: pzxid and cversion. The digest tells of all of them. From every point at
/// which an image can have been begun and ended, up to every end of the log.
#[test]
fn zookeeper_3125_3144_3145_3249_a_replay_over_a_fuzzy_image_gives_the_same_state() {
    let life = life();
    for end in 1..=life.len() {
        let mut straight = restored();
        life[..end].iter().for_each(|txn| straight.txn(txn).expect("a txn"));
        let right = state(straight);
        for image_ends in 0..=end {
            for image_begins in 0..=image_ends {
                let mut fuzzy = restored();
                life[..image_ends].iter().for_each(|txn| fuzzy.txn(txn).expect("a txn"));
                fuzzy.snapshot_loaded(Zxid(image_begins as i64), None);
                life[image_begins..end].iter().for_each(|txn| fuzzy.txn(txn).expect("a txn"));
                assert_eq!(state(fuzzy), right, "an image from {image_begins} to {image_ends}, a log up to {end}");
            }
        }
    }
}

/// Java moved its last zxid in the middle of a multi, and named a snapshot by it that holds the first part only.
#[test]
fn zookeeper_3127_a_multi_of_which_an_image_holds_a_part_is_whole_again() {
    let parts = || vec![(OpCode::CREATE, create("/m", 1, false)), (OpCode::CREATE, create("/m/a", 1, false))];
    let multi = payload(2, FIRST, OpCode::MULTI, &Body::Multi(parts()));
    let mut straight = restored();
    straight.txn(&multi).expect("a txn");
    let mut fuzzy = restored();
    fuzzy.txn(&payload(2, FIRST, OpCode::CREATE, &create("/m", 1, false))).expect("a txn");
    fuzzy.snapshot_loaded(Zxid(1), None);
    fuzzy.txn(&multi).expect("a txn");
    assert_eq!(state(fuzzy), state(straight));
}

fn tree_of(restored: Restored) -> DataTree {
    restored.finish().0
}

#[test]
fn zookeeper_4743_a_version_is_the_one_of_the_txn() {
    let mut twice = restored();
    twice.txn(&payload(1, FIRST, OpCode::CREATE, &create("/a", 1, false))).expect("a txn");
    for version in [i32::MAX, i32::MIN, -1, -1, 0] {
        twice.txn(&payload(2, FIRST, OpCode::SET_DATA, &set_data("/a", version))).expect("a txn");
        let mut again = restored();
        again.txn(&payload(1, FIRST, OpCode::CREATE, &create("/a", 1, false))).expect("a txn");
        for _ in 0..2 {
            again.txn(&payload(2, FIRST, OpCode::SET_DATA, &set_data("/a", version))).expect("a txn");
        }
        let tree = tree_of(again);
        assert_eq!(tree.stat_fields(tree.find("/a").expect("created")).version, version);
    }
}

/// create2 in a multi was skipped by servers that did not know it. What nobody knows is refused before anything of it is applied.
#[test]
fn zookeeper_4026_u7_a_multi_is_applied_whole_or_refused() {
    let parts = vec![(OpCode::CREATE2, create("/m", 1, false)), (OpCode::CREATE2, create("/m/a", 1, false))];
    let mut known = restored();
    known.txn(&payload(1, FIRST, OpCode::MULTI, &Body::Multi(parts))).expect("a txn");
    assert!(tree_of(known).find("/m/a").is_some());

    let parts = vec![(OpCode::CREATE, create("/m", 1, false)), (OpCode(99), create("/m/a", 1, false))];
    let mut unknown = restored();
    let error = unknown.txn(&payload(1, FIRST, OpCode::MULTI, &Body::Multi(parts))).expect_err("nobody knows 99");
    assert!(error.contains("99"), "{error}");
    let tree = tree_of(unknown);
    assert_eq!((tree.find("/m"), tree.last_zxid()), (None, Zxid(0)));
}

/// A log that an old leader has poisoned with a check is read, by a server to which Java's can be moved over.
#[test]
fn zookeeper_2623_a_check_in_the_log_changes_nothing_and_an_unknown_txn_is_refused() {
    let check = Body::Check(records::CheckVersionTxn { path: Some("/a".into()), version: 1 });
    let mut poisoned = restored();
    poisoned.txn(&payload(1, FIRST, OpCode::CHECK, &check)).expect("it can be read");
    poisoned.txn(&payload(2, FIRST, OpCode::CREATE, &create("/a", 1, false))).expect("and what follows it");
    assert!(poisoned.txn(&payload(3, FIRST, OpCode(99), &check)).is_err());
    assert_eq!(tree_of(poisoned).last_zxid(), Zxid(2));
}

fn load(restored: &mut Restored, path: &str, acl: i64) {
    restored.znode(path, None, acl, StatFields::default()).expect("it fits");
}

/// The map of ACLs and what refers to it are counted anew: Java lost a list that was in use, or kept one that was not.
#[test]
fn zookeeper_3306_4846_uses_of_acls_are_counted_by_what_the_znodes_say() {
    let mut image = restored();
    image.reset(true);
    image.acl(5, vec![entry(perms::READ)]).expect("an id");
    image.acl(9, vec![entry(perms::WRITE)]).expect("an id");
    for (path, id) in [("", -1), ("/zookeeper", -1), ("/a", 5), ("/b", 5)] {
        load(&mut image, path, id);
    }
    image.snapshot_loaded(Zxid(7), None);
    image.txn(&payload(8, FIRST, OpCode::DELETE, &delete("/a"))).expect("a txn");
    let tree = tree_of(image);
    let kept = tree.find("/b").expect("loaded");
    assert!(tree.acl(kept).allows(perms::READ, &[]) && !tree.acl(kept).allows(perms::WRITE, &[]));
    assert_eq!((tree.acls().contains(AclId(5)), tree.acls().contains(AclId(9))), (true, false));
}

/// The image is ahead of the log: it has a list that a later txn set. Java's create kept it.
#[test]
fn zookeeper_4689_4846_a_create_over_a_znode_of_the_image_has_its_own_acl() {
    let mut image = restored();
    image.reset(true);
    image.acl(5, vec![entry(perms::READ)]).expect("an id");
    for (path, id) in [("", -1), ("/zookeeper", -1), ("/a", 5)] {
        load(&mut image, path, id);
    }
    image.snapshot_loaded(Zxid(7), None);
    image.txn(&payload(8, FIRST, OpCode::CREATE, &create("/a", 1, false))).expect("a txn");
    let tree = tree_of(image);
    let id = tree.find("/a").expect("loaded");
    assert_eq!(tree.acl(id).entries().iter().map(|entry| entry.perms).collect::<Vec<_>>(), [perms::ALL]);
    assert!(!tree.acls().contains(AclId(5)), "nobody uses it any more");
}

/// Java fails to load such an image, or opens the znode to all.
#[test]
fn zookeeper_4689_an_acl_that_the_map_does_not_hold_allows_nobody() {
    let mut image = restored();
    image.reset(true);
    for (path, id) in [("", -1), ("/zookeeper", -1), ("/a", 5)] {
        load(&mut image, path, id);
    }
    image.snapshot_loaded(Zxid(7), None);
    // A new list does not get the id that the znode has.
    image.txn(&payload(8, FIRST, OpCode::CREATE, &create("/b", 1, false))).expect("a txn");
    let tree = tree_of(image);
    let anyone = [Identity::new("ip", "127.0.0.1"), Identity::new("digest", "a:b")];
    let id = tree.find("/a").expect("loaded");
    assert!((0..5).all(|bit| !tree.acl(id).allows(1 << bit, &anyone)));
}
