//! What makes temporary credentials usable. How a cloud writes them is in its own folder.

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

/// Credentials of these parts, if they can be used `now`; `ends` is absent where it was no time.
///
/// # Errors
/// As [`Issued::into_credentials`].
pub(super) fn usable(
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

/// Decodes a text that is a secret.
pub(super) fn secret<'de, D: Deserializer<'de>>(decoder: D) -> Result<SecretString, D::Error> {
    String::deserialize(decoder).map(SecretString::from)
}
