//! `make test-pod`: the image as a real Pod.
//!
//! A node (containerd and a kubelet of the same version as the control plane) joins a cluster on this machine, the chart is
//! installed by Helm with the image that `make image` built, and a secret of a simulated cloud arrives by the token that the
//! kubelet projects. Then one replica is stopped, the other is killed, and nothing is left behind: the node lives in namespaces
//! of its own.
//!
//! It needs Linux, root and the programs of a node. Where it cannot run it says so (`test-pod: NOT RUN`) and fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it fails as tests do, and tells how far it came"
)]

mod machine;
mod node;
mod relay;
mod story;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures::FutureExt;
use machine::Traces;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether this machine can run a node.
    Check,
    /// Test the image.
    Run {
        /// The OCI archives that the node gets.
        images: Vec<PathBuf>,
    },
    /// Carry connections out of the node's network.
    Relay {
        /// Each is ADDRESS=SOCKET.
        relays: Vec<String>,
    },
}

/// This machine cannot run a node, and it was said why.
const CANNOT: ExitCode = ExitCode::FAILURE;

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check => match network() {
            Some(_) => ExitCode::SUCCESS,
            None => CANNOT,
        },
        Command::Run { images } => match network() {
            Some(network) => run(&network, &images).await,
            None => CANNOT,
        },
        Command::Relay { relays } => {
            relay::leave(relays).await;
            ExitCode::SUCCESS
        }
    }
}

/// The folder of the programs that give Pods a network, if this machine can run a node.
fn network() -> Option<PathBuf> {
    let ready = machine::ready();
    ready
        .inspect_err(|reason| println!("test-pod: NOT RUN: {reason}"))
        .ok()
}

async fn run(network: &Path, images: &[PathBuf]) -> ExitCode {
    let before = Traces::now();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    // Whatever ends the story, its drops clean up.
    let story = std::panic::AssertUnwindSafe(story::tell(network, images)).catch_unwind();
    let told = tokio::select! {
        told = story => told.is_ok(),
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    };
    let left = Traces::now().since(&before);
    for trace in &left {
        println!("test-pod: left behind: {trace}");
    }
    if !told || !left.is_empty() {
        println!("test-pod: failed");
        return ExitCode::FAILURE;
    }
    println!("test-pod: OK");
    ExitCode::SUCCESS
}
