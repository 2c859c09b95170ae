//! The znodes in memory: a slab addressed by 32-bit ids, one hash table over path hashes, siblings as an intrusive list.
//!
//! A plain persistent znode costs 64 bytes here, one allocation for name and data, and about 8 bytes of hash table. What is usually
//! equal is stored once: a znode that was never changed and has no children has no `More`. A node keeps its name, not its path;
//! a look-up by path hash is verified by walking up the names.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::acl::AclId;
use super::slab::{NONE, Slab};
use super::stat::StatFields;

/// A znode's place in the store. Reused after the znode is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// The root's place: it exists from the beginning and for ever.
pub const ROOT: NodeId = NodeId(0);

const NULL_DATA: u32 = 1 << 31;
const IN_DIGEST: u32 = 1 << 30;
const NAME_LENGTH: u32 = IN_DIGEST - 1;

struct Node {
    parent: u32,
    next: u32,
    previous: u32,
    hash: u32,
    prefix_crc: u32,
    acl: AclId,
    more: u32,
    name_and_flags: u32,
    czxid: i64,
    ctime: i64,
    /// The name, then the data.
    payload: Box<[u8]>,
}

/// What only a znode has that was changed, has or had children, or is not plainly persistent.
#[derive(Clone, Copy)]
struct More {
    mzxid: i64,
    pzxid: i64,
    mtime: i64,
    ephemeral_owner: i64,
    version: i32,
    cversion: i32,
    aversion: i32,
    first_child: u32,
    child_count: u32,
}

/// What a new znode consists of.
pub struct NewNode<'a> {
    /// The whole path.
    pub path: &'a str,
    /// The data; null and empty are different.
    pub data: Option<&'a [u8]>,
    /// The interned ACL.
    pub acl: AclId,
    /// All stat fields.
    pub stat: StatFields,
    /// Whether the node counts in the tree digest.
    pub in_digest: bool,
}

/// All znodes and the way to find one by its path.
pub struct Store {
    nodes: Slab<Node>,
    more: Slab<More>,
    by_path: HashTable<u32>,
    hash: FixedState,
    data_size: u64,
    /// The most children that any znode has had.
    most_children: u32,
}

impl Store {
    /// A store with nothing but the root. `seed` keys the path hash, so that nobody can choose colliding paths.
    #[must_use]
    pub fn new(seed: u64, root_acl: AclId) -> Self {
        let mut store = Self {
            nodes: Slab::new(),
            more: Slab::new(),
            by_path: HashTable::new(),
            hash: FixedState::with_seed(seed),
            data_size: 0,
            most_children: 0,
        };
        let root = store.nodes.insert(Node {
            parent: NONE,
            next: NONE,
            previous: NONE,
            hash: 0,
            prefix_crc: 0,
            acl: root_acl,
            more: NONE,
            name_and_flags: IN_DIGEST,
            czxid: 0,
            ctime: 0,
            payload: Box::default(),
        });
        assert_eq!(root, ROOT.0, "the root has the first slot");
        store
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0).expect("a node id names a live node")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(id.0).expect("a node id names a live node")
    }

    fn hash_of(&self, path: &str) -> u32 {
        let mut hasher = self.hash.build_hasher();
        hasher.write(path.as_bytes());
        let hash = hasher.finish();
        (hash ^ (hash >> 32)) as u32
    }

    /// Spreads 32 bits so that both the tag and the bucket of the table see all of them.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The znode at `path`; "" and "/" name the root.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<NodeId> {
        if path.len() <= 1 {
            return (path.is_empty() || path == "/").then_some(ROOT);
        }
        let hash = self.hash_of(path);
        self.by_path.find(Self::spread(hash), |&id| self.node(NodeId(id)).hash == hash && self.is_at(id, path)).map(|&id| NodeId(id))
    }

    /// Compares a node's path with `path` from the last name to the first, without building it.
    fn is_at(&self, id: u32, path: &str) -> bool {
        let mut rest = path.as_bytes();
        let mut id = id;
        while id != ROOT.0 {
            let node = self.node(NodeId(id));
            let Some(head) = rest.strip_suffix(node.name()).and_then(|head| head.strip_suffix(b"/")) else { return false };
            rest = head;
            id = node.parent;
        }
        rest.is_empty()
    }

    /// Adds a znode below `parent`. The caller made sure that the path is free.
    pub fn insert(&mut self, parent: NodeId, new: &NewNode<'_>) -> NodeId {
        let name = new.path.rsplit('/').next().unwrap_or_default();
        let data = new.data.unwrap_or_default();
        let mut payload = Vec::with_capacity(name.len() + data.len());
        payload.extend_from_slice(name.as_bytes());
        payload.extend_from_slice(data);
        let flags = if new.data.is_none() { NULL_DATA } else { 0 } | if new.in_digest { IN_DIGEST } else { 0 };
        let hash = self.hash_of(new.path);
        let id = self.nodes.insert(Node {
            parent: parent.0,
            next: NONE,
            previous: NONE,
            hash,
            prefix_crc: super::digest::prefix_crc(new.path, new.data),
            acl: new.acl,
            more: NONE,
            name_and_flags: flags | name.len() as u32 & NAME_LENGTH,
            czxid: new.stat.czxid,
            ctime: new.stat.ctime,
            payload: payload.into_boxed_slice(),
        });
        self.data_size += (new.path.len() + data.len()) as u64;
        self.link_child(parent, id);
        let nodes = &self.nodes;
        self.by_path
            .insert_unique(Self::spread(hash), id, |&other| Self::spread(nodes.get(other).expect("the table names live nodes").hash));
        self.set_stat(NodeId(id), &new.stat);
        NodeId(id)
    }

    fn link_child(&mut self, parent: NodeId, id: u32) {
        let more = self.more_mut(parent);
        let first = more.first_child;
        more.first_child = id;
        more.child_count += 1;
        let count = more.child_count;
        self.most_children = self.most_children.max(count);
        self.node_mut(NodeId(id)).next = first;
        if first != NONE {
            self.node_mut(NodeId(first)).previous = id;
        }
    }

    fn unlink_child(&mut self, parent: NodeId, next: u32, previous: u32) {
        let more = self.more_mut(parent);
        more.child_count -= 1;
        if previous == NONE {
            more.first_child = next;
        } else {
            self.node_mut(NodeId(previous)).next = next;
        }
        if next != NONE {
            self.node_mut(NodeId(next)).previous = previous;
        }
    }

    /// Removes a znode that has no children, and gives back the ACL it used.
    pub fn remove(&mut self, id: NodeId) -> AclId {
        assert!(id != ROOT && self.child_count(id) == 0, "only a childless znode other than the root is removed");
        let path_len = self.path_len(id);
        let node = self.nodes.remove(id.0);
        let name_len = (node.name_and_flags & NAME_LENGTH) as usize;
        self.data_size -= (path_len + node.payload.len() - name_len) as u64;
        if node.more != NONE {
            self.more.remove(node.more);
        }
        self.unlink_child(NodeId(node.parent), node.next, node.previous);
        if let Ok(entry) = self.by_path.find_entry(Self::spread(node.hash), |&other| other == id.0) {
            entry.remove();
        }
        self.shrink_table();
        node.acl
    }

    fn shrink_table(&mut self) {
        if self.by_path.capacity() > 4096 && self.by_path.len() < self.by_path.capacity() / 8 {
            let nodes = &self.nodes;
            self.by_path
                .shrink_to(self.by_path.len() * 2, |&other| Self::spread(nodes.get(other).expect("the table names live nodes").hash));
        }
    }

    /// The stat fields that are stored; `cversion` counts creations of children.
    #[must_use]
    pub fn stat(&self, id: NodeId) -> StatFields {
        let node = self.node(id);
        match self.more.get(node.more) {
            None => StatFields {
                czxid: node.czxid,
                mzxid: node.czxid,
                pzxid: node.czxid,
                ctime: node.ctime,
                mtime: node.ctime,
                ..StatFields::default()
            },
            Some(more) => StatFields {
                czxid: node.czxid,
                mzxid: more.mzxid,
                pzxid: more.pzxid,
                ctime: node.ctime,
                mtime: more.mtime,
                version: more.version,
                cversion: more.cversion,
                aversion: more.aversion,
                ephemeral_owner: more.ephemeral_owner,
            },
        }
    }

    /// Replaces the stat fields.
    pub fn set_stat(&mut self, id: NodeId, stat: &StatFields) {
        let node = self.node_mut(id);
        node.czxid = stat.czxid;
        node.ctime = stat.ctime;
        if node.more == NONE && *stat == self.stat(id) {
            return;
        }
        let more = self.more_mut(id);
        *more = More {
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            mtime: stat.mtime,
            ephemeral_owner: stat.ephemeral_owner,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            first_child: more.first_child,
            child_count: more.child_count,
        };
    }

    fn more_mut(&mut self, id: NodeId) -> &mut More {
        let node = self.nodes.get_mut(id.0).expect("a node id names a live node");
        if node.more == NONE {
            node.more = self.more.insert(More {
                mzxid: node.czxid,
                pzxid: node.czxid,
                mtime: node.ctime,
                ephemeral_owner: 0,
                version: 0,
                cversion: 0,
                aversion: 0,
                first_child: NONE,
                child_count: 0,
            });
        }
        self.more.get_mut(node.more).expect("a node's second part lives as long as the node")
    }

    /// The data; `None` is null.
    #[must_use]
    pub fn data(&self, id: NodeId) -> Option<&[u8]> {
        let node = self.node(id);
        (node.name_and_flags & NULL_DATA == 0).then(|| &node.payload[(node.name_and_flags & NAME_LENGTH) as usize..])
    }

    /// Replaces the data. `path` is the znode's own, for the checksum.
    pub fn set_data(&mut self, id: NodeId, path: &str, data: Option<&[u8]>) {
        let node = self.node_mut(id);
        let name_len = (node.name_and_flags & NAME_LENGTH) as usize;
        let bytes = data.unwrap_or_default();
        let old_len = node.payload.len() - name_len;
        if old_len == bytes.len() {
            node.payload[name_len..].copy_from_slice(bytes);
        } else {
            let mut payload = Vec::with_capacity(name_len + bytes.len());
            payload.extend_from_slice(&node.payload[..name_len]);
            payload.extend_from_slice(bytes);
            node.payload = payload.into_boxed_slice();
        }
        node.name_and_flags = node.name_and_flags & !NULL_DATA | if data.is_none() { NULL_DATA } else { 0 };
        node.prefix_crc = super::digest::prefix_crc(path, data);
        self.data_size = self.data_size + bytes.len() as u64 - old_len as u64;
    }

    /// The interned ACL.
    #[must_use]
    pub fn acl(&self, id: NodeId) -> AclId {
        self.node(id).acl
    }

    /// Replaces the interned ACL and gives back the old one.
    pub fn set_acl(&mut self, id: NodeId, acl: AclId) -> AclId {
        std::mem::replace(&mut self.node_mut(id).acl, acl)
    }

    /// The last component of the path; empty for the root.
    #[must_use]
    pub fn name(&self, id: NodeId) -> &str {
        std::str::from_utf8(self.node(id).name()).expect("names are stored from strings")
    }

    /// The parent; `None` for the root.
    #[must_use]
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        let parent = self.node(id).parent;
        (parent != NONE).then_some(NodeId(parent))
    }

    /// The whole path, built by walking up; "" for the root.
    #[must_use]
    pub fn path(&self, id: NodeId) -> String {
        let mut path = Vec::new();
        self.append_path(id, &mut path);
        String::from_utf8(path).expect("names are stored from strings")
    }

    /// Appends the bytes of the whole path.
    pub(super) fn append_path(&self, id: NodeId, out: &mut Vec<u8>) {
        let mut end = out.len() + self.path_len(id);
        out.resize(end, b'/');
        let mut node = self.node(id);
        while node.parent != NONE {
            let name = node.name();
            out[end - name.len()..end].copy_from_slice(name);
            end -= name.len() + 1;
            node = self.node(NodeId(node.parent));
        }
    }

    fn path_len(&self, id: NodeId) -> usize {
        let mut length = 0;
        let mut current = id;
        while let Some(parent) = self.parent(current) {
            length += 1 + self.node(current).name().len();
            current = parent;
        }
        length
    }

    /// CRC-32 of path and data, the part of the digest that most changes leave alone.
    #[must_use]
    pub fn prefix_crc(&self, id: NodeId) -> u32 {
        self.node(id).prefix_crc
    }

    /// Whether the node counts in the tree digest.
    #[must_use]
    pub fn in_digest(&self, id: NodeId) -> bool {
        self.node(id).name_and_flags & IN_DIGEST != 0
    }

    /// Number of children.
    #[must_use]
    pub fn child_count(&self, id: NodeId) -> u32 {
        self.more.get(self.node(id).more).map_or(0, |more| more.child_count)
    }

    /// The most children that any znode has had.
    #[must_use]
    pub fn most_children(&self) -> u32 {
        self.most_children
    }

    /// The children, newest first.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let first = self.more.get(self.node(id).more).map_or(NONE, |more| more.first_child);
        let mut next = first;
        std::iter::from_fn(move || {
            let current = (next != NONE).then_some(NodeId(next))?;
            next = self.node(current).next;
            Some(current)
        })
    }

    /// Whether a slot holds a znode.
    #[must_use]
    pub fn is_live(&self, id: NodeId) -> bool {
        self.nodes.get(id.0).is_some()
    }

    /// One more than the highest slot in use.
    #[must_use]
    pub fn slot_count(&self) -> u32 {
        self.nodes.slot_count()
    }

    /// Number of znodes, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Always false: the root is never removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 0
    }

    /// Bytes of all paths and data (`approximate_data_size`).
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.data_size
    }
}

impl Node {
    fn name(&self) -> &[u8] {
        &self.payload[..(self.name_and_flags & NAME_LENGTH) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(store: &mut Store, path: &str, data: &[u8]) -> NodeId {
        let parent = store.find(crate::tree::path::split(path).expect("absolute").0).expect("parent exists");
        let stat = StatFields::created(7, 9, 0);
        store.insert(parent, &NewNode { path, data: Some(data), acl: AclId::OPEN, stat, in_digest: true })
    }

    #[test]
    fn a_node_is_64_bytes() {
        assert_eq!(size_of::<Option<Node>>(), 64);
    }

    #[test]
    fn finds_by_path_and_not_by_name() {
        let mut store = Store::new(1, AclId::OPEN);
        let a = add(&mut store, "/a", b"1");
        let ab = add(&mut store, "/a/b", b"2");
        add(&mut store, "/b", b"3");
        assert_eq!(store.find("/a/b"), Some(ab));
        assert_eq!(store.find("/b/a"), None);
        assert_eq!(store.find("/a/b/"), None);
        assert_eq!(store.find("a/b"), None);
        assert_eq!(store.path(ab), "/a/b");
        assert_eq!(store.children(a).collect::<Vec<_>>(), [ab]);
        assert_eq!(store.data(ab), Some(&b"2"[..]));
    }

    #[test]
    fn slots_are_reused_and_chunks_given_back() {
        let mut store = Store::new(1, AclId::OPEN);
        let ids: Vec<_> = (0..10_000).map(|i| add(&mut store, &format!("/{i}"), b"")).collect();
        assert_eq!(store.len(), 10_001);
        for id in ids {
            store.remove(id);
        }
        assert_eq!((store.len(), store.data_size()), (1, 0));
        let again = add(&mut store, "/again", b"x");
        assert_eq!(store.find("/again"), Some(again));
        assert_eq!(store.child_count(ROOT), 1);
    }

    #[test]
    fn siblings_stay_linked_when_one_in_the_middle_goes() {
        let mut store = Store::new(1, AclId::OPEN);
        let ids: Vec<_> = ["/x", "/y", "/z"].iter().map(|path| add(&mut store, path, b"")).collect();
        store.remove(ids[1]);
        assert_eq!(store.children(ROOT).collect::<Vec<_>>(), [ids[2], ids[0]]);
        store.remove(ids[2]);
        assert_eq!(store.children(ROOT).collect::<Vec<_>>(), [ids[0]]);
    }

    #[test]
    fn a_changed_stat_and_null_data_are_kept() {
        let mut store = Store::new(1, AclId::OPEN);
        let id = add(&mut store, "/n", b"data");
        let stat = StatFields { version: 3, mzxid: 11, ..store.stat(id) };
        store.set_stat(id, &stat);
        store.set_data(id, "/n", None);
        assert_eq!((store.stat(id), store.data(id)), (stat, None));
        assert_eq!(store.data_size(), 2);
    }
}
