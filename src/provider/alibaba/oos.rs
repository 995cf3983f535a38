//! OOS Parameter Store: secret or plain parameters, ten to a call.

mod answer;
mod list;

use std::collections::HashSet;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::answer::{Many, One};
use super::call::Gateway;
use super::code;
use super::endpoint::{self, Network, counted_by};
use super::sts::Sts;
use crate::credential::Credentials;
use crate::provider::endpoint::{Endpoint, EndpointError, EndpointPolicy, is_region};
use crate::provider::{
    Address, Answer, CallError, Capabilities, Class, Detail, Edge, Listed, Provider, Quota,
    RemoteKey, Selection,
};

/// The version of the OOS API.
const VERSION: &str = "2019-06-01";
/// The most names that `GetSecretParameters` takes.
const BATCH: usize = 10;
/// The longest name, its path included, that `CreateSecretParameter` takes.
const LONGEST_NAME: usize = 180;

/// Which parameter store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OosConfig {
    /// The region, such as `cn-hangzhou`.
    pub region: String,
    /// Which of the region's hosts.
    pub network: Network,
    /// A URL that replaces what region and network give.
    pub endpoint: Option<String>,
    /// Which kind of parameters.
    pub parameters: Parameters,
}

/// The kinds of parameters, each with names and calls of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Parameters {
    /// Encrypted ones, which OOS keeps in KMS.
    #[default]
    Secret,
    /// Ones in plain text.
    Plain,
}

/// The parameters of one kind in one region.
pub struct Oos {
    address: Address,
    region: String,
    parameters: Parameters,
    gateway: Gateway,
    sts: Sts,
}

// === impl Oos ===

impl Oos {
    /// The store that `config` names, if its final URL passes `policy`. `sts` is where
    /// [`check`](Provider::check) asks; the store's own endpoint never redirects that.
    ///
    /// # Errors
    /// What is wrong with the region or the endpoint.
    pub fn new(
        config: OosConfig,
        sts: Endpoint,
        policy: &EndpointPolicy,
        edge: Edge,
    ) -> Result<Self, EndpointError> {
        let OosConfig {
            region,
            network,
            endpoint,
            parameters,
        } = config;
        let endpoint = endpoint::oos(policy, endpoint.as_deref(), &region, network)?;
        if !is_region(&region) {
            return Err(EndpointError::Region);
        }
        let parts = [
            ("endpoint", endpoint.as_str()),
            ("region", &region),
            ("parameters", parameters.as_str()),
        ];
        Ok(Self {
            address: Address::new("oos", &parts),
            sts: Sts::new(sts, edge.clone()),
            gateway: Gateway::new(edge, endpoint, VERSION, code::OOS),
            parameters,
            region,
        })
    }

    async fn one(&self, credentials: &Credentials, key: &RemoteKey) -> Answer {
        let version = version(key)?;
        let mut parameters = vec![("Name", key.key.as_str()), ("RegionId", &self.region)];
        parameters.extend(self.parameters.decryption());
        if let Some(version) = &version {
            parameters.push(("ParameterVersion", version));
        }
        let answer: One = self
            .gateway
            .signed(credentials, self.parameters.read_one(), &parameters)
            .await?;
        answer.read(&key.key, version.as_deref())
    }

    async fn many(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
    ) -> Result<Vec<Answer>, CallError> {
        let distinct: HashSet<&RemoteKey> = keys.iter().collect();
        let fits = keys.len() <= BATCH && distinct.len() == keys.len();
        if !fits || !keys.iter().all(|key| self.batchable(key)) {
            let detail = Detail::Fixed("these keys do not fit into one call");
            return Err(CallError::new(Class::Invalid, "Batch").with_detail(detail));
        }
        let names: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
        let list =
            serde_json::to_string(&names).map_err(|_| CallError::new(Class::Invalid, "Names"))?;
        let mut parameters = vec![("Names", list.as_str()), ("RegionId", &self.region)];
        parameters.extend(self.parameters.decryption());
        let answer: Many = self
            .gateway
            .signed(credentials, self.parameters.read_many(), &parameters)
            .await?;
        answer.read(&names)
    }
}

impl Provider for Oos {
    fn name(&self) -> &'static str {
        "oos"
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn host(&self) -> &str {
        self.gateway.endpoint().host()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { batch: BATCH }
    }

    /// The batch call selects no versions, and one malformed name would refuse it whole.
    /// OOS publishes no quota; this is what its neighbours allow at least.
    fn quota(&self) -> Quota {
        Quota {
            name: "oos",
            scope: counted_by("oos", self.gateway.endpoint(), &self.region).to_owned(),
            per_second: Some(100),
        }
    }

    fn batchable(&self, key: &RemoteKey) -> bool {
        key.version.is_none() && key.stage.is_none() && is_name(&key.key)
    }

    fn action(&self, keys: &[RemoteKey], _: bool) -> &'static str {
        match keys {
            [_] => self.parameters.read_one(),
            _ => self.parameters.read_many(),
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
                keys => self.many(credentials, keys).await,
            }
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        credentials: &'a Credentials,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Listed>, CallError>> {
        let of = list::Of {
            gateway: &self.gateway,
            region: &self.region,
            parameters: self.parameters,
        };
        async move { of.list(credentials, selection).await }.boxed()
    }

    fn check<'a>(&'a self, credentials: &'a Credentials) -> BoxFuture<'a, Result<(), CallError>> {
        async move { self.sts.caller(credentials).await.map(drop) }.boxed()
    }
}

// === impl Parameters ===

impl Parameters {
    fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::Plain => "Plain",
        }
    }

    fn read_one(self) -> &'static str {
        match self {
            Self::Secret => "GetSecretParameter",
            Self::Plain => "GetParameter",
        }
    }

    fn read_many(self) -> &'static str {
        match self {
            Self::Secret => "GetSecretParameters",
            Self::Plain => "GetParameters",
        }
    }

    /// What has to be said for a value to come with the answer.
    fn decryption(self) -> Option<(&'static str, &'static str)> {
        (self == Self::Secret).then_some(("WithDecryption", "true"))
    }
}

/// The version that `key` asks for, in the cloud's own spelling.
fn version(key: &RemoteKey) -> Result<Option<String>, CallError> {
    if key.stage.is_some() {
        let detail = Detail::Fixed("parameters have no stages: leave out remoteRef.stage");
        return Err(CallError::new(Class::Invalid, "Stage").with_detail(detail));
    }
    let Some(version) = &key.version else {
        return Ok(None);
    };
    match version.parse::<u32>() {
        Ok(number) if number > 0 => Ok(Some(number.to_string())),
        _ => {
            let detail = Detail::Fixed("remoteRef.version of a parameter is a positive integer");
            Err(CallError::new(Class::Invalid, "ParameterVersion").with_detail(detail))
        }
    }
}

/// Whether `text` is a name by the rules of `CreateSecretParameter`.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(allowed)
}
