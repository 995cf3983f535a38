//! STS: exchanges a token for credentials, and says whose credentials these are.
//!
//! It caches nothing: the [`credential`](crate::credential) cache does.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::call::{self, Gateway};
use super::code;
use crate::credential::Credentials;
use crate::provider::endpoint::Endpoint;
use crate::provider::{CallError, Class, Detail, Edge};

/// The version of the STS API.
const VERSION: &str = "2015-04-01";

/// STS at one endpoint.
#[derive(Clone)]
pub struct Sts {
    gateway: Gateway,
    edge: Edge,
}

/// What `AssumeRoleWithOIDC` takes.
#[derive(Debug, Clone, Copy)]
pub struct AssumeRoleWithOidc<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// The OIDC provider that issued the token.
    pub provider_arn: &'a str,
    /// Names the session in the cloud's audit log: 2 to 64 of `[A-Za-z0-9.@_-]`.
    pub session_name: &'a str,
    /// How long the credentials shall live, from 900 s to what the role allows; absent: 3600 s.
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the role's, at most 2048 characters.
    pub policy: Option<&'a str>,
    /// The token. It travels in the request's body only.
    pub token: &'a SecretString,
}

/// Who we are to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caller {
    /// The number of the account.
    pub account_id: String,
    /// `RAMUser`, `AssumedRoleUser`, or `Account` for the account's root.
    pub identity_type: Option<String>,
    /// The ARN of the user, role session or account.
    pub arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    request_id: Option<String>,
    credentials: Issued,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Issued {
    access_key_id: String,
    #[serde(deserialize_with = "call::credential")]
    access_key_secret: SecretString,
    #[serde(deserialize_with = "call::credential")]
    security_token: SecretString,
    expiration: String,
}

// === impl Sts ===

impl Sts {
    /// STS at `endpoint`.
    pub fn new(endpoint: Endpoint, edge: Edge) -> Self {
        Self {
            gateway: Gateway::new(edge.clone(), endpoint, VERSION, code::STS),
            edge,
        }
    }

    /// Exchanges a token for the credentials of a role. The call is not signed.
    ///
    /// # Errors
    /// The class of STS's code; [`Class::Protocol`] for an answer without usable credentials.
    pub async fn assume_role_with_oidc(
        &self,
        request: &AssumeRoleWithOidc<'_>,
    ) -> Result<Credentials, CallError> {
        let duration = request.duration_seconds.map(|seconds| seconds.to_string());
        let mut parameters = vec![
            ("RoleArn", request.role_arn),
            ("OIDCProviderArn", request.provider_arn),
            ("OIDCToken", request.token.expose_secret()),
            ("RoleSessionName", request.session_name),
        ];
        if let Some(seconds) = &duration {
            parameters.push(("DurationSeconds", seconds));
        }
        if let Some(policy) = request.policy {
            parameters.push(("Policy", policy));
        }
        let assumed: Assumed = self
            .gateway
            .anonymous("AssumeRoleWithOIDC", &parameters)
            .await?;
        assumed.into_credentials(self.edge.clock.now())
    }

    /// Says whose `credentials` are. It needs no permission.
    ///
    /// # Errors
    /// The class of STS's code.
    pub async fn caller(&self, credentials: &Credentials) -> Result<Caller, CallError> {
        self.gateway
            .signed(credentials, "GetCallerIdentity", &[])
            .await
    }
}

// === impl Assumed ===

impl Assumed {
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, CallError> {
        let Issued {
            access_key_id,
            access_key_secret,
            security_token,
            expiration,
        } = self.credentials;
        let unusable = |problem| {
            CallError::new(Class::Protocol, "UnusableCredentials")
                .with_detail(Detail::Fixed(problem))
                .with_request_id(self.request_id.as_deref())
        };
        let secrets = [&access_key_secret, &security_token];
        if access_key_id.is_empty() || secrets.iter().any(|s| s.expose_secret().is_empty()) {
            return Err(unusable("the credentials are incomplete"));
        }
        let expires_at: Timestamp = expiration
            .parse()
            .map_err(|_| unusable("their expiration is no timestamp"))?;
        if expires_at <= now {
            return Err(unusable("they have expired already: compare the clocks"));
        }
        Ok(Credentials {
            access_key_id,
            access_key_secret,
            security_token: Some(security_token),
            expires_at: Some(expires_at),
        })
    }
}

#[cfg(test)]
mod tests;
