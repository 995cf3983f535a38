//! KMS secrets of a seed.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hidden::Hidden;
use crate::secret::{MAX_DATA, is_name, is_version_id};
use crate::seed::SeedError;

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
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKey {
    /// The key's id.
    pub id: String,
    /// Whether it can be used.
    #[serde(default)]
    pub state: KeyState,
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

fn enabled() -> String {
    "Enabled".to_owned()
}

fn reading() -> Vec<String> {
    vec!["kms:GetSecretValue".to_owned()]
}

// === impl Secret ===

impl Secret {
    /// A generic text secret with one version.
    pub fn new(name: &str, value: &str) -> Self {
        Self::managed(SecretType::Generic, name, value)
    }

    /// A generic binary secret with one version.
    pub fn binary(name: &str, bytes: &[u8]) -> Self {
        Self {
            data_type: DataType::Binary,
            ..Self::new(name, &STANDARD.encode(bytes))
        }
    }

    /// A secret of any type with one version, whose data is said as it is.
    pub fn managed(kind: SecretType, name: &str, data: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            value: Some(data.into()),
            ..Self::default()
        }
    }

    /// An account of RDS, Redis or `PolarDB`.
    pub fn account(kind: SecretType, name: &str, user: &str, password: &str) -> Self {
        let data = json!({ "AccountName": user, "AccountPassword": password });
        Self::managed(kind, name, &data.to_string())
    }

    /// An access key of a RAM user.
    pub fn ram_credentials(name: &str, id: &str, secret: &str) -> Self {
        let data = json!({
            "AccessKeyId": id,
            "AccessKeySecret": secret,
            "GenerateTimestamp": "2026-01-01T00:00:00Z",
        });
        Self::managed(SecretType::RamCredentials, name, &data.to_string())
    }

    /// A user's password on an ECS instance.
    pub fn ecs_password(name: &str, user: &str, password: &str) -> Self {
        let data = json!({ "UserName": user, "Password": password });
        Self::managed(SecretType::Ecs, name, &data.to_string())
    }

    /// A user's key pair on an ECS instance.
    pub fn ecs_key_pair(name: &str, user: &str, public: &str, private: &str) -> Self {
        let data = json!({ "UserName": user, "PublicKey": public, "PrivateKey": private });
        Self::managed(SecretType::Ecs, name, &data.to_string())
    }

    /// In another region than the seed's.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Encrypted by a key of the account.
    #[must_use]
    pub fn key(mut self, id: &str) -> Self {
        self.encryption_key = Some(id.to_owned());
        self
    }

    /// With a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Rotated automatically, in the words of the cloud only: `Simulator::rotate_secret` does it.
    #[must_use]
    pub fn rotated_every(mut self, interval: SignedDuration) -> Self {
        self.rotation = Some(Rotation {
            automatic: enabled(),
            interval: Some(interval),
            next: None,
        });
        self
    }

    /// Readable by a principal of another account, as far as that account permits it.
    #[must_use]
    pub fn shared_with(mut self, principal: &str) -> Self {
        self.policy.push(SecretPolicy {
            principals: vec![principal.to_owned()],
            actions: reading(),
        });
        self
    }

    /// With these versions and no other, oldest first.
    #[must_use]
    pub fn with_versions(mut self, versions: impl IntoIterator<Item = SecretVersion>) -> Self {
        self.value = None;
        self.versions = versions.into_iter().collect();
        self
    }

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
        Ok(())
    }
}

// === impl SecretVersion ===

impl SecretVersion {
    /// A version of text, or of data that is already as on the wire.
    pub fn new(id: &str, data: &str) -> Self {
        Self {
            id: Some(id.to_owned()),
            data: data.into(),
            data_type: None,
            stages: None,
        }
    }

    /// A version of bytes.
    pub fn binary(id: &str, bytes: &[u8]) -> Self {
        Self {
            data_type: Some(DataType::Binary),
            ..Self::new(id, &STANDARD.encode(bytes))
        }
    }

    /// With these stages and no other.
    #[must_use]
    pub fn stages(mut self, stages: &[&str]) -> Self {
        self.stages = Some(stages.iter().map(|&stage| stage.to_owned()).collect());
        self
    }
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
