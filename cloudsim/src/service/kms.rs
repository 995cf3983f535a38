//! KMS 2016-01-20, Secrets Manager: reading values.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::parameter::Place;
use crate::permission::Resource;
use crate::quota;
use crate::refusal::Refusal;
use crate::secret::{CURRENT, SecretStore, StoredKey, StoredSecret, StoredVersion};
use crate::seed::{Batch, KeyState};
use crate::service::Action;
use crate::service::oos::date;

mod call;
mod catalog;
mod change;
mod spoil;

pub(crate) use call::Call;
use call::{check_alive, flag, not_found, resource};
pub(crate) use spoil::spoil;

const BATCH: usize = 20;

/// One secret that is asked for, as an entry of `SecretsList` says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(rename = "SecretName")]
    name: String,
    #[serde(rename = "VersionStage")]
    stage: Option<String>,
    #[serde(rename = "VersionId")]
    version: Option<String>,
    #[serde(rename = "FetchExtendedConfig")]
    extended: Option<String>,
}

/// Does one of the actions, if its quota is not used up.
pub(crate) fn perform(action: Action, call: &Call<'_>) -> Result<Value, Refusal> {
    call.throttle(match action {
        Action::GetSecretValue | Action::BatchGetSecretValue => quota::Kind::Read,
        Action::CreateSecret | Action::DeleteSecret => quota::Kind::Write,
        _ => quota::Kind::List,
    })?;
    match action {
        Action::GetSecretValue => get_secret_value(call),
        Action::BatchGetSecretValue => batch_get_secret_value(call),
        Action::ListSecrets => catalog::list_secrets(call),
        Action::DescribeSecret => catalog::describe_secret(call),
        Action::ListSecretVersionIds => catalog::list_secret_version_ids(call),
        Action::CreateSecret => change::create_secret(call),
        Action::PutSecretValue => change::put_secret_value(call),
        Action::UpdateSecretVersionStage => change::update_secret_version_stage(call),
        Action::DeleteSecret => change::delete_secret(call),
        Action::RestoreSecret => change::restore_secret(call),
        _ => Err(Refusal::no_such_action()),
    }
}

/// `GetSecretValue`.
fn get_secret_value(call: &Call<'_>) -> Result<Value, Refusal> {
    let text = |name| call.request.parameter(name).map(str::to_owned);
    let asked = Asked {
        name: call.request.require("SecretName")?.to_owned(),
        stage: text("VersionStage"),
        version: text("VersionId"),
        extended: text("FetchExtendedConfig"),
    };
    let dry = flag("DryRun", call.request.parameter("DryRun"))?;
    let value = call.value(&call.cloud.secrets.read(), &asked, &["kms:GetSecretValue"])?;
    if dry {
        return Err(Refusal::new(
            400,
            "DryRunOperationError",
            "The request would have succeeded, but the DryRun parameter is set.",
        ));
    }
    Ok(value)
}

/// `BatchGetSecretValue`: what goes wrong with one name is said of that name, and the call succeeds.
///
/// Values come in the order of their names, not in the order asked, for the cloud promises none.
fn batch_get_secret_value(call: &Call<'_>) -> Result<Value, Refusal> {
    call.check_batch()?;
    let list = call.request.require("SecretsList")?;
    let mut list: Vec<Asked> = serde_json::from_str(list)
        .map_err(|_| Refusal::invalid("SecretsList", "it is not a JSON array of secrets"))?;
    let distinct: BTreeSet<&String> = list.iter().map(|asked| &asked.name).collect();
    if distinct.is_empty() || distinct.len() != list.len() || list.len() > BATCH {
        let why = "it must hold 1 to 20 distinct secrets";
        return Err(Refusal::invalid("SecretsList", why));
    }
    let action = "kms:BatchGetSecretValue";
    let may = |asked: &Asked| {
        let place = call.place(&asked.name);
        place.is_ok_and(|place| call.permits(action, &resource(&place)))
    };
    if !list.iter().any(may) {
        return Err(call.denied(action));
    }
    list.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let store = call.cloud.secrets.read();
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for asked in &list {
        match call.value(&store, asked, &[action, "kms:GetSecretValue"]) {
            Ok(value) => values.push(value),
            Err(refusal) => errors.push(json!({
                "SecretName": asked.name,
                "Code": refusal.code,
                "HttpStatus": refusal.status,
                "Message": refusal.message,
            })),
        }
    }
    Ok(json!({ "SecretValues": values, "Errors": errors }))
}

/// Which version is asked for. A managed secret has no versions that a caller could choose.
fn choose<'a>(secret: &'a StoredSecret, asked: &Asked) -> Result<&'a StoredVersion, Refusal> {
    let id = asked
        .version
        .as_ref()
        .filter(|_| !secret.kind().is_managed());
    let Some(id) = id else {
        let stage = asked.stage.as_deref().unwrap_or(CURRENT);
        return secret.staged(stage).ok_or_else(not_found);
    };
    let version = secret.version(id).ok_or_else(not_found)?;
    match &asked.stage {
        Some(stage) if !version.stages.contains(stage) => Err(Refusal::invalid(
            "VersionStage",
            "the version of VersionId does not have it",
        )),
        _ => Ok(version),
    }
}

// === impl Call ===

impl Call<'_> {
    fn check_batch(&self) -> Result<(), Refusal> {
        let kms = self.cloud.kms.read();
        let refuse = |status, code: &'static str| {
            Err(Refusal::new(status, code, "Specified api is not found."))
        };
        match if self.request.instance {
            kms.instance_batch
        } else {
            kms.batch
        } {
            Batch::On => Ok(()),
            Batch::ApiNotFound => refuse(404, "InvalidApi.NotFound"),
            Batch::ActionNotFound => refuse(404, "InvalidAction.NotFound"),
            Batch::Unsupported => refuse(400, "UnsupportedOperation"),
        }
    }

    /// The entry of one secret, as both ways of reading answer it.
    fn value(
        &self,
        store: &SecretStore,
        asked: &Asked,
        actions: &[&str],
    ) -> Result<Value, Refusal> {
        let extended = flag("FetchExtendedConfig", asked.extended.as_deref())?;
        let place = self.place(&asked.name)?;
        let secret = self.shared(store, &place, actions)?;
        check_alive(secret)?;
        self.check_instance(secret)?;
        let version = choose(secret, asked)?;
        self.check_key(store, secret, &place)?;
        let bare = self.cloud.kms.read().bare_names;
        let name = if bare { &place.name } else { &asked.name };
        let mut entry = Map::new();
        entry.insert("SecretName".to_owned(), json!(name));
        entry.insert("SecretType".to_owned(), json!(secret.kind().name()));
        entry.insert("SecretData".to_owned(), json!(version.data.reveal()));
        entry.insert("SecretDataType".to_owned(), json!(version.data_type.name()));
        entry.insert("VersionId".to_owned(), json!(version.id));
        entry.insert(
            "VersionStages".to_owned(),
            json!({ "VersionStage": version.stages }),
        );
        entry.insert("CreateTime".to_owned(), json!(date(version.created)));
        rotation(secret, &mut entry);
        if let (true, Some(config)) = (extended, &secret.about.extended_config) {
            entry.insert("ExtendedConfig".to_owned(), json!(config.to_string()));
        }
        Ok(Value::Object(entry))
    }

    /// A dedicated instance serves no secret of another instance.
    fn check_instance(&self, secret: &StoredSecret) -> Result<(), Refusal> {
        let of = secret.about.instance.as_deref();
        let instance = self.cloud.instance.as_ref();
        let instance = instance.and_then(|instance| instance.host.split('.').next());
        if self.request.instance && of.is_some() && of != instance {
            return Err(not_found());
        }
        Ok(())
    }

    fn check_key(
        &self,
        store: &SecretStore,
        secret: &StoredSecret,
        place: &Place,
    ) -> Result<(), Refusal> {
        let Some(id) = &secret.about.encryption_key else {
            return Ok(());
        };
        let key = Resource::new("kms", &place.region, &place.account, "key", id)
            .called(format!("key/{id}"));
        if !self.permits("kms:Decrypt", &key) {
            return Err(self.denied("kms:Decrypt"));
        }
        let refuse = |code: &'static str, what: &str| {
            Err(Refusal::new(409, code, format!("The key {what}.")))
        };
        let stored = store.key(&place.account, id);
        let account = &self.caller.account;
        let shut = |key: &StoredKey| {
            !key.policy
                .admits(&self.caller.arn(), account, "kms:Decrypt")
        };
        if place.account != *account && stored.is_some_and(shut) {
            return Err(self.denied("kms:Decrypt"));
        }
        match stored.map(|key| key.state) {
            Some(KeyState::Enabled) => Ok(()),
            Some(KeyState::Disabled) => refuse("Rejected.Disabled", "is disabled"),
            Some(KeyState::PendingDeletion) => {
                refuse("Rejected.PendingDeletion", "is pending deletion")
            }
            Some(KeyState::PendingImport) => refuse(
                "Rejected.PendingImport",
                "is pending the import of its material",
            ),
            None => Err(Refusal::new(
                404,
                "Forbidden.KeyNotFound",
                "The specified Key is not found.",
            )),
        }
    }
}

/// What is said of the rotation of a managed secret.
fn rotation(secret: &StoredSecret, entry: &mut Map<String, Value>) {
    if !secret.kind().is_managed() {
        return;
    }
    let rotation = secret.about.rotation.as_ref();
    let automatic = rotation.map_or("Disabled", |rotation| &rotation.automatic);
    entry.insert("AutomaticRotation".to_owned(), json!(automatic));
    if let Some(interval) = rotation.and_then(|rotation| rotation.interval) {
        let interval = format!("{}s", interval.as_secs());
        entry.insert("RotationInterval".to_owned(), json!(interval));
    }
    let dates = [
        ("LastRotationDate", secret.last_rotation),
        ("NextRotationDate", secret.next_rotation()),
    ];
    for (name, at) in dates {
        if let Some(at) = at {
            entry.insert(name.to_owned(), json!(date(at)));
        }
    }
}
