//! TC3-HMAC-SHA256, the server's side.
//!
//! Written from the protocol's description, with primitives that the operator does not use: a simulator that
//! shared the signer would only prove that the signer agrees with itself.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;
use crate::request::Request;

pub(super) const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// What a client must sign at least.
const MANDATORY: [&str; 2] = ["content-type", "host"];

/// The `Authorization` header, taken apart.
#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) key_id: String,
    /// The UTC date of the scope, as `2023-11-14`.
    pub(super) date: String,
    /// The service of the scope.
    pub(super) service: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

fn malformed(why: &str) -> Refusal {
    let message =
        format!("The Authorization header does not comply with Tencent Cloud standards: {why}.");
    Refusal::new(200, "AuthFailure.InvalidAuthorization", message)
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    // HMAC takes keys of any length, so this never falls back; an all-zero key would verify nothing.
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
    mac.update(text.as_bytes());
    mac
}

fn derived(key: &[u8], text: &str) -> Vec<u8> {
    mac(key, text).finalize().into_bytes().to_vec()
}

// === impl Authorization ===

impl Authorization {
    /// Reads the header and checks that it signs enough.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        let value = request.header("authorization");
        let value = value.ok_or_else(|| malformed("there is none"))?;
        let this = Self::parse(value).ok_or_else(|| malformed("its form is not known"))?;
        let names = &this.signed_headers;
        if !names.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(malformed(
                "SignedHeaders are not in their order, or not distinct",
            ));
        }
        if names
            .iter()
            .any(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()))
        {
            return Err(malformed("SignedHeaders are not in lower case"));
        }
        let signs = |name: &&str| names.iter().any(|signed| signed == name);
        if let Some(name) = MANDATORY.iter().find(|name| !signs(name)) {
            return Err(malformed(&format!("{name} must be signed")));
        }
        let sent = |name: &&String| request.headers.contains_key(name.as_str());
        if let Some(name) = names.iter().find(|name| !sent(name)) {
            return Err(malformed(&format!("{name} was signed and not sent")));
        }
        Ok(this)
    }

    fn parse(value: &str) -> Option<Self> {
        let fields = value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let [credential, signed_headers, signature] =
            fields.split(',').collect::<Vec<_>>().try_into().ok()?;
        let field = |text: &'_ str, name: &str| -> Option<String> {
            let value = text.trim_start().strip_prefix(name)?.strip_prefix('=')?;
            Some(value.to_owned())
        };
        let credential = field(credential, "Credential")?;
        let [key_id, date, service, "tc3_request"] = credential.split('/').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let signature = field(signature, "Signature")?;
        let lower = !signature.bytes().any(|byte| byte.is_ascii_uppercase());
        Some(Self {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            service: service.to_owned(),
            signed_headers: field(signed_headers, "SignedHeaders")?
                .split(';')
                .map(str::to_owned)
                .collect(),
            signature: hex::decode(signature).ok().filter(|_| lower)?,
        })
    }

    /// Compares the signature with the server's own.
    pub(super) fn verify(
        &self,
        request: &Request,
        timestamp: &str,
        secret: &str,
    ) -> Result<(), Refusal> {
        let key = derived(format!("TC3{secret}").as_bytes(), &self.date);
        let key = derived(&derived(&key, &self.service), "tc3_request");
        let text = self.string_to_sign(request, timestamp);
        mac(&key, &text).verify_slice(&self.signature).map_err(|_| {
            let message = "The provided credentials could not be validated. Please check your signature is correct.";
            Refusal::new(200, "AuthFailure.SignatureFailure", message)
        })
    }

    fn string_to_sign(&self, request: &Request, timestamp: &str) -> String {
        let canonical = hex::encode(Sha256::digest(self.canonical(request)));
        let Self { date, service, .. } = self;
        format!("{ALGORITHM}\n{timestamp}\n{date}/{service}/tc3_request\n{canonical}")
    }

    /// The canonical request: content type and host as they were sent, other headers in lower case.
    fn canonical(&self, request: &Request) -> String {
        let lines: String = self
            .signed_headers
            .iter()
            .map(|name| {
                let value = request.header(name).unwrap_or_default();
                if MANDATORY.contains(&name.as_str()) {
                    format!("{name}:{value}\n")
                } else {
                    format!("{name}:{}\n", value.to_lowercase())
                }
            })
            .collect();
        let (names, body) = (self.signed_headers.join(";"), Sha256::digest(&request.body));
        let method = &request.method;
        format!("{method}\n/\n\n{lines}\n{names}\n{}", hex::encode(body))
    }
}

#[cfg(test)]
mod golden;
