//! Instructions of the hot paths, counted by valgrind: unlike times, they are the same on a busy machine.
//!
//! A piece of work is done a few times in one process and more often in another. The difference, by the number of times
//! more, is what one costs: start and preparation cancel out.

mod work;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::failure::{Failure, Result};
use crate::stats::{number, rounded};
use crate::tell;

pub use work::{Work, work};

/// What a count may grow by before it is called worse: hash maps are seeded anew in every process.
const TOLERANCE: f64 = 0.03;

/// Counts every piece of work and holds it against the file `baseline`, or makes that file.
///
/// # Errors
/// If valgrind is missing, or a count is worse than the baseline's.
pub fn counters(baseline: &Path, write: bool) -> Result<()> {
    let mut counted = BTreeMap::new();
    for work in Work::value_variants() {
        let (few, many) = work.times();
        let difference = count(*work, many)?.saturating_sub(count(*work, few)?);
        counted.insert(work.name(), difference / u64::from(many - few));
    }
    if write {
        let mut text = serde_json::to_string_pretty(&counted)?;
        text.push('\n');
        fs::write(baseline, text)?;
    }
    let text = fs::read_to_string(baseline)
        .map_err(|error| Failure(format!("{}: {error}", baseline.display())))?;
    let before: BTreeMap<String, u64> = serde_json::from_str(&text)?;
    let mut worse = Vec::new();
    for (name, now) in &counted {
        let Some(then) = before.get(name).copied() else {
            return Err(Failure(format!("{name} is not in {}", baseline.display())));
        };
        let change = number(*now) / number(then.max(1)) - 1.0;
        let percent = rounded(change * 100.0, 1);
        tell::result(&format!(
            "{name:10} {now:>12} instructions, {percent:+.1} % to the baseline"
        ));
        if change > TOLERANCE {
            worse.push(name.as_str());
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "more instructions than in {}: {}",
        baseline.display(),
        worse.join(", ")
    )))
}

/// The instructions of a process that does `work` so many times.
fn count(work: Work, times: u32) -> Result<u64> {
    let us = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(us)
        .args(["work", &work.name(), &times.to_string()])
        .output()
        .map_err(|error| Failure(format!("valgrind: {error}; apt-get install valgrind")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure(format!("{} under valgrind: {said}", work.name())));
    }
    collected(&said).ok_or_else(|| Failure(format!("valgrind did not say what it counted: {said}")))
}

/// The number in valgrind's last line, such as `==7== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

// === impl Work ===

impl Work {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_valgrind_says_is_read() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn the_baseline_has_every_piece_of_work_and_no_other() {
        let baseline: BTreeMap<String, u64> =
            serde_json::from_str(include_str!("../counters.json")).unwrap();
        let names: Vec<String> = Work::value_variants()
            .iter()
            .map(|work| work.name())
            .collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(baseline.keys().cloned().collect::<Vec<_>>(), sorted);
        assert!(
            baseline.values().all(|count| *count > 1_000),
            "{baseline:?}"
        );
    }

    #[tokio::test]
    async fn every_piece_of_work_can_be_done() {
        for piece in Work::value_variants() {
            work(*piece, 2).await.unwrap();
        }
    }
}
