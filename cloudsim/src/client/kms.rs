//! The client's part about KMS.

use reqwest::Method;
use serde_json::json;

use crate::admin::SecretVersionSpec;
use crate::client::{Admin, AdminError, list};
use crate::cloud::SecretInfo;
use crate::instance::KmsInstance;
use crate::seed::{KmsKey, KmsSettings, Secret};

// === impl Admin ===

impl Admin {
    /// Adds or replaces a secret of the first account, with all its versions.
    pub async fn put_secret(&self, secret: &Secret) -> Result<(), AdminError> {
        self.post("secrets", secret).await.map(drop)
    }

    /// Adds a version to a secret; returns its id.
    pub async fn put_secret_version(&self, spec: &SecretVersionSpec) -> Result<String, AdminError> {
        let answer = self.post("secrets/versions", spec).await?;
        Ok(answer["version"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes new data current and the current data previous, as a rotation does; returns the version's id.
    pub async fn rotate_secret(&self, name: &str, data: &str) -> Result<String, AdminError> {
        let spec = json!({ "name": name, "data": data });
        let answer = self.post("secrets/rotate", &spec).await?;
        Ok(answer["version"].as_str().unwrap_or_default().to_owned())
    }

    /// Deletes a secret of the first account in the seed's region: at once, or after some days.
    pub async fn delete_secret(
        &self,
        name: &str,
        recovery_days: Option<u16>,
    ) -> Result<(), AdminError> {
        let mut query = vec![("name", name.to_owned())];
        query.extend(recovery_days.map(|days| ("recovery_days", days.to_string())));
        self.delete("secrets", &query).await
    }

    /// Takes the deletion of a secret back that is not gone yet.
    pub async fn restore_secret(&self, name: &str) -> Result<(), AdminError> {
        let named = json!({ "name": name });
        self.post("secrets/restore", &named).await.map(drop)
    }

    /// All secrets, without data.
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, AdminError> {
        Ok(list(self.get("secrets").await?, "secrets"))
    }

    /// Adds a key of the first account, or changes its state.
    pub async fn put_kms_key(&self, key: &KmsKey) -> Result<(), AdminError> {
        self.post("kms-keys", key).await.map(drop)
    }

    /// Deletes a key of the first account.
    pub async fn delete_kms_key(&self, id: &str) -> Result<(), AdminError> {
        self.delete("kms-keys", &[("name", id)]).await
    }

    /// The dedicated instance of KMS.
    pub async fn kms_instance(&self) -> Result<KmsInstance, AdminError> {
        self.call(Method::GET, "kms-instance", &(), None::<&()>)
            .await
    }

    /// Changes how KMS behaves as a whole.
    pub async fn set_kms(&self, settings: &KmsSettings) -> Result<(), AdminError> {
        self.post("kms", settings).await.map(drop)
    }
}
