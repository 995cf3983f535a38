//! The way to the API server: found, tried, and refused with a reason that names it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::config::{Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};

use super::AppError;
use crate::args::RunArgs;
use crate::controller::reason;

/// How long the API server may take to answer the first question.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// The namespace of an operator that runs outside a cluster.
const OUTSIDE_NAMESPACE: &str = "external-cloud-secrets";

/// A client, and the operator's namespace, both of which were seen to work.
pub(super) async fn connect(args: &RunArgs) -> Result<(Client, String), AppError> {
    let mut config = Config::infer().await.map_err(|_| unusable())?;
    // Half-open connections end by these; reconciles have a deadline of their own.
    config.connect_timeout = Some(Duration::from_secs(5));
    let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let namespace = args.namespace.clone().unwrap_or_else(|| {
        if inside {
            config.default_namespace.clone()
        } else {
            OUTSIDE_NAMESPACE.to_owned()
        }
    });
    let url = config.cluster_url.to_string();
    let unreachable = |reason: String| AppError::Unreachable {
        url: url.clone(),
        reason,
    };
    let client = Client::try_from(config).map_err(|error| unreachable(reason(&error)))?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = tokio::time::timeout(FIRST_ANSWER, namespaces.get_metadata_opt(&namespace)).await;
    match found {
        Err(_) => Err(unreachable("no answer within 10 s".to_owned())),
        Ok(Err(error)) => Err(unreachable(reason(&error))),
        Ok(Ok(None)) => Err(AppError::NoNamespace(namespace)),
        Ok(Ok(Some(_))) => Ok((client, namespace)),
    }
}

/// Why no cluster is known. kube's own text is not used: it may quote the file, which holds
/// credentials.
fn unusable() -> AppError {
    let Some(path) = std::env::var_os("KUBECONFIG") else {
        return AppError::NoCluster;
    };
    let problem = match Kubeconfig::from_env() {
        Err(KubeconfigError::ReadConfig(..)) => "the file cannot be read",
        Err(_) => "the file is no kubeconfig",
        Ok(_) => "its current context names no usable cluster and user",
    };
    AppError::Kubeconfig {
        path: path.to_string_lossy().into_owned(),
        problem,
    }
}

/// The first part of the UID of kube-system, which is as good as a name for a cluster.
pub(super) async fn cluster_name(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces
        .get_metadata_opt("kube-system")
        .await
        .ok()
        .flatten();
    let uid = found
        .and_then(|found| found.metadata.uid)
        .unwrap_or_default();
    let first = uid.split('-').next().unwrap_or_default();
    if first.is_empty() {
        "cluster".to_owned()
    } else {
        first.to_owned()
    }
}
