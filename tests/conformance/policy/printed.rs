//! What the pages print, and what is left of a policy without one of its parts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::pages::{self, Page};

/// All pages that print policies.
pub fn pages() -> BTreeSet<String> {
    let pages = pages::all().into_iter().map(|page| page.path);
    pages.filter(|page| !all(page).is_empty()).collect()
}

/// The policies that a page prints, in its order.
pub fn all(page: &str) -> Vec<Value> {
    let page = Page::read(page);
    let json = page.printed("json").into_iter();
    let documents = json.map(|json| serde_json::from_str::<Value>(json).unwrap());
    let is_policy = |document: &Value| is_cam(document) || document.get("Statement").is_some();
    documents.filter(is_policy).collect()
}

/// The JSON that a page prints. There must be exactly as much as the test has names for.
pub fn documents<const N: usize>(page: &str) -> [Value; N] {
    let all = all(page);
    let printed = all.len();
    all.try_into()
        .unwrap_or_else(|_| panic!("{page} prints {printed} policies, not {N}"))
}

/// Whether `document` is one of Tencent's CAM, whose words are those of Alibaba's RAM in lower case.
pub fn is_cam(document: &Value) -> bool {
    document.get("statement").is_some()
}

/// A word of policies as `document` writes it.
fn word(document: &Value, word: &str) -> String {
    if is_cam(document) {
        word.to_lowercase()
    } else {
        word.to_owned()
    }
}

/// The actions, and the resources of policies that say whose they are not.
pub fn allowed(document: &Value) -> Vec<String> {
    let with_principal = |at: &str| {
        let statement: Vec<&str> = at.split('/').take(3).collect();
        let principal = format!("{}/{}", statement.join("/"), word(document, "Principal"));
        document.pointer(&principal).is_some()
    };
    let about = |(at, _): &(String, String)| {
        let [action, resource] = ["Action", "Resource"].map(|name| word(document, name));
        at.contains(&format!("/{action}"))
            || (at.contains(&format!("/{resource}")) && !with_principal(at))
    };
    let leaves = leaves(document).into_iter().filter(about);
    leaves.map(|(_, text)| text).collect()
}

/// A policy without one of its parts.
pub struct Without {
    /// The part.
    pub part: String,
    /// What is left; nothing where it was the only statement.
    pub document: Option<Value>,
}

/// `document` without each statement, and each of several actions, resources, principals or values of
/// a condition. A part that is the only one of its kind goes with its statement.
pub fn weakened(document: &Value) -> Vec<Without> {
    let mut all = Vec::new();
    let several = statements(document).len() > 1;
    for (i, statement) in statements(document).iter().enumerate() {
        let mut left = document.clone();
        let list = &mut left[word(document, "Statement")];
        list.as_array_mut().unwrap().remove(i);
        all.push(Without {
            part: statement.to_string(),
            document: several.then_some(left),
        });
    }
    for (at, value) in leaves(document) {
        let (list, index) = at.rsplit_once('/').unwrap();
        let Some(Value::Array(values)) = document.pointer(list) else {
            continue;
        };
        if values.len() < 2 {
            continue;
        }
        let mut left = document.clone();
        let values = left.pointer_mut(list).unwrap().as_array_mut().unwrap();
        values.remove(index.parse().unwrap());
        all.push(Without {
            part: value,
            document: Some(left),
        });
    }
    assert!(!all.is_empty());
    all
}

/// `document` with each principal and each value of a condition changed into another.
pub fn changed(document: &Value) -> Vec<(String, Value)> {
    let leaves = leaves(document).into_iter();
    let parts = ["Principal", "Condition"].map(|name| format!("/{}/", word(document, name)));
    let named = leaves.filter(|(at, _)| parts.iter().any(|part| at.contains(part)));
    let changed = named.map(|(at, value)| {
        let mut other = document.clone();
        *other.pointer_mut(&at).unwrap() = json!(format!("{value}x"));
        (value, other)
    });
    changed.collect()
}

/// `document` without each of its conditions, by the condition's key.
pub fn unconditional(document: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (i, statement) in statements(document).iter().enumerate() {
        let (all_statements, condition) =
            (word(document, "Statement"), word(document, "Condition"));
        let operators = statement.get(&condition).and_then(Value::as_object);
        let operators = operators.into_iter().flatten();
        for (operator, keys) in operators {
            for key in keys.as_object().unwrap().keys() {
                let mut left = document.clone();
                let keys = &mut left[&all_statements][i][&condition][operator];
                keys.as_object_mut().unwrap().remove(key);
                all.push((key.clone(), left));
            }
        }
    }
    all
}

fn statements(document: &Value) -> &[Value] {
    document[word(document, "Statement")].as_array().unwrap()
}

/// All texts of the statements but their effects, each with the pointer to it.
fn leaves(document: &Value) -> Vec<(String, String)> {
    fn add(at: &str, value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::String(text) => found.push((at.to_owned(), text.clone())),
            Value::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    add(&format!("{at}/{i}"), value, found);
                }
            }
            Value::Object(fields) => {
                let effects = ["Effect", "effect"];
                for (name, value) in fields
                    .iter()
                    .filter(|(name, _)| !effects.contains(&&***name))
                {
                    add(&format!("{at}/{name}"), value, found);
                }
            }
            other => panic!("{at} is {other}"),
        }
    }
    let mut found = Vec::new();
    let all = word(document, "Statement");
    add(&format!("/{all}"), &document[&all], &mut found);
    found
}
