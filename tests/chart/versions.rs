//! From one chart to another by the commands of the pages: back, where what only the newer definitions have stays in the
//! objects, and forward, where what is new has its default.

use std::path::PathBuf;

use devcluster::{Binary, Cluster, OPERATOR, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::end_to_end::kubectl::Kubectl;
use super::end_to_end::wait::{SOON, until};
use super::generated::{chart, read, root};
use super::helm::{Helm, copy_of_chart};
use super::lifecycle::{EARLIER, earlier};
use super::pages::Page;
use super::release::{HOME, Release, install};

/// The words of a page's command, for this chart and this file of values.
fn words<'w>(command: &'w str, chart: &'w str, values: &'w str) -> Vec<&'w str> {
    let mut words = command.split_whitespace().filter(|word| *word != "\\");
    assert_eq!(words.next(), Some("helm"));
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--version" => drop(words.next()),
            "--namespace" | "--values" => {
                words.next();
                let value = if word == "--values" { values } else { HOME };
                given.extend([word, value]);
            }
            word if word.ends_with("charts/external-cloud-secrets") => given.push(chart),
            word => given.push(word),
        }
    }
    given
}

async fn goes_back(version: Binary, rollback: Option<&str>) {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let helm = Helm::of(version, &cluster).await;
    let kubectl = Kubectl::of(&cluster).await;
    let dir = TempDir::new().unwrap();
    let old = earlier(&dir);
    let values = json!({ "replicas": 1 });
    let said = install(&helm, OPERATOR, &old, &values, &[]);
    assert!(said.success, "{}", said.err);
    let release = Release::around(cluster, helm).await;
    let helm = &release.helm;
    release.upgrade(&values);
    let path = dir.path().join("object.json");
    let object = json!({
        "apiVersion": "cloudsecrets.dev/v1alpha1", "kind": "ExternalCloudSecret",
        "metadata": { "name": "db", "namespace": "default" },
        "spec": {
            "suspend": true, "secretStoreRef": { "name": "oos" },
            "data": [{ "secretKey": "a", "remoteRef": { "key": "a" } }],
        },
    });
    std::fs::write(&path, object.to_string()).unwrap();
    kubectl
        .print(&["apply", "-f", path.to_str().unwrap()])
        .await;
    // Whoever writes an object writes it without what its definition does not have.
    let suspended = async |mark: &str| {
        let mark = format!("mark={mark}");
        kubectl
            .print(&["annotate", "--overwrite", "xcs", "db", &mark])
            .await;
        let object = kubectl.json(&["get", "xcs", "db"]).await;
        object["spec"].get("suspend").cloned()
    };

    let file = helm.values(&values);
    let page = Page::read("docs/upgrades.md");
    let [command] = page.all_commands("Back to an older version");
    helm.done(&words(command, old.to_str().unwrap(), &file));
    let deployment = format!("/apis/apps/v1/namespaces/{HOME}/deployments/{OPERATOR}");
    let deployment = release.get(&deployment).await.unwrap();
    let label = deployment["metadata"]["labels"]["helm.sh/chart"].as_str();
    assert_eq!(label, Some(&*format!("{OPERATOR}-{EARLIER}")));
    assert!(release.knows_suspend().await);
    assert_eq!(suspended("back").await, Some(true.into()));

    // A rollback to where the definitions were part of the release.
    let rolled = helm.run(&["rollback", OPERATOR, "2", "--namespace", HOME]);
    assert_eq!(rolled.success, rollback.is_none(), "{}", rolled.err);
    assert!(
        rolled.err.contains(rollback.unwrap_or_default()),
        "{}",
        rolled.err
    );
    // And forward again.
    release.upgrade(&values);
    assert_eq!(suspended("forward").await, Some(true.into()));

    // What the page keeps from: the older definitions come back, and take what they do not have.
    helm.done(&["rollback", OPERATOR, "1", "--namespace", HOME]);
    assert!(!release.knows_suspend().await);
    let pruned = async || match suspended("rolled-back").await {
        None => Ok(()),
        Some(suspend) => Err(suspend),
    };
    until("the field's end", SOON, pruned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_leaves_the_newer_definitions_with_helm_4() {
    goes_back(Binary::Helm4, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_leaves_the_newer_definitions_with_helm_3() {
    let refused = "no CustomResourceDefinition with the name";
    goes_back(Binary::Helm3, Some(refused)).await;
}

/// A chart that knew no monitors yet.
fn without_monitors(dir: &TempDir) -> PathBuf {
    let chart = copy_of_chart(dir.path());
    std::fs::remove_file(chart.join("templates/monitors.yaml")).unwrap();
    let path = chart.join("values.yaml");
    let mut values: Value = serde_saphyr::from_str(&read(&path)).unwrap();
    let metrics = values["metrics"].as_object_mut().unwrap();
    assert!(metrics.remove("podMonitor").is_some());
    std::fs::write(&path, values.to_string()).unwrap();
    let path = chart.join("values.schema.json");
    let mut schema: Value = serde_json::from_str(&read(&path)).unwrap();
    let required = &mut schema["properties"]["metrics"]["required"];
    let required = required.as_array_mut().unwrap();
    required.retain(|name| name != "podMonitor");
    std::fs::write(&path, schema.to_string()).unwrap();
    let check = chart.join("templates/_check.tpl");
    std::fs::write(&check, "{{- define \"xcs.check\" -}}{{- end }}").unwrap();
    chart
}

#[tokio::test]
async fn monitoring_is_switched_on_with_the_defaults_of_a_newer_chart_and_the_values_of_the_release()
 {
    let page = Page::read("docs/alerts.md");
    let [command] = page.all_commands("Alerts and the dashboard");
    for version in [Binary::Helm3, Binary::Helm4] {
        let cluster = Cluster::start(Options::new(false)).await.unwrap();
        let monitors = root().join("tests/chart/prometheus-operator");
        cluster.apply_crd_dir(&monitors).await.unwrap();
        let helm = Helm::of(version, &cluster).await;
        let dir = TempDir::new().unwrap();
        let values = json!({ "replicas": 1 });
        let said = install(&helm, OPERATOR, &without_monitors(&dir), &values, &[]);
        assert!(said.success, "{}", said.err);
        helm.done(&words(command, chart().to_str().unwrap(), ""));
        let kubectl = Kubectl::of(&cluster).await;
        let get = async |kind: &str| kubectl.json(&["-n", HOME, "get", kind, OPERATOR]).await;
        let monitor = get("podmonitor").await;
        assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["interval"], "30s");
        assert_eq!(get("deployment").await["spec"]["replicas"], 1);
    }
}
