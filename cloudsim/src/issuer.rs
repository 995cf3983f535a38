//! An OIDC issuer for tests: signs tokens as a cluster's API server would.

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::jwks::{Jwk, Jwks};

/// A throw-away key, as public as this repository. It protects nothing.
const THROW_AWAY_KEY: &str = include_str!("issuer/throw-away-key.pem");

/// An issuer with one RSA key.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    kid: String,
    key: KeyPair,
}

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The subject, for example `system:serviceaccount:shop:reader`.
    pub sub: String,
    /// The audiences.
    pub aud: Vec<String>,
    /// The end of its validity, as Unix time.
    pub exp: i64,
    /// The time of issue.
    pub iat: i64,
    /// The start of its validity.
    pub nbf: i64,
}

/// The key cannot be used.
#[derive(Debug, Error)]
#[error("the key is not a usable RSA key in PKCS #8 PEM")]
pub struct IssuerError;

fn modulus(key: &KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(PublicKeyComponents::<Vec<u8>>::from(key.public()).n)
}

// === impl Issuer ===

impl Issuer {
    /// An issuer of this URL with the repository's throw-away key.
    pub fn throw_away(url: &str) -> Result<Self, IssuerError> {
        Self::from_pem(url, THROW_AWAY_KEY)
    }

    /// An issuer of this URL with a key in PKCS #8 PEM.
    pub fn from_pem(url: &str, pem: &str) -> Result<Self, IssuerError> {
        let text: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let der = STANDARD.decode(text).map_err(|_| IssuerError)?;
        let key = KeyPair::from_pkcs8(&der).map_err(|_| IssuerError)?;
        let kid = modulus(&key).chars().take(16).collect();
        Ok(Self {
            url: url.to_owned(),
            kid,
            key,
        })
    }

    /// The issuer's public keys, for [`OidcProvider::jwks`](crate::OidcProvider::jwks).
    pub fn jwks(&self) -> Jwks {
        let e = PublicKeyComponents::<Vec<u8>>::from(self.key.public()).e;
        let key = Jwk {
            kty: "RSA".to_owned(),
            kid: self.kid.clone(),
            n: modulus(&self.key),
            e: URL_SAFE_NO_PAD.encode(e),
        };
        Jwks { keys: vec![key] }
    }

    /// The discovery document, with the key set at `/keys`.
    pub fn discovery(&self) -> Value {
        json!({ "issuer": self.url, "jwks_uri": format!("{}/keys", self.url) })
    }

    /// Claims as a cluster makes them, valid for ten minutes from now.
    pub fn claims(&self, subject: &str, audience: &str, now: Timestamp) -> Claims {
        let now = now.as_second();
        Claims {
            iss: self.url.clone(),
            sub: subject.to_owned(),
            aud: vec![audience.to_owned()],
            exp: now + 600,
            iat: now,
            nbf: now,
        }
    }

    /// A signed token for the claims.
    pub fn sign(&self, claims: &Claims) -> String {
        let header = json!({ "alg": "RS256", "kid": self.kid });
        let part = |value: String| URL_SAFE_NO_PAD.encode(value);
        let signed = format!(
            "{}.{}",
            part(header.to_string()),
            part(json!(claims).to_string())
        );
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        // Signing with PKCS #1 padding into a buffer of the right length does not fail; if it did, the
        // token would not verify.
        let _ = self.key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            signed.as_bytes(),
            &mut signature,
        );
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token of this subject and audience, valid for ten minutes from now.
    pub fn token(&self, subject: &str, audience: &str) -> String {
        self.sign(&self.claims(subject, audience, Timestamp::now()))
    }
}
