//! OOS Parameter Store 2019-06-01: reading parameters, secret and plain, by name.

use std::collections::BTreeSet;
use std::sync::RwLockReadGuard;

use serde_json::{Map, Value, json};

use crate::account::Principal;
use crate::cloud::Cloud;
use crate::fault::{Effect, Fault};
use crate::parameter::{ParameterStore, Place, StoredParameter, is_name};
use crate::permission::{self, Resource};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::service::Action;

mod path;

const BATCH: usize = 10;

/// What a read needs beside the names.
struct Read<'a> {
    cloud: &'a Cloud,
    principal: &'a Principal,
    region: &'a str,
    kind: Kind,
    decrypt: bool,
}

/// The two kinds of parameters, which know nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    Plain,
}

/// Does one of the actions.
pub(crate) fn perform(
    action: Action,
    cloud: &Cloud,
    principal: &Principal,
    request: &Request,
) -> Result<Value, Refusal> {
    let kind = match action {
        Action::GetParameter
        | Action::GetParameters
        | Action::GetParametersByPath
        | Action::ListParameters => Kind::Plain,
        _ => Kind::Secret,
    };
    let read = Read::of(cloud, principal, request, kind)?;
    let permission = format!("oos:{}", action.name());
    match action {
        Action::GetSecretParameter | Action::GetParameter => one(&read, request, &permission),
        Action::GetSecretParameters | Action::GetParameters => several(&read, request, &permission),
        Action::GetSecretParametersByPath | Action::GetParametersByPath => {
            path::by_path(&read, request, &permission)
        }
        Action::ListSecretParameters | Action::ListParameters => {
            path::list(&read, request, &permission)
        }
        _ => Err(Refusal::no_such_action()),
    }
}

/// `GetSecretParameter` and `GetParameter`.
fn one(read: &Read<'_>, request: &Request, permission: &str) -> Result<Value, Refusal> {
    let name = request.require("Name")?;
    let version = request
        .parameter("ParameterVersion")
        .map(number)
        .transpose()?;
    read.permit(permission, name)?;
    let parameter = read.parameter(&read.store(), name, version);
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

/// `GetSecretParameters` and `GetParameters`: one forbidden name refuses the whole call, a missing one is named in the answer.
///
/// Parameters come in the order of their names, not in the order asked, for the cloud promises none.
fn several(read: &Read<'_>, request: &Request, permission: &str) -> Result<Value, Refusal> {
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
        read.permit(permission, name)?;
    }
    let store = read.store();
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
        kind: Kind,
    ) -> Result<Self, Refusal> {
        let decrypt = kind == Kind::Plain || flag("WithDecryption", request)?;
        let region = cloud.region_of(request);
        Ok(Self {
            cloud,
            principal,
            region,
            kind,
            decrypt,
        })
    }

    fn store(&self) -> RwLockReadGuard<'_, ParameterStore> {
        match self.kind {
            Kind::Secret => self.cloud.parameters.read(),
            Kind::Plain => self.cloud.plain_parameters.read(),
        }
    }

    /// Judges the name, and the permission for it.
    fn permit(&self, action: &str, name: &str) -> Result<(), Refusal> {
        if !is_name(name) {
            return Err(Refusal::invalid(
                "Name",
                "it must have 1 to 180 of the characters A-Za-z0-9-_/",
            ));
        }
        self.permit_any(action, name)
    }

    /// OOS keeps secrets in KMS, so reading one takes a permission of each service.
    fn permit_any(&self, action: &str, name: &str) -> Result<(), Refusal> {
        let registry = self.cloud.registry.read();
        let resource = |service, kind| {
            let account = &self.principal.account;
            Resource::new(service, self.region, account, kind, name)
        };
        let needed = match self.kind {
            Kind::Plain => vec![(action, resource("oos", "parameter"))],
            Kind::Secret if action.starts_with("oos:List") => {
                vec![(action, resource("oos", "secretparameter"))]
            }
            Kind::Secret => vec![
                (action, resource("oos", "secretparameter")),
                ("kms:GetSecretValue", kept(self, name)),
            ],
        };
        for (action, resource) in needed {
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
        let parameter = store.get(&self.place(name))?;
        self.entry(name, parameter, version)
    }

    fn place(&self, name: &str) -> Place {
        Place {
            account: self.principal.account.clone(),
            region: self.region.to_owned(),
            name: name.to_owned(),
        }
    }

    fn entry(
        &self,
        name: &str,
        parameter: &StoredParameter,
        version: Option<usize>,
    ) -> Option<Value> {
        let (_, first) = parameter.version(Some(1))?;
        let (number, version) = parameter.version(version)?;
        let type_name = match self.kind {
            Kind::Secret => "Secret",
            Kind::Plain => parameter.about.kind.name(),
        };
        let mut entry = Map::new();
        entry.insert("Id".to_owned(), json!(parameter.id));
        entry.insert("Name".to_owned(), json!(name));
        entry.insert("Type".to_owned(), json!(type_name));
        if self.decrypt {
            entry.insert("Value".to_owned(), json!(version.value.reveal()));
        }
        entry.insert("ParameterVersion".to_owned(), json!(number));
        entry.insert("CreatedDate".to_owned(), json!(date(first.created)));
        entry.insert("UpdatedDate".to_owned(), json!(date(version.created)));
        entry.insert("CreatedBy".to_owned(), json!("root(cloudsim)"));
        entry.insert("UpdatedBy".to_owned(), json!("root(cloudsim)"));
        entry.insert(
            "Description".to_owned(),
            json!(parameter.about.description.as_deref().unwrap_or_default()),
        );
        entry.insert("ShareType".to_owned(), json!("Private"));
        entry.insert("Tags".to_owned(), json!(parameter.about.tags));
        Some(Value::Object(entry))
    }
}

/// The secret of KMS that a parameter is kept as: one under `oos/`. Rules may call it by the
/// parameter's own name.
fn kept(read: &Read<'_>, name: &str) -> Resource {
    let secret = format!("oos/{name}");
    let account = &read.principal.account;
    Resource::new("kms", read.region, account, "secret", &secret).called(name.to_owned())
}

fn flag(name: &str, request: &Request) -> Result<bool, Refusal> {
    match request.parameter(name) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Refusal::invalid(name, "it is neither true nor false")),
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
