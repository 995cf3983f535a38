//! The way to the API server: found, tried, and refused with a reason that names it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::config::{Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};

use super::AppError;
use super::transport::transport;
use crate::args::RunArgs;
use crate::controller::named::WATCH_SECONDS;
use crate::controller::pressure::{GiveWay, Pressure};
use crate::controller::reason;
use crate::lease::{Gate, Leadership};

/// How long the API server may take to answer the first question.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// The namespace of an operator that runs outside a cluster.
const OUTSIDE_NAMESPACE: &str = "external-cloud-secrets";

/// The ways to the API server, and the operator's namespace, which were seen to work.
pub(super) struct Connection {
    /// Writes only while this process leads, and no more than the API server takes.
    pub client: Client,
    /// Writes always: for the Lease alone.
    pub ungated: Client,
    pub namespace: String,
}

/// Connects to the API server.
pub(super) async fn connect(
    args: &RunArgs,
    leadership: &Leadership,
    pressure: &Pressure,
) -> Result<Connection, AppError> {
    let mut config = Config::infer().await.map_err(|_| unusable())?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // A connection that went dead ends here: watches bring something, or end, before.
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 15));
    config.reset_reader_on_write = true;
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
    let failed = |error: kube::Error| unreachable(reason(&error));
    let ungated = transport(config.clone()).map_err(failed)?.build();
    let client = transport(config).map_err(failed)?;
    let client = client.with_layer(&GiveWay(pressure.clone()));
    // Around the other, so that what waits to be let through ends with the leadership too.
    let client = client.with_layer(&Gate(leadership.clone())).build();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = tokio::time::timeout(FIRST_ANSWER, namespaces.get_metadata_opt(&namespace)).await;
    match found {
        Err(_) => Err(unreachable("no answer within 10 s".to_owned())),
        // Whoever serves some namespaces only, or no cluster stores, may not be allowed to look.
        Ok(Err(kube::Error::Api(status)))
            if status.code == 403
                && (!args.watch_namespaces.is_empty() || !args.cluster_stores) =>
        {
            Ok(Connection {
                client,
                ungated,
                namespace,
            })
        }
        Ok(Err(error)) => Err(unreachable(reason(&error))),
        Ok(Ok(None)) => Err(AppError::NoNamespace(namespace)),
        Ok(Ok(Some(_))) => Ok(Connection {
            client,
            ungated,
            namespace,
        }),
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
///
/// # Errors
/// When it cannot be read: another name would be another session for every identity.
pub(super) async fn cluster_name(client: &Client) -> Result<String, AppError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces.get_metadata("kube-system").await;
    let found = found.map_err(|error| AppError::NoClusterName(reason(&error)))?;
    let uid = found.metadata.uid.unwrap_or_default();
    let first = uid.split('-').next().unwrap_or_default();
    Ok(first.to_owned())
}
