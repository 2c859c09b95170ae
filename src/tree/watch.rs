//! Watches: who wants to hear of which path (client-protocol.md §6).
//!
//! One entry per path with the modes of each watcher. Java's two tables are views of it: the data table shows `DATA`, `PERSISTENT` and
//! `RECURSIVE`, the child table `CHILD` and `PERSISTENT`. A watcher is a connection's slot; its watches end with the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use parking_lot::Mutex;

use super::path;
use super::path_arena::PathArena;
use super::slab::Slab;
use crate::proto::limits::{WATCH_BYTES_PER_CONNECTION_FREE, WATCHES_PER_CONNECTION_FREE};

/// The slot of the connection that watches.
pub type Watcher = u32;

/// Modes of a watch, as bits that can be combined.
pub mod modes {
    /// One-shot, set by getData and exists.
    pub const DATA: u8 = 1;
    /// One-shot, set by getChildren.
    pub const CHILD: u8 = 2;
    /// Standing, on one znode.
    pub const PERSISTENT: u8 = 4;
    /// Standing, on a znode and everything below it.
    pub const RECURSIVE: u8 = 8;
    /// What Java's data table holds.
    pub const DATA_TABLE: u8 = DATA | PERSISTENT | RECURSIVE;
    /// What Java's child table holds.
    pub const CHILD_TABLE: u8 = CHILD | PERSISTENT;
}

/// What happened (`Watcher.Event.EventType`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventType {
    /// The znode was created.
    NodeCreated = 1,
    /// The znode was deleted.
    NodeDeleted = 2,
    /// Its data changed.
    NodeDataChanged = 3,
    /// A child was created or deleted.
    NodeChildrenChanged = 4,
}

enum Watchers {
    One(Watcher, u8),
    /// The crowd of this id: elsewhere, so that the usual single watcher costs 8 bytes.
    Many(u32),
}

/// The watchers of a path that has had several at once, with their modes.
type Crowds = Slab<BTreeMap<Watcher, u8>>;

struct WatchedPath {
    /// Its place in the arena.
    path: u32,
    watchers: Watchers,
}

/// The watches as a request gets at them: most need none, and do not wait for the lock.
pub enum WatchAccess<'a> {
    /// The lock is held by the caller.
    Held(&'a mut WatchTable),
    /// The lock is taken for each use.
    Free(&'a Mutex<WatchTable>),
}

impl WatchAccess<'_> {
    /// Uses the table.
    pub fn with<R>(&mut self, act: impl FnOnce(&mut WatchTable) -> R) -> R {
        match self {
            Self::Held(table) => act(table),
            Self::Free(table) => act(&mut table.lock()),
        }
    }

    /// The same for a shorter time.
    pub fn reborrow(&mut self) -> WatchAccess<'_> {
        match self {
            Self::Held(table) => WatchAccess::Held(table),
            Self::Free(table) => WatchAccess::Free(table),
        }
    }
}

/// What a connection watches.
#[derive(Default)]
struct Held {
    ids: BTreeSet<u32>,
    path_bytes: usize,
}

/// How much may be watched: watches are pairs of connection and path, and a path counts once for each connection. Nobody is refused
/// a little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Watches of all connections.
    pub watches_max: usize,
    /// Bytes of their paths.
    pub path_bytes_max: usize,
    /// Watches of one connection.
    pub watches_per_connection_max: usize,
    /// Bytes of their paths.
    pub path_bytes_per_connection_max: usize,
}

impl WatchLimits {
    /// No limits.
    pub const NONE: Self = Self {
        watches_max: usize::MAX,
        path_bytes_max: usize::MAX,
        watches_per_connection_max: usize::MAX,
        path_bytes_per_connection_max: usize::MAX,
    };
}

/// All watches of the server.
pub struct WatchTable {
    paths: Slab<WatchedPath>,
    arena: PathArena,
    crowds: Crowds,
    by_path: HashTable<u32>,
    hash: FixedState,
    by_watcher: BTreeMap<Watcher, Held>,
    limits: WatchLimits,
    pair_count: usize,
    path_bytes: usize,
    data_count: usize,
    child_count: usize,
    recursive_count: usize,
}

fn hash(state: &FixedState, path: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(path);
    hasher.finish()
}

fn hash_in(paths: &Slab<WatchedPath>, arena: &PathArena, state: &FixedState, id: u32) -> u64 {
    hash(state, arena.get(paths.get(id).expect("the table names live paths").path))
}

impl WatchTable {
    /// An empty table. `seed` keys the path hash.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            paths: Slab::new(),
            arena: PathArena::default(),
            crowds: Slab::new(),
            by_path: HashTable::new(),
            hash: FixedState::with_seed(seed),
            by_watcher: BTreeMap::new(),
            limits: WatchLimits::NONE,
            pair_count: 0,
            path_bytes: 0,
            data_count: 0,
            child_count: 0,
            recursive_count: 0,
        }
    }

    fn find(&self, path: &str) -> Option<u32> {
        if self.by_path.is_empty() {
            return None;
        }
        let path = path.as_bytes();
        let is_it = |&id: &u32| self.paths.get(id).is_some_and(|watched| self.arena.get(watched.path) == path);
        self.by_path.find(hash(&self.hash, path), is_it).copied()
    }

    /// Adds modes to a watch, or sets it. The path is taken as it is: it need not exist nor be valid.
    pub fn add(&mut self, watcher: Watcher, path: &str, added: u8) {
        let id = self.find(path).unwrap_or_else(|| self.add_path(watcher, path));
        let watchers = &mut self.paths.get_mut(id).expect("the table names live paths").watchers;
        let old = watchers.modes(&self.crowds, watcher);
        watchers.set(&mut self.crowds, watcher, old | added);
        self.count(old, old | added);
        let held = self.by_watcher.entry(watcher).or_default();
        if held.ids.insert(id) {
            held.path_bytes += path.len();
            self.path_bytes += path.len();
            self.pair_count += 1;
        }
    }

    /// Sets what may be watched.
    pub fn set_limits(&mut self, limits: WatchLimits) {
        self.limits = limits;
    }

    /// Whether a connection watches more than one may, or more than a little while all together watch more than they may.
    #[must_use]
    pub fn is_beyond_limits(&self, watcher: Watcher) -> bool {
        if self.arena.is_full() {
            return true;
        }
        let Some(held) = self.by_watcher.get(&watcher) else { return false };
        let (count, bytes) = (held.ids.len(), held.path_bytes);
        let is_small = count <= WATCHES_PER_CONNECTION_FREE && bytes <= WATCH_BYTES_PER_CONNECTION_FREE;
        let limits = &self.limits;
        let is_full = self.pair_count > limits.watches_max || self.path_bytes > limits.path_bytes_max;
        count > limits.watches_per_connection_max || bytes > limits.path_bytes_per_connection_max || (is_full && !is_small)
    }

    /// Bytes of the paths that are watched, a path once for each connection.
    #[must_use]
    pub fn path_bytes(&self) -> usize {
        self.path_bytes
    }

    fn add_path(&mut self, watcher: Watcher, path: &str) -> u32 {
        let place = self.arena.insert(path.as_bytes());
        let id = self.paths.insert(WatchedPath { path: place, watchers: Watchers::One(watcher, 0) });
        let (paths, arena, state) = (&self.paths, &self.arena, &self.hash);
        self.by_path.insert_unique(hash(state, path.as_bytes()), id, |&other| hash_in(paths, arena, state, other));
        id
    }

    fn count(&mut self, old: u8, new: u8) {
        for (mask, counter) in [
            (modes::DATA_TABLE, &mut self.data_count),
            (modes::CHILD_TABLE, &mut self.child_count),
            (modes::RECURSIVE, &mut self.recursive_count),
        ] {
            *counter += usize::from(new & mask != 0);
            *counter -= usize::from(old & mask != 0);
        }
    }

    /// The modes in which a connection watches exactly this path; 0 for none.
    #[must_use]
    pub fn modes(&self, watcher: Watcher, path: &str) -> u8 {
        self.find(path).and_then(|id| self.paths.get(id)).map_or(0, |watched| watched.watchers.modes(&self.crowds, watcher))
    }

    /// Takes modes away from a watch.
    pub fn remove(&mut self, watcher: Watcher, path: &str, removed: u8) {
        if let Some(id) = self.find(path) {
            self.remove_modes(id, watcher, removed);
        }
    }

    fn remove_modes(&mut self, id: u32, watcher: Watcher, removed: u8) {
        let watched = self.paths.get_mut(id).expect("the table names live paths");
        let old = watched.watchers.modes(&self.crowds, watcher);
        let new = old & !removed;
        if old == new {
            return;
        }
        let path_bytes = self.arena.get(watched.path).len();
        let is_unwatched = watched.watchers.set(&mut self.crowds, watcher, new);
        self.count(old, new);
        if new == 0
            && let Some(held) = self.by_watcher.get_mut(&watcher)
        {
            if held.ids.remove(&id) {
                held.path_bytes -= path_bytes;
                self.path_bytes -= path_bytes;
                self.pair_count -= 1;
            }
            if held.ids.is_empty() {
                self.by_watcher.remove(&watcher);
            }
        }
        if is_unwatched {
            self.forget_path(id);
        }
    }

    fn forget_path(&mut self, id: u32) {
        let watched = self.paths.remove(id);
        if let Watchers::Many(crowd) = watched.watchers {
            self.crowds.remove(crowd);
        }
        if let Ok(entry) = self.by_path.find_entry(hash(&self.hash, self.arena.get(watched.path)), |&other| other == id) {
            entry.remove();
        }
        self.arena.remove(watched.path);
        self.shrink();
    }

    /// Gives back what many removed paths have left.
    fn shrink(&mut self) {
        if self.arena.is_wasteful() {
            self.arena.compact(self.paths.iter_mut().map(|watched| &mut watched.path));
        }
        if self.by_path.capacity() > 4096 && self.by_path.len() < self.by_path.capacity() / 8 {
            let (paths, arena, state) = (&self.paths, &self.arena, &self.hash);
            self.by_path.shrink_to(self.by_path.len() * 2, |&id| hash_in(paths, arena, state, id));
        }
    }

    /// Ends all watches of a connection, in time proportional to their number.
    pub fn remove_watcher(&mut self, watcher: Watcher) {
        let Some(held) = self.by_watcher.remove(&watcher) else { return };
        self.path_bytes -= held.path_bytes;
        self.pair_count -= held.ids.len();
        for id in held.ids {
            self.remove_modes(id, watcher, u8::MAX);
        }
    }

    /// Number of paths that a connection watches.
    #[must_use]
    pub fn watch_count_of(&self, watcher: Watcher) -> usize {
        self.by_watcher.get(&watcher).map_or(0, |held| held.ids.len())
    }

    /// Tells every watcher that an event concerns, once each, and consumes one-shot watches (client-protocol.md §6.3).
    pub fn fire(&mut self, event: EventType, path: &str, mut notify: impl FnMut(Watcher)) {
        if self.by_path.is_empty() {
            return;
        }
        let (fires, consumed) = match event {
            EventType::NodeCreated | EventType::NodeDataChanged => (modes::DATA_TABLE, modes::DATA),
            EventType::NodeDeleted => (modes::DATA_TABLE | modes::CHILD_TABLE, modes::DATA | modes::CHILD),
            EventType::NodeChildrenChanged => (modes::CHILD_TABLE, modes::CHILD),
        };
        let mut told = self.fire_at(path, fires, consumed);
        if event != EventType::NodeChildrenChanged && self.recursive_count > 0 {
            self.add_recursive(path, &mut told);
        }
        told.into_iter().for_each(&mut notify);
    }

    fn fire_at(&mut self, path: &str, fires: u8, consumed: u8) -> Vec<Watcher> {
        let Some(id) = self.find(path) else { return Vec::new() };
        let told = self.paths.get(id).expect("the table names live paths").watchers.with(&self.crowds, fires);
        for &watcher in &told {
            self.remove_modes(id, watcher, consumed);
            if self.paths.get(id).is_none() {
                break;
            }
        }
        told
    }

    fn add_recursive(&self, path: &str, told: &mut Vec<Watcher>) {
        let mut seen: BTreeSet<Watcher> = told.iter().copied().collect();
        for ancestor in path::ancestors(path) {
            let watched = self.find(ancestor).and_then(|id| self.paths.get(id));
            let recursive = watched.map(|watched| watched.watchers.with(&self.crowds, modes::RECURSIVE)).unwrap_or_default();
            told.extend(recursive.into_iter().filter(|&watcher| seen.insert(watcher)));
        }
    }

    /// Watches of both tables, as Java counts them: a persistent watch is in both.
    #[must_use]
    pub fn total(&self) -> usize {
        self.data_count + self.child_count
    }

    /// Watches of the data table.
    #[must_use]
    pub fn data_total(&self) -> usize {
        self.data_count
    }

    /// Paths in the data table.
    #[must_use]
    pub fn data_path_count(&self) -> usize {
        let watched = self.by_path.iter().filter_map(|&id| self.paths.get(id));
        watched.filter(|watched| !watched.watchers.with(&self.crowds, modes::DATA_TABLE).is_empty()).count()
    }

    fn path(&self, watched: &WatchedPath) -> &str {
        std::str::from_utf8(self.arena.get(watched.path)).expect("it was a string")
    }

    /// The data table: each connection with the paths it watches.
    pub fn data_watches(&self) -> impl Iterator<Item = (Watcher, Vec<&str>)> {
        self.by_watcher.iter().filter_map(|(&watcher, held)| {
            let watched = held.ids.iter().filter_map(|&id| self.paths.get(id));
            let in_table = watched.filter(|watched| watched.watchers.modes(&self.crowds, watcher) & modes::DATA_TABLE != 0);
            let paths: Vec<&str> = in_table.map(|watched| self.path(watched)).collect();
            (!paths.is_empty()).then_some((watcher, paths))
        })
    }
}

impl Watchers {
    fn modes(&self, crowds: &Crowds, watcher: Watcher) -> u8 {
        match self {
            Self::One(one, modes) => {
                if *one == watcher {
                    *modes
                } else {
                    0
                }
            }
            Self::Many(crowd) => crowds.get(*crowd).and_then(|crowd| crowd.get(&watcher)).copied().unwrap_or(0),
        }
    }

    fn with(&self, crowds: &Crowds, wanted: u8) -> Vec<Watcher> {
        match self {
            Self::One(one, modes) => {
                if modes & wanted != 0 {
                    vec![*one]
                } else {
                    Vec::new()
                }
            }
            Self::Many(crowd) => {
                let crowd = crowds.get(*crowd).expect("a path names its crowd");
                crowd.iter().filter(|(_, modes)| *modes & wanted != 0).map(|(&watcher, _)| watcher).collect()
            }
        }
    }

    /// Sets a watcher's modes; true when nobody watches any more.
    fn set(&mut self, crowds: &mut Crowds, watcher: Watcher, new: u8) -> bool {
        match self {
            Self::One(one, modes) if *one == watcher => {
                *modes = new;
                new == 0
            }
            Self::One(one, modes) => {
                *self = Self::Many(crowds.insert(BTreeMap::from([(*one, *modes), (watcher, new)])));
                false
            }
            Self::Many(crowd) => {
                let crowd = crowds.get_mut(*crowd).expect("a path names its crowd");
                if new == 0 {
                    crowd.remove(&watcher);
                } else {
                    crowd.insert(watcher, new);
                }
                crowd.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(table: &mut WatchTable, event: EventType, path: &str) -> Vec<Watcher> {
        let mut told = Vec::new();
        table.fire(event, path, |watcher| told.push(watcher));
        told
    }

    #[test]
    fn a_watched_path_is_12_bytes() {
        assert_eq!(size_of::<Option<WatchedPath>>(), 12);
    }

    #[test]
    fn nothing_is_left_of_many_watches() {
        let mut table = WatchTable::new(1);
        for index in 0..20_000 {
            table.add(index % 3, &format!("/folder/node-{index}"), modes::DATA);
            table.add(9, &format!("/folder/node-{index}"), modes::CHILD);
        }
        table.remove_watcher(9);
        for watcher in 0..2 {
            table.remove_watcher(watcher);
        }
        assert_eq!(fired(&mut table, EventType::NodeDataChanged, "/folder/node-19997"), [2]);
        assert_eq!(fired(&mut table, EventType::NodeDataChanged, "/folder/node-19998"), [] as [u32; 0]);
        table.remove_watcher(2);
        assert_eq!((table.total(), table.paths.len(), table.crowds.len(), table.by_path.len()), (0, 0, 0, 0));
        assert!(!table.arena.is_wasteful());
    }

    #[test]
    fn one_shot_watches_fire_once() {
        let mut table = WatchTable::new(1);
        table.add(1, "/a", modes::DATA);
        table.add(2, "/a", modes::CHILD);
        assert_eq!(fired(&mut table, EventType::NodeDataChanged, "/a"), [1]);
        assert_eq!(fired(&mut table, EventType::NodeDataChanged, "/a"), [] as [u32; 0]);
        assert_eq!(fired(&mut table, EventType::NodeChildrenChanged, "/a"), [2]);
        assert_eq!((table.total(), table.by_path.len(), table.paths.len()), (0, 0, 0));
    }

    #[test]
    fn deletion_tells_each_connection_once_and_takes_both_one_shot_watches() {
        let mut table = WatchTable::new(1);
        table.add(1, "/a", modes::DATA | modes::CHILD);
        table.add(1, "/", modes::RECURSIVE);
        table.add(2, "/a", modes::PERSISTENT);
        assert_eq!(fired(&mut table, EventType::NodeDeleted, "/a"), [1, 2]);
        assert_eq!(table.modes(1, "/a"), 0);
        assert_eq!(table.modes(2, "/a"), modes::PERSISTENT);
    }

    #[test]
    fn recursive_watches_never_hear_of_children_changed() {
        let mut table = WatchTable::new(1);
        table.add(1, "/", modes::RECURSIVE);
        table.add(1, "/a", modes::RECURSIVE);
        assert_eq!(fired(&mut table, EventType::NodeCreated, "/a/b"), [1]);
        assert_eq!(fired(&mut table, EventType::NodeChildrenChanged, "/a"), [] as [u32; 0]);
    }

    #[test]
    fn limits_of_all_meet_those_who_watch_much() {
        let mut table = WatchTable::new(1);
        let most = WATCHES_PER_CONNECTION_FREE + 2;
        table.set_limits(WatchLimits { watches_max: most, ..WatchLimits::NONE });
        for index in 0..most {
            table.add(1, &format!("/{index}"), modes::DATA);
        }
        assert!(!table.is_beyond_limits(1), "at the limit");
        table.add(2, "/0", modes::DATA);
        assert!(table.is_beyond_limits(1), "beyond it");
        assert!(!table.is_beyond_limits(2), "a little is always granted");
        table.add(2, "/0", modes::CHILD);
        table.remove(2, "/0", modes::DATA);
        table.remove(1, "/7", u8::MAX);
        assert!(!table.is_beyond_limits(1));
        table.set_limits(WatchLimits { path_bytes_max: table.path_bytes() - 1, ..WatchLimits::NONE });
        assert!(table.is_beyond_limits(1) && !table.is_beyond_limits(2));
        table.remove_watcher(1);
        table.remove_watcher(2);
        assert_eq!((table.path_bytes(), table.pair_count), (0, 0));
    }

    #[test]
    fn one_connection_may_not_watch_too_much() {
        let beyond = |limits: WatchLimits, path: &str| {
            let mut table = WatchTable::new(1);
            table.set_limits(limits);
            for watched in ["/a", "/b", path] {
                table.add(1, watched, modes::DATA);
                table.add(2, "/x", modes::CHILD);
            }
            assert!(!table.is_beyond_limits(2));
            table.is_beyond_limits(1)
        };
        let (two, six) = (
            WatchLimits { watches_per_connection_max: 2, ..WatchLimits::NONE },
            WatchLimits { path_bytes_per_connection_max: 6, ..WatchLimits::NONE },
        );
        assert_eq!((beyond(two, "/b"), beyond(two, "/c")), (false, true));
        assert_eq!((beyond(six, "/c"), beyond(six, "/cc")), (false, true));
    }

    #[test]
    fn counts_are_those_of_two_tables() {
        let mut table = WatchTable::new(1);
        table.add(1, "/a", modes::PERSISTENT);
        table.add(1, "/a", modes::DATA);
        assert_eq!((table.total(), table.data_total()), (2, 1));
        table.add(7, "/b", modes::CHILD);
        assert_eq!(table.total(), 3);
        table.remove(1, "/a", modes::PERSISTENT);
        assert_eq!((table.total(), table.modes(1, "/a")), (2, modes::DATA));
        table.remove_watcher(1);
        table.remove_watcher(7);
        assert_eq!((table.total(), table.watch_count_of(1), table.paths.len()), (0, 0, 0));
    }
}
