//! When a run begins to issue, to measure, and when it ends.

use super::args::Plan;

/// The times of one run, in ns of the fleet's clock.
#[derive(Clone, Debug)]
pub struct Window {
    /// What began before this is warm-up and is not measured.
    pub measure_from: u64,
    /// Nothing begins from here on.
    pub stop_at: u64,
    /// Operations that may still begin to be measured.
    budget: u64,
}

impl Window {
    /// The window of a run whose load begins at `now`.
    #[must_use]
    pub fn new(plan: &Plan, now: u64) -> Self {
        let measure_from = now + plan.warm_up;
        Self { measure_from, stop_at: measure_from + plan.duration, budget: plan.operations.unwrap_or(u64::MAX) }
    }

    /// The window of a run whose load has not begun.
    #[must_use]
    pub fn closed() -> Self {
        Self { measure_from: u64::MAX, stop_at: 0, budget: u64::MAX }
    }

    /// Whether what began at `since` is measured.
    #[must_use]
    pub fn counts(&self, since: u64) -> bool {
        since >= self.measure_from
    }

    /// Whether an operation may begin that counts from `since`.
    #[must_use]
    pub fn is_open(&self, since: u64) -> bool {
        since < self.stop_at
    }

    /// An operation begins that counts from `since`; when it was the last one, the window ends now.
    pub fn begin(&mut self, since: u64, now: u64) {
        if self.counts(since) {
            self.budget -= 1;
            if self.budget == 0 {
                self.close(now);
            }
        }
    }

    /// Ends the window.
    pub fn close(&mut self, now: u64) {
        self.stop_at = self.stop_at.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_counts_what_is_measured() {
        let mut window = Window { measure_from: 10, stop_at: 100, budget: 2 };
        window.begin(5, 6);
        window.begin(10, 11);
        assert!(window.is_open(11) && !window.counts(9));
        window.begin(12, 30);
        assert!(!window.is_open(30));
        assert_eq!(window.stop_at, 30);
    }
}
