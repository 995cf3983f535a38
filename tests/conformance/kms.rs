//! KMS Secrets Manager and `cloudsim` as a subject of the suite.

use cloudsim::{
    Batch, Effect, InstanceOptions, KmsSettings, Options, Secret, SecretVersion, Simulator,
};
use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::provider::alibaba::{Kms, KmsConfig, KmsInstance, Network, endpoint};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::{Provider, RemoteKey};

use crate::oos::{edge, key};
use crate::subject::{Fault, Subject};

/// One account with a user that may read below `suite/`, and another account.
const SEED: &str = r"
accounts:
- id: '1000000000000001'
  kms_keys: [{id: key-1}]
  users:
  - name: reader
    access_keys: [{id: LTAIreader, secret: canary-secret}]
    rules:
    - actions: ['kms:GetSecretValue', 'kms:BatchGetSecretValue']
      resources: ['suite/*', 'acs:kms:cn-hangzhou:1000000000000002:secret/suite/*']
    - actions: ['kms:ListSecrets', 'kms:Decrypt']
      resources: ['*']
- id: '1000000000000002'
";

/// The longest data of a version, in bytes.
const LONGEST: usize = 30_720;

/// The provider and its simulator.
pub struct KmsSubject {
    pub simulator: Simulator,
    pub provider: Kms,
}

// === impl KmsSubject ===

impl KmsSubject {
    pub async fn shared() -> Self {
        Self::start(Batch::On, None).await
    }

    pub async fn without_batches() -> Self {
        let subject = Self::start(Batch::ApiNotFound, None).await;
        let keys = ["suite/a", "suite/b"].map(RemoteKey::named);
        let _ = subject.provider.fetch(&subject.reader(), &keys).await;
        assert_eq!(subject.provider.capabilities().batch, 1);
        subject
    }

    pub async fn instance() -> Self {
        let subject = Self::start(Batch::On, Some(Batch::ApiNotFound)).await;
        subject.prove().await;
        assert_eq!(subject.provider.capabilities().batch, 1);
        subject
    }

    pub async fn instance_with_batches() -> Self {
        let subject = Self::start(Batch::On, Some(Batch::On)).await;
        subject.prove().await;
        assert_eq!(subject.provider.capabilities().batch, 20);
        subject
    }

    /// Lets the batch call of an instance prove itself, or not.
    async fn prove(&self) {
        self.put("suite/first", "canary-first");
        let keys = [RemoteKey::named("suite/first")];
        self.provider.fetch(&self.reader(), &keys).await.unwrap();
    }

    async fn start(batch: Batch, instance: Option<Batch>) -> Self {
        let options = Options {
            kms_instance: instance.map(|_| InstanceOptions::default()),
            ..Options::default()
        };
        let simulator = Simulator::start(SEED, options).await.unwrap();
        simulator.set_kms(KmsSettings {
            batch,
            instance_batch: instance.unwrap_or_default(),
            ..KmsSettings::generous()
        });
        let instance = simulator.kms_instance().map(|running| KmsInstance {
            endpoint: running.url.clone(),
            ca_bundle: Some(running.ca_pem.clone()),
        });
        let provider = provider(&simulator.url(), instance);
        Self {
            simulator,
            provider,
        }
    }

    fn add(&self, fault: cloudsim::Fault) {
        self.simulator.add_fault(fault.service("kms"));
    }
}

/// KMS at `url`, with STS there too, or its dedicated instance.
pub fn provider(url: &str, instance: Option<KmsInstance>) -> Kms {
    let policy = EndpointPolicy::new([], true).unwrap();
    let region = "cn-hangzhou";
    let sts = endpoint::sts(&policy, Some(url), region, Network::Public).unwrap();
    let config = KmsConfig {
        region: region.to_owned(),
        network: Network::Public,
        endpoint: Some(url.to_owned()),
        instance,
    };
    Kms::new(config, sts, &policy, edge()).unwrap()
}

impl Subject for KmsSubject {
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
        format!("suite/{leaf}")
    }

    fn forbidden_name(&self, leaf: &str) -> String {
        format!("elsewhere/{leaf}")
    }

    fn longest_value(&self, unit: char) -> String {
        unit.to_string().repeat(LONGEST / unit.len_utf8())
    }

    fn no_version(&self) -> Option<&'static str> {
        None
    }

    fn put(&self, name: &str, value: &str) {
        let version = SecretVersion {
            id: None,
            data: value.into(),
            data_type: None,
            stages: None,
        };
        if self.simulator.put_secret_version(name, version).is_err() {
            let secret = Secret {
                name: name.to_owned(),
                value: Some(value.into()),
                ..Secret::default()
            };
            self.simulator.put_secret(secret).unwrap();
        }
    }

    fn inject(&self, fault: Fault) {
        let (effect, name) = match fault {
            Fault::ServerError => return self.add(cloudsim::Fault::error(500, "InternalFailure")),
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
