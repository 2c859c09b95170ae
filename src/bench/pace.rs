//! The schedule of a fixed rate. Latency is measured from the time an operation was due, whether it could leave then or not: a server
//! that stalls cannot hide it by keeping the generator waiting (coordinated omission).

/// When each operation is due, in ns of the run's clock.
#[derive(Clone, Debug)]
pub struct Pace {
    start: u64,
    per_second: f64,
    taken: u64,
}

impl Pace {
    /// A schedule of `per_second` operations a second; the first is due at `start`.
    #[must_use]
    pub fn new(start: u64, per_second: f64) -> Self {
        Self { start, per_second, taken: 0 }
    }

    /// When the next operation is due.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.start + (self.taken as f64 * 1e9 / self.per_second) as u64
    }

    /// How many operations are due at `now` and not begun.
    #[must_use]
    pub fn due_count(&self, now: u64) -> u64 {
        let Some(since) = now.checked_sub(self.next_due()) else { return 0 };
        1 + (since as f64 * self.per_second / 1e9) as u64
    }

    /// The time the next operation was due, if that has come; it counts as begun.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.next_due();
        if due > now {
            return None;
        }
        self.taken += 1;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_evenly_spaced() {
        let mut pace = Pace::new(100, 1_000.0);
        assert_eq!(pace.take(99), None);
        assert_eq!(pace.take(100), Some(100));
        assert_eq!(pace.take(100), None);
        assert_eq!((pace.next_due(), pace.due_count(1_000_099), pace.due_count(1_000_100)), (1_000_100, 0, 1));
    }

    #[test]
    fn after_a_stall_every_missed_operation_keeps_its_own_time() {
        let mut pace = Pace::new(0, 1_000.0);
        assert_eq!(pace.due_count(5_000_000), 6);
        let due: Vec<u64> = std::iter::from_fn(|| pace.take(5_000_000)).collect();
        assert_eq!(due, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
    }

    #[test]
    fn an_odd_rate_does_not_drift() {
        let mut pace = Pace::new(0, 3.0);
        let taken = std::iter::from_fn(|| pace.take(3_600_000_000_000)).count();
        assert_eq!(taken, 10_801, "three a second for an hour, and the one at its end");
    }
}
