//! The definitions on a real API server: they are accepted, they accept what they should, and what
//! they refuse is refused with a message that names the field.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use external_cloud_secrets::api::{CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret};
use external_cloud_secrets::cli::crds::crds_yaml;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

/// A row of a sample table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What the row is about.
    sample: String,
    /// The object it begins from.
    base: String,
    /// A JSON merge patch of its spec.
    patch: Value,
    /// Part of the message.
    #[serde(default)]
    refused: String,
    /// Part of the message under strict field validation, where it differs.
    strict: Option<String>,
}

/// An API server that has the definitions.
struct Server {
    client: Client,
}

// === impl Server ===

impl Server {
    async fn start() -> Self {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let cluster = devcluster::shared().await;
        INSTALLED
            .get_or_init(|| async { cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap() })
            .await;
        let client = cluster.client().unwrap();
        Self { client }
    }

    /// Creates an object for show, under a field validation of `Strict` or `Ignore`. Gives what
    /// would be stored, or the API server's message.
    async fn create(&self, object: &Value, validation: &str) -> Result<Value, String> {
        let namespace = object["metadata"]["namespace"].as_str();
        let path = match object["kind"].as_str().unwrap() {
            "Namespace" => Namespace::url_path(&(), None),
            "ServiceAccount" => ServiceAccount::url_path(&(), namespace),
            "Role" => Role::url_path(&(), namespace),
            "RoleBinding" => RoleBinding::url_path(&(), namespace),
            "ExternalCloudSecret" => ExternalCloudSecret::url_path(&(), namespace),
            "CloudSecretStore" => CloudSecretStore::url_path(&(), namespace),
            "ClusterCloudSecretStore" => ClusterCloudSecretStore::url_path(&(), None),
            kind => panic!("unknown kind {kind}"),
        };
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut request = Request::new(path)
            .create(&params, serde_json::to_vec(object).unwrap())
            .unwrap();
        *request.uri_mut() = format!("{}&fieldValidation={validation}", request.uri())
            .parse()
            .unwrap();
        self.client
            .request::<Value>(request)
            .await
            .map_err(|error| match error {
                kube::Error::Api(status) => status.message,
                other => panic!("{other}"),
            })
    }
}

// === Samples ===

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read<T: serde::de::DeserializeOwned>(path: &str) -> T {
    let text = fs::read_to_string(manifest(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of a table, each with its object.
fn samples(path: &str) -> Vec<(Row, Value)> {
    let bases: Map<String, Value> = read("tests/crd_samples/bases.yaml");
    let rows: Vec<Row> = read(path);
    rows.into_iter()
        .map(|row| {
            let mut object = bases[&row.base].clone();
            json_patch::merge(&mut object["spec"], &row.patch);
            expand(&mut object);
            (row, object)
        })
        .collect()
}

/// Replaces `NULL` by an explicit null and `LONG9` by nine letters.
fn expand(value: &mut Value) {
    match value {
        Value::String(text) if text == "NULL" => *value = Value::Null,
        Value::String(text) => {
            if let Some((before, length)) = text.split_once("LONG") {
                *text = format!("{before}{}", "a".repeat(length.parse().unwrap()));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(expand),
        Value::Object(members) => members.values_mut().for_each(expand),
        _ => {}
    }
}

/// The manifests under `examples/`, with the file each is from.
fn examples() -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![manifest("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let text = fs::read_to_string(&path).unwrap();
                let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
                found.extend(objects.into_iter().map(|object| (path.clone(), object)));
            }
        }
    }
    found
}

// === Tests ===

#[tokio::test]
async fn the_api_server_decides_every_sample_as_the_tables_say() {
    let server = Server::start().await;
    let mut wrong = Vec::new();
    for (row, object) in samples("tests/crd_samples/valid.yaml") {
        if let Err(message) = server.create(&object, "Strict").await {
            wrong.push(format!("{}: refused: {message}", row.sample));
        }
    }
    for (row, object) in samples("tests/crd_samples/invalid.yaml") {
        let strict = row.strict.as_deref().unwrap_or(&row.refused);
        for (validation, expected) in [("Ignore", row.refused.as_str()), ("Strict", strict)] {
            assert!(expected.contains("spec."), "{}: names no field", row.sample);
            match server.create(&object, validation).await {
                Ok(_) => wrong.push(format!("{} ({validation}): accepted", row.sample)),
                Err(message) if !message.contains(expected) => {
                    wrong.push(format!("{} ({validation}): {message}", row.sample));
                }
                Err(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_accepted_reads_as_the_types() {
    let server = Server::start().await;
    for (row, object) in samples("tests/crd_samples/valid.yaml") {
        let stored = server.create(&object, "Strict").await.unwrap();
        let spec = match row.base.as_str() {
            "object" => json!(
                serde_json::from_value::<ExternalCloudSecret>(stored.clone())
                    .unwrap()
                    .spec
            ),
            "store" => json!(
                serde_json::from_value::<CloudSecretStore>(stored.clone())
                    .unwrap()
                    .spec
            ),
            _ => json!(
                serde_json::from_value::<ClusterCloudSecretStore>(stored.clone())
                    .unwrap()
                    .spec
            ),
        };
        assert_eq!(spec, stored["spec"], "{}", row.sample);
    }
}

#[tokio::test]
async fn a_new_object_does_not_count_as_seen() {
    let server = Server::start().await;
    for base in ["object", "store", "cluster store"] {
        let bases: Map<String, Value> = read("tests/crd_samples/bases.yaml");
        let stored = server.create(&bases[base], "Strict").await.unwrap();
        assert_eq!(
            stored["status"],
            json!({"observedGeneration": -1}),
            "{base}"
        );
    }
}

#[tokio::test]
async fn the_examples_are_accepted() {
    let server = Server::start().await;
    let examples = examples();
    assert!(examples.len() > 3);
    for (path, mut example) in examples {
        // Nothing is made for show in a namespace that is not there.
        if example["metadata"]["namespace"].is_string() {
            example["metadata"]["namespace"] = json!("default");
        }
        if let Err(message) = server.create(&example, "Strict").await {
            panic!("{}: {message}", path.display());
        }
    }
}

#[tokio::test]
async fn two_appliers_may_each_own_an_entry() {
    let server = Server::start().await;
    let cluster = devcluster::shared().await;
    let namespace = cluster.namespace("appliers").await.unwrap();
    let api: Api<ExternalCloudSecret> = Api::namespaced(server.client, namespace.name());
    let apply = async |manager: &str, key: &str, remote: &str| {
        let object = json!({
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "ExternalCloudSecret",
            "metadata": {"name": "sample"},
            "spec": {
                "secretStoreRef": {"name": "sample"},
                "data": [{"secretKey": key, "remoteRef": {"key": remote}}],
            },
        });
        let params = PatchParams::apply(manager).validation_strict();
        let applied = api
            .patch("sample", &params, &Patch::Apply(&object))
            .await
            .unwrap();
        let entries = applied.spec.data.into_iter();
        entries
            .map(|entry| (entry.secret_key, entry.remote_ref.key))
            .collect::<Vec<_>>()
    };
    let entry = |key: &str, remote: &str| (key.to_owned(), remote.to_owned());
    apply("one", "a", "x").await;
    assert_eq!(
        apply("two", "b", "z").await,
        [entry("a", "x"), entry("b", "z")]
    );
    assert_eq!(
        apply("one", "a", "w").await,
        [entry("a", "w"), entry("b", "z")]
    );
    assert_eq!(
        apply("two", "c", "z").await,
        [entry("a", "w"), entry("c", "z")]
    );
}
