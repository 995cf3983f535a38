//! A real Kubernetes control plane on loopback, for demos, tests and benchmarks.
//!
//! etcd, kube-apiserver and, on request, kube-controller-manager run as child processes that cannot outlive the process
//! that started them. It is never a fake API server.
//!
//! ```no_run
//! # async fn test() -> Result<(), devcluster::Error> {
//! let cluster = devcluster::shared().await;
//! let namespace = cluster.namespace("rotation").await?;
//! let client = cluster.client()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod binary;
mod bootstrap;
mod cache;
mod certificates;
mod cluster;
mod crds;
mod error;
mod kubeconfig;
mod lookup;
mod namespace;
mod operator;
mod plane;
mod port;
mod probe;
mod process;
mod programs;
mod prometheus;
mod report;
mod writes;

pub use binary::{Binary, KUBERNETES_VERSION};
pub use certificates::NODE;
pub use cluster::{Cluster, Options};
pub use crds::read_yaml_dir;
pub use error::Error;
pub use lookup::{Environment, Source};
pub use namespace::Namespace;
pub use operator::{OPERATOR, OperatorAccount};
pub use process::Process;
pub use programs::{helm, kubectl, kubelet, prepare};
pub use prometheus::{Prometheus, prometheus};
pub use writes::{Write, Writes};

use tokio::sync::OnceCell;

static SHARED: OnceCell<Result<Cluster, Error>> = OnceCell::const_new();

/// The cluster, with controllers, that all tests of one process share.
///
/// It is the one that `USE_EXISTING_CLUSTER=true` and `KUBECONFIG` name, or else one that is started by the first call and
/// ends with the process. Tests keep apart by namespaces.
///
/// # Panics
///
/// If there is no cluster to be had: no test that asks for one could say anything better.
#[expect(clippy::panic, reason = "documented; tests are the only callers")]
pub async fn shared() -> &'static Cluster {
    match try_shared().await {
        Ok(cluster) => cluster,
        Err(error) => panic!("devcluster: {error}"),
    }
}

/// [`shared`], for callers that can do without. A failure is remembered, not tried again.
pub async fn try_shared() -> Result<&'static Cluster, &'static Error> {
    SHARED
        .get_or_init(|| Cluster::connect_or_start(Options::new(true)))
        .await
        .as_ref()
}
