//! A cluster, a cloud and an operator between them.

use std::sync::Arc;

use cloudsim::{InstanceOptions, Simulator};
use devcluster::{Cluster, OperatorAccount, Options};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::operator::{Operator, RBAC, Setup};

/// The account that everything belongs to.
pub const ACCOUNT: &str = "1000000000000001";
/// The account of Tencent Cloud that everything there belongs to.
pub const UIN: &str = "100000000001";
/// An account that shares what it has by policies of its secrets.
pub const OTHER_ACCOUNT: &str = "2000000000000002";
/// The OIDC provider that stands for the cluster.
pub const PROVIDER: &str = "ack-rrsa-test";
/// What the cluster is called at Tencent Cloud.
pub const TKE_CLUSTER: &str = "cls-test";

static SHARED: OnceCell<World> = OnceCell::const_new();
static TENANTS: OnceCell<World> = OnceCell::const_new();
static KMS: OnceCell<World> = OnceCell::const_new();
static SSM: OnceCell<World> = OnceCell::const_new();
static STRICT: OnceCell<World> = OnceCell::const_new();
static INSTANCE: OnceCell<World> = OnceCell::const_new();
static AMBIENT: OnceCell<World> = OnceCell::const_new();
static TKE: OnceCell<World> = OnceCell::const_new();
static CVM: OnceCell<World> = OnceCell::const_new();

/// The arguments of an operator that may ask its node, and lets namespaced stores do so.
const INSTANCE_ARGS: [&str; 3] = [
    "--store-ambient-credentials",
    "--enable-instance-role",
    "--instance-metadata-url={cloud}",
];

/// Everything a test needs.
pub struct World {
    pub cluster: ClusterHandle,
    pub cloud: Arc<Simulator>,
    pub account: OperatorAccount,
    pub operator: tokio::sync::Mutex<Option<Operator>>,
    pub dir: TempDir,
}

/// A cluster that is shared, or this world's own.
pub enum ClusterHandle {
    Shared(&'static Cluster),
    Own(Box<Cluster>),
}

impl std::ops::Deref for ClusterHandle {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        match self {
            Self::Shared(cluster) => cluster,
            Self::Own(cluster) => cluster,
        }
    }
}

impl World {
    /// The world that tests share which keep to their namespace and their keys.
    pub async fn shared() -> &'static Self {
        SHARED
            .get_or_init(|| async {
                let cluster = devcluster::shared().await;
                Self::new(ClusterHandle::Shared(cluster), &[], &[]).await
            })
            .await
    }

    /// The world that tests of KMS share likewise. An operator watches so many ServiceAccounts and
    /// Secrets by name and no more, and all scenes of one world together would have too many.
    pub async fn kms() -> &'static Self {
        KMS.get_or_init(Self::own).await
    }

    /// The world that tests of SSM share, whose cloud has quotas for everybody.
    pub async fn ssm() -> &'static Self {
        SSM.get_or_init(Self::own).await
    }

    /// The world that tests of owners and tenants share, for the same reason.
    pub async fn tenants() -> &'static Self {
        TENANTS.get_or_init(Self::own).await
    }

    /// The shared world whose operator calls the clouds' own hosts only, as in production.
    pub async fn strict() -> &'static Self {
        let env = [("ALLOW_INSECURE_ENDPOINTS", "false")];
        STRICT.get_or_init(|| Self::own_with(&[], &env)).await
    }

    /// The shared world whose operator has an identity of its own, the token file `DIR/token` and the
    /// role `operator`, and lets namespaced stores use it.
    pub async fn ambient() -> &'static Self {
        let role = format!("acs:ram::{ACCOUNT}:role/operator");
        let provider = format!("acs:ram::{ACCOUNT}:oidc-provider/{PROVIDER}");
        let env = [
            ("ALIBABA_CLOUD_ROLE_ARN", &*role),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", &*provider),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "{dir}/token"),
            ("ALIBABA_CLOUD_STS_ENDPOINT", "{cloud}"),
        ];
        let args = ["--store-ambient-credentials"];
        AMBIENT.get_or_init(|| Self::own_with(&args, &env)).await
    }

    /// The shared world whose operator is what TKE makes of a Pod: it has the token file `DIR/token` and
    /// the role `operator`, and may ask the node, whose role may do anything. Namespaced stores may use
    /// what is the operator's own.
    pub async fn tke() -> &'static Self {
        let role = format!("qcs::cam::uin/{UIN}:roleName/operator");
        let env = [
            ("TKE_REGION", "ap-guangzhou"),
            ("TKE_PROVIDER_ID", TKE_CLUSTER),
            ("TKE_ROLE_ARN", &*role),
            ("TKE_WEB_IDENTITY_TOKEN_FILE", "{dir}/token"),
        ];
        TKE.get_or_init(|| Self::own_with(&INSTANCE_ARGS, &env))
            .await
    }

    /// The shared world whose operator has no identity of its own but that of its node.
    pub async fn cvm() -> &'static Self {
        CVM.get_or_init(|| Self::own_with(&INSTANCE_ARGS, &[]))
            .await
    }

    /// The shared world whose operator is an instance, with an access key of its own in its environment,
    /// and lets namespaced stores use both.
    pub async fn instance() -> &'static Self {
        let env = [
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIoperator"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-operator-secret"),
            ("ALIBABA_CLOUD_IMDSV1_DISABLED", "true"),
        ];
        INSTANCE
            .get_or_init(|| Self::own_with(&INSTANCE_ARGS, &env))
            .await
    }

    /// A world of its own, for tests that take something away or count what everybody does.
    pub async fn own() -> Self {
        Self::own_with(&[], &[]).await
    }

    /// A world whose operator has these arguments and variables, in which `{cloud}` stands for the
    /// cloud's URL and `{dir}` for the world's directory.
    pub async fn own_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start(Options::new(true)).await.unwrap();
        Self::new(ClusterHandle::Own(Box::new(cluster)), args, env).await
    }

    /// A world whose operator reaches the API server at another URL, through a proxy.
    pub async fn own_through(
        cluster: Cluster,
        server: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        Self::through(
            ClusterHandle::Own(Box::new(cluster)),
            Some(server),
            args,
            env,
        )
        .await
    }

    async fn new(cluster: ClusterHandle, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::through(cluster, None, args, env).await
    }

    async fn through(
        cluster: ClusterHandle,
        server: Option<&str>,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        let crds = external_cloud_secrets::cli::crds::crds_yaml().unwrap();
        cluster.apply_crds(&crds).await.unwrap();
        let cloud = cloud(&cluster).await;
        let home = cluster.namespace("operator").await.unwrap();
        let account = cluster.install_operator(RBAC, home.name()).await.unwrap();
        let dir = TempDir::new().unwrap();
        let kubeconfig = account.kubeconfig(dir.path()).unwrap();
        if let Some(server) = server {
            let text = std::fs::read_to_string(&kubeconfig).unwrap();
            assert!(text.contains(cluster.server()));
            std::fs::write(&kubeconfig, text.replace(cluster.server(), server)).unwrap();
        }
        let here = |text: &str| {
            let text = text.replace("{cloud}", &cloud.url());
            text.replace("{dir}", &dir.path().to_string_lossy())
        };
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), here(value));
        let setup = Setup {
            kubeconfig,
            namespace: home.name().to_owned(),
            args: args.iter().map(|arg| here(arg)).collect(),
            env: env.iter().map(own).collect(),
            log: dir.path().join("operator.log"),
        };
        let operator = tokio::sync::Mutex::new(Some(Operator::start(setup).await));
        Self {
            cluster,
            cloud: Arc::new(cloud),
            account,
            operator,
            dir,
        }
    }

    /// Another cloud that knows the cluster, for tests that change what everybody would see, with a
    /// dedicated instance of KMS.
    pub async fn another_cloud(&self) -> Arc<Simulator> {
        Arc::new(cloud(&self.cluster).await)
    }

    /// Stops the operator and starts it again.
    pub async fn restart_operator(&self) {
        let mut operator = self.operator.lock().await;
        *operator = Some(operator.take().unwrap().restart().await);
    }

    /// Everything the running operator has logged.
    pub async fn log(&self) -> String {
        self.operator.lock().await.as_ref().unwrap().log()
    }

    /// Makes the API server let in any spec, as if another version of the definitions were installed.
    pub async fn loosen(&self, plural: &str) {
        let client = self.cluster.client().unwrap();
        let place = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.cloudsecrets.dev"
        );
        let patch = json!([{
            "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
            "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        }]);
        let request = http::Request::patch(place)
            .header("content-type", "application/json-patch+json")
            .body(serde_json::to_vec(&patch).unwrap());
        let _: serde_json::Value = client.request(request.unwrap()).await.unwrap();
    }

    /// The operator's metrics.
    pub async fn metrics(&self) -> String {
        self.operator
            .lock()
            .await
            .as_ref()
            .unwrap()
            .page("/metrics")
            .await
    }
}

/// A cloud that knows the cluster's issuer, as an ACK cluster's and a TKE cluster's is known, and has a
/// dedicated KMS instance.
pub async fn cloud(cluster: &Cluster) -> Simulator {
    let seed = format!(
        "region: cn-hangzhou\naccounts:\n- id: \"{ACCOUNT}\"\n  oidc_providers:\n  - name: {PROVIDER}\n    \
         issuer: {issuer}\n    client_ids: [sts.aliyuncs.com]\n  users:\n  - name: entrant\n    rules: \
         [{{actions: ['sts:AssumeRole'], resources: ['*']}}]\n- id: \"{OTHER_ACCOUNT}\"\n\
         tencent:\n  accounts:\n  - uin: \"{UIN}\"\n    oidc_providers:\n    \
         - {{name: {TKE_CLUSTER}, issuer: '{issuer}'}}\n",
        issuer = cluster.issuer()
    );
    let options = cloudsim::Options {
        oidc_ca_pem: Some(String::from_utf8(cluster.ca_pem().to_vec()).unwrap()),
        kms_instance: Some(InstanceOptions::default()),
        ..cloudsim::Options::default()
    };
    Simulator::start(&*seed, options).await.unwrap()
}
