//! The result as a table for people and as JSON for programs.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::args::Plan;
use super::outcome::{Outcome, code_name, per};
use super::tally::Row;
use super::workload::Workload;

/// The quantiles of the result, with their names.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];
/// Pauses that the table lists; JSON has all.
const PAUSES_MAX: usize = 10;

/// A time in ns as µs, with as many digits as make sense.
#[must_use]
pub fn micros(nanos: u64) -> String {
    if nanos < 100_000 { format!("{:.1}", nanos as f64 / 1e3) } else { format!("{}", (nanos + 500) / 1_000) }
}

/// One line that says what was run.
#[must_use]
pub fn headline(plan: &Plan, target: &str) -> String {
    let mut line = format!("{} on {target}: {} connections", plan.workload, plan.connections);
    if !plan.workload.is_in_rounds() {
        let _ = write!(line, " x {} outstanding", plan.outstanding);
    }
    if plan.workload.uses_keys() {
        let _ = write!(line, ", {} keys ({})", plan.keys, plan.spread);
    }
    if plan.workload != Workload::Sessions {
        let _ = write!(line, ", {} bytes", plan.size);
    }
    if let Some(rate) = plan.rate {
        let _ = write!(line, ", {rate} per second fixed");
    }
    line
}

/// The table of one result.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let mut text = format!("{:<10} {:>10} {:>11}", "", "ops/s", "count");
    for (name, _) in QUANTILES {
        let _ = write!(text, " {name:>8}");
    }
    let _ = writeln!(text, " {:>8}  us", "max");
    for (kind, row) in outcome.tally.rows() {
        let _ = write!(text, "{:<10} {:>10.0} {:>11}", kind.name(), row_rate(row, outcome), row.latencies.len());
        for (_, quantile) in QUANTILES {
            let _ = write!(text, " {:>8}", micros(row.latencies.value_at_quantile(quantile)));
        }
        let _ = writeln!(text, " {:>8}", micros(row.latencies.max()));
    }
    if outcome.tally.rows().count() > 1 && !outcome.tally.rows().any(|(_, row)| row.active > 0) {
        let _ = writeln!(text, "{:<10} {:>10.0} {:>11}", "all", outcome.per_second(), outcome.tally.operations());
    }
    footer(outcome, &mut text);
    text
}

/// Operations of one row per second of the time in which it was under way.
fn row_rate(row: &Row, outcome: &Outcome) -> f64 {
    let seconds = if row.active > 0 { row.active as f64 / 1e9 } else { outcome.seconds };
    per(row.latencies.len(), seconds)
}

fn footer(outcome: &Outcome, text: &mut String) {
    let tally = &outcome.tally;
    let mut errors: Vec<String> = Vec::new();
    for ((kind, code), count) in &tally.errors {
        errors.push(format!("{} {}({code}) {count}", kind.name(), code_name(*code)));
    }
    let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
    let _ = writeln!(
        text,
        "errors: {errors}; reconnects {}, expired sessions {}, disorder {}",
        tally.reconnects, tally.expired, tally.disorder
    );
    if tally.rows().any(|(kind, _)| kind.is_write()) && tally.silence.longest > 0 {
        let _ = writeln!(text, "longest time without an acknowledged write: {:.1} ms", tally.silence.longest as f64 / 1e6);
        let mut pauses = tally.silence.pauses.clone();
        pauses.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
        for (at, length) in pauses.iter().take(PAUSES_MAX) {
            let _ = writeln!(text, "  {:.1} ms at {:.1} s", *length as f64 / 1e6, *at as f64 / 1e9);
        }
    }
    let Some(used) = outcome.used else { return };
    let _ = write!(text, "measured {:.1} s; CPU of the generator {:.2} s", outcome.seconds, used.client_cpu);
    if let Some(rate) = outcome.per_cpu_second() {
        let resident = used.server_resident as f64 / f64::from(1 << 20);
        let _ = write!(text, ", of the servers {:.2} s: {rate:.0} ops per CPU-second; resident {resident:.1} MiB", used.server_cpu);
    }
    text.push('\n');
}

/// The result for programs. Latencies are in µs.
#[must_use]
pub fn to_json(plan: &Plan, target: &str, outcome: &Outcome) -> Value {
    let tally = &outcome.tally;
    let rows: Map<String, Value> = tally.rows().map(|(kind, row)| (kind.name().to_owned(), row_json(row, outcome))).collect();
    let mut errors = Map::new();
    for ((kind, code), count) in &tally.errors {
        let of_kind = errors.entry(kind.name()).or_insert_with(|| json!({}));
        of_kind[code_name(*code)] = json!(count);
    }
    let pauses: Vec<Value> =
        tally.silence.pauses.iter().map(|(at, length)| json!({"at_seconds": *at as f64 / 1e9, "ms": *length as f64 / 1e6})).collect();
    let used = outcome.used.unwrap_or_default();
    json!({
        "target": target,
        "workload": plan.workload.to_string(),
        "connections": plan.connections,
        "outstanding": plan.outstanding,
        "data_bytes": plan.size,
        "keys": plan.keys,
        "spread": plan.spread.to_string(),
        "rate": plan.rate,
        "seed": plan.seed,
        "seconds": outcome.seconds,
        "operations": tally.operations(),
        "operations_per_second": outcome.per_second(),
        "kinds": rows,
        "failures": tally.failures(),
        "errors": errors,
        "reconnects": tally.reconnects,
        "expired_sessions": tally.expired,
        "disorder": tally.disorder,
        "longest_silence_ms": tally.silence.longest as f64 / 1e6,
        "silences": pauses,
        "client_cpu_seconds": used.client_cpu,
        "server_cpu_seconds": outcome.per_cpu_second().map(|_| used.server_cpu),
        "operations_per_server_cpu_second": outcome.per_cpu_second(),
        "server_resident_bytes": outcome.per_cpu_second().map(|_| used.server_resident),
    })
}

fn row_json(row: &Row, outcome: &Outcome) -> Value {
    let us = |nanos: u64| nanos as f64 / 1e3;
    let mut latency = Map::new();
    for (name, quantile) in QUANTILES {
        latency.insert(name.to_owned(), json!(us(row.latencies.value_at_quantile(quantile))));
    }
    latency.insert("max".to_owned(), json!(us(row.latencies.max())));
    latency.insert("min".to_owned(), json!(us(row.latencies.min())));
    latency.insert("mean".to_owned(), json!(row.latencies.mean() / 1e3));
    json!({"count": row.latencies.len(), "per_second": row_rate(row, outcome), "latency_us": latency})
}

/// The ratios of two results, B to A: more than 1 is more operations, or more time.
fn ratios(a: &Outcome, b: &Outcome) -> Vec<(String, f64)> {
    let ratio = |a: f64, b: f64| if a > 0.0 { b / a } else { f64::NAN };
    let mut ratios = vec![("ops/s".to_owned(), ratio(a.per_second(), b.per_second()))];
    for (kind, row) in a.tally.rows() {
        let Some((_, other)) = b.tally.rows().find(|(other, _)| *other == kind) else { continue };
        ratios.push((format!("{} mean", kind.name()), ratio(row.latencies.mean(), other.latencies.mean())));
        let at = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64;
        for (name, quantile) in QUANTILES {
            ratios.push((format!("{} {name}", kind.name()), ratio(at(&row.latencies, quantile), at(&other.latencies, quantile))));
        }
    }
    ratios
}

/// The table of two results: both, and the ratios.
#[must_use]
pub fn compare_table(targets: [&str; 2], outcomes: [&Outcome; 2], rounds: u32) -> String {
    let mut text = String::new();
    for (name, (target, outcome)) in ["A", "B"].iter().zip(targets.iter().zip(outcomes)) {
        let _ = writeln!(text, "{name}: {target}, {rounds} rounds together\n{}", table(outcome));
    }
    let _ = writeln!(text, "B / A");
    for (name, ratio) in ratios(outcomes[0], outcomes[1]) {
        let _ = writeln!(text, "  {name:<18} {ratio:>8.3}");
    }
    text
}

/// Two results and their ratios for programs.
#[must_use]
pub fn compare_json(plan: &Plan, targets: [&str; 2], outcomes: [&Outcome; 2], rounds: u32) -> Value {
    let ratios: Map<String, Value> = ratios(outcomes[0], outcomes[1]).into_iter().map(|(name, ratio)| (name, json!(ratio))).collect();
    json!({
        "rounds": rounds,
        "a": to_json(plan, targets[0], outcomes[0]),
        "b": to_json(plan, targets[1], outcomes[1]),
        "b_to_a": ratios,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tally::Tally;
    use crate::bench::workload::Kind;

    fn outcome(latency: u64) -> Outcome {
        let mut tally = Tally::default();
        (0..1_000).for_each(|_| tally.record(Kind::Set, latency));
        tally.fail(Kind::Set, -101);
        Outcome::new(tally, 2.0, None)
    }

    #[test]
    fn times_have_sensible_digits() {
        assert_eq!([micros(0), micros(1_250), micros(99_960), micros(100_499), micros(2_000_000)], ["0.0", "1.2", "100.0", "100", "2000"]);
    }

    #[test]
    fn the_table_has_every_kind_and_every_error() {
        let text = table(&outcome(250_000));
        let line: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(line, ["set", "500", "1000", "250", "250", "250", "250", "250", "250"]);
        assert!(text.contains("set NO_NODE(-101) 1"), "{text}");
    }

    #[test]
    fn ratios_are_of_the_second_to_the_first() {
        let ratios = ratios(&outcome(100_000), &outcome(200_000));
        let get = |name: &str| ratios.iter().find(|(other, _)| other == name).expect(name).1;
        assert!((get("ops/s") - 1.0).abs() < 1e-9);
        assert!((get("set p99") - 2.0).abs() < 0.01, "{}", get("set p99"));
    }
}
