//! A simulated network: streams between a learner and its leader, which keep their order and break; and the newest notification between each
//! two servers, which may come late. One direction of a path may be cut alone.

use std::collections::VecDeque;

use paddock::zab::{LinkId, Notification, Packet};

use crate::disk::State;
use crate::random::Random;

/// What travels on a stream.
#[derive(Clone, Debug)]
pub enum Message {
    Packet(Packet),
    /// The bytes of a snapshot, behind SNAP.
    Snapshot(State),
    /// The other end closed.
    Closed,
}

/// An end of a stream: which run of which server, and what that calls the link.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub node: usize,
    pub run: u64,
    pub link: LinkId,
    pub is_open: bool,
}

/// A stream. End 0 is the learner, end 1 the leader.
#[derive(Debug)]
pub struct Stream {
    pub ends: [End; 2],
    /// What is under way to each end, with the time at which it arrives.
    pub queues: [VecDeque<(i64, Message)>; 2],
}

/// The newest notification of one server to another.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    /// Arrives at this time.
    pub due: Option<(i64, Notification)>,
    /// The last one that was sent at all: said again when the two find each other.
    pub last: Option<Notification>,
}

#[derive(Debug)]
pub struct Network {
    pub streams: Vec<Stream>,
    /// `cut[from][to]`.
    pub cut: Vec<Vec<bool>>,
    pub mailboxes: Vec<Vec<Mailbox>>,
    pub latency_max_ms: i64,
    /// How many notifications of a hundred come late.
    pub late_percent: i64,
}

impl Network {
    pub fn new(count: usize, latency_max_ms: i64, late_percent: i64) -> Self {
        Self {
            streams: Vec::new(),
            cut: vec![vec![false; count]; count],
            mailboxes: vec![vec![Mailbox::default(); count]; count],
            latency_max_ms,
            late_percent,
        }
    }

    pub fn latency(&self, random: &mut Random) -> i64 {
        random.between(0, self.latency_max_ms)
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from][to]
    }

    pub fn heal(&mut self) {
        self.cut.iter_mut().flatten().for_each(|cut| *cut = false);
    }

    /// Cuts every path from one of `from` to one of `to`.
    pub fn cut_paths(&mut self, from: &[usize], to: &[usize]) {
        for (&from, &to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
            self.cut[from][to] = from != to;
        }
    }

    /// Puts a message on a stream; gives the time at which it arrives.
    pub fn send(&mut self, stream: usize, to_end: usize, message: Message, now: i64, random: &mut Random) -> i64 {
        let arrival = now + random.between(0, self.latency_max_ms);
        let queue = &mut self.streams[stream].queues[to_end];
        let arrival = queue.back().map_or(arrival, |(last, _)| arrival.max(*last));
        queue.push_back((arrival, message));
        arrival
    }
}
