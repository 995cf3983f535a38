//! The TC3-HMAC-SHA256 signature of Tencent Cloud's API 3.0.
//!
//! It is a pure function of the request, the credentials and a time. The algorithm is the one of the
//! vendor's page "Signature v3". Like all the vendor's SDKs it signs `content-type` and `host` and no
//! more, so that a request of ours is, byte for byte, one that they send: what the action and the region
//! are is guarded by TLS alone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::hmac;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::credential::Credentials;
use crate::provider::hex::{hex, sha256_hex};
use crate::provider::{CallError, Class};

/// The name of the algorithm, which starts the `authorization` header.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";
/// What every body is.
pub const CONTENT_TYPE: &str = "application/json";

/// What is signed: one POST to `/` in its parts.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The service's short name, such as `ssm`. It need not be a part of the host.
    pub service: &'a str,
    /// The headers to sign, with lower-case names, in any order: `content-type` and `host` at least.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact body.
    pub body: &'a [u8],
    /// Seconds since the Unix epoch, as in `x-tc-timestamp`; at most five minutes off the cloud's.
    pub timestamp: i64,
}

/// One call before it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The service's short name.
    pub service: &'a str,
    /// The host header, with its port if there is one.
    pub host: &'a str,
    /// The API's action.
    pub action: &'a str,
    /// The API's version.
    pub version: &'a str,
    /// The region whose data is meant.
    pub region: &'a str,
    /// The exact body.
    pub body: &'a [u8],
    /// Seconds since the Unix epoch.
    pub timestamp: i64,
}

/// The headers to send with a call, `host` (which HTTP itself sends) left out. They are wiped when
/// dropped.
pub type Headers = Vec<(&'static str, Zeroizing<String>)>;

// === impl Parts ===

impl Parts<'_> {
    /// The canonical request, over which the signature is made.
    pub fn canonical(&self) -> String {
        let line = |(name, value): &(&str, &str)| {
            let value = value.trim().to_ascii_lowercase();
            format!("{name}:{value}\n")
        };
        let headers: String = self.sorted_headers().iter().map(line).collect();
        let (signed, body) = (self.signed_headers(), sha256_hex(self.body));
        format!("POST\n/\n\n{headers}\n{signed}\n{body}")
    }

    /// The names of the signed headers, joined by semicolons.
    pub fn signed_headers(&self) -> String {
        let headers = self.sorted_headers();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        names.join(";")
    }

    /// The value of the `authorization` header.
    ///
    /// # Errors
    /// [`Class::Protocol`] for a time that no calendar has.
    pub fn authorization(&self, secret_id: &str, secret_key: &str) -> Result<String, CallError> {
        let time = Timestamp::from_second(self.timestamp)
            .map_err(|_| CallError::new(Class::Protocol, "NoSuchTime"))?;
        let date = time.to_zoned(TimeZone::UTC).date();
        let scope = format!("{date}/{}/tc3_request", self.service);
        let canonical = sha256_hex(self.canonical().as_bytes());
        let text = format!("{ALGORITHM}\n{}\n{scope}\n{canonical}", self.timestamp);
        let first = Zeroizing::new(format!("TC3{secret_key}"));
        let steps = [&date.to_string(), self.service, "tc3_request", &text];
        let mut key = Zeroizing::new(first.as_bytes().to_vec());
        for step in steps {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes());
            key = Zeroizing::new(tag.as_ref().to_vec());
        }
        Ok(format!(
            "{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={}, Signature={}",
            self.signed_headers(),
            hex(&key)
        ))
    }

    fn sorted_headers(&self) -> Vec<(&str, &str)> {
        let mut headers = self.headers.to_vec();
        headers.sort_unstable();
        headers
    }
}

// === impl Call ===

impl Call<'_> {
    /// Signs the call with `credentials`.
    ///
    /// # Errors
    /// [`Class::Protocol`] for a time that no calendar has.
    pub fn sign(&self, credentials: &Credentials) -> Result<Headers, CallError> {
        let parts = Parts {
            service: self.service,
            headers: &[("content-type", CONTENT_TYPE), ("host", self.host)],
            body: self.body,
            timestamp: self.timestamp,
        };
        let key = credentials.access_key_secret.expose_secret();
        let authorization = parts.authorization(&credentials.access_key_id, key)?;
        let mut headers = self.headers(authorization);
        if let Some(token) = &credentials.security_token {
            let token = Zeroizing::new(token.expose_secret().to_owned());
            headers.push(("x-tc-token", token));
        }
        Ok(headers)
    }

    /// The call as one that is not to be signed.
    pub fn unsigned(&self) -> Headers {
        self.headers("SKIP".to_owned())
    }

    fn headers(&self, authorization: String) -> Headers {
        let own = |text: &str| Zeroizing::new(text.to_owned());
        vec![
            ("content-type", own(CONTENT_TYPE)),
            ("x-tc-action", own(self.action)),
            ("x-tc-version", own(self.version)),
            ("x-tc-region", own(self.region)),
            ("x-tc-timestamp", own(&self.timestamp.to_string())),
            // Else messages, which only people read who look at the wire, are Chinese.
            ("x-tc-language", own("en-US")),
            ("authorization", Zeroizing::new(authorization)),
        ]
    }
}

#[cfg(test)]
mod tests;
