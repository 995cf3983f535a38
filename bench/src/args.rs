//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::counters::Work;

/// Measures external-cloud-secrets from outside, beside the floor that the API server sets.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without a command, the scenarios run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The scenarios' settings, where no command is given.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draw how cost grows, from the reports of several sizes.
    Plot {
        /// Where the pictures go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Reports, in any order.
        #[arg(required = true, value_name = "REPORT")]
        reports: Vec<PathBuf>,
    },
    /// Count the instructions of the hot paths under valgrind, and hold them against the baseline.
    Counters {
        /// The baseline.
        #[arg(long, value_name = "FILE", default_value = "bench/counters.json")]
        baseline: PathBuf,
        /// Make what was counted the baseline.
        #[arg(long)]
        write: bool,
    },
    /// Do one piece of work so many times and nothing else, so that its instructions can be counted.
    #[command(hide = true)]
    Work {
        /// Which.
        work: Work,
        /// How many times.
        times: u32,
    },
}

/// What is measured, and how.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// How many objects, of four keys each.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub n: u32,
    /// Only these scenarios, and what they stand on.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub scenarios: Vec<Scenario>,
    /// The operator's program. Default: the one beside this.
    #[arg(long, value_name = "FILE", conflicts_with = "operator")]
    pub program: Option<PathBuf>,
    /// Another program to measure, as a shell command. It finds everything in its environment: see docs/scale.md.
    #[arg(long, value_name = "CMD")]
    pub operator: Option<String>,
    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub out: PathBuf,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// How fast the API server takes the writes of a bare client.
    Floor,
    /// New objects, until all are written.
    Cold,
    /// Unchanged values, at their interval.
    Steady,
    /// The same of OOS, which takes ten references to a call.
    SteadyOos,
    /// The same of SSM, which takes one reference to a call.
    SteadySsm,
    /// Objects that all name one reference.
    Shared,
    /// From the poll that sees a new value to the Secret.
    Rotate,
    /// A new object while many rows are due.
    FastLane,
    /// A process that is killed and started again.
    Restart,
    /// A cloud that answers nobody for a minute.
    Outage,
    /// An operator without objects.
    Idle,
}

// === impl RunArgs ===

impl RunArgs {
    /// Whether a scenario is asked for: without a list, all are.
    pub fn wants(&self, scenario: Scenario) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&scenario)
    }

    /// Whether any of these is.
    pub fn wants_any(&self, scenarios: &[Scenario]) -> bool {
        scenarios.iter().any(|scenario| self.wants(*scenario))
    }
}
