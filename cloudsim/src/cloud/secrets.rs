//! What can be done from outside to the KMS of the simulated clouds.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cloud::{Cloud, CloudError};
use crate::hidden::Hidden;
use crate::parameter::Place;
use crate::secret::{CURRENT, SecretStore, is_version_id};
use crate::seed::{KmsKey, KmsSettings, Secret, SecretType, SecretVersion, Seed, SeedError};

/// A secret without its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    /// The account that owns it.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: SecretType,
    /// The ids of its versions, oldest first, each with its stages.
    pub versions: Vec<(String, Vec<String>)>,
    /// When it will be gone, if it is pending deletion.
    pub planned_delete: Option<Timestamp>,
}

/// The secrets of a seed.
pub(super) fn stored(seed: &Seed, now: Timestamp) -> SecretStore {
    let mut store = SecretStore::default();
    for account in &seed.accounts {
        for key in &account.kms_keys {
            // A seed is checked before it is used, so its policies can be read.
            let policy = key.resource_policy().ok();
            store.put_key(&account.id, &key.id, key.state, policy);
        }
        for secret in &account.secrets {
            let place = Place {
                account: account.id.clone(),
                region: secret.region.clone().unwrap_or_else(|| seed.region.clone()),
                name: secret.name.clone(),
            };
            store.put(place, secret.clone(), now);
        }
    }
    store
}

// === impl Cloud ===

impl Cloud {
    /// Adds or replaces a secret, with all its versions.
    pub(crate) fn put_secret(
        &self,
        account: Option<&str>,
        secret: Secret,
    ) -> Result<(), CloudError> {
        secret.check()?;
        let place = self.place(account, secret.region.as_deref(), &secret.name)?;
        self.secrets.write().put(place, secret, self.now());
        Ok(())
    }

    /// Adds a version to a secret and returns its id. Without stages it is the current one.
    pub(crate) fn put_secret_version(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
        version: SecretVersion,
    ) -> Result<String, CloudError> {
        let place = self.place(account, region, name)?;
        let now = self.now();
        let mut store = self.secrets.write();
        let secret = store
            .get_mut(&place, now)
            .ok_or(CloudError::NotFound("secret"))?;
        let SecretVersion {
            id,
            data,
            data_type,
            stages,
        } = version;
        let rule =
            |why: &str| CloudError::Invalid(SeedError::Rule(format!("secrets: {name} {why}")));
        if !data_type.unwrap_or(secret.about.data_type).fits(&data) {
            return Err(rule("must have 1 to 30720 bytes of data"));
        }
        if id
            .as_deref()
            .is_some_and(|id| !is_version_id(id) || secret.version(id).is_some())
        {
            return Err(rule("must have a new version id of 1 to 64 characters"));
        }
        let stages = stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        Ok(secret.add(id, data, data_type, &stages, now))
    }

    /// Makes new data current, the current data previous, and notes the time as that of the last rotation.
    pub(crate) fn rotate_secret(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
        data: Hidden,
    ) -> Result<String, CloudError> {
        let place = self.place(account, region, name)?;
        let id = self.secrets.write().rotate(&place, data, self.now());
        id.ok_or(CloudError::NotFound("secret"))
    }

    /// Deletes a secret: at once, or after some days during which it can be restored.
    pub(crate) fn delete_secret(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
        recovery_days: Option<u16>,
    ) -> Result<(), CloudError> {
        let place = self.place(account, region, name)?;
        let recovery = recovery_days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        let deleted = self.secrets.write().delete(&place, recovery, self.now());
        deleted.map(drop).ok_or(CloudError::NotFound("secret"))
    }

    pub(crate) fn restore_secret(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
    ) -> Result<(), CloudError> {
        let place = self.place(account, region, name)?;
        let mut store = self.secrets.write();
        let secret = store
            .get_mut(&place, self.now())
            .ok_or(CloudError::NotFound("secret"))?;
        secret.planned_delete = None;
        Ok(())
    }

    pub(crate) fn list_secrets(&self) -> Vec<SecretInfo> {
        let store = self.secrets.read();
        let info = store.all(self.now()).map(|(place, secret)| SecretInfo {
            account: place.account.clone(),
            region: place.region.clone(),
            name: place.name.clone(),
            kind: secret.kind(),
            versions: secret
                .versions
                .iter()
                .map(|version| (version.id.clone(), version.stages.clone()))
                .collect(),
            planned_delete: secret.planned_delete,
        });
        info.collect()
    }

    /// Adds a key or changes its state, and its policy if it says one.
    pub(crate) fn put_kms_key(
        &self,
        account: Option<&str>,
        key: &KmsKey,
    ) -> Result<(), CloudError> {
        let account = self.account(account)?;
        let policy = key.resource_policy()?;
        let said = key.policy_document.is_some();
        let mut store = self.secrets.write();
        store.put_key(&account, &key.id, key.state, said.then_some(policy));
        Ok(())
    }

    pub(crate) fn delete_kms_key(&self, account: Option<&str>, id: &str) -> Result<(), CloudError> {
        let account = self.account(account)?;
        self.secrets
            .write()
            .delete_key(&account, id)
            .then_some(())
            .ok_or(CloudError::NotFound("key"))
    }

    pub(crate) fn kms_settings(&self) -> KmsSettings {
        self.kms.read().clone()
    }

    pub(crate) fn set_kms(&self, settings: KmsSettings) {
        *self.kms.write() = settings;
    }
}
