//! What every zxid stands for: the txns in their order, and the state after each of them.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use paddock::ids::{SessionId, Zxid};
use paddock::proto::txn::{Body, Txn};
use paddock::tree::data_tree::DataTree;
use paddock::tree::stat::OwnerRules;

/// A state: the digest of the tree, which all ZooKeepers know; all of tree and sessions, which only we do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The digest.
    pub digest: u64,
    /// A hash over every path with data, stat and ACL.
    pub tree: u64,
    /// A hash over the sessions with their timeouts.
    pub sessions: u64,
}

impl State {
    /// The state of a tree and its sessions.
    pub fn of(tree: &DataTree, sessions: impl Iterator<Item = (SessionId, i32)>) -> Self {
        let mut hasher = DefaultHasher::new();
        hash_below(tree, "", &mut hasher);
        let mut of_sessions = DefaultHasher::new();
        sessions.for_each(|session| session.hash(&mut of_sessions));
        Self { digest: tree.digest(), tree: hasher.finish(), sessions: of_sessions.finish() }
    }
}

fn hash_below(tree: &DataTree, path: &str, hasher: &mut DefaultHasher) {
    let id = tree.find(path).expect("a child is found by its path");
    (path, tree.data(id)).hash(hasher);
    let stat = tree.stat_fields(id);
    (stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime).hash(hasher);
    (stat.version, stat.cversion, stat.aversion, stat.ephemeral_owner).hash(hasher);
    for entry in tree.acl(id).entries() {
        (entry.perms, &entry.who.scheme, &entry.who.id).hash(hasher);
    }
    let mut names: Vec<&str> = tree.child_names(id).collect();
    names.sort_unstable();
    for name in names {
        hash_below(tree, &format!("{path}/{name}"), hasher);
    }
}

/// How owners are read in these tests: with TTL znodes.
pub const RULES: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };

/// All txns so far, and the state after each.
pub struct History {
    txns: Vec<(Zxid, Bytes)>,
    states: BTreeMap<Zxid, State>,
    tree: DataTree,
    sessions: BTreeMap<SessionId, i32>,
}

impl History {
    /// Nothing happened.
    pub fn new() -> Self {
        let tree = DataTree::new(1, RULES, true);
        let states = BTreeMap::from([(Zxid::ZERO, State::of(&tree, std::iter::empty()))]);
        Self { txns: Vec::new(), states, tree, sessions: BTreeMap::new() }
    }

    /// A txn is proposed.
    pub fn push(&mut self, zxid: Zxid, payload: &Bytes) {
        assert_eq!(zxid, self.last().next(), "the next txn");
        let txn = Txn::decode(payload).expect("our own txn");
        let session = SessionId(txn.header.client_id);
        match &txn.body {
            Body::CreateSession(created) => {
                self.sessions.insert(session, created.time_out);
            }
            Body::CloseSession(_) => {
                self.sessions.remove(&session);
            }
            _ => {}
        }
        self.tree.apply(&txn, &mut ());
        let state = State::of(&self.tree, self.sessions.iter().map(|(&id, &timeout_ms)| (id, timeout_ms)));
        self.states.insert(zxid, state);
        self.txns.push((zxid, payload.clone()));
    }

    /// The last txn.
    pub fn last(&self) -> Zxid {
        self.txns.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid)
    }

    /// The state after a txn.
    pub fn state(&self, zxid: Zxid) -> Option<State> {
        self.states.get(&zxid).copied()
    }

    /// Everything behind a txn is forgotten: it did not survive.
    pub fn cut(&mut self, last: Zxid) {
        let txns = std::mem::replace(self, Self::new()).txns;
        for (zxid, payload) in txns.into_iter().take_while(|(zxid, _)| *zxid <= last) {
            self.push(zxid, &payload);
        }
    }
}
