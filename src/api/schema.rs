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
/// that the API server drops an explicit null instead of keeping it), defaults, descriptions of what
/// a list holds beside the list's own, and the line breaks of doc comments.
fn tidy(schema: &mut Map<String, Value>) {
    for quirk in ["title", "nullable", "default"] {
        schema.remove(quirk);
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    // `kubectl explain` prints it after the list's own, without so much as a space.
    if let Some(Value::Object(item)) = schema.get_mut("items") {
        item.remove("description");
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
    for (name, schema) in [
        (
            "apiVersion",
            json!({"type": "string", "description": "The group and version of this object's schema."}),
        ),
        (
            "kind",
            json!({"type": "string", "description": "The kind of this object."}),
        ),
        // The API server knows the rest, and takes no description here.
        ("metadata", json!({"type": "object"})),
    ] {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `visit` with the path and the schema of each node of every definition.
    fn walk(visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
        fn go(
            path: &str,
            schema: &Map<String, Value>,
            visit: &mut dyn FnMut(&str, &Map<String, Value>),
        ) {
            visit(path, schema);
            if let Some(Value::Object(properties)) = schema.get("properties") {
                for (name, child) in properties {
                    go(&format!("{path}.{name}"), child.as_object().unwrap(), visit);
                }
            }
            for keyword in ["items", "additionalProperties"] {
                if let Some(Value::Object(child)) = schema.get(keyword) {
                    go(&format!("{path}[]"), child, visit);
                }
            }
        }
        for crd in definitions().unwrap() {
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
            let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            go(kind, root.as_object().unwrap(), visit);
        }
    }

    #[test]
    fn every_field_has_a_description() {
        let mut bare = Vec::new();
        walk(&mut |path, schema| {
            let described = schema
                .get("description")
                .and_then(Value::as_str)
                .is_some_and(|d| !d.is_empty());
            if !described && !path.ends_with("[]") && !path.ends_with(".metadata") {
                bare.push(path.to_owned());
            }
        });
        assert!(bare.is_empty(), "no description: {bare:?}");
    }

    #[test]
    fn the_only_default_is_that_of_an_unseen_status() {
        walk(&mut |path, schema| {
            let expected = (path.matches('.').count() == 1 && path.ends_with(".status"))
                .then(|| json!({"observedGeneration": -1}));
            assert_eq!(schema.get("default"), expected.as_ref(), "{path}");
        });
    }

    #[test]
    fn nothing_of_the_generator_shows() {
        walk(&mut |path, schema| {
            for keyword in ["nullable", "title", "oneOf", "anyOf", "$ref"] {
                assert!(!schema.contains_key(keyword), "{keyword} at {path}");
            }
            let format = schema.get("format").and_then(Value::as_str);
            assert!(
                matches!(format, None | Some("date-time" | "int32" | "int64")),
                "{format:?} at {path}"
            );
        });
    }

    #[test]
    fn every_string_and_list_of_a_spec_is_bounded() {
        let upstream = |path: &str| path.contains(".namespaceSelector.");
        walk(&mut |path, schema| {
            if !path.contains(".spec.") || upstream(path) {
                return;
            }
            let bound = match schema["type"].as_str() {
                Some("string") if !schema.contains_key("enum") => "maxLength",
                Some("array") => "maxItems",
                _ => return,
            };
            assert!(schema.contains_key(bound), "no {bound} at {path}");
        });
    }

    #[test]
    fn the_types_carry_the_group_and_version_of_the_names() {
        use super::super::names::{GROUP, VERSION};
        for crd in definitions().unwrap() {
            assert_eq!(crd["spec"]["group"], GROUP);
            assert_eq!(crd["spec"]["versions"][0]["name"], VERSION);
        }
    }
}
