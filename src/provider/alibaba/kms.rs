//! KMS Secrets Manager: secrets of the shared gateways, twenty to a call, and of dedicated instances.

mod answer;
mod list;
mod name;
mod singly;
mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use self::answer::{Many, One};
use self::support::Support;
use super::call::Gateway;
use super::endpoint::{self, Network};
use super::sts::Sts;
use super::{ca, code};
use crate::credential::Credentials;
use crate::provider::endpoint::{Endpoint, EndpointError, EndpointPolicy, is_region};
use crate::provider::hex::hex;
use crate::provider::{
    Address, Answer, CallError, Capabilities, Class, ConfigError, Detail, Edge, Listed, Notice,
    Provider, Quota, RemoteKey, Selection,
};

/// The version of the KMS API.
const VERSION: &str = "2016-01-20";
/// The most names that `BatchGetSecretValue` takes.
const BATCH: usize = 20;

/// Which KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsConfig {
    /// The region, such as `cn-hangzhou`.
    pub region: String,
    /// Which of the region's hosts.
    pub network: Network,
    /// A URL that replaces what region and network give. A dedicated instance's means the instance.
    pub endpoint: Option<String>,
    /// The dedicated instance that values are read from.
    pub instance: Option<KmsInstance>,
}

/// Which dedicated instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsInstance {
    /// Its host or URL.
    pub endpoint: String,
    /// The certificates that its own may come from, in PEM, in place of those that the vendor publishes
    /// for the region.
    pub ca_bundle: Option<String>,
}

/// The secrets of one region, or of one dedicated instance there.
pub struct Kms {
    address: Address,
    region: String,
    /// Where values are read.
    gateway: Gateway,
    /// Where names are listed: the shared gateway, for dedicated ones have no such call.
    lists: Gateway,
    sts: Sts,
    edge: Edge,
    /// Of this identity too, because whoever reads keeps one provider per identity and address.
    support: Mutex<Support>,
    dedicated: bool,
    route: String,
    /// Calls made beyond one for each fetch, since they were last counted.
    calls: AtomicI32,
}

// === impl Kms ===

impl Kms {
    /// The KMS that `config` names, if its final URLs pass `policy`. `sts` is where
    /// [`check`](Provider::check) asks; the store's own endpoint never redirects that. A dedicated
    /// instance is trusted by its own authority only, unless plain http is allowed and asked for.
    ///
    /// # Errors
    /// What is wrong with the region, an endpoint or the certificates.
    pub fn new(
        config: KmsConfig,
        sts: Endpoint,
        policy: &EndpointPolicy,
        edge: Edge,
    ) -> Result<Self, ConfigError> {
        let KmsConfig {
            region,
            network,
            endpoint,
            instance,
        } = config;
        if !is_region(&region) {
            return Err(EndpointError::Region.into());
        }
        let named = endpoint::kms(policy, endpoint.as_deref(), &region, network)?;
        let by_name = endpoint::is_kms_instance(&named);
        let shared = if by_name {
            endpoint::kms(policy, None, &region, network)?
        } else {
            named.clone()
        };
        let (dedicated, ca_bundle) = match instance {
            Some(_) if by_name => return Err(ConfigError::TwoInstances),
            Some(instance) => {
                let at = endpoint::kms_instance(policy, &instance.endpoint)?;
                (Some(at), instance.ca_bundle)
            }
            None => (by_name.then_some(named), None),
        };
        let is_dedicated = dedicated.is_some();
        let support = Support::new(!is_dedicated);
        let mut reader = edge.clone();
        let mut authority = String::new();
        if dedicated.as_ref().is_some_and(Endpoint::is_https) {
            let trusted = ca::trusted(&region, ca_bundle.as_deref())?;
            let client = edge.http.trusting(&trusted);
            reader.http = client.map_err(|_| ConfigError::UnusableAuthority)?;
            authority = hex(&trusted.digest());
        }
        let at = dedicated.unwrap_or_else(|| shared.clone());
        let route = match authority.as_str() {
            "" => at.host().to_owned(),
            trusted => format!("{} {trusted}", at.host()),
        };
        let parts = [
            ("endpoint", at.as_str()),
            ("region", &region),
            ("lists", shared.as_str()),
            ("authority", &authority),
        ];
        Ok(Self {
            address: Address::new("kms", &parts),
            sts: Sts::new(sts, edge.clone()),
            gateway: Gateway::new(reader, at, VERSION, code::KMS),
            lists: Gateway::new(edge.clone(), shared, VERSION, code::KMS),
            support: Mutex::new(support),
            dedicated: is_dedicated,
            route,
            calls: AtomicI32::new(0),
            region,
            edge,
        })
    }

    /// What the body of a batch's answer says of each of `keys`. Public so that its cost can be counted.
    ///
    /// # Errors
    /// [`Class::Protocol`], if it cannot be trusted as a whole.
    #[doc(hidden)]
    pub fn read_batch(body: &[u8], keys: &[RemoteKey]) -> Result<Vec<Answer>, CallError> {
        let answer: Many = serde_json::from_slice(body)
            .map_err(|_| CallError::new(Class::Protocol, "UndecodableAnswer"))?;
        answer.read(keys)
    }

    async fn one(&self, credentials: &Credentials, key: &RemoteKey) -> Answer {
        name::check(key, &self.region)?;
        let mut parameters = vec![("SecretName", key.key.as_str())];
        match (&key.version, &key.stage) {
            (Some(version), _) => parameters.push(("VersionId", version)),
            (None, Some(stage)) => parameters.push(("VersionStage", stage)),
            (None, None) => {}
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer: One = self
            .gateway
            .signed(credentials, "GetSecretValue", &parameters)
            .await?;
        answer.read(key)
    }

    async fn many(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
    ) -> Result<Vec<Answer>, CallError> {
        let entry = |key: &RemoteKey| json!({"SecretName": key.key, "VersionStage": name::CURRENT});
        let list: Vec<_> = keys.iter().map(entry).collect();
        let list = serde_json::Value::from(list).to_string();
        let parameters = [("SecretsList", list.as_str())];
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer: Many = self
            .gateway
            .signed(credentials, "BatchGetSecretValue", &parameters)
            .await?;
        answer.read(keys)
    }

    /// One key, by the batch call where that has to prove itself. Only a value counts there: whatever
    /// else a batch says, the single read says better.
    async fn probing(&self, credentials: &Credentials, key: &RemoteKey) -> Answer {
        let probe = self.batchable(key) && self.support().take_probe(self.edge.clock.now());
        if probe {
            let answers = self.many(credentials, std::slice::from_ref(key)).await;
            if let Some(Ok(fetched)) = answers.ok().and_then(|mut answers| answers.pop()) {
                self.support().worked();
                return Ok(fetched);
            }
        }
        self.one(credentials, key).await
    }

    /// Many keys by the batch call, or singly where that does not work, so that none is lost when it
    /// stops working.
    async fn together(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
    ) -> Result<Vec<Answer>, CallError> {
        let names: HashSet<&str> = keys.iter().map(|key| key.key.as_str()).collect();
        let fits = keys.len() <= BATCH && names.len() == keys.len();
        if !fits || !keys.iter().all(|key| self.batchable(key)) {
            let detail = Detail::Fixed("these keys do not fit into one call");
            return Err(CallError::new(Class::Invalid, "Batch").with_detail(detail));
        }
        if !self.support().usable(self.edge.clock.now()) {
            return self.singly(credentials, keys).await;
        }
        let batch = self.many(credentials, keys).await;
        match batch {
            Err(error) if code::is_unknown_call(error.code()) => {
                self.support().refused(self.edge.clock.now());
                self.singly(credentials, keys).await
            }
            // The policy may allow to read each and not to read many: then single reads work.
            Err(error) if error.class == Class::Denied => {
                let answers = self.singly(credentials, keys).await?;
                if answers.iter().any(Result::is_ok) {
                    self.support().refused(self.edge.clock.now());
                }
                Ok(answers)
            }
            Ok(answers) => self.second_opinion(credentials, keys, answers).await,
            Err(error) => Err(error),
        }
    }

    fn support(&self) -> MutexGuard<'_, Support> {
        self.support.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Kms {
    fn name(&self) -> &'static str {
        "kms"
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn host(&self) -> &str {
        self.gateway.endpoint().host()
    }

    fn route(&self) -> &str {
        &self.route
    }

    fn capabilities(&self) -> Capabilities {
        let usable = self.support().usable(self.edge.clock.now());
        let batch = if usable { BATCH } else { 1 };
        Capabilities { batch }
    }

    /// Reads of the shared gateways are counted by account and region, whichever network they come by;
    /// dedicated instances have no quota ("Quotas" of the KMS documentation).
    fn quota(&self) -> Quota {
        Quota {
            name: "kms-reads",
            scope: endpoint::counted_by("kms", self.gateway.endpoint(), &self.region).to_owned(),
            per_second: (!self.dedicated).then_some(450),
        }
    }

    fn take_more_calls(&self) -> u32 {
        let more = self.calls.load(Ordering::Relaxed).max(0);
        self.calls.fetch_sub(more, Ordering::Relaxed);
        more.unsigned_abs()
    }

    /// A batch names each secret once, so versions and other stages than the current one, of which one
    /// secret may be asked for several, travel alone. So do ARNs, for nothing says under which name a
    /// batch answers them, and malformed names, which would refuse it whole.
    fn batchable(&self, key: &RemoteKey) -> bool {
        key.version.is_none() && key.stage.is_none() && name::is_plain(&key.key)
    }

    fn action(&self, keys: &[RemoteKey], _: bool) -> &'static str {
        match keys {
            [_] => "GetSecretValue",
            _ => "BatchGetSecretValue",
        }
    }

    /// The stage that is read where none is named need not be named.
    fn canonical(&self, mut key: RemoteKey) -> RemoteKey {
        if key.version.is_none() {
            key.stage = key.stage.filter(|stage| stage != name::CURRENT);
        }
        key
    }

    fn fetch<'a>(
        &'a self,
        credentials: &'a Credentials,
        keys: &'a [RemoteKey],
    ) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        async move {
            self.calls.fetch_sub(1, Ordering::Relaxed);
            match keys {
                [] => Ok(Vec::new()),
                [key] => self
                    .probing(credentials, key)
                    .await
                    .map(|fetched| vec![Ok(fetched)]),
                keys => self.together(credentials, keys).await,
            }
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        credentials: &'a Credentials,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Listed>, CallError>> {
        list::list(&self.lists, credentials, selection).boxed()
    }

    fn take_notice(&self) -> Option<Notice> {
        self.support()
            .take_withdrawal()
            .then_some(Notice::BatchWithdrawn)
    }

    fn check<'a>(&'a self, credentials: &'a Credentials) -> BoxFuture<'a, Result<(), CallError>> {
        async move { self.sts.caller(credentials).await.map(drop) }.boxed()
    }
}

#[cfg(test)]
mod tests;
