//! A release from its first installation to its last: no definition goes, no object and no Secret.

use devcluster::{Binary, Cluster, OPERATOR, Options};
use external_cloud_secrets::cli::crds::crds_yaml;
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::end_to_end::scene::Scene;
use super::generated::{chart, read};
use super::helm::{Helm, copy_of_chart, objects};
use super::release::{HOME, Release, install};
use super::requests::answer;

const DEFINITION: &str = "externalcloudsecrets.cloudsecrets.dev";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The version of [`earlier`].
pub const EARLIER: &str = "0.0.9";

/// A chart of an earlier version, whose objects had no `suspend` yet.
pub fn earlier(dir: &TempDir) -> std::path::PathBuf {
    let chart = copy_of_chart(dir.path());
    let now = read(&chart.join("Chart.yaml"));
    let version = concat!("\nversion: ", env!("CARGO_PKG_VERSION"), "\n");
    let then = now.replace(version, &format!("\nversion: {EARLIER}\n"));
    assert_ne!(then, now);
    std::fs::write(chart.join("Chart.yaml"), then).unwrap();
    let path = chart.join("files/crds/cloudsecrets.dev_externalcloudsecrets.yaml");
    let mut definition = objects(&read(&path)).remove(0);
    let removed = properties(&mut definition).remove("suspend");
    assert!(removed.is_some());
    std::fs::write(&path, definition.to_string()).unwrap();
    chart
}

fn properties(definition: &mut Value) -> &mut serde_json::Map<String, Value> {
    let pointer = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let properties = definition.pointer_mut(pointer).unwrap();
    properties.as_object_mut().unwrap()
}

impl Release {
    /// What is at a path of the API server, if it is there.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let client = self.world.cluster.client().unwrap();
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        client.request(request).await.ok()
    }

    /// Whether the definition of objects is the newer one.
    pub async fn knows_suspend(&self) -> bool {
        let path = format!("{DEFINITIONS}/{DEFINITION}");
        let mut definition = self.get(&path).await.unwrap();
        properties(&mut definition).contains_key("suspend")
    }

    /// How many of the kinds that are installed are there.
    async fn deployments(&self) -> usize {
        let path = format!("/apis/apps/v1/namespaces/{HOME}/deployments");
        let list = self.get(&path).await.unwrap();
        list["items"].as_array().unwrap().len()
    }

    /// Nothing of the release is left but what is kept.
    async fn is_uninstalled(&self) {
        assert_eq!(self.deployments().await, 0);
        for path in [
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        ] {
            let selector = "labelSelector=app.kubernetes.io/name=external-cloud-secrets";
            let list = self.get(&format!("{path}?{selector}")).await.unwrap();
            assert_eq!(list["items"], json!([]), "{path}");
        }
        assert!(self.knows_suspend().await);
    }
}

/// What has to be the same all the time: the Secret, its object, the digest key and the definition.
#[derive(Debug, PartialEq)]
struct Kept {
    secret: Secret,
    object: String,
    key: Value,
    definition: Value,
}

async fn kept(release: &Release, scene: &Scene<'_>) -> Kept {
    let key = format!("/api/v1/namespaces/{HOME}/secrets/external-cloud-secrets-digest-key");
    let key = release.get(&key).await.unwrap()["metadata"]["resourceVersion"].take();
    let definition = release.get(&format!("{DEFINITIONS}/{DEFINITION}")).await;
    Kept {
        secret: scene.secret_as_it_is("db").await,
        object: scene.version("db").await,
        key,
        definition: definition.unwrap()["metadata"]["uid"].take(),
    }
}

/// The operator of the release runs until it has looked at everything, and changes nothing.
async fn runs_and_changes_nothing(release: &Release, scene: &Scene<'_>, log: &str) {
    let before = kept(release, scene).await;
    let operator = release.operator(log).await;
    operator
        .wait_leading(std::time::Duration::from_secs(40))
        .await;
    let canary = format!("canary-{log}");
    scene.put(log, &canary);
    let object = scene.object(log, "8000h", &[("password", log)]);
    scene.apply(&object).await.unwrap();
    scene.wait_value(log, "password", &canary).await;
    operator.stop();
    assert_eq!(kept(release, scene).await, before);
}

async fn lives(version: Binary) {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let helm = Helm::of(version, &cluster).await;
    let dir = TempDir::new().unwrap();
    let (old, new) = (earlier(&dir), chart());
    let said = install(&helm, OPERATOR, &old, &json!({}), &[]);
    assert!(said.success, "{}", said.err);
    assert!(
        said.out
            .contains("kubectl -n secrets-system rollout status deployment/external-cloud-secrets")
    );
    let release = Release::around(cluster, helm).await;
    let helm = &release.helm;
    assert!(!release.knows_suspend().await);
    assert_eq!(release.deployments().await, 1);

    // An upgrade brings what is new in the definitions.
    let scene = Scene::new(&release.world, "shop").await;
    let values = json!({ "identity": { "serviceAccounts": [{ "namespace": scene.namespace, "name": "reader" }] } });
    release.upgrade(&values);
    assert!(release.knows_suspend().await);
    let operator = release.operator("first").await;
    scene.put("db", "canary-value");
    let object = scene.object("db", "8000h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    operator.stop();
    let first = kept(&release, &scene).await;

    // So do definitions that are taken out of the release: they stay.
    let mut apart = values.clone();
    apart["crds"] = json!({ "install": false });
    release.upgrade(&apart);
    assert_eq!(kept(&release, &scene).await, first);
    release.upgrade(&values);
    runs_and_changes_nothing(&release, &scene, "upgraded").await;

    helm.done(&["uninstall", OPERATOR, "--namespace", HOME]);
    release.is_uninstalled().await;
    assert_eq!(kept(&release, &scene).await, first);

    let said = install(helm, OPERATOR, &new, &values, &[]);
    assert!(said.success, "{}", said.err);
    runs_and_changes_nothing(&release, &scene, "reinstalled").await;
    helm.done(&["uninstall", OPERATOR, "--namespace", HOME]);

    // Under another name the definitions are somebody else's, until they are taken over.
    let mut renamed = values.clone();
    renamed["fullnameOverride"] = OPERATOR.into();
    let said = install(helm, "another", &new, &renamed, &[]);
    assert!(!said.success);
    assert!(said.err.contains("release-name"), "{}", said.err);
    // What was refused leaves a record only.
    helm.run(&["uninstall", "another", "--namespace", HOME]);
    assert_eq!(kept(&release, &scene).await, first);
    let said = install(helm, "another", &new, &renamed, &["--take-ownership"]);
    assert!(said.success, "{}", said.err);
    runs_and_changes_nothing(&release, &scene, "renamed").await;
    helm.done(&["uninstall", "another", "--namespace", HOME]);
    release.is_uninstalled().await;
    assert_eq!(kept(&release, &scene).await, first);

    // The objects are there to be deleted, and only that deletes the Secret.
    let admin = release.world.cluster.client().unwrap();
    let place = format!(
        "/apis/cloudsecrets.dev/v1alpha1/namespaces/{}",
        scene.namespace
    );
    let path = format!("{place}/externalcloudsecrets/db");
    let (code, said) = answer(&admin, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(code, 200, "{said}");
}

#[tokio::test]
async fn definitions_that_kubectl_made_are_taken_over_when_that_is_asked_for() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap();
    for version in [Binary::Helm3, Binary::Helm4] {
        let helm = Helm::of(version, &cluster).await;
        let said = install(&helm, "first", &chart(), &json!({}), &[]);
        assert!(!said.success);
        assert!(
            said.err.contains("invalid ownership metadata"),
            "{}",
            said.err
        );
        helm.run(&["uninstall", "first", "--namespace", HOME]);
        // Or they stay what they are.
        let apart = json!({ "crds": { "install": false } });
        let said = install(&helm, "apart", &chart(), &apart, &[]);
        assert!(said.success, "{}", said.err);
        helm.done(&["uninstall", "apart", "--namespace", HOME]);
    }
    let helm = Helm::of(Binary::Helm3, &cluster).await;
    let more = ["--take-ownership"];
    let said = install(&helm, "first", &chart(), &json!({}), &more);
    assert!(said.success, "{}", said.err);
    helm.done(&["uninstall", "first", "--namespace", HOME]);
    let helm = Helm::of(Binary::Helm4, &cluster).await;
    let said = install(&helm, "second", &chart(), &json!({}), &more);
    assert!(said.success, "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_lost_by_helm_4() {
    Box::pin(lives(Binary::Helm4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_lost_by_helm_3() {
    Box::pin(lives(Binary::Helm3)).await;
}
