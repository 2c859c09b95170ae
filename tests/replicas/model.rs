//! What the committed txns make of the znodes, reckoned beside the server's own tree.

use std::collections::{BTreeMap, BTreeSet};

use paddock::ids::{SessionId, Zxid};
use paddock::proto::op_code::OpCode;
use paddock::proto::txn::{Body, Txn};
use paddock::tree::data_tree::DataTree;
use paddock::tree::watch::EventType;

use crate::requests::CONFIG;

/// Stands in the names of sequential znodes in front of their number, and in no other name.
pub const SEQUENTIAL: char = 'q';

#[derive(Default)]
pub struct Znode {
    /// The session of an ephemeral, or 0.
    pub owner: i64,
    pub version: i32,
    pub data: Vec<u8>,
    pub children: BTreeSet<String>,
    newest_number: Option<i64>,
}

/// What one txn did.
pub struct Done {
    /// Who asked for it: session and number of the request.
    pub asked_by: (SessionId, i32),
    pub created: Vec<String>,
    pub is_idle: bool,
}

pub struct Model {
    pub znodes: BTreeMap<String, Znode>,
    /// What happened to each path, in order.
    pub changes: BTreeMap<String, Vec<(Zxid, EventType)>>,
    /// Every path that ever was.
    pub created: BTreeSet<String>,
    ended: BTreeSet<i64>,
    change_count: usize,
    /// What is committed of the members; empty as long as nobody has asked for others.
    members: Vec<u8>,
    /// How often others were agreed on.
    pub member_changes: usize,
}

pub fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The parts of a txn, or nothing of a multi that failed.
fn parts(txn: Txn<'_>) -> Vec<Body<'_>> {
    match txn.body {
        Body::Multi(parts) if parts.iter().any(|(op, _)| *op == OpCode::ERROR) => Vec::new(),
        Body::Multi(parts) => parts.into_iter().map(|(_, body)| body).collect(),
        body => vec![body],
    }
}

impl Model {
    pub fn new() -> Self {
        let znodes = [("/".to_owned(), Znode::default())].into();
        Self {
            znodes,
            changes: BTreeMap::new(),
            created: BTreeSet::new(),
            ended: BTreeSet::new(),
            change_count: 0,
            members: Vec::new(),
            member_changes: 0,
        }
    }

    pub fn apply(&mut self, zxid: Zxid, payload: &[u8]) -> Done {
        let txn = Txn::decode(payload).expect("a txn");
        let (session, before) = (txn.header.client_id, self.change_count);
        let mut done = Done { asked_by: (SessionId(session), txn.header.cxid), created: Vec::new(), is_idle: true };
        for body in parts(txn) {
            match body {
                Body::Create(create) => {
                    let path = create.path.expect("a path").into_owned();
                    let owner = if create.ephemeral { session } else { 0 };
                    self.create(zxid, &path, owner, create.data.unwrap_or_default().into_owned());
                    done.created.push(path);
                }
                Body::Delete(delete) => self.delete(zxid, &delete.path.expect("a path")),
                Body::SetData(set) => {
                    let path = set.path.expect("a path");
                    if path == CONFIG {
                        // Its version does not count, and nobody here watches it.
                        self.members = set.data.unwrap_or_default().into_owned();
                        (self.change_count, self.member_changes) = (self.change_count + 1, self.member_changes + 1);
                        continue;
                    }
                    let znode = self.znodes.get_mut(&*path).unwrap_or_else(|| panic!("{zxid} sets {path}, which is not there"));
                    (znode.version, znode.data) = (znode.version + 1, set.data.unwrap_or_default().into_owned());
                    assert_eq!(set.version, znode.version, "versions count up one by one: {path} at {zxid}");
                    self.changed(zxid, EventType::NodeDataChanged, &path);
                }
                Body::CloseSession(close) => {
                    let listed = close.and_then(|close| close.paths2_delete).unwrap_or_default();
                    let listed: BTreeSet<String> = listed.into_iter().flatten().map(Into::into).collect();
                    assert_eq!(listed, self.owned_by(session), "a session takes its ephemerals with it, and nothing else: {zxid}");
                    listed.iter().for_each(|path| self.delete(zxid, path));
                    self.ended.insert(session);
                }
                _ => {}
            }
        }
        done.is_idle = self.change_count == before;
        done
    }

    fn create(&mut self, zxid: Zxid, path: &str, owner: i64, data: Vec<u8>) {
        assert!(owner == 0 || !self.ended.contains(&owner), "{zxid}: {path} belongs to a session that is gone");
        let parent = self.znodes.get_mut(parent_of(path)).unwrap_or_else(|| panic!("{zxid}: {path} has no parent"));
        assert_eq!(parent.owner, 0, "{zxid}: {path} below an ephemeral");
        if let Some((_, digits)) = name_of(path).split_once(SEQUENTIAL) {
            let number: i64 = digits.parse().expect("ten digits");
            let newest = parent.newest_number.replace(number);
            assert!(newest.is_none_or(|newest| newest < number), "sequence numbers only grow: {path} at {zxid} comes after {newest:?}");
        }
        assert!(parent.children.insert(name_of(path).to_owned()), "{zxid} creates {path} once more");
        self.znodes.insert(path.to_owned(), Znode { owner, data, ..Znode::default() });
        self.created.insert(path.to_owned());
        self.changed(zxid, EventType::NodeCreated, path);
        self.changed(zxid, EventType::NodeChildrenChanged, parent_of(path));
    }

    fn delete(&mut self, zxid: Zxid, path: &str) {
        let znode = self.znodes.remove(path).unwrap_or_else(|| panic!("{zxid} deletes {path}, which is not there"));
        assert!(znode.children.is_empty(), "{zxid} deletes {path}, which has children");
        self.znodes.get_mut(parent_of(path)).expect("a parent").children.remove(name_of(path));
        self.changed(zxid, EventType::NodeDeleted, path);
        self.changed(zxid, EventType::NodeChildrenChanged, parent_of(path));
    }

    fn changed(&mut self, zxid: Zxid, event: EventType, path: &str) {
        self.change_count += 1;
        self.changes.entry(path.to_owned()).or_default().push((zxid, event));
    }

    /// The ephemerals of a session.
    pub fn owned_by(&self, session: i64) -> BTreeSet<String> {
        self.znodes.iter().filter(|(_, znode)| znode.owner == session && session != 0).map(|(path, _)| path.clone()).collect()
    }

    /// A server shows exactly this.
    pub fn compare(&self, tree: &DataTree) {
        if !self.members.is_empty() {
            let shown = tree.find(CONFIG).and_then(|id| tree.data(id)).unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(shown), String::from_utf8_lossy(&self.members), "the members that were agreed on last");
        }
        for (path, znode) in &self.znodes {
            let id = tree.find(path).unwrap_or_else(|| panic!("{path} is missing"));
            let stat = tree.stat(id);
            let data = tree.data(id).unwrap_or_default();
            let shown = (stat.ephemeral_owner, stat.version, data);
            assert_eq!(shown, (znode.owner, znode.version, &*znode.data), "owner, version and data of {path}");
            let children: BTreeSet<String> = tree.child_names(id).filter(|name| *name != "zookeeper").map(Into::into).collect();
            assert_eq!(children, znode.children, "children of {path}");
        }
    }
}
