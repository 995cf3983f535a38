//! What secrets there are: `ListSecrets`, all pages of all types.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::super::call::Gateway;
use crate::credential::Credentials;
use crate::provider::{CallError, Class, Detail, Listed, RemoteKey, Selection};

/// The most secrets that are asked for on a page.
const PAGE: usize = 100;
/// The most pages of one type that are read: a region has at most 1,000 secrets.
const MOST_PAGES: usize = 100;
/// The types, of which a call lists one only: custom, database, SSH key, cloud API key, Redis.
const TYPES: std::ops::RangeInclusive<u8> = 0..=4;

/// What `ListSecrets` takes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    offset: usize,
    limit: usize,
    /// 1 lists the oldest first, so that what is made meanwhile moves no page.
    order_type: u8,
    secret_type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_secret_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_filters: Option<[Filter<'a>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    tag_key: &'a str,
    tag_value: [&'a str; 1],
}

/// The answer of `ListSecrets`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    request_id: Option<String>,
    total_count: usize,
    secret_metadatas: Option<Vec<Secret>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    secret_name: String,
}

/// Names the secrets that meet `selection`. Its answer does not repeat tags, and how it joins several is
/// not documented, so each is asked about by itself. Names are filtered again, for how it takes them is not
/// documented either.
pub(super) async fn list(
    gateway: &Gateway,
    credentials: &Credentials,
    selection: &Selection,
) -> Result<Vec<Listed>, CallError> {
    let path = selection.path.as_deref().unwrap_or_default();
    let mut tags = selection.tags.iter().map(Some).collect::<Vec<_>>();
    if tags.is_empty() {
        tags.push(None);
    }
    let mut found: Option<Vec<String>> = None;
    for tag in tags {
        let mut names = Vec::new();
        for secret_type in TYPES {
            names.extend(pages(gateway, credentials, path, tag, secret_type).await?);
        }
        let mut seen: HashSet<String> = HashSet::new();
        names.retain(|name| name.starts_with(path) && seen.insert(name.clone()));
        found = Some(match found {
            Some(before) => before.into_iter().filter(|n| seen.contains(n)).collect(),
            None => names,
        });
    }
    let listed = |name| Listed {
        key: RemoteKey::named(name),
        answer: None,
    };
    Ok(found.into_iter().flatten().map(listed).collect())
}

/// All pages of one type. A list of which something was deleted meanwhile could lose a name: then it
/// counts as failed, and the next try begins afresh.
async fn pages(
    gateway: &Gateway,
    credentials: &Credentials,
    path: &str,
    tag: Option<(&String, &String)>,
    secret_type: u8,
) -> Result<Vec<String>, CallError> {
    let mut found = Vec::new();
    let mut total = None;
    for _ in 0..MOST_PAGES {
        let request = Request {
            offset: found.len(),
            limit: PAGE,
            order_type: 1,
            secret_type,
            search_secret_name: Some(path).filter(|path| !path.is_empty()),
            tag_filters: tag.map(|(tag_key, value)| {
                [Filter {
                    tag_key,
                    tag_value: [value],
                }]
            }),
        };
        let page: Page = gateway.signed(credentials, "ListSecrets", &request).await?;
        let request_id = page.request_id.as_deref();
        if total.is_some_and(|total| total > page.total_count) {
            let detail = Detail::Fixed("secrets were deleted while they were listed");
            let error = CallError::new(Class::Unavailable, "ListChanged").with_detail(detail);
            return Err(error.with_request_id(request_id));
        }
        total = Some(page.total_count);
        let secrets = page.secret_metadatas.unwrap_or_default();
        let empty = secrets.is_empty();
        found.extend(secrets.into_iter().map(|secret| secret.secret_name));
        if found.len() >= page.total_count {
            return Ok(found);
        }
        if empty {
            let error = CallError::new(Class::Protocol, "IncompleteList");
            return Err(error.with_request_id(request_id));
        }
    }
    let detail = Detail::Fixed("there are more than 10000 secrets of one type");
    Err(CallError::new(Class::Invalid, "ListTooLong").with_detail(detail))
}
