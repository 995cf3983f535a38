//! The state of the simulated clouds, and everything that can be done to it from outside.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{Registry, provider_arn, role_arn};
use crate::fault::Faults;
use crate::hidden::Hidden;
use crate::instance::KmsInstance;
use crate::jwks::KeySets;
use crate::ledger::Ledger;
use crate::metadata::MetadataState;
use crate::nonce::NonceCache;
use crate::parameter::{ParameterStore, Place};
use crate::quota::{self, Quotas};
use crate::request::Request;
use crate::secret::SecretStore;
use crate::seed::{Account, KmsSettings, OidcProvider, Parameter, Role, Seed, SeedError};
use crate::shared::Shared;
use crate::tencent;

mod identities;
mod secrets;

pub use secrets::SecretInfo;

/// Tells the time. Tests that need another time than now pass their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The state that all requests share. No lock is held across an await.
pub(crate) struct Cloud {
    pub(crate) region: String,
    pub(crate) latency: Duration,
    pub(crate) instance: Option<KmsInstance>,
    pub(crate) registry: Shared<Registry>,
    pub(crate) parameters: Shared<ParameterStore>,
    pub(crate) plain_parameters: Shared<ParameterStore>,
    pub(crate) secrets: Shared<SecretStore>,
    pub(crate) kms: Shared<KmsSettings>,
    pub(crate) quotas: Shared<Quotas<(String, String, quota::Kind)>>,
    pub(crate) tencent: tencent::State,
    pub(crate) host: Shared<MetadataState>,
    pub(crate) nonces: Shared<NonceCache>,
    pub(crate) faults: Shared<Faults>,
    pub(crate) ledger: Shared<Ledger>,
    pub(crate) key_sets: KeySets,
    credential_lifetime: Shared<Option<SignedDuration>>,
    clock: Clock,
}

/// Why an operation on the simulator cannot be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloudError {
    /// The account, key, parameter, role or provider does not exist.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What was given breaks the seed's rules.
    #[error(transparent)]
    Invalid(#[from] SeedError),
}

/// A parameter without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterInfo {
    /// The account that owns it.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// The number of the current version.
    pub version: usize,
}

/// One kind of parameters of a seed.
fn stored(seed: &Seed, of: impl Fn(&Account) -> &Vec<Parameter>, now: Timestamp) -> ParameterStore {
    let mut store = ParameterStore::default();
    for account in &seed.accounts {
        for parameter in of(account) {
            let region = parameter.region.as_ref().unwrap_or(&seed.region);
            let place = Place {
                account: account.id.clone(),
                region: region.clone(),
                name: parameter.name.clone(),
            };
            store.put(place, parameter.clone(), now);
        }
    }
    store
}

// === impl Cloud ===

impl Cloud {
    pub(crate) fn new(
        seed: &Seed,
        latency: Duration,
        oidc_ca_pem: Option<String>,
        clock: Clock,
    ) -> Self {
        let now = clock();
        Self {
            region: seed.region.clone(),
            latency,
            instance: None,
            registry: Shared::new(Registry::from_seed(seed)),
            parameters: Shared::new(stored(seed, |account| &account.parameters, now)),
            plain_parameters: Shared::new(stored(seed, |account| &account.plain_parameters, now)),
            secrets: Shared::new(secrets::stored(seed, now)),
            kms: Shared::new(seed.kms.clone()),
            quotas: Shared::default(),
            tencent: tencent::State::new(&seed.tencent, now),
            host: Shared::new(MetadataState::new(seed)),
            nonces: Shared::new(NonceCache::new(now)),
            faults: Shared::default(),
            ledger: Shared::default(),
            key_sets: KeySets::new(oidc_ca_pem),
            credential_lifetime: Shared::new(seed.credential_lifetime),
            clock,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The region that a request is for: said by a parameter, else by the host, else the seed's.
    pub(crate) fn region_of<'a>(&'a self, request: &'a Request) -> &'a str {
        let said = request.parameter("RegionId");
        said.or_else(|| request.host_region())
            .unwrap_or(&self.region)
    }

    fn account(&self, id: Option<&str>) -> Result<String, CloudError> {
        self.registry
            .read()
            .account(id)
            .ok_or(CloudError::NotFound("account"))
    }

    fn place(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
    ) -> Result<Place, CloudError> {
        Ok(Place {
            account: self.account(account)?,
            region: region.unwrap_or(&self.region).to_owned(),
            name: name.to_owned(),
        })
    }

    /// Adds a version of a parameter, and the parameter if it is new.
    pub(crate) fn put_parameter(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
        value: Hidden,
    ) -> Result<usize, CloudError> {
        let parameter = Parameter::new(name, value);
        parameter.check()?;
        let place = self.place(account, region, name)?;
        let now = self.now();
        Ok(self.parameters.write().put(place, parameter, now))
    }

    /// Adds a version of a plain parameter, and the parameter if it is new.
    pub(crate) fn put_plain_parameter(
        &self,
        account: Option<&str>,
        parameter: Parameter,
    ) -> Result<usize, CloudError> {
        parameter.check()?;
        let place = self.place(account, parameter.region.as_deref(), &parameter.name)?;
        let now = self.now();
        Ok(self.plain_parameters.write().put(place, parameter, now))
    }

    pub(crate) fn delete_plain_parameter(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
    ) -> Result<(), CloudError> {
        let place = self.place(account, region, name)?;
        self.plain_parameters
            .write()
            .delete(&place)
            .then_some(())
            .ok_or(CloudError::NotFound("parameter"))
    }

    pub(crate) fn delete_parameter(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        name: &str,
    ) -> Result<(), CloudError> {
        let place = self.place(account, region, name)?;
        self.parameters
            .write()
            .delete(&place)
            .then_some(())
            .ok_or(CloudError::NotFound("parameter"))
    }

    pub(crate) fn list_parameters(&self) -> Vec<ParameterInfo> {
        let store = self.parameters.read();
        let info = store.all().map(|(place, parameter)| ParameterInfo {
            account: place.account.clone(),
            region: place.region.clone(),
            name: place.name.clone(),
            version: parameter.version(None).map_or(0, |(number, _)| number),
        });
        info.collect()
    }

    pub(crate) fn put_key(
        &self,
        account: Option<&str>,
        user: Option<&str>,
        id: &str,
        secret: &Hidden,
    ) -> Result<(), CloudError> {
        let account = self.account(account)?;
        self.registry
            .write()
            .add_key(id, secret.reveal(), &account, user);
        Ok(())
    }

    /// Revokes a key, long-lived or issued, or takes the revocation back.
    pub(crate) fn set_revoked(&self, id: &str, revoked: bool) -> Result<(), CloudError> {
        let known = self.registry.write().set_revoked(id, revoked)
            || self.tencent.registry.write().set_revoked(id, revoked);
        known
            .then_some(())
            .ok_or(CloudError::NotFound("access key"))
    }

    /// Revokes all living sessions of a role, given by ARN or by name, and says how many there were.
    pub(crate) fn revoke_sessions(
        &self,
        account: Option<&str>,
        role: &str,
    ) -> Result<usize, CloudError> {
        let arn = self.role_arn(account, role)?;
        Ok(self.registry.write().revoke_sessions(&arn))
    }

    pub(crate) fn role_arn(&self, account: Option<&str>, role: &str) -> Result<String, CloudError> {
        Ok(if role.starts_with("acs:") {
            role.to_owned()
        } else {
            role_arn(&self.account(account)?, role)
        })
    }

    /// Adds or replaces a role and returns its ARN. Its living sessions get the new rules at once.
    pub(crate) fn put_role(&self, account: Option<&str>, role: Role) -> Result<String, CloudError> {
        role.check()?;
        let account = self.account(account)?;
        Ok(self.registry.write().put_role(&account, role))
    }

    pub(crate) fn delete_role(&self, account: Option<&str>, role: &str) -> Result<(), CloudError> {
        let arn = self.role_arn(account, role)?;
        self.registry
            .write()
            .delete_role(&arn)
            .then_some(())
            .ok_or(CloudError::NotFound("role"))
    }

    /// Adds or replaces an OIDC provider and returns its ARN. Keys of its issuer are fetched anew.
    pub(crate) fn put_provider(
        &self,
        account: Option<&str>,
        provider: OidcProvider,
    ) -> Result<String, CloudError> {
        provider.check()?;
        let account = self.account(account)?;
        self.key_sets.forget(&provider.issuer);
        Ok(self.registry.write().put_provider(&account, provider))
    }

    pub(crate) fn delete_provider(
        &self,
        account: Option<&str>,
        provider: &str,
    ) -> Result<(), CloudError> {
        let arn = provider_arn(&self.account(account)?, provider);
        self.registry
            .write()
            .delete_provider(&arn)
            .then_some(())
            .ok_or(CloudError::NotFound("OIDC provider"))
    }

    /// Overrides how long credentials live that are issued from now on.
    pub(crate) fn set_credential_lifetime(&self, lifetime: Option<SignedDuration>) {
        *self.credential_lifetime.write() = lifetime;
    }

    pub(crate) fn credential_lifetime(&self) -> Option<SignedDuration> {
        *self.credential_lifetime.read()
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
