//! The `external-cloud-secrets` binary.

use std::process::ExitCode;

use clap::Parser;
use external_cloud_secrets::args::{Cli, Command, RunArgs};
use external_cloud_secrets::{app, cli, telemetry};
use tokio::signal::unix::{SignalKind, signal};

// musl's own allocator has one lock for all threads: new objects took twice the CPU with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => run(cli.run),
        Some(Command::Run(args)) => run(*args),
        Some(Command::Crds(args)) => cli::crds::run(args.dir.as_deref(), &mut std::io::stdout())
            .map_err(|error| error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // The reason is what the user has to read, whatever the log level.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("error: {reason}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(args: RunArgs) -> Result<(), String> {
    let filter = std::env::var("RUST_LOG").ok();
    telemetry::start(filter.as_deref(), args.log_format).map_err(|error| error.to_string())?;
    // Whoever else installed a provider installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime can be started: {error}"))?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let result = runtime.block_on(async {
        let shutdown = stop_signal().map_err(|error| format!("signals: {error}"))?;
        app::run(args, environment, shutdown)
            .await
            .map_err(|error| error.to_string())
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}

/// How many threads run the operator's tasks. Two keep the API server busy (docs/scale.md); each has memory of its own, and a
/// large node would start dozens.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2))
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
