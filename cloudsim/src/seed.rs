//! What a simulated cloud holds at its start, as YAML.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hidden::Hidden;
use crate::jwks::Jwks;
use crate::tencent::Tencent;

mod identity;
mod kms;
mod parameter;
mod secret;

pub(crate) use identity::INSTANCE_SESSION;
pub use identity::{
    AttachedPolicy, CredentialsState, CredentialsUri, Metadata, RoleTrust, TrustStatement,
};
pub use kms::{Batch, KmsSettings};
pub use parameter::{Parameter, ParameterType};
pub use secret::{
    DataType, KeyState, KmsKey, Rotation, Secret, SecretPolicy, SecretType, SecretVersion,
};

/// The whole cloud.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The region of requests that name none, and of parameters that name none.
    #[serde(default = "default_region")]
    pub region: String,
    /// How long issued credentials live, whatever the client asks for: for tests of expiry.
    #[serde(default)]
    pub credential_lifetime: Option<SignedDuration>,
    /// How KMS behaves as a whole.
    #[serde(default)]
    pub kms: KmsSettings,
    /// The metadata service of an ECS instance; without it there is none.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// The endpoint for `ALIBABA_CLOUD_CREDENTIALS_URI`; without it there is none.
    #[serde(default)]
    pub credentials_uri: Option<CredentialsUri>,
    /// What Tencent Cloud holds.
    #[serde(default)]
    pub tencent: Tencent,
    /// The accounts, at least one of this or of the other cloud. Operations that name no account mean the first.
    #[serde(default)]
    pub accounts: Vec<Account>,
}

/// An Alibaba Cloud account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The 16-digit account id.
    pub id: String,
    /// Access keys of the account itself (the root user), which may do everything.
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
    /// RAM users.
    #[serde(default)]
    pub users: Vec<User>,
    /// Identity providers whose tokens the account's roles may trust.
    #[serde(default)]
    pub oidc_providers: Vec<OidcProvider>,
    /// RAM roles.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// OOS secret parameters.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// OOS plain parameters.
    #[serde(default)]
    pub plain_parameters: Vec<Parameter>,
    /// Who may assume the roles by `AssumeRole`.
    #[serde(default)]
    pub trusts: Vec<RoleTrust>,
    /// Policy documents attached to users and roles.
    #[serde(default)]
    pub policies: Vec<AttachedPolicy>,
    /// KMS keys that secrets are encrypted with.
    #[serde(default)]
    pub kms_keys: Vec<KmsKey>,
    /// KMS secrets.
    #[serde(default)]
    pub secrets: Vec<Secret>,
}

/// A long-lived access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// The key's id, which is public.
    pub id: String,
    /// The key's secret.
    pub secret: Hidden,
}

/// A RAM user, `acs:ram::<account>:user/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The user's access keys.
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
    /// What the user may do.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// An OIDC identity provider, `acs:ram::<account>:oidc-provider/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    /// The provider's name.
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

/// A RAM role, `acs:ram::<account>:role/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// The longest session, at least 15 minutes.
    #[serde(default = "default_session")]
    pub max_session_duration: SignedDuration,
    /// Who may assume the role: any of these.
    #[serde(default)]
    pub trust: Vec<Trust>,
    /// What the role may do.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One statement of a role's trust policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The OIDC provider: its ARN, or its name in the role's account.
    pub provider: String,
    /// The exact subjects, for example `system:serviceaccount:shop:reader`.
    pub subjects: Vec<String>,
    /// The audiences (`oidc:aud`).
    #[serde(default = "default_audiences")]
    pub audiences: Vec<String>,
}

/// One statement of a permission policy. What no rule allows is denied.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Patterns of actions, for example `oos:GetSecretParameter`.
    pub actions: Vec<String>,
    /// Patterns of names in the own account, for example `/shop/*`, or of ARNs.
    pub resources: Vec<String>,
}

/// Why a seed cannot be used. It says where, and never what a value is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is no seed.
    #[error("the seed is not valid: {0}")]
    Syntax(String),
    /// The seed contradicts itself or the clouds' rules.
    #[error("the seed is not valid: {0}")]
    Rule(String),
}

fn default_region() -> String {
    "cn-hangzhou".to_owned()
}

fn default_audiences() -> Vec<String> {
    vec!["sts.aliyuncs.com".to_owned()]
}

fn default_session() -> SignedDuration {
    SignedDuration::from_hours(1)
}

// === impl Seed ===

impl Seed {
    /// Reads a seed.
    pub fn from_yaml(text: &str) -> Result<Self, SeedError> {
        // The parser's own rendering quotes the text around the mistake, which may be a value.
        // Whoever starts the simulator says what is in it: a seed may be of any size.
        let options = serde_saphyr::options! { with_snippet: false, budget: None };
        let seed: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| SeedError::Syntax(error.to_string()))?;
        seed.check()?;
        Ok(seed)
    }

    pub(crate) fn check(&self) -> Result<(), SeedError> {
        if self.accounts.is_empty() && self.tencent.accounts.is_empty() {
            return Err(SeedError::Rule(
                "accounts: at least one is needed".to_owned(),
            ));
        }
        for account in &self.accounts {
            account.check()?;
        }
        self.tencent.check()
    }
}

impl TryFrom<&str> for Seed {
    type Error = SeedError;

    fn try_from(text: &str) -> Result<Self, SeedError> {
        Self::from_yaml(text)
    }
}

impl TryFrom<String> for Seed {
    type Error = SeedError;

    fn try_from(text: String) -> Result<Self, SeedError> {
        Self::from_yaml(&text)
    }
}

// === impl Account ===

impl Account {
    fn check(&self) -> Result<(), SeedError> {
        if self.id.is_empty() || !self.id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SeedError::Rule(
                "accounts: an id consists of digits".to_owned(),
            ));
        }
        self.oidc_providers
            .iter()
            .try_for_each(OidcProvider::check)?;
        self.roles.iter().try_for_each(Role::check)?;
        self.secrets.iter().try_for_each(Secret::check)?;
        for key in &self.kms_keys {
            key.resource_policy()?;
        }
        for trust in &self.trusts {
            trust.policy()?;
        }
        for attached in &self.policies {
            attached.policy()?;
        }
        let mut parameters = self.parameters.iter().chain(&self.plain_parameters);
        parameters.try_for_each(Parameter::check)
    }
}

// === impl OidcProvider ===

impl OidcProvider {
    pub(crate) fn check(&self) -> Result<(), SeedError> {
        if !self.issuer.starts_with("https://") {
            return Err(SeedError::Rule(format!(
                "oidc_providers: the issuer of {} must be an https URL",
                self.name
            )));
        }
        Ok(())
    }
}

// === impl Role ===

impl Role {
    pub(crate) fn check(&self) -> Result<(), SeedError> {
        let bounds = SignedDuration::from_mins(15)..=SignedDuration::from_hours(12);
        if !bounds.contains(&self.max_session_duration) {
            return Err(SeedError::Rule(format!(
                "roles: max_session_duration of {} must be between 15m and 12h",
                self.name
            )));
        }
        Ok(())
    }
}
