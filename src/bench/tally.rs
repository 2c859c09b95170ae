//! What a run counts: latencies of each kind of operation, errors by code, reconnects, disorder, silence.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::silence::Silence;
use super::workload::Kind;

/// Digits that a recorded latency keeps.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Latencies beyond an hour, in ns, count as one hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// A histogram of latencies in ns that keep this many digits.
#[must_use]
pub fn latencies(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, digits).expect("an hour in ns with few digits is within the histogram's range")
}

/// The latencies of one kind of operation.
#[derive(Clone, Debug)]
pub struct Row {
    /// In ns.
    pub latencies: Histogram<u64>,
    /// How long operations of this kind were under way, in ns; zero where that is the whole measurement.
    pub active: u64,
}

impl Row {
    fn new() -> Self {
        Self { latencies: latencies(SIGNIFICANT_DIGITS), active: 0 }
    }
}

/// The counts of one run, or of several after merging.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rows: BTreeMap<Kind, Row>,
    /// How often an operation came back with an error, by kind and code.
    pub errors: BTreeMap<(Kind, i32), u64>,
    /// Connections that were lost and came back.
    pub reconnects: u64,
    /// Sessions that were gone when their connection came back.
    pub expired: u64,
    /// Replies out of order, replies to nothing, zxids that went back.
    pub disorder: u64,
    /// When no write was acknowledged.
    pub silence: Silence,
}

impl Tally {
    /// Counts a success that took `latency` ns.
    pub fn record(&mut self, kind: Kind, latency: u64) {
        self.row(kind).latencies.saturating_record(latency);
    }

    /// Counts a failure.
    pub fn fail(&mut self, kind: Kind, code: i32) {
        *self.errors.entry((kind, code)).or_default() += 1;
    }

    /// Adds to the time in which operations of this kind were under way, in ns.
    pub fn add_active(&mut self, kind: Kind, time: u64) {
        self.row(kind).active += time;
    }

    fn row(&mut self, kind: Kind) -> &mut Row {
        self.rows.entry(kind).or_insert_with(Row::new)
    }

    /// The rows that have something in them, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = (Kind, &Row)> {
        self.rows.iter().filter(|(kind, row)| **kind != Kind::Aside && !row.latencies.is_empty()).map(|(kind, row)| (*kind, row))
    }

    /// How many operations succeeded. The last event of a round is one of its events and not counted again.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.rows().filter(|(kind, _)| *kind != Kind::Last).map(|(_, row)| row.latencies.len()).sum()
    }

    /// How many operations failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Adds what another run counted.
    pub fn merge(&mut self, other: &Self) {
        for (kind, row) in &other.rows {
            let own = self.row(*kind);
            own.latencies.add(&row.latencies).expect("all histograms of latencies have the same bounds");
            own.active += row.active;
        }
        for (key, count) in &other.errors {
            *self.errors.entry(*key).or_default() += count;
        }
        self.reconnects += other.reconnects;
        self.expired += other.expired;
        self.disorder += other.disorder;
        self.silence.merge(&other.silence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_as_if_one_had_counted_all() {
        let (mut left, mut right, mut both) = (Tally::default(), Tally::default(), Tally::default());
        for latency in 1..=1_000 {
            let side = if latency % 3 == 0 { &mut left } else { &mut right };
            side.record(Kind::Get, latency * 1_000);
            both.record(Kind::Get, latency * 1_000);
        }
        right.record(Kind::Set, 3_600_000_000_000);
        both.record(Kind::Set, 3_600_000_000_000);
        right.fail(Kind::Set, -101);
        left.fail(Kind::Set, -101);
        left.merge(&right);
        let quantiles = |tally: &Tally| -> Vec<(Kind, u64, u64, u64)> {
            tally
                .rows()
                .map(|(kind, row)| (kind, row.latencies.len(), row.latencies.value_at_quantile(0.99), row.latencies.max()))
                .collect()
        };
        assert_eq!(quantiles(&left), quantiles(&both));
        assert_eq!((left.operations(), left.failures()), (1_001, 2));
        let get = left.rows().next().expect("get comes first").1;
        let near = |quantile, expected: u64| get.latencies.value_at_quantile(quantile).abs_diff(expected) <= expected / 1_000;
        assert!(near(0.5, 500_000) && near(0.99, 990_000) && near(1.0, 1_000_000), "{:?}", quantiles(&left));
    }

    #[test]
    fn what_is_done_aside_has_no_row() {
        let mut tally = Tally::default();
        tally.record(Kind::Aside, 1);
        tally.add_active(Kind::Open, 5);
        assert_eq!((tally.rows().count(), tally.operations()), (0, 0));
    }
}
