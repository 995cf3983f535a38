//! What the kernel says about a process and the machine.

use std::fs;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::report::Machine;

/// The CPU time that a process has used, in user and system mode, of all its threads; in steps of 10 ms.
///
/// # Errors
/// If there is no such process.
pub fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| Failure(format!("{path}: {error}")))?;
    let ticks =
        parse_ticks(&text).ok_or_else(|| Failure(format!("{path} is not what it should be")))?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1_000 / per_second))
}

/// The resident memory of a process, in MiB.
///
/// # Errors
/// If there is no such process.
pub fn rss_mib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| Failure(format!("{path}: {error}")))?;
    let kib = parse_rss(&text).ok_or_else(|| Failure(format!("{path}: the process has ended")))?;
    Ok(f64::from(kib) / 1_024.0)
}

/// This machine.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    };
    Machine {
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
        cpu: info.lines().find_map(named).unwrap_or_default(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// The sum of fields 14 and 15. The second field is the program's name in parentheses and may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_rss(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_name_holds_spaces_and_parentheses_is_read_right() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 123 456";
        assert_eq!(parse_ticks(stat), Some(300));
        assert_eq!(parse_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_found_and_a_dead_process_has_none() {
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_048));
        assert_eq!(parse_rss("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_this_machine_a_kernel() {
        assert!(rss_mib(std::process::id()).unwrap() > 1.0);
        let machine = machine();
        assert!(machine.cores > 0 && !machine.kernel.is_empty());
    }
}
