//! The simulator as a program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cloudsim::{InstanceOptions, Options, Simulator};
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Simulates the clouds that external-cloud-secrets reads from, strictly, on one port.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What the clouds hold at the start (see seed.example.yaml).
    #[arg(long, value_name = "FILE")]
    seed: PathBuf,
    /// How long every call takes at least, for example 20ms.
    #[arg(long, default_value = "0s")]
    latency: SignedDuration,
    /// The CA (PEM) that OIDC issuers' servers must be certified by, instead of the system's.
    #[arg(long, value_name = "FILE")]
    oidc_ca: Option<PathBuf>,
    /// Where a dedicated instance of KMS listens, with TLS.
    #[arg(long, value_name = "ADDR")]
    kms_instance: Option<SocketAddr>,
    /// The instance's host name.
    #[arg(long, value_name = "NAME", requires = "kms_instance")]
    kms_instance_host: Option<String>,
    /// A further name or address that the instance's certificate is good for.
    #[arg(long, value_name = "NAME", requires = "kms_instance")]
    kms_instance_name: Vec<String>,
}

fn options(args: &Args) -> Result<Options, String> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let kms_instance = args.kms_instance.map(|listen| {
        let mut options = InstanceOptions {
            listen,
            ..InstanceOptions::default()
        };
        if let Some(host) = &args.kms_instance_host {
            options.host.clone_from(host);
        }
        options.names.extend(args.kms_instance_name.clone());
        options
    });
    Ok(Options {
        listen: args.listen,
        latency: Duration::try_from(args.latency)
            .map_err(|_| "the latency must not be negative".to_owned())?,
        oidc_ca_pem: args.oidc_ca.as_ref().map(read).transpose()?,
        kms_instance,
        ..Options::default()
    })
}

#[allow(clippy::print_stdout)] // The lines that say where the server is belong on standard output.
async fn run(args: Args) -> Result<(), String> {
    let options = options(&args)?;
    let seed = std::fs::read_to_string(&args.seed)
        .map_err(|error| format!("cannot read {}: {error}", args.seed.display()))?;
    let simulator = Simulator::start(seed, options)
        .await
        .map_err(|error| error.to_string())?;
    println!("cloudsim: listening on {}", simulator.url());
    if let Some(instance) = simulator.kms_instance() {
        println!("cloudsim: KMS instance on {}", instance.url);
    }
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stderr)] // A program that cannot start says why in one line, whatever the log's level.
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("cloudsim: {reason}");
            ExitCode::FAILURE
        }
    }
}
