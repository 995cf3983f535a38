//! Who exists in an account of Tencent Cloud, and what they may do.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jwks::Jwks;
use crate::policy::{Condition, Grant, Policy, TrustPolicy};
use crate::seed::{self, AccessKey, Rule, SeedError, TrustStatement};
use crate::tencent::cam;

/// A CAM user, `qcs::cam::uin/<account>:uin/<uin>`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct User {
    /// The user's own UIN.
    pub uin: String,
    /// The user's keys.
    pub access_keys: Vec<AccessKey>,
    /// What the user may do.
    pub rules: Vec<Rule>,
    /// The same as a policy as CAM writes it. It counts beside the rules, and its denials win.
    pub policy_document: Option<Value>,
}

/// An OIDC provider of CAM, `qcs::cam::uin/<account>:oidc-provider/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    /// The provider's name, which calls send as `ProviderId`.
    pub name: String,
    /// The issuer's URL, exactly as tokens say it.
    pub issuer: String,
    /// The audiences that tokens may have.
    #[serde(default = "default_audiences")]
    pub client_ids: Vec<String>,
    /// The issuer's keys. Without them they are fetched from the issuer by https discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Jwks>,
}

/// A CAM role, `qcs::cam::uin/<account>:roleName/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// The role's id, for the ARN `qcs::cam::uin/<account>:role/<id>`.
    pub id: Option<String>,
    /// The longest session, at most 12 hours.
    pub max_session_duration: SignedDuration,
    /// Whose tokens may be exchanged for a session: any of these.
    pub trust: Vec<WebTrust>,
    /// Who may assume the role by `AssumeRole`: any of these.
    pub assumed_by: Vec<TrustStatement>,
    /// Both as a trust policy as CAM writes it. It counts beside the two.
    pub trust_document: Option<Value>,
    /// What the role may do.
    pub rules: Vec<Rule>,
    /// The same as a policy as CAM writes it. It counts beside the rules, and its denials win.
    pub policy_document: Option<Value>,
}

/// Whose tokens a role trusts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebTrust {
    /// The OIDC provider's name, in the role's account.
    pub provider: String,
    /// The exact subjects (`oidc:sub`), for example `system:serviceaccount:shop:reader`.
    pub subjects: Vec<String>,
    /// The audiences (`oidc:aud`).
    #[serde(default = "default_audiences")]
    pub audiences: Vec<String>,
}

fn default_audiences() -> Vec<String> {
    vec!["sts.cloud.tencent.com".to_owned()]
}

fn permissions(of: &str, document: Option<&Value>) -> Result<Option<Policy>, SeedError> {
    let policy = document.map(Policy::read_cam).transpose();
    policy.map_err(|why| SeedError::Rule(format!("tencent: the policy document of {of}: {why}")))
}

// === impl User ===

impl User {
    pub(crate) fn policy(&self) -> Result<Option<Policy>, SeedError> {
        permissions(&self.uin, self.policy_document.as_ref())
    }
}

// === impl OidcProvider ===

impl OidcProvider {
    /// A provider whose keys are given, for the audience that TKE uses.
    pub fn new(name: &str, issuer: &str, jwks: Jwks) -> Self {
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            client_ids: default_audiences(),
            jwks: Some(jwks),
        }
    }

    pub(crate) fn check(&self) -> Result<(), SeedError> {
        self.verifier().check()
    }

    /// The same for the verifier of tokens, which knows of no cloud.
    pub(crate) fn verifier(&self) -> seed::OidcProvider {
        seed::OidcProvider {
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            client_ids: self.client_ids.clone(),
            jwks: self.jwks.clone(),
        }
    }
}

// === impl Role ===

impl Role {
    /// A role that nobody may assume and that may do nothing.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Lets this subject's tokens of a provider be exchanged for a session.
    #[must_use]
    pub fn trusting(mut self, provider: &str, subject: &str) -> Self {
        self.trust.push(WebTrust {
            provider: provider.to_owned(),
            subjects: vec![subject.to_owned()],
            audiences: default_audiences(),
        });
        self
    }

    /// Lets a principal (an ARN, or `qcs::cam::uin/<account>:root`) assume the role.
    #[must_use]
    pub fn assumed_by(mut self, principal: &str, external_ids: &[&str]) -> Self {
        self.assumed_by.push(TrustStatement {
            principals: vec![principal.to_owned()],
            external_ids: external_ids.iter().map(|id| (*id).to_owned()).collect(),
        });
        self
    }

    /// Lets the role do this with these secrets of its account (patterns of names, or of ARNs).
    #[must_use]
    pub fn may(mut self, actions: &[&str], resources: &[&str]) -> Self {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        self.rules.push(Rule {
            actions: owned(actions),
            resources: owned(resources),
        });
        self
    }

    pub(crate) fn check(&self, account: &str) -> Result<(), SeedError> {
        let bounds = SignedDuration::from_secs(1)..=SignedDuration::from_hours(12);
        if !bounds.contains(&self.max_session_duration) {
            return Err(SeedError::Rule(format!(
                "tencent: max_session_duration of {} must be at most 12h",
                self.name
            )));
        }
        self.policy()?;
        self.trust_policy(account).map(drop)
    }

    pub(crate) fn policy(&self) -> Result<Option<Policy>, SeedError> {
        permissions(&self.name, self.policy_document.as_ref())
    }

    /// Who may assume the role, in both ways.
    pub(crate) fn trust_policy(&self, account: &str) -> Result<TrustPolicy, SeedError> {
        let mut policy = match &self.trust_document {
            None => TrustPolicy::default(),
            Some(document) => TrustPolicy::read_cam(document).map_err(|why| {
                SeedError::Rule(format!(
                    "tencent: the trust document of {}: {why}",
                    self.name
                ))
            })?,
        };
        let condition = |key: &str, values: &[String]| Condition {
            key: key.to_owned(),
            values: values.to_vec(),
            like: false,
        };
        policy.grants.extend(self.trust.iter().map(|trust| Grant {
            providers: vec![cam::provider_arn(account, &trust.provider)],
            conditions: vec![
                condition("oidc:sub", &trust.subjects),
                condition("oidc:aud", &trust.audiences),
            ],
            ..Grant::default()
        }));
        policy
            .grants
            .extend(self.assumed_by.iter().map(|statement| {
                let ids = &statement.external_ids;
                let external = (!ids.is_empty()).then(|| condition("sts:external_id", ids));
                Grant {
                    principals: statement.principals.clone(),
                    conditions: external.into_iter().collect(),
                    ..Grant::default()
                }
            }));
        Ok(policy)
    }
}

impl Default for Role {
    fn default() -> Self {
        Self {
            name: String::new(),
            id: None,
            max_session_duration: SignedDuration::from_hours(12),
            trust: Vec::new(),
            assumed_by: Vec::new(),
            trust_document: None,
            rules: Vec::new(),
            policy_document: None,
        }
    }
}
