//! The line that a run prints each second while it goes on.

use hdrhistogram::Histogram;

use super::report::micros;
use super::tally::{Tally, latencies};

const SECOND: u64 = 1_000_000_000;
/// Digits of a latency that the lines keep.
const DIGITS: u8 = 2;

/// What happened since the last line.
#[derive(Debug)]
pub struct Meter {
    is_on: bool,
    began: Option<u64>,
    printed: u64,
    latencies: Histogram<u64>,
    failures: u64,
}

impl Meter {
    /// A meter that prints, or one that does nothing.
    #[must_use]
    pub fn new(is_on: bool) -> Self {
        Self { is_on, began: None, printed: 0, latencies: latencies(DIGITS), failures: 0 }
    }

    /// An operation took `latency` ns.
    pub fn record(&mut self, latency: u64) {
        if self.is_on {
            self.latencies.saturating_record(latency);
        }
    }

    /// Prints a line when a second has passed since the last one.
    pub fn tick(&mut self, now: u64, tally: &Tally) {
        let began = *self.began.get_or_insert(now);
        if !self.is_on || now < began + (self.printed + 1) * SECOND {
            return;
        }
        self.printed = (now - began) / SECOND;
        let quantile = |quantile| micros(self.latencies.value_at_quantile(quantile));
        let failures = tally.failures() - self.failures;
        eprintln!(
            "{:4} s  {:9} ops/s  p50 {} us  p99 {} us  max {} us{}",
            self.printed,
            self.latencies.len(),
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
            if failures > 0 { format!("  {failures} errors") } else { String::new() },
        );
        self.failures = tally.failures();
        self.latencies.reset();
    }
}
