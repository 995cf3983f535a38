//! Trust between principals, policy documents, and where an instance gets its credentials, in a seed.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::{Condition, Grant, Policy, TrustPolicy};
use crate::seed::SeedError;

/// Who may assume a role by `AssumeRole`, beside whose tokens the role itself trusts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleTrust {
    /// The role's name.
    pub role: String,
    /// Any of these may.
    #[serde(default)]
    pub statements: Vec<TrustStatement>,
    /// A trust policy as RAM writes it, for principals, services and identity providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
}

/// One statement of who may assume a role.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustStatement {
    /// ARNs of users and roles, or of whole accounts (`acs:ram::<account>:root`).
    pub principals: Vec<String>,
    /// One of these must be sent, if there are any.
    #[serde(default)]
    pub external_ids: Vec<String>,
}

/// A RAM policy document, attached to a user or a role beside its rules.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedPolicy {
    /// `user/<name>` or `role/<name>`.
    pub principal: String,
    /// The policy as RAM writes it.
    pub document: Value,
}

/// The metadata service of an ECS instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The instance's role: its ARN, or its name in the first account. Without it the instance has none.
    #[serde(default)]
    pub role: Option<String>,
    /// Whether calls without a token are answered.
    #[serde(default = "yes")]
    pub v1: bool,
    /// Whether tokens are given.
    #[serde(default = "yes")]
    pub v2: bool,
    /// What becomes of the credentials.
    #[serde(default)]
    pub state: CredentialsState,
}

/// An endpoint that hands out credentials of a role, for `ALIBABA_CLOUD_CREDENTIALS_URI`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialsUri {
    /// The role: its ARN, or its name in the first account.
    pub role: String,
    /// What becomes of the credentials.
    #[serde(default)]
    pub state: CredentialsState,
}

/// What becomes of credentials that are handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsState {
    /// They are good.
    #[default]
    Ok,
    /// There are none: the answer's `Code` is not `Success`.
    Failed,
    /// They have expired already.
    Expired,
}

fn yes() -> bool {
    true
}

/// How long handed-out credentials live.
pub(crate) const INSTANCE_SESSION: SignedDuration = SignedDuration::from_hours(6);

// === impl RoleTrust ===

impl RoleTrust {
    pub(crate) fn policy(&self) -> Result<TrustPolicy, SeedError> {
        let mut policy = match &self.document {
            None => TrustPolicy::default(),
            Some(document) => TrustPolicy::read(document).map_err(|why| {
                SeedError::Rule(format!("trusts: the document of {}: {why}", self.role))
            })?,
        };
        let grants = self.statements.iter().map(|statement| Grant {
            principals: statement.principals.clone(),
            conditions: statement.condition().into_iter().collect(),
            ..Grant::default()
        });
        policy.grants.extend(grants);
        Ok(policy)
    }
}

// === impl TrustStatement ===

impl TrustStatement {
    fn condition(&self) -> Option<Condition> {
        (!self.external_ids.is_empty()).then(|| Condition {
            key: "sts:ExternalId".to_owned(),
            values: self.external_ids.clone(),
            like: false,
        })
    }
}

// === impl AttachedPolicy ===

impl AttachedPolicy {
    pub(crate) fn policy(&self) -> Result<Policy, SeedError> {
        let wrong = |why| SeedError::Rule(format!("policies: that of {}: {why}", self.principal));
        if !self.principal.starts_with("user/") && !self.principal.starts_with("role/") {
            return Err(wrong("its principal is neither user/… nor role/…"));
        }
        Policy::read(&self.document).map_err(wrong)
    }
}

// === impl Metadata ===

impl Default for Metadata {
    fn default() -> Self {
        Self {
            role: None,
            v1: true,
            v2: true,
            state: CredentialsState::Ok,
        }
    }
}
