//! What a run costs: CPU time of the generator itself, CPU time and memory of servers on this machine (proc(5)).

use std::fs;
use std::io;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

use super::error::{BenchError, system};

/// CPU times at the beginning of a measurement, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    client: f64,
    servers: f64,
}

/// What was used during a measurement.
#[derive(Clone, Copy, Default, Debug)]
pub struct Used {
    /// CPU time of the generator, in seconds.
    pub client_cpu: f64,
    /// CPU time of the servers, in seconds; zero when none are known.
    pub server_cpu: f64,
    /// Resident memory of the servers at the end, in bytes; zero when none are known.
    pub server_resident: u64,
}

impl Usage {
    /// Reads the clocks.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn begin(pids: &[u32]) -> Result<Self, BenchError> {
        Ok(Self { client: own_cpu(), servers: sum(pids, cpu)? })
    }

    /// Reads them again.
    ///
    /// # Errors
    /// Never for a process that has ended meanwhile: it counts as nothing.
    pub fn end(self, pids: &[u32]) -> Result<Used, BenchError> {
        let servers = sum(pids, |pid| Ok(cpu(pid).unwrap_or(0.0)))?;
        let resident = sum(pids, |pid| Ok(resident(pid).unwrap_or(0.0)))?;
        Ok(Used { client_cpu: own_cpu() - self.client, server_cpu: (servers - self.servers).max(0.0), server_resident: resident as u64 })
    }
}

fn own_cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn sum(pids: &[u32], read: impl Fn(u32) -> io::Result<f64>) -> Result<f64, BenchError> {
    pids.iter().try_fold(0.0, |sum, pid| Ok(sum + read(*pid).map_err(system(&format!("process {pid} of --pids")))?))
}

/// User and system time of all threads, in seconds.
fn cpu(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}

/// Resident memory, in bytes.
fn resident(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kibibytes.unwrap_or(0.0) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let pids = [std::process::id()];
        let usage = Usage::begin(&pids).expect("this process is there");
        let mut sum = 0_u64;
        while cpu(pids[0]).expect("still there") - usage.servers < 0.06 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        let used = usage.end(&pids).expect("still there");
        assert!(used.server_cpu >= 0.02 && used.client_cpu >= 0.01, "{used:?}");
        assert!(used.server_resident > 1 << 20, "{used:?}");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Usage::begin(&[u32::MAX]).expect_err("no such process").to_string().contains("4294967295"));
    }
}
