//! What KMS answers, and how it is matched to what was asked. It makes no calls.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::code;
use super::name::is_same;
use crate::provider::decode;
use crate::provider::{Answer, CallError, Class, Detail, Fetched, RemoteKey, Rotation};
use crate::secret_bytes::SecretBytes;

/// The answer of `GetSecretValue`, and one value of `BatchGetSecretValue`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct One {
    request_id: Option<String>,
    secret_name: String,
    secret_type: Option<String>,
    #[serde(default, deserialize_with = "decode::value")]
    secret_data: Option<SecretBytes>,
    secret_data_type: Option<String>,
    version_id: Option<String>,
    version_stages: Option<Stages>,
    automatic_rotation: Option<String>,
    next_rotation_date: Option<String>,
    rotation_interval: Option<String>,
}

/// The answer of `BatchGetSecretValue`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Many {
    request_id: Option<String>,
    secret_values: Option<Vec<One>>,
    errors: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stages {
    #[serde(default)]
    version_stage: Vec<String>,
}

/// What went wrong with one name of a batch. Its `Message` is never read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    secret_name: String,
    #[serde(default)]
    code: String,
    http_status: Option<u16>,
}

// === impl One ===

impl One {
    /// The value, if it is that of `key`: of its name and, where one was asked for, of its version or
    /// stage.
    pub(super) fn read(mut self, key: &RemoteKey) -> Answer {
        let request_id = self.request_id.take();
        let request_id = request_id.as_deref();
        if !is_same(&self.secret_name, &key.key) {
            return Err(protocol("UnknownName", request_id));
        }
        if let Some(version) = &key.version {
            if self.is_managed() {
                let problem = "KMS manages this secret and ignores a version; name a stage instead";
                let error = CallError::new(Class::Invalid, "VersionOfManagedSecret");
                let error = error.with_detail(Detail::Fixed(problem));
                return Err(error.with_request_id(request_id));
            }
            if self.version_id.as_ref().is_some_and(|told| told != version) {
                return Err(protocol("WrongVersion", request_id));
            }
        }
        if let (Some(stage), Some(told)) = (&key.stage, &self.version_stages)
            && !told.version_stage.is_empty()
            && !told.version_stage.contains(stage)
        {
            return Err(protocol("WrongStage", request_id));
        }
        self.fetched(request_id)
    }

    /// The types that KMS rotates itself are spelled differently from page to page; only `Generic` is
    /// not.
    fn is_managed(&self) -> bool {
        let generic = |kind: &String| kind.is_empty() || kind.eq_ignore_ascii_case("Generic");
        self.secret_type.as_ref().is_some_and(|kind| !generic(kind))
    }

    fn fetched(self, request_id: Option<&str>) -> Answer {
        let rotation = self.rotation();
        // An empty one cannot exist in KMS, so it is a broken answer and never a value.
        let Some(data) = self.secret_data.filter(|data| !data.is_empty()) else {
            return Err(protocol("EmptyValue", request_id));
        };
        let value = match self.secret_data_type.as_deref() {
            None | Some("text") => data,
            Some("binary") => decode::base64(&data).ok_or_else(|| {
                let problem = "the secret is of type binary, and what it holds is not base64";
                protocol("UndecodableBinary", request_id).with_detail(Detail::Fixed(problem))
            })?,
            Some(_) => return Err(protocol("UnknownDataType", request_id)),
        };
        if value.is_empty() {
            return Err(protocol("EmptyValue", request_id));
        }
        Ok(Fetched {
            value,
            version: self.version_id.filter(|version| !version.is_empty()),
            rotation,
            caveat: None,
        })
    }

    /// What it says about rotation. What is malformed counts as not said: no value is lost for it.
    fn rotation(&self) -> Option<Rotation> {
        let automatic = self.automatic_rotation.as_deref()?;
        let seconds = |text: &String| text.strip_suffix('s').and_then(|n| n.parse().ok());
        Some(Rotation {
            automatic: automatic.eq_ignore_ascii_case("Enabled"),
            next: self
                .next_rotation_date
                .as_ref()
                .and_then(|date| date.parse::<Timestamp>().ok()),
            interval: self
                .rotation_interval
                .as_ref()
                .and_then(seconds)
                .map(Duration::from_secs),
        })
    }
}

// === impl Many ===

impl Many {
    /// The answers to `keys`, whose names are distinct, in their order.
    ///
    /// # Errors
    /// [`Class::Protocol`] when the answer speaks of a name that was not asked for, or of one twice:
    /// then no part of it can be trusted.
    pub(super) fn read(self, keys: &[RemoteKey]) -> Result<Vec<Answer>, CallError> {
        let request_id = self.request_id.as_deref();
        let asked: HashMap<&str, &RemoteKey> =
            keys.iter().map(|key| (key.key.as_str(), key)).collect();
        let mut answers: HashMap<&str, Answer> = HashMap::with_capacity(keys.len());
        let mut answer = |name: &str, answer: &mut dyn FnMut(&RemoteKey) -> Answer| {
            let key = asked.get(name);
            let key = key.ok_or_else(|| protocol("UnknownName", request_id))?;
            match answers.insert(&key.key, answer(key)) {
                Some(_) => Err(protocol("DuplicateName", request_id)),
                None => Ok(()),
            }
        };
        for failure in self.errors.into_iter().flatten() {
            answer(&failure.secret_name, &mut |_| Err(failure.read(request_id)))?;
        }
        for value in self.secret_values.into_iter().flatten() {
            let name = value.secret_name.clone();
            let mut value = Some(One {
                request_id: value.request_id.or_else(|| self.request_id.clone()),
                ..value
            });
            answer(&name, &mut |key| match value.take() {
                Some(value) => value.read(key),
                None => Err(protocol("DuplicateName", request_id)),
            })?;
        }
        let answer = |key: &RemoteKey| {
            let unmentioned = || Err(protocol("UnmentionedName", request_id));
            answers.remove(key.key.as_str()).unwrap_or_else(unmentioned)
        };
        Ok(keys.iter().map(answer).collect())
    }
}

// === impl Failure ===

impl Failure {
    fn read(&self, request_id: Option<&str>) -> CallError {
        let status = self.http_status.unwrap_or_default();
        let class = code::classify(code::KMS, &self.code);
        let class = class.unwrap_or_else(|| code::by_status(status));
        let code = match self.code.as_str() {
            "" => "UnnamedError",
            code => code,
        };
        CallError::new(class, code).with_request_id(request_id)
    }
}

fn protocol(code: &str, request_id: Option<&str>) -> CallError {
    CallError::new(Class::Protocol, code).with_request_id(request_id)
}

#[cfg(test)]
mod tests;
