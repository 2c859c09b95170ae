//! Walking the tree for a snapshot of exactly one zxid while txns go on being applied.
//!
//! The walker goes over the slots in slices, under the read lock. A znode that changes or goes before the walker came by leaves its
//! old form behind; one that is created meanwhile is passed over. Every znode is written behind its parent, as loaders demand.
//! Several walks may be under way, each with its own zxid: one for the disk, others for learners. They share the old forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use jute::Encode;

use super::acl::{AclEntry, AclList};
use super::data_tree::DataTree;
use super::stat::StatFields;
use super::store::{NodeId, Store};
use crate::ids::{SessionId, Zxid};
use crate::proto::records::data::{Acl, Id, StatPersisted};

/// A znode as it was when the snapshot began.
struct OldForm {
    parent: Option<NodeId>,
    path: String,
    data: Option<Box<[u8]>>,
    acl: i64,
    stat: StatFields,
}

/// The name of a walk, which no other walk has, on this tree or on another. A walk whose name nobody holds any more is over.
#[derive(Clone, Debug)]
pub struct WalkId(Arc<()>);

impl WalkId {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// There are more znodes.
    More,
    /// All are written, terminator included.
    Whole,
    /// This walk is not under way on this tree: the tree was replaced by another, or the walk was ended.
    Ended,
}

/// The part of a snapshot under way that the tree keeps up to date.
pub struct Frozen {
    id: WalkId,
    /// One bit a slot: written already, or not part of the snapshot.
    done: Vec<u64>,
    saved: BTreeMap<NodeId, Arc<OldForm>>,
    slot_count: u32,
    next: u32,
}

impl Frozen {
    fn new(store: &Store) -> Self {
        let slot_count = store.slot_count();
        let (id, done) = (WalkId(Arc::new(())), vec![0; slot_count as usize / 64 + 1]);
        let mut frozen = Self { id, done, saved: BTreeMap::new(), slot_count, next: 0 };
        for slot in (0..slot_count).map(NodeId).filter(|&slot| !store.is_live(slot)) {
            frozen.mark(slot);
        }
        frozen
    }

    fn is_done(&self, id: NodeId) -> bool {
        id.0 >= self.slot_count || self.done[id.0 as usize / 64] >> (id.0 % 64) & 1 == 1
    }

    fn mark(&mut self, id: NodeId) {
        if id.0 < self.slot_count {
            self.done[id.0 as usize / 64] |= 1 << (id.0 % 64);
        }
    }

    /// A node was made: it is not part of the snapshot. A saved form in the same slot still is.
    pub(super) fn created(&mut self, id: NodeId) {
        if !self.saved.contains_key(&id) {
            self.mark(id);
        }
    }

    fn lacks(&self, id: NodeId) -> bool {
        !self.is_done(id) && !self.saved.contains_key(&id)
    }

    /// Appends a node that belongs into the snapshot.
    fn write(&mut self, store: &Store, id: NodeId, out: &mut Vec<u8>) {
        self.mark(id);
        if let Some(form) = self.saved.remove(&id) {
            jute::writer::write_ustring(out, Some(&form.path));
            encode_rest(form.data.as_deref(), form.acl, &form.stat, out);
            return;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        store.append_path(id, out);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        encode_rest(store.data(id), store.acl(id).to_disk(), &store.stat(id), out);
    }

    fn parent_of(&self, store: &Store, id: NodeId) -> Option<NodeId> {
        match self.saved.get(&id) {
            Some(saved) => saved.parent,
            None => store.parent(id),
        }
    }
}

/// A node is about to change or to go: every walk that has not written it yet keeps how it was.
pub(super) fn before_change(walks: &mut [Frozen], store: &Store, id: NodeId) {
    let mut form: Option<Arc<OldForm>> = None;
    for frozen in walks.iter_mut().filter(|frozen| frozen.lacks(id)) {
        let form = form.get_or_insert_with(|| Arc::new(old_form(store, id)));
        frozen.saved.insert(id, Arc::clone(form));
    }
}

fn old_form(store: &Store, id: NodeId) -> OldForm {
    OldForm {
        parent: store.parent(id),
        path: store.path(id),
        data: store.data(id).map(Into::into),
        acl: store.acl(id).to_disk(),
        stat: store.stat(id),
    }
}

/// What stays the same for a whole snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotStart {
    /// The walk.
    pub walk: WalkId,
    /// The zxid that the snapshot stands for.
    pub zxid: Zxid,
    /// The digest of the tree at that zxid.
    pub digest: u64,
}

impl DataTree {
    /// Begins a snapshot of the tree as it is now. Appends the part before the znodes to `out`: sessions and ACLs.
    pub fn begin_snapshot(&mut self, sessions: &[(SessionId, i32)], out: &mut Vec<u8>) -> SnapshotStart {
        let frozen = Frozen::new(&self.store);
        let walk = frozen.id.clone();
        let walks = self.walks.get_mut();
        walks.retain(|frozen| Arc::strong_count(&frozen.id.0) > 1);
        walks.push(frozen);
        (sessions.len() as i32).encode(out);
        for (session, timeout_ms) in sessions {
            session.0.encode(out);
            timeout_ms.encode(out);
        }
        (self.acls.len() as i32).encode(out);
        for (id, list) in self.acls.iter() {
            id.to_disk().encode(out);
            encode_acl(list, out);
        }
        SnapshotStart { walk, zxid: self.last_zxid(), digest: self.digest() }
    }

    /// Appends the next znodes of a walk to `out`, until it holds `bytes`. Not called again once all are written.
    pub fn continue_snapshot(&self, walk: &WalkId, bytes: usize, out: &mut Vec<u8>) -> Walked {
        let mut walks = self.walks.lock();
        let Some(frozen) = walks.iter_mut().find(|frozen| frozen.id.is(walk)) else { return Walked::Ended };
        while frozen.next < frozen.slot_count {
            if out.len() >= bytes {
                return Walked::More;
            }
            let id = NodeId(frozen.next);
            frozen.next += 1;
            if !frozen.is_done(id) {
                self.write_with_ancestors(frozen, id, out);
            }
        }
        jute::writer::write_ustring(out, Some("/"));
        Walked::Whole
    }

    fn write_with_ancestors(&self, frozen: &mut Frozen, id: NodeId, out: &mut Vec<u8>) {
        let mut chain = Vec::new();
        let mut current = id;
        while let Some(parent) = frozen.parent_of(&self.store, current).filter(|&parent| !frozen.is_done(parent)) {
            chain.push(parent);
            current = parent;
        }
        for &id in chain.iter().rev().chain([&id]) {
            frozen.write(&self.store, id, out);
        }
    }

    /// Ends a walk: changes leave nothing behind for it any more.
    pub fn end_snapshot(&mut self, walk: &WalkId) {
        self.walks.get_mut().retain(|frozen| !frozen.id.is(walk));
    }
}

/// Appends what follows the path of a node.
fn encode_rest(data: Option<&[u8]>, acl: i64, stat: &StatFields, out: &mut Vec<u8>) {
    jute::writer::write_buffer(out, data);
    acl.encode(out);
    StatPersisted {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
        ephemeral_owner: stat.ephemeral_owner,
        pzxid: stat.pzxid,
    }
    .encode(out);
}

/// The record form of an ACL.
#[must_use]
pub fn acl_records(list: &AclList) -> Vec<Acl<'_>> {
    list.entries().iter().map(acl_record).collect()
}

fn acl_record(entry: &AclEntry) -> Acl<'_> {
    let id = Id { scheme: Some(entry.who.scheme.as_str().into()), id: Some(entry.who.id.as_str().into()) };
    Acl { perms: entry.perms, id }
}

fn encode_acl(list: &AclList, out: &mut Vec<u8>) {
    Some(acl_records(list)).encode(out);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jute::Reader;

    use super::*;
    use crate::tree::acl::{Identity, perms};
    use crate::tree::data_tree::Creation;
    use crate::tree::stat::OwnerRules;

    fn create(tree: &mut DataTree, path: &str, zxid: i64) {
        let parent = tree.find(crate::tree::path::split(path).expect("absolute").0).expect("parent exists");
        let acl = tree.acls.intern(vec![AclEntry { perms: perms::ALL, who: Identity::new("world", "anyone") }]);
        let data = Some(path.as_bytes());
        tree.create(parent, Creation { path, data, acl, owner: 0, parent_cversion: -1, zxid: Zxid(zxid), time_ms: 1 });
    }

    /// The znodes of a body, in their order; checks that parents come first.
    fn nodes(body: &[u8]) -> BTreeMap<String, (Vec<u8>, i64)> {
        let mut reader = Reader::new(body);
        let mut found = BTreeMap::new();
        loop {
            let path = reader.read_ustring().expect("whole").expect("a path").into_owned();
            if path == "/" {
                assert_eq!(reader.remaining(), 0);
                return found;
            }
            let parent = path.rfind('/').map_or("", |slash| &path[..slash]);
            assert!(path.is_empty() || found.contains_key(parent), "{path} comes before its parent");
            let data = reader.read_buffer().expect("whole").unwrap_or_default().to_vec();
            reader.read_long().expect("acl");
            let stat: StatPersisted = jute::Decode::decode(&mut reader).expect("whole");
            assert!(found.insert(path, (data, stat.mzxid)).is_none(), "a znode is there once");
        }
    }

    #[test]
    fn a_snapshot_is_of_one_zxid_whatever_happens_meanwhile() {
        let mut tree = DataTree::new(1, OwnerRules::default(), true);
        for (index, path) in ["/a", "/a/b", "/a/b/c", "/d", "/e"].into_iter().enumerate() {
            create(&mut tree, path, index as i64 + 1);
        }
        let mut head = Vec::new();
        let walk = tree.begin_snapshot(&[(SessionId(5), 1000)], &mut head).walk;
        let (mut whole, mut body) = (Vec::new(), Vec::new());
        while tree.continue_snapshot(&walk, 1, &mut body) == Walked::More {
            whole.append(&mut body);
            change_everything(&mut tree);
        }
        whole.append(&mut body);
        let found = nodes(&whole);
        let paths: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(paths, ["", "/a", "/a/b", "/a/b/c", "/d", "/e", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]);
        assert_eq!(found["/d"], (b"/d".to_vec(), 4));
        assert_eq!(found["/a/b/c"], (b"/a/b/c".to_vec(), 3));
        tree.end_snapshot(&walk);
        assert_eq!(tree.continue_snapshot(&walk, 1, &mut body), Walked::Ended);
    }

    /// A disk and two learners at once, each with the state of its own beginning, whatever the others have written already.
    #[test]
    fn several_walks_do_not_disturb_one_another() {
        let mut tree = DataTree::new(1, OwnerRules::default(), true);
        let mut walks = Vec::new();
        for count in 1..=3 {
            create(&mut tree, &format!("/n{count}"), count);
            let start = tree.begin_snapshot(&[], &mut Vec::new());
            assert_eq!(start.zxid, tree.last_zxid());
            let mut body = Vec::new();
            // Each is some znodes ahead of the next one.
            (0..4 - count).for_each(|_| assert_eq!(tree.continue_snapshot(&start.walk, body.len() + 1, &mut body), Walked::More));
            walks.push((start.walk, body, count));
        }
        for count in 1..=3 {
            let id = tree.find(&format!("/n{count}")).expect("created");
            tree.set_data(id, &format!("/n{count}"), Some(b"changed"), 1, Zxid(9), 9);
        }
        for (walk, mut body, count) in walks {
            assert_eq!(tree.continue_snapshot(&walk, usize::MAX, &mut body), Walked::Whole);
            let found = nodes(&body);
            let expected: Vec<_> = (1..=count).map(|n| (format!("/n{n}"), (format!("/n{n}").into_bytes(), n))).collect();
            let seen: Vec<_> = found.into_iter().filter(|(path, _)| path.starts_with("/n")).collect();
            assert_eq!(seen, expected, "the walk that began with {count}");
        }
        tree.begin_snapshot(&[], &mut Vec::new());
        assert_eq!(tree.walks.get_mut().len(), 1, "walks whose names are gone are over");
    }

    #[test]
    fn a_walk_does_not_go_on_in_another_tree() {
        let mut tree = DataTree::new(1, OwnerRules::default(), true);
        let walk = tree.begin_snapshot(&[], &mut Vec::new()).walk;
        let mut other = DataTree::new(1, OwnerRules::default(), true);
        let _other = other.begin_snapshot(&[], &mut Vec::new());
        assert_eq!(other.continue_snapshot(&walk, 1, &mut Vec::new()), Walked::Ended);
    }

    /// Deletes, recreates in reused slots and changes; does nothing when called again.
    fn change_everything(tree: &mut DataTree) {
        if tree.find("/new").is_some() {
            return;
        }
        let a = tree.find("/a").expect("still there");
        tree.remove_subtree(a, "/a");
        create(tree, "/new", 10);
        create(tree, "/new/x", 11);
        create(tree, "/a", 12);
        let d = tree.find("/d").expect("still there");
        tree.set_data(d, "/d", Some(b"changed"), 1, Zxid(13), 9);
    }
}
