//! What a leader knows of one learner, and where that learner stands (Java's `LearnerHandler`).
//!
//! ```text
//!  CONNECTED ─INFO─► INTRODUCED ─LEADERINFO─► PROMISING ─ACKEPOCH─► PROMISED ─ a quorum promised ─┐
//!                                                                                                ▼
//!      ┌───────────── WAITING (txns to be committed, or the epoch to be established) ◄──────► choose a plan
//!      │                                                                                  │      │      │
//!      │               READING (log from disk) ◄──────────────────────────────────────────┘      │      │ DIFF, TRUNC
//!      │                   │         STREAMING (snapshot) ◄── FREEZING ◄─────────────────────────┘      │
//!      │                   ▼             │                                                              ▼
//!      │            txns from memory, NEWLEADER: from here on every proposal is forwarded ────────► SYNCING
//!      └─► close                                                        ACK of NEWLEADER ─► ACKED ─► UPTODATE ─► SYNCED
//! ```

use std::collections::VecDeque;

use super::input::LinkId;
use super::output::{CloseReason, Output};
use super::packet::{Introduction, Packet};
use super::reconfiguration::inform_and_activate;
use crate::ids::{ServerId, Zxid};

/// Where a learner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Connected,
    Introduced,
    Promising,
    Promised,
    Waiting,
    /// It has everything up to `at`; DIFF was sent if `has_begun`.
    Reading {
        at: Zxid,
        has_begun: bool,
    },
    Freezing,
    /// The frozen state ends in `at`.
    Streaming {
        at: Zxid,
    },
    /// NEWLEADER was sent.
    Syncing,
    /// NEWLEADER was acked.
    Acked,
    /// UPTODATE was sent.
    Synced,
}

/// One learner.
#[derive(Debug)]
pub(super) struct LearnerHandler {
    pub(super) link: LinkId,
    pub(super) stage: Stage,
    /// Who it is, once it has said so.
    pub(super) sid: Option<ServerId>,
    /// It gets INFORM instead of PROPOSAL and COMMIT, and acks nothing.
    pub(super) is_observer: bool,
    pub(super) is_paddock: bool,
    /// Answers to syncs and commits must come to it in the order of what it forwarded.
    keeps_order: bool,
    /// Its last zxid, as ACKEPOCH told.
    pub(super) last_zxid: Zxid,
    /// The newest proposal it was given.
    pub(super) sent: Zxid,
    /// The newest commit it was told.
    pub(super) told: Zxid,
    /// The newest proposal it acked.
    pub(super) acked: Zxid,
    /// Where the order counts: for each of its syncs that is not answered, what was proposed before it.
    syncs: VecDeque<Zxid>,
    /// Commits that wait for the answers.
    held: VecDeque<(Zxid, Packet)>,
    /// The oldest sign of a slow disk: a proposal, and since when its ack is due.
    due: Option<(Zxid, i64)>,
    pub(super) heard_ms: i64,
    /// PINGs since UPTODATE: each is answered, in order.
    pub(super) ping_count: u64,
    pub(super) pong_count: u64,
    /// Some of the PINGs that are not answered: the number of each, and when it was sent.
    unanswered: VecDeque<(u64, i64)>,
    /// Since when it may serve.
    pub(super) serves_since_ms: i64,
    /// It followed this leader at this time or later: when the newest PING that it answered was sent. What arrives may have been under way
    /// for long, so its arrival proves nothing.
    pub(super) followed_ms: i64,
}

/// PINGs closer to one another than this, ms, need not be told apart.
const PING_GRAIN_MS: i64 = 10;

impl LearnerHandler {
    pub(super) fn new(link: LinkId, now_ms: i64) -> Self {
        Self {
            link,
            stage: Stage::Connected,
            sid: None,
            is_observer: false,
            is_paddock: false,
            keeps_order: true,
            last_zxid: Zxid::ZERO,
            sent: Zxid::ZERO,
            told: Zxid::ZERO,
            acked: Zxid::ZERO,
            syncs: VecDeque::new(),
            held: VecDeque::new(),
            due: None,
            heard_ms: now_ms,
            ping_count: 0,
            pong_count: 0,
            unanswered: VecDeque::new(),
            serves_since_ms: now_ms,
            followed_ms: now_ms,
        }
    }

    pub(super) fn introduce(&mut self, info: &Introduction, sid: ServerId, is_observer: bool) {
        assert_eq!(self.stage, Stage::Connected, "a learner introduces itself once");
        self.stage = Stage::Introduced;
        self.sid = Some(sid);
        self.is_observer = is_observer;
        self.is_paddock = info.is_paddock;
        self.keeps_order = !info.is_paddock || info.serves_observers;
    }

    /// It acked NEWLEADER. Proposals that it was given before are due from now on.
    pub(super) fn adopted(&mut self, now_ms: i64) {
        assert_eq!(self.stage, Stage::Syncing, "NEWLEADER is acked once");
        self.stage = Stage::Acked;
        self.followed_ms = now_ms;
        self.due = self.due.filter(|(due, _)| *due > self.acked).map(|(due, _)| (due, now_ms));
    }

    /// Whether live proposals are forwarded to it.
    pub(super) fn is_forwarding(&self) -> bool {
        matches!(self.stage, Stage::Syncing | Stage::Acked | Stage::Synced)
    }

    /// Whether it has adopted this epoch: its acks count from here on.
    pub(super) fn has_adopted(&self) -> bool {
        matches!(self.stage, Stage::Acked | Stage::Synced)
    }

    pub(super) fn send(&self, packet: Packet, outputs: &mut Vec<Output>) {
        outputs.push(Output::ToLearner(self.link, packet));
    }

    pub(super) fn close(&self, reason: CloseReason, outputs: &mut Vec<Output>) {
        outputs.push(Output::CloseLearner(self.link, reason));
    }

    /// A PING was sent to a learner that serves: it will answer. Returns its number.
    pub(super) fn pinged(&mut self, now_ms: i64) -> u64 {
        self.ping_count += 1;
        if self.unanswered.back().is_none_or(|(_, sent_ms)| now_ms - sent_ms >= PING_GRAIN_MS) {
            self.unanswered.push_back((self.ping_count, now_ms));
        }
        self.ping_count
    }

    /// A PING was answered. Returns its number.
    pub(super) fn ponged(&mut self) -> u64 {
        // One that answers twice has answered what it was asked, and nothing that it will be asked.
        self.pong_count = self.ping_count.min(self.pong_count + 1);
        while let Some((_, sent_ms)) = self.unanswered.pop_front_if(|(count, _)| *count <= self.pong_count) {
            self.followed_ms = sent_ms;
        }
        self.pong_count
    }

    /// A proposal was sent; its ack is due within the sync limit.
    pub(super) fn proposed(&mut self, zxid: Zxid, now_ms: i64) {
        self.sent = zxid;
        self.due.get_or_insert((zxid, now_ms));
    }

    /// A proposal was acked. `false`: it acks what it was never given.
    pub(super) fn ack(&mut self, zxid: Zxid, now_ms: i64) -> bool {
        if zxid > self.sent {
            return false;
        }
        self.acked = self.acked.max(zxid);
        if self.due.is_some_and(|(due, _)| due <= zxid) {
            // As Java does, one proposal at a time is watched: the newest takes its place.
            self.due = (self.acked < self.sent).then_some((self.sent, now_ms));
        }
        true
    }

    /// Whether it follows, and serves.
    pub(super) fn is_in_sync(&self) -> bool {
        self.stage == Stage::Synced && !self.is_observer
    }

    /// Tells it that a reconfiguration and all before it are committed, and who leads on. What was delivered is in `outputs` from `first` on. A follower that
    /// does not serve yet is told behind UPTODATE.
    pub(super) fn activate(&mut self, zxid: Zxid, designated_leader: ServerId, first: usize, outputs: &mut Vec<Output>) {
        if !self.is_observer && self.stage == Stage::Synced {
            if zxid.counter() > 1 {
                self.commit(zxid.previous(), outputs);
            }
            self.send_commit(zxid, Packet::CommitAndActivate { zxid, designated_leader }, outputs);
            self.told = zxid;
        } else if self.is_observer
            && let Some(packet) = inform_and_activate(zxid, designated_leader, first, outputs)
        {
            self.send_commit(zxid, packet, outputs);
        }
    }

    /// Tells a learner that serves of commits up to `zxid`. A Paddock learner takes one for all.
    pub(super) fn commit(&mut self, zxid: Zxid, outputs: &mut Vec<Output>) {
        assert!(zxid <= self.sent, "a proposal comes before its commit: {zxid} above {}", self.sent);
        if self.is_paddock {
            // What was proposed before a sync is told before its answer, whatever comes behind that.
            let before = |sync: &&Zxid| **sync > self.told && **sync < zxid && sync.counter() > 0;
            let steps: Vec<Zxid> = self.syncs.iter().filter(before).copied().chain([zxid]).collect();
            for zxid in steps {
                if self.told < zxid {
                    self.send_commit(zxid, Packet::Commit { zxid }, outputs);
                    self.told = zxid;
                }
            }
        } else {
            // Between NEWLEADER and UPTODATE only txns of this epoch can have been held back: their counters have no holes.
            let first = if self.told.epoch() == zxid.epoch() { self.told.next() } else { Zxid::new(zxid.epoch(), 1) };
            (first.0..=zxid.0).map(Zxid).for_each(|next| self.send_commit(next, Packet::Commit { zxid: next }, outputs));
        }
        self.told = self.told.max(zxid);
    }

    // Syncs. A Java learner matches answers with its clients' writes and syncs by their order alone (`CommitProcessor`): the commit of a
    // write that it forwarded behind a sync must not overtake the answer to that. One that does is taken for another server's write, and
    // no client of that learner is ever answered again.

    // A Paddock learner knows its own by name, but passes on what it is told to observers that may be Java's.

    /// It forwarded a sync, when this was the newest proposal.
    pub(super) fn sync_began(&mut self, last_proposed: Zxid) {
        if self.keeps_order {
            self.syncs.push_back(last_proposed);
        }
    }

    /// Its oldest sync is answered: the commits behind it may go.
    pub(super) fn sync_ended(&mut self, outputs: &mut Vec<Output>) {
        self.syncs.pop_front();
        let next = self.syncs.front().copied();
        while let Some((_, packet)) = self.held.pop_front_if(|(zxid, _)| next.is_none_or(|next| *zxid <= next)) {
            self.send(packet, outputs);
        }
    }

    /// Sends what commits a txn, unless an unanswered sync comes before it.
    pub(super) fn send_commit(&mut self, zxid: Zxid, packet: Packet, outputs: &mut Vec<Output>) {
        if self.syncs.front().is_some_and(|before| zxid > *before) {
            self.held.push_back((zxid, packet));
        } else {
            self.send(packet, outputs);
        }
    }

    /// It may serve from here on. It had nothing to say while it waited for the others.
    pub(super) fn serves(&mut self, now_ms: i64) {
        assert_eq!(self.stage, Stage::Acked, "UPTODATE answers the ack of NEWLEADER");
        self.stage = Stage::Synced;
        (self.heard_ms, self.serves_since_ms) = (now_ms, now_ms);
    }

    /// Whether it must be given up: it says nothing, its disk has not finished a proposal for too long, or it answers PINGs of long ago: the
    /// link to it is slower than what goes over it, and its clients read what is as old. It has nothing to say while a snapshot is made or
    /// sent, and the rim sees whether that goes on; nor until UPTODATE, but then others are waited for.
    pub(super) fn is_too_slow(&self, now_ms: i64, init_limit_ms: i64, sync_limit_ms: i64) -> bool {
        let silence_limit_ms = if self.stage == Stage::Synced { sync_limit_ms } else { init_limit_ms };
        let is_served = matches!(self.stage, Stage::Freezing | Stage::Streaming { .. });
        let is_silent = !is_served && now_ms - self.heard_ms > silence_limit_ms;
        // Until NEWLEADER is acked the learner is busy with its history.
        let is_stuck = self.has_adopted() && !self.is_observer && self.due.is_some_and(|(_, since_ms)| now_ms - since_ms > sync_limit_ms);
        let is_behind = self.stage == Stage::Synced && now_ms - self.followed_ms.max(self.serves_since_ms) > sync_limit_ms;
        is_silent || is_stuck || is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;

    fn zxid(counter: u32) -> Zxid {
        Zxid::new(Epoch(2), counter)
    }

    fn handler(is_paddock: bool) -> LearnerHandler {
        LearnerHandler {
            is_paddock,
            keeps_order: !is_paddock,
            stage: Stage::Synced,
            told: Zxid(0x1_0000_0009),
            ..LearnerHandler::new(LinkId(1), 0)
        }
    }

    #[test]
    fn java_is_told_every_commit_and_paddock_the_last() {
        let mut outputs = Vec::new();
        let mut java = handler(false);
        java.proposed(zxid(3), 0);
        java.commit(zxid(2), &mut outputs);
        java.commit(zxid(3), &mut outputs);
        java.commit(zxid(3), &mut outputs);
        let commit = |counter| Output::ToLearner(LinkId(1), Packet::Commit { zxid: zxid(counter) });
        assert_eq!(outputs, [commit(1), commit(2), commit(3)]);
        outputs.clear();
        let mut paddock = handler(true);
        paddock.proposed(zxid(3), 0);
        paddock.commit(zxid(3), &mut outputs);
        paddock.commit(zxid(3), &mut outputs);
        assert_eq!(outputs, [commit(3)]);
    }

    #[test]
    fn a_java_learner_hears_of_a_commit_behind_the_sync_that_came_before_it() {
        let mut outputs = Vec::new();
        let mut java = handler(false);
        java.proposed(zxid(4), 0);
        java.sync_began(zxid(1));
        java.sync_began(zxid(3));
        java.commit(zxid(4), &mut outputs);
        let commit = |counter| Output::ToLearner(LinkId(1), Packet::Commit { zxid: zxid(counter) });
        assert_eq!(outputs, [commit(1)]);
        java.sync_ended(&mut outputs);
        assert_eq!(outputs, [commit(1), commit(2), commit(3)]);
        java.sync_ended(&mut outputs);
        assert_eq!(outputs[3..], [commit(4)]);
        let mut paddock = LearnerHandler { told: zxid(0), ..handler(true) };
        paddock.proposed(zxid(2), 0);
        paddock.sync_began(zxid(1));
        paddock.commit(zxid(2), &mut outputs);
        assert_eq!(outputs[4..], [commit(2)], "it knows its clients' writes by name");
    }

    /// Observers behind a Paddock follower may be Java's, and what a sync promises must have been told before its answer.
    #[test]
    fn a_follower_that_serves_observers_hears_of_commits_in_the_order_of_its_syncs() {
        let mut outputs = Vec::new();
        let mut follower = LearnerHandler { told: zxid(0), keeps_order: true, ..handler(true) };
        follower.proposed(zxid(9), 0);
        follower.sync_began(zxid(3));
        follower.sync_began(zxid(3));
        follower.sync_began(zxid(5));
        follower.commit(zxid(9), &mut outputs);
        let commit = |counter| Output::ToLearner(LinkId(1), Packet::Commit { zxid: zxid(counter) });
        assert_eq!(outputs, [commit(3)]);
        follower.sync_ended(&mut outputs);
        assert_eq!(outputs, [commit(3)], "another sync came before the fourth");
        follower.sync_ended(&mut outputs);
        assert_eq!(outputs, [commit(3), commit(5)]);
        follower.sync_ended(&mut outputs);
        assert_eq!(outputs, [commit(3), commit(5), commit(9)]);
    }

    /// An answer that was under way for long does not show that the learner follows now.
    #[test]
    fn a_learner_is_known_to_have_followed_when_its_ping_was_sent() {
        let mut handler = handler(false);
        assert_eq!([100, 105, 200].map(|now_ms| handler.pinged(now_ms)), [1, 2, 3]);
        assert_eq!((handler.ponged(), handler.followed_ms), (1, 100));
        assert_eq!((handler.ponged(), handler.followed_ms), (2, 100), "too close to the one before to be told apart");
        assert_eq!((handler.ponged(), handler.followed_ms), (3, 200));
        assert_eq!((handler.ponged(), handler.followed_ms), (3, 200), "nobody asked for this one");
        assert_eq!((handler.pinged(300), handler.ponged()), (4, 4));
    }

    #[test]
    fn an_ack_of_what_was_never_sent_is_refused() {
        let mut handler = handler(false);
        assert!(!handler.ack(zxid(1), 0));
        handler.proposed(zxid(1), 0);
        assert!(handler.ack(zxid(1), 0));
    }

    /// However large a snapshot is: the time for it is not the learner's. While others are waited for it has initLimit.
    #[test]
    fn a_learner_that_has_nothing_to_say_is_not_given_up() {
        let mut handler = handler(false);
        for (stage, is_given_up) in [
            (Stage::Freezing, false),
            (Stage::Streaming { at: zxid(1) }, false),
            (Stage::Syncing, true),
            (Stage::Acked, true),
            (Stage::Synced, true),
        ] {
            handler.stage = stage;
            assert_eq!(handler.is_too_slow(9001, 9000, 1000), is_given_up, "{stage:?}");
            assert_eq!(handler.is_too_slow(9000, 9000, 1000), stage == Stage::Synced, "{stage:?}");
        }
    }

    /// Between this server and the learner lies a queue that gets longer: it says something all the time, about the past.
    #[test]
    fn a_learner_that_answers_from_long_ago_is_given_up() {
        for is_observer in [false, true] {
            let mut handler = LearnerHandler { is_observer, stage: Stage::Acked, ..handler(true) };
            handler.serves(500);
            assert_eq!([600, 700, 2000].map(|now_ms| handler.pinged(now_ms)), [1, 2, 3]);
            assert_eq!(handler.ponged(), 1);
            handler.heard_ms = 1600;
            assert!(!handler.is_too_slow(1600, 9000, 1000));
            assert!(handler.is_too_slow(1601, 9000, 1000), "at 600 it followed for the last time that is known");
            assert_eq!(handler.ponged(), 2);
            assert!(!handler.is_too_slow(1700, 9000, 1000));
        }
        let handler = LearnerHandler { stage: Stage::Synced, heard_ms: 1400, serves_since_ms: 500, ..handler(true) };
        assert!(!handler.is_too_slow(1500, 9000, 1000), "it was asked nothing before it served");
    }

    /// quorum-protocol.md §2.12: a learner that pings but whose disk stands still is dropped after syncLimit.
    #[test]
    fn a_learner_whose_disk_stands_still_is_given_up() {
        let mut handler = handler(false);
        handler.proposed(zxid(1), 100);
        handler.proposed(zxid(2), 900);
        (handler.heard_ms, handler.followed_ms) = (1200, 1200);
        assert!(!handler.is_too_slow(1100, 9000, 1000));
        assert!(handler.is_too_slow(1101, 9000, 1000));
        assert!(handler.ack(zxid(1), 1101));
        assert!(!handler.is_too_slow(2101, 9000, 1000));
        assert!(handler.is_too_slow(2102, 9000, 1000), "the newer one is due now");
        assert!(handler.ack(zxid(2), 2102));
        assert!(!handler.is_too_slow(2200, 9000, 1000));
        assert!(handler.is_too_slow(2201, 9000, 1000), "nothing was heard since 1200");
    }
}
