//! KMS Secrets Manager: secrets of the shared gateways, twenty to a call, and of dedicated instances.

mod answer;
mod name;
mod support;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use serde_json::json;

use self::answer::{Many, One};
use self::support::Support;
use super::call::Gateway;
use super::code;
use super::endpoint::{self, Network};
use super::sts::Sts;
use crate::credential::Credentials;
use crate::provider::endpoint::{Endpoint, EndpointError, EndpointPolicy, is_region};
use crate::provider::{
    Address, Answer, CallError, Capabilities, Class, Detail, Edge, Notice, Provider, RemoteKey,
};

/// The version of the KMS API.
const VERSION: &str = "2016-01-20";
/// The most names that `BatchGetSecretValue` takes.
const BATCH: usize = 20;
/// How many single reads run at a time where a batch has to be read singly.
const SINGLES: usize = 4;

/// Which KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsConfig {
    /// The region, such as `cn-hangzhou`.
    pub region: String,
    /// Which of the region's hosts.
    pub network: Network,
    /// A URL that replaces what region and network give. A dedicated instance's means the instance.
    pub endpoint: Option<String>,
}

/// The secrets of one region, or of one dedicated instance there.
pub struct Kms {
    address: Address,
    region: String,
    gateway: Gateway,
    sts: Sts,
    edge: Edge,
    /// Of this identity too, because whoever reads keeps one provider per identity and address.
    support: Mutex<Support>,
}

// === impl Kms ===

impl Kms {
    /// The KMS that `config` names, if its final URL passes `policy`. `sts` is where
    /// [`check`](Provider::check) asks; the store's own endpoint never redirects that.
    ///
    /// # Errors
    /// What is wrong with the region or the endpoint.
    pub fn new(
        config: KmsConfig,
        sts: Endpoint,
        policy: &EndpointPolicy,
        edge: Edge,
    ) -> Result<Self, EndpointError> {
        let KmsConfig {
            region,
            network,
            endpoint,
        } = config;
        let endpoint = endpoint::kms(policy, endpoint.as_deref(), &region, network)?;
        if !is_region(&region) {
            return Err(EndpointError::Region);
        }
        let parts = [("endpoint", endpoint.as_str()), ("region", &region)];
        let dedicated = endpoint::is_kms_instance(&endpoint);
        Ok(Self {
            address: Address::new("kms", &parts),
            sts: Sts::new(sts, edge.clone()),
            gateway: Gateway::new(edge.clone(), endpoint, VERSION, code::KMS),
            support: Mutex::new(Support::new(!dedicated)),
            region,
            edge,
        })
    }

    async fn one(&self, credentials: &Credentials, key: &RemoteKey) -> Answer {
        name::check(key, &self.region)?;
        let mut parameters = vec![("SecretName", key.key.as_str())];
        match (&key.version, &key.stage) {
            (Some(version), _) => parameters.push(("VersionId", version)),
            (None, Some(stage)) => parameters.push(("VersionStage", stage)),
            (None, None) => {}
        }
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
        let denied = |answer: &Answer| matches!(answer, Err(e) if e.class == Class::Denied);
        match &batch {
            Err(error) if code::is_unknown_call(error.code()) => {
                self.support().refused(self.edge.clock.now());
                self.singly(credentials, keys).await
            }
            // The policy may allow to read each and not to read many: then one single read works.
            Err(error) if error.class == Class::Denied => self.denied(credentials, keys).await,
            Ok(answers) if answers.iter().all(denied) => {
                match self.one(credentials, &keys[0]).await {
                    Ok(_) => self.denied(credentials, keys).await,
                    Err(_) => batch,
                }
            }
            Ok(_) => {
                self.support().worked();
                batch
            }
            Err(_) => batch,
        }
    }

    /// Reads singly what was denied to the batch, and remembers it if that works.
    async fn denied(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
    ) -> Result<Vec<Answer>, CallError> {
        let answers = self.singly(credentials, keys).await?;
        if answers.iter().any(Result::is_ok) {
            self.support().refused(self.edge.clock.now());
        }
        Ok(answers)
    }

    /// Reads each key singly. When all fail for one reason that no key is to blame for, the whole
    /// failed; so it does when the credentials are refused.
    async fn singly(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
    ) -> Result<Vec<Answer>, CallError> {
        let read = |key| self.one(credentials, key).boxed();
        let reads: Vec<BoxFuture<'_, Answer>> = keys.iter().map(read).collect();
        let answers: Vec<Answer> = stream::iter(reads).buffered(SINGLES).collect().await;
        let failed = |class: Class| {
            move |answer: &&Answer| answer.as_ref().is_err_and(|error| error.class == class)
        };
        if let Some(Err(error)) = answers.iter().find(failed(Class::Unauthenticated)) {
            return Err(error.clone());
        }
        for class in [Class::Throttled, Class::Unavailable, Class::Protocol] {
            if answers.iter().all(|answer| failed(class)(&answer))
                && let Some(Err(error)) = answers.first()
            {
                return Err(error.clone());
            }
        }
        Ok(answers)
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

    fn capabilities(&self) -> Capabilities {
        let usable = self.support().usable(self.edge.clock.now());
        let batch = if usable { BATCH } else { 1 };
        Capabilities { batch }
    }

    /// A batch names each secret once, so versions and other stages than the current one, of which one
    /// secret may be asked for several, travel alone. So do ARNs, for nothing says under which name a
    /// batch answers them, and malformed names, which would refuse it whole.
    fn batchable(&self, key: &RemoteKey) -> bool {
        key.version.is_none() && key.stage.is_none() && name::is_plain(&key.key)
    }

    fn action(&self, keys: &[RemoteKey]) -> &'static str {
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
