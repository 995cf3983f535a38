//! STS: exchanges a token or other credentials for a role's, and says whose credentials these are.
//!
//! It caches nothing: the [`credential`](crate::credential) cache does.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::call::Gateway;
use super::code;
use crate::credential::{AlibabaIssued, Credentials, Issued};
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

/// What `AssumeRole` takes.
#[derive(Debug, Clone, Copy)]
pub struct AssumeRole<'a> {
    /// The role.
    pub role_arn: &'a str,
    /// What the role's owner asks callers to say.
    pub external_id: Option<&'a str>,
    /// Names the session in the cloud's audit log: 2 to 64 of `[A-Za-z0-9.@_-]`.
    pub session_name: &'a str,
    /// How long the credentials shall live, from 900 s to what the role allows; absent: 3600 s.
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the role's, at most 2048 characters.
    pub policy: Option<&'a str>,
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
    credentials: AlibabaIssued,
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

    /// Enters a role as the holder of `caller`, who must be a RAM user or in a role itself. The call
    /// is signed.
    ///
    /// # Errors
    /// The class of STS's code; [`Class::Protocol`] for an answer without usable credentials.
    pub async fn assume_role(
        &self,
        caller: &Credentials,
        request: &AssumeRole<'_>,
    ) -> Result<Credentials, CallError> {
        let duration = request.duration_seconds.map(|seconds| seconds.to_string());
        let parameters = request.parameters(duration.as_deref());
        let assumed: Assumed = self
            .gateway
            .signed(caller, "AssumeRole", &parameters)
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

// === impl Caller ===

impl Caller {
    /// Whether it is the account itself, which may do anything and cannot be restrained.
    pub fn is_root(&self) -> bool {
        self.identity_type.as_deref() == Some("Account")
    }
}

// === impl AssumeRole ===

impl AssumeRole<'_> {
    fn parameters<'p>(&'p self, duration: Option<&'p str>) -> Vec<(&'static str, &'p str)> {
        let mut parameters = vec![
            ("RoleArn", self.role_arn),
            ("RoleSessionName", self.session_name),
        ];
        let optional = [
            ("DurationSeconds", duration),
            ("ExternalId", self.external_id),
            ("Policy", self.policy),
        ];
        let given = optional.into_iter();
        parameters.extend(given.filter_map(|(name, value)| Some((name, value?))));
        parameters
    }
}

// === impl Assumed ===

impl Assumed {
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, CallError> {
        let request_id = self.request_id;
        self.credentials.into_credentials(now).map_err(|problem| {
            CallError::new(Class::Protocol, "UnusableCredentials")
                .with_detail(Detail::Fixed(problem))
                .with_request_id(request_id.as_deref())
        })
    }
}

#[cfg(test)]
mod tests;
