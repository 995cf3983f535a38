//! The cloud that a scene reads: which service, how values come into it, and what it was asked.

use cloudsim::{Call, Filter, Secret, SecretVersion};
use serde_json::{Value, json};

use super::scene::Scene;

/// The services that a scene may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Oos,
    Kms,
    Ssm,
}

impl Service {
    /// Its name in a store, in the ledger, and of the store that every scene has.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oos => "oos",
            Self::Kms => "kms",
            Self::Ssm => "ssm",
        }
    }

    /// The region that its stores read.
    pub fn region(self) -> &'static str {
        match self {
            Self::Oos | Self::Kms => "cn-hangzhou",
            Self::Ssm => "ap-guangzhou",
        }
    }
}

impl Scene<'_> {
    /// The full name of a parameter or secret of this scene.
    pub fn key(&self, name: &str) -> String {
        match self.service {
            Service::Oos | Service::Kms => format!("/{}/{name}", self.namespace),
            // Its names have no hierarchy.
            Service::Ssm => format!("{}-{name}", self.namespace),
        }
    }

    /// A namespaced store of the scene's service.
    pub fn store(&self, name: &str, auth: Value) -> Value {
        self.store_of(self.service, name, auth)
    }

    /// A namespaced store of either service.
    pub fn store_of(&self, service: Service, name: &str, auth: Value) -> Value {
        json!({
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "CloudSecretStore",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": {
                "provider": { service.name(): { "region": service.region(), "endpoint": self.cloud.url() } },
                "auth": auth,
            },
        })
    }

    /// Puts a new version of a value into the scene's service.
    pub fn put(&self, name: &str, value: &str) {
        let key = self.key(name);
        match self.service {
            Service::Oos => drop(self.cloud.put_parameter(&key, value).unwrap()),
            Service::Kms => {
                let version = SecretVersion {
                    id: None,
                    data: value.into(),
                    data_type: None,
                    stages: None,
                };
                if self.cloud.put_secret_version(&key, version).is_err() {
                    self.put_kms(Secret::new(name, value));
                }
            }
            Service::Ssm => self.put_ssm(name, value),
        }
    }

    /// Makes a secret of KMS, whose name is that in this scene.
    pub fn put_kms(&self, mut secret: Secret) {
        secret.name = self.key(&secret.name);
        self.cloud.put_secret(secret).unwrap();
    }

    /// Makes new data of a secret of KMS current and the current data previous.
    pub fn rotate(&self, name: &str, data: &str) {
        self.cloud.rotate_secret(&self.key(name), data).unwrap();
    }

    /// What was asked about a value of this scene, oldest first.
    pub fn reads(&self, name: &str) -> Vec<Call> {
        let filter = Filter {
            name: Some(self.key(name)),
            ..Filter::default()
        };
        // The ledger's totals are not kept by name.
        self.cloud.ledger_of(&filter).recent
    }

    /// How many calls asked for a value of this scene.
    pub fn calls(&self, name: &str) -> usize {
        self.reads(name).len()
    }

    /// How many calls a role of this scene made of a service, or of STS to be entered.
    pub fn calls_of(&self, role: &str, service: &str) -> u64 {
        let principal = format!("{}-{role}", self.namespace);
        let filter = Filter::service(service).principal(&principal);
        self.cloud.ledger_of(&filter).total
    }
}
