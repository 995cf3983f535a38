//! Identities: all the material that decides who we are to a cloud, and the name it goes by.
//!
//! An identity is data. It mints no token, reads no file and calls nobody.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::{Credentials, IdentityId};
use crate::digest::{DigestKey, Domain};
use crate::provider::endpoint::Endpoint;

/// Material and the [`IdentityId`] it comes to.
#[derive(Debug)]
pub struct Identity {
    id: IdentityId,
    source: Source,
    account: Option<String>,
}

/// Where the credentials of an identity come from: exactly one place.
#[derive(Debug, Clone)]
pub enum Source {
    /// A long-lived access key, or temporary credentials that somebody else renews.
    AccessKey(AccessKey),
    /// A token of the cluster, exchanged for the credentials of an Alibaba Cloud role.
    Rrsa(Rrsa),
}

/// An access key as it stands in Secrets.
#[derive(Clone)]
pub struct AccessKey {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
    /// The session token, for temporary keys.
    pub token: Option<SecretString>,
}

/// RAM roles for service accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rrsa {
    /// The role.
    pub role_arn: String,
    /// The OIDC provider that the cloud knows the cluster's issuer by.
    pub provider_arn: String,
    /// Whose token is exchanged.
    pub subject: Subject,
    /// The STS that exchanges it.
    pub sts: Endpoint,
    /// The name of the session: 2 to 64 of `[A-Za-z0-9.@_-]`; see [`session_name`](super::session_name).
    pub session_name: String,
    /// How long credentials shall live, in seconds; absent: an hour.
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the role's.
    pub policy: Option<String>,
}

/// Whose token is exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A `ServiceAccount`'s, minted for each exchange.
    ServiceAccount {
        /// The account.
        account: ServiceAccount,
        /// Whom the token is for.
        audience: Audience,
    },
    /// The operator's own projected token, read at each exchange. Its audience is fixed by the
    /// volume that projects it.
    TokenFile {
        /// Where it is. It comes from the operator's environment, never from a tenant.
        path: PathBuf,
    },
}

/// One `ServiceAccount`, which a successor of the same name is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// Whom a token is for. It is never empty: the API server reads no audience as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(String);

// === impl Identity ===

impl Identity {
    /// The identity that `source` makes, named by a digest of all of it.
    pub fn new(source: Source, key: &DigestKey) -> Self {
        let id = IdentityId(match &source {
            Source::AccessKey(access_key) => {
                let token = access_key.token.as_ref().map(ExposeSecret::expose_secret);
                let secret = access_key.secret.expose_secret();
                let parts = [
                    "accessKey",
                    &access_key.id,
                    secret,
                    known(token),
                    or_empty(token),
                ];
                digest(key, &parts)
            }
            Source::Rrsa(rrsa) => rrsa.digest(key),
        });
        let account = match &source {
            Source::AccessKey(_) => None,
            Source::Rrsa(rrsa) => rrsa.account(),
        };
        Self {
            id,
            source,
            account,
        }
    }

    /// Its name. Credentials and values are shared only between equal ones.
    pub fn id(&self) -> IdentityId {
        self.id
    }

    /// Where its credentials come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The number of the cloud account whose quotas it uses, where the material tells.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The kind of its source in metrics, such as `rrsa`.
    pub fn kind(&self) -> &'static str {
        match self.source {
            Source::AccessKey(_) => "accessKey",
            Source::Rrsa(_) => "rrsa",
        }
    }

    /// Its credentials, where they are part of the material.
    pub(super) fn fixed(&self) -> Option<Credentials> {
        match &self.source {
            Source::AccessKey(key) => Some(Credentials {
                access_key_id: key.id.clone(),
                access_key_secret: key.secret.clone(),
                security_token: key.token.clone(),
                expires_at: None,
            }),
            Source::Rrsa(_) => None,
        }
    }
}

// === impl AccessKey ===

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("temporary", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

// === impl Rrsa ===

impl Rrsa {
    /// The account in `acs:ram::ACCOUNT:role/NAME`.
    fn account(&self) -> Option<String> {
        let account = self.role_arn.split(':').nth(3)?;
        (!account.is_empty()).then(|| account.to_owned())
    }

    fn digest(&self, key: &DigestKey) -> crate::digest::Digest {
        let duration = self.duration_seconds.map(|seconds| seconds.to_string());
        let policy = self.policy.as_deref();
        let path;
        let subject = match &self.subject {
            Subject::ServiceAccount { account, audience } => [
                "serviceAccount",
                &account.namespace,
                &account.name,
                &account.uid,
                audience.as_str(),
            ],
            Subject::TokenFile { path: file } => {
                path = file.to_string_lossy();
                ["tokenFile", &path, "", "", ""]
            }
        };
        let mut parts = vec![
            "rrsa",
            &self.role_arn,
            &self.provider_arn,
            self.sts.as_str(),
        ];
        parts.extend(subject);
        parts.extend([self.session_name.as_str(), or_empty(duration.as_deref())]);
        parts.extend([known(policy), or_empty(policy)]);
        digest(key, &parts)
    }
}

// === impl Audience ===

impl Audience {
    /// `text` as an audience, unless it is blank.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.trim().is_empty()).then_some(Self(text))
    }

    /// The audience as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn digest(key: &DigestKey, parts: &[&str]) -> crate::digest::Digest {
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    key.digest(Domain::Identity, &parts)
}

/// Sets an absent part apart from an empty one.
fn known(part: Option<&str>) -> &'static str {
    if part.is_some() { "some" } else { "none" }
}

fn or_empty(part: Option<&str>) -> &str {
    part.unwrap_or_default()
}

#[cfg(test)]
mod tests;
