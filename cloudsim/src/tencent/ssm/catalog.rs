//! SSM: which secrets and versions there are. One and the same field has one type here and another there, as in
//! the cloud.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{is_managed, last_change, with};
use crate::parameter::Place;
use crate::refusal::Refusal;
use crate::tencent::call::{Call, invalid};
use crate::tencent::cam::Principal;
use crate::tencent::store::Stored;

/// A filter by tag: the key, and one of the values if there are any.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TagFilter {
    tag_key: String,
    #[serde(default)]
    tag_value: Vec<String>,
}

fn next_rotation(secret: &Stored) -> Option<Timestamp> {
    let days = secret.about.rotation_days?;
    Some(last_change(secret) + SignedDuration::from_hours(24 * days))
}

/// What both answers say alike.
fn common(place: &Place, secret: &Stored) -> Value {
    let about = &secret.about;
    let uin: u64 = place.account.parse().unwrap_or_default();
    json!({
        "SecretName": place.name,
        "Description": about.description,
        "KmsKeyId": about.kms_key.as_deref().unwrap_or("DEFAULT"),
        "CreateUin": uin,
        "CreateUinString": place.account,
        "TargetUin": 0,
        "TargetUinString": "",
        "Status": secret.state.name(),
        "DeleteTime": secret.delete_at.map_or(0, Timestamp::as_second),
        "CreateTime": secret.created.as_second(),
        "SecretType": about.kind.number(),
        "ProductName": about.product.as_deref().unwrap_or_default(),
        "ResourceID": about.ssh.as_ref().map(|pair| &pair.id),
        "ResourceName": about.ssh.as_ref().map(|pair| &pair.name),
        "RotationFrequency": about.rotation_days.unwrap_or_default(),
        "ProjectID": 0,
        "AssociatedInstanceIDs": Value::Null,
        "EncryptType": 0,
        "EncryptSwitching": 0,
    })
}

/// `DescribeSecret`: of a secret in whatever state. The status of rotation is a truth value here, its time a text.
pub(super) fn describe_secret(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    with(call, caller, &place, |secret| {
        let mut answer = common(&place, secret);
        let next = next_rotation(secret);
        answer["RotationStatus"] = json!(next.is_some());
        answer["NextRotationTime"] =
            json!(next.map(|next| next.strftime("%Y-%m-%d %H:%M:%S").to_string()));
        answer["AdditionalConfig"] = json!("");
        answer["AccountInfoList"] = if is_managed(secret) {
            json!([])
        } else {
            Value::Null
        };
        Ok(answer)
    })
}

/// The same in a list, where the status of rotation is a number, and so is its time.
fn metadata(place: &Place, secret: &Stored) -> Value {
    let mut entry = common(place, secret);
    let next = next_rotation(secret);
    entry["RotationStatus"] = json!(i64::from(next.is_some()));
    entry["NextRotationTime"] = json!(next.map(Timestamp::as_second));
    entry["RotationBeginTime"] = json!("");
    let own = secret.about.kms_key.is_none();
    entry["KmsKeyType"] = json!(if own { "DEFAULT" } else { "CUSTOMER" });
    entry
}

/// `ListSecretVersionIds`: newest first, in whole seconds.
pub(super) fn list_secret_version_ids(
    call: &Call<'_>,
    caller: &Principal,
) -> Result<Value, Refusal> {
    let place = call.place(caller)?;
    with(call, caller, &place, |secret| {
        let mut versions: Vec<_> = secret.versions.iter().rev().collect();
        // Stable: of versions of one second the one that came last is the first.
        versions.sort_by_key(|version| std::cmp::Reverse(version.created.as_second()));
        let versions = versions.iter().map(
            |version| json!({ "VersionId": version.id, "CreateTime": version.created.as_second() }),
        );
        let versions: Vec<Value> = versions.collect();
        Ok(json!({ "SecretName": place.name, "Versions": versions }))
    })
}

/// `ListSecrets`: only custom ones, unless another type is asked for.
pub(super) fn list_secrets(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let offset = call.number("Offset", 0..=i64::MAX, 0)?;
    let limit = call.number("Limit", 1..=100, 20)?;
    let order = call.number("OrderType", 0..=1, 0)?;
    let state = call.number("State", 0..=5, 0)?;
    let kind = call.number("SecretType", 0..=4, 0)?;
    let search = call.text("SearchSecretName")?.unwrap_or_default();
    let filters: Vec<TagFilter> = match call.value("TagFilters") {
        None => Vec::new(),
        Some(filters) => serde_json::from_value(filters.clone())
            .map_err(|_| invalid("TagFilters", "it is not a list of filters"))?,
    };
    call.permit_all(caller)?;
    let store = call.cloud.tencent.secrets.read();
    let now = call.cloud.tencent.now(call.cloud.now());
    let mut found: Vec<_> = store
        .all(now)
        .filter(|(place, secret)| {
            let tags = &secret.about.tags;
            let tagged = |filter: &TagFilter| {
                let value = tags.get(&filter.tag_key);
                value.is_some_and(|value| {
                    filter.tag_value.is_empty() || filter.tag_value.contains(value)
                })
            };
            place.account == caller.account
                && place.region == call.region
                && secret.about.kind.number() == kind
                && (state == 0 || secret.state.number() == state)
                && place.name.contains(search)
                && filters.iter().all(tagged)
        })
        .collect();
    // Stable, so those of one moment stay in the order of their names, or the reverse of it.
    found.sort_by_key(|(_, secret)| secret.created);
    if order == 0 {
        found.reverse();
    }
    let at = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let page = found.iter().skip(at(offset)).take(at(limit));
    let page: Vec<Value> = page
        .map(|(place, secret)| metadata(place, secret))
        .collect();
    Ok(json!({ "TotalCount": found.len(), "SecretMetadatas": page }))
}

/// `GetServiceStatus`.
pub(super) fn get_service_status(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    call.permit_all(caller)?;
    let settings = call.cloud.tencent.settings.read();
    let bought = settings.purchased;
    let store = call.cloud.tencent.secrets.read();
    let count = store
        .all(call.cloud.tencent.now(call.cloud.now()))
        .filter(|(place, _)| place.account == caller.account && place.region == call.region)
        .count();
    Ok(json!({
        "ServiceEnabled": bought,
        "InvalidType": i64::from(bought),
        "QPSLimit": 300,
        "SecretLimit": 1000,
        "TotalCount": count,
        "AccessKeyEscrowEnabled": false,
    }))
}
