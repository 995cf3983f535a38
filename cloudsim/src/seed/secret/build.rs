//! Secrets made in tests, without YAML.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use serde_json::json;

use crate::seed::secret::{
    DataType, Rotation, Secret, SecretPolicy, SecretType, SecretVersion, enabled, reading,
};

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
