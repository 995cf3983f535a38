//! What Helm makes of the value sets in `values/`, against what is kept in `golden/`.

use std::collections::BTreeMap;
use std::fs;

use devcluster::{Binary, OPERATOR};
use serde_json::{Value, json};

use super::generated::{chart, check, read, root};
use super::helm::{Helm, find, objects};

/// The value sets by name.
pub fn sets() -> BTreeMap<String, Value> {
    let folder = root().join("tests/chart/values");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let set = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        let values: Option<Value> = serde_saphyr::from_str(&read(&file.path())).unwrap();
        let name = name.strip_suffix(".yaml").unwrap().to_owned();
        (name, values.unwrap_or_else(|| json!({})))
    };
    files.map(set).collect()
}

#[tokio::test]
async fn what_the_value_sets_come_to_is_known() {
    let helm = Helm::new(Binary::Helm4).await;
    let sets = sets();
    for (name, values) in &sets {
        // The definitions have a test of their own.
        let said = helm.template(values, &["--set", "crds.install=false"]);
        assert!(said.success, "{name}: {}", said.err);
        let path = root().join(format!("tests/chart/golden/{name}.yaml"));
        check(&path, &said.out);
    }
    let kept = fs::read_dir(root().join("tests/chart/golden")).unwrap();
    assert_eq!(kept.count(), sets.len(), "golden/ has a file of no set");
}

#[tokio::test]
async fn both_versions_of_helm_make_the_same_objects() {
    let (three, four) = (
        Helm::new(Binary::Helm3).await,
        Helm::new(Binary::Helm4).await,
    );
    for (name, values) in sets() {
        let sorted = |helm: &Helm| {
            let mut objects = helm.objects(&values);
            objects.sort_by_key(|object| {
                let of = |pointer| object.pointer(pointer).map(Value::to_string);
                [of("/kind"), of("/metadata/namespace"), of("/metadata/name")]
            });
            objects
        };
        assert_eq!(sorted(&three), sorted(&four), "{name}");
    }
}

#[tokio::test]
async fn both_versions_find_nothing_to_object_to() {
    let chart = chart();
    for version in [Binary::Helm3, Binary::Helm4] {
        let helm = Helm::new(version).await;
        for values in sets().values() {
            let values = helm.values(values);
            let path = chart.to_str().unwrap();
            let out = helm.done(&["lint", "--strict", "--values", &values, path]);
            assert!(out.contains("0 chart(s) failed"), "{out}");
        }
    }
}

const POLICIES: &str = "\
# The admission policies that the chart makes by default, for an operator that is installed without it: for the ServiceAccount
# external-cloud-secrets of the namespace external-cloud-secrets. `make chart-files` writes them, from templates/_policy.tpl.
";

#[tokio::test]
async fn the_policies_for_those_without_helm_are_the_charts() {
    let helm = Helm::new(Binary::Helm4).await;
    let more = ["--namespace", OPERATOR];
    let only = ["--show-only", "templates/admission.yaml"];
    let said = helm.template(&json!({}), &[more, only].concat());
    assert!(said.success, "{}", said.err);
    let mut text = POLICIES.to_owned();
    let mut in_labels = false;
    for line in said
        .out
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        // They are about the chart.
        in_labels = line == "  labels:" || in_labels && line.starts_with("    ");
        if !in_labels {
            text.push_str(line);
            text.push('\n');
        }
    }
    check(&chart().join("policies.yaml"), &text);
}

/// With every number as Helm, to which they all are alike, may write it.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(map) => map.into_iter().map(|(key, v)| (key, plain(v))).collect(),
        other => other,
    }
}

#[tokio::test]
async fn the_definitions_are_rendered_as_they_are_and_stay_when_the_release_goes() {
    let rendered = Helm::new(Binary::Helm4)
        .await
        .objects(&json!({ "crds": { "annotations": { "team": "platform" } } }));
    let files = fs::read_dir(root().join("crds")).unwrap();
    let mut seen = 0;
    for file in files {
        let expected = objects(&read(&file.unwrap().path())).remove(0);
        let name = expected["metadata"]["name"].as_str().unwrap().to_owned();
        let mut found = find(&rendered, "CustomResourceDefinition", &name)
            .unwrap_or_else(|| panic!("{name}"))
            .clone();
        let metadata = found["metadata"].as_object_mut().unwrap();
        let annotations = metadata.remove("annotations");
        let keep = json!({
            "helm.sh/resource-policy": "keep",
            "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
            "team": "platform",
        });
        assert_eq!(annotations, Some(keep));
        metadata.remove("labels");
        assert!(plain(found) == plain(expected), "{name}");
        seen += 1;
    }
    assert!(seen >= 3);
    let without = json!({ "crds": { "install": false } });
    let rendered = Helm::new(Binary::Helm4).await.objects(&without);
    assert_eq!(find(&rendered, "CustomResourceDefinition", ""), None);
}
