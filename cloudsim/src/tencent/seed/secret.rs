//! SSM secrets of a seed.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;
use crate::seed::SeedError;
use crate::tencent::store::{CURRENT, MAX_VALUE, MAX_VERSIONS, is_name, is_version_id};

/// An SSM secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secret {
    /// The secret's name.
    pub name: String,
    /// Its region, if not the seed's.
    pub region: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: SecretType,
    /// Its state.
    pub state: SecretState,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The id of the KMS key that encrypts it; SSM's own without it.
    pub kms_key: Option<String>,
    /// Of a database's credential, the product, such as `Mysql`.
    pub product: Option<String>,
    /// Every how many days it is rotated; not at all without a number.
    pub rotation_days: Option<i64>,
    /// The pair of a secret of the type `ssh`, which has no value beside.
    pub ssh: Option<SshKeyPair>,
    /// The text of its only version, `SSM_Current`, instead of `versions`.
    pub value: Option<Hidden>,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
}

/// One version of a secret: a text, or bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Version {
    /// The version's id; `SSM_Current` without it.
    pub id: Option<String>,
    /// The text.
    pub text: Option<Hidden>,
    /// The bytes, in base64 as on the wire. Whether they can be decoded is not looked at.
    pub binary: Option<Hidden>,
    /// When it was made; now, or a moment after the version before, without it. The cloud tells whole seconds.
    pub created: Option<Timestamp>,
}

/// The types of secrets. All but custom ones are managed: the cloud makes and rotates them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretType {
    /// 0: data of the owner's own.
    #[default]
    Custom,
    /// 1: an account of a database or another product.
    Product,
    /// 2: an SSH key pair.
    Ssh,
    /// 3: a key of the cloud's API.
    ApiKey,
    /// 4: an account of Redis.
    Redis,
}

/// The states of secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretState {
    /// It can be read.
    #[default]
    Enabled,
    /// It cannot be read until it is enabled.
    Disabled,
    /// It will be gone, and can be restored until then.
    PendingDelete,
    /// It is not there yet.
    Creating,
    /// It could not be made.
    Failed,
}

/// An SSH key pair.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshKeyPair {
    /// The pair's id, `skey-…`.
    pub id: String,
    /// The pair's name.
    pub name: String,
    /// The public key, as OpenSSH writes it.
    pub public_key: Hidden,
    /// The private key, in PEM.
    pub private_key: Hidden,
    /// How answers say the keys.
    pub encoding: KeyEncoding,
}

/// How an answer says the keys of an SSH key pair. The cloud's pages say the one and show the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// As they are: PEM and `ssh-…`.
    #[default]
    Raw,
    /// The same in base64.
    Base64,
}

// === impl SecretType ===

impl SecretType {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Custom => 0,
            Self::Product => 1,
            Self::Ssh => 2,
            Self::ApiKey => 3,
            Self::Redis => 4,
        }
    }
}

// === impl SecretState ===

impl SecretState {
    /// The state as answers say it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDelete => "PendingDelete",
            Self::Creating => "Creating",
            Self::Failed => "Failed",
        }
    }

    /// The number by which `ListSecrets` asks for it.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Enabled => 1,
            Self::Disabled => 2,
            Self::PendingDelete => 3,
            Self::Creating => 4,
            Self::Failed => 5,
        }
    }
}

// === impl Version ===

impl Version {
    /// A version that is a text.
    pub fn text(id: &str, text: &str) -> Self {
        Self {
            id: Some(id.to_owned()),
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// A version that is bytes.
    pub fn binary(id: &str, bytes: &[u8]) -> Self {
        Self {
            id: Some(id.to_owned()),
            binary: Some(STANDARD.encode(bytes).into()),
            ..Self::default()
        }
    }

    /// The same version, made at this time.
    #[must_use]
    pub fn at(mut self, created: Timestamp) -> Self {
        self.created = Some(created);
        self
    }

    pub(crate) fn check(&self, of: &str) -> Result<(), SeedError> {
        let wrong = |why: &str| Err(SeedError::Rule(format!("tencent: a version of {of} {why}")));
        if self.id.as_deref().is_some_and(|id| !is_version_id(id)) {
            return wrong(
                "has an id that is not 1 to 64 of A-Za-z0-9_.-, the first of them alphanumeric",
            );
        }
        match (&self.text, &self.binary) {
            (Some(one), None) | (None, Some(one))
                if (1..=MAX_VALUE).contains(&one.reveal().len()) =>
            {
                Ok(())
            }
            _ => wrong("must have either text or binary of 1 to 32768 bytes"),
        }
    }
}

// === impl Secret ===

impl Secret {
    /// A custom secret whose only version is called `SSM_Current`.
    pub fn new(name: &str, text: &str) -> Self {
        Self::managed(SecretType::Custom, name, text)
    }

    /// A secret of any type with one version, `SSM_Current`.
    pub fn managed(kind: SecretType, name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            value: Some(text.into()),
            ..Self::default()
        }
    }

    /// A custom secret with these versions, oldest first.
    pub fn versioned(name: &str, versions: Vec<Version>) -> Self {
        Self {
            name: name.to_owned(),
            versions,
            ..Self::default()
        }
    }

    /// An SSH key pair.
    pub fn ssh(name: &str, public_key: &str, private_key: &str, encoding: KeyEncoding) -> Self {
        Self {
            name: name.to_owned(),
            kind: SecretType::Ssh,
            ssh: Some(SshKeyPair {
                id: format!("skey-{name}"),
                name: name.to_owned(),
                public_key: public_key.into(),
                private_key: private_key.into(),
                encoding,
            }),
            ..Self::default()
        }
    }

    /// The same secret in a region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// The same secret with a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same secret in a state.
    #[must_use]
    pub fn state(mut self, state: SecretState) -> Self {
        self.state = state;
        self
    }

    pub(crate) fn check(&self) -> Result<(), SeedError> {
        let wrong = |why: &str| {
            Err(SeedError::Rule(format!(
                "tencent: secret {} {why}",
                self.name
            )))
        };
        if !is_name(&self.name) {
            return wrong(
                "must be called by 1 to 128 of A-Za-z0-9_-, the first of them alphanumeric",
            );
        }
        if (self.kind == SecretType::Ssh) != self.ssh.is_some() {
            return wrong("must have ssh if it is of that type, and only then");
        }
        let versions = self.versions.len() + usize::from(self.value.is_some());
        if self.ssh.is_some() != (versions == 0) || versions > MAX_VERSIONS {
            return wrong("must have one to ten versions, and none if it is an SSH key pair");
        }
        let mut ids: Vec<&str> = self.all_ids().collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("has two versions of one id");
        }
        self.versions
            .iter()
            .try_for_each(|version| version.check(&self.name))
    }

    fn all_ids(&self) -> impl Iterator<Item = &str> {
        let only = self.value.iter().map(|_| CURRENT);
        let ids = self.versions.iter();
        only.chain(ids.map(|version| version.id.as_deref().unwrap_or(CURRENT)))
    }
}
