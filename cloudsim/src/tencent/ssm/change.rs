//! SSM: making, changing and deleting secrets.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{is_managed, no_such_secret, no_such_version, unsupported};
use crate::parameter::Place;
use crate::refusal::Refusal;
use crate::tencent::action::Action;
use crate::tencent::call::{Call, invalid, refuse};
use crate::tencent::cam::Principal;
use crate::tencent::seed::{Secret, SecretState, SecretType, Version};
use crate::tencent::store::{CURRENT, Data, MAX_VALUE, MAX_VERSIONS, Stored, is_version_id};

/// How many secrets an account may have in a region.
const MAX_SECRETS: usize = 1000;

/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 2048;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    tag_key: String,
    tag_value: String,
}

/// The cloud's clock.
fn now(call: &Call<'_>) -> Timestamp {
    call.cloud.tencent.now(call.cloud.now())
}

/// Changes a secret that is there and that the caller may do this with.
fn with_mut<T>(
    call: &Call<'_>,
    caller: &Principal,
    place: &Place,
    work: impl FnOnce(&mut Stored) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    call.permit(caller, place)?;
    let mut store = call.cloud.tencent.secrets.write();
    work(store.get_mut(place, now(call)).ok_or_else(no_such_secret)?)
}

/// Exactly one of the two halves of a value.
fn data(call: &Call<'_>) -> Result<Data, Refusal> {
    let fits = |text: &str| text.len() <= MAX_VALUE;
    match (call.text("SecretString")?, call.text("SecretBinary")?) {
        (Some(text), None) if fits(text) => Ok(Data::Text(text.into())),
        (None, Some(bytes)) if fits(bytes) => Ok(Data::Binary(bytes.into())),
        (None, None) => Err(Refusal::missing("SecretString").in_body()),
        (Some(_), Some(_)) => {
            let why = "SecretString and SecretBinary exclude each other";
            Err(invalid("SecretString", why))
        }
        _ => Err(invalid("SecretString", "it has more than 32768 bytes")),
    }
}

fn version_id<'c>(call: &'c Call<'_>) -> Result<&'c str, Refusal> {
    let id = call.require("VersionId")?;
    check_version_id(id).map(|()| id)
}

fn check_version_id(id: &str) -> Result<(), Refusal> {
    if is_version_id(id) {
        return Ok(());
    }
    let why = "it must be 1 to 64 of A-Za-z0-9_.-, the first of them alphanumeric";
    Err(invalid("VersionId", why))
}

/// A custom secret's versions can be written while it is enabled or disabled.
fn check_writable(secret: &Stored) -> Result<(), Refusal> {
    if is_managed(secret) {
        return Err(unsupported());
    }
    match secret.state {
        SecretState::Enabled | SecretState::Disabled => Ok(()),
        other => super::check_readable(other),
    }
}

/// `CreateSecret`: a custom one. The version's name is `SSM_Current` if none is said.
pub(super) fn create_secret(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    let id = call.text("VersionId")?.unwrap_or(CURRENT);
    check_version_id(id)?;
    let data = data(call)?;
    let description = call.text("Description")?.unwrap_or_default();
    if description.len() > MAX_DESCRIPTION {
        return Err(invalid("Description", "it has more than 2048 bytes"));
    }
    if call.number("SecretType", 0..=4, 0)? != 0 {
        return Err(unsupported());
    }
    let tags: Vec<Tag> = match call.value("Tags") {
        None => Vec::new(),
        Some(tags) => serde_json::from_value(tags.clone())
            .map_err(|_| invalid("Tags", "it is not a list of tags"))?,
    };
    let mut all = BTreeMap::new();
    for tag in tags {
        if all.insert(tag.tag_key, tag.tag_value).is_some() {
            let message = "Two tags have the same key.";
            return Err(refuse("InvalidParameterValue.TagKeysDuplicated", message));
        }
    }
    call.permit_all(caller)?;
    let now = now(call);
    let mut store = call.cloud.tencent.secrets.write();
    if store.get(&place, now).is_some() {
        return Err(refuse(
            "ResourceInUse.SecretExists",
            "The secret exists already.",
        ));
    }
    let own = |at: &Place| at.account == place.account && at.region == place.region;
    if store.all(now).filter(|(at, _)| own(at)).count() >= MAX_SECRETS {
        return Err(refuse("LimitExceeded", "There are too many secrets."));
    }
    let (text, binary) = match data {
        Data::Text(text) => (Some(text), None),
        Data::Binary(bytes) => (None, Some(bytes)),
    };
    let secret = Secret {
        name: place.name.clone(),
        kind: SecretType::Custom,
        description: description.to_owned(),
        kms_key: call.text("KmsKeyId")?.map(str::to_owned),
        tags: all,
        versions: vec![Version {
            id: Some(id.to_owned()),
            text,
            binary,
            created: Some(now),
        }],
        ..Secret::default()
    };
    let answer = json!({ "SecretName": place.name, "VersionId": id, "TagCode": 0, "TagMsg": "" });
    store.put(place, secret, now);
    Ok(answer)
}

/// `PutSecretValue`: a new version.
pub(super) fn put_secret_value(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    let (id, data) = (version_id(call)?, data(call)?);
    with_mut(call, caller, &place, |secret| {
        check_writable(secret)?;
        if secret.version(id).is_some() {
            let message = "The version exists already.";
            return Err(refuse("ResourceInUse.VersionIdExists", message));
        }
        if secret.versions.len() >= MAX_VERSIONS {
            return Err(refuse("LimitExceeded", "The secret has ten versions."));
        }
        secret.add(id, data, now(call));
        Ok(json!({ "SecretName": place.name, "VersionId": id }))
    })
}

/// `UpdateSecret`: other data for a version that is there.
pub(super) fn update_secret(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    let (id, data) = (version_id(call)?, data(call)?);
    with_mut(call, caller, &place, |secret| {
        check_writable(secret)?;
        if !secret.replace(id, data) {
            return Err(no_such_version(call));
        }
        Ok(json!({ "SecretName": place.name, "VersionId": id }))
    })
}

/// `DeleteSecretVersion`: at once.
pub(super) fn delete_secret_version(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    let id = version_id(call)?;
    with_mut(call, caller, &place, |secret| {
        check_writable(secret)?;
        if secret.version(id).is_none() {
            return Err(no_such_version(call));
        }
        secret.versions.retain(|version| version.id != id);
        Ok(json!({ "SecretName": place.name, "VersionId": id }))
    })
}

/// `DisableSecret`, `EnableSecret`, and `RestoreSecret`, after which the secret is disabled.
pub(super) fn change_state(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    with_mut(call, caller, &place, |secret| {
        let to = match (call.action, secret.state) {
            (Action::EnableSecret, SecretState::Enabled | SecretState::Disabled) => {
                SecretState::Enabled
            }
            (Action::DisableSecret, SecretState::Enabled | SecretState::Disabled)
            | (Action::RestoreSecret, SecretState::PendingDelete) => SecretState::Disabled,
            (Action::RestoreSecret, _) => {
                return Err(refuse(
                    "FailedOperation",
                    "The secret is not pending deletion.",
                ));
            }
            (_, other) => {
                super::check_readable(other)?;
                other
            }
        };
        secret.set_state(to, None);
        Ok(json!({ "SecretName": place.name }))
    })
}

/// `DeleteSecret`: of a disabled one; at once if it says no days.
pub(super) fn delete_secret(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    let days = call.number("RecoveryWindowInDays", 0..=30, 0)?;
    let at = now(call) + SignedDuration::from_hours(24 * days);
    with_mut(call, caller, &place, |secret| {
        if secret.state == SecretState::PendingDelete {
            return super::check_readable(secret.state);
        }
        if secret.state == SecretState::Enabled {
            let message = "The secret must be disabled before it is deleted.";
            return Err(refuse("FailedOperation", message));
        }
        secret.set_state(SecretState::PendingDelete, Some(at));
        Ok(())
    })?;
    if days == 0 {
        call.cloud.tencent.secrets.write().remove(&place);
    }
    Ok(json!({ "SecretName": place.name, "DeleteTime": at.as_second(), "FlowID": 0 }))
}
