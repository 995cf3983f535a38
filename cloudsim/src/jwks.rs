//! The public keys of OIDC issuers, given or fetched by https discovery.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::seed::OidcProvider;
use crate::shared::Shared;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A JSON Web Key Set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// An RSA public key of a set. Fields that verification does not need are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type; only `RSA` is used.
    pub kty: String,
    /// The key's id.
    #[serde(default)]
    pub kid: String,
    /// The modulus, base64url.
    #[serde(default)]
    pub n: String,
    /// The exponent, base64url.
    #[serde(default)]
    pub e: String,
}

/// Key sets by issuer, fetched when needed and again when a key is not among them.
pub(crate) struct KeySets {
    ca_pem: Option<String>,
    client: OnceLock<Option<reqwest::Client>>,
    cached: Shared<HashMap<String, Arc<Jwks>>>,
}

/// The issuer's keys could not be had. The reason is for the simulator's log.
#[derive(Debug)]
pub(crate) struct Broken(String);

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

// === impl Jwks ===

impl Jwks {
    fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys
            .iter()
            .find(|key| key.kid == kid && key.kty == "RSA")
    }
}

// === impl KeySets ===

impl KeySets {
    pub(crate) fn new(ca_pem: Option<String>) -> Self {
        Self {
            ca_pem,
            client: OnceLock::new(),
            cached: Shared::default(),
        }
    }

    pub(crate) fn forget(&self, issuer: &str) {
        self.cached.write().remove(issuer);
    }

    /// The provider's key of this id, `None` if the issuer has no such key.
    pub(crate) async fn find(
        &self,
        provider: &OidcProvider,
        kid: &str,
    ) -> Result<Option<Jwk>, Broken> {
        if let Some(jwks) = &provider.jwks {
            return Ok(jwks.find(kid).cloned());
        }
        let cached = self.cached.read().get(&provider.issuer).cloned();
        if let Some(key) = cached.and_then(|jwks| jwks.find(kid).cloned()) {
            return Ok(Some(key));
        }
        let fetched = Arc::new(self.fetch(&provider.issuer).await?);
        self.cached
            .write()
            .insert(provider.issuer.clone(), fetched.clone());
        Ok(fetched.find(kid).cloned())
    }

    async fn fetch(&self, issuer: &str) -> Result<Jwks, Broken> {
        let client = self.client.get_or_init(|| self.build()).as_ref();
        let client = client.ok_or_else(|| Broken("the CA is not usable".to_owned()))?;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let discovery: Discovery = get(client, &url).await?;
        if discovery.issuer != issuer {
            return Err(Broken(
                "the discovery document is of another issuer".to_owned(),
            ));
        }
        if !discovery.jwks_uri.starts_with("https://") {
            return Err(Broken("the key set's URL is not https".to_owned()));
        }
        get(client, &discovery.jwks_uri).await
    }

    fn build(&self) -> Option<reqwest::Client> {
        // Somebody may have installed a provider already, and that is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .no_proxy();
        if let Some(pem) = &self.ca_pem {
            builder =
                builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes()).ok()?);
        }
        builder.build().ok()
    }
}

// === impl Broken ===

impl Broken {
    pub(crate) fn reason(&self) -> &str {
        &self.0
    }
}

async fn get<T: serde::de::DeserializeOwned>(
    client: &reqwest::Client,
    url: &str,
) -> Result<T, Broken> {
    let broken = |error: reqwest::Error| Broken(format!("{url}: {error:?}"));
    let response = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(broken)?;
    response.json().await.map_err(broken)
}
