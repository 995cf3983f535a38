//! `devcluster`: a control plane in the foreground.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

use clap::{Parser, Subcommand};
use devcluster::{Binary, Cluster, Error, Options};
use std::fs;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

const POLL: Duration = Duration::from_millis(250);

/// A real Kubernetes control plane on loopback.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a control plane until SIGINT, SIGTERM or the end of the parent process.
    Up {
        /// Where its files go; `kubeconfig` and `ca.crt` are for others to use.
        #[arg(long)]
        dir: PathBuf,
        /// Run kube-controller-manager too: garbage collection, namespace deletion, default service accounts.
        #[arg(long)]
        with_controllers: bool,
        /// Install the CRDs in the `.yaml` files of this directory.
        #[arg(long, value_name = "DIR")]
        crds: Option<PathBuf>,
        /// Go on when the parent process ends.
        #[arg(long)]
        detached: bool,
    },
    /// Find the programs of a control plane, which an existing cluster does not need, and of tests, or build them into the cache.
    Prepare,
    /// Print the path of a kubectl: the machine's, or one built into the cache.
    Kubectl,
    /// Print the path of the Helm that the chart is tested with, built into the cache.
    Helm,
}

/// The reasons to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    parent: Option<u32>,
}

// === impl Stop ===

impl Stop {
    fn listen(detached: bool) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            parent: (!detached).then(parent_id),
        })
    }

    /// Waits for a reason and says which.
    async fn reason(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "interrupted",
                _ = self.terminate.recv() => return "terminated",
                _ = self.hang_up.recv(), if self.parent.is_some() => return "the terminal is gone",
                () = tokio::time::sleep(POLL) => {
                    // An orphan is handed to another process: that is how a parent's death shows.
                    if self.parent.is_some_and(|parent| parent != parent_id()) {
                        // Once is enough: a second reason to stop means that the first takes too long.
                        self.parent = None;
                        return "the parent process is gone";
                    }
                }
            }
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Up {
            dir,
            with_controllers,
            crds,
            detached,
        } => up(dir, with_controllers, crds, detached).await,
        Command::Prepare => devcluster::prepare().await,
        Command::Kubectl => devcluster::kubectl()
            .await
            .map(|path| println!("{}", path.display())),
        Command::Helm => devcluster::helm(Binary::Helm4)
            .await
            .map(|path| println!("{}", path.display())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devcluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn up(
    dir: PathBuf,
    controllers: bool,
    crds: Option<PathBuf>,
    detached: bool,
) -> Result<(), Error> {
    let io = |source| Error::Io {
        what: "listen to",
        path: "signals".into(),
        source,
    };
    let mut stop = Stop::listen(detached).map_err(io)?;
    let mut options = Options::new(controllers);
    options.dir = Some(dir.clone());
    options.crds = crds.as_deref().map(devcluster::read_yaml_dir).transpose()?;

    // What is half started ends with this process: a drop kills it.
    let cluster = tokio::select! {
        cluster = Cluster::connect_or_start(options) => cluster?,
        reason = stop.reason() => {
            eprintln!("devcluster: {reason} before it was ready");
            return Ok(());
        }
    };
    publish(&cluster, &dir)?;
    for (name, id) in cluster.process_ids().await {
        eprintln!("devcluster: {name} is process {id}");
    }
    println!("devcluster: ready");

    let reason = tokio::select! {
        reason = stop.reason() => reason,
        error = failure(&cluster) => {
            cluster.stop().await;
            return Err(error);
        }
    };
    eprintln!("devcluster: {reason}, stopping");
    tokio::select! {
        () = cluster.stop() => eprintln!("devcluster: stopped"),
        reason = stop.reason() => eprintln!("devcluster: {reason} again, killing"),
    }
    Ok(())
}

/// Puts the kubeconfig and the CA of a cluster that is not ours where those of ours would be.
fn publish(cluster: &Cluster, dir: &Path) -> Result<(), Error> {
    let write = |name: &str, from: &Path| {
        let path = dir.join(name);
        if path
            .canonicalize()
            .is_ok_and(|path| from.canonicalize().is_ok_and(|from| from == path))
        {
            return Ok(());
        }
        let copied = fs::create_dir_all(dir).and_then(|()| fs::copy(from, &path));
        copied.map(drop).map_err(|source| Error::Io {
            what: "write",
            path,
            source,
        })
    };
    write("kubeconfig", cluster.kubeconfig_path())?;
    write("ca.crt", cluster.ca_path())
}

/// Waits for a process of the control plane to end by itself.
async fn failure(cluster: &Cluster) -> Error {
    loop {
        if let Err(error) = cluster.check().await {
            return error;
        }
        tokio::time::sleep(POLL).await;
    }
}
