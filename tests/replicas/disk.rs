//! A simulated disk of one server: epochs and the whole history from the first txn, with one queue of writes. What is not done when the
//! power goes is lost. A snapshot of a leader is its history up to some txn.

use std::collections::VecDeque;

use bytes::Bytes;
use paddock::ids::{Epoch, SessionId, Zxid};
use paddock::replica::Restored;
use paddock::tree::data_tree::DataTree;
use paddock::tree::stat::OwnerRules;
use paddock::zab::{HistorySlice, Input, Recovered};

pub type History = Vec<(Zxid, Bytes)>;

/// A write that was asked for.
pub enum Write {
    Append(Zxid, Bytes),
    AcceptedEpoch(Epoch),
    CurrentEpoch(Epoch),
    Truncate(Zxid),
    /// The end of the history that a snapshot stands for, and that history.
    Install(Zxid, History),
}

#[derive(Default)]
pub struct Disk {
    accepted_epoch: Option<Epoch>,
    current_epoch: Option<Epoch>,
    history: History,
    /// Where the history ends; above its last txn after a snapshot that is named after an epoch.
    end: Zxid,
    queue: VecDeque<Write>,
}

/// What a finished write means for the replica.
pub struct Done {
    pub answer: Input,
    /// The state in memory is another from now on.
    pub reload: Option<(DataTree, Vec<(SessionId, i32)>)>,
}

impl Disk {
    pub fn push(&mut self, write: Write) {
        self.queue.push_back(write);
    }

    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn crash(&mut self) {
        self.queue.clear();
    }

    /// Carries out the next write. `applied` is the end of the state in memory.
    pub fn step(&mut self, applied: Zxid) -> Option<Done> {
        let (answer, reload) = match self.queue.pop_front()? {
            Write::Append(zxid, payload) => {
                self.history.push((zxid, payload));
                self.end = zxid;
                (Input::Persisted(zxid), None)
            }
            Write::AcceptedEpoch(epoch) => {
                self.accepted_epoch = Some(epoch);
                (Input::AcceptedEpochStored(epoch), None)
            }
            Write::CurrentEpoch(epoch) => {
                self.current_epoch = Some(epoch);
                (Input::CurrentEpochStored(epoch), None)
            }
            Write::Truncate(to) if to != Zxid::ZERO && !self.history.iter().any(|(zxid, _)| *zxid == to) => {
                (Input::TruncationRefused(to), None)
            }
            Write::Truncate(to) => {
                self.history.retain(|(zxid, _)| *zxid <= to);
                self.end = to;
                (Input::Truncated(to), (applied > to).then(|| self.state()))
            }
            Write::Install(zxid, history) => {
                (self.history, self.end) = (history, zxid);
                (Input::SnapshotInstalled(zxid), Some(self.state()))
            }
        };
        Some(Done { answer, reload })
    }

    /// What replaying the history gives.
    pub fn state(&self) -> (DataTree, Vec<(SessionId, i32)>) {
        let mut restored = Restored::new(1, OwnerRules::default(), true);
        for (_, payload) in &self.history {
            restored.txn(payload).expect("a txn");
        }
        assert_eq!(restored.digest_mismatches(), 0, "replay gives the digests of the leader");
        restored.finish()
    }

    /// Everything that is durable.
    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn recovered(&self, recent: usize) -> Recovered {
        let (accepted_epoch, current_epoch, last_zxid) = (self.accepted_epoch, self.current_epoch, self.end);
        let recent = self.history[self.history.len().saturating_sub(recent)..].to_vec();
        Recovered { accepted_epoch, current_epoch, last_zxid, recent, is_uninitialized: false }
    }

    /// The history up to a txn that is applied: a snapshot of it. A leader may have applied what its own disk has yet to write.
    pub fn history_to(&self, zxid: Zxid) -> History {
        let waiting =
            self.queue.iter().filter_map(|write| if let Write::Append(zxid, payload) = write { Some((zxid, payload)) } else { None });
        let all = self.history.iter().map(|(zxid, payload)| (zxid, payload)).chain(waiting);
        all.filter(|(other, _)| **other <= zxid).map(|(zxid, payload)| (*zxid, payload.clone())).collect()
    }

    pub fn read(&self, after: Zxid, count: usize) -> Option<HistorySlice> {
        let first = self.history.iter().position(|(zxid, _)| *zxid >= after)?;
        let begins_exactly = self.history[first].0 == after;
        let behind = self.history[first..].iter().filter(|(zxid, _)| *zxid > after);
        Some(HistorySlice { begins_exactly, txns: behind.take(count).cloned().collect() })
    }
}
