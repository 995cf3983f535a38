//! The Lease in the API server: how it is read and written, and what of it is used.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::view::LEASE;
use crate::api::names;
use crate::controller::reason;

/// The longest duration of a Lease that is waited for, whoever wrote it.
const LONGEST: Duration = Duration::from_mins(1);

/// The Lease as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its version, which the next write carries.
    pub version: String,
    /// Who holds it; nobody after it was given back.
    pub holder: Option<String>,
    /// How long nobody else takes it after a renewal.
    pub duration: Duration,
    /// When its holder took it, by the holder's clock.
    pub acquired: Option<Timestamp>,
    /// When it was renewed, by the holder's clock.
    pub renewed: Option<Timestamp>,
    /// How often it changed hands.
    pub transitions: i32,
    /// Since when something was due then and not done yet, by the holder's clock.
    pub overdue: Option<Timestamp>,
}

/// What the Lease is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who holds it from now on; nobody to give it back.
    pub holder: Option<String>,
    /// When its holder took it.
    pub acquired: Option<Timestamp>,
    /// When this is.
    pub renewed: Timestamp,
    /// How often it changed hands.
    pub transitions: i32,
    /// See [`Record::overdue`].
    pub overdue: Option<Timestamp>,
}

/// Why a write did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The Lease is another than was known, or was made by somebody else.
    #[error("somebody else wrote the Lease")]
    Refused,
    /// Nobody knows whether it did: no answer, or an error.
    #[error("{0}")]
    Failed(String),
}

/// Where the Lease is.
pub trait LeaseStore: Send + Sync + 'static {
    /// Reads it, if it is there.
    ///
    /// # Errors
    /// What the API server says.
    fn read(&self) -> BoxFuture<'_, Result<Option<Record>, String>>;

    /// Makes it (without a `version`), or writes the one of `version`; returns it as it is then.
    ///
    /// # Errors
    /// [`ClaimError::Refused`] where it was made, written or deleted meanwhile.
    fn write<'a>(
        &'a self,
        version: Option<&'a str>,
        claim: &'a Claim,
    ) -> BoxFuture<'a, Result<Record, ClaimError>>;
}

/// The Lease of a class in the operator's namespace.
pub struct KubernetesLease {
    api: Api<Lease>,
    name: String,
}

// === impl KubernetesLease ===

impl KubernetesLease {
    /// The Lease `name` in `namespace`. `client` may always write: its requests must pass no gate.
    pub fn new(client: Client, namespace: &str, name: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name }
    }
}

impl LeaseStore for KubernetesLease {
    fn read(&self) -> BoxFuture<'_, Result<Option<Record>, String>> {
        let found = self.api.get_opt(&self.name);
        async move {
            let found = found.await.map_err(|error| reason(&error))?;
            Ok(found.as_ref().map(Record::of))
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        version: Option<&'a str>,
        claim: &'a Claim,
    ) -> BoxFuture<'a, Result<Record, ClaimError>> {
        async move {
            let written = match version {
                None => {
                    let lease = claim.lease(&self.name);
                    self.api.create(&PostParams::default(), &lease).await
                }
                Some(version) => {
                    let patch = claim.patch(version);
                    let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
                    self.api.patch(&self.name, &params, &patch).await
                }
            };
            match written {
                Ok(lease) => Ok(Record::of(&lease)),
                Err(kube::Error::Api(status)) if is_overtaken(status.code, version) => {
                    Err(ClaimError::Refused)
                }
                Err(error) => Err(ClaimError::Failed(reason(&error))),
            }
        }
        .boxed()
    }
}

/// Whether the Lease is another than was known. One that cannot be made because its namespace is gone is
/// not: to ask again at once would change nothing.
fn is_overtaken(code: u16, version: Option<&str>) -> bool {
    code == 409 || (code == 404 && version.is_some())
}

// === impl Record ===

impl Record {
    fn of(lease: &Lease) -> Self {
        let (meta, empty) = (&lease.metadata, LeaseSpec::default());
        let spec = lease.spec.as_ref().unwrap_or(&empty);
        let time = |time: &Option<MicroTime>| time.as_ref().map(|time| time.0);
        let seconds = spec.lease_duration_seconds.unwrap_or_default();
        let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let annotations = meta.annotations.as_ref();
        let overdue = annotations.and_then(|all| all.get(names::OVERDUE_ANNOTATION));
        Self {
            version: meta.resource_version.clone().unwrap_or_default(),
            holder: spec.holder_identity.clone().filter(|name| !name.is_empty()),
            // Its holder may be of another version, which counts on another time.
            duration: duration.clamp(LEASE, LONGEST),
            acquired: time(&spec.acquire_time),
            renewed: time(&spec.renew_time),
            transitions: spec.lease_transitions.unwrap_or_default(),
            overdue: overdue.and_then(|text| text.parse().ok()),
        }
    }
}

// === impl Claim ===

impl Claim {
    fn lease(&self, name: &str) -> Lease {
        let overdue = self.overdue.map(|time| time.to_string());
        let annotations = overdue.map(|time| (names::OVERDUE_ANNOTATION.to_owned(), time));
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                annotations: annotations.map(|one| BTreeMap::from([one])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: self.holder.clone(),
                lease_duration_seconds: Some(seconds(LEASE)),
                acquire_time: self.acquired.map(MicroTime),
                renew_time: Some(MicroTime(self.renewed)),
                lease_transitions: Some(self.transitions),
                ..LeaseSpec::default()
            }),
        }
    }

    /// A merge patch of the Lease of `version`: another one answers 409.
    fn patch(&self, version: &str) -> serde_json::Value {
        json!({
            "metadata": {
                "resourceVersion": version,
                "annotations": { names::OVERDUE_ANNOTATION: self.overdue.map(|time| time.to_string()) },
            },
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": seconds(LEASE),
                "acquireTime": self.acquired.map(MicroTime),
                "renewTime": MicroTime(self.renewed),
                "leaseTransitions": self.transitions,
            },
        })
    }
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_whose_namespace_is_gone_is_not_asked_for_again_at_once() {
        let table = [
            (409, None, true),
            (409, Some("1"), true),
            (404, Some("1"), true),
            (404, None, false),
            (403, None, false),
        ];
        for (code, version, expected) in table {
            assert_eq!(is_overtaken(code, version), expected, "{code} {version:?}");
        }
    }
}
