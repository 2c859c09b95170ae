//! The invariants of Zab, by their published names, checked at every step of every server.
//!
//! Delivered means: applied by a server that serves. What a server loads before it serves may be taken back, and no client sees it.

use std::collections::BTreeMap;

use paddock::ids::{Epoch, Zxid};

use crate::disk::State;

#[derive(Debug, Default)]
pub struct Checkers {
    /// The one order: what any server delivered.
    committed: State,
    /// Who broadcast which txn under which zxid.
    broadcast: BTreeMap<u64, (usize, Zxid)>,
    /// Who led each epoch: the server and its run.
    leaders: BTreeMap<Epoch, (usize, u64)>,
    /// So many txns at the front of the order are acknowledged to clients, or stand before one that is.
    acknowledged: usize,
    /// When the newest epoch was established.
    newest: Option<(Epoch, i64)>,
}

impl Checkers {
    pub fn committed(&self) -> &State {
        &self.committed
    }

    /// How much of the order a client may already know of.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// A leader is established.
    pub fn established(&mut self, node: usize, run: u64, epoch: Epoch, state: &State, now: i64) {
        if self.newest.is_none_or(|(newest, _)| newest < epoch) {
            self.newest = Some((epoch, now));
        }
        let leader = *self.leaders.entry(epoch).or_insert((node, run));
        assert_eq!(leader, (node, run), "Leadership1, Leadership2: epoch {epoch} has one established leader over all time");
        let is_complete = state.len() >= self.committed.len() && state[..self.committed.len()] == self.committed[..];
        assert!(
            is_complete,
            "PrimaryIntegrity: the leader of {epoch} has delivered what anybody delivered before; it has {state:?} of {:?}",
            self.committed
        );
        let earlier = state.iter().all(|(zxid, _)| zxid.epoch() < epoch);
        assert!(earlier, "GlobalPrimaryOrder: an established leader begins with txns of earlier epochs");
    }

    /// A leader of this epoch serves. One that was replaced must stop within a bound, or clients would take it for the master.
    pub fn leads(&self, epoch: Epoch, now: i64, bound_ms: i64) {
        if let Some((newest, since)) = self.newest.filter(|(newest, _)| *newest > epoch) {
            assert!(now - since <= bound_ms, "a leader of epoch {epoch} serves {} ms after epoch {newest} was established", now - since);
        }
    }

    /// A leader broadcasts a txn.
    pub fn broadcast(&mut self, node: usize, run: u64, id: u64, zxid: Zxid) {
        assert_eq!(self.leaders.get(&zxid.epoch()), Some(&(node, run)), "only the leader of its epoch broadcasts {zxid}");
        let before = self.broadcast.insert(id, (node, zxid));
        assert_eq!(before, None, "a txn is broadcast once");
    }

    /// A server serves this state.
    pub fn served(&mut self, node: usize, state: &State, from: usize) {
        for (index, &txn) in state.iter().enumerate().skip(from) {
            match self.committed.get(index) {
                Some(committed) => {
                    assert_eq!(
                        txn, *committed,
                        "PrefixConsistency, TotalOrder, Agreement: server index {node} delivers another txn at {index}"
                    );
                }
                None => self.first_delivered(index, txn),
            }
        }
    }

    fn first_delivered(&mut self, index: usize, (zxid, id): (Zxid, u64)) {
        let broadcast = self.broadcast.get(&id).map(|(_, zxid)| *zxid);
        assert_eq!(broadcast, Some(zxid), "Integrity: {zxid} was broadcast by a leader");
        if let Some((last, _)) = index.checked_sub(1).map(|before| self.committed[before]) {
            let same_epoch = last.epoch() == zxid.epoch();
            assert!(!same_epoch || zxid == last.next(), "LocalPrimaryOrder: {zxid} behind {last}");
            assert!(same_epoch || zxid.epoch() > last.epoch(), "GlobalPrimaryOrder: {zxid} behind {last}");
            assert!(same_epoch || zxid.counter() == 1, "LocalPrimaryOrder: {zxid} opens its epoch");
        }
        self.committed.push((zxid, id));
    }

    /// A client is told that its txn is done.
    pub fn acknowledge(&mut self, zxid: Zxid, id: u64) {
        let index = self.committed.iter().rposition(|txn| *txn == (zxid, id));
        let index = index.expect("an acknowledged txn was delivered");
        self.acknowledged = self.acknowledged.max(index + 1);
    }

    /// A `sync` that came when `before` txns were acknowledged is answered by a server in this state.
    pub fn synced(&self, before: usize, state: &State) {
        assert!(state.len() >= before, "a sync shows everything that was acknowledged before it: {} of {before}", state.len());
    }

    /// Faults are over, and everything has come to rest.
    pub fn at_rest(&self, node: usize, state: &State) {
        assert_eq!(state, &self.committed, "acknowledged writes are durable, on every server: server index {node}");
    }
}
