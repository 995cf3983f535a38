//! The decisions, as tables over a settled object that each case changes in one point.

mod due;
mod settle;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::super::request::open_request;
use super::*;
use crate::api::{
    ConditionStatus, DataEntry, EntryStatus, ExternalCloudSecretSpec, RemoteRef, StoreRef, names,
    set_condition,
};
use crate::digest::Domain;
use crate::provider::Class;
use crate::refresh::Seen;

const UID: &str = "uid-1";

/// A case: a settled object, changed by the case.
struct Case {
    object: ExternalCloudSecret,
    views: Vec<View>,
    secret: Option<SecretFacts>,
    problem: Option<Problem>,
    behind: bool,
    places: Vec<EntryPlace>,
    asking_elsewhere: bool,
    moved: bool,
    drifted: bool,
    verified: Option<String>,
}

/// What a case comes to, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Settled,
    Look,
    Failed(Reason),
    Fetch { anew: bool, retry: bool },
}

fn key() -> DigestKey {
    DigestKey::new(&[1; 32])
}

fn value(text: &str) -> Digest {
    key().digest(Domain::Value, &[text.as_bytes()])
}

fn store(name: &str) -> StoreRef {
    StoreRef {
        kind: None,
        name: name.into(),
    }
}

fn fresh(text: &str) -> View {
    View::Fresh(Seen {
        digest: value(text),
        version: None,
        caveat: None,
    })
}

fn failed(class: Class) -> View {
    View::Failed(Arc::new(CallError::new(class, "Code")))
}

fn condition(
    object: &mut ExternalCloudSecret,
    type_: &str,
    status: ConditionStatus,
    reason: Reason,
) {
    let generation = object.metadata.generation;
    let conditions = &mut object.status.get_or_insert_default().conditions;
    set_condition(
        conditions,
        type_,
        status,
        reason,
        "",
        generation,
        Timestamp::UNIX_EPOCH,
    );
}

impl Case {
    /// One entry, read, applied, looked at: nothing is due.
    fn settled() -> Self {
        let remote_ref = RemoteRef {
            key: "/k".into(),
            ..RemoteRef::default()
        };
        let entry = DataEntry {
            secret_key: "a".into(),
            remote_ref,
            source_ref: None,
        };
        let spec = ExternalCloudSecretSpec {
            secret_store_ref: Some(store("s")),
            data: vec![entry],
            ..Default::default()
        };
        let mut object = ExternalCloudSecret::new("db", spec);
        object.metadata.namespace = Some("shop".into());
        object.metadata.uid = Some(UID.into());
        object.metadata.generation = Some(3);
        let status = object.status.get_or_insert_default();
        status.observed_generation = Some(3);
        status.entries = vec![EntryStatus {
            store: "CloudSecretStore/s".into(),
            key: "/k".into(),
            digest: AppliedDigest::format(&key(), value("v")),
            ..EntryStatus::default()
        }];
        condition(
            &mut object,
            READY,
            ConditionStatus::True,
            Reason::SecretReady,
        );
        condition(&mut object, FRESH, ConditionStatus::True, Reason::Refreshed);
        let made_of = inputs_digest(&key(), "db", &object.spec, &[value("v")]);
        let inputs = Inputs::new(&key(), made_of, value("data"));
        let owner = OwnerReference {
            uid: UID.into(),
            controller: Some(true),
            ..Default::default()
        };
        let secret = SecretFacts::new(&ObjectMeta {
            uid: Some("s".into()),
            resource_version: Some("7".into()),
            labels: Some([(names::MANAGED_LABEL.to_owned(), "true".to_owned())].into()),
            annotations: Some([(names::INPUTS_ANNOTATION.to_owned(), inputs.to_string())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        });
        Self {
            object,
            views: vec![fresh("v")],
            secret: Some(secret),
            problem: None,
            behind: false,
            places: vec![EntryPlace::default()],
            asking_elsewhere: false,
            moved: false,
            drifted: false,
            verified: Some("7".into()),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::settled();
        change(&mut case);
        case
    }

    fn status(&mut self) -> &mut ExternalCloudSecretStatus {
        self.object.status.get_or_insert_default()
    }

    fn not_fresh(&mut self) {
        condition(
            &mut self.object,
            FRESH,
            ConditionStatus::False,
            Reason::Throttled,
        );
    }

    /// The first of two regions fails.
    fn failing_first(&mut self, class: Class) {
        self.views = vec![failed(class)];
        self.places = vec![EntryPlace {
            region: Some("cn-hangzhou".into()),
            has_others: true,
            ..EntryPlace::default()
        }];
    }

    fn asked(&mut self, request: &str) {
        let annotation = (names::REFRESH_ANNOTATION.to_owned(), request.to_owned());
        self.object.metadata.annotations = Some([annotation].into());
    }

    fn facts<T>(&self, act: impl FnOnce(&Facts<'_>) -> T) -> T {
        let status = self.object.status.clone().unwrap_or_default();
        act(&Facts {
            object: &self.object,
            status: &status,
            problem: self.problem.clone(),
            views: &self.views,
            behind: self.behind,
            places: &self.places,
            asking_elsewhere: self.asking_elsewhere,
            forced: open_request(&self.object, &status).map(|_| 1),
            secret: self.secret.as_ref(),
            moved: self.moved,
            drifted: self.drifted,
            verified: self.verified.as_deref(),
            key: &key(),
        })
    }

    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough"
    )]
    fn decision(&self) -> Decision {
        let due = self.facts(|facts| facts.due());
        match due {
            Due::Report(Standing::Settled) => Decision::Settled,
            Due::Report(Standing::Failed(problem)) => Decision::Failed(problem.reason),
            Due::Look => Decision::Look,
            Due::Fetch(join) => Decision::Fetch {
                anew: join.anew.is_some(),
                retry: join.retry,
            },
        }
    }
}
