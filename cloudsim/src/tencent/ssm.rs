//! SSM 2019-09-23: reading values.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::parameter::Place;
use crate::refusal::Refusal;
use crate::tencent::action::Action;
use crate::tencent::call::{Call, invalid, refuse};
use crate::tencent::cam::Principal;
use crate::tencent::seed::{KeyEncoding, SecretState, SecretType, UnknownVersion};
use crate::tencent::store::{CURRENT, Stored};

mod catalog;
mod change;

/// Does one of the actions.
pub(super) fn perform(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    if call.action != Action::GetServiceStatus && !call.cloud.tencent.settings.read().purchased {
        return Err(refuse(
            "ResourceUnavailable.NotPurchased",
            "The service has not been purchased.",
        ));
    }
    match call.action {
        Action::GetSecretValue => get_secret_value(call, caller),
        Action::GetSshKeyPairValue => get_ssh_key_pair_value(call, caller),
        Action::DescribeSecret => catalog::describe_secret(call, caller),
        Action::ListSecretVersionIds => catalog::list_secret_version_ids(call, caller),
        Action::ListSecrets => catalog::list_secrets(call, caller),
        Action::GetServiceStatus => catalog::get_service_status(call, caller),
        Action::CreateSecret => change::create_secret(call, caller),
        Action::PutSecretValue => change::put_secret_value(call, caller),
        Action::UpdateSecret => change::update_secret(call, caller),
        Action::DeleteSecretVersion => change::delete_secret_version(call, caller),
        Action::DisableSecret | Action::EnableSecret | Action::RestoreSecret => {
            change::change_state(call, caller)
        }
        Action::DeleteSecret => change::delete_secret(call, caller),
        _ => Err(refuse("InvalidAction", "The action does not exist.")),
    }
}

/// Does something with a secret that is there and that the caller may do this with.
fn with<T>(
    call: &Call<'_>,
    caller: &Principal,
    place: &Place,
    work: impl FnOnce(&Stored) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    call.permit(caller, place)?;
    let store = call.cloud.tencent.secrets.read();
    let now = call.cloud.tencent.now(call.cloud.now());
    work(store.get(place, now).ok_or_else(no_such_secret)?)
}

fn no_such_secret() -> Refusal {
    refuse(
        "ResourceNotFound.SecretNotExist",
        "The secret does not exist.",
    )
}

fn no_such_version(call: &Call<'_>) -> Refusal {
    match call.cloud.tencent.settings.read().unknown_version {
        UnknownVersion::ResourceNotFound => {
            refuse("ResourceNotFound", "The version does not exist.")
        }
        UnknownVersion::InvalidParameterValue => invalid("VersionId", "there is no such version"),
    }
}

/// The action does not go with the type of the secret.
fn unsupported() -> Refusal {
    refuse(
        "UnsupportedOperation",
        "The operation is not supported for a secret of this type.",
    )
}

/// Refuses a secret that has no plaintext now.
fn check_readable(state: SecretState) -> Result<(), Refusal> {
    let (what, message) = match state {
        SecretState::Enabled => return Ok(()),
        SecretState::Disabled => (
            "ResourceUnavailable.ResourceDisabled",
            "The secret is disabled.",
        ),
        SecretState::PendingDelete => (
            "ResourceUnavailable.ResourcePendingDeleted",
            "The secret is pending deletion.",
        ),
        SecretState::Creating | SecretState::Failed => (
            "ResourceUnavailable.ResourceUninitialized",
            "The secret is not initialized.",
        ),
    };
    Err(refuse(what, message))
}

/// `GetSecretValue`: of its two halves the absent one is an empty text.
fn get_secret_value(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    let id = call.require("VersionId")?;
    with(call, caller, &place, |secret| {
        check_readable(secret.state)?;
        if secret.about.kind == SecretType::Ssh {
            return Err(unsupported());
        }
        let version = secret.version(id).ok_or_else(|| no_such_version(call))?;
        let (text, binary) = version.data.halves();
        Ok(json!({
            "SecretName": place.name,
            "VersionId": id,
            "SecretString": text,
            "SecretBinary": binary,
        }))
    })
}

/// `GetSSHKeyPairValue`: by the secret's name, or by the pair's id.
fn get_ssh_key_pair_value(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = match call.text("SSHKeyId")? {
        Some(id) if call.text("SecretName")?.is_none() => place_of_key(call, caller, id)?,
        _ => call.place(caller)?,
    };
    with(call, caller, &place, |secret| {
        check_readable(secret.state)?;
        let pair = secret.about.ssh.as_ref().ok_or_else(unsupported)?;
        let said = |key: &str| match pair.encoding {
            KeyEncoding::Raw => key.to_owned(),
            KeyEncoding::Base64 => STANDARD.encode(key),
        };
        Ok(json!({
            "SSHKeyID": pair.id,
            "PublicKey": said(pair.public_key.reveal()),
            "PrivateKey": said(pair.private_key.reveal()),
            "ProjectID": 0,
            "SSHKeyDescription": secret.about.description,
            "SSHKeyName": pair.name,
        }))
    })
}

fn place_of_key(call: &Call<'_>, caller: &Principal, id: &str) -> Result<Place, Refusal> {
    let store = call.cloud.tencent.secrets.read();
    let now = call.cloud.tencent.now(call.cloud.now());
    let mut all = store.all(now);
    let found = all.find(|(place, secret)| {
        let own = place.account == caller.account && place.region == call.region;
        own && secret.about.ssh.as_ref().is_some_and(|pair| pair.id == id)
    });
    found
        .map(|(place, _)| place.clone())
        .ok_or_else(no_such_secret)
}

/// Says whether a secret has a version in force that the cloud moves.
fn is_managed(secret: &Stored) -> bool {
    secret.about.kind != SecretType::Custom
}

/// When `SSM_Current` was made, or the only thing there is.
fn last_change(secret: &Stored) -> jiff::Timestamp {
    let current = secret.version(CURRENT);
    current.map_or(secret.created, |version| version.created)
}
