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
    let mut paths = vec![
        root.join("README.md"),
        root.join("contrib/argocd/argocd-cm.yaml"),
    ];
    let docs = fs::read_dir(root.join("docs")).unwrap();
    paths.extend(docs.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.is_file() && path.extension().is_some_and(|e| e != "svg"));
    let parsed = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let yaml: Vec<&str> = match path.extension().unwrap().to_str() {
            Some("md") => {
                let blocks = text.split("```yaml\n").skip(1);
                blocks
                    .map(|block| block.split("```").next().unwrap())
                    .collect()
            }
            _ => vec![&text],
        };
        let manifests = yaml
            .iter()
            .flat_map(|yaml| serde_saphyr::from_multiple::<Value>(yaml).unwrap());
        (path, manifests.collect())
    };
    paths.into_iter().map(parsed).collect()
}

/// Lists of manifests none of which names one object twice.
fn lists(manifests: Vec<Value>) -> Vec<Value> {
    let mut lists: Vec<(BTreeSet<String>, Vec<Value>)> = Vec::new();
    for manifest in manifests {
        let meta = &manifest["metadata"];
        let name = format!(
            "{} {} {}",
            manifest["kind"], meta["namespace"], meta["name"]
        );
        let known = |(names, _): &(BTreeSet<String>, _)| names.contains(&name);
        if lists.last().is_none_or(known) {
            lists.push(<_>::default());
        }
        let (names, list) = lists.last_mut().unwrap();
        names.insert(name);
        list.push(manifest);
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

/// A cloud that has what the examples name, and knows the cluster.
async fn cloud(cluster: &Cluster) -> Simulator {
    let seed = include_str!("../../demo/seed.yaml");
    let provider = json!([{
        "name": "ack-rrsa-c1234567890", "issuer": cluster.issuer(), "client_ids": ["sts.aliyuncs.com"],
    }]);
    let seed = seed.replacen(
        "    roles:\n",
        &format!("    oidc_providers: {provider}\n    roles:\n"),
        1,
    );
    let options = cloudsim::Options {
        oidc_ca_pem: Some(String::from_utf8(cluster.ca_pem().to_vec()).unwrap()),
        ..cloudsim::Options::default()
    };
    Simulator::start(&*seed, options).await.unwrap()
}

/// The examples as files, of which the stores alone are changed: they read the simulated cloud.
fn files(dir: &Path, cloud: &Simulator) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in examples() {
        let text = devcluster::read_yaml_dir(&root.join(&folder)).unwrap();
        let mut items = serde_saphyr::from_multiple::<Value>(&text).unwrap();
        for item in &mut items {
            if item["spec"]["auth"].is_object() {
                item["spec"]["auth"]["stsEndpoint"] = cloud.url().into();
                let provider = item["spec"]["provider"].as_object_mut().unwrap();
                provider
                    .values_mut()
                    .for_each(|place| place["endpoint"] = cloud.url().into());
            }
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
    for name in ["shop", "pay"] {
        world.account.grant_tokens(name, &[name]).await.unwrap();
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
    for object in all.list(&ListParams::default()).await.unwrap() {
        assert_eq!(
            object.metadata.generation,
            Some(1),
            "{:?}",
            object.metadata.name
        );
    }
    assert_eq!(before["items"].as_array().unwrap().len(), 3);
    assert_eq!(kubectl.json(&secrets).await, before);
}
