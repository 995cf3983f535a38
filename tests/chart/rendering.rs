//! What values come to that Helm, YAML or Kubernetes could take for something else.

use devcluster::Binary;
use serde_json::{Map, Value, json};

use super::generated::{chart, read};
use super::golden::sets;
use super::helm::{Helm, find, objects};

/// Every value below `value` that has this key.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key));
            map.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn names_are_texts_whatever_they_look_like() {
    for version in [Binary::Helm3, Binary::Helm4] {
        let helm = Helm::new(version).await;
        for (set, values) in sets() {
            for namespace in ["123", "on", "1e3", "null", "0x10"] {
                let dashboard = ["--set", "metrics.dashboard.enabled=true"];
                let more = [&["--namespace", namespace][..], &dashboard].concat();
                let said = helm.template(&values, &more);
                // The sets of some namespaces may not have the operator's own among them.
                let own = values["watchNamespaces"].as_array();
                if own.is_some_and(|watched| watched.contains(&json!(namespace))) {
                    assert!(!said.success, "{set}");
                    continue;
                }
                assert!(said.success, "{set}: {namespace}: {}", said.err);
                let objects = objects(&said.out);
                let account = find(&objects, "ServiceAccount", "").unwrap();
                assert_eq!(account["metadata"]["namespace"], namespace);
                let mut names = Vec::new();
                for object in objects
                    .iter()
                    .filter(|o| o["kind"] != "CustomResourceDefinition")
                {
                    for key in [
                        "name",
                        "namespace",
                        "policyName",
                        "serviceAccountName",
                        "priorityClassName",
                    ] {
                        all(object, key, &mut names);
                    }
                    let labels = object["metadata"]["labels"].as_object();
                    names.extend(labels.into_iter().flat_map(Map::values));
                }
                assert!(names.len() > 50, "{set}");
                let other: Vec<_> = names.iter().filter(|name| !name.is_string()).collect();
                assert!(other.is_empty(), "{set}: {namespace}: {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_selector_gets_into_every_expression_as_it_is() {
    let helm = Helm::new(Binary::Helm4).await;
    let alerts: Value = serde_saphyr::from_str(&read(&chart().join("files/alerts.yaml"))).unwrap();
    let expressions = |rules: &Value| {
        let mut found = Vec::new();
        all(rules, "expr", &mut found);
        let found = found
            .into_iter()
            .map(|expr| expr.as_str().unwrap().to_owned());
        found.collect::<Vec<_>>()
    };
    let ours = r#"job="external-cloud-secrets""#;
    for selector in [
        r#"job="x", cluster="prod: a""#,
        r#"job="x", shard="a #1""#,
        r#"job=~"a|.+/b\\d", it="'s""#,
    ] {
        let url = "https://runbooks.example.com/a: b #";
        let rule = json!({ "enabled": true, "selector": selector, "runbookUrl": url });
        let objects = helm.objects(&json!({ "metrics": { "prometheusRule": rule } }));
        let rules = &find(&objects, "PrometheusRule", "").unwrap()["spec"];
        let expected = expressions(&alerts);
        let expected: Vec<_> = expected
            .iter()
            .map(|expr| expr.replace(ours, selector))
            .collect();
        assert!(expected.len() > 10 && expected.iter().all(|expr| expr.contains(selector)));
        assert_eq!(expressions(rules), expected);
        let mut runbooks = Vec::new();
        all(rules, "runbook_url", &mut runbooks);
        assert_eq!(runbooks.len(), expected.len());
        assert!(
            runbooks
                .iter()
                .all(|runbook| runbook.as_str().unwrap().starts_with(url))
        );
    }
}

#[tokio::test]
async fn a_name_that_is_cut_ends_in_a_letter_or_digit() {
    let helm = Helm::new(Binary::Helm4).await;
    let name = format!("{}-----{}", "a".repeat(42), "b".repeat(10));
    let values = json!({ "fullnameOverride": name, "nameOverride": name });
    let objects = helm.objects(&values);
    let deployment = find(&objects, "Deployment", "").unwrap();
    assert_eq!(deployment["metadata"]["name"], "a".repeat(42));
}

#[tokio::test]
async fn with_the_role_of_the_instance_both_metadata_services_are_reached_and_without_neither() {
    let helm = Helm::new(Binary::Helm4).await;
    for on in [true, false] {
        let values = json!({ "networkPolicy": { "enabled": true }, "enableInstanceRole": on });
        let objects = helm.objects(&values);
        let policy = find(&objects, "NetworkPolicy", "").unwrap();
        let to = json!(["100.100.100.200/32", "169.254.0.23/32"])
            .as_array()
            .unwrap()
            .iter()
            .map(|cidr| json!({ "ipBlock": { "cidr": cidr } }))
            .collect::<Vec<_>>();
        let rule = json!({ "ports": [{ "port": 80 }], "to": to });
        let rules = policy["spec"]["egress"].as_array().unwrap();
        assert_eq!(rules.contains(&rule), on, "{rules:?}");
    }
}

/// The paths of all maps and lists of the values.
fn containers(value: &Value, path: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        if value.is_object() || value.is_array() {
            containers(value, &path, found);
            found.push(path);
        }
    }
}

#[tokio::test]
async fn a_part_that_is_taken_out_is_out_or_missed_by_its_name() {
    let helm = Helm::new(Binary::Helm4).await;
    let values: Value = serde_saphyr::from_str(&read(&chart().join("values.yaml"))).unwrap();
    let mut paths = Vec::new();
    containers(&values, "", &mut paths);
    assert!(paths.len() > 30);
    for path in paths {
        let on = json!({ "enabled": true });
        let mut set = json!({
            "networkPolicy": on, "admissionPolicies": { "protectSecrets": true },
            "metrics": { "prometheusRule": on, "podMonitor": on, "dashboard": on },
        });
        let mut at = &mut set;
        for key in path.split('/').skip(1) {
            at = &mut at[key];
        }
        *at = Value::Null;
        let name = path.trim_start_matches('/').replace('/', ".");
        let said = helm.template(&set, &[]);
        if said.success {
            let parsed = serde_saphyr::from_multiple::<Value>(&said.out);
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
        } else {
            let last = name.rsplit('.').next().unwrap();
            let told = said.err.contains(&format!("'{last}'"));
            assert!(
                told && !said.err.contains("nil pointer"),
                "{name}: {}",
                said.err
            );
        }
    }
}

#[tokio::test]
async fn a_probe_can_be_left_out() {
    let helm = Helm::new(Binary::Helm4).await;
    let objects = helm.objects(&json!({ "livenessProbe": null }));
    let deployment = find(&objects, "Deployment", "").unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container.get("livenessProbe"), None);
    assert!(container["readinessProbe"]["httpGet"].is_object());
}
