//! What is applied twice changes nothing the second time, whichever way it is applied: no GitOps tool sees a drift.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cloudsim::Simulator;
use devcluster::{Cluster, Options};
use external_cloud_secrets::api::ExternalCloudSecret;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::examples::{cloud, read_from};
use super::kubectl::Kubectl;
use super::pages::{self, Page, repository};
use super::world::World;

/// How `kubectl apply` is told to go about it.
#[derive(Clone, Copy)]
struct Way(&'static [&'static str]);

const CLIENT_SIDE: Way = Way(&[]);
const SERVER_SIDE: Way = Way(&["--server-side"]);

/// The folders of examples.
fn examples() -> Vec<String> {
    let entries = fs::read_dir(repository().join("examples")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let named = |path: PathBuf| format!("examples/{}", path.file_name().unwrap().display());
    folders.map(named).collect()
}

/// The manifests of the pages for users, and of the files that they apply from elsewhere.
fn manifests() -> Vec<Value> {
    let mut manifests: Vec<Value> = pages::all().iter().flat_map(Page::manifests).collect();
    let argo = repository().join("contrib/argocd/argocd-cm.yaml");
    let text = fs::read_to_string(argo).unwrap();
    manifests.extend(serde_saphyr::from_multiple::<Value>(&text).unwrap());
    manifests
}

/// As few lists of manifests as there can be, none of which names one object twice.
fn lists(manifests: Vec<Value>) -> Vec<Value> {
    let mut lists: Vec<(BTreeSet<String>, Vec<Value>)> = Vec::new();
    for manifest in manifests {
        let meta = &manifest["metadata"];
        let name = format!(
            "{} {} {}",
            manifest["kind"], meta["namespace"], meta["name"]
        );
        let at = lists.iter().position(|(names, _)| !names.contains(&name));
        let at = at.unwrap_or_else(|| {
            lists.push(<_>::default());
            lists.len() - 1
        });
        lists[at].0.insert(name);
        lists[at].1.push(manifest);
    }
    let list = |items| json!({ "apiVersion": "v1", "kind": "List", "items": items });
    lists.into_iter().map(|(_, items)| list(items)).collect()
}

/// Makes the namespaces that manifests name.
async fn make_namespaces(cluster: &Cluster, items: &Value) {
    let api: Api<Namespace> = Api::all(cluster.client().unwrap());
    let items = items.as_array().unwrap();
    let named = items
        .iter()
        .filter_map(|item| item["metadata"]["namespace"].as_str());
    for name in named.collect::<BTreeSet<_>>() {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let params = PatchParams::apply("test");
        api.patch(name, &params, &Patch::Apply(&namespace))
            .await
            .unwrap();
    }
}

/// The objects of a file or a folder as they are now.
async fn objects(kubectl: &Kubectl, place: &str) -> Vec<Value> {
    let mut found = kubectl.json(&["get", "-f", place]).await;
    match found["items"].take() {
        Value::Array(items) => items,
        _ => vec![found],
    }
}

/// The same without the versions, which count on.
fn without_versions(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        object["metadata"]["resourceVersion"].take();
    }
    objects
}

/// Applies what was applied before and sees to it that nothing changes, in the end not even a resourceVersion.
async fn changes_nothing(kubectl: &Kubectl, way: Way, place: &str) {
    let before = objects(kubectl, place).await;
    assert!(!before.is_empty(), "{place}");
    let told = kubectl
        .print(&[&["apply", "-f", place], way.0].concat())
        .await;
    if way.0.is_empty() {
        let changed: Vec<&str> = told
            .lines()
            .filter(|line| !line.ends_with(" unchanged"))
            .collect();
        assert!(changed.is_empty(), "{place}: {changed:?}");
    }
    let after = objects(kubectl, place).await;
    // With defaults in its status, as a Namespace and our kinds have, an object that was made by a server-side apply is
    // stored once more by the next one, the same but for its version.
    assert_eq!(
        without_versions(after.clone()),
        without_versions(before),
        "{place}"
    );
    kubectl
        .print(&[&["apply", "-f", place], way.0].concat())
        .await;
    assert_eq!(objects(kubectl, place).await, after, "{place}");
    let diff = kubectl.run(&[&["diff", "-f", place], way.0].concat()).await;
    assert_eq!(
        (diff.code, &*diff.stdout),
        (Some(0), ""),
        "{place}: {diff:?}"
    );
}

/// Every definition, example and manifest of a page, in a cluster where nobody acts on them.
async fn everything_twice(way: Way) {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let kubectl = Kubectl::of(&cluster).await;
    let apply = async |place: &str| {
        kubectl
            .print(&[&["apply", "-f", place], way.0].concat())
            .await;
    };
    apply("crds").await;
    let served = [
        "wait",
        "--for=condition=Established",
        "-f",
        "crds",
        "--timeout=60s",
    ];
    kubectl.print(&served).await;
    changes_nothing(&kubectl, way, "crds").await;
    for folder in examples() {
        apply(&folder).await;
        changes_nothing(&kubectl, way, &folder).await;
    }
    let manifests = manifests();
    assert!(manifests.len() > 15, "{}", manifests.len());
    let dir = TempDir::new().unwrap();
    for list in lists(manifests) {
        make_namespaces(&cluster, &list["items"]).await;
        let file = dir.path().join("list.json");
        fs::write(&file, list.to_string()).unwrap();
        let file = file.to_str().unwrap();
        apply(file).await;
        changes_nothing(&kubectl, way, file).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_applied_twice_by_the_client_changes_nothing() {
    everything_twice(CLIENT_SIDE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_applied_twice_by_the_server_changes_nothing() {
    everything_twice(SERVER_SIDE).await;
}

/// The examples as files, of which the stores alone are changed: they read the simulated cloud.
fn files(dir: &Path, cloud: &Simulator) -> Vec<String> {
    let mut files = Vec::new();
    for folder in examples() {
        let text = devcluster::read_yaml_dir(&repository().join(&folder)).unwrap();
        let mut items = serde_saphyr::from_multiple::<Value>(&text).unwrap();
        for item in &mut items {
            read_from(cloud, item);
        }
        let file = dir.join(format!("{}.json", folder.replace('/', "-")));
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        fs::write(&file, list.to_string()).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_that_are_applied_again_after_the_operator_acted_change_nothing() {
    let world = World::own().await;
    let cloud = cloud(&world.cluster).await;
    let kubectl = Kubectl::of(&world.cluster).await;
    let dir = TempDir::new().unwrap();
    let files = files(dir.path(), &cloud);
    for file in &files {
        kubectl.print(&["apply", "-f", file]).await;
    }
    for file in &files {
        let granted = objects(&kubectl, file).await;
        for role in granted.iter().filter(|object| object["kind"] == "Role") {
            let namespace = role["metadata"]["namespace"].as_str().unwrap();
            let names = role["rules"][0]["resourceNames"].as_array().unwrap();
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            world.account.grant_tokens(namespace, &names).await.unwrap();
        }
    }
    let key = [
        "--from-literal=id=LTAIdemoCartReader",
        "--from-literal=secret=demo-access-key-secret",
    ];
    let create = [
        "-n",
        "cart",
        "create",
        "secret",
        "generic",
        "oos-access-key",
    ];
    kubectl.print(&[&create[..], &key].concat()).await;
    let client = world.cluster.client().unwrap();
    let all: Api<ExternalCloudSecret> = Api::all(client);
    for object in all.list(&ListParams::default()).await.unwrap() {
        let (name, namespace) = (
            object.metadata.name.unwrap(),
            object.metadata.namespace.unwrap(),
        );
        // New permissions are tried within a minute, or at once when somebody asks.
        let annotate = [
            "-n",
            &*namespace,
            "annotate",
            "xcs",
            &*name,
            "cloudsecrets.dev/refresh=1",
        ];
        kubectl.print(&annotate).await;
        let ready = [
            "-n",
            &*namespace,
            "wait",
            "--for=condition=Fresh",
            "--timeout=60s",
        ];
        kubectl
            .print(&[&ready[..], &[&format!("xcs/{name}")]].concat())
            .await;
    }
    let secrets = [
        "get",
        "secrets",
        "-A",
        "-l",
        "cloudsecrets.dev/managed=true",
    ];
    let before = kubectl.json(&secrets).await;
    for file in &files {
        changes_nothing(&kubectl, CLIENT_SIDE, file).await;
    }
    for file in &files {
        // Who changes over is noted in the metadata, and nothing else is another.
        kubectl.print(&["apply", "--server-side", "-f", file]).await;
        changes_nothing(&kubectl, SERVER_SIDE, file).await;
    }
    let served = all.list(&ListParams::default()).await.unwrap().items;
    for object in &served {
        assert_eq!(
            object.metadata.generation,
            Some(1),
            "{:?}",
            object.metadata.name
        );
    }
    assert_eq!(before["items"].as_array().unwrap().len(), served.len());
    assert_eq!(kubectl.json(&secrets).await, before);
}
