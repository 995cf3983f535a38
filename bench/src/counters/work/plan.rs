//! The decision about objects of which nothing is due, which is what a restart makes for each.

use std::hint::black_box;

use external_cloud_secrets::api::condition::{FRESH, READY};
use external_cloud_secrets::api::{
    ConditionStatus, DataEntry, EntryStatus, ExternalCloudSecret, ExternalCloudSecretSpec, Reason,
    RemoteRef, StoreRef, names, set_condition,
};
use external_cloud_secrets::controller::external_cloud_secret::inputs::{
    AppliedDigest, Inputs, inputs_digest,
};
use external_cloud_secrets::controller::external_cloud_secret::ownership::SecretFacts;
use external_cloud_secrets::controller::external_cloud_secret::place::EntryPlace;
use external_cloud_secrets::controller::external_cloud_secret::plan::{Due, Facts, Standing};
use external_cloud_secrets::digest::{Digest, DigestKey, Domain};
use external_cloud_secrets::refresh::{Seen, View};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::failure::{Failure, Result};

const OBJECTS: usize = 1_000;
const ENTRIES: usize = 4;

/// A settled object.
struct Settled {
    object: ExternalCloudSecret,
    views: Vec<View>,
    places: Vec<EntryPlace>,
    secret: SecretFacts,
}

/// Decides about 1,000 objects, so many times.
pub fn plan(times: u32) -> Result<()> {
    let key = DigestKey::new(&[1; 32]);
    let objects: Vec<Settled> = (0..OBJECTS).map(|number| settled(&key, number)).collect();
    for _ in 0..times {
        for settled in black_box(&objects) {
            let due = black_box(settled.due(&key));
            if !matches!(due, Due::Report(Standing::Settled)) {
                return Err(Failure(format!("something is due: {due:?}")));
            }
        }
    }
    Ok(())
}

// === impl Settled ===

impl Settled {
    fn due(&self, key: &DigestKey) -> Due {
        let status = self.object.status.clone().unwrap_or_default();
        let facts = Facts {
            object: &self.object,
            status: &status,
            problem: None,
            views: &self.views,
            behind: false,
            places: &self.places,
            asking_elsewhere: false,
            forced: None,
            secret: Some(&self.secret),
            moved: false,
            drifted: false,
            verified: Some(&self.secret.resource_version),
            key,
        };
        facts.due()
    }
}

fn settled(key: &DigestKey, number: usize) -> Settled {
    let name = format!("x-{number:05}");
    let remote = |entry: usize| format!("bench/{name}/{entry}");
    let digest = |entry: usize| key.digest(Domain::Value, &[remote(entry).as_bytes()]);
    let digests: Vec<Digest> = (0..ENTRIES).map(digest).collect();
    let object = object(key, &name, &digests, remote);
    let made_of = inputs_digest(key, &name, &object.spec, &digests);
    let inputs = Inputs::new(key, made_of, digests[0]);
    let view = |digest: &Digest| {
        View::Fresh(Seen {
            caveat: None,
            digest: *digest,
            version: None,
        })
    };
    let one = |name: &str, value: String| Some([(name.to_owned(), value)].into());
    let secret = SecretFacts::new(&ObjectMeta {
        uid: Some("canary-uid".into()),
        resource_version: Some("7".into()),
        labels: one(names::MANAGED_LABEL, names::MANAGED_VALUE.to_owned()),
        annotations: one(names::INPUTS_ANNOTATION, inputs.to_string()),
        owner_references: Some(vec![OwnerReference {
            uid: name,
            controller: Some(true),
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    });
    Settled {
        views: digests.iter().map(view).collect(),
        places: vec![EntryPlace::default(); ENTRIES],
        object,
        secret,
    }
}

/// An object whose status tells of these values. Its UID is its name.
fn object(
    key: &DigestKey,
    name: &str,
    digests: &[Digest],
    remote: impl Fn(usize) -> String,
) -> ExternalCloudSecret {
    let entry = |entry: usize| DataEntry {
        secret_key: format!("key-{entry}"),
        remote_ref: RemoteRef {
            key: remote(entry),
            ..RemoteRef::default()
        },
        source_ref: None,
    };
    let spec = ExternalCloudSecretSpec {
        secret_store_ref: Some(StoreRef {
            kind: None,
            name: "kms".into(),
        }),
        data: (0..digests.len()).map(entry).collect(),
        ..ExternalCloudSecretSpec::default()
    };
    let mut object = ExternalCloudSecret::new(name, spec);
    object.metadata.namespace = Some("tenant-0".into());
    object.metadata.uid = Some(name.to_owned());
    object.metadata.generation = Some(1);
    let status = object.status.get_or_insert_default();
    status.observed_generation = Some(1);
    let told = |(entry, digest): (usize, &Digest)| EntryStatus {
        store: "CloudSecretStore/kms".into(),
        key: remote(entry),
        digest: AppliedDigest::format(key, *digest),
        ..EntryStatus::default()
    };
    status.entries = digests.iter().enumerate().map(told).collect();
    let conditions = &mut status.conditions;
    let (yes, now) = (ConditionStatus::True, Timestamp::UNIX_EPOCH);
    set_condition(
        conditions,
        READY,
        yes,
        Reason::SecretReady,
        "",
        Some(1),
        now,
    );
    set_condition(conditions, FRESH, yes, Reason::Refreshed, "", Some(1), now);
    object
}
