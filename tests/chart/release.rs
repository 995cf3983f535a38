//! A release in a cluster, and the operator that its Deployment describes, run as a process under the release's permissions.

use std::path::Path;
use std::sync::Arc;

use devcluster::{Binary, Cluster, OPERATOR, Options};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::Value;
use tempfile::TempDir;

use super::end_to_end::operator::{Operator, Setup};
use super::end_to_end::world::{ClusterHandle, World, cloud};
use super::generated::chart;
use super::helm::{Helm, Said};

/// Where releases are installed.
pub const HOME: &str = "secrets-system";

/// A cluster with a release in it, and a cloud.
pub struct Release {
    pub world: World,
    pub helm: Helm,
}

impl Release {
    /// The release [`OPERATOR`], with its default values, in a cluster of its own.
    pub async fn new(version: Binary) -> Self {
        let cluster = Cluster::start(Options::new(true)).await.unwrap();
        let helm = Helm::of(version, &cluster).await;
        let path = chart();
        let installed = install(&helm, OPERATOR, &path, &Value::Null, &[]);
        assert!(installed.success, "{}", installed.err);
        Self::around(cluster, helm).await
    }

    /// What is installed in a cluster already.
    pub async fn around(cluster: Cluster, helm: Helm) -> Self {
        let account = cluster.installed_operator(HOME, OPERATOR).await.unwrap();
        let world = World {
            cloud: Arc::new(cloud(&cluster).await),
            cluster: ClusterHandle::Own(Box::new(cluster)),
            account,
            operator: tokio::sync::Mutex::new(None),
            dir: TempDir::new().unwrap(),
        };
        Self { world, helm }
    }

    /// Makes these the release's values.
    pub fn upgrade(&self, values: &Value) {
        let file = self.helm.values(values);
        let chart = chart();
        let chart = chart.to_str().unwrap();
        let args = ["upgrade", OPERATOR, chart, "--namespace", HOME];
        let args = [&args[..], &["--reset-values", "--values", &file]].concat();
        self.helm.done(&args);
    }

    /// [`operator`] of this release.
    pub async fn operator(&self, log: &str) -> Operator {
        Box::pin(operator(&self.world, HOME, log)).await
    }
}

/// Starts what the Deployment in a namespace describes: its arguments and variables, where a process can have them.
pub async fn operator(world: &World, home: &str, log: &str) -> Operator {
    let client = world.cluster.client().unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client, home);
    let deployment = deployments.get(OPERATOR).await.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let name = pod.service_account_name.unwrap();
    let container = &pod.containers[0];
    let given = container.args.clone().unwrap();
    let ours = |arg: &String| arg != "run" && !arg.starts_with("--http-address");
    let variables = container.env.iter().flatten();
    let fixed = variables.filter_map(|v| Some((v.name.clone(), v.value.clone()?)));
    // A ServiceAccount that was made anew needs another token.
    let account = world.cluster.installed_operator(home, &name).await.unwrap();
    Operator::start(Setup {
        kubeconfig: account.kubeconfig(world.dir.path()).unwrap(),
        namespace: home.to_owned(),
        args: given.into_iter().filter(ours).collect(),
        env: fixed.filter(|(name, _)| name != "RUST_LOG").collect(),
        log: world.dir.path().join(log),
    })
    .await
}

/// `helm install` of a chart as `name`, with these values.
pub fn install(helm: &Helm, name: &str, chart: &Path, values: &Value, more: &[&str]) -> Said {
    let mut values = values.clone();
    if values.is_null() {
        values = serde_json::json!({});
    }
    let file = helm.values(&values);
    let chart = chart.to_str().unwrap();
    let args = [
        "install",
        name,
        chart,
        "--namespace",
        HOME,
        "--create-namespace",
    ];
    helm.run(&[&args[..], &["--values", &file], more].concat())
}
