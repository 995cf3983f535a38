//! The user of Tencent Cloud that a scene of SSM reads as, and what is put there for it.

use std::sync::atomic::{AtomicU64, Ordering};

use cloudsim::tencent::{Secret, SecretType, User, Version};
use serde_json::json;

use super::scene::Scene;

/// Everything that reading may need.
pub const READING: [&str; 4] = [
    "ssm:GetSecretValue",
    "ssm:DescribeSecret",
    "ssm:ListSecretVersionIds",
    "ssm:GetSSHKeyPairValue",
];

impl Scene<'_> {
    /// A user with a key of its own, which the Secret `ak` holds, who may read what is of this scene; and
    /// the store `ssm` that reads as it.
    pub async fn ssm_store(&self) {
        static USERS: AtomicU64 = AtomicU64::new(100_000_001_000);
        let uin = USERS.fetch_add(1, Ordering::Relaxed).to_string();
        let (id, secret) = (format!("AKID{}", self.namespace), "kanari-ssm-key");
        self.cloud
            .tencent()
            .put_user(&self.reader(&uin, &READING))
            .unwrap();
        self.cloud
            .tencent()
            .put_key(Some(&uin), &id, secret)
            .unwrap();
        self.put_secret("ak", &[("id", &id), ("secret", secret), ("user", &uin)])
            .await;
        let store = self.store("ssm", self.access_key("ak"));
        self.apply(&store).await.unwrap();
    }

    /// The user of this scene, who may do `actions`.
    pub fn reader(&self, uin: &str, actions: &[&str]) -> User {
        let rules = json!([{ "actions": actions, "resources": [self.key("*")] }]);
        serde_json::from_value(json!({ "uin": uin, "rules": rules })).unwrap()
    }

    /// Lets the user of this scene do `actions` and nothing else.
    pub async fn may(&self, actions: &[&str]) {
        let uin = self.value("ak", "user").await.unwrap();
        self.cloud
            .tencent()
            .put_user(&self.reader(&uin, actions))
            .unwrap();
    }

    /// Puts a new version of a custom secret, called `v1`, `v2` and so on.
    pub fn put_ssm(&self, name: &str, value: &str) {
        let (tencent, name) = (self.cloud.tencent(), self.key(name));
        let known = tencent
            .secrets()
            .into_iter()
            .find(|secret| secret.name == name);
        if let Some(known) = known {
            let id = format!("v{}", known.versions.len() + 1);
            let version = Version::text(&id, value);
            tencent.put_version(&name, &version).unwrap();
            return;
        }
        let versions = vec![Version::text("v1", value)];
        let secret = Secret {
            name,
            versions,
            ..Secret::default()
        };
        tencent.put_secret(secret).unwrap();
    }

    /// Makes a secret whose only version is called current.
    pub fn put_current(&self, name: &str, kind: SecretType, value: &str) {
        let (name, value) = (self.key(name), Some(value.into()));
        let secret = Secret {
            name,
            kind,
            value,
            ..Secret::default()
        };
        self.cloud.tencent().put_secret(secret).unwrap();
    }
}
