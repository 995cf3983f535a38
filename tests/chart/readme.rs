//! The table of values in the chart's README: made of `values.yaml` and of the text above its keys.

use serde_json::Value;

use super::generated::{chart, check, read};

/// What comes before the table is written by hand.
const TABLE: &str = "## Values\n";

/// A value that is described: its path and the text above it.
struct Described {
    path: Vec<String>,
    text: String,
}

/// The described values of `values.yaml`, in their order.
fn described(yaml: &str) -> Vec<Described> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in yaml.lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if let Some(words) = text.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let key = text.split_once(':').map(|(key, _)| key);
        let key = key.filter(|key| key.chars().all(char::is_alphanumeric));
        if let Some(key) = key {
            path.retain(|(outer, _)| *outer < depth);
            path.push((depth, key.to_owned()));
            if !comment.is_empty() {
                let path = path.iter().map(|(_, key)| key.clone()).collect();
                let text = comment.join(" ");
                found.push(Described { path, text });
            }
        }
        comment.clear();
    }
    found
}

fn at<'v>(values: &'v Value, path: &[String]) -> &'v Value {
    path.iter().fold(values, |value, key| &value[key])
}

fn row(values: &Value, described: &Described) -> String {
    let value = at(values, &described.path).to_string();
    let text = described.text.replace('|', "\\|");
    let path = described.path.join(".");
    format!("| `{path}` | `{value}` | {text} |\n")
}

/// What is in no described value, and in no part of one.
fn silent(values: &Value, path: &mut Vec<String>, described: &[Described]) -> Vec<String> {
    if described.iter().any(|described| described.path == *path) {
        return Vec::new();
    }
    let Some(map) = values.as_object().filter(|map| !map.is_empty()) else {
        return vec![path.join(".")];
    };
    let mut found = Vec::new();
    for (key, value) in map {
        path.push(key.clone());
        found.extend(silent(value, path, described));
        path.pop();
    }
    found
}

#[test]
fn the_table_of_values_is_what_the_values_say() {
    let yaml = read(&chart().join("values.yaml"));
    let values: Value = serde_saphyr::from_str(&yaml).unwrap();
    let described = described(&yaml);
    let rows: String = described.iter().map(|one| row(&values, one)).collect();
    let path = chart().join("README.md");
    let written = read(&path);
    let (by_hand, _) = written.split_once(TABLE).unwrap();
    let table = format!(
        "{by_hand}{TABLE}\nThis table is generated from `values.yaml`. A key or type that is not in `values.schema.json` is \
         refused with its path.\n\n| value | default | what it is |\n| --- | --- | --- |\n{rows}"
    );
    check(&path, &table);
}

#[test]
fn every_value_is_described() {
    let yaml = read(&chart().join("values.yaml"));
    let values: Value = serde_saphyr::from_str(&yaml).unwrap();
    let described = described(&yaml);
    assert!(described.len() > 60, "{}", described.len());
    let silent = silent(&values, &mut Vec::new(), &described);
    assert_eq!(silent, Vec::<String>::new());
}
