//! What a test can do to the KMS of its simulator.

use crate::cloud::{CloudError, SecretInfo};
use crate::hidden::Hidden;
use crate::seed::{Batch, KeyState, KmsKey, KmsSettings, Secret, SecretVersion};
use crate::simulator::Simulator;

// === impl Simulator ===

impl Simulator {
    /// Adds or replaces a secret of the first account, with all its versions.
    pub fn put_secret(&self, secret: Secret) -> Result<(), CloudError> {
        self.cloud.put_secret(None, secret)
    }

    /// Adds or replaces a secret of any account.
    pub fn put_secret_in(&self, account: &str, secret: Secret) -> Result<(), CloudError> {
        self.cloud.put_secret(Some(account), secret)
    }

    /// Adds a version to a secret of the first account in the seed's region; returns its id. Without stages
    /// of its own it becomes the current one, and the current one the previous one.
    pub fn put_secret_version(
        &self,
        name: &str,
        version: SecretVersion,
    ) -> Result<String, CloudError> {
        self.cloud.put_secret_version(None, None, name, version)
    }

    /// Makes new data current and the current data previous, as a rotation does; returns the version's id.
    pub fn rotate_secret(&self, name: &str, data: &str) -> Result<String, CloudError> {
        self.cloud
            .rotate_secret(None, None, name, Hidden::from(data))
    }

    /// Deletes a secret of the first account in the seed's region: at once, or after some days.
    pub fn delete_secret(&self, name: &str, recovery_days: Option<u16>) -> Result<(), CloudError> {
        self.cloud.delete_secret(None, None, name, recovery_days)
    }

    /// Takes the deletion of a secret back that is not gone yet.
    pub fn restore_secret(&self, name: &str) -> Result<(), CloudError> {
        self.cloud.restore_secret(None, None, name)
    }

    /// All secrets, without data.
    pub fn secrets(&self) -> Vec<SecretInfo> {
        self.cloud.list_secrets()
    }

    /// Adds a key of the first account, or changes its state.
    pub fn put_kms_key(&self, id: &str, state: KeyState) -> Result<(), CloudError> {
        let key = KmsKey {
            id: id.to_owned(),
            state,
            policy_document: None,
        };
        self.cloud.put_kms_key(None, &key)
    }

    /// Adds a key of any account, or changes its state, and its policy if it says one.
    pub fn put_kms_key_in(&self, account: &str, key: &KmsKey) -> Result<(), CloudError> {
        self.cloud.put_kms_key(Some(account), key)
    }

    /// Deletes a key of the first account. The secrets that it encrypts cannot be read any more.
    pub fn delete_kms_key(&self, id: &str) -> Result<(), CloudError> {
        self.cloud.delete_kms_key(None, id)
    }

    /// How KMS behaves as a whole.
    pub fn kms_settings(&self) -> KmsSettings {
        self.cloud.kms_settings()
    }

    /// Changes how KMS behaves as a whole.
    pub fn set_kms(&self, settings: KmsSettings) {
        self.cloud.set_kms(settings);
    }

    /// Switches `BatchGetSecretValue` on or off at the shared and the VPC gateway.
    pub fn set_batch(&self, batch: Batch) {
        self.cloud.kms.write().batch = batch;
    }
}
