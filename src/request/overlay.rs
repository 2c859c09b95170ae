//! Changes that are proposed but not applied yet, laid over the tree, so that the next request is checked against them
//! (`PrepRequestProcessor.outstandingChanges`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::ids::Zxid;
use crate::tree::acl::AclList;
use crate::tree::data_tree::{DataTree, listed_bytes};
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

/// One pending change: how a znode will be.
struct Change {
    zxid: Zxid,
    /// Shared by the changes of one path.
    path: Arc<str>,
    hash: u64,
    /// The owner of the znode, before or after the change; 0 for none.
    owner: i64,
    /// How many bytes more a list of the owner's znodes has after it.
    listed_bytes: i64,
    /// `None` when the znode will be gone.
    record: Option<Record>,
    /// The change of the same path before this one, if it is pending too.
    before: Option<u64>,
}

/// The pending changes, and the digest that the tree will have after them.
pub struct Overlay {
    /// In zxid order. The first has the number `first`, each further one the next number.
    changes: VecDeque<Change>,
    first: u64,
    /// The number of the newest change of each path.
    newest: HashTable<u64>,
    /// The owner and number of each change of a znode that has an owner: a session that ends looks at its own alone.
    owned: BTreeSet<(i64, u64)>,
    /// The bytes that lists of an owner's znodes will have more, 0 left out.
    listed_bytes: BTreeMap<i64, i64>,
    hasher: FixedState,
    digest: u64,
    undo: Option<Undo>,
}

/// Where a multi began, to take it back.
struct Undo {
    change_count: usize,
    digest: u64,
}

impl Overlay {
    /// Nothing is pending. `digest` is the tree's.
    #[must_use]
    pub fn new(seed: u64, digest: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            changes: VecDeque::new(),
            first: 0,
            newest: HashTable::new(),
            owned: BTreeSet::new(),
            listed_bytes: BTreeMap::new(),
            hasher,
            digest,
            undo: None,
        }
    }

    /// What was pending will never be applied. `digest` is the tree's.
    pub fn reset(&mut self, digest: u64) {
        self.first += self.changes.len() as u64;
        self.changes.clear();
        self.newest.clear();
        self.owned.clear();
        self.listed_bytes.clear();
        (self.digest, self.undo) = (digest, None);
    }

    /// The digest of the tree after everything pending.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    fn hash_of(&self, path: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(path.as_bytes());
        hasher.finish()
    }

    fn change(&self, number: u64) -> &Change {
        &self.changes[(number - self.first) as usize]
    }

    /// The znode as it will be. Both "" and "/" are the root.
    #[must_use]
    pub fn record(&self, tree: &DataTree, path: &str) -> Option<Record> {
        let key = canonical(path);
        if !self.newest.is_empty()
            && let Some(&number) = self.newest.find(self.hash_of(key), |&number| &*self.change(number).path == key)
        {
            return self.change(number).record.clone();
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
        let (hash, number) = (self.hash_of(key), self.first + self.changes.len() as u64);
        let (changes, first) = (&self.changes, self.first);
        let at = |number: u64| &changes[(number - first) as usize];
        let (path, before) = match self.newest.entry(hash, |&number| &*at(number).path == key, |&number| at(number).hash) {
            Entry::Occupied(mut entry) => {
                let before = std::mem::replace(entry.get_mut(), number);
                (Arc::clone(&at(before).path), Some(before))
            }
            Entry::Vacant(entry) => {
                entry.insert(number);
                (Arc::from(key), None)
            }
        };
        let owner = new.as_ref().or(old).map_or(0, |record| record.stat.ephemeral_owner);
        let listed_bytes = (i64::from(new.is_some()) - i64::from(old.is_some())) * listed_bytes(&path) as i64;
        if owner != 0 {
            self.owned.insert((owner, number));
            self.count_listed(owner, listed_bytes);
        }
        self.changes.push_back(Change { zxid, path, hash, owner, listed_bytes, record: new, before });
    }

    fn count_listed(&mut self, owner: i64, more: i64) {
        let listed = self.listed_bytes.entry(owner).or_default();
        *listed += more;
        if *listed == 0 {
            self.listed_bytes.remove(&owner);
        }
    }

    fn disown(&mut self, change: &Change, number: u64) {
        if change.owner != 0 {
            self.owned.remove(&(change.owner, number));
            self.count_listed(change.owner, -change.listed_bytes);
        }
    }

    /// Bytes that a list of an owner's znodes will have more when all is applied.
    #[must_use]
    pub fn ephemeral_bytes_of(&self, owner: i64) -> i64 {
        self.listed_bytes.get(&owner).copied().unwrap_or(0)
    }

    /// From here on changes can be taken back.
    pub fn begin_multi(&mut self) {
        self.undo = Some(Undo { change_count: self.changes.len(), digest: self.digest });
    }

    /// The multi stands.
    pub fn keep_multi(&mut self) {
        self.undo = None;
    }

    /// The multi failed: everything is as it was at `begin_multi`.
    pub fn undo_multi(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        while self.changes.len() > undo.change_count {
            let change = self.changes.pop_back().expect("there are more than before the multi");
            let number = self.first + self.changes.len() as u64;
            self.disown(&change, number);
            if let Ok(mut entry) = self.newest.find_entry(change.hash, |&newest| newest == number) {
                match change.before {
                    Some(before) => *entry.get_mut() = before,
                    None => drop(entry.remove()),
                }
            }
        }
        self.digest = undo.digest;
    }

    /// Forgets what is applied by now. When nothing is pending the digest is the tree's again.
    pub fn applied(&mut self, zxid: Zxid, tree_digest: u64) {
        while let Some(change) = self.changes.pop_front_if(|change| change.zxid <= zxid) {
            let number = self.first;
            self.first += 1;
            self.disown(&change, number);
            if let Ok(entry) = self.newest.find_entry(change.hash, |&newest| newest == number) {
                entry.remove();
            }
        }
        if self.changes.is_empty() {
            self.digest = tree_digest;
        }
    }

    /// The pending changes of the znodes of an owner, in their order: path, and whether it will exist after the change.
    pub fn changes_of(&self, owner: i64) -> impl Iterator<Item = (&str, bool)> {
        self.owned.range((owner, 0)..=(owner, u64::MAX)).map(|&(_, number)| {
            let change = self.change(number);
            (&*change.path, change.record.is_some())
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
        assert_eq!((record(&tree, &overlay, "/"), overlay.newest.len()), (Some(0), 0));
    }

    #[test]
    fn an_owner_has_its_own_changes_in_their_order() {
        let tree = DataTree::new(1, OwnerRules::default(), true);
        let mut overlay = Overlay::new(1, tree.digest());
        let root = overlay.record(&tree, "/").expect("the root exists");
        let of = |owner| Record { stat: StatFields { ephemeral_owner: owner, ..root.stat }, ..root.clone() };
        overlay.put(Zxid(1), "/a", None, Some(of(7)));
        overlay.put(Zxid(2), "/b", None, Some(of(8)));
        overlay.begin_multi();
        overlay.put(Zxid(3), "/c", None, Some(of(7)));
        overlay.undo_multi();
        overlay.put(Zxid(3), "/a", Some(&of(7)), None);
        assert_eq!(overlay.changes_of(7).collect::<Vec<_>>(), [("/a", true), ("/a", false)]);
        assert_eq!(overlay.changes_of(8).collect::<Vec<_>>(), [("/b", true)]);
        assert_eq!((overlay.ephemeral_bytes_of(7), overlay.ephemeral_bytes_of(8)), (0, 6));
        overlay.applied(Zxid(3), tree.digest());
        assert_eq!((overlay.changes_of(7).count(), overlay.owned.len(), overlay.listed_bytes.len()), (0, 0, 0));
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
