//! `make bench`: what the operator costs, measured from outside, beside the floor that the API server sets.
//!
//! A real API server and a simulated cloud are started for each group of scenarios, and the release binary of the
//! operator between them. The report is JSON with keys that stay; docs/scale.md says what each number means.
#![forbid(unsafe_code)]

mod args;
mod capacity;
mod cloud;
mod counters;
mod failure;
mod floor;
mod observer;
mod operator;
mod plot;
mod population;
mod procfs;
mod programs;
mod report;
mod run;
mod scenario;
mod stats;
mod table;
mod tell;
mod wait;
mod world;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use args::{Cli, Command, RunArgs};
use failure::{Failure, Result};

fn main() -> ExitCode {
    // An error says that a provider is installed already, which is all that is needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match act(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(reason)) => {
            tell::failure(&reason);
            ExitCode::FAILURE
        }
    }
}

fn act(cli: Cli) -> Result<()> {
    match cli.command {
        None => Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(measure(cli.run)),
        Some(Command::Plot { out, reports }) => plot::plot(&out, &reports),
        Some(Command::Counters { baseline, write }) => counters::counters(&baseline, write),
        // On one thread, so that no count depends on who runs first.
        Some(Command::Work { work, times }) => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(counters::work(work, times)),
    }
}

/// Runs the scenarios, and leaves the report and a table.
async fn measure(args: RunArgs) -> Result<()> {
    let (out, n) = (args.out.clone(), args.n);
    // Dropping the run ends every process that it started.
    let report = tokio::select! {
        report = Box::pin(run::run(args)) => report?,
        () = interrupted() => return Err(Failure("interrupted".into())),
    };
    fs::create_dir_all(&out)?;
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    let path = out.join("report.json");
    fs::write(&path, &text)?;
    // A copy that a run of another size leaves alone: the plots take several.
    let copy: PathBuf = out.join(format!("report-{n}.json"));
    fs::write(copy, text)?;
    tell::result(&table::table(&report));
    tell::result(&format!("\n{}", path.display()));
    Ok(())
}

async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
