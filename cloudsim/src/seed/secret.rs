//! KMS secrets of a seed.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hidden::Hidden;
use crate::policy::{ResourcePolicy, ResourceStatement};
use crate::secret::{MAX_DATA, is_name, is_version_id};
use crate::seed::SeedError;

mod build;

/// A KMS secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The secret's name.
    pub name: String,
    /// Its region, if not the seed's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its type.
    #[serde(default, rename = "type")]
    pub kind: SecretType,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The id of the key that encrypts it. A key that does not exist yet is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// The KMS instance that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// What is said about its rotation, of a managed type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Its extended configuration, of a managed type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_config: Option<Value>,
    /// Who of other accounts may do what with it.
    #[serde(default)]
    pub policy: Vec<SecretPolicy>,
    /// The same as a policy of the secret as KMS writes it; its denials win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_document: Option<Value>,
    /// Whether its versions are text or binary, where they do not say.
    #[serde(default)]
    pub data_type: DataType,
    /// The data of its only version, instead of `versions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Hidden>,
    /// Its versions, oldest first.
    #[serde(default)]
    pub versions: Vec<SecretVersion>,
}

/// One version of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretVersion {
    /// The version's id; `v1`, `v2` and so on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The data as on the wire: base64 if it is binary. Whether it can be decoded is not looked at.
    pub data: Hidden,
    /// Whether it is text or binary, if not as the secret says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Its stages. Where no version says any, the last is `ACSCurrent` and the one before `ACSPrevious`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<String>>,
}

/// The types of secrets. All but generic ones are managed: the cloud rotates them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SecretType {
    /// Data of the owner's own.
    #[default]
    Generic,
    /// An account of a database (RDS).
    Rds,
    /// An account of Redis.
    Redis,
    /// An account of `PolarDB`.
    #[serde(rename = "PolarDB")]
    PolarDb,
    /// An access key of a RAM user.
    #[serde(rename = "RAMCredentials")]
    RamCredentials,
    /// A password or a key pair of an ECS instance.
    #[serde(rename = "ECS")]
    Ecs,
}

/// What the data of a version is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// UTF-8.
    #[default]
    Text,
    /// Bytes, in base64 on the wire.
    Binary,
}

/// What is said about the rotation of a managed secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// `Enabled`, `Disabled` or `Invalid`.
    #[serde(default = "enabled")]
    pub automatic: String,
    /// How often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<SignedDuration>,
    /// The next one; the last one and the interval together without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

/// One statement of a secret's policy, for principals of other accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretPolicy {
    /// ARNs of users, roles or whole accounts (`acs:ram::<account>:root`), with `*`.
    pub principals: Vec<String>,
    /// Patterns of actions.
    #[serde(default = "reading")]
    pub actions: Vec<String>,
}

/// A key of KMS that encrypts secrets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKey {
    /// The key's id.
    pub id: String,
    /// Whether it can be used.
    #[serde(default)]
    pub state: KeyState,
    /// Who of other accounts may do what with it: the key's policy as KMS writes it. Without it, what
    /// was said of the key before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_document: Option<Value>,
}

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// It can.
    #[default]
    Enabled,
    /// It is disabled.
    Disabled,
    /// It will be deleted.
    PendingDeletion,
    /// Its material is not there.
    PendingImport,
}

/// What is said of a rotation that goes on.
fn enabled() -> String {
    "Enabled".to_owned()
}

fn reading() -> Vec<String> {
    vec!["kms:GetSecretValue".to_owned()]
}

// === impl Secret ===

impl Secret {
    pub(crate) fn check(&self) -> Result<(), SeedError> {
        let wrong = |why: &str| Err(SeedError::Rule(format!("secrets: {} {why}", self.name)));
        if !is_name(&self.name) {
            return Err(SeedError::Rule(
                "secrets: a name has 1 to 192 of the characters A-Za-z0-9_/+=.@-".to_owned(),
            ));
        }
        if self.value.is_some() != self.versions.is_empty() {
            return wrong("must have either a value or versions");
        }
        let ids = self
            .versions
            .iter()
            .filter_map(|version| version.id.as_deref());
        if !ids.clone().all(is_version_id) {
            return wrong("has a version whose id has not 1 to 64 characters");
        }
        let mut distinct: Vec<_> = ids.collect();
        let all = distinct.len();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() != all {
            return wrong("has two versions of one id");
        }
        let datas = self.versions.iter().map(|version| {
            let data_type = version.data_type.unwrap_or(self.data_type);
            (&version.data, data_type)
        });
        let mut datas = datas.chain(self.value.as_ref().map(|value| (value, self.data_type)));
        if datas.any(|(data, data_type)| !data_type.fits(data)) {
            return wrong(&format!("must have 1 to {MAX_DATA} bytes of data"));
        }
        self.resource_policy().map(drop)
    }

    pub(crate) fn resource_policy(&self) -> Result<ResourcePolicy, SeedError> {
        let mut policy = read("secrets", &self.name, self.policy_document.as_ref())?;
        let short = self.policy.iter().map(|policy| ResourceStatement {
            allows: true,
            principals: policy.principals.clone(),
            actions: policy.actions.clone(),
        });
        policy.statements.extend(short);
        Ok(policy)
    }
}

// === impl KmsKey ===

impl KmsKey {
    pub(crate) fn resource_policy(&self) -> Result<ResourcePolicy, SeedError> {
        read("kms_keys", &self.id, self.policy_document.as_ref())
    }
}

fn read(what: &str, name: &str, document: Option<&Value>) -> Result<ResourcePolicy, SeedError> {
    let policy = document.map(ResourcePolicy::read).transpose();
    let wrong = |why| SeedError::Rule(format!("{what}: the policy of {name}: {why}"));
    policy.map(Option::unwrap_or_default).map_err(wrong)
}

// === impl SecretType ===

impl SecretType {
    /// The type's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "Generic",
            Self::Rds => "Rds",
            Self::Redis => "Redis",
            Self::PolarDb => "PolarDB",
            Self::RamCredentials => "RAMCredentials",
            Self::Ecs => "ECS",
        }
    }

    pub(crate) fn is_managed(self) -> bool {
        self != Self::Generic
    }
}

// === impl DataType ===

impl DataType {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }

    /// Says whether data is neither empty nor too long. Binary data is counted decoded, if it can be.
    pub(crate) fn fits(self, data: &Hidden) -> bool {
        let wire = data.reveal();
        let length = match self {
            Self::Text => wire.len(),
            Self::Binary => STANDARD
                .decode(wire)
                .map_or(wire.len(), |bytes| bytes.len()),
        };
        (1..=MAX_DATA).contains(&length)
    }
}
