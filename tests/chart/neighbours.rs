//! A release beside what somebody applied by hand: neither changes what is the other's.

use std::path::Path;

use devcluster::{Binary, Cluster, OPERATOR, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::end_to_end::kubectl::Kubectl;
use super::generated::chart;
use super::helm::{Helm, Said};
use super::lifecycle::earlier;
use super::release::{HOME, install};

const EXAMPLES: [&str; 4] = ["rrsa", "kms", "ssm", "two-clouds"];
/// The namespaces of the examples, and the ServiceAccounts in them, which have the same names.
const ACCOUNTS: [&str; 4] = ["shop", "pay", "ledger", "till"];

/// The Roles and `RoleBindings` of the examples.
async fn permissions(kubectl: &Kubectl) -> Vec<Value> {
    let mut found = Vec::new();
    for example in EXAMPLES {
        for file in ["role", "rolebinding"] {
            let file = format!("examples/{example}/{file}.yaml");
            found.push(kubectl.json(&["get", "-f", &file]).await);
        }
    }
    found
}

async fn apply_permissions(kubectl: &Kubectl) {
    for example in EXAMPLES {
        for file in ["namespace", "serviceaccount", "role", "rolebinding"] {
            let file = format!("examples/{example}/{file}.yaml");
            kubectl.print(&["apply", "-f", &file]).await;
        }
    }
}

async fn side_by_side(version: Binary) {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let helm = Helm::of(version, &cluster).await;
    let kubectl = Kubectl::of(&cluster).await;
    apply_permissions(&kubectl).await;
    let applied = permissions(&kubectl).await;

    let accounts = ACCOUNTS.map(|name| json!({ "namespace": name, "name": name }));
    let values = json!({ "identity": { "serviceAccounts": accounts } });
    let said = install(&helm, OPERATOR, &chart(), &values, &[]);
    assert!(said.success, "{}", said.err);
    let (chart, file) = (chart(), helm.values(&values));
    let chart = chart.to_str().unwrap();
    let upgrade = ["upgrade", OPERATOR, chart, "--namespace", HOME];
    helm.done(&[&upgrade[..], &["--values", &file]].concat());
    assert_eq!(permissions(&kubectl).await, applied);

    apply_permissions(&kubectl).await;
    assert_eq!(permissions(&kubectl).await, applied);
    helm.done(&["uninstall", OPERATOR, "--namespace", HOME]);
    assert_eq!(permissions(&kubectl).await, applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_the_examples_and_of_the_release_do_not_meet_with_helm_3() {
    side_by_side(Binary::Helm3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_the_examples_and_of_the_release_do_not_meet_with_helm_4() {
    side_by_side(Binary::Helm4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_4_overwrites_what_kubectl_says_in_a_definition_only_when_it_is_told_to() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let helm = Helm::of(Binary::Helm4, &cluster).await;
    let kubectl = Kubectl::of(&cluster).await;
    let dir = TempDir::new().unwrap();
    let (old, new) = (earlier(&dir), chart());
    let conflicts = |said: &Said| !said.success && said.err.contains(".spec.versions");

    kubectl.print(&["apply", "-f", "crds"]).await;
    let taken = install(&helm, OPERATOR, &old, &json!({}), &["--take-ownership"]);
    assert!(conflicts(&taken), "{}", taken.err);
    helm.run(&["uninstall", OPERATOR, "--namespace", HOME]);
    let more = ["--take-ownership", "--force-conflicts"];
    let taken = install(&helm, OPERATOR, &old, &json!({}), &more);
    assert!(taken.success, "{}", taken.err);

    // What was applied by hand is the same as the chart's of that version, and kubectl's from then on.
    kubectl.print(&["apply", "-f", "crds"]).await;
    let upgrade = |chart: &Path, more: &[&str]| {
        let chart = chart.to_str().unwrap();
        let args = ["upgrade", OPERATOR, chart, "--namespace", HOME];
        helm.run(&[&args[..], more].concat())
    };
    let same = upgrade(&new, &[]);
    assert!(same.success, "{}", same.err);
    let next = upgrade(&old, &[]);
    assert!(conflicts(&next), "{}", next.err);
    let next = upgrade(&old, &["--force-conflicts"]);
    assert!(next.success, "{}", next.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_over_goes_with_a_release_that_is_uninstalled_later() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let kubectl = Kubectl::of(&cluster).await;
    let role = ["get", "clusterrole", OPERATOR];
    for version in [Binary::Helm3, Binary::Helm4] {
        let helm = Helm::of(version, &cluster).await;
        let said = install(&helm, OPERATOR, &chart(), &json!({}), &["--take-ownership"]);
        assert!(said.success, "{}", said.err);
        let elsewhere = ["--take-ownership", "--namespace", "elsewhere"];
        let said = install(&helm, OPERATOR, &chart(), &json!({}), &elsewhere);
        assert!(said.success, "{}", said.err);
        kubectl.print(&role).await;
        helm.done(&["uninstall", OPERATOR, "--namespace", HOME]);
        assert_eq!(kubectl.run(&role).await.code, Some(1));
        helm.done(&["uninstall", OPERATOR, "--namespace", "elsewhere"]);
    }
}
