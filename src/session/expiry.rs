//! When sessions expire: in buckets of one tick, as `ExpiryQueue` does (client-protocol.md §7.1).
//!
//! Touches only move a number in the session's cell. A session whose bucket is due is looked at: if it was touched meanwhile it moves
//! to the bucket of its new deadline, so it never expires early and at most one tick late.

use std::collections::BTreeMap;

use crate::ids::SessionId;

/// Sessions by the end of the bucket in which they are looked at, in ms.
#[derive(Debug)]
pub struct ExpiryQueue {
    interval_ms: i64,
    buckets: BTreeMap<i64, Vec<SessionId>>,
}

impl ExpiryQueue {
    /// A queue with buckets of `interval_ms`, the tick time.
    #[must_use]
    pub fn new(interval_ms: i64) -> Self {
        assert!(interval_ms > 0, "the tick time is positive");
        Self { interval_ms, buckets: BTreeMap::new() }
    }

    /// The end of the bucket that a time falls into: always later than it.
    #[must_use]
    pub fn bucket(&self, time_ms: i64) -> i64 {
        (time_ms.div_euclid(self.interval_ms) + 1) * self.interval_ms
    }

    /// Looks at a session again when its deadline's bucket ends.
    pub fn schedule(&mut self, session: SessionId, deadline_ms: i64) {
        self.buckets.entry(self.bucket(deadline_ms)).or_default().push(session);
    }

    /// Nobody is looked at any more.
    pub fn clear(&mut self) {
        self.buckets.clear();
    }

    /// The sessions to look at now.
    pub fn due(&mut self, now_ms: i64) -> Vec<SessionId> {
        let later = self.buckets.split_off(&(now_ms + 1));
        std::mem::replace(&mut self.buckets, later).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_strictly_later() {
        let queue = ExpiryQueue::new(2000);
        assert_eq!((queue.bucket(0), queue.bucket(1999), queue.bucket(2000)), (2000, 2000, 4000));
    }

    #[test]
    fn due_sessions_come_once() {
        let mut queue = ExpiryQueue::new(10);
        queue.schedule(SessionId(1), 5);
        queue.schedule(SessionId(2), 25);
        assert_eq!(queue.due(9), []);
        assert_eq!(queue.due(10), [SessionId(1)]);
        assert_eq!(queue.due(10), []);
        assert_eq!(queue.due(1000), [SessionId(2)]);
    }
}
