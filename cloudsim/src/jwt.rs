//! OIDC tokens: really verified, RS256 only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;

use crate::jwks::{Jwk, KeySets};
use crate::refusal::Refusal;
use crate::seed::OidcProvider;

/// How far the clocks of issuer and cloud may differ when a token is said not to be valid yet.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// A token that was found good.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) expires: Timestamp,
    pub(crate) issued: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

// === impl Token ===

impl Token {
    /// Verifies a token against a provider: issuer, signature, times, audience, in this order.
    pub(crate) async fn verify(
        text: &str,
        provider: &OidcProvider,
        key_sets: &KeySets,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let malformed = || invalid("The OIDCToken is not a JSON Web Token.");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let header: Header = decode(header).ok_or_else(malformed)?;
        let claims: Claims = decode(claims).ok_or_else(malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
        if header.alg != "RS256" {
            return Err(invalid("The OIDCToken must be signed with RS256."));
        }
        if claims.iss != provider.issuer {
            return Err(fail(
                "IssuerNotMatch",
                "The issuer of the OIDCToken does not match that of the provider.",
            ));
        }
        let key = key_sets
            .find(provider, &header.kid)
            .await
            .map_err(|broken| {
                tracing::warn!(
                    issuer = provider.issuer,
                    reason = broken.reason(),
                    "issuer keys are not available"
                );
                fail(
                    "IssuerConfigurationBroken",
                    "The keys of the issuer could not be obtained.",
                )
            })?;
        let key = key.ok_or_else(|| invalid("The issuer has no such key."))?;
        verify_signature(&key, signed, &signature)?;

        let expires = time(claims.exp)?;
        if now >= expires {
            return Err(fail("Expired", "The OIDCToken is expired."));
        }
        let issued = claims.iat.map(time).transpose()?;
        let start = claims.nbf.map(time).transpose()?;
        if start
            .into_iter()
            .chain(issued)
            .any(|start| start > now + LEEWAY)
        {
            return Err(invalid("The OIDCToken is not valid yet."));
        }
        let audiences = match claims.aud {
            Audience::One(audience) => vec![audience],
            Audience::Many(audiences) => audiences,
        };
        if !audiences
            .iter()
            .any(|audience| provider.client_ids.contains(audience))
        {
            return Err(fail(
                "AudienceNotMatch",
                "The audience of the OIDCToken is not a client id of the provider.",
            ));
        }
        Ok(Self {
            subject: claims.sub,
            audiences,
            expires,
            issued,
        })
    }
}

pub(crate) fn invalid(message: &str) -> Refusal {
    fail("Invalid", message)
}

fn fail(what: &str, message: &str) -> Refusal {
    Refusal::new(400, format!("AuthenticationFail.OIDCToken.{what}"), message)
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn verify_signature(key: &Jwk, signed: &str, signature: &[u8]) -> Result<(), Refusal> {
    let part = |text: &str| {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| invalid("The issuer's key is not usable."))
    };
    let key = RsaPublicKeyComponents {
        n: part(&key.n)?,
        e: part(&key.e)?,
    };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), signature)
        .map_err(|_| invalid("The signature of the OIDCToken is wrong."))
}

fn time(seconds: f64) -> Result<Timestamp, Refusal> {
    let duration = SignedDuration::try_from_secs_f64(seconds).ok();
    let time = duration.and_then(|duration| Timestamp::from_duration(duration).ok());
    time.ok_or_else(|| invalid("The OIDCToken holds an impossible time."))
}
