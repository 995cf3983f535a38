//! SSM: the secrets of one account in one region, each read by a call of its own.
//!
//! A reference without a version costs more than its read: what kind of secret it is is learned once, and
//! of one whose versions people name, the newest is looked for before each read.

mod answer;
mod list;
mod request;
mod way;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use self::answer::{KeyPair, Metadata, Value, Versions};
use self::request::{Named, NamedVersion};
use self::way::{Step, Ways};
use super::call::{Api, Gateway};
use super::code;
use super::endpoint::{self, Site};
use super::sts::Sts;
use crate::credential::Credentials;
use crate::provider::endpoint::{Endpoint, EndpointPolicy, Network};
use crate::provider::{
    Address, Answer, CallError, Capabilities, Caveat, Class, ConfigError, Detail, Detour, Edge,
    Listed, Notice, Provider, Quota, RemoteKey, Selection,
};

/// The SSM API.
const API: Api = Api {
    name: "ssm",
    version: "2019-09-23",
    table: code::SSM,
};

/// Calls a second of one account in one region, by action ("API rate limits" of the SSM documentation).
const READS: (&str, u32) = ("ssm-reads", 300);
const DESCRIPTIONS: (&str, u32) = ("ssm-descriptions", 40);
const VERSIONS: (&str, u32) = ("ssm-versions", 40);
const KEY_PAIRS: (&str, u32) = ("ssm-key-pairs", 20);

/// Which SSM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsmConfig {
    /// The region, such as `ap-guangzhou`.
    pub region: String,
    /// Which of the hosts.
    pub place: (Site, Network),
    /// A URL that replaces what site and network give.
    pub endpoint: Option<String>,
}

/// The secrets of one region.
pub struct Ssm {
    address: Address,
    gateway: Gateway,
    sts: Sts,
    scope: String,
    edge: Edge,
    /// Of this identity too, because whoever reads keeps one provider per identity and address.
    ways: Mutex<Ways>,
}

// === impl Ssm ===

impl Ssm {
    /// The SSM that `config` names, if its final URL passes `policy`. `sts` is where
    /// [`check`](Provider::check) asks; the store's own endpoint never redirects that.
    ///
    /// # Errors
    /// What is wrong with the region or the endpoint.
    pub fn new(
        config: SsmConfig,
        sts: Endpoint,
        policy: &EndpointPolicy,
        edge: Edge,
    ) -> Result<Self, ConfigError> {
        let SsmConfig {
            region,
            place,
            endpoint,
        } = config;
        let endpoint = endpoint::ssm(policy, endpoint.as_deref(), &region, place)?;
        let parts = [("endpoint", endpoint.as_str()), ("region", &region)];
        Ok(Self {
            address: Address::new("ssm", &parts),
            scope: endpoint::counted_by(&endpoint, &region),
            sts: Sts::new(sts, &region, edge.clone()),
            gateway: Gateway::new(edge.clone(), endpoint, API, &region),
            ways: Mutex::default(),
            edge,
        })
    }

    fn quota_of(&self, (name, per_second): (&'static str, u32)) -> Quota {
        Quota {
            name,
            scope: self.scope.clone(),
            per_second: Some(per_second),
        }
    }

    /// What the next call for `key` is.
    fn step(&self, key: &RemoteKey) -> Step {
        self.ways().step(key, self.edge.clock.now())
    }

    /// What the next call for `key` is if what was learned does, however long ago that was.
    fn read_step(&self, key: &RemoteKey) -> Step {
        self.ways().step_at_last(key)
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the call that learns something, if `step` is one.
    async fn learn_by(
        &self,
        credentials: &Credentials,
        name: &str,
        step: &Step,
    ) -> Result<(), CallError> {
        let asked = Named { secret_name: name };
        let now = self.edge.clock.now();
        let (caveat, error) = match step {
            Step::Describe => {
                let answer = self.gateway.signed(credentials, "DescribeSecret", &asked);
                match answer.await.and_then(|answer: Metadata| answer.kind(name)) {
                    Ok(kind) => {
                        self.ways().is_of(name, kind);
                        return Ok(());
                    }
                    Err(error) => (Caveat::KindHidden, error),
                }
            }
            Step::FindNewest => {
                let answer = self
                    .gateway
                    .signed(credentials, "ListSecretVersionIds", &asked);
                match answer
                    .await
                    .and_then(|answer: Versions| answer.newest(name))
                {
                    Ok(version) => {
                        self.ways().has_newest(name, version, now);
                        return Ok(());
                    }
                    Err(error) => (Caveat::VersionsHidden, error),
                }
            }
            Step::ReadVersion(..) | Step::ReadKeyPair => return Ok(()),
        };
        if error.class == Class::Denied && code::is_no_permission(error.code()) {
            self.ways().is_hidden(name, caveat, now);
            return Ok(());
        }
        if error.class == Class::NotFound {
            self.ways().forget(name);
        }
        Err(error)
    }

    async fn one(&self, credentials: &Credentials, key: &RemoteKey) -> Answer {
        request::check(key)?;
        loop {
            let step = self.read_step(key);
            match step {
                Step::Describe | Step::FindNewest => {
                    self.learn_by(credentials, &key.key, &step).await?;
                }
                Step::ReadKeyPair => return self.key_pair(credentials, key).await,
                Step::ReadVersion(version, caveat) => {
                    return self.version(credentials, key, &version, caveat).await;
                }
            }
        }
    }

    async fn version(
        &self,
        credentials: &Credentials,
        key: &RemoteKey,
        version: &str,
        caveat: Option<Caveat>,
    ) -> Answer {
        let asked = NamedVersion {
            secret_name: &key.key,
            version_id: version,
        };
        let answer = self.gateway.signed(credentials, "GetSecretValue", &asked);
        let answer = answer.await.and_then(|answer: Value| answer.read(&asked));
        if key.version.is_some() {
            return answer.map_err(no_such_version);
        }
        let passes =
            |error: &CallError| matches!(error.class, Class::Throttled | Class::Unavailable);
        if !answer.as_ref().is_err_and(passes) {
            self.ways().was_read(&key.key);
        }
        match answer {
            Ok(mut fetched) => {
                fetched.caveat = caveat;
                Ok(fetched)
            }
            Err(error) => {
                if error.class != Class::Denied {
                    self.ways().doubt(&key.key);
                }
                Err(no_version_by_rule(error, caveat.is_some()))
            }
        }
    }

    async fn key_pair(&self, credentials: &Credentials, key: &RemoteKey) -> Answer {
        let asked = Named {
            secret_name: &key.key,
        };
        let answer = self
            .gateway
            .signed(credentials, "GetSSHKeyPairValue", &asked);
        let answer = answer.await.and_then(|answer: KeyPair| answer.read());
        if answer
            .as_ref()
            .is_err_and(|e| e.class == Class::NotFound || e.class == Class::Invalid)
        {
            self.ways().forget(&key.key);
        }
        answer
    }
}

impl Provider for Ssm {
    fn name(&self) -> &'static str {
        "ssm"
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn host(&self) -> &str {
        self.gateway.endpoint().host()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { batch: 1 }
    }

    /// Whether calls are counted by account and region or by account alone is not documented; by region
    /// is what all the vendor's other limits are.
    fn quota(&self) -> Quota {
        self.quota_of(READS)
    }

    fn detour(&self, key: &RemoteKey) -> Option<Detour> {
        let (quota, learns) = match self.step(key) {
            Step::ReadVersion(..) => return None,
            Step::ReadKeyPair => (KEY_PAIRS, false),
            Step::Describe => (DESCRIPTIONS, true),
            Step::FindNewest => (VERSIONS, true),
        };
        let quota = self.quota_of(quota);
        Some(Detour { quota, learns })
    }

    fn learn<'a>(
        &'a self,
        credentials: &'a Credentials,
        key: &'a RemoteKey,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        async move {
            request::check(key)?;
            let step = self.step(key);
            self.learn_by(credentials, &key.key, &step).await
        }
        .boxed()
    }

    /// Calls that were made again because the clock is off.
    fn take_more_calls(&self) -> u32 {
        self.gateway.take_again()
    }

    fn batchable(&self, _key: &RemoteKey) -> bool {
        false
    }

    fn action(&self, keys: &[RemoteKey]) -> &'static str {
        match keys.first().map(|key| self.step(key)) {
            Some(Step::Describe) => "DescribeSecret",
            Some(Step::FindNewest) => "ListSecretVersionIds",
            Some(Step::ReadKeyPair) => "GetSSHKeyPairValue",
            Some(Step::ReadVersion(..)) | None => "GetSecretValue",
        }
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
                    .one(credentials, key)
                    .await
                    .map(|fetched| vec![Ok(fetched)]),
                _ => {
                    let detail = Detail::Fixed("SSM reads one secret a call");
                    Err(CallError::new(Class::Invalid, "Batch").with_detail(detail))
                }
            }
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        credentials: &'a Credentials,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Listed>, CallError>> {
        list::list(&self.gateway, credentials, selection).boxed()
    }

    fn take_notice(&self) -> Option<Notice> {
        self.gateway.take_news().then_some(Notice::ClockOff)
    }

    fn check<'a>(&'a self, credentials: &'a Credentials) -> BoxFuture<'a, Result<(), CallError>> {
        async move { self.sts.caller(credentials).await.map(drop) }.boxed()
    }
}

/// What a refused read of a version means that the reference itself names. Which code an unknown version
/// has is not documented; any that may be it says that there is no such version, and may change.
fn no_such_version(error: CallError) -> CallError {
    let unknown = matches!(error.class, Class::NotFound | Class::Invalid);
    if !unknown || error.code() == code::NO_SECRET {
        return error;
    }
    error.into_class(Class::NotFound).with_detail(Detail::Fixed(
        "there is no such version; see remoteRef.version and the secret's versions",
    ))
}

/// What a refused read of a version means that the reference does not name. Only that there is no such
/// secret may say that it is gone.
fn no_version_by_rule(error: CallError, hidden: bool) -> CallError {
    let unknown = matches!(error.class, Class::NotFound | Class::Invalid);
    if !unknown || error.code() == code::NO_SECRET {
        return error;
    }
    if hidden {
        return error.into_class(Class::Denied).with_detail(Detail::Fixed(
            "the secret has no version SSM_Current, and which versions it has may not be asked: allow \
             ssm:DescribeSecret and ssm:ListSecretVersionIds, or name a version",
        ));
    }
    error.into_class(Class::Protocol).with_detail(Detail::Fixed(
        "the version that is the newest, or current, cannot be read; it may have been deleted just now",
    ))
}

#[cfg(test)]
mod tests;
