//! What faults do to good answers of KMS.

use serde_json::{Value, json};

use crate::fault::{Effect, Fault};

/// Spoils the entries of a good answer that a fault is about.
pub(crate) fn spoil(body: &mut Value, fault: &Fault) {
    let about = |entry: &Value| {
        let name = entry["SecretName"].as_str();
        name.is_some_and(|name| fault.on.names(name))
    };
    let empty = |entry: &mut Value, absent: bool| {
        if let (true, Some(entry)) = (about(entry), entry.as_object_mut()) {
            if absent {
                entry.remove("SecretData");
            } else if entry.contains_key("SecretData") {
                entry.insert("SecretData".to_owned(), json!(""));
            }
        }
    };
    match (&fault.effect, body.get("SecretValues").is_some()) {
        (Effect::EmptyValue { absent }, false) => empty(body, *absent),
        (Effect::EmptyValue { absent }, true) => {
            let entries = body["SecretValues"].as_array_mut();
            entries
                .into_iter()
                .flatten()
                .for_each(|entry| empty(entry, *absent));
        }
        (Effect::MissingEntry, true) => {
            take(body, about);
        }
        (Effect::EntryError { status, code }, true) => {
            let struck = take(body, about);
            if let Some(errors) = body["Errors"].as_array_mut() {
                errors.extend(struck.iter().map(|entry| {
                    json!({
                        "SecretName": entry["SecretName"],
                        "Code": code,
                        "HttpStatus": status,
                        "Message": "The request was refused by a fault.",
                    })
                }));
            }
        }
        (Effect::MissingEntry, false) if about(body) => *body = json!({}),
        _ => {}
    }
}

/// Takes entries out of the answer to a batch.
fn take(body: &mut Value, about: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut taken = Vec::new();
    for list in ["SecretValues", "Errors"] {
        if let Some(entries) = body[list].as_array_mut() {
            taken.extend(entries.extract_if(.., |entry| about(entry)));
        }
    }
    taken
}
