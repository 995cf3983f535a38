//! The ACS3-HMAC-SHA256 signature of Alibaba Cloud's RPC-style calls.
//!
//! It is a pure function of the request, the credentials, a date and a nonce: it reads no clock and
//! draws no randomness. The algorithm is the one of the vendor's page "V3 request body and
//! signature mechanism". Of the headers it signs `host`, `content-type` and `x-acs-*`, as the
//! vendor's Go SDK does, because proxies may rewrite others.

use ring::hmac;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::credential::Credentials;
use crate::provider::hex::{hex, sha256_hex};

/// The name of the algorithm, which starts the `authorization` header.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What is signed: one HTTP request in its parts.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path; `/` for RPC-style calls.
    pub path: &'a str,
    /// The query as names and plain values, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// The headers to sign, with lower-case names, in any order.
    pub headers: &'a [(&'a str, &'a str)],
    /// Lower-case hexadecimal SHA-256 of the exact body.
    pub body_digest: &'a str,
}

/// One RPC-style call before it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The host header, with its port if there is one.
    pub host: &'a str,
    /// The API's action.
    pub action: &'a str,
    /// The API's version.
    pub version: &'a str,
    /// The business parameters.
    pub query: &'a [(&'a str, &'a str)],
    /// The body and its content type, if the action has body parameters.
    pub form: Option<&'a [u8]>,
    /// The time of the call, such as `2024-06-01T12:34:56Z`; at most 15 minutes off the cloud's.
    pub date: &'a str,
    /// Anything that no other call carries.
    pub nonce: &'a str,
}

/// The headers to send with a call, `authorization` included and `host` (which HTTP itself sends)
/// left out. They are wiped when dropped.
pub type Headers = Vec<(&'static str, Zeroizing<String>)>;

// === impl Parts ===

impl Parts<'_> {
    /// The canonical request, which the signature is made over. It holds the session token.
    pub fn canonical(&self) -> Zeroizing<String> {
        let headers = self.sorted_headers();
        let mut text = Zeroizing::new(String::with_capacity(4096));
        for part in [self.method, self.path, &encode_query(self.query)] {
            text.push_str(part);
            text.push('\n');
        }
        for (name, value) in headers {
            text.push_str(name);
            text.push(':');
            text.push_str(value.trim());
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.signed_headers());
        text.push('\n');
        text.push_str(self.body_digest);
        text
    }

    /// The names of the signed headers, joined by semicolons.
    pub fn signed_headers(&self) -> String {
        let names: Vec<&str> = self
            .sorted_headers()
            .iter()
            .map(|(name, _)| *name)
            .collect();
        names.join(";")
    }

    /// The value of the `authorization` header.
    pub fn authorization(&self, access_key_id: &str, secret: &[u8]) -> String {
        let canonical = sha256_hex(self.canonical().as_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, format!("{ALGORITHM}\n{canonical}").as_bytes());
        format!(
            "{ALGORITHM} Credential={access_key_id},SignedHeaders={},Signature={}",
            self.signed_headers(),
            hex(tag.as_ref())
        )
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
    pub fn sign(&self, credentials: &Credentials) -> Headers {
        let token = credentials.security_token.as_ref();
        let mut headers: Headers = Vec::with_capacity(9);
        let mut set = |name, value: &str| headers.push((name, Zeroizing::new(value.to_owned())));
        set("x-acs-action", self.action);
        set("x-acs-version", self.version);
        set("x-acs-date", self.date);
        set("x-acs-signature-nonce", self.nonce);
        let body_digest = sha256_hex(self.form.unwrap_or_default());
        set("x-acs-content-sha256", &body_digest);
        if self.form.is_some() {
            set("content-type", "application/x-www-form-urlencoded");
        }
        if let Some(token) = token {
            set("x-acs-accesskey-id", &credentials.access_key_id);
            set("x-acs-security-token", token.expose_secret());
        }
        let mut signed: Vec<(&str, &str)> = vec![("host", self.host)];
        signed.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
        let parts = Parts {
            method: "POST",
            path: "/",
            query: self.query,
            headers: &signed,
            body_digest: &body_digest,
        };
        let secret = credentials.access_key_secret.expose_secret();
        let authorization = parts.authorization(&credentials.access_key_id, secret.as_bytes());
        headers.push(("authorization", Zeroizing::new(authorization)));
        headers
    }
}

/// Percent-encodes by RFC 3986: everything but `A-Z a-z 0-9 - _ . ~`.
pub fn encode(text: &str) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // Room for the worst case, so that no copy of a secret is left behind by growing.
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// Encodes names and values as a query or a form, sorted by name and then value.
pub fn encode_query(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let longest = |(name, value): &(&str, &str)| (name.len() + value.len()) * 3 + 2;
    let mut text = Zeroizing::new(String::with_capacity(pairs.iter().map(longest).sum()));
    for (name, value) in sorted {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&encode(name));
        text.push('=');
        text.push_str(&encode(value));
    }
    text
}

#[cfg(test)]
mod tests;
