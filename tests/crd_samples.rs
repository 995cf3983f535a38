//! The definitions on a real API server: they are accepted, they accept what they should, and what
//! they refuse is refused with a message that names the field.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use external_cloud_secrets::api::{
    CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret, schema,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::runtime::{conditions, wait};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A row of a sample table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
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
        let client = Client::try_default().await.unwrap();
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in schema::definitions().unwrap() {
            let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
            let apply = PatchParams::apply("crd-samples")
                .force()
                .validation_strict();
            crds.patch(&name, &apply, &Patch::Apply(&definition))
                .await
                .unwrap();
            let established =
                wait::await_condition(crds.clone(), &name, conditions::is_crd_established());
            tokio::time::timeout(Duration::from_secs(30), established)
                .await
                .unwrap()
                .unwrap();
        }
        let server = Self { client };
        server.serves::<ExternalCloudSecret>().await;
        server.serves::<CloudSecretStore>().await;
        server.serves::<ClusterCloudSecretStore>().await;
        server
    }

    /// Waits until the API server answers for a kind, which is a little after it is established.
    async fn serves<K>(&self)
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        for _ in 0..100 {
            if api.list(&ListParams::default().limit(1)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} is not served", K::kind(&()));
    }

    /// Creates an object for show, under a field validation of `Strict` or `Ignore`. Gives what
    /// would be stored, or the API server's message.
    async fn create(&self, object: &Value, validation: &str) -> Result<Value, String> {
        let namespace = object["metadata"]["namespace"].as_str();
        let path = match object["kind"].as_str().unwrap() {
            "Namespace" => Api::<k8s_openapi::api::core::v1::Namespace>::all(self.client.clone())
                .resource_url()
                .to_owned(),
            "ServiceAccount" => "/api/v1/namespaces/default/serviceaccounts".to_owned(),
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
fn samples(path: &str) -> Vec<(Sample, Value)> {
    let bases: Map<String, Value> = read("tests/crd_samples/bases.yaml");
    let rows: Vec<Sample> = read(path);
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
                found.push((path, serde_saphyr::from_str(&text).unwrap()));
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
        if example["metadata"]["namespace"] == "shop" {
            example["metadata"]["namespace"] = json!("default");
        }
        if let Err(message) = server.create(&example, "Strict").await {
            panic!("{}: {message}", path.display());
        }
    }
}
