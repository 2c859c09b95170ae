//! A simulated disk for the core: epochs, snapshots and a log, with one queue of writes. What is not done when the power goes is lost, or
//! half done: an append may have reached the disk in part, and of an operation of several steps the first may have been done.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use paddock::ids::{Epoch, Zxid};
use paddock::zab::{Configuration, HistorySlice, Input, Recovered, follows};

use crate::random::Random;

/// What clients can see: the ids of all applied txns, each with its zxid.
pub type State = Vec<(Zxid, u64)>;

/// How many snapshots a purge leaves.
const SNAPSHOTS_KEPT: usize = 2;

/// The number that a payload carries.
pub fn id_of(payload: &Bytes) -> u64 {
    payload.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A write that was asked for.
#[derive(Clone, Debug)]
pub enum Write {
    Append(Zxid, Bytes),
    AcceptedEpoch(Epoch),
    CurrentEpoch(Epoch),
    Truncate(Zxid),
    Install(Zxid, State),
    /// A snapshot of this server's own.
    Snapshot(Zxid, State),
    /// The file of the configuration.
    File(Configuration),
}

/// One step of a write; the last of them makes it done.
#[derive(Clone, Debug)]
enum Step {
    Append(Zxid, Bytes),
    AcceptedEpoch(Epoch),
    CurrentEpoch(Epoch),
    RemoveSnapshotsAbove(Zxid),
    CutLog(Zxid),
    AddSnapshot(Zxid, State),
    Purge,
    File(Configuration),
    BeginInstall(Zxid, State),
    RemoveEverythingElse,
    FinishInstall,
}

#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub accepted_epoch: Option<Epoch>,
    pub current_epoch: Option<Epoch>,
    snapshots: BTreeMap<Zxid, State>,
    log: Vec<(Zxid, Bytes)>,
    /// A snapshot that is taking the place of everything else.
    installing: Option<(Zxid, State)>,
    queue: VecDeque<Write>,
    /// The writes that the disk is busy with, as steps.
    busy: Vec<Step>,
    busy_inputs: Vec<Input>,
    /// A file that was written and is not taken note of.
    file: Option<Configuration>,
}

impl Disk {
    pub fn push(&mut self, write: Write) {
        self.queue.push_back(write);
    }

    pub fn is_busy(&self) -> bool {
        !self.busy_inputs.is_empty()
    }

    /// Takes the next writes off the queue: all appends that stand together, or one other. True when there are any.
    pub fn begin(&mut self) -> bool {
        assert!(!self.is_busy(), "one write at a time");
        while let Some(write) = self.queue.front() {
            let is_append = matches!(write, Write::Append(..));
            if !is_append && !self.busy.is_empty() {
                break;
            }
            let write = self.queue.pop_front().expect("there is a front");
            self.plan(write);
            if !is_append {
                break;
            }
        }
        self.is_busy()
    }

    fn plan(&mut self, write: Write) {
        match write {
            Write::Append(zxid, payload) => {
                self.busy.push(Step::Append(zxid, payload));
                self.busy_inputs = vec![Input::Persisted(zxid)];
            }
            Write::AcceptedEpoch(epoch) => {
                self.busy.push(Step::AcceptedEpoch(epoch));
                self.busy_inputs.push(Input::AcceptedEpochStored(epoch));
            }
            Write::CurrentEpoch(epoch) => {
                self.busy.push(Step::CurrentEpoch(epoch));
                self.busy_inputs.push(Input::CurrentEpochStored(epoch));
            }
            Write::Truncate(to) if self.rebuild(to).is_none() => self.busy_inputs.push(Input::TruncationRefused(to)),
            Write::Truncate(to) => {
                self.busy.extend([Step::RemoveSnapshotsAbove(to), Step::CutLog(to)]);
                self.busy_inputs.push(Input::Truncated(to));
            }
            Write::Install(zxid, state) => {
                self.busy.extend([Step::BeginInstall(zxid, state), Step::RemoveEverythingElse, Step::FinishInstall]);
                self.busy_inputs.push(Input::SnapshotInstalled(zxid));
            }
            Write::Snapshot(zxid, state) => {
                self.busy.extend([Step::AddSnapshot(zxid, state), Step::Purge]);
                // Nobody waits for it.
                self.busy_inputs.push(Input::Tick);
            }
            Write::File(configuration) => {
                self.busy.push(Step::File(configuration));
                self.busy_inputs.push(Input::Tick);
            }
        }
    }

    /// The writes are done: what the core is told.
    pub fn finish(&mut self) -> (Vec<Input>, Option<Configuration>) {
        for step in std::mem::take(&mut self.busy) {
            self.step(step);
        }
        (std::mem::take(&mut self.busy_inputs), self.file.take())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(zxid, payload) => {
                let last = self.log.last().map(|(last, _)| *last).or(self.newest_snapshot()).unwrap_or(Zxid::ZERO);
                assert!(follows(last, zxid), "the log has no holes: {zxid} after {last}");
                self.log.push((zxid, payload));
            }
            Step::AcceptedEpoch(epoch) => self.accepted_epoch = Some(epoch),
            Step::CurrentEpoch(epoch) => self.current_epoch = Some(epoch),
            Step::RemoveSnapshotsAbove(to) => self.snapshots.retain(|zxid, _| *zxid <= to),
            Step::CutLog(to) => self.log.retain(|(zxid, _)| *zxid <= to),
            Step::File(configuration) => self.file = Some(configuration),
            Step::AddSnapshot(zxid, state) => drop(self.snapshots.insert(zxid, state)),
            Step::BeginInstall(zxid, state) => self.installing = Some((zxid, state)),
            Step::RemoveEverythingElse => {
                self.log.clear();
                self.snapshots.clear();
            }
            Step::FinishInstall => {
                let (zxid, state) = self.installing.take().expect("it was begun");
                self.snapshots.insert(zxid, state);
            }
            Step::Purge => {
                while self.snapshots.len() > SNAPSHOTS_KEPT {
                    self.snapshots.pop_first();
                }
                let oldest = self.snapshots.first_key_value().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
                self.log.retain(|(zxid, _)| *zxid >= oldest);
            }
        }
    }

    /// The power goes: some of the steps under way were done, the rest and everything queued is lost.
    pub fn crash(&mut self, random: &mut Random) {
        let done = random.between(0, self.busy.len() as i64) as usize;
        for step in std::mem::take(&mut self.busy).into_iter().take(done) {
            self.step(step);
        }
        self.busy_inputs.clear();
        self.queue.clear();
    }

    fn newest_snapshot(&self) -> Option<Zxid> {
        self.snapshots.last_key_value().map(|(zxid, _)| *zxid)
    }

    /// The end of the durable history.
    pub fn last_zxid(&self) -> Zxid {
        let logged = self.log.last().map(|(zxid, _)| *zxid);
        logged.max(self.newest_snapshot()).unwrap_or(Zxid::ZERO)
    }

    /// Whether a txn is durable.
    pub fn holds(&self, zxid: Zxid) -> bool {
        zxid <= self.last_zxid()
    }

    /// The state at exactly `to`, from a snapshot and the log behind it; `None` when they do not lead there.
    pub fn rebuild(&self, to: Zxid) -> Option<State> {
        let (mut at, mut state) = match self.snapshots.range(..=to).next_back() {
            Some((zxid, state)) => (*zxid, state.clone()),
            None => (Zxid::ZERO, State::new()),
        };
        for (zxid, payload) in self.log.iter().filter(|(zxid, _)| *zxid <= to) {
            if *zxid > at {
                if !follows(at, *zxid) {
                    return None;
                }
                at = *zxid;
                state.push((*zxid, id_of(payload)));
            }
        }
        (at == to).then_some(state)
    }

    /// A start: what is there, and the state. What was half installed is finished. A log that ends below the newest snapshot is of no use.
    pub fn recover(&mut self, recent_count: usize) -> (Recovered, State) {
        if self.installing.is_some() {
            self.step(Step::RemoveEverythingElse);
            self.step(Step::FinishInstall);
        }
        let logged = self.log.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        if self.newest_snapshot().is_some_and(|newest| newest > logged) {
            self.log.clear();
        }
        let last_zxid = self.last_zxid();
        let state = self.rebuild(last_zxid).expect("what is durable can be read back");
        let recent = self.log[self.log.len().saturating_sub(recent_count)..].to_vec();
        let (accepted_epoch, current_epoch) = (self.accepted_epoch, self.current_epoch);
        (Recovered { accepted_epoch, current_epoch, last_zxid, recent, is_uninitialized: false }, state)
    }

    /// Some of the log behind `after`.
    pub fn read_history(&self, after: Zxid, count: usize) -> Option<HistorySlice> {
        let first = self.log.iter().position(|(zxid, _)| *zxid >= after)?;
        let begins_exactly = self.log[first].0 == after;
        let txns = self.log[first..].iter().filter(|(zxid, _)| *zxid > after).take(count).cloned().collect();
        Some(HistorySlice { begins_exactly, txns })
    }
}
