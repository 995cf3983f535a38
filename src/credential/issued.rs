//! Temporary credentials as clouds write them, and what makes them usable.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::Credentials;

/// Credentials as they were issued, not judged yet.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Issued {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    access_key_secret: SecretString,
    #[serde(deserialize_with = "secret")]
    security_token: SecretString,
    expiration: String,
}

// === impl Issued ===

impl Issued {
    /// The credentials, if they can be used `now`.
    ///
    /// # Errors
    /// What is wrong with them, in words that hold nothing of them.
    pub(crate) fn into_credentials(self, now: Timestamp) -> Result<Credentials, &'static str> {
        let secrets = [&self.access_key_secret, &self.security_token];
        if self.access_key_id.is_empty() || secrets.iter().any(|s| s.expose_secret().is_empty()) {
            return Err("the credentials are incomplete");
        }
        let sent = [
            self.access_key_id.as_str(),
            self.security_token.expose_secret(),
        ];
        if !sent.iter().all(|text| is_sendable(text)) {
            return Err("the key's id or the token holds characters that no header can carry");
        }
        let expires_at = self.expiration.parse::<Timestamp>();
        let expires_at = expires_at.map_err(|_| "their expiration is no timestamp")?;
        if expires_at <= now {
            return Err("they have expired already: compare the clocks");
        }
        Ok(Credentials {
            access_key_id: self.access_key_id,
            access_key_secret: self.access_key_secret,
            security_token: Some(self.security_token),
            expires_at: Some(expires_at),
        })
    }
}

/// Whether a header carries `text` as it is; the signature covers it without white space around.
fn is_sendable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn secret<'de, D: Deserializer<'de>>(decoder: D) -> Result<SecretString, D::Error> {
    String::deserialize(decoder).map(SecretString::from)
}
