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

use super::kubectl::Kubectl;
use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

/// How `kubectl apply` is told to go about it.
#[derive(Clone, Copy)]
struct Way(&'static [&'static str]);

const CLIENT_SIDE: Way = Way(&[]);
const SERVER_SIDE: Way = Way(&["--server-side"]);

/// The folders of examples.
fn examples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("examples")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let named = |path: PathBuf| format!("examples/{}", path.file_name().unwrap().display());
    folders.map(named).collect()
}

/// The manifests of each page for users, and of each file that they apply from elsewhere.
fn pages() -> Vec<(PathBuf, Vec<Value>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md"), root.join("contrib/argocd/argocd-cm.yaml")];
    let docs = fs::read_dir(root.join("docs")).unwrap();
    paths.extend(docs.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.is_file() && path.extension().is_some_and(|e| e != "svg"));
    let parsed = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let yaml: Vec<&str> = match path.extension().unwrap().to_str() {
            Some("md") => {
                let blocks = text.split("```yaml\n").skip(1);
                blocks.map(|block| block.split("```").next().unwrap()).collect()
            }
            _ => vec![&text],
        };
        let manifests = yaml
            .iter()
            .flat_map(|yaml| serde_saphyr::from_multiple::<Value>(yaml).unwrap())
            // Kinds of other projects are not in this cluster.
            .filter(|manifest| !manifest["apiVersion"].as_str().unwrap().contains(".fluxcd.io/"));
        (path, manifests.collect())
    };
    paths.into_iter().map(parsed).collect()
}

/// Lists of manifests none of which names one object twice.
fn lists(manifests: Vec<Value>) -> Vec<Value> {
    let mut lists: Vec<(BTreeSet<String>, Vec<Value>)> = Vec::new();
    for manifest in manifests {
        let meta = &manifest["metadata"];
        let name = format!("{} {} {}", manifest["kind"], meta["namespace"], meta["name"]);
        match lists.last_mut() {
            Some((names, list)) if names.insert(name.clone()) => list.push(manifest),
            _ => lists.push((BTreeSet::from([name]), vec![manifest])),
        }
    }
    let list = |items| json!({ "apiVersion": "v1", "kind": "List", "items": items });
    lists.into_iter().map(|(_, items)| list(items)).collect()
}

/// Makes the namespaces that manifests name.
async fn make_namespaces(cluster: &Cluster, items: &Value) {
    let api: Api<Namespace> = Api::all(cluster.client().unwrap());
    let items = items.as_array().unwrap();
    let named = items.iter().filter_map(|item| item["metadata"]["namespace"].as_str());
    for name in named.collect::<BTreeSet<_>>() {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let params = PatchParams::apply("test");
        api.patch(name, &params, &Patch::Apply(&namespace)).await.unwrap();
    }
}

/// The objects of a file or a folder as they are now.
async fn objects(kubectl: &Kubectl, place: &str) -> Vec<Value> {
    let found = kubectl.json(&["get", "-f", place]).await;
    match found["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![found],
    }
}

/// Applies what was applied before and sees to it that nothing changes, not even a resourceVersion.
async fn changes_nothing(kubectl: &Kubectl, way: Way, place: &str) {
    let before = objects(kubectl, place).await;
    assert!(!before.is_empty(), "{place}");
    let told = kubectl.print(&[&["apply", "-f", place], way.0].concat()).await;
    if way.0.is_empty() {
        let changed: Vec<&str> = told.lines().filter(|line| !line.ends_with(" unchanged")).collect();
        assert!(changed.is_empty(), "{place}: {changed:?}");
    }
    assert_eq!(objects(kubectl, place).await, before, "{place}");
    let diff = kubectl.run(&[&["diff", "-f", place], way.0].concat()).await;
    assert_eq!((diff.code, &*diff.stdout), (Some(0), ""), "{place}: {diff:?}");
}

/// Every definition, example and manifest of a page, in a cluster where nobody acts on them.
async fn everything_twice(way: Way) {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let kubectl = Kubectl::of(&cluster).await;
    let apply = async |place: &str| {
        kubectl.print(&[&["apply", "-f", place], way.0].concat()).await;
    };
    apply("crds").await;
    let served = ["wait", "--for=condition=Established", "-f", "crds", "--timeout=60s"];
    kubectl.print(&served).await;
    changes_nothing(&kubectl, way, "crds").await;
    let mut tried = 0;
    for folder in examples() {
        apply(&folder).await;
        changes_nothing(&kubectl, way, &folder).await;
        tried += 1;
    }
    let dir = TempDir::new().unwrap();
    for (path, manifests) in pages() {
        for list in lists(manifests) {
            make_namespaces(&cluster, &list["items"]).await;
            let file = dir.path().join("list.json");
            fs::write(&file, list.to_string()).unwrap();
            let file = file.to_str().unwrap();
            println!("{}", path.display());
            // What another page said of the same object goes first.
            kubectl.print(&["delete", "--ignore-not-found", "--wait=false", "-f", file]).await;
            apply(file).await;
            changes_nothing(&kubectl, way, file).await;
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_applied_twice_by_the_client_changes_nothing() {
    everything_twice(CLIENT_SIDE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_applied_twice_by_the_server_changes_nothing() {
    everything_twice(SERVER_SIDE).await;
}
