//! Applying a committed txn to the tree: the same for live traffic, for the log at start, and later for a learner.
//!
//! The rules are those of `DataTree.processTxn` (quorum-protocol.md §3.2), and in replay over a fuzzy snapshot those of
//! disk-formats.md §6.3 where Java loses znodes: a logged delete takes everything below with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::acl::AclList;
use super::data_tree::{Creation, DataTree};
use super::path;
use super::stat::CONTAINER_OWNER;
use super::watch::EventType;
use crate::ids::{SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::records::data::{Acl, Stat};
use crate::proto::records::txn as records;
use crate::proto::txn::{Body, Txn, TxnHeader};

/// Is told of every change that a watch can see, after it was made and in the order of client-protocol.md §6.3.
pub trait Observer {
    /// `acl` is the list that guards the event: the znode's own, or the parent's for a change of children.
    fn changed(&mut self, event: EventType, path: &str, zxid: Zxid, acl: &AclList);

    /// A znode was created, changed or deleted, and so many bytes of data were written into it.
    fn written(&mut self, _path: &str, _data_bytes: usize) {}
}

/// Nobody watches: replay at start.
impl Observer for () {
    fn changed(&mut self, _: EventType, _: &str, _: Zxid, _: &AclList) {}
}

/// What became of a txn or of one part of a multi: what the reply to the client is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied<'a> {
    /// A znode was created.
    Created {
        /// The op of the request: decides on the form of the reply.
        op: OpCode,
        /// The path with its sequence number.
        path: &'a str,
        /// The new znode's stat.
        stat: Stat,
    },
    /// A znode was deleted.
    Deleted,
    /// Data or ACL changed; the stat afterwards.
    Changed {
        /// The op of the request.
        op: OpCode,
        /// The stat afterwards.
        stat: Stat,
    },
    /// The configuration of the ensemble changed: its text, and the stat of `/zookeeper/config` afterwards.
    Reconfigured {
        /// The text.
        text: &'a [u8],
        /// The stat afterwards.
        stat: Stat,
    },
    /// A version check held.
    Checked,
    /// A session began or ended.
    Session,
    /// The txn failed.
    Failed(ErrorCode),
    /// Everything that the leader had committed when the sync came is applied. The request's path, as it came.
    Synced(Option<&'a str>),
    /// The parts of a multi.
    Multi(Vec<Applied<'a>>),
}

impl DataTree {
    /// Applies a txn, tells `observer` what watches can see, and moves the last zxid.
    pub fn apply<'a>(&mut self, txn: &'a Txn<'_>, observer: &mut impl Observer) -> Applied<'a> {
        let applied = match &txn.body {
            Body::Multi(ops) => self.apply_multi(&txn.header, ops, observer),
            body => self.apply_body(&txn.header, OpCode(txn.header.type_), body, observer),
        };
        self.applied(Zxid(txn.header.zxid));
        applied
    }

    fn apply_multi<'a>(&mut self, header: &TxnHeader, ops: &'a [(OpCode, Body<'_>)], observer: &mut impl Observer) -> Applied<'a> {
        let failed = ops.iter().any(|(op, _)| *op == OpCode::ERROR);
        if !failed {
            return Applied::Multi(ops.iter().map(|(op, body)| self.apply_body(header, *op, body, observer)).collect());
        }
        let error_of = |body: &Body<'_>| match body {
            Body::Error(error) => ErrorCode(error.err),
            _ => ErrorCode::OK,
        };
        Applied::Multi(ops.iter().map(|(_, body)| Applied::Failed(error_of(body))).collect())
    }

    fn apply_body<'a>(&mut self, header: &TxnHeader, op: OpCode, body: &'a Body<'_>, observer: &mut impl Observer) -> Applied<'a> {
        match body {
            Body::Create(txn) => {
                let owner = if txn.ephemeral { header.client_id } else { 0 };
                self.apply_create(header, op, &txn.path, txn.data.as_deref(), &txn.acl, txn.parent_c_version, owner, observer)
            }
            Body::CreateContainer(txn) => {
                self.apply_create(header, op, &txn.path, txn.data.as_deref(), &txn.acl, txn.parent_c_version, CONTAINER_OWNER, observer)
            }
            Body::CreateTtl(txn) => {
                let owner = self.rules().ttl_owner(txn.ttl);
                self.apply_create(header, op, &txn.path, txn.data.as_deref(), &txn.acl, txn.parent_c_version, owner, observer)
            }
            Body::Delete(txn) => {
                let zxid = Zxid(header.zxid);
                self.apply_delete(zxid, zxid, text(&txn.path), observer)
            }
            Body::SetData(txn) => self.apply_set_data(header, op, txn, observer),
            Body::SetAcl(txn) => self.apply_set_acl(txn),
            Body::Check(_) => Applied::Checked,
            Body::CreateSession(_) => Applied::Session,
            Body::CloseSession(txn) => self.apply_close(header, txn.as_ref(), observer),
            Body::Error(txn) => Applied::Failed(ErrorCode(txn.err)),
            Body::Multi(_) => Applied::Failed(ErrorCode::MARSHALLING_ERROR),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn apply_create<'a>(
        &mut self,
        header: &TxnHeader,
        op: OpCode,
        path: &'a Option<std::borrow::Cow<'_, str>>,
        data: Option<&[u8]>,
        acl: &Option<Vec<Acl<'_>>>,
        parent_cversion: i32,
        owner: i64,
        observer: &mut impl Observer,
    ) -> Applied<'a> {
        let path = text(path);
        let zxid = Zxid(header.zxid);
        let Some(parent) = self.parent_of(path) else { return Applied::Failed(ErrorCode::NO_NODE) };
        let acl = self.acls.intern_records(acl.as_deref().unwrap_or_default());
        if let Some(existing) = self.find(path) {
            self.set_acl(existing, acl, None);
            if op == OpCode::CREATE {
                self.raise_cversion(parent, parent_cversion, zxid);
            }
            return Applied::Failed(ErrorCode::NODE_EXISTS);
        }
        let id = self.create(parent, Creation { path, data, acl, owner, parent_cversion, zxid, time_ms: header.time });
        observer.written(path, data.map_or(0, <[u8]>::len));
        observer.changed(EventType::NodeCreated, path, zxid, self.acl(id));
        observer.changed(EventType::NodeChildrenChanged, path::event_parent(path), zxid, self.acl(parent));
        Applied::Created { op, path, stat: self.stat(id) }
    }

    /// `pzxid` is what the parent says of it.
    fn apply_delete(&mut self, zxid: Zxid, pzxid: Zxid, path: &str, observer: &mut impl Observer) -> Applied<'static> {
        let Some(parent) = self.parent_of(path) else {
            return Applied::Failed(ErrorCode::NO_NODE);
        };
        let Some(id) = self.find(path).filter(|_| path.len() > 1) else {
            self.raise_pzxid(parent, pzxid);
            return Applied::Failed(ErrorCode::NO_NODE);
        };
        let (own_acl, parent_acl) = (Arc::clone(self.acl(id)), Arc::clone(self.acl(parent)));
        self.remove_subtree(id, path);
        self.raise_pzxid(parent, pzxid);
        observer.written(path, 0);
        observer.changed(EventType::NodeDeleted, path, zxid, &own_acl);
        observer.changed(EventType::NodeChildrenChanged, path::event_parent(path), zxid, &parent_acl);
        Applied::Deleted
    }

    fn apply_set_data<'a>(
        &mut self,
        header: &TxnHeader,
        op: OpCode,
        txn: &'a records::SetDataTxn<'_>,
        observer: &mut impl Observer,
    ) -> Applied<'a> {
        let path = text(&txn.path);
        let Some(id) = self.find(path) else { return Applied::Failed(ErrorCode::NO_NODE) };
        let zxid = Zxid(header.zxid);
        self.set_data(id, path, txn.data.as_deref(), txn.version, zxid, header.time);
        observer.written(path, self.data(id).map_or(0, <[u8]>::len));
        observer.changed(EventType::NodeDataChanged, path, zxid, self.acl(id));
        let stat = self.stat(id);
        match op {
            OpCode::RECONFIG => Applied::Reconfigured { text: txn.data.as_deref().unwrap_or_default(), stat },
            _ => Applied::Changed { op, stat },
        }
    }

    fn apply_set_acl(&mut self, txn: &records::SetAclTxn<'_>) -> Applied<'static> {
        let Some(id) = self.find(text(&txn.path)) else { return Applied::Failed(ErrorCode::NO_NODE) };
        let acl = self.acls.intern_records(txn.acl.as_deref().unwrap_or_default());
        self.set_acl(id, acl, Some(txn.version));
        Applied::Changed { op: OpCode::SET_ACL, stat: self.stat(id) }
    }

    /// Deletes the listed paths, then whatever the session still owns.
    ///
    /// What a list leaves out the leader had not: a Java leader removes ephemerals whose session it does not know when it takes office,
    /// as of the end of its history and without a txn (ZOOKEEPER-5010). Its parents' pzxids are from then.
    fn apply_close(
        &mut self,
        header: &TxnHeader,
        txn: Option<&records::CloseSessionTxn<'_>>,
        observer: &mut impl Observer,
    ) -> Applied<'static> {
        let zxid = Zxid(header.zxid);
        let listed = txn.and_then(|txn| txn.paths2_delete.as_ref());
        for path in listed.into_iter().flatten() {
            self.apply_delete(zxid, zxid, text(path), observer);
        }
        let pzxid = listed.and_then(|_| self.history_before(zxid)).unwrap_or(zxid);
        let owned: BTreeSet<String> = self.ephemerals_of(SessionId(header.client_id));
        for path in &owned {
            self.apply_delete(zxid, pzxid, path, observer);
        }
        Applied::Session
    }
}

/// A null path names nothing: no znode is found under it.
fn text<'a>(path: &'a Option<std::borrow::Cow<'_, str>>) -> &'a str {
    path.as_deref().unwrap_or("\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::records::data::Id;
    use crate::tree::acl::AclId;
    use crate::tree::stat::{OwnerRules, StatFields};

    fn open() -> Option<Vec<Acl<'static>>> {
        Some(vec![Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } }])
    }

    fn create(path: &str, data: &str, zxid: i64, time: i64, ephemeral: bool, parent_c_version: i32) -> Txn<'static> {
        let body = Body::Create(records::CreateTxn {
            path: Some(path.to_owned().into()),
            data: Some(data.as_bytes().to_vec().into()),
            acl: open(),
            ephemeral,
            parent_c_version,
        });
        Txn { header: TxnHeader { client_id: 0x0100_0000_0000_0055, cxid: 1, zxid, time, type_: 1 }, body, digest: None }
    }

    fn delete(path: &str, zxid: i64) -> Txn<'static> {
        let body = Body::Delete(records::DeleteTxn { path: Some(path.to_owned().into()) });
        Txn { header: TxnHeader { client_id: 1, cxid: 1, zxid, time: 5, type_: 2 }, body, digest: None }
    }

    /// The digests of quorum-protocol.md §7.
    #[test]
    fn digests_are_those_of_java() {
        let mut tree = DataTree::new(1, OwnerRules::default(), true);
        tree.apply(&create("/e", "x", 0x1_0000_0002, 0x1a2_02fb_ec2a, true, 1), &mut ());
        assert_eq!(tree.digest(), 0x1_c15f_8612);
        let Body::Create(inner) = create("/m", "y", 0, 0, false, 2).body else { unreachable!("a create") };
        let multi = Txn {
            header: TxnHeader { client_id: 0x0100_0000_0000_0055, cxid: 2, zxid: 0x1_0000_0004, time: 0x1a2_02fb_ec32, type_: 14 },
            body: Body::Multi(vec![(OpCode::CREATE, Body::Create(inner))]),
            digest: None,
        };
        tree.apply(&multi, &mut ());
        assert_eq!(tree.digest(), 0x2_7b1a_7806);
        let close = Txn {
            header: TxnHeader { client_id: 0x0100_0000_0000_0055, cxid: 3, zxid: 0x1_0000_0005, time: 1, type_: -11 },
            body: Body::CloseSession(Some(records::CloseSessionTxn { paths2_delete: Some(vec![Some("/e".into())]) })),
            digest: None,
        };
        tree.apply(&close, &mut ());
        assert_eq!(tree.digest(), 0x1_7362_1a84);
        assert_eq!(tree.last_zxid(), Zxid(0x1_0000_0005));
    }

    /// A Java leader has removed an ephemeral of a session that it does not know, in its own tree, when it took office.
    #[test]
    fn zookeeper_5010_what_a_list_leaves_out_went_when_the_epoch_began() {
        let (last, zxid) = (0x1_0000_0005, 0x2_0000_0003);
        let kept = create("/kept", "", 0x1_0000_0001, 1, false, 1);
        let orphan = create("/kept/orphan", "", last, 1, true, 1);
        let (mut leader, mut learner) = (DataTree::new(1, OwnerRules::default(), true), DataTree::new(1, OwnerRules::default(), true));
        for tree in [&mut leader, &mut learner] {
            [&kept, &orphan].into_iter().for_each(|txn| drop(tree.apply(txn, &mut ())));
        }
        leader.apply_delete(Zxid(last), Zxid(last), "/kept/orphan", &mut ());
        let later = create("/later", "", zxid - 1, 1, false, 2);
        let paths2_delete = Some(Vec::new());
        let header = TxnHeader { client_id: orphan.header.client_id, cxid: 0, zxid, time: 1, type_: -11 };
        let close = Txn { header, body: Body::CloseSession(Some(records::CloseSessionTxn { paths2_delete })), digest: None };
        for tree in [&mut leader, &mut learner] {
            [&later, &close].into_iter().for_each(|txn| drop(tree.apply(txn, &mut ())));
        }
        assert!(learner.find("/kept/orphan").is_none());
        assert_eq!(learner.digest(), leader.digest());
    }

    /// disk-formats.md §6.3: Java loses /a/b here.
    #[test]
    fn replay_over_a_fuzzy_snapshot_loses_no_znode() {
        let log = [create("/a", "", 1, 1, false, 1), delete("/a", 2), create("/a", "", 3, 3, false, 2), create("/a/b", "", 4, 4, false, 1)];
        let mut right = DataTree::new(1, OwnerRules::default(), true);
        let mut fuzzy = DataTree::new(1, OwnerRules::default(), true);
        for txn in &log {
            right.apply(txn, &mut ());
            fuzzy.apply(txn, &mut ());
        }
        for txn in &log[1..] {
            fuzzy.apply(txn, &mut ());
        }
        let a = fuzzy.find("/a").expect("created last");
        assert_eq!(fuzzy.child_names(a).collect::<Vec<_>>(), ["b"]);
        assert_eq!(fuzzy.digest(), right.digest());
    }

    /// A log or a snapshot can say what no client may: the root's own path is "", so "//a" is nobody's child.
    #[test]
    fn paths_that_name_no_znode_make_none() {
        let mut tree = DataTree::new(1, OwnerRules::default(), true);
        let (count, digest) = (tree.node_count(), tree.digest());
        for (zxid, path) in ["//a", "/zookeeper/", "/", "", "a"].into_iter().enumerate() {
            let txn = create(path, "x", zxid as i64 + 1, 1, false, -1);
            let applied = tree.apply(&txn, &mut ());
            assert_eq!(applied, Applied::Failed(ErrorCode::NO_NODE), "{path:?}");
            assert!(path.len() < 2 || tree.load_node(path, None, AclId::OPEN, StatFields::default()).is_err(), "{path:?}");
        }
        assert_eq!((tree.node_count(), tree.digest()), (count, digest));
    }

    #[test]
    fn every_part_of_a_multi_is_applied() {
        let bodies = || {
            let parts = [create("/m", "x", 0, 0, false, 1), create("/m/a", "y", 0, 0, false, 1), create("/m/b", "z", 0, 0, true, 2)];
            parts.into_iter().map(|txn| (OpCode::CREATE, txn.body)).chain([(OpCode::DELETE, delete("/m/a", 0).body)])
        };
        let header = |type_| TxnHeader { client_id: 7, cxid: 1, zxid: 9, time: 5, type_ };
        let mut one_by_one = DataTree::new(1, OwnerRules::default(), true);
        for (op, body) in bodies() {
            one_by_one.apply(&Txn { header: header(op.0), body, digest: None }, &mut ());
        }
        let mut at_once = DataTree::new(1, OwnerRules::default(), true);
        let multi = Txn { header: header(14), body: Body::Multi(bodies().collect()), digest: None };
        let Applied::Multi(parts) = at_once.apply(&multi, &mut ()) else { panic!("a multi has parts") };
        assert_eq!((parts.len(), parts.last()), (4, Some(&Applied::Deleted)));
        assert_eq!((at_once.node_count(), at_once.digest()), (one_by_one.node_count(), one_by_one.digest()));
        assert!(at_once.find("/m/b").is_some() && at_once.find("/m/a").is_none());
    }

    #[test]
    fn a_failed_multi_changes_nothing() {
        let mut tree = DataTree::new(1, OwnerRules::default(), true);
        let before = tree.digest();
        let error = |err| (OpCode::ERROR, Body::Error(records::ErrorTxn { err }));
        let header = TxnHeader { client_id: 1, cxid: 1, zxid: 1, time: 1, type_: 14 };
        let txn = Txn { header, body: Body::Multi(vec![error(0), error(-101), error(-2)]), digest: None };
        let failed = [0, -101, -2].map(|code| Applied::Failed(ErrorCode(code)));
        assert_eq!(tree.apply(&txn, &mut ()), Applied::Multi(failed.to_vec()));
        assert_eq!((tree.digest(), tree.last_zxid()), (before, Zxid(1)));
    }
}
