//! Somebody who follows the pages: a clone, kubectl, helm and a cluster, and nothing that is not on the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudsim::Simulator;
use devcluster::{Binary, Cluster, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::end_to_end::examples::{clone, cloud, read_from};
use super::end_to_end::kubectl::Kubectl;
use super::end_to_end::operator::Operator;
use super::end_to_end::wait::{SOON, until};
use super::end_to_end::world::{ClusterHandle, World};
use super::release;

/// Where the pages install the operator.
pub const HOME: &str = "external-cloud-secrets";

/// Has the stores of a clone's examples read that cloud.
fn point_examples(clone: &Path, cloud: &Simulator) {
    let examples = clone.join("examples");
    let theirs = fs::canonicalize(&examples).unwrap();
    fs::remove_file(&examples).unwrap();
    for folder in fs::read_dir(theirs).unwrap() {
        let folder = folder.unwrap();
        if !folder.path().is_dir() {
            continue;
        }
        let into = examples.join(folder.file_name());
        fs::create_dir_all(&into).unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            for object in &mut objects {
                read_from(cloud, object);
            }
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
            fs::write(into.join(file.file_name()), list.to_string()).unwrap();
        }
    }
}

/// Somebody at a shell.
pub struct Newcomer {
    pub world: World,
    pub kubectl: Kubectl,
    clone: TempDir,
    helm: PathBuf,
    helm_home: TempDir,
}

impl Newcomer {
    /// A cluster of their own, whose Pods would be made and wait for a node, and a cloud that has what the pages read.
    pub async fn new() -> Self {
        let workloads = Options {
            workloads: true,
            ..Options::default()
        };
        let cluster = Cluster::start(workloads).await.unwrap();
        let helm = devcluster::helm(Binary::Helm4).await.unwrap();
        let kubectl = Kubectl::of(&cluster).await;
        // An account that nobody uses, until there is an operator.
        let account = cluster.install_operator("", "nobody").await.unwrap();
        let world = World {
            cloud: Arc::new(cloud(&cluster).await),
            cluster: ClusterHandle::Own(Box::new(cluster)),
            account,
            operator: tokio::sync::Mutex::new(None),
            dir: TempDir::new().unwrap(),
        };
        let clone = clone();
        point_examples(clone.path(), &world.cloud);
        Self {
            world,
            kubectl,
            clone,
            helm,
            helm_home: TempDir::new().unwrap(),
        }
    }

    /// The clone's folder, in which commands are typed.
    pub fn clone(&self) -> &Path {
        self.clone.path()
    }

    /// Types these commands.
    pub async fn types(&self, text: &str) -> String {
        let home = self.helm_home.path().display();
        let own = ["CACHE", "CONFIG", "DATA"].map(|what| format!("HELM_{what}_HOME={home}"));
        let path = self.helm.parent().unwrap().display();
        let text = format!("export PATH={path}:$PATH {}\n{text}", own.join(" "));
        self.kubectl.script(&text, self.clone()).await
    }

    /// Writes a file into the clone.
    pub fn writes(&self, name: &str, text: &str) {
        fs::write(self.clone().join(name), text).unwrap();
    }

    /// Applies manifests in their order, of which stores read the simulated cloud.
    pub async fn applies(&self, mut manifests: Vec<Value>) {
        for manifest in &mut manifests {
            read_from(&self.world.cloud, manifest);
        }
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": manifests });
        self.writes("manifests.json", &list.to_string());
        self.types("kubectl apply -f manifests.json").await;
    }

    /// The operator that the Deployment describes, as a process.
    pub async fn operator(&self, log: &str) -> Operator {
        release::operator(&self.world, HOME, log).await
    }

    /// What of an object is the same as long as nothing is written to it.
    pub async fn version(&self, namespace: &str, kind: &str, name: &str) -> Value {
        let words = ["-n", namespace, "get", kind, name];
        let mut object = self.kubectl.json(&words).await;
        json!([
            object["metadata"]["uid"].take(),
            object["metadata"]["resourceVersion"].take()
        ])
    }

    /// Waits until an object is away.
    pub async fn waits_gone(&self, words: &[&str]) {
        until("that it is gone", SOON, async || {
            let words = [words, &["--ignore-not-found", "-o", "name"]].concat();
            let found = self.kubectl.print(&words).await;
            if found.is_empty() { Ok(()) } else { Err(found) }
        })
        .await;
    }
}
