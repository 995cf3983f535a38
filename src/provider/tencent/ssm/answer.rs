//! What SSM answers, and how it is matched to what was asked. It makes no calls.

use std::str::Utf8Error;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::request::NamedVersion;
use super::way::{CURRENT, Kind};
use crate::provider::{Answer, CallError, Class, Detail, Fetched, decode};
use crate::secret_bytes::SecretBytes;

/// Room for a pair of keys as JSON, so that no copy is left behind by growing.
const ROOM: usize = 96 << 10;

/// The answer of `GetSecretValue`. Of text and bytes one is the value, and the other the empty text.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Value {
    request_id: Option<String>,
    secret_name: Option<String>,
    version_id: Option<String>,
    #[serde(default, deserialize_with = "decode::value")]
    secret_string: Option<SecretBytes>,
    #[serde(default, deserialize_with = "decode::value")]
    secret_binary: Option<SecretBytes>,
}

/// The answer of `DescribeSecret`, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metadata {
    request_id: Option<String>,
    secret_name: Option<String>,
    secret_type: Option<i64>,
}

/// The answer of `ListSecretVersionIds`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Versions {
    request_id: Option<String>,
    secret_name: Option<String>,
    #[serde(rename = "Versions")]
    all: Option<Vec<Version>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version_id: String,
    /// Whole seconds since the Unix epoch.
    create_time: Option<i64>,
}

/// The answer of `GetSSHKeyPairValue`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyPair {
    request_id: Option<String>,
    #[serde(default, deserialize_with = "decode::value")]
    public_key: Option<SecretBytes>,
    #[serde(default, deserialize_with = "decode::value")]
    private_key: Option<SecretBytes>,
}

/// A pair of keys as the value that properties are taken from.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<&'a str>,
}

// === impl Value ===

impl Value {
    /// The value, if it is that of what was `asked` for.
    pub(super) fn read(self, asked: &NamedVersion<'_>) -> Answer {
        let request_id = self.request_id.as_deref();
        about(self.secret_name.as_ref(), asked.secret_name, request_id)?;
        let version = self.version_id.filter(|version| !version.is_empty());
        // What is current may be told by the name that it has otherwise.
        let other = |told: &String| told != asked.version_id && asked.version_id != CURRENT;
        if version.as_ref().is_some_and(other) {
            return Err(protocol("WrongVersion", request_id));
        }
        let some = |data: Option<SecretBytes>| data.filter(|data| !data.is_empty());
        let value = match (some(self.secret_string), some(self.secret_binary)) {
            (Some(text), _) => text,
            (None, Some(binary)) => decode::base64(&binary)
                .filter(|bytes| !bytes.is_empty())
                .ok_or_else(|| protocol("UndecodableBinary", request_id))?,
            // An empty one cannot exist in SSM, so it is a broken answer and never a value.
            (None, None) => return Err(protocol("EmptyValue", request_id)),
        };
        let version = version.unwrap_or_else(|| asked.version_id.to_owned());
        Ok(Fetched::new(value, Some(version)))
    }
}

// === impl Metadata ===

impl Metadata {
    /// The kind of the secret `asked`. One that is not known yet is taken for managed, as all are that
    /// people did not make by hand.
    ///
    /// # Errors
    /// [`Class::Protocol`], if the answer is about another secret or does not tell.
    pub(super) fn kind(self, asked: &str) -> Result<Kind, CallError> {
        let request_id = self.request_id.as_deref();
        about(self.secret_name.as_ref(), asked, request_id)?;
        match self.secret_type {
            Some(0) => Ok(Kind::Custom),
            Some(2) => Ok(Kind::KeyPair),
            Some(_) => Ok(Kind::Managed),
            None => Err(protocol("NoSecretType", request_id)),
        }
    }
}

// === impl Versions ===

impl Versions {
    /// The newest version of the secret `asked`. Of several of one second it is the first that is listed,
    /// for the list begins with the newest.
    ///
    /// # Errors
    /// [`Class::Protocol`], if the answer is about another secret, or there is no version.
    pub(super) fn newest(self, asked: &str) -> Result<String, CallError> {
        let request_id = self.request_id.as_deref();
        about(self.secret_name.as_ref(), asked, request_id)?;
        let mut newest: Option<Version> = None;
        for version in self.all.into_iter().flatten() {
            let newer = newest
                .as_ref()
                .is_none_or(|newest| version.create_time > newest.create_time);
            if newer {
                newest = Some(version);
            }
        }
        let newest = newest.filter(|newest| !newest.version_id.is_empty());
        newest.map(|newest| newest.version_id).ok_or_else(|| {
            let detail = Detail::Fixed("the secret has no version");
            protocol("NoVersion", request_id).with_detail(detail)
        })
    }
}

// === impl KeyPair ===

impl KeyPair {
    /// Both keys as one JSON object, of which `property` names one. It has no version.
    pub(super) fn read(self) -> Answer {
        let request_id = self.request_id.as_deref();
        let broken = || protocol("UndecodableKey", request_id);
        let key = |data: Option<SecretBytes>| match data.filter(|data| !data.is_empty()) {
            Some(data) => plain(data).map(Some).ok_or_else(broken),
            None => Ok(None),
        };
        let (public, private) = (key(self.public_key)?, key(self.private_key)?);
        if public.is_none() && private.is_none() {
            return Err(protocol("EmptyValue", request_id));
        }
        let keys = Keys {
            public_key: as_text(public.as_ref()).map_err(|_| broken())?,
            private_key: as_text(private.as_ref()).map_err(|_| broken())?,
        };
        let mut json = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *json, &keys).map_err(|_| broken())?;
        Ok(Fetched::new(
            SecretBytes::new(std::mem::take(&mut *json)),
            None,
        ))
    }
}

/// A key as text: the documentation says that it comes as base64, and shows one that does not.
fn plain(key: SecretBytes) -> Option<SecretBytes> {
    const BEGINNINGS: [&[u8]; 4] = [b"-----BEGIN", b"ssh-", b"ecdsa-", b"sk-"];
    if BEGINNINGS.iter().any(|text| key.expose().starts_with(text)) {
        return Some(key);
    }
    decode::base64(&key).filter(|key| !key.is_empty())
}

fn as_text(key: Option<&SecretBytes>) -> Result<Option<&str>, Utf8Error> {
    key.map(|key| std::str::from_utf8(key.expose())).transpose()
}

/// Lets an answer pass that is about the secret that was asked for, or does not say.
fn about(told: Option<&String>, asked: &str, request_id: Option<&str>) -> Result<(), CallError> {
    match told {
        Some(told) if told != asked => Err(protocol("UnknownName", request_id)),
        _ => Ok(()),
    }
}

fn protocol(code: &str, request_id: Option<&str>) -> CallError {
    CallError::new(Class::Protocol, code).with_request_id(request_id)
}

#[cfg(test)]
mod tests;
