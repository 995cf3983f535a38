//! `make demo`: everything this project does, on one machine, within a minute.
//!
//! A real Kubernetes API server, a simulated cloud and the release binary of the operator are started; the files under
//! `examples/` are applied; then values are rotated, the cloud goes away and comes back, and an object is deleted. It
//! never prints a value, and leaves nothing behind unless it is asked to (`make demo KEEP=1`).
#![forbid(unsafe_code)]
#![expect(clippy::print_stderr, reason = "the demo talks to its user")]

mod failure;
mod kubectl;
mod process;
mod rotation;
mod scene;
mod stage;
mod story;
mod tell;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use failure::{Failure, Result};
use stage::Stage;

/// The operator from end to end, on one machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave everything running, and say how to play with it and how to stop it.
    #[arg(long)]
    keep: bool,
    /// The operator's binary; without it, the one that `make demo` builds.
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Ctrl-C and its relatives.
struct Stop([Signal; 3]);

// === impl Stop ===

impl Stop {
    fn listen() -> Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = async {
        let stop = Stop::listen()?;
        let stage = Stage::new(arguments.keep, arguments.program)?;
        play(arguments.keep, stop, stage).await
    };
    match result.await {
        Ok(()) => {
            tell::text("\ndemo: OK");
            ExitCode::SUCCESS
        }
        Err(Failure(reason)) => {
            eprintln!("\ndemo: failed: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn play(keep: bool, mut stop: Stop, mut stage: Stage) -> Result<()> {
    let result = tokio::select! {
        result = story::tell(&mut stage, keep) => Some(result),
        () = stop.asked() => {
            tell::text("\ndemo: stopping");
            None
        }
    };
    match &result {
        Some(Ok(())) if keep => {
            stage.leave();
            return Ok(());
        }
        Some(Ok(())) | None => {}
        Some(Err(_)) => {
            for program in &mut stage.programs {
                let state = program
                    .ended()
                    .map_or_else(|| "it runs".into(), |status| status.to_string());
                let (name, lines) = (program.name, program.last_lines(15));
                eprintln!("\nThe last lines of {name} ({state}):\n{lines}");
            }
        }
    }
    tokio::select! {
        () = stage.stop() => {}
        () = stop.asked() => stage.kill(),
    }
    stage.clear();
    result.unwrap_or_else(|| Err(Failure("interrupted".into())))
}
