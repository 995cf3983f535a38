//! ACS3-HMAC-SHA256, the server's side.
//!
//! Written from the protocol's description, with primitives that the operator does not use: a simulator that
//! shared the signer would only prove that the signer agrees with itself.

use std::fmt::Write as _;

use axum::http::HeaderName;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;
use crate::request::Request;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What a client must sign at least; any further `x-acs-` header that it sends must be signed too.
const MANDATORY: [&str; 6] = [
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
];

/// The `Authorization` header, taken apart.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) key_id: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

/// What the server computed from a request.
#[derive(Debug)]
pub(crate) struct Canonical {
    pub(crate) request: String,
    pub(crate) string_to_sign: String,
}

// === impl Authorization ===

impl Authorization {
    /// Reads the header and checks that it signs enough.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let Some(value) = request.header("authorization") else {
            return Err(match request.parameter("Signature") {
                Some(_) => incomplete(
                    "this server verifies ACS3-HMAC-SHA256 only, not the parameter Signature",
                ),
                None => Refusal::missing("Authorization"),
            });
        };
        let authorization = Self::parse(value)
            .ok_or_else(|| incomplete("the Authorization header is malformed"))?;
        let signs = |name: &str| {
            authorization
                .signed_headers
                .iter()
                .any(|signed| signed == name)
        };
        if let Some(name) = MANDATORY.iter().find(|name| !signs(name)) {
            return Err(incomplete(&format!("{name} must be signed")));
        }
        let mut sent = request.headers.keys().map(HeaderName::as_str);
        if let Some(name) = sent.find(|name| name.starts_with("x-acs-") && !signs(name)) {
            return Err(incomplete(&format!("{name} was sent and not signed")));
        }
        let mut signed = authorization.signed_headers.iter();
        if let Some(name) = signed.find(|name| !request.headers.contains_key(name.as_str())) {
            return Err(incomplete(&format!("{name} was signed and not sent")));
        }
        Ok(authorization)
    }

    fn parse(value: &str) -> Option<Self> {
        let fields = value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let (mut key_id, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.split_once('=')?;
            match name.trim() {
                "Credential" => key_id = Some(value.to_owned()),
                "SignedHeaders" => {
                    signed_headers = Some(value.split(';').map(str::to_owned).collect());
                }
                "Signature" => signature = Some(lower_hex(value)?),
                _ => return None,
            }
        }
        Some(Self {
            key_id: key_id?,
            signed_headers: signed_headers?,
            signature: signature?,
        })
    }

    /// Compares the signature with the server's own, and answers as the real cloud does if they differ:
    /// with everything the server signed. Clients must not repeat that message, for it may hold a token.
    pub(crate) fn verify(&self, request: &Request, secret: &str) -> Result<(), Refusal> {
        let canonical = self.canonical(request);
        if mac(secret, &canonical.string_to_sign)
            .verify_slice(&self.signature)
            .is_ok()
        {
            return Ok(());
        }
        Err(Refusal::new(
            400,
            "SignatureDoesNotMatch",
            format!(
                "Specified signature does not match our calculation. server StringToSign is [{}], server CanonicalRequest is [{}]",
                canonical.string_to_sign, canonical.request
            ),
        ))
    }

    /// The canonical request, by the headers that the client says it signed.
    pub(crate) fn canonical(&self, request: &Request) -> Canonical {
        let mut names = self.signed_headers.clone();
        names.sort_unstable();
        let mut text = format!(
            "{}\n{}\n{}\n",
            request.method,
            request.path,
            canonical_query(request)
        );
        for name in &names {
            let values = request.headers.get_all(name);
            let mut values: Vec<_> = values
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
                .collect();
            values.sort_unstable();
            let _ = writeln!(text, "{name}:{}", values.join(","));
        }
        let _ = write!(text, "\n{}\n{}", names.join(";"), body_hash(request));
        let string_to_sign = format!("{ALGORITHM}\n{}", hex::encode(Sha256::digest(&text)));
        Canonical {
            request: text,
            string_to_sign,
        }
    }
}

/// The lower-case hex SHA-256 of the body as it arrived.
pub(crate) fn body_hash(request: &Request) -> String {
    hex::encode(Sha256::digest(&request.body))
}

fn mac(secret: &str, text: &str) -> Hmac<Sha256> {
    let key = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    // HMAC takes keys of any length, so this never falls back; an all-zero key would verify nothing.
    let mut mac = key.unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
    mac.update(text.as_bytes());
    mac
}

fn incomplete(why: &str) -> Refusal {
    Refusal::new(
        400,
        "IncompleteSignature",
        format!("The request signature does not conform to Aliyun standards: {why}."),
    )
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode(text).ok()
}

fn canonical_query(request: &Request) -> String {
    let mut pairs: Vec<_> = request.query().iter().collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod golden;
