//! The custom resource definitions as they are installed: what the types give, less the quirks of
//! the generator.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret};

/// Every custom resource definition as JSON, in the order in which they are printed.
pub fn definitions() -> Result<Vec<Value>, serde_json::Error> {
    [
        ExternalCloudSecret::crd(),
        CloudSecretStore::crd(),
        ClusterCloudSecretStore::crd(),
    ]
    .iter()
    .map(definition)
    .collect()
}

/// One definition, with each version's schema tidied.
fn definition(crd: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(crd)?;
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        if let Some(root) = version["schema"]["openAPIV3Schema"].as_object_mut() {
            tidy(root);
            complete(root);
        }
    }
    Ok(crd)
}

/// Removes what the generator adds and nobody asked for, all the way down: titles, `nullable` (so
/// that the API server drops an explicit null instead of keeping it), defaults, and the line breaks
/// of doc comments.
fn tidy(schema: &mut Map<String, Value>) {
    for quirk in ["title", "nullable", "default"] {
        schema.remove(quirk);
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for child in children_mut(schema) {
        tidy(child);
    }
}

/// Adds what every Kubernetes object has, which offline validators look for, and the one default: a
/// status that says that the operator has not seen the object.
fn complete(root: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = root.get_mut("properties") else {
        return;
    };
    for (name, description, kind) in [
        (
            "apiVersion",
            "The version of this object's schema.",
            "string",
        ),
        ("kind", "The kind of this object.", "string"),
        (
            "metadata",
            "Name, namespace, labels, annotations and the like.",
            "object",
        ),
    ] {
        let schema = json!({"description": description, "type": kind});
        properties.entry(name).or_insert(schema);
    }
    if let Some(status) = properties.get_mut("status") {
        status["default"] = json!({"observedGeneration": -1});
    }
}

/// The schemas directly inside `schema`: of properties, of map values and of list items.
fn children_mut(schema: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    schema
        .iter_mut()
        .flat_map(|(keyword, value)| match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().collect(),
            ("items" | "additionalProperties", value) => vec![value],
            _ => Vec::new(),
        })
        .filter_map(Value::as_object_mut)
}
