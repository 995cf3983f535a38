//! KMS: making, changing and deleting secrets.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hidden::Hidden;
use crate::parameter::Place;
use crate::refusal::Refusal;
use crate::secret::{self, CURRENT, MAX_DATA, is_version_id};
use crate::seed::{DataType, Secret, SecretType, SecretVersion};
use crate::service::kms::call::{Call, check_alive, flag, not_found};
use crate::service::oos::date;

const STAGES: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    #[serde(rename = "TagKey")]
    key: String,
    #[serde(rename = "TagValue", default)]
    value: String,
}

/// `CreateSecret`: of generic secrets only, for a managed one takes what is managed, too.
pub(super) fn create_secret(call: &Call<'_>) -> Result<Value, Refusal> {
    let place = call.own_place()?;
    let id = version_id(call)?;
    let data_type = data_type(call)?;
    let data = data(call, data_type)?;
    let text = |name| call.request.parameter(name).map(str::to_owned);
    let kind = text("SecretType").unwrap_or_else(|| "Generic".to_owned());
    if kind != SecretType::Generic.name() {
        return Err(unsupported());
    }
    let tags: Vec<Tag> = list(call, "Tags")?.unwrap_or_default();
    call.permit("kms:CreateSecret", &place)?;
    let now = call.cloud.now();
    let mut store = call.cloud.secrets.write();
    match store.get(&place, now).map(|secret| secret.planned_delete) {
        None => {}
        Some(None) => return Err(exists()),
        Some(Some(_)) => {
            return Err(Refusal::new(
                409,
                "Rejected.ResourceInDeleteWindow",
                "The secret is in its deletion window.",
            ));
        }
    }
    let version = SecretVersion {
        id: Some(id.clone()),
        data,
        data_type: None,
        stages: None,
    };
    let secret = Secret {
        name: place.name.clone(),
        description: text("Description"),
        encryption_key: text("EncryptionKeyId"),
        instance: text("DKMSInstanceId"),
        tags: tags
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect::<BTreeMap<_, _>>(),
        data_type,
        versions: vec![version],
        ..Secret::default()
    };
    let answer = json!({
        "Arn": secret::arn(&place),
        "SecretName": place.name,
        "SecretType": kind,
        "VersionId": id,
        "EncryptionKeyId": secret.encryption_key.clone().unwrap_or_default(),
        "DKMSInstanceId": secret.instance.clone().unwrap_or_default(),
    });
    store.put(place, secret, now);
    Ok(answer)
}

/// `PutSecretValue`: the same version with the same data is no error, with other data it is.
pub(super) fn put_secret_value(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.request.require("SecretName")?;
    let place = call.place(name)?;
    let id = version_id(call)?;
    let data_type = data_type(call)?;
    let data = data(call, data_type)?;
    let stages: Option<Vec<String>> = list(call, "VersionStages")?;
    let stages = stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
    if stages.is_empty() || stages.len() > STAGES {
        let why = "it must hold 1 to 8 stages";
        return Err(Refusal::invalid("VersionStages", why));
    }
    let now = call.cloud.now();
    let mut store = call.cloud.secrets.write();
    call.shared(&store, &place, &["kms:PutSecretValue"])?;
    let secret = store.get_mut(&place, now).ok_or_else(not_found)?;
    check_alive(secret)?;
    if secret.kind().is_managed() {
        return Err(unsupported());
    }
    match secret.version(&id) {
        Some(version) if version.data == data && version.data_type == data_type => {}
        Some(_) => return Err(exists()),
        None => {
            secret.add(Some(id.clone()), data, Some(data_type), &stages, now);
        }
    }
    let stages = secret.version(&id).map(|version| version.stages.clone());
    Ok(json!({
        "SecretName": name,
        "VersionId": id,
        "VersionStages": { "VersionStage": stages },
    }))
}

/// `UpdateSecretVersionStage`.
pub(super) fn update_secret_version_stage(call: &Call<'_>) -> Result<Value, Refusal> {
    let place = call.own_place()?;
    let stage = call.request.require("VersionStage")?;
    let from = call.request.parameter("RemoveFromVersion");
    let to = call.request.parameter("MoveToVersion");
    if from.is_none() && to.is_none() {
        return Err(Refusal::missing("MoveToVersion"));
    }
    call.permit("kms:UpdateSecretVersionStage", &place)?;
    let mut store = call.cloud.secrets.write();
    let secret = store
        .get_mut(&place, call.cloud.now())
        .ok_or_else(not_found)?;
    check_alive(secret)?;
    if secret.kind().is_managed() {
        return Err(unsupported());
    }
    if to.is_some_and(|to| secret.version(to).is_none()) {
        return Err(not_found());
    }
    let holder = secret.staged(stage).map(|version| version.id.as_str());
    if from.is_some() && from != holder {
        let why = "the version does not have the stage";
        return Err(Refusal::invalid("RemoveFromVersion", why));
    }
    if to.is_none() && stage == CURRENT {
        let why = "ACSCurrent can be moved, and not removed";
        return Err(Refusal::invalid("VersionStage", why));
    }
    secret.move_stage(stage, to);
    Ok(json!({ "SecretName": place.name }))
}

/// `DeleteSecret`: after 30 days, or as it says.
pub(super) fn delete_secret(call: &Call<'_>) -> Result<Value, Refusal> {
    let place = call.own_place()?;
    let text = call.request.parameter("ForceDeleteWithoutRecovery");
    let force = flag("ForceDeleteWithoutRecovery", text)?;
    let days = match call.request.parameter("RecoveryWindowInDays") {
        None => 30,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (7..=30).contains(days) && !force)
            .ok_or_else(|| {
                let why = "it must be 7 to 30, and absent where deletion is forced";
                Refusal::invalid("RecoveryWindowInDays", why)
            })?,
    };
    call.permit("kms:DeleteSecret", &place)?;
    let recovery = (!force).then(|| SignedDuration::from_hours(24 * days));
    let mut store = call.cloud.secrets.write();
    let at = store.delete(&place, recovery, call.cloud.now());
    let at = at.ok_or_else(not_found)?;
    Ok(json!({ "SecretName": place.name, "PlannedDeleteTime": date(at) }))
}

/// `RestoreSecret`.
pub(super) fn restore_secret(call: &Call<'_>) -> Result<Value, Refusal> {
    let place = call.own_place()?;
    call.permit("kms:RestoreSecret", &place)?;
    restore(call, &place)?;
    Ok(json!({ "SecretName": place.name }))
}

fn restore(call: &Call<'_>, place: &Place) -> Result<(), Refusal> {
    let mut store = call.cloud.secrets.write();
    let secret = store
        .get_mut(place, call.cloud.now())
        .ok_or_else(not_found)?;
    secret.planned_delete = None;
    Ok(())
}

fn version_id(call: &Call<'_>) -> Result<String, Refusal> {
    let id = call.request.require("VersionId")?;
    if is_version_id(id) {
        return Ok(id.to_owned());
    }
    Err(Refusal::invalid(
        "VersionId",
        "it must have 1 to 64 characters",
    ))
}

fn data_type(call: &Call<'_>) -> Result<DataType, Refusal> {
    match call.request.parameter("SecretDataType") {
        None | Some("text") => Ok(DataType::Text),
        Some("binary") => Ok(DataType::Binary),
        Some(_) => Err(Refusal::invalid(
            "SecretDataType",
            "it is neither text nor binary",
        )),
    }
}

/// The data, whose length is checked and, as in the cloud, not whether binary data is base64.
fn data(call: &Call<'_>, data_type: DataType) -> Result<Hidden, Refusal> {
    let data = Hidden::from(call.request.require("SecretData")?);
    if data_type.fits(&data) {
        return Ok(data);
    }
    let why = format!("it must have 1 to {MAX_DATA} bytes");
    Err(Refusal::invalid("SecretData", &why))
}

fn list<T: for<'de> Deserialize<'de>>(
    call: &Call<'_>,
    name: &str,
) -> Result<Option<Vec<T>>, Refusal> {
    let Some(text) = call.request.parameter(name) else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|_| Refusal::invalid(name, "it is not such a JSON array"))
}

fn exists() -> Refusal {
    Refusal::new(
        409,
        "Rejected.ResourceExist",
        "The secret or this version of it exists already.",
    )
}

fn unsupported() -> Refusal {
    Refusal::new(
        400,
        "UnsupportedOperation",
        "This operation is not supported for managed secrets.",
    )
}
