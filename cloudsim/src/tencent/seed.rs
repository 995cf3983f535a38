//! What Tencent Cloud holds at the start.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::seed::{AccessKey, CredentialsState, SeedError};

mod identity;
mod secret;

pub use identity::{OidcProvider, Role, User, WebTrust};
pub use secret::{KeyEncoding, Secret, SecretState, SecretType, SshKeyPair, Version};

/// All of Tencent Cloud.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tencent {
    /// The region of secrets that name none. Calls must name theirs.
    #[serde(default = "default_region")]
    pub region: String,
    /// Quotas, and how the service behaves as a whole.
    #[serde(default)]
    pub settings: Settings,
    /// The metadata service of a CVM instance; without it there is none.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// How far the clouds' clock is ahead of the machine's (behind it, if negative).
    #[serde(default)]
    pub clock_offset: SignedDuration,
    /// The accounts. Operations that name no account mean the first.
    #[serde(default)]
    pub accounts: Vec<Account>,
}

/// A Tencent Cloud account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// The account's UIN, digits.
    pub uin: String,
    /// Keys of the account itself, which may do everything.
    pub access_keys: Vec<AccessKey>,
    /// CAM users.
    pub users: Vec<User>,
    /// OIDC providers whose tokens the account's roles may trust.
    pub oidc_providers: Vec<OidcProvider>,
    /// CAM roles.
    pub roles: Vec<Role>,
    /// SSM secrets.
    pub secrets: Vec<Secret>,
}

/// Quotas, and how the service behaves as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether there are quotas at all.
    pub quotas: bool,
    /// Other quotas than the published ones, by action: calls of an account in a second, `None` for any number.
    pub requests_per_second: BTreeMap<String, Option<u32>>,
    /// How a version that does not exist is refused, which the cloud does not say.
    pub unknown_version: UnknownVersion,
    /// Whether the accounts have bought the service.
    pub purchased: bool,
}

/// How a version that does not exist is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownVersion {
    /// `ResourceNotFound`.
    #[default]
    ResourceNotFound,
    /// `InvalidParameterValue`.
    InvalidParameterValue,
}

/// The metadata service of a CVM instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metadata {
    /// The instance's role: its ARN, or its name in the first account. Without it none is bound.
    pub role: Option<String>,
    /// What becomes of the credentials.
    pub state: CredentialsState,
}

fn default_region() -> String {
    "ap-guangzhou".to_owned()
}

// === impl Tencent ===

impl Tencent {
    pub(crate) fn check(&self) -> Result<(), SeedError> {
        self.accounts.iter().try_for_each(Account::check)
    }
}

impl Default for Tencent {
    fn default() -> Self {
        Self {
            region: default_region(),
            settings: Settings::default(),
            metadata: None,
            clock_offset: SignedDuration::ZERO,
            accounts: Vec::new(),
        }
    }
}

// === impl Account ===

impl Account {
    fn check(&self) -> Result<(), SeedError> {
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(&self.uin) || !self.users.iter().all(|user| digits(&user.uin)) {
            let why = "tencent.accounts: a uin consists of digits";
            return Err(SeedError::Rule(why.to_owned()));
        }
        for user in &self.users {
            user.policy()?;
        }
        for provider in &self.oidc_providers {
            provider.check()?;
        }
        for role in &self.roles {
            role.check(&self.uin)?;
        }
        self.secrets.iter().try_for_each(Secret::check)
    }
}

// === impl Settings ===

impl Settings {
    /// The settings without any quota, for tests of other things.
    pub fn generous() -> Self {
        Self {
            quotas: false,
            ..Self::default()
        }
    }

    /// These settings with another quota for an action; `None` for any number.
    #[must_use]
    pub fn with_quota(mut self, action: &str, per_second: Option<u32>) -> Self {
        self.requests_per_second
            .insert(action.to_owned(), per_second);
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quotas: true,
            requests_per_second: BTreeMap::new(),
            unknown_version: UnknownVersion::default(),
            purchased: true,
        }
    }
}
