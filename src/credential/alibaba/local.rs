//! Sources of the operator's own that only Alibaba Cloud knows: a profile in a file, and a URL beside
//! it. They come from the operator's environment, never from a tenant.

use std::fmt;
use std::path::PathBuf;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};

use super::metadata;
use super::profile::{self, Found};
use crate::credential::source::Material;
use crate::credential::{
    Assume, Credentials, Exchange, IdentityId, Subject, Surroundings, TokenService, WebIdentity,
};
use crate::digest::{Digest, DigestKey};
use crate::provider::{CallError, Class};

/// How long an access key in a profile is used before the file is read again.
const PROFILE_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// A profile in a credentials file, which is read anew at each exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Where the file is.
    pub path: PathBuf,
    /// The profile's name.
    pub name: String,
    /// The STS that is called where the profile names a role.
    pub sts: TokenService,
    /// The name of the session where the profile gives none.
    pub session_name: String,
}

/// A URL that answers with credentials, asked anew at each exchange.
#[derive(Clone)]
pub struct CredentialsUri {
    /// The URL. It is as secret as what it gives: anybody who knows it may ask.
    pub url: SecretString,
}

// === impl Profile ===

impl Profile {
    pub(in crate::credential) fn digest(&self, key: &DigestKey) -> Digest {
        Material::new("profile")
            .part(&self.path.to_string_lossy())
            .part(&self.name)
            .part(self.sts.endpoint.as_str())
            .part(&self.session_name)
            .digest(key)
    }

    /// What the file gives now, through `exchange`.
    ///
    /// # Errors
    /// What is wrong with the file, or why the source in it gave nothing.
    pub(in crate::credential) async fn exchange(
        &self,
        exchange: &Exchange,
        who: IdentityId,
    ) -> Result<Credentials, CallError> {
        let broken = |problem| {
            CallError::about_file(
                Class::Unauthenticated,
                "CredentialsFile",
                &self.path,
                problem,
            )
        };
        let text = exchange.text("CredentialsFile", &self.path).await?;
        let found = profile::parse(text.expose_secret(), &self.name).map_err(broken)?;
        let session = |given: Option<String>| given.unwrap_or_else(|| self.session_name.clone());
        match found {
            Found::AccessKey(key) => {
                // So that the file is read again now and then.
                let end = exchange.edge.clock.now().checked_add(PROFILE_LIFE).ok();
                Ok(Credentials {
                    expires_at: end,
                    ..key.credentials()
                })
            }
            Found::RamRole(key, role) => {
                let request = Assume {
                    sts: &self.sts,
                    role_arn: &role.arn,
                    external_id: role.external_id.as_deref(),
                    session_name: &session(role.session_name),
                    duration_seconds: None,
                    policy: role.policy.as_deref(),
                };
                let credentials = key.credentials();
                exchange.assumed_role(who, &request, &credentials).await
            }
            Found::OidcRole {
                role,
                provider_arn,
                token_file,
            } => {
                let rrsa = WebIdentity {
                    role_arn: role.arn,
                    provider: provider_arn,
                    subject: Subject::TokenFile { path: token_file },
                    sts: self.sts.clone(),
                    session_name: session(role.session_name),
                    duration_seconds: None,
                    policy: role.policy,
                };
                exchange.by_token(who, &rrsa).await
            }
            Found::InstanceRole(role) => {
                metadata::instance_role(exchange.surroundings()?, role.as_deref()).await
            }
        }
    }
}

// === impl CredentialsUri ===

impl CredentialsUri {
    pub(in crate::credential) fn digest(&self, key: &DigestKey) -> Digest {
        Material::new("credentialsUri")
            .part(self.url.expose_secret())
            .digest(key)
    }

    /// What the URL answers now.
    ///
    /// # Errors
    /// What it did instead of answering with credentials.
    pub(in crate::credential) async fn exchange(
        &self,
        around: &Surroundings,
    ) -> Result<Credentials, CallError> {
        metadata::credentials_uri(around, self.url.expose_secret()).await
    }
}

impl fmt::Debug for CredentialsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsUri")
    }
}
