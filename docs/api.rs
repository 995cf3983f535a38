//! Prints the API reference in Markdown, from the custom resource definitions.
//!
//! `make crds` writes what it prints to `docs/api.md`.

#![allow(
    clippy::print_stdout,
    reason = "a program that is run by hand and by make"
)]

use std::fmt::Write as _;

use external_cloud_secrets::api::schema;
use serde_json::{Map, Value};

const HEAD: &str = "\
# API reference

Generated from the custom resource definitions by `make crds`. The group is `cloudsecrets.dev`, the version `v1alpha1`; \
`kubectl explain xcs.spec` says the same in a terminal.

`[]` after a field means each of a list, `{}` the value of each key. Rules are checked by the API server when an object is applied, \
and its refusal names the field.
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut page = HEAD.to_owned();
    let mut definitions = schema::definitions()?;
    definitions
        .sort_by_key(|definition| text(definition, "/spec/names/kind") != "ExternalCloudSecret");
    for definition in &definitions {
        kind(&mut page, definition)?;
    }
    print!("{page}");
    Ok(())
}

/// One kind: what it is, its fields, what `kubectl get` shows.
fn kind(page: &mut String, definition: &Value) -> std::fmt::Result {
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    writeln!(page, "\n## {}\n", text(definition, "/spec/names/kind"))?;
    writeln!(page, "{}\n", prose(schema))?;
    let short = &definition["spec"]["names"]["shortNames"][0];
    let columns = version["additionalPrinterColumns"]
        .as_array()
        .into_iter()
        .flatten();
    let columns: Vec<&str> = columns
        .filter_map(|column| column["name"].as_str())
        .collect();
    writeln!(
        page,
        "{}. Short name `{}`. `kubectl get` shows: {}.",
        text(definition, "/spec/scope"),
        short.as_str().unwrap_or_default(),
        columns.join(", ")
    )?;
    for part in ["spec", "status"] {
        let schema = &schema["properties"][part];
        writeln!(
            page,
            "\n### {} {part}\n",
            text(definition, "/spec/names/kind")
        )?;
        for rule in rules(schema) {
            writeln!(page, "{rule}\n")?;
        }
        writeln!(page, "| field | type | meaning |\n| --- | --- | --- |")?;
        fields(page, part, schema)?;
    }
    Ok(())
}

/// A row for each field below `path`, and for those below it.
fn fields(page: &mut String, path: &str, schema: &Value) -> std::fmt::Result {
    let none = Map::new();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in schema["properties"].as_object().unwrap_or(&none) {
        let needed = if required.contains(&name.as_str()) {
            ", required"
        } else {
            ""
        };
        let mut meaning = vec![prose(field)];
        meaning.extend(rules(field));
        meaning.extend(rules(&field["items"]));
        let (type_, below, inner) = shape(field);
        writeln!(
            page,
            "| `{path}.{name}` | {type_}{needed} | {} |",
            meaning.join(" ").replace('|', "\\|")
        )?;
        fields(page, &format!("{path}.{name}{below}"), inner)?;
    }
    Ok(())
}

/// A field's type in words, what its path has before the fields below it, and their schema.
fn shape(field: &Value) -> (String, &'static str, &Value) {
    let choices = field["enum"].as_array().into_iter().flatten();
    let choices: Vec<String> = choices
        .filter_map(|choice| Some(format!("`{}`", choice.as_str()?)))
        .collect();
    let items = &field["items"];
    let values = &field["additionalProperties"];
    match field["type"].as_str().unwrap_or_default() {
        "array" => (format!("list of {}s", shape(items).0), "[]", items),
        "object" if values.is_object() => (format!("map of {}s", shape(values).0), "{}", values),
        _ if !choices.is_empty() => (choices.join(" or "), "", field),
        "string" if field["format"] == "date-time" => ("time".to_owned(), "", field),
        other => (other.to_owned(), "", field),
    }
}

/// The messages of the rules of a field, which say what must hold.
fn rules(field: &Value) -> Vec<String> {
    let rules = field["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten();
    let said = rules.filter_map(|rule| {
        let at = rule["fieldPath"].as_str().unwrap_or_default();
        let at = at.trim_start_matches('.');
        let message = rule["message"].as_str()?;
        Some(if at.is_empty() {
            format!("Rule: {message}.")
        } else {
            format!("Rule for `{at}`: {message}.")
        })
    });
    said.collect()
}

/// A description, with what Markdown would take for markup made harmless.
fn prose(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    let mut out = String::with_capacity(description.len());
    let mut code = false;
    for letter in description
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
    {
        code ^= letter == '`';
        if !code && "*_<>[]".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
