//! What came out of a run, before it is made into text.

use super::fleet::Counts;
use super::tally::Tally;
use super::usage::Used;
use crate::proto::error_code::ErrorCode;

/// Client-side code: the connection broke while the operation was under way (`KeeperException.Code.CONNECTIONLOSS`).
pub const CONNECTION_LOSS: i32 = -4;
/// Client-side code: no answer until the run gave up waiting (`KeeperException.Code.OPERATIONTIMEOUT`).
pub const OPERATION_TIMEOUT: i32 = -7;

/// The name of a code, of those that servers send and of those that only clients know.
#[must_use]
pub fn code_name(code: i32) -> &'static str {
    match code {
        CONNECTION_LOSS => "CONNECTION_LOSS",
        OPERATION_TIMEOUT => "OPERATION_TIMEOUT",
        _ => ErrorCode(code).name(),
    }
}

/// What came out of one run, or of several after merging.
#[derive(Clone, Default, Debug)]
pub struct Outcome {
    /// The counts.
    pub tally: Tally,
    /// Length of the measurement, in seconds.
    pub seconds: f64,
    /// What it cost; `None` when the run ended before the measurement began.
    pub used: Option<Used>,
}

impl Outcome {
    /// The outcome of one run.
    #[must_use]
    pub fn new(tally: Tally, seconds: f64, used: Option<Used>) -> Self {
        Self { tally, seconds, used }
    }

    /// Takes over what the connections counted.
    pub fn add_counts(&mut self, counts: Counts) {
        self.tally.reconnects += counts.reconnects;
        self.tally.expired += counts.expired;
        self.tally.disorder += counts.disorder;
    }

    /// Makes the times of the pauses count from the beginning of the measurement.
    pub fn shift_pauses(&mut self, measure_from: u64) {
        for (at, _) in &mut self.tally.silence.pauses {
            *at = at.saturating_sub(measure_from);
        }
    }

    /// Operations per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        per(self.tally.operations(), self.seconds)
    }

    /// Operations per CPU-second of the servers, if that is known.
    #[must_use]
    pub fn per_cpu_second(&self) -> Option<f64> {
        let used = self.used.filter(|used| used.server_cpu > 0.0)?;
        Some(per(self.tally.operations(), used.server_cpu))
    }

    /// Adds another run of the same load.
    pub fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.seconds += other.seconds;
        self.used = match (self.used, other.used) {
            (Some(own), Some(more)) => Some(Used {
                client_cpu: own.client_cpu + more.client_cpu,
                server_cpu: own.server_cpu + more.server_cpu,
                server_resident: own.server_resident.max(more.server_resident),
            }),
            (own, more) => own.or(more),
        };
    }
}

/// A rate, zero when no time has passed.
#[must_use]
pub fn per(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload::Kind;

    #[test]
    fn merged_rates_are_of_the_sums() {
        let run = |operations: u64, seconds: f64, server_cpu: f64| {
            let mut tally = Tally::default();
            (0..operations).for_each(|_| tally.record(Kind::Get, 1_000));
            Outcome::new(tally, seconds, Some(Used { server_cpu, ..Used::default() }))
        };
        let mut outcome = run(100, 1.0, 0.5);
        outcome.merge(&run(500, 2.0, 1.5));
        assert_eq!((outcome.per_second(), outcome.per_cpu_second()), (200.0, Some(300.0)));
    }

    #[test]
    fn codes_have_names() {
        assert_eq!(code_name(-4), "CONNECTION_LOSS");
        assert_eq!(code_name(-101), "NO_NODE");
    }
}
