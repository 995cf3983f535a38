//! OOS Parameter Store and `cloudsim` as a subject of the suite.

use std::sync::Arc;
use std::time::Duration;

use cloudsim::{Effect, Options, Simulator};
use external_cloud_secrets::clock::SystemClock;
use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::http::{HttpClient, HttpOptions};
use external_cloud_secrets::provider::alibaba::{Network, Oos, OosConfig, Parameters, endpoint};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::{Edge, Provider, Skews};
use secrecy::SecretString;

use crate::subject::{Fault, Subject};

/// One account with a user that may read below `/suite/`.
const SEED: &str = r"
accounts:
- id: '1000000000000001'
  users:
  - name: reader
    access_keys: [{id: LTAIreader, secret: canary-secret}]
    rules:
    - actions: ['oos:GetSecretParameter*', 'kms:GetSecretValue']
      resources: ['/suite/*']
";

/// The provider and its simulator.
pub struct OosSubject {
    simulator: Simulator,
    provider: Oos,
}

impl OosSubject {
    pub async fn start() -> Self {
        let simulator = Simulator::start(SEED, Options::default()).await.unwrap();
        let provider = provider(&simulator.url());
        Self {
            simulator,
            provider,
        }
    }
}

impl Subject for OosSubject {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn reader(&self) -> Credentials {
        key("LTAIreader", "canary-secret", None)
    }

    fn impostors(&self) -> Vec<(&'static str, Credentials)> {
        vec![
            ("wrong secret", key("LTAIreader", "canary-wrong", None)),
            ("unknown key", key("LTAInobody", "canary-secret", None)),
            (
                "unknown session",
                key("STS.nobody", "canary-s", Some("canary-t")),
            ),
        ]
    }

    fn name(&self, leaf: &str) -> String {
        format!("/suite/{leaf}")
    }

    fn forbidden_name(&self, leaf: &str) -> String {
        format!("/elsewhere/{leaf}")
    }

    fn longest_value(&self, unit: char) -> String {
        unit.to_string().repeat(4096)
    }

    fn no_version(&self) -> Option<&'static str> {
        Some("latest")
    }

    fn put(&self, name: &str, value: &str) {
        self.simulator.put_parameter(name, value).unwrap();
    }

    fn inject(&self, fault: Fault) {
        let (effect, name) = match fault {
            Fault::ServerError => return self.add(cloudsim::Fault::error(500, "InternalError")),
            Fault::Throttled(hint) => {
                let millis = u64::try_from(hint.as_millis()).unwrap();
                return self.add(cloudsim::Fault::throttle(millis));
            }
            Fault::MalformedJson => (Effect::MalformedJson, None),
            Fault::Html(status) => (Effect::Html { status }, None),
            Fault::Truncated => (Effect::Truncate, None),
            Fault::Reset => (Effect::Reset, None),
            Fault::Hang => (Effect::Hang, None),
            Fault::Redirect => {
                let location = self.simulator.url();
                (Effect::Redirect { location }, None)
            }
            Fault::Unmentioned(name) => (Effect::MissingEntry, Some(name)),
            Fault::EmptyValue(name) => (Effect::EmptyValue { absent: false }, Some(name)),
            Fault::AbsentValue(name) => (Effect::EmptyValue { absent: true }, Some(name)),
        };
        let fault = cloudsim::Fault::new(effect);
        self.add(match name {
            Some(name) => fault.name(&name),
            None => fault,
        });
    }

    fn heal(&self) {
        self.simulator.clear_faults();
    }

    fn calls(&self) -> usize {
        usize::try_from(self.simulator.ledger().total).unwrap()
    }
}

impl OosSubject {
    fn add(&self, fault: cloudsim::Fault) {
        self.simulator.add_fault(fault.service("oos"));
    }
}

/// What calls need from outside, for a simulator on loopback.
pub fn edge() -> Edge {
    let http = HttpClient::new(HttpOptions {
        allow_insecure: true,
        timeout: Duration::from_secs(2),
    });
    Edge {
        http: http.unwrap(),
        clock: Arc::new(SystemClock),
        random: Arc::new(ring::rand::SystemRandom::new()),
        skews: Skews::default(),
    }
}

/// The store of secret parameters at `url`, with STS there too.
pub fn provider(url: &str) -> Oos {
    provider_of(url, Parameters::Secret)
}

/// The store of parameters of one kind.
pub fn provider_of(url: &str, parameters: Parameters) -> Oos {
    let policy = EndpointPolicy::new([], true).unwrap();
    let region = "cn-hangzhou";
    let sts = endpoint::sts(&policy, Some(url), region, Network::Public).unwrap();
    let config = OosConfig {
        region: region.to_owned(),
        network: Network::Public,
        endpoint: Some(url.to_owned()),
        parameters,
    };
    Oos::new(config, sts, &policy, edge()).unwrap()
}

pub fn key(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: id.to_owned(),
        access_key_secret: SecretString::from(secret),
        security_token: token.map(SecretString::from),
        expires_at: None,
    }
}
