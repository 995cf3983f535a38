//! The state of Tencent Cloud, and everything that can be done to it from outside.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cloud::CloudError;
use crate::parameter::Place;
use crate::quota::Quotas;
use crate::seed::SeedError;
use crate::shared::Shared;
use crate::tencent::cam::{Registry, provider_arn, role_arn};
use crate::tencent::metadata::Handed;
use crate::tencent::seed::{
    Metadata, OidcProvider, Role, Secret, SecretState, SecretType, Settings, Tencent, User, Version,
};
use crate::tencent::store::{CURRENT, Data, MAX_VERSIONS, Store};

/// What all requests to Tencent Cloud share.
pub(crate) struct State {
    pub(crate) region: String,
    pub(crate) registry: Shared<Registry>,
    pub(crate) secrets: Shared<Store>,
    pub(crate) settings: Shared<Settings>,
    pub(crate) metadata: Shared<Option<Metadata>>,
    pub(crate) quotas: Shared<Quotas<(String, &'static str)>>,
    pub(crate) handed: Shared<Option<Handed>>,
    pub(crate) offset: Shared<SignedDuration>,
}

/// A secret without its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    /// The UIN of the account that owns it.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: SecretType,
    /// Its state.
    pub state: SecretState,
    /// Its versions, oldest first.
    pub versions: Vec<VersionInfo>,
}

/// A version without its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// The version's id.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
}

/// Where a secret is: without an account in the first, without a region in the seed's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    pub(crate) name: String,
}

// === impl At ===

impl At {
    pub(crate) fn name(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

// === impl State ===

impl State {
    pub(crate) fn new(seed: &Tencent, now: Timestamp) -> Self {
        let mut store = Store::default();
        for account in &seed.accounts {
            for secret in &account.secrets {
                let place = Place {
                    account: account.uin.clone(),
                    region: secret.region.clone().unwrap_or_else(|| seed.region.clone()),
                    name: secret.name.clone(),
                };
                store.put(place, secret.clone(), now);
            }
        }
        Self {
            region: seed.region.clone(),
            registry: Shared::new(Registry::new(seed)),
            secrets: Shared::new(store),
            settings: Shared::new(seed.settings.clone()),
            metadata: Shared::new(seed.metadata.clone()),
            quotas: Shared::default(),
            handed: Shared::default(),
            offset: Shared::new(seed.clock_offset),
        }
    }

    /// What the cloud's clock says when the machine's says this.
    pub(crate) fn now(&self, machine: Timestamp) -> Timestamp {
        machine + *self.offset.read()
    }

    fn account(&self, uin: Option<&str>) -> Result<String, CloudError> {
        let account = self.registry.read().account(uin);
        account.ok_or(CloudError::NotFound("account"))
    }

    fn place(&self, at: &At) -> Result<Place, CloudError> {
        Ok(Place {
            account: self.account(at.account.as_deref())?,
            region: at.region.clone().unwrap_or_else(|| self.region.clone()),
            name: at.name.clone(),
        })
    }

    pub(crate) fn role_arn(&self, account: Option<&str>, role: &str) -> Result<String, CloudError> {
        if role.starts_with("qcs:") {
            return Ok(role.to_owned());
        }
        Ok(role_arn(&self.account(account)?, role))
    }

    /// Adds or replaces a secret, with all its versions.
    pub(crate) fn put_secret(
        &self,
        account: Option<&str>,
        secret: Secret,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        secret.check()?;
        let place = self.place(&At {
            account: account.map(str::to_owned),
            region: secret.region.clone(),
            name: secret.name.clone(),
        })?;
        self.secrets.write().put(place, secret, self.now(now));
        Ok(())
    }

    /// Deletes a secret at once.
    pub(crate) fn delete_secret(&self, at: &At) -> Result<(), CloudError> {
        let place = self.place(at)?;
        let deleted = self.secrets.write().remove(&place);
        found(deleted, "secret")
    }

    /// Adds a version, or replaces the data of the one of its id: then its time stays, if none is said.
    pub(crate) fn put_version(
        &self,
        at: &At,
        version: &Version,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        version.check(&at.name)?;
        let (place, now) = (self.place(at)?, self.now(now));
        let mut store = self.secrets.write();
        let secret = store.get_mut(&place, now);
        let secret = secret.ok_or(CloudError::NotFound("secret"))?;
        let id = version.id.as_deref().unwrap_or(CURRENT);
        let data = Data::of(version);
        if let Some(known) = secret.versions.iter_mut().find(|known| known.id == id) {
            known.data = data;
            known.created = version.created.unwrap_or(known.created);
            return Ok(());
        }
        let room = secret.versions.len() < MAX_VERSIONS && secret.about.ssh.is_none();
        found(
            room,
            "room for a version: ten are the most, and an SSH key pair has none",
        )?;
        secret.add(id, data, version.created.unwrap_or(now));
        Ok(())
    }

    /// Deletes a version.
    pub(crate) fn delete_version(
        &self,
        at: &At,
        id: &str,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let (place, now) = (self.place(at)?, self.now(now));
        let mut store = self.secrets.write();
        let secret = store.get_mut(&place, now);
        let secret = secret.ok_or(CloudError::NotFound("secret"))?;
        let before = secret.versions.len();
        secret.versions.retain(|version| version.id != id);
        found(secret.versions.len() < before, "version")
    }

    /// Makes another text `SSM_Current`; the one before gets an opaque id.
    pub(crate) fn rotate(&self, at: &At, text: &str, now: Timestamp) -> Result<(), CloudError> {
        let (place, now) = (self.place(at)?, self.now(now));
        let mut store = self.secrets.write();
        let secret = store.get_mut(&place, now);
        let secret = secret.ok_or(CloudError::NotFound("secret"))?;
        if matches!(secret.about.kind, SecretType::Custom | SecretType::Ssh) {
            return Err(wrong(at, "is of a type that is not rotated this way"));
        }
        secret.rotate(Data::Text(text.into()), now);
        Ok(())
    }

    /// Changes the state; one that is pending deletion is so for a week.
    pub(crate) fn set_secret_state(
        &self,
        at: &At,
        state: SecretState,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let (place, now) = (self.place(at)?, self.now(now));
        let mut store = self.secrets.write();
        let secret = store.get_mut(&place, now);
        let secret = secret.ok_or(CloudError::NotFound("secret"))?;
        secret.set_state(state, Some(now + SignedDuration::from_hours(24 * 7)));
        Ok(())
    }

    pub(crate) fn list_secrets(&self, now: Timestamp) -> Vec<SecretInfo> {
        let store = self.secrets.read();
        let info = store.all(self.now(now)).map(|(place, secret)| SecretInfo {
            account: place.account.clone(),
            region: place.region.clone(),
            name: place.name.clone(),
            kind: secret.about.kind,
            state: secret.state,
            versions: secret
                .versions
                .iter()
                .map(|version| VersionInfo {
                    id: version.id.clone(),
                    created: version.created,
                })
                .collect(),
        });
        info.collect()
    }

    /// Adds or replaces a long-lived key of a user (a UIN), or of the account itself.
    pub(crate) fn put_key(
        &self,
        account: Option<&str>,
        user: Option<&str>,
        id: &str,
        secret: &str,
    ) -> Result<(), CloudError> {
        let account = self.account(account)?;
        self.registry.write().put_key(&account, user, id, secret);
        Ok(())
    }

    /// Adds or replaces a user and what it may do, and adds its keys.
    pub(crate) fn put_user(&self, account: Option<&str>, user: &User) -> Result<(), CloudError> {
        user.policy()?;
        let account = self.account(account)?;
        self.registry.write().put_user(&account, user);
        Ok(())
    }

    /// Adds or replaces a role and returns its ARN. Its living sessions get the new rules at once.
    pub(crate) fn put_role(
        &self,
        account: Option<&str>,
        role: &Role,
    ) -> Result<String, CloudError> {
        let account = self.account(account)?;
        role.check(&account)?;
        Ok(self.registry.write().put_role(&account, role))
    }

    pub(crate) fn delete_role(&self, account: Option<&str>, role: &str) -> Result<(), CloudError> {
        let arn = self.role_arn(account, role)?;
        let deleted = self.registry.write().delete_role(&arn);
        found(deleted, "role")
    }

    /// Revokes all living sessions of a role and says how many there were.
    pub(crate) fn revoke_sessions(
        &self,
        account: Option<&str>,
        role: &str,
    ) -> Result<usize, CloudError> {
        let arn = self.role_arn(account, role)?;
        Ok(self.registry.write().revoke_sessions(&arn))
    }

    /// Adds or replaces an OIDC provider and returns its ARN.
    pub(crate) fn put_provider(
        &self,
        account: Option<&str>,
        provider: OidcProvider,
    ) -> Result<String, CloudError> {
        provider.check()?;
        let account = self.account(account)?;
        Ok(self.registry.write().put_provider(&account, provider))
    }

    pub(crate) fn delete_provider(
        &self,
        account: Option<&str>,
        name: &str,
    ) -> Result<(), CloudError> {
        let arn = provider_arn(&self.account(account)?, name);
        let deleted = self.registry.write().delete_provider(&arn);
        found(deleted, "OIDC provider")
    }
}

fn wrong(at: &At, why: &str) -> CloudError {
    SeedError::Rule(format!("tencent: secret {} {why}", at.name)).into()
}

fn found(found: bool, what: &'static str) -> Result<(), CloudError> {
    found.then_some(()).ok_or(CloudError::NotFound(what))
}
