//! The operator as a whole: its parts, in the order in which they start and stop.
//!
//! Watches and the HTTP server run from the start to the end (`base.rs`). Everything that writes, or
//! calls a cloud, runs in a term (`term.rs`), which begins when this process leads and ends before
//! another can.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::args::RunArgs;
use crate::controller::digest_key;
use crate::credential::EnvironmentError;
use crate::server::Server;

use base::Base;
use shown::Shown;

mod base;
mod connection;
mod shown;
mod term;
mod transport;

/// How long the API server may take to answer what is asked before anything runs.
const START: Duration = Duration::from_secs(30);
/// Why the operator does not run. Each says in one line what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No kubeconfig and no cluster around us.
    #[error("no cluster to run against: set KUBECONFIG, or run in a Pod")]
    NoCluster,
    /// The kubeconfig cannot be used.
    #[error("KUBECONFIG {path}: {problem}")]
    Kubeconfig {
        /// What the variable says.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The API server does not answer.
    #[error("the API server at {url} cannot be reached: {reason}")]
    Unreachable {
        /// Its URL.
        url: String,
        /// What it said.
        reason: String,
    },
    /// The API server answered the first question and then no more.
    #[error("the API server does not answer within {} s", START.as_secs())]
    Slow,
    /// The operator's namespace is missing.
    #[error(
        "the operator's namespace {0} does not exist; create it, or name another with --namespace"
    )]
    NoNamespace(String),
    /// The namespace that names the cluster cannot be read.
    #[error("the namespace kube-system cannot be read: {0}; name the cluster with --cluster-name")]
    NoClusterName(String),
    /// The digest key.
    #[error(transparent)]
    DigestKey(#[from] digest_key::DigestKeyError),
    /// A flag.
    #[error("--allowed-endpoint-suffixes: {0}")]
    Endpoints(#[from] crate::provider::endpoint::EndpointError),
    /// The environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The HTTP client for clouds.
    #[error("no HTTP client can be made: {0}")]
    Http(String),
    /// The HTTP server.
    #[error("--http-address {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A part stopped by itself, which none does in health.
    #[error("{0} ended unexpectedly; the log says where")]
    Ended(&'static str),
    /// What was under way when this process led no more did not end.
    #[error("this process leads no more, and what it was doing did not stop in time")]
    Stuck,
}

/// The signal to stop.
type Stop = Shared<BoxFuture<'static, ()>>;

/// Runs the operator until `shutdown`, then drains.
///
/// # Errors
/// Why it cannot run.
pub async fn run(
    args: RunArgs,
    environment: impl IntoIterator<Item = (String, String)>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), AppError> {
    let stop: Stop = shutdown.boxed().shared();
    let address = args.http_address;
    let listen = |error| AppError::Listen(address, error);
    let start = async {
        let server = Server::bind(address).await.map_err(listen)?;
        let built = tokio::time::timeout(START, Base::build(args, environment)).await;
        Ok::<_, AppError>((server, built.map_err(|_| AppError::Slow)??))
    };
    let (server, (base, elector, writers)) = tokio::select! {
        started = start => started?,
        // Nothing was begun that would have to end.
        () = stop.clone() => return Ok(()),
    };
    let address = server.address().map_err(listen)?;
    let namespace = &base.rules.operator_namespace;
    tracing::info!(%address, %namespace, version = env!("CARGO_PKG_VERSION"), "started");
    base.run(server, elector, writers, stop).await
}
