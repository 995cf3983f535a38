//! What OOS answers, and how it is matched to what was asked. It makes no calls.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::provider::decode;
use crate::provider::{Answer, CallError, Class, Fetched};
use crate::secret_bytes::SecretBytes;

/// The answer of `GetSecretParameter`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    request_id: Option<String>,
    parameter: Parameter,
}

/// The answer of `GetSecretParameters`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Many {
    request_id: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(default)]
    invalid_parameters: Vec<String>,
}

/// One page of a list, with values or without.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    pub request_id: Option<String>,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    pub next_token: Option<String>,
}

/// One parameter.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    pub name: String,
    /// Only lists have them.
    pub tags: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "decode::value")]
    value: Option<SecretBytes>,
    #[serde(
        rename = "ParameterVersion",
        default,
        deserialize_with = "number_or_text"
    )]
    version: Option<String>,
}

// === impl One ===

impl One {
    /// The value, if it is that of `name` and, where one was asked for, of `version`.
    pub(super) fn read(self, name: &str, version: Option<&str>) -> Answer {
        let request_id = self.request_id.as_deref();
        if self.parameter.name != name {
            return Err(protocol("UnknownName", request_id));
        }
        let fetched = self.parameter.read(request_id)?;
        if version.is_some() && fetched.version.is_some() && fetched.version.as_deref() != version {
            return Err(protocol("WrongVersion", request_id));
        }
        Ok(fetched)
    }
}

// === impl Many ===

impl Many {
    /// The answers to `names`, in their order.
    ///
    /// # Errors
    /// [`Class::Protocol`] when the answer speaks of a name that was not asked for, or of one twice:
    /// then no part of it can be trusted.
    pub(super) fn read(self, names: &[&str]) -> Result<Vec<Answer>, CallError> {
        let request_id = self.request_id.as_deref();
        let asked: HashSet<&str> = names.iter().copied().collect();
        let mut answers: HashMap<String, Answer> = HashMap::with_capacity(names.len());
        let missing = self.invalid_parameters.into_iter().map(|name| {
            let error = CallError::new(Class::NotFound, "InvalidParameters");
            (name, Err(error.with_request_id(request_id)))
        });
        let found = self.parameters.into_iter().map(|mut parameter| {
            let name = std::mem::take(&mut parameter.name);
            (name, parameter.read(request_id))
        });
        for (name, answer) in missing.chain(found) {
            if !asked.contains(name.as_str()) {
                return Err(protocol("UnknownName", request_id));
            }
            if answers.insert(name, answer).is_some() {
                return Err(protocol("DuplicateName", request_id));
            }
        }
        let answer = |name: &&str| {
            let unmentioned = || Err(protocol("UnmentionedName", request_id));
            answers.remove(*name).unwrap_or_else(unmentioned)
        };
        Ok(names.iter().map(answer).collect())
    }
}

// === impl Parameter ===

impl Parameter {
    /// The value. An empty one cannot exist in OOS, so it is a broken answer and never a value.
    pub(super) fn read(self, request_id: Option<&str>) -> Answer {
        match self.value {
            Some(value) if !value.is_empty() => Ok(Fetched::new(value, self.version)),
            _ => Err(protocol("EmptyValue", request_id)),
        }
    }
}

fn protocol(code: &str, request_id: Option<&str>) -> CallError {
    CallError::new(Class::Protocol, code).with_request_id(request_id)
}

/// Versions are numbers in the schema and texts in some of the vendor's samples.
fn number_or_text<'de, D>(decoder: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Version {
        Number(u64),
        Text(String),
    }
    let version = Option::<Version>::deserialize(decoder)?;
    let text = |version| match version {
        Version::Number(number) => Ok(number.to_string()),
        Version::Text(text) if is_version(&text) => Ok(text),
        Version::Text(_) => Err(D::Error::custom("not a version")),
    };
    version.map(text).transpose()
}

/// Whether a text is a version, and not whatever a cloud may write there.
fn is_version(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
