//! Temporary credentials as clouds write them, and what makes them usable.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::Credentials;

/// The longest token that is used: twice the longest that a cloud documents.
const LONGEST_TOKEN: usize = 8 << 10;

/// Credentials as they were issued, not judged yet.
pub(crate) trait Issued: DeserializeOwned {
    /// The credentials, if they can be used `now`.
    ///
    /// # Errors
    /// What is wrong with them, in words that hold nothing of them.
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, &'static str>;
}

/// As Alibaba Cloud writes them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AlibabaIssued {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    access_key_secret: SecretString,
    #[serde(deserialize_with = "secret")]
    security_token: SecretString,
    expiration: String,
}

/// As Tencent Cloud's token service writes them, without their end.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TencentKey {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: SecretString,
    #[serde(deserialize_with = "secret")]
    token: SecretString,
}

/// As Tencent Cloud's metadata service writes them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TencentIssued {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: SecretString,
    #[serde(deserialize_with = "secret")]
    token: SecretString,
    expired_time: i64,
}

// === impl AlibabaIssued ===

impl Issued for AlibabaIssued {
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, &'static str> {
        let ends = self.expiration.parse().ok();
        let token = self.security_token;
        usable(self.access_key_id, self.access_key_secret, token, ends, now)
    }
}

// === impl TencentKey ===

impl TencentKey {
    /// The credentials, if they can be used `now` and end at `ends`, in seconds.
    ///
    /// # Errors
    /// As [`Issued::into_credentials`].
    pub(crate) fn into_credentials(
        self,
        ends: i64,
        now: Timestamp,
    ) -> Result<Credentials, &'static str> {
        let ends = Timestamp::from_second(ends).ok();
        usable(
            self.tmp_secret_id,
            self.tmp_secret_key,
            self.token,
            ends,
            now,
        )
    }
}

// === impl TencentIssued ===

impl Issued for TencentIssued {
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, &'static str> {
        let key = TencentKey {
            tmp_secret_id: self.tmp_secret_id,
            tmp_secret_key: self.tmp_secret_key,
            token: self.token,
        };
        key.into_credentials(self.expired_time, now)
    }
}

fn usable(
    id: String,
    secret: SecretString,
    token: SecretString,
    ends: Option<Timestamp>,
    now: Timestamp,
) -> Result<Credentials, &'static str> {
    let text = [&*id, secret.expose_secret(), token.expose_secret()];
    if text.iter().any(|text| text.is_empty()) {
        return Err("the credentials are incomplete");
    }
    if text.iter().any(|text| text.len() > LONGEST_TOKEN) {
        return Err("the key or the token is longer than any of the cloud's");
    }
    if !is_sendable(&id) || !is_sendable(token.expose_secret()) {
        return Err("the key's id or the token holds characters that no header can carry");
    }
    let ends = ends.ok_or("their expiration is no timestamp")?;
    if ends <= now {
        return Err("they have expired already: compare the clocks");
    }
    Ok(Credentials {
        access_key_id: id,
        access_key_secret: secret,
        security_token: Some(token),
        expires_at: Some(ends),
    })
}

/// Whether a header carries `text` as it is; the signature covers it without white space around.
fn is_sendable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn secret<'de, D: Deserializer<'de>>(decoder: D) -> Result<SecretString, D::Error> {
    String::deserialize(decoder).map(SecretString::from)
}
