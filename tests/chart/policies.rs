//! What the admission policies of the chart stop, on a real API server, although the permissions would allow it.

use devcluster::{Binary, Cluster, Namespace, OPERATOR, OperatorAccount, Options};
use external_cloud_secrets::cli::crds::crds_yaml;
use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::end_to_end::wait::{SOON, until};
use super::generated::chart;
use super::helm::Helm;
use super::protection::owner;
use super::requests::{answer, secret, token};

/// The operator's ServiceAccount, which is not called what it is called by default.
const ACCOUNT: &str = "reader-of-clouds";
const LISTED: &str = "sts.aliyuncs.com";
const AUDIENCES: [&str; 2] = [LISTED, "audience.example.com"];
/// Where another operator runs, which may delete what is protected.
pub const NEIGHBOUR: &str = "neighbour";
static GUARDED: OnceCell<Guarded> = OnceCell::const_new();

/// A cluster with a release that has every policy, and the right to make any token.
pub struct Guarded {
    pub cluster: Cluster,
    home: Namespace,
    account: OperatorAccount,
}

/// The release, whose policies are in force.
pub async fn guarded() -> &'static Guarded {
    GUARDED
        .get_or_init(|| async {
            let cluster = Cluster::start(Options::new(true)).await.unwrap();
            cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap();
            let home = cluster.namespace("guarded").await.unwrap();
            let helm = Helm::of(Binary::Helm4, &cluster).await;
            let values = helm.values(&json!({
                "crds": { "install": false },
                "serviceAccount": { "name": ACCOUNT },
                "allowedTokenAudiences": AUDIENCES,
                "identity": { "anyServiceAccount": true },
                "admissionPolicies": {
                    "protectSecrets": true,
                    "mayDelete": [format!("system:serviceaccount:{NEIGHBOUR}:{OPERATOR}")],
                },
            }));
            let chart = chart();
            let chart = chart.to_str().unwrap();
            let args = ["install", OPERATOR, chart, "--namespace", home.name()];
            helm.done(&[&args[..], &["--values", &values]].concat());
            let account = cluster
                .installed_operator(home.name(), ACCOUNT)
                .await
                .unwrap();
            let guarded = Guarded {
                cluster,
                home,
                account,
            };
            guarded.wait().await;
            guarded
        })
        .await
}

impl Guarded {
    fn operator(&self) -> Client {
        self.account.client().unwrap()
    }

    pub fn admin(&self) -> Client {
        self.cluster.client().unwrap()
    }

    /// Policies take effect a moment after they are made.
    async fn wait(&self) {
        let home = self.home.name();
        let (operator, admin) = (self.operator(), self.admin());
        let place = format!("/api/v1/namespaces/{home}/secrets");
        let name = format!("{place}/probe");
        until("the policies", SOON, async || {
            let (path, body) = token(home, ACCOUNT, &["elsewhere"]);
            let (tokens, _) = answer(&operator, Method::POST, &path, &body).await;
            let mut probe = secret("probe", "Opaque", true);
            probe["metadata"]["ownerReferences"] = owner("probe", "0");
            answer(&admin, Method::POST, &place, &probe).await;
            let (secrets, _) = answer(&operator, Method::DELETE, &name, &Value::Null).await;
            let (protect, _) = answer(&admin, Method::DELETE, &name, &Value::Null).await;
            match (tokens, secrets, protect) {
                (422, 422, 422) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

/// Makes a request and looks whether it passes, or what stops it.
pub async fn expect(client: &Client, request: (Method, &str, &Value), stopped_by: Option<&str>) {
    let (method, path, body) = request;
    let (code, said) = answer(client, method.clone(), path, body).await;
    match stopped_by {
        None => assert_eq!(code, 200, "{method} {path} {body}: {said}"),
        Some(words) => {
            assert_eq!(code, 422, "{method} {path} {body}: {said}");
            assert!(said.contains("ValidatingAdmissionPolicy"), "{said}");
            assert!(said.contains(words), "{said}");
        }
    }
}

#[tokio::test]
async fn the_operator_makes_tokens_for_listed_audiences_only() {
    let guarded = guarded().await;
    let place = guarded.cluster.namespace("tokens").await.unwrap();
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "shop" } });
    let path = format!("/api/v1/namespaces/{}/serviceaccounts", place.name());
    expect(&guarded.admin(), (Method::POST, &path, &account), None).await;
    let stopped = Some("audiences of allowedTokenAudiences only");
    let too_long = Some("for at most 600 seconds");
    let ten_minutes = || json!(600);
    let api_server = "https://kubernetes.default.svc";
    let table: [(&[&str], Value, Option<&str>); 10] = [
        (&[LISTED], ten_minutes(), None),
        (&AUDIENCES, ten_minutes(), None),
        // In the default list.
        (&["sts.cloud.tencent.com"], ten_minutes(), stopped),
        (&[api_server], ten_minutes(), stopped),
        (&[LISTED, api_server], ten_minutes(), stopped),
        (&[""], ten_minutes(), stopped),
        (&[], ten_minutes(), stopped),
        (&[LISTED], json!(601), too_long),
        (&[LISTED], json!(315_360_000), too_long),
        // An hour, then.
        (&[LISTED], Value::Null, too_long),
    ];
    for (audiences, seconds, stopped) in table {
        let (path, mut body) = token(place.name(), "shop", audiences);
        body["spec"]["expirationSeconds"] = seconds;
        expect(&guarded.operator(), (Method::POST, &path, &body), stopped).await;
        // Nobody else is held to it.
        expect(&guarded.admin(), (Method::POST, &path, &body), None).await;
    }
}

#[tokio::test]
async fn the_operator_writes_no_credentials_of_the_cluster_and_no_releases() {
    let guarded = guarded().await;
    let place = guarded.cluster.namespace("types").await.unwrap();
    let all = format!("/api/v1/namespaces/{}/secrets", place.name());
    let patch = json!({ "stringData": { "password": "canary-new" } });
    let stopped = Some("no credentials of the cluster and no releases of Helm");
    for (index, (type_, stopped)) in [
        ("Opaque", None),
        ("kubernetes.io/tls", None),
        ("kubernetes.io/service-account-token", stopped),
        ("bootstrap.kubernetes.io/token", stopped),
        ("helm.sh/release.v1", stopped),
    ]
    .into_iter()
    .enumerate()
    {
        let mut one = secret(&format!("made-{index}"), type_, true);
        one["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": "default" });
        one["stringData"]["tls.crt"] = "canary".into();
        one["stringData"]["tls.key"] = "canary".into();
        expect(&guarded.operator(), (Method::POST, &all, &one), stopped).await;
        one["metadata"]["name"] = format!("theirs-{index}").into();
        expect(&guarded.admin(), (Method::POST, &all, &one), None).await;
        let path = format!("{all}/theirs-{index}");
        expect(&guarded.operator(), (Method::PATCH, &path, &patch), stopped).await;
        let gone = (Method::DELETE, &*path, &Value::Null);
        expect(&guarded.operator(), gone, stopped).await;
    }
}

#[tokio::test]
async fn in_its_own_namespace_the_operator_makes_its_key_and_writes_nothing_else() {
    let guarded = guarded().await;
    let all = format!("/api/v1/namespaces/{}/secrets", guarded.home.name());
    let key = format!("{all}/external-cloud-secrets-digest-key");
    let stopped = Some("in its own namespace the operator makes its digest key");
    let operator = guarded.operator();
    let other = secret("other", "Opaque", true);
    expect(&operator, (Method::POST, &all, &other), stopped).await;
    let mut generated = secret("x", "Opaque", true);
    generated["metadata"] = json!({ "generateName": "external-cloud-secrets-digest-key" });
    let (code, _) = answer(&operator, Method::POST, &all, &generated).await;
    assert_eq!(code, 422);
    let own = secret("external-cloud-secrets-digest-key", "Opaque", false);
    expect(&operator, (Method::POST, &all, &own), None).await;
    let patch = json!({ "stringData": { "password": "canary-new" } });
    expect(&operator, (Method::PATCH, &key, &patch), stopped).await;
    expect(&operator, (Method::DELETE, &key, &Value::Null), stopped).await;
}

#[tokio::test]
async fn the_operator_deletes_only_what_has_its_label() {
    let guarded = guarded().await;
    let place = guarded.cluster.namespace("deletes").await.unwrap();
    let all = format!("/api/v1/namespaces/{}/secrets", place.name());
    let mut almost = secret("almost", "Opaque", true);
    almost["metadata"]["labels"]["cloudsecrets.dev/managed"] = "false".into();
    let stopped = Some("deletes only Secrets with the label");
    for (one, stopped) in [
        (secret("ours", "Opaque", true), None),
        (secret("theirs", "Opaque", false), stopped),
        (almost, stopped),
    ] {
        expect(&guarded.admin(), (Method::POST, &all, &one), None).await;
        let path = format!("{all}/{}", one["metadata"]["name"].as_str().unwrap());
        let gone = (Method::DELETE, &*path, &Value::Null);
        expect(&guarded.operator(), gone, stopped).await;
    }
}
