//! The tree of znodes: every change of it keeps stats, ephemerals, quotas and digest in step.
//!
//! Deterministic: the same txns give the same tree. It knows no clock, no network and no file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::acl::{AclEntry, AclId, AclList, AclTable, Identity, perms};
use super::digest;
use super::path;
use super::quota::{self, QuotaIndex, StatsTrack};
use super::snapshot_walk::{self, Frozen};
use super::stat::{OwnerKind, OwnerRules, StatFields};
use super::store::{NewNode, NodeId, ROOT, Store};
use crate::ids::{SessionId, Zxid};
use crate::proto::records::data::Stat;

/// A digest is remembered every so many zxids (`DataTree.DIGEST_LOG_INTERVAL`).
const DIGEST_LOG_INTERVAL: i64 = 128;
/// So many digests are remembered (`DataTree.DIGEST_LOG_LIMIT`).
const DIGEST_LOG_LIMIT: usize = 1024;

/// Bytes of a znode in a snapshot besides path and data: two lengths, the ACL's id and the stat.
const ZNODE_RECORD_BYTES: u64 = 8 + 8 + 60;

/// The whole state that txns change.
pub struct DataTree {
    pub(super) store: Store,
    pub(super) acls: AclTable,
    /// Snapshots under way.
    pub(super) walks: Mutex<Vec<Frozen>>,
    pub(super) quotas: QuotaIndex,
    ephemerals: BTreeMap<i64, Owned>,
    containers: BTreeSet<NodeId>,
    ttls: BTreeSet<NodeId>,
    digest: u64,
    digest_enabled: bool,
    digest_log: VecDeque<(Zxid, u64)>,
    /// It may hold effects of txns that are still to be applied: its digest is of no zxid.
    is_fuzzy: bool,
    last_zxid: Zxid,
    /// The last txn before the newest epoch, unless an image stands between.
    epoch_began: Option<Zxid>,
    rules: OwnerRules,
}

/// The ephemerals of one session.
#[derive(Default)]
struct Owned {
    ids: BTreeSet<NodeId>,
    listed_bytes: usize,
}

/// Bytes of a path in a list of paths.
#[must_use]
pub fn listed_bytes(path: &str) -> usize {
    size_of::<i32>() + path.len()
}

/// A znode that is about to be created.
pub struct Creation<'a> {
    /// The whole path.
    pub path: &'a str,
    /// The data.
    pub data: Option<&'a [u8]>,
    /// The interned ACL, counted as used.
    pub acl: AclId,
    /// The stored owner.
    pub owner: i64,
    /// The parent's cversion afterwards, -1 for one more than now.
    pub parent_cversion: i32,
    /// Zxid of the txn.
    pub zxid: Zxid,
    /// Time of the txn in ms.
    pub time_ms: i64,
}

impl DataTree {
    /// A tree with the four predefined nodes. `seed` keys the path hash; `rules` say how owners are read.
    #[must_use]
    pub fn new(seed: u64, rules: OwnerRules, digest_enabled: bool) -> Self {
        let mut tree = Self::bare(seed, rules, digest_enabled);
        for path in [path::ZOOKEEPER, path::QUOTA] {
            tree.insert_predefined(path, AclId::OPEN, StatFields::default());
        }
        tree.ensure_config_node();
        tree
    }

    /// A tree with nothing but the root: what a snapshot is loaded into.
    #[must_use]
    pub fn bare(seed: u64, rules: OwnerRules, digest_enabled: bool) -> Self {
        let mut tree = Self {
            store: Store::new(seed, AclId::OPEN),
            acls: AclTable::default(),
            walks: Mutex::default(),
            quotas: QuotaIndex::default(),
            ephemerals: BTreeMap::new(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            digest: 0,
            digest_enabled,
            digest_log: VecDeque::new(),
            is_fuzzy: false,
            last_zxid: Zxid::ZERO,
            epoch_began: None,
            rules,
        };
        tree.store.set_data(ROOT, "", Some(b""));
        tree.digest = tree.digest_of(ROOT);
        tree
    }

    fn insert_predefined(&mut self, path: &str, acl: AclId, stat: StatFields) {
        let parent = path::split(path).and_then(|(parent, _)| self.store.find(parent)).expect("predefined nodes are made top down");
        self.insert(parent, &NewNode { path, data: Some(b""), acl, stat, in_digest: !path::is_excluded_from_digest(path) });
    }

    /// Puts the text of the configuration into `/zookeeper/config`, as every member does for itself (`ZKDatabase.initConfigInZKDatabase`).
    /// `version` is that of the configuration. The znode counts in no digest.
    pub fn put_config(&mut self, text: &[u8], version: Zxid, time_ms: i64) {
        self.ensure_config_node();
        if let Some(id) = self.find(path::CONFIG) {
            self.set_data(id, path::CONFIG, Some(text), -1, version, time_ms);
        }
    }

    /// Adds `/zookeeper/config` where a snapshot of an old server lacks it (`ZKDatabase.initConfigInZKDatabase`).
    pub fn ensure_config_node(&mut self) {
        if self.store.find(path::CONFIG).is_some() || self.store.find(path::ZOOKEEPER).is_none() {
            return;
        }
        let readable = AclEntry { perms: perms::READ, who: Identity::new("world", "anyone") };
        let acl = self.acls.intern(vec![readable]);
        self.insert_predefined(path::CONFIG, acl, StatFields { aversion: -1, ..StatFields::default() });
    }

    fn digest_of(&self, id: NodeId) -> u64 {
        if !self.digest_enabled || !self.store.in_digest(id) {
            return 0;
        }
        digest::node_digest(self.store.prefix_crc(id), &self.store.stat(id))
    }

    /// Links a node and takes it into the indexes.
    fn insert(&mut self, parent: NodeId, new: &NewNode<'_>) -> NodeId {
        let id = self.store.insert(parent, new);
        self.digest = self.digest.wrapping_add(self.digest_of(id));
        match self.rules.kind(new.stat.ephemeral_owner) {
            OwnerKind::None => {}
            OwnerKind::Container => {
                self.containers.insert(id);
            }
            OwnerKind::Ttl(_) => {
                self.ttls.insert(id);
            }
            OwnerKind::Ephemeral(session) => {
                let owned = self.ephemerals.entry(session).or_default();
                owned.ids.insert(id);
                owned.listed_bytes += listed_bytes(new.path);
            }
        }
        self.walks.get_mut().iter_mut().for_each(|frozen| frozen.created(id));
        id
    }

    /// Takes a node of a snapshot. Parents come first; the path "" is the root.
    ///
    /// # Errors
    /// When the parent is missing or the node is there already: the snapshot is damaged.
    pub fn load_node(&mut self, path: &str, data: Option<&[u8]>, acl: AclId, stat: StatFields) -> Result<(), String> {
        if !self.acls.contains(acl) {
            self.acls.put(acl.0, vec![AclEntry { perms: 0, who: Identity::new("world", "anyone") }]);
        }
        self.acls.add_use(acl);
        if path.is_empty() || path == "/" {
            self.digest = self.digest.wrapping_sub(self.digest_of(ROOT));
            self.store.set_data(ROOT, "", data);
            self.store.set_stat(ROOT, &stat);
            self.store.set_acl(ROOT, acl);
            self.digest = self.digest.wrapping_add(self.digest_of(ROOT));
            return Ok(());
        }
        let parent = self.parent_of(path).ok_or_else(|| format!("no parent for {path}"))?;
        if self.store.find(path).is_some() {
            return Err(format!("{path} is there twice"));
        }
        self.insert(parent, &NewNode { path, data, acl, stat, in_digest: !path::is_excluded_from_digest(path) });
        Ok(())
    }

    /// The parent of a path, if it is there and the path can name a znode: "//a" is no child of the root, whose own path is "".
    pub(super) fn parent_of(&self, path: &str) -> Option<NodeId> {
        let (parent, name) = path::split(path)?;
        if name.is_empty() || parent == "/" { None } else { self.store.find(parent) }
    }

    /// Says whether it may hold effects of txns that are still to be applied, as an image does that a server took while it went on.
    pub fn set_fuzzy(&mut self, is_fuzzy: bool) {
        self.is_fuzzy = is_fuzzy;
    }

    /// Compares its digest with the one that the leader computed for the txn applied last. False when they must be the same and are not: a
    /// fuzzy tree is exact from the first txn on at which they are.
    pub fn agrees_with(&mut self, digest: u64) -> bool {
        let is_same = self.digest == digest;
        self.is_fuzzy &= !is_same;
        is_same || self.is_fuzzy
    }

    /// Called before a node changes or goes, so that a snapshot under way keeps its old form.
    fn before_change(&mut self, id: NodeId) {
        snapshot_walk::before_change(self.walks.get_mut(), &self.store, id);
    }

    fn change_stat(&mut self, id: NodeId, change: impl FnOnce(&mut StatFields)) {
        self.before_change(id);
        let mut stat = self.store.stat(id);
        self.digest = self.digest.wrapping_sub(self.digest_of(id));
        change(&mut stat);
        self.store.set_stat(id, &stat);
        self.digest = self.digest.wrapping_add(self.digest_of(id));
    }

    /// Raises the parent's count of creations (`DataTree.createNode`); a value that is not larger changes nothing.
    pub(super) fn raise_cversion(&mut self, parent: NodeId, parent_cversion: i32, zxid: Zxid) {
        let current = self.store.stat(parent).cversion;
        let new = if parent_cversion == -1 { current.wrapping_add(1) } else { parent_cversion };
        if new > current {
            self.change_stat(parent, |stat| {
                stat.cversion = new;
                stat.pzxid = zxid.0;
            });
        }
    }

    /// Creates a znode below an existing parent at a free path.
    pub(super) fn create(&mut self, parent: NodeId, new: Creation<'_>) -> NodeId {
        self.before_change(parent);
        self.raise_cversion(parent, new.parent_cversion, new.zxid);
        let stat = StatFields::created(new.zxid.0, new.time_ms, new.owner);
        let in_digest = !path::is_excluded_from_digest(new.path);
        let id = self.insert(parent, &NewNode { path: new.path, data: new.data, acl: new.acl, stat, in_digest });
        self.quota_node_created(new.path);
        self.count_in_quota(new.path, 1, new.data.map_or(0, <[u8]>::len) as i64);
        id
    }

    /// Removes a znode with everything below it: in replay over a fuzzy snapshot, what is below belongs to the future.
    pub(super) fn remove_subtree(&mut self, id: NodeId, path: &str) {
        if self.store.child_count(id) > 0 {
            for below in self.descendants(id).into_iter().rev() {
                let path = self.store.path(below);
                self.remove(below, &path);
            }
        }
        self.remove(id, path);
    }

    /// Everything below a znode, parents before children. Not recursive: a path may have half a million names.
    fn descendants(&self, id: NodeId) -> Vec<NodeId> {
        let mut found: Vec<NodeId> = self.store.children(id).collect();
        let mut next = 0;
        while let Some(&id) = found.get(next) {
            found.extend(self.store.children(id));
            next += 1;
        }
        found
    }

    fn remove(&mut self, id: NodeId, path: &str) {
        self.before_change(id);
        if let Some(parent) = self.store.parent(id) {
            self.before_change(parent);
        }
        self.quota_node_deleted(path);
        self.count_in_quota(path, -1, -(self.store.data(id).map_or(0, <[u8]>::len) as i64));
        self.digest = self.digest.wrapping_sub(self.digest_of(id));
        self.forget_owner(id, path);
        let acl = self.store.remove(id);
        self.acls.release(acl);
    }

    fn forget_owner(&mut self, id: NodeId, path: &str) {
        match self.rules.kind(self.store.stat(id).ephemeral_owner) {
            OwnerKind::None => {}
            OwnerKind::Container => {
                self.containers.remove(&id);
            }
            OwnerKind::Ttl(_) => {
                self.ttls.remove(&id);
            }
            OwnerKind::Ephemeral(session) => {
                if let Some(owned) = self.ephemerals.get_mut(&session) {
                    owned.ids.remove(&id);
                    owned.listed_bytes -= listed_bytes(path);
                    if owned.ids.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
        }
    }

    /// Notes on the parent that a child went, or would have gone.
    pub(super) fn raise_pzxid(&mut self, parent: NodeId, zxid: Zxid) {
        if zxid.0 > self.store.stat(parent).pzxid {
            self.change_stat(parent, |stat| stat.pzxid = zxid.0);
        }
    }

    /// Replaces data and version.
    pub(super) fn set_data(&mut self, id: NodeId, path: &str, data: Option<&[u8]>, version: i32, zxid: Zxid, time_ms: i64) {
        self.before_change(id);
        let old_len = self.store.data(id).map_or(0, <[u8]>::len) as i64;
        let mut stat = self.store.stat(id);
        self.digest = self.digest.wrapping_sub(self.digest_of(id));
        (stat.version, stat.mzxid, stat.mtime) = (version, zxid.0, time_ms);
        self.store.set_data(id, path, data);
        self.store.set_stat(id, &stat);
        self.digest = self.digest.wrapping_add(self.digest_of(id));
        self.count_in_quota(path, 0, data.map_or(0, <[u8]>::len) as i64 - old_len);
    }

    /// Replaces the ACL by an interned one, counted as used; the version too if there is a new one.
    pub(super) fn set_acl(&mut self, id: NodeId, acl: AclId, aversion: Option<i32>) {
        self.before_change(id);
        let old = self.store.set_acl(id, acl);
        self.acls.release(old);
        if let Some(aversion) = aversion {
            self.change_stat(id, |stat| stat.aversion = aversion);
        }
    }

    fn quota_node_created(&mut self, path: &str) {
        if !path.starts_with(path::QUOTA) {
            return;
        }
        match path::split(path) {
            Some((parent, quota::LIMITS)) => self.quotas.add(quota::trim(parent)),
            Some((parent, quota::STATS)) => self.recount_quota(quota::trim(parent)),
            _ => {}
        }
    }

    fn quota_node_deleted(&mut self, path: &str) {
        if let Some((parent, quota::LIMITS)) = path::split(path).filter(|_| path.starts_with(path::QUOTA)) {
            self.quotas.remove(quota::trim(parent));
        }
    }

    fn count_in_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(quota_path) = self.quotas.nearest(path) else { return };
        let stats_path = quota::stats_path(quota_path);
        let Some(id) = self.store.find(&stats_path) else { return };
        let Some(track) = StatsTrack::parse(self.store.data(id)) else { return };
        self.rewrite_quota_stats(id, &stats_path, &track.changed_by(count, bytes));
    }

    /// Rewrites a usage in place: neither version nor mzxid change, and no watch fires.
    fn rewrite_quota_stats(&mut self, id: NodeId, stats_path: &str, track: &StatsTrack) {
        self.before_change(id);
        self.store.set_data(id, stats_path, Some(track.to_text().as_bytes()));
    }

    fn recount_quota(&mut self, of: &str) {
        let stats_path = quota::stats_path(of);
        let Some(id) = self.store.find(&stats_path) else { return };
        let (count, bytes) = self.store.find(of).filter(|_| !of.is_empty()).map_or((0, 0), |node| self.subtree_size(node));
        self.rewrite_quota_stats(id, &stats_path, &StatsTrack::usage(count, bytes));
    }

    /// Number of znodes in a subtree, itself included, and the bytes of their data.
    fn subtree_size(&self, id: NodeId) -> (i64, i64) {
        let below = self.descendants(id);
        let bytes = |id: NodeId| self.store.data(id).map_or(0, <[u8]>::len) as i64;
        (1 + below.len() as i64, bytes(id) + below.into_iter().map(bytes).sum::<i64>())
    }

    /// Finds all quotas again and recounts them, after a snapshot was read and before the log behind it (`DataTree.setupQuota`).
    pub fn setup_quotas(&mut self) {
        let Some(root) = self.store.find(path::QUOTA) else { return };
        let mut pending = vec![root];
        let mut found = Vec::new();
        while let Some(id) = pending.pop() {
            pending.extend(self.store.children(id));
            if self.store.name(id) == quota::LIMITS && self.store.child_count(id) == 0 {
                found.push(self.store.path(self.store.parent(id).expect("a limits node has a parent")));
            }
        }
        for parent in found {
            let of = quota::trim(&parent).to_owned();
            self.quotas.add(&of);
            self.recount_quota(&of);
        }
    }

    /// Notes that a txn was applied, and logs the digest now and then for the `hash` word.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        if zxid <= self.last_zxid {
            return;
        }
        self.epoch_began = self.history_before(zxid);
        self.last_zxid = zxid;
        if self.digest_enabled && zxid.0 % DIGEST_LOG_INTERVAL == 0 {
            self.digest_log.push_back((zxid, self.digest));
            if self.digest_log.len() > DIGEST_LOG_LIMIT {
                self.digest_log.pop_front();
            }
        }
    }

    /// The end of the history with which the epoch of this txn, the next one, began; `None` when that is not known any more.
    pub(super) fn history_before(&self, next: Zxid) -> Option<Zxid> {
        if next.epoch() > self.last_zxid.epoch() { Some(self.last_zxid) } else { self.epoch_began }
    }

    /// Sets the zxid that a snapshot stands for.
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        (self.last_zxid, self.epoch_began) = (zxid, None);
    }

    /// The znode at a path; "" and "/" are the root.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<NodeId> {
        self.store.find(path)
    }

    /// The stored stat.
    #[must_use]
    pub fn stat_fields(&self, id: NodeId) -> StatFields {
        self.store.stat(id)
    }

    /// The stat as clients see it.
    #[must_use]
    pub fn stat(&self, id: NodeId) -> Stat {
        self.store.stat(id).visible(self.store.data(id).map_or(0, <[u8]>::len), self.store.child_count(id), self.rules)
    }

    /// The data; `None` is null.
    #[must_use]
    pub fn data(&self, id: NodeId) -> Option<&[u8]> {
        self.store.data(id)
    }

    /// Names of the children, in no particular order.
    pub fn child_names(&self, id: NodeId) -> impl Iterator<Item = &str> {
        self.store.children(id).map(|child| self.store.name(child))
    }

    /// Number of children.
    #[must_use]
    pub fn child_count(&self, id: NodeId) -> u32 {
        self.store.child_count(id)
    }

    /// The most children that any znode has had.
    #[must_use]
    pub fn most_children(&self) -> u32 {
        self.store.most_children()
    }

    /// Number of descendants.
    #[must_use]
    pub fn descendant_count(&self, id: NodeId) -> usize {
        if id == ROOT {
            return self.store.len() - 1;
        }
        self.descendants(id).len()
    }

    /// The ACL of a znode.
    #[must_use]
    pub fn acl(&self, id: NodeId) -> &Arc<AclList> {
        self.acls.list_ref(self.store.acl(id))
    }

    /// CRC-32 of path and data of a znode, for the digest of a change that is not applied yet.
    #[must_use]
    pub fn prefix_crc(&self, id: NodeId) -> u32 {
        self.store.prefix_crc(id)
    }

    /// How owners are read.
    #[must_use]
    pub fn rules(&self) -> OwnerRules {
        self.rules
    }

    /// The paths of a session's ephemerals, sorted.
    #[must_use]
    pub fn ephemerals_of(&self, session: SessionId) -> BTreeSet<String> {
        self.ephemerals.get(&session.0).into_iter().flat_map(|owned| &owned.ids).map(|&id| self.store.path(id)).collect()
    }

    /// Bytes of a list of a session's ephemerals.
    #[must_use]
    pub fn ephemeral_bytes_of(&self, session: SessionId) -> usize {
        self.ephemerals.get(&session.0).map_or(0, |owned| owned.listed_bytes)
    }

    /// Sessions that own ephemerals.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().map(|&session| SessionId(session))
    }

    /// Number of ephemerals of all sessions.
    #[must_use]
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(|owned| owned.ids.len()).sum()
    }

    /// Containers and TTL znodes that may be due for removal at `now_ms` (client-protocol.md §3.5), by path, at most `most` of them.
    /// A container that never had a child is kept for `never_used_ms`, for ever if that is 0.
    #[must_use]
    pub fn reapable(&self, now_ms: i64, never_used_ms: i64, most: usize) -> Vec<String> {
        let is_due_container = |id: &NodeId| {
            let stat = self.store.stat(*id);
            self.store.child_count(*id) == 0 && (stat.cversion > 0 || never_used_ms != 0 && now_ms - stat.mtime > never_used_ms)
        };
        let is_due_ttl = |id: &NodeId| {
            let stat = self.store.stat(*id);
            let OwnerKind::Ttl(ttl_ms) = self.rules.kind(stat.ephemeral_owner) else { return false };
            self.store.child_count(*id) == 0 && now_ms - stat.mtime > ttl_ms
        };
        let due = self.containers.iter().filter(|id| is_due_container(id)).chain(self.ttls.iter().filter(|id| is_due_ttl(id)));
        due.take(most).map(|&id| self.store.path(id)).collect()
    }

    /// All paths that have a quota.
    pub fn quota_paths(&self) -> impl Iterator<Item = &str> {
        self.quotas.iter()
    }

    /// The limits and the usage of the quota that a path falls under.
    #[must_use]
    pub fn quota_of<'a>(&self, path: &'a str) -> Option<(&'a str, StatsTrack, StatsTrack)> {
        let of = self.quotas.nearest(path)?;
        let track = |path: &str| self.store.find(path).and_then(|id| StatsTrack::parse(self.store.data(id)));
        Some((of, track(&quota::limits_path(of))?, track(&quota::stats_path(of))?))
    }

    /// The digest of the whole tree; 0 when digests are off.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether digests are kept.
    #[must_use]
    pub fn digest_enabled(&self) -> bool {
        self.digest_enabled
    }

    /// The remembered digests, oldest first.
    pub fn digest_log(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.digest_log.iter().copied()
    }

    /// The zxid of the last txn applied.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Number of znodes as ZooKeeper counts them: the root twice.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.store.len() + 1
    }

    /// Bytes of all paths and data.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.store.data_size()
    }

    /// About how many bytes a snapshot takes, uncompressed.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        self.store.data_size() + self.store.len() as u64 * ZNODE_RECORD_BYTES
    }

    /// The table of ACLs.
    #[must_use]
    pub fn acls(&self) -> &AclTable {
        &self.acls
    }

    /// The table of ACLs, to load a snapshot into.
    pub fn acls_mut(&mut self) -> &mut AclTable {
        &mut self.acls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_tree_is_javas() {
        let tree = DataTree::new(1, OwnerRules::default(), true);
        assert_eq!(tree.digest(), 0x51c6_d660);
        assert_eq!(tree.node_count(), 5);
        let stat = |path| tree.stat(tree.find(path).expect("predefined"));
        assert_eq!((stat("/").cversion, stat("/zookeeper").cversion, stat("/zookeeper/quota").cversion), (-1, -2, 0));
        assert_eq!(stat("/zookeeper/config").aversion, -1);
        assert_eq!(tree.descendant_count(ROOT), 3);
    }
}
