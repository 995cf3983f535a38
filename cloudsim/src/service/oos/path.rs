//! OOS Parameter Store: reading by path, and lists.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde_json::{Value, json};

use crate::parameter::{Place, StoredParameter};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::service::oos::{Read, flag};

const MAX_PATH: usize = 200;

/// A part of a long answer.
#[derive(Debug)]
struct Page {
    size: usize,
    /// The last name of the page before.
    after: Option<String>,
}

/// `GetSecretParametersByPath` and `GetParametersByPath`: the permission is that of the path.
pub(super) fn by_path(
    read: &Read<'_>,
    request: &Request,
    permission: &str,
) -> Result<Value, Refusal> {
    let path = path(request.require("Path")?)?;
    let recursive = flag("Recursive", request)?;
    let page = Page::of(request, 1, 10, 10)?;
    read.permit_any(permission, &path)?;
    let store = read.store();
    let mine = |(place, _): &(&Place, &StoredParameter)| {
        read.holds(place) && is_under(&place.name, &path, recursive)
    };
    let all: Vec<_> = store.all().filter(mine).collect();
    Ok(page.answer(read, &all))
}

/// `ListSecretParameters` and `ListParameters`: nothing that is listed has a value.
pub(super) fn list(read: &Read<'_>, request: &Request, permission: &str) -> Result<Value, Refusal> {
    let under = request.parameter("Path").map(path).transpose()?;
    let recursive = flag("Recursive", request)?;
    let page = Page::of(request, 10, 100, 50)?;
    let tags = request.parameter("Tags").unwrap_or("{}");
    let tags: BTreeMap<String, String> = serde_json::from_str(tags)
        .map_err(|_| Refusal::invalid("Tags", "it is not a JSON object of strings"))?;
    let part = request.parameter("Name").unwrap_or_default();
    let by_date = match request.parameter("SortField") {
        None | Some("Name") => false,
        Some("CreatedDate") => true,
        Some(_) => return Err(Refusal::invalid("SortField", "it is not known")),
    };
    let descending = match request.parameter("SortOrder") {
        None | Some("Ascending") => false,
        Some("Descending") => true,
        Some(_) => return Err(Refusal::invalid("SortOrder", "it is not known")),
    };
    read.permit_any(permission, "*")?;
    let store = read.store();
    let chosen = |(place, parameter): &(&Place, &StoredParameter)| {
        let tagged = |(key, value)| parameter.about.tags.get(key) == Some(value);
        let at = under.as_deref();
        read.holds(place)
            && place.name.contains(part)
            && at.is_none_or(|path| is_under(&place.name, path, recursive))
            && tags.iter().all(tagged)
    };
    let mut all: Vec<_> = store.all().filter(chosen).collect();
    if by_date {
        all.sort_by_key(|(_, parameter)| parameter.created());
    }
    if descending {
        all.reverse();
    }
    Ok(page.answer(&read.without_values(), &all))
}

/// The path with a slash at its end.
fn path(text: &str) -> Result<String, Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    if !text.starts_with('/') || text.len() > MAX_PATH || !text.bytes().all(good) {
        let why = "it must be an absolute path of at most 200 of the characters A-Za-z0-9-_/";
        return Err(Refusal::invalid("Path", why));
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

fn is_under(name: &str, path: &str, recursive: bool) -> bool {
    let rest = name.strip_prefix(path);
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}

// === impl Page ===

impl Page {
    fn of(request: &Request, least: usize, most: usize, usual: usize) -> Result<Self, Refusal> {
        let size = match request.parameter("MaxResults") {
            None => usual,
            Some(text) => {
                let size = text.parse().ok();
                let size = size.filter(|size| (least..=most).contains(size));
                size.ok_or_else(|| {
                    Refusal::invalid("MaxResults", &format!("it must be {least} to {most}"))
                })?
            }
        };
        let after = match request.parameter("NextToken") {
            None => None,
            Some(token) => {
                let name = URL_SAFE.decode(token).ok();
                let name = name.and_then(|name| String::from_utf8(name).ok());
                Some(name.ok_or_else(|| Refusal::invalid("NextToken", "it was not given here"))?)
            }
        };
        Ok(Self { size, after })
    }

    fn answer(&self, read: &Read<'_>, all: &[(&Place, &StoredParameter)]) -> Value {
        let after = self.after.as_deref();
        let start = after.map_or(0, |after| {
            let at = all.iter().position(|(place, _)| place.name == after);
            // A name that is gone since: the page goes on where it was.
            at.map_or_else(
                || all.partition_point(|(place, _)| place.name.as_str() <= after),
                |at| at + 1,
            )
        });
        let end = all.len().min(start + self.size);
        let page = &all[start.min(end)..end];
        let entries = page
            .iter()
            .filter_map(|(place, parameter)| read.entry(&place.name, parameter, None));
        let mut answer = json!({
            "Parameters": entries.collect::<Vec<_>>(),
            "MaxResults": self.size,
            "TotalCount": all.len(),
        });
        if let (true, Some((place, _))) = (end < all.len(), page.last()) {
            answer["NextToken"] = json!(URL_SAFE.encode(&place.name));
        }
        answer
    }
}

// === impl Read ===

impl<'a> Read<'a> {
    fn holds(&self, place: &Place) -> bool {
        place.account == self.principal.account && place.region == self.region
    }

    fn without_values(&self) -> Read<'a> {
        Read {
            decrypt: false,
            ..*self
        }
    }
}
