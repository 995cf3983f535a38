//! KMS: which secrets and versions there are.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::parameter::Place;
use crate::permission::Resource;
use crate::refusal::Refusal;
use crate::secret::{self, StoredSecret};
use crate::service::kms::call::{Call, flag, not_found};
use crate::service::kms::rotation;
use crate::service::oos::date;

const FILTERS: usize = 10;

/// One of the `Filters` of a list: any of its values must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Values")]
    values: Vec<String>,
}

/// A page of a list.
#[derive(Debug)]
struct Page {
    number: usize,
    size: usize,
}

/// `ListSecrets`: names match by their beginning, and a tag's key and value need not be of one tag. A caller
/// that needs more must look for itself.
pub(super) fn list_secrets(call: &Call<'_>) -> Result<Value, Refusal> {
    let page = Page::of(call, 10)?;
    let tags = flag("FetchTags", call.request.parameter("FetchTags"))?;
    let filters = filters(call.request.parameter("Filters"))?;
    let account = &call.caller.account;
    let action = "kms:ListSecrets";
    if !call.permits(
        action,
        &Resource::new("kms", call.region, account, "secret", "*"),
    ) {
        return Err(call.denied(action));
    }
    let store = call.cloud.secrets.read();
    let chosen = |(place, secret): &(&Place, &StoredSecret)| {
        place.account == *account
            && place.region == call.region
            && filters.iter().all(|filter| filter.holds(place, secret))
    };
    let all: Vec<_> = store.all(call.cloud.now()).filter(chosen).collect();
    let entries = page.of_all(&all).map(|(place, secret)| {
        let mut entry = summary(place, secret);
        if tags {
            entry.insert("Tags".to_owned(), tag_list(secret));
        }
        Value::Object(entry)
    });
    Ok(json!({
        "SecretList": { "Secret": entries.collect::<Vec<_>>() },
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": all.len(),
    }))
}

/// `DescribeSecret`.
pub(super) fn describe_secret(call: &Call<'_>) -> Result<Value, Refusal> {
    let place = call.own_place()?;
    let tags = flag("FetchTags", call.request.parameter("FetchTags"))?;
    call.permit("kms:DescribeSecret", &place)?;
    let store = call.cloud.secrets.read();
    let secret = store.get(&place, call.cloud.now()).ok_or_else(not_found)?;
    let mut entry = summary(&place, secret);
    entry.insert("Arn".to_owned(), json!(secret::arn(&place)));
    for (name, value) in [
        ("EncryptionKeyId", &secret.about.encryption_key),
        ("DKMSInstanceId", &secret.about.instance),
        ("Description", &secret.about.description),
    ] {
        entry.insert(name.to_owned(), json!(value.as_deref().unwrap_or_default()));
    }
    if let Some(config) = &secret.about.extended_config {
        entry.insert("ExtendedConfig".to_owned(), json!(config.to_string()));
    }
    if tags {
        entry.insert("Tags".to_owned(), tag_list(secret));
    }
    rotation(secret, &mut entry);
    Ok(Value::Object(entry))
}

/// `ListSecretVersionIds`: without `IncludeDeprecated` only versions that have a stage.
pub(super) fn list_secret_version_ids(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.request.require("SecretName")?;
    let place = call.place(name)?;
    let page = Page::of(call, 20)?;
    let text = call.request.parameter("IncludeDeprecated");
    let deprecated = flag("IncludeDeprecated", text)?;
    let store = call.cloud.secrets.read();
    let secret = call.shared(&store, &place, &["kms:ListSecretVersionIds"])?;
    let versions = secret.versions.iter();
    let all: Vec<_> = versions
        .filter(|version| deprecated || !version.stages.is_empty())
        .collect();
    let entries = page.of_all(&all).map(|version| {
        json!({
            "VersionId": version.id,
            "CreateTime": date(version.created),
            "VersionStages": { "VersionStage": version.stages },
        })
    });
    Ok(json!({
        "SecretName": name,
        "VersionIds": { "VersionId": entries.collect::<Vec<_>>() },
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": all.len(),
    }))
}

fn summary(place: &Place, secret: &StoredSecret) -> Map<String, Value> {
    let mut entry = Map::new();
    let mut put = |name: &str, text: String| entry.insert(name.to_owned(), json!(text));
    put("SecretName", place.name.clone());
    put("SecretType", secret.kind().name().to_owned());
    put("CreateTime", date(secret.created));
    put("UpdateTime", date(secret.updated));
    if let Some(at) = secret.planned_delete {
        put("PlannedDeleteTime", date(at));
    }
    if secret.kind().is_managed() {
        put("OwingService", secret.kind().name().to_lowercase());
    }
    entry
}

fn tag_list(secret: &StoredSecret) -> Value {
    let tags = secret.about.tags.iter();
    let tags = tags.map(|(key, value)| json!({ "TagKey": key, "TagValue": value }));
    json!({ "Tag": tags.collect::<Vec<_>>() })
}

fn filters(text: Option<&str>) -> Result<Vec<Filter>, Refusal> {
    let wrong = |why| Err(Refusal::invalid("Filters", why));
    let Ok(filters) = serde_json::from_str::<Vec<Filter>>(text.unwrap_or("[]")) else {
        return wrong("it is not a JSON array of keys with values");
    };
    if filters.len() > FILTERS || filters.iter().any(|filter| filter.values.len() > FILTERS) {
        return wrong("it must hold at most 10 keys with at most 10 values");
    }
    if filters.iter().all(Filter::is_known) {
        return Ok(filters);
    }
    wrong("it has a key that is not known")
}

// === impl Filter ===

impl Filter {
    fn is_known(&self) -> bool {
        matches!(
            self.key.as_str(),
            "SecretName"
                | "Description"
                | "TagKey"
                | "TagValue"
                | "DKMSInstanceId"
                | "SecretType"
                | "Creator"
        )
    }

    fn holds(&self, place: &Place, secret: &StoredSecret) -> bool {
        let about = &secret.about;
        let is = |text: Option<&str>, value: &String| text.is_some_and(|text| text == value);
        self.values.iter().any(|value| match self.key.as_str() {
            "SecretName" => place.name.starts_with(value),
            "Description" => about
                .description
                .as_deref()
                .is_some_and(|text| text.contains(value)),
            "TagKey" => about.tags.contains_key(value),
            "TagValue" => about.tags.values().any(|known| known == value),
            "DKMSInstanceId" => is(about.instance.as_deref(), value),
            "SecretType" => about.kind.name().eq_ignore_ascii_case(value),
            _ => false,
        })
    }
}

// === impl Page ===

impl Page {
    fn of(call: &Call<'_>, default_size: usize) -> Result<Self, Refusal> {
        let number = |name, default| match call.request.parameter(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| Refusal::invalid(name, "it is not a positive number")),
        };
        let page = Self {
            number: number("PageNumber", 1)?,
            size: number("PageSize", default_size)?,
        };
        if page.size > 100 {
            return Err(Refusal::invalid("PageSize", "it must be at most 100"));
        }
        Ok(page)
    }

    fn of_all<'a, T>(&self, all: &'a [T]) -> impl Iterator<Item = &'a T> {
        let before = self.size.saturating_mul(self.number - 1);
        all.iter().skip(before).take(self.size)
    }
}
