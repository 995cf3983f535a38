//! Roles for service accounts: a token of the cluster stands for a role. Alibaba Cloud calls it RRSA.

use std::path::PathBuf;

use super::Material;
use crate::credential::TokenService;
use crate::digest::{Digest, DigestKey};

/// A role that is entered with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// The role.
    pub role_arn: String,
    /// The OIDC provider that the cloud knows the cluster's issuer by: its ARN, or its name where the
    /// cloud asks for that.
    pub provider: String,
    /// Whose token is exchanged.
    pub subject: Subject,
    /// The STS that exchanges it.
    pub sts: TokenService,
    /// The name of the session: 2 to 64 of `[A-Za-z0-9.@_-]`; see [`session_name`](crate::credential::session_name).
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

// === impl WebIdentity ===

impl WebIdentity {
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        let duration = self.duration_seconds.map(|seconds| seconds.to_string());
        let path;
        let material = Material::new(self.sts.cloud().token_kind())
            .part(&self.role_arn)
            .part(&self.provider)
            .sts(&self.sts);
        let material = match &self.subject {
            Subject::ServiceAccount { account, audience } => material
                .part("serviceAccount")
                .part(&account.namespace)
                .part(&account.name)
                .part(&account.uid)
                .part(audience.as_str()),
            Subject::TokenFile { path: file } => {
                path = file.to_string_lossy();
                material.part("tokenFile").part(&path)
            }
        };
        material
            .part(&self.session_name)
            .optional(duration.as_deref())
            .optional(self.policy.as_deref())
            .digest(key)
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
