//! The arguments of `paddock bench`, and the plan that follows from them.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::error::BenchError;
use super::spread::Spread;
use super::workload::Workload;

/// Data of a znode at most, in bytes: what a server takes by default, less the rest of the frame.
const SIZE_MAX: usize = 1_000_000;
/// Connections at most: one address has no more ports to give.
const CONNECTIONS_MAX: usize = 60_000;
/// Outstanding requests of one connection at most.
const OUTSTANDING_MAX: usize = 10_000;
/// Keys at most: every name fits in ten digits.
const KEYS_MAX: u64 = 1_000_000_000;

const EXAMPLES: &str = "\
WORKLOADS
  get, exists, set  on --keys znodes that the run creates and fills first
  children[:N]      getChildren on folders of N znodes (10)
  create            in folders that the run makes
  delete            each time a znode is created and deleted; both are measured
  mixed[:READS]     READS of a hundred operations get (90), the rest set
  multi[:N]         multi of N set (10)
  watch             --connections sessions watch one znode; a set; until all are told; again
  sessions          --connections sessions are opened, --outstanding at a time, then closed; again
  failover          set, looking at the longest time in which no write is acknowledged while servers die

EXAMPLES
  paddock bench get
  paddock bench mixed:80 zk1:2181,zk2:2181,zk3:2181/load --connections 200 --outstanding 8 --duration 1m
  paddock bench set zk1:2181 --rate 1000 --connections 8          latency under a fixed load
  paddock bench get zk1:2181 --keys 1000000 --spread zipf         few hot keys among many
  paddock bench watch zk1:2181 --connections 2000
  paddock bench failover zk1:2181,zk2:2181,zk3:2181 --duration 1m   then kill servers
  paddock bench get zk1:2181 --compare other:2181 --rounds 5      two targets in turns, and the ratio
  paddock bench get zk1:2181 --json > result.json

Everything happens below one znode /paddock-bench-XXXXXXXX (below the chroot, if there is one), which is removed at the end, also
after Ctrl-C. Ctrl-C prints the result so far; a second one ends at once and leaves the znodes.
Connections are plain TCP; TLS comes later.

Exit codes: 0 done, 1 failed (nothing to measure, or replies out of order), 2 wrong arguments.";

/// Puts load on a ZooKeeper-compatible ensemble and tells how fast it answers.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// What to do: get, exists, children, set, create, delete, mixed, multi, watch, sessions or failover; below is what they are.
    pub workload: Workload,
    /// The connection string: host:port,host:port/chroot. Connections are spread over the servers.
    #[arg(default_value = "127.0.0.1:2181")]
    pub servers: String,
    /// Connections, each with its own session [default: 32; watch and sessions 1000, failover 8].
    #[arg(short, long, value_name = "N")]
    pub connections: Option<usize>,
    /// Requests that one connection has under way; with sessions: sessions being opened at a time [default: 16; sessions 100, failover 1].
    #[arg(short, long, value_name = "N")]
    pub outstanding: Option<usize>,
    /// Bytes of data in each znode.
    #[arg(short, long, value_name = "BYTES", default_value_t = 100)]
    pub size: usize,
    /// How many znodes there are to choose from.
    #[arg(short, long, value_name = "N", default_value_t = 1000)]
    pub keys: u64,
    /// How the keys are chosen: uniform, zipf (few hot ones), zipf:EXPONENT.
    #[arg(long, default_value = "uniform")]
    pub spread: Spread,
    /// How long to measure, e.g. 500ms, 10s, 2m.
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Ends after this many operations, if that is sooner.
    #[arg(short = 'n', long, value_name = "N")]
    pub operations: Option<u64>,
    /// Operations per second over all connections, evenly spaced; latency then counts from when an operation was due.
    #[arg(short, long, value_name = "N")]
    pub rate: Option<f64>,
    /// Load before the measurement begins.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warm_up: Duration,
    /// Session timeout asked for.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub session_timeout: Duration,
    /// Credentials for each connection, e.g. digest:user:password; may be given several times.
    #[arg(long, value_name = "SCHEME:CREDENTIALS", action = ArgAction::Append)]
    pub auth: Vec<String>,
    /// A second ensemble: both get the same load in turns, and the result is the ratio.
    #[arg(long, value_name = "SERVERS")]
    pub compare: Option<String>,
    /// Turns of each target with --compare.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "compare")]
    pub rounds: u32,
    /// Process ids of servers on this machine: their CPU time and resident memory become part of the result.
    #[arg(long, value_name = "PID,...", value_delimiter = ',')]
    pub pids: Vec<u32>,
    /// Seed of the choice of keys, to repeat a run exactly.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Prints the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Prints a line each second to standard error even if that is no terminal.
    #[arg(long)]
    pub progress: bool,
}

/// What one run does: the arguments with their defaults, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to do.
    pub workload: Workload,
    /// Connections, at least 1.
    pub connections: usize,
    /// Requests under way for each connection, at least 1.
    pub outstanding: usize,
    /// Bytes of data.
    pub size: usize,
    /// Number of keys, at least 1.
    pub keys: u64,
    /// How keys are chosen.
    pub spread: Spread,
    /// Length of the measurement, in ns.
    pub duration: u64,
    /// Operations at most.
    pub operations: Option<u64>,
    /// Operations per second, if fixed.
    pub rate: Option<f64>,
    /// Length of the warm-up, in ns.
    pub warm_up: u64,
    /// Session timeout asked for, in ms.
    pub session_timeout_ms: i32,
    /// Schemes and credentials.
    pub auth: Vec<(String, String)>,
    /// Server processes on this machine.
    pub pids: Vec<u32>,
    /// Seed of the random choices.
    pub seed: u64,
    /// Whether to print a line each second.
    pub progress: bool,
}

impl Plan {
    /// Fills in the defaults and checks the limits.
    ///
    /// # Errors
    /// When an argument is out of its range, or two do not go together.
    pub fn new(arguments: &Arguments, progress: bool) -> Result<Self, BenchError> {
        let workload = arguments.workload;
        let (connections, outstanding) = match workload {
            Workload::Watch => (1_000, 1),
            Workload::Sessions => (1_000, 100),
            Workload::Failover => (8, 1),
            _ => (32, 16),
        };
        let connections = arguments.connections.unwrap_or(connections);
        let outstanding = arguments.outstanding.unwrap_or(outstanding);
        check("--connections", connections as u64, 1, CONNECTIONS_MAX as u64)?;
        check("--outstanding", outstanding as u64, 1, OUTSTANDING_MAX as u64)?;
        check("--size", arguments.size as u64, 0, SIZE_MAX as u64)?;
        check("--keys", arguments.keys, 1, KEYS_MAX)?;
        check("--operations", arguments.operations.unwrap_or(1), 1, u64::MAX)?;
        check("--rounds", u64::from(arguments.rounds), 1, 1_000)?;
        if arguments.rate.is_some_and(|rate| !(0.001..=1e8).contains(&rate)) {
            return Err(bad("--rate", "is from 0.001 to 100000000 operations per second"));
        }
        if arguments.rate.is_some() && workload.is_in_rounds() {
            return Err(bad("--rate", &format!("does not go with {workload}, which waits for the end of each round")));
        }
        if arguments.duration.is_zero() {
            return Err(bad("--duration", "is above 0"));
        }
        if let Workload::Multi(parts) = workload {
            check("--size times the parts of multi", arguments.size as u64 * u64::from(parts), 0, SIZE_MAX as u64)?;
        }
        Ok(Self {
            workload,
            connections,
            outstanding,
            size: arguments.size,
            keys: arguments.keys,
            spread: arguments.spread,
            duration: arguments.duration.as_nanos() as u64,
            operations: arguments.operations,
            rate: arguments.rate,
            warm_up: arguments.warm_up.as_nanos() as u64,
            session_timeout_ms: i32::try_from(arguments.session_timeout.as_millis()).unwrap_or(i32::MAX),
            auth: arguments.auth.iter().map(|text| parse_auth(text)).collect::<Result<_, _>>()?,
            pids: arguments.pids.clone(),
            seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
            progress,
        })
    }
}

fn bad(what: &str, why: &str) -> BenchError {
    BenchError::Argument { what: what.to_owned(), why: why.to_owned() }
}

fn check(what: &str, value: u64, min: u64, max: u64) -> Result<(), BenchError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(bad(what, &format!("is from {min} to {max}, not {value}"))) }
}

fn parse_auth(text: &str) -> Result<(String, String), BenchError> {
    match text.split_once(':') {
        Some((scheme, credentials)) if !scheme.is_empty() => Ok((scheme.to_owned(), credentials.to_owned())),
        _ => Err(bad("--auth", "looks like digest:user:password")),
    }
}

/// A time with a unit: ms, s, m or h; without one, seconds. At most a week.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err("the units are ms, s, m and h".to_owned()),
    };
    let seconds = number.parse::<f64>().map_err(|_| "a time looks like 500ms, 10s or 2m".to_owned())? * unit;
    if seconds <= 604_800.0 { Ok(Duration::from_secs_f64(seconds)) } else { Err("that is more than a week".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn plan(line: &str) -> Result<Plan, String> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        Plan::new(&command.arguments, false).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_depend_on_the_workload() {
        let shape = |line| plan(line).map(|plan| (plan.connections, plan.outstanding)).expect(line);
        assert_eq!(shape("get"), (32, 16));
        assert_eq!(shape("sessions"), (1_000, 100));
        assert_eq!(shape("failover -c 3"), (3, 1));
        assert_eq!(shape("watch h:1 -o 4"), (1_000, 4));
    }

    #[test]
    fn times_have_units() {
        for (text, ms) in [("250ms", 250), ("3", 3_000), ("1.5s", 1_500), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text).map(|time| time.as_millis()), Ok(ms), "{text}");
        }
        for text in ["", "s", "3 s", "-1s", "1d", "1e3", "999h", "1.2.3s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (line, part) in [
            ("get -c 0", "--connections: is from 1 to 60000, not 0"),
            ("get -o 0", "--outstanding"),
            ("get -k 0", "--keys"),
            ("set -s 2000000", "--size"),
            ("multi:1000 -s 1001", "--size times the parts"),
            ("get -r 0", "--rate"),
            ("get -r nan", "--rate"),
            ("watch -r 5", "does not go with watch"),
            ("get -d 0s", "--duration"),
            ("get --auth digest", "--auth"),
            ("get --rounds 3", "--compare"),
            ("get -n 0", "--operations"),
            ("walk", "not one of get"),
        ] {
            let error = plan(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn credentials_keep_their_colons() {
        let plan = plan("get --auth digest:user:pass:word --auth x:").expect("fits");
        assert_eq!(plan.auth, [("digest".to_owned(), "user:pass:word".to_owned()), ("x".to_owned(), String::new())]);
    }
}
