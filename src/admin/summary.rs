//! Counters and summaries that many threads feed without a lock.
//!
//! All orderings are relaxed: each number stands alone, and a reader may see a count that is one ahead of its sum.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

use super::format::average;

/// A number that only grows, until `srst` sets it back. On a cache line of its own, so that two busy counters do not slow each
/// other down.
#[derive(Default, Debug)]
#[repr(align(64))]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// The sum since the last reset.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Sets the sum back to 0.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// What a summary prints.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Values {
    /// Mean, rounded half up to four decimals; 0 without values.
    pub average: f64,
    /// Smallest value; 0 without values.
    pub min: i64,
    /// Largest value; 0 without values.
    pub max: i64,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: i64,
}

/// Values collected by one thread, to be merged into a shared summary in one go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    min: i64,
    max: i64,
    count: u64,
    sum: i64,
}

impl Default for Batch {
    fn default() -> Self {
        Self { min: i64::MAX, max: i64::MIN, count: 0, sum: 0 }
    }
}

impl Batch {
    /// Adds one value.
    pub fn record(&mut self, value: i64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    /// The same value so many times.
    #[must_use]
    pub fn repeated(value: i64, count: u64) -> Self {
        if count == 0 { Self::default() } else { Self { min: value, max: value, count, sum: value.wrapping_mul(count as i64) } }
    }

    /// Are there no values?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Values of one thread that come in runs of equals, as latencies in milliseconds do. A single run allocates nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Runs {
    /// The run under way: the value, and how many times.
    last: (i64, u64),
    before: Vec<(i64, u64)>,
}

impl Runs {
    /// Adds a value.
    pub fn record(&mut self, value: i64) {
        if self.last.1 > 0 && self.last.0 != value {
            self.before.push(self.last);
            self.last.1 = 0;
        }
        self.last = (value, self.last.1 + 1);
    }

    /// Each run: the value, and how many times.
    pub fn all(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.before.iter().copied().chain((self.last.1 > 0).then_some(self.last))
    }
}

/// Average, minimum, maximum, count and sum of values (`AvgMinMaxCounter`).
#[derive(Debug)]
#[repr(align(64))]
pub struct Summary {
    min: AtomicI64,
    max: AtomicI64,
    count: AtomicU64,
    sum: AtomicI64,
}

impl Default for Summary {
    fn default() -> Self {
        Self { min: i64::MAX.into(), max: i64::MIN.into(), count: 0.into(), sum: 0.into() }
    }
}

impl Summary {
    /// Adds one value.
    pub fn record(&self, value: i64) {
        self.widen(value, value);
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// Adds all values of a batch.
    pub fn record_batch(&self, batch: &Batch) {
        if batch.is_empty() {
            return;
        }
        self.widen(batch.min, batch.max);
        self.count.fetch_add(batch.count, Relaxed);
        self.sum.fetch_add(batch.sum, Relaxed);
    }

    /// A load is much cheaper than a read-modify-write, and most values lie inside what is known.
    fn widen(&self, low: i64, high: i64) {
        if low < self.min.load(Relaxed) {
            self.min.fetch_min(low, Relaxed);
        }
        if high > self.max.load(Relaxed) {
            self.max.fetch_max(high, Relaxed);
        }
    }

    /// What to print now.
    #[must_use]
    pub fn values(&self) -> Values {
        let (min, max) = (self.min.load(Relaxed), self.max.load(Relaxed));
        let (count, sum) = (self.count.load(Relaxed), self.sum.load(Relaxed));
        Values {
            average: average(sum, count),
            min: if min == i64::MAX { 0 } else { min },
            max: if max == i64::MIN { 0 } else { max },
            count,
            sum,
        }
    }

    /// Forgets all values.
    pub fn reset(&self) {
        self.min.store(i64::MAX, Relaxed);
        self.max.store(i64::MIN, Relaxed);
        self.count.store(0, Relaxed);
        self.sum.store(0, Relaxed);
    }
}

/// Values below this have a bucket each.
const EXACT: u64 = 64;
/// Buckets per power of two above that: the error of a percentile stays below 1/32 of its value.
const PER_DOUBLING: usize = 32;
/// Powers of two above `EXACT` that are told apart; with values in milliseconds the last one is reached after twelve days.
const DOUBLINGS: usize = 24;
/// Number of buckets.
const BUCKETS: usize = EXACT as usize + PER_DOUBLING * DOUBLINGS;

/// A summary that also knows percentiles (`AvgMinMaxPercentileCounter`). ZooKeeper keeps a random sample of 4,096 values; this keeps
/// every value in buckets, exact below 64.
#[derive(Debug)]
pub struct PercentileSummary {
    basic: Summary,
    buckets: Box<[AtomicU64]>,
}

impl Default for PercentileSummary {
    fn default() -> Self {
        Self { basic: Summary::default(), buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

/// The percentiles that `mntr` prints, rounded to whole numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Percentiles {
    /// Median.
    pub p50: i64,
    /// 95 of 100 values are not above this.
    pub p95: i64,
    /// 99 of 100.
    pub p99: i64,
    /// 999 of 1,000.
    pub p999: i64,
}

impl PercentileSummary {
    /// Adds one value; a negative one counts as 0 in the percentiles.
    pub fn record(&self, value: i64) {
        self.record_many(value, 1);
    }

    /// The same value so many times.
    pub fn record_many(&self, value: i64, count: u64) {
        self.basic.record_batch(&Batch::repeated(value, count));
        self.buckets[bucket_of(value)].fetch_add(count, Relaxed);
    }

    /// Average, minimum, maximum, count and sum.
    #[must_use]
    pub fn values(&self) -> Values {
        self.basic.values()
    }

    /// The percentiles of all values since the last reset; 0 without values.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total = counts.iter().sum();
        let max = self.values().max;
        let quantile = |q| quantile(&counts, total, q).min(max as f64).round() as i64;
        Percentiles { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), p999: quantile(0.999) }
    }

    /// Forgets all values.
    pub fn reset(&self) {
        self.basic.reset();
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }
}

/// The bucket of a value. Above `EXACT` the position of the highest bit chooses a group, the five bits below it the bucket.
fn bucket_of(value: i64) -> usize {
    let value = value.max(0) as u64;
    if value < EXACT {
        return value as usize;
    }
    let doubling = (value.ilog2() - EXACT.ilog2()) as usize;
    if doubling >= DOUBLINGS {
        return BUCKETS - 1;
    }
    let within = (value >> (value.ilog2() - PER_DOUBLING.ilog2())) as usize - PER_DOUBLING;
    EXACT as usize + doubling * PER_DOUBLING + within
}

/// The largest value of a bucket (of the last one: the largest of those that it tells apart).
fn largest_of(bucket: usize) -> u64 {
    if bucket < EXACT as usize {
        return bucket as u64;
    }
    let (doubling, within) = ((bucket - EXACT as usize) / PER_DOUBLING, (bucket - EXACT as usize) % PER_DOUBLING);
    let step_bits = doubling as u32 + EXACT.ilog2() - PER_DOUBLING.ilog2();
    (((PER_DOUBLING + within + 1) as u64) << step_bits) - 1
}

/// The quantile of sorted values as the library that ZooKeeper uses defines it: position `q * (n + 1)` counted from one, linear
/// between two neighbours, the ends clamped.
fn quantile(counts: &[u64], total: u64, q: f64) -> f64 {
    if total == 0 {
        return 0.0;
    }
    let position = q * (total as f64 + 1.0);
    let below = (position as u64).clamp(1, total);
    let lower = nth(counts, below) as f64;
    if (position as u64) < 1 || below == total {
        return lower;
    }
    lower + (position - position.floor()) * (nth(counts, below + 1) as f64 - lower)
}

/// The `n`th smallest value, counted from one.
fn nth(counts: &[u64], n: u64) -> u64 {
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += count;
        seen >= n
    });
    largest_of(found.unwrap_or(BUCKETS - 1))
}

/// How many labels a labelled metric keeps. Labels are path components that clients choose, so there must be a limit.
pub const LABELS_MAX: usize = 1000;

/// One metric per label, e.g. per first component of a path.
#[derive(Debug)]
pub struct Labelled<T> {
    by_label: RwLock<BTreeMap<Box<str>, Arc<T>>>,
}

impl<T> Default for Labelled<T> {
    fn default() -> Self {
        Self { by_label: RwLock::default() }
    }
}

impl<T: Default> Labelled<T> {
    /// The metric of a label, made when it is new. `None` when there are [`LABELS_MAX`] others already.
    #[must_use]
    pub fn of(&self, label: &str) -> Option<Arc<T>> {
        if let Some(found) = self.by_label.read().get(label) {
            return Some(Arc::clone(found));
        }
        let mut by_label = self.by_label.write();
        if by_label.len() >= LABELS_MAX && !by_label.contains_key(label) {
            return None;
        }
        Some(Arc::clone(by_label.entry(label.into()).or_default()))
    }

    /// All labels with their metrics, by label.
    #[must_use]
    pub fn all(&self) -> Vec<(Box<str>, Arc<T>)> {
        self.by_label.read().iter().map(|(label, metric)| (label.clone(), Arc::clone(metric))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_summary_prints_zeros() {
        let summary = PercentileSummary::default();
        assert_eq!(summary.values(), Values { average: 0.0, min: 0, max: 0, count: 0, sum: 0 });
        assert_eq!(summary.percentiles(), Percentiles::default());
    }

    #[test]
    fn equal_values_in_a_row_are_one_run() {
        let mut runs = Runs::default();
        assert_eq!(runs.all().count(), 0);
        [3, 3, 0, 3].into_iter().for_each(|value| runs.record(value));
        assert_eq!(runs.all().collect::<Vec<_>>(), [(3, 2), (0, 1), (3, 1)]);
    }

    #[test]
    fn a_batch_equals_single_values() {
        let (single, batched) = (Summary::default(), Summary::default());
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        batched.record_batch(&batch);
        for value in [7, 0, -3, 12] {
            single.record(value);
            batch.record(value);
        }
        batched.record_batch(&batch);
        assert_eq!(batched.values(), single.values());
        assert_eq!(batched.values(), Values { average: 4.0, min: -3, max: 12, count: 4, sum: 16 });
        batched.reset();
        assert_eq!(batched.values(), Summary::default().values());
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let summary = PercentileSummary::default();
        (1..=50).for_each(|value| summary.record(value));
        assert_eq!(summary.percentiles(), Percentiles { p50: 26, p95: 48, p99: 50, p999: 50 });
        summary.record(1_000_000);
        assert_eq!(summary.percentiles().p999, 1_000_000);
        summary.reset();
        assert_eq!(summary.percentiles(), Percentiles::default());
    }

    #[test]
    fn values_beyond_the_buckets_count_in_the_last_one() {
        let summary = PercentileSummary::default();
        summary.record(i64::MAX);
        summary.record(i64::MIN);
        assert_eq!(summary.values().count, 2);
        assert_eq!(bucket_of(i64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(i64::MIN), 0);
        assert_eq!(summary.percentiles().p999, largest_of(BUCKETS - 1) as i64);
    }

    #[test]
    fn buckets_join_without_gap_or_overlap() {
        for bucket in 0..BUCKETS - 1 {
            let last = largest_of(bucket) as i64;
            assert_eq!(bucket_of(last), bucket, "{last}");
            assert_eq!(bucket_of(last + 1), bucket + 1, "{last}");
        }
    }

    #[test]
    fn threads_lose_nothing() {
        let summary = PercentileSummary::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|value| summary.record(value % 10)));
            }
        });
        assert_eq!(summary.values(), Values { average: 4.5, min: 0, max: 9, count: 40_000, sum: 180_000 });
        assert_eq!(summary.percentiles(), Percentiles { p50: 5, p95: 9, p99: 9, p999: 9 });
    }

    #[test]
    fn labels_are_limited() {
        let set = Labelled::<Summary>::default();
        for i in 0..LABELS_MAX {
            assert!(set.of(&format!("l{i}")).is_some());
        }
        assert!(set.of("one more").is_none());
        set.of("l7").expect("a known label stays usable").record(5);
        assert_eq!(set.of("l7").expect("as above").values().sum, 5);
        assert_eq!(set.all().len(), LABELS_MAX);
    }

    /// The definition, on the sorted values themselves.
    fn sorted_quantile(values: &[i64], q: f64) -> f64 {
        let position = q * (values.len() as f64 + 1.0);
        let index = position as usize;
        if index < 1 {
            return values[0] as f64;
        }
        if index >= values.len() {
            return values[values.len() - 1] as f64;
        }
        let (lower, upper) = (values[index - 1] as f64, values[index] as f64);
        lower + (position - position.floor()) * (upper - lower)
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_thirty_second(mut values in prop::collection::vec(0i64..100_000, 1..300)) {
            let summary = PercentileSummary::default();
            values.iter().for_each(|v| summary.record(*v));
            values.sort_unstable();
            let p = summary.percentiles();
            for (q, got) in [(0.5, p.p50), (0.95, p.p95), (0.99, p.p99), (0.999, p.p999)] {
                let exact = sorted_quantile(&values, q);
                prop_assert!((got as f64 - exact).abs() <= exact / 31.0 + 0.5, "q {q}: {got} against {exact}");
            }
        }

        #[test]
        fn small_percentiles_are_exact(mut values in prop::collection::vec(0i64..64, 1..300)) {
            let summary = PercentileSummary::default();
            values.iter().for_each(|v| summary.record(*v));
            values.sort_unstable();
            prop_assert_eq!(summary.percentiles().p95, sorted_quantile(&values, 0.95).round() as i64);
        }
    }
}
