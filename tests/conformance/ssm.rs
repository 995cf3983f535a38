//! SSM and `cloudsim` as a subject of the suite.

use cloudsim::tencent::{Secret, SecretType, Version};
use cloudsim::{Effect, Options, Simulator};
use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::tencent::{Network, Site, Ssm, SsmConfig, endpoint};
use external_cloud_secrets::provider::{Answer, Provider, RemoteKey};

use crate::oos::{edge, key};
use crate::subject::{Fault, Subject};

/// One account with a user that may read what begins with `suite-`, and one that may do nothing but read.
const SEED: &str = r"
tencent:
  settings: {quotas: false}
  accounts:
  - uin: '100000000001'
    users:
    - uin: '100000000011'
      access_keys: [{id: AKIDreader, secret: canary-secret}]
      rules:
      - {actions: ['ssm:GetSecretValue', 'ssm:DescribeSecret', 'ssm:ListSecretVersionIds', 'ssm:GetSSHKeyPairValue'], resources: ['suite-*']}
      - {actions: ['ssm:ListSecrets'], resources: ['*']}
    - uin: '100000000012'
      access_keys: [{id: AKIDnarrow, secret: canary-narrow}]
      rules: [{actions: ['ssm:GetSecretValue'], resources: ['*']}]
    - uin: '100000000013'
      access_keys: [{id: AKIDhalf, secret: canary-half}]
      rules: [{actions: ['ssm:GetSecretValue', 'ssm:DescribeSecret'], resources: ['*']}]
";

/// The longest value of a version, in bytes.
const LONGEST: usize = 32_768;

/// The provider and its simulator.
pub struct SsmSubject {
    pub simulator: Simulator,
    pub provider: Ssm,
    kind: SecretType,
}

// === impl SsmSubject ===

impl SsmSubject {
    pub async fn custom() -> Self {
        Self::start(SecretType::Custom).await
    }

    pub async fn managed() -> Self {
        Self::start(SecretType::Product).await
    }

    pub async fn start(kind: SecretType) -> Self {
        Self::seeded(SEED, kind).await
    }

    /// The same in another cloud.
    pub async fn seeded(seed: &str, kind: SecretType) -> Self {
        let simulator = Simulator::start(seed, Options::default()).await.unwrap();
        let provider = provider(&simulator.url());
        Self {
            simulator,
            provider,
            kind,
        }
    }

    fn add(&self, fault: cloudsim::Fault) {
        self.simulator.add_fault(fault.service("ssm"));
    }

    pub async fn read_as(&self, credentials: &Credentials, key: RemoteKey) -> Answer {
        let answers = self.provider.fetch(credentials, &[key]).await;
        assert!(!format!("{answers:?}").contains("canary"));
        answers?.remove(0)
    }

    pub async fn text(&self, key: RemoteKey) -> String {
        text(self.read_as(&self.reader(), key).await)
    }
}

/// SSM at `url`, with STS there too.
fn provider(url: &str) -> Ssm {
    let policy = EndpointPolicy::new([], true).unwrap();
    let (region, place) = ("ap-guangzhou", (Site::China, Network::Public));
    let sts = endpoint::sts(&policy, Some(url), region, place).unwrap();
    let config = SsmConfig {
        region: region.to_owned(),
        place,
        endpoint: Some(url.to_owned()),
    };
    Ssm::new(config, sts, &policy, edge()).unwrap()
}

pub fn text(answer: Answer) -> String {
    String::from_utf8(answer.unwrap().value.expose().to_vec()).unwrap()
}

pub fn pinned(name: &str, version: &str) -> RemoteKey {
    RemoteKey {
        version: Some(version.to_owned()),
        ..RemoteKey::named(name)
    }
}

impl Subject for SsmSubject {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn reader(&self) -> Credentials {
        key("AKIDreader", "canary-secret", None)
    }

    fn impostors(&self) -> Vec<(&'static str, Credentials)> {
        vec![
            ("unknown key", key("AKIDnobody", "canary-secret", None)),
            (
                "a token that is not its own",
                key("AKIDreader", "canary-secret", Some("canary-t")),
            ),
        ]
    }

    fn name(&self, leaf: &str) -> String {
        format!("suite-{leaf}")
    }

    fn forbidden_name(&self, leaf: &str) -> String {
        format!("elsewhere-{leaf}")
    }

    fn longest_value(&self, unit: char) -> String {
        unit.to_string().repeat(LONGEST / unit.len_utf8())
    }

    fn no_version(&self) -> Option<&'static str> {
        None
    }

    fn put(&self, name: &str, value: &str) {
        let tencent = self.simulator.tencent();
        let known = tencent
            .secrets()
            .into_iter()
            .find(|secret| secret.name == name);
        match (known, self.kind) {
            (None, SecretType::Custom) => {
                let versions = vec![Version::text("v1", value)];
                let secret = Secret {
                    name: name.to_owned(),
                    versions,
                    ..Secret::default()
                };
                tencent.put_secret(secret).unwrap();
            }
            (None, kind) => {
                let value = Some(value.into());
                let secret = Secret {
                    name: name.to_owned(),
                    kind,
                    value,
                    ..Secret::default()
                };
                tencent.put_secret(secret).unwrap();
            }
            (Some(known), SecretType::Custom) => {
                let id = format!("v{}", known.versions.len() + 1);
                tencent
                    .put_version(name, &Version::text(&id, value))
                    .unwrap();
            }
            (Some(_), _) => tencent.rotate(name, value).unwrap(),
        }
    }

    fn inject(&self, fault: Fault) {
        let (effect, name) = match fault {
            Fault::ServerError => return self.add(cloudsim::Fault::error(200, "InternalError")),
            Fault::Throttled(_) => return self.add(cloudsim::Fault::throttle(0)),
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
