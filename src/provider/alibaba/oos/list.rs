//! What parameters there are: by path with their values, by tag without.

use std::collections::HashSet;

use super::super::call::Gateway;
use super::Parameters;
use super::answer::{Page, Parameter};
use crate::credential::Credentials;
use crate::provider::{CallError, Class, Detail, Listed, RemoteKey, Selection};

/// The most parameters that a page with values has; `GetSecretParametersByPath` takes no more.
const PAGE_OF_VALUES: &str = "10";
/// The most parameters that a page of names has.
const PAGE_OF_NAMES: &str = "100";
/// The most pages that are read.
const MOST_PAGES: usize = 10_000;

/// The parameters that are listed.
pub(super) struct Of<'a> {
    pub gateway: &'a Gateway,
    pub region: &'a str,
    pub parameters: Parameters,
}

// === impl Of ===

impl Of<'_> {
    /// Names the parameters that meet `selection`. Those of a path come with their values, ten to a
    /// call; tags are only in the list of names.
    pub(super) async fn list(
        &self,
        credentials: &Credentials,
        selection: &Selection,
    ) -> Result<Vec<Listed>, CallError> {
        let path = selection.path.as_deref().filter(|path| *path != "/");
        let with_values = path.is_some() && selection.tags.is_empty();
        let action = match (self.parameters, with_values) {
            (Parameters::Secret, true) => "GetSecretParametersByPath",
            (Parameters::Plain, true) => "GetParametersByPath",
            (Parameters::Secret, false) => "ListSecretParameters",
            (Parameters::Plain, false) => "ListParameters",
        };
        let size = if with_values {
            PAGE_OF_VALUES
        } else {
            PAGE_OF_NAMES
        };
        let mut fixed = vec![("MaxResults", size), ("RegionId", self.region)];
        if let Some(path) = path {
            fixed.extend([("Path", path), ("Recursive", "true")]);
        }
        if with_values {
            fixed.extend(self.parameters.decryption());
        }
        let tags;
        if !selection.tags.is_empty() {
            tags = serde_json::to_string(&selection.tags)
                .map_err(|_| CallError::new(Class::Invalid, "Tags"))?;
            fixed.push(("Tags", &tags));
        }
        let mut seen = HashSet::new();
        let mut listed = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut parameters = fixed.clone();
            if let Some(token) = &token {
                parameters.push(("NextToken", token));
            }
            let page: Page = self
                .gateway
                .signed(credentials, action, &parameters)
                .await?;
            let request_id = page.request_id.as_deref();
            for parameter in page.parameters {
                if !meets(&parameter, selection) || !seen.insert(parameter.name.clone()) {
                    continue;
                }
                listed.push(Listed {
                    key: RemoteKey::named(parameter.name.clone()),
                    answer: with_values.then(|| parameter.read(request_id)),
                });
            }
            // The last page's token is absent, or empty.
            let next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(listed);
            }
            if next == token {
                let error = CallError::new(Class::Protocol, "EndlessList");
                return Err(error.with_request_id(request_id));
            }
            token = next;
        }
        let detail = Detail::Fixed("there are too many parameters");
        Err(CallError::new(Class::Invalid, "ListTooLong").with_detail(detail))
    }
}

/// Whether a parameter lies below the path, on whole segments, and has every tag.
fn meets(parameter: &Parameter, selection: &Selection) -> bool {
    let path = selection.path.as_deref().unwrap_or_default();
    let path = path.trim_end_matches('/');
    let below = parameter
        .name
        .strip_prefix(path)
        .is_some_and(|rest| path.is_empty() || rest.starts_with('/'));
    let tagged = |(key, value): (&String, &String)| {
        let tags = parameter.tags.as_ref();
        tags.and_then(|tags| tags.get(key)) == Some(value)
    };
    below && selection.tags.iter().all(tagged)
}

#[cfg(test)]
mod tests;
