//! What secrets there are: `ListSecrets`, all pages of it.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::json;

use super::super::call::Gateway;
use crate::credential::Credentials;
use crate::provider::{CallError, Class, Detail, Listed, RemoteKey, Selection};

/// The most secrets that `ListSecrets` puts on a page.
const PAGE: usize = 100;
/// The most secrets that `ListSecrets` finds by a tag; what is beyond is silently left out.
const MOST_BY_TAG: usize = 4000;
/// The most pages that are read.
const MOST_PAGES: usize = 1000;

/// The answer of `ListSecrets`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    request_id: Option<String>,
    secret_list: Option<Secrets>,
    total_count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secrets {
    #[serde(default)]
    secret: Vec<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    secret_name: String,
    tags: Option<Tags>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tag: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    #[serde(default)]
    tag_value: String,
}

/// Names the secrets that meet `selection`. The gateway narrows by one tag only: whether it takes a name
/// as a whole or as a prefix is not documented, and it joins the values of one key by "or".
pub(super) async fn list(
    gateway: &Gateway,
    credentials: &Credentials,
    selection: &Selection,
) -> Result<Vec<Listed>, CallError> {
    let tag = selection.tags.first_key_value();
    let filters = tag.map(|(key, value)| {
        json!([{"Key": "TagKey", "Values": [key]}, {"Key": "TagValue", "Values": [value]}])
            .to_string()
    });
    let found = match pages(gateway, credentials, filters.as_deref()).await? {
        found if filters.is_some() && found.len() >= MOST_BY_TAG => {
            pages(gateway, credentials, None).await?
        }
        found => found,
    };
    let mut seen = HashSet::new();
    let listed = found
        .into_iter()
        .filter(|secret| secret.meets(selection) && seen.insert(secret.secret_name.clone()))
        .map(|secret| Listed {
            key: RemoteKey::named(secret.secret_name),
            answer: None,
        });
    Ok(listed.collect())
}

/// All pages. Pages are cut anew for each call, so a list that changes meanwhile could lose a name: then
/// it counts as failed, and the next try begins afresh.
async fn pages(
    gateway: &Gateway,
    credentials: &Credentials,
    filters: Option<&str>,
) -> Result<Vec<Secret>, CallError> {
    let size = PAGE.to_string();
    let mut found = Vec::new();
    let mut total = None;
    for number in 1..=MOST_PAGES {
        let number = number.to_string();
        let mut parameters = vec![
            ("FetchTags", "true"),
            ("PageNumber", number.as_str()),
            ("PageSize", &size),
        ];
        if let Some(filters) = filters {
            parameters.push(("Filters", filters));
        }
        let page: Page = gateway
            .signed(credentials, "ListSecrets", &parameters)
            .await?;
        let request_id = page.request_id.as_deref();
        if total.is_some_and(|total| total != page.total_count) {
            let detail = Detail::Fixed("secrets were made or deleted while they were listed");
            let error = CallError::new(Class::Unavailable, "ListChanged").with_detail(detail);
            return Err(error.with_request_id(request_id));
        }
        total = Some(page.total_count);
        let secrets = page.secret_list.map(|list| list.secret).unwrap_or_default();
        let empty = secrets.is_empty();
        found.extend(secrets);
        if found.len() >= page.total_count {
            return Ok(found);
        }
        if empty {
            let error = CallError::new(Class::Protocol, "IncompleteList");
            return Err(error.with_request_id(request_id));
        }
    }
    let detail = Detail::Fixed("there are more than 100000 secrets");
    Err(CallError::new(Class::Invalid, "ListTooLong").with_detail(detail))
}

// === impl Secret ===

impl Secret {
    fn meets(&self, selection: &Selection) -> bool {
        let tags: BTreeMap<&str, &str> = self
            .tags
            .iter()
            .flat_map(|tags| &tags.tag)
            .map(|tag| (tag.tag_key.as_str(), tag.tag_value.as_str()))
            .collect();
        let path = selection.path.as_deref().unwrap_or_default();
        let tagged =
            |(key, value): (&String, &String)| tags.get(key.as_str()) == Some(&value.as_str());
        self.secret_name.starts_with(path) && selection.tags.iter().all(tagged)
    }
}
