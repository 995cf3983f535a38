//! OOS Parameter Store 2019-06-01: reading secret parameters.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::account::Principal;
use crate::cloud::Cloud;
use crate::fault::{Effect, Fault};
use crate::parameter::{ParameterStore, Place, is_name};
use crate::permission::{self, Resource};
use crate::refusal::Refusal;
use crate::request::Request;

const BATCH: usize = 10;

/// What a read needs beside the names.
struct Read<'a> {
    cloud: &'a Cloud,
    principal: &'a Principal,
    region: &'a str,
    decrypt: bool,
}

/// `GetSecretParameter`.
pub(crate) fn get_secret_parameter(
    cloud: &Cloud,
    principal: &Principal,
    request: &Request,
) -> Result<Value, Refusal> {
    let read = Read::of(cloud, principal, request)?;
    let name = request.require("Name")?;
    let version = request
        .parameter("ParameterVersion")
        .map(number)
        .transpose()?;
    read.permit("oos:GetSecretParameter", name)?;
    let parameter = read.parameter(&cloud.parameters.read(), name, version);
    parameter
        .map(|parameter| json!({ "Parameter": parameter }))
        .ok_or_else(|| {
            Refusal::new(
                404,
                "EntityNotExists.Parameter",
                "The specified parameter or version does not exist.",
            )
        })
}

/// `GetSecretParameters`: one forbidden name refuses the whole call, a missing one is named in the answer.
///
/// Parameters come in the order of their names, not in the order asked, for the cloud promises none.
pub(crate) fn get_secret_parameters(
    cloud: &Cloud,
    principal: &Principal,
    request: &Request,
) -> Result<Value, Refusal> {
    let read = Read::of(cloud, principal, request)?;
    let names = request.require("Names")?;
    let names: Vec<String> = serde_json::from_str(names)
        .map_err(|_| Refusal::invalid("Names", "it is not a JSON array of strings"))?;
    let distinct: BTreeSet<&String> = names.iter().collect();
    if distinct.is_empty() || distinct.len() != names.len() || names.len() > BATCH {
        return Err(Refusal::invalid(
            "Names",
            "it must hold 1 to 10 distinct names",
        ));
    }
    for name in &distinct {
        read.permit("oos:GetSecretParameters", name)?;
    }
    let store = cloud.parameters.read();
    let (mut parameters, mut missing) = (Vec::new(), Vec::new());
    for name in distinct {
        match read.parameter(&store, name, None) {
            Some(parameter) => parameters.push(parameter),
            None => missing.push(name),
        }
    }
    Ok(json!({ "Parameters": parameters, "InvalidParameters": missing }))
}

/// Spoils the entries of a good answer that a fault is about.
pub(crate) fn spoil(body: &mut Value, fault: &Fault) {
    let about = |entry: &Value| {
        entry["Name"]
            .as_str()
            .is_some_and(|name| fault.on.names(name))
    };
    let Some(body) = body.as_object_mut() else {
        return;
    };
    if fault.effect == Effect::MissingEntry {
        if body.get("Parameter").is_some_and(about) {
            body.remove("Parameter");
        }
        if let Some(Value::Array(entries)) = body.get_mut("Parameters") {
            entries.retain(|entry| !about(entry));
        }
        if let Some(Value::Array(missing)) = body.get_mut("InvalidParameters") {
            missing.retain(|name| !name.as_str().is_some_and(|name| fault.on.names(name)));
        }
        return;
    }
    let Effect::EmptyValue { absent } = fault.effect else {
        return;
    };
    let empty = |entry: &mut Value| {
        if let (true, Some(entry)) = (about(entry), entry.as_object_mut()) {
            if absent {
                entry.remove("Value");
            } else {
                entry.insert("Value".to_owned(), json!(""));
            }
        }
    };
    if let Some(entry) = body.get_mut("Parameter") {
        empty(entry);
    }
    if let Some(Value::Array(entries)) = body.get_mut("Parameters") {
        entries.iter_mut().for_each(empty);
    }
}

// === impl Read ===

impl<'a> Read<'a> {
    fn of(
        cloud: &'a Cloud,
        principal: &'a Principal,
        request: &'a Request,
    ) -> Result<Self, Refusal> {
        let decrypt = match request.parameter("WithDecryption") {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => {
                return Err(Refusal::invalid(
                    "WithDecryption",
                    "it is neither true nor false",
                ));
            }
        };
        let region = cloud.region_of(request);
        Ok(Self {
            cloud,
            principal,
            region,
            decrypt,
        })
    }

    /// OOS keeps secrets in KMS, so reading one takes a permission of each service.
    fn permit(&self, action: &str, name: &str) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(Refusal::invalid(
                "Name",
                "it must have 1 to 180 of the characters A-Za-z0-9-_/",
            ));
        }
        let registry = self.cloud.registry.read();
        let (region, account) = (self.region, &self.principal.account);
        for (action, resource) in [
            (
                action,
                Resource::new("oos", region, account, "secretparameter", name),
            ),
            (
                "kms:GetSecretValue",
                Resource::new("kms", region, account, "secret", name),
            ),
        ] {
            if !registry.permits(self.principal, action, &resource) {
                return Err(permission::denied(self.principal, action));
            }
        }
        Ok(())
    }

    fn parameter(
        &self,
        store: &ParameterStore,
        name: &str,
        version: Option<usize>,
    ) -> Option<Value> {
        let place = Place {
            account: self.principal.account.clone(),
            region: self.region.to_owned(),
            name: name.to_owned(),
        };
        let parameter = store.get(&place)?;
        let (_, first) = parameter.version(Some(1))?;
        let (number, version) = parameter.version(version)?;
        let mut entry = Map::new();
        entry.insert("Id".to_owned(), json!(parameter.id));
        entry.insert("Name".to_owned(), json!(name));
        entry.insert("Type".to_owned(), json!("Secret"));
        if self.decrypt {
            entry.insert("Value".to_owned(), json!(version.value.reveal()));
        }
        entry.insert("ParameterVersion".to_owned(), json!(number));
        entry.insert("CreatedDate".to_owned(), json!(date(first.created)));
        entry.insert("UpdatedDate".to_owned(), json!(date(version.created)));
        entry.insert("CreatedBy".to_owned(), json!("root(cloudsim)"));
        entry.insert("UpdatedBy".to_owned(), json!("root(cloudsim)"));
        entry.insert("Description".to_owned(), json!(parameter.description));
        entry.insert("ShareType".to_owned(), json!("Private"));
        entry.insert("Tags".to_owned(), json!({}));
        Some(Value::Object(entry))
    }
}

fn number(text: &str) -> Result<usize, Refusal> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=200).contains(number));
    number.ok_or_else(|| {
        Refusal::invalid("ParameterVersion", "it is not an integer between 1 and 200")
    })
}

/// A time as the cloud writes it: whole seconds.
pub(crate) fn date(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
