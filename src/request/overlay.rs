//! Changes that are proposed but not applied yet, laid over the tree, so that the next request is checked against them
//! (`PrepRequestProcessor.outstandingChanges`).

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ids::Zxid;
use crate::tree::acl::AclList;
use crate::tree::data_tree::DataTree;
use crate::tree::digest::node_digest;
use crate::tree::path;
use crate::tree::stat::StatFields;

/// What is known of a znode that exists: from the overlay or from the tree.
#[derive(Clone, Debug)]
pub struct Record {
    /// The stored stat.
    pub stat: StatFields,
    /// Number of children.
    pub child_count: u32,
    /// The ACL.
    pub acl: Arc<AclList>,
    /// Bytes of data.
    pub data_len: usize,
    /// CRC-32 of path and data.
    pub prefix_crc: u32,
}

/// A znode as it will be: `None` when it will be gone.
#[derive(Clone, Debug)]
struct Change {
    zxid: Zxid,
    record: Option<Record>,
}

/// The pending changes, and the digest that the tree will have after them.
pub struct Overlay {
    by_path: HashMap<Box<str>, Change, FixedState>,
    order: VecDeque<(Zxid, Box<str>)>,
    digest: u64,
    undo: Option<Undo>,
}

/// What a multi changed so far, to take it back.
struct Undo {
    changes: Vec<(Box<str>, Option<Change>)>,
    order_len: usize,
    digest: u64,
}

impl Overlay {
    /// Nothing is pending. `digest` is the tree's.
    #[must_use]
    pub fn new(seed: u64, digest: u64) -> Self {
        Self { by_path: HashMap::with_hasher(FixedState::with_seed(seed)), order: VecDeque::new(), digest, undo: None }
    }

    /// The digest of the tree after everything pending.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The znode as it will be. Both "" and "/" are the root.
    #[must_use]
    pub fn record(&self, tree: &DataTree, path: &str) -> Option<Record> {
        let key = canonical(path);
        if !self.by_path.is_empty()
            && let Some(change) = self.by_path.get(key)
        {
            return change.record.clone();
        }
        let id = tree.find(key)?;
        Some(Record {
            stat: tree.stat_fields(id),
            child_count: tree.child_count(id),
            acl: Arc::clone(tree.acl(id)),
            data_len: tree.data(id).map_or(0, <[u8]>::len),
            prefix_crc: tree.prefix_crc(id),
        })
    }

    /// Lays a change over the tree; `old` is what `record` said before.
    pub fn put(&mut self, zxid: Zxid, path: &str, old: Option<&Record>, new: Option<Record>) {
        let key = canonical(path);
        if !path::is_excluded_from_digest(key) {
            let digest = |record: Option<&Record>| record.map_or(0, |record| node_digest(record.prefix_crc, &record.stat));
            self.digest = self.digest.wrapping_sub(digest(old)).wrapping_add(digest(new.as_ref()));
        }
        let key: Box<str> = key.into();
        self.order.push_back((zxid, key.clone()));
        let before = self.by_path.insert(key.clone(), Change { zxid, record: new });
        if let Some(undo) = &mut self.undo {
            undo.changes.push((key, before));
        }
    }

    /// From here on changes can be taken back.
    pub fn begin_multi(&mut self) {
        self.undo = Some(Undo { changes: Vec::new(), order_len: self.order.len(), digest: self.digest });
    }

    /// The multi stands.
    pub fn keep_multi(&mut self) {
        self.undo = None;
    }

    /// The multi failed: everything is as it was at `begin_multi`.
    pub fn undo_multi(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (path, before) in undo.changes.into_iter().rev() {
            match before {
                Some(change) => self.by_path.insert(path, change),
                None => self.by_path.remove(&path),
            };
        }
        self.order.truncate(undo.order_len);
        self.digest = undo.digest;
    }

    /// Forgets what is applied by now. When nothing is pending the digest is the tree's again.
    pub fn applied(&mut self, zxid: Zxid, tree_digest: u64) {
        while let Some((pending, path)) = self.order.front().filter(|(pending, _)| *pending <= zxid) {
            if self.by_path.get(path).is_some_and(|change| change.zxid == *pending) {
                self.by_path.remove(path);
            }
            self.order.pop_front();
        }
        if self.order.is_empty() {
            self.digest = tree_digest;
        }
    }

    /// Pending changes in their order: path and, if it will exist, its owner.
    pub fn changes(&self) -> impl Iterator<Item = (&str, Option<i64>)> {
        self.order.iter().filter_map(|(_, path)| {
            let change = self.by_path.get(path)?;
            Some((&**path, change.record.as_ref().map(|record| record.stat.ephemeral_owner)))
        })
    }
}

fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::stat::OwnerRules;

    fn record(tree: &DataTree, overlay: &Overlay, path: &str) -> Option<i32> {
        overlay.record(tree, path).map(|record| record.stat.version)
    }

    #[test]
    fn a_failed_multi_leaves_nothing_behind() {
        let tree = DataTree::new(1, OwnerRules::default(), true);
        let mut overlay = Overlay::new(1, tree.digest());
        let root = overlay.record(&tree, "/").expect("the root exists");
        let changed = |version| Some(Record { stat: StatFields { version, ..root.stat }, ..root.clone() });
        overlay.put(Zxid(1), "/", Some(&root), changed(1));
        let digest = overlay.digest();
        overlay.begin_multi();
        overlay.put(Zxid(2), "", overlay.record(&tree, "").as_ref(), changed(2));
        overlay.put(Zxid(2), "/x", None, changed(0));
        assert_eq!((record(&tree, &overlay, "/"), record(&tree, &overlay, "/x")), (Some(2), Some(0)));
        overlay.undo_multi();
        assert_eq!((record(&tree, &overlay, "/"), record(&tree, &overlay, "/x")), (Some(1), None));
        assert_eq!(overlay.digest(), digest);
        overlay.applied(Zxid(1), tree.digest());
        assert_eq!((record(&tree, &overlay, "/"), overlay.by_path.len()), (Some(0), 0));
    }

    #[test]
    fn a_newer_change_of_the_same_path_stays() {
        let tree = DataTree::new(1, OwnerRules::default(), true);
        let mut overlay = Overlay::new(1, tree.digest());
        overlay.put(Zxid(1), "/zookeeper", None, None);
        overlay.put(Zxid(2), "/zookeeper", None, None);
        overlay.applied(Zxid(1), tree.digest());
        assert!(overlay.record(&tree, "/zookeeper").is_none());
        overlay.applied(Zxid(2), tree.digest());
        assert!(overlay.record(&tree, "/zookeeper").is_some());
    }
}
