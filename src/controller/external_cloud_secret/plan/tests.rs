//! The decisions, as tables: what is known of an object, and what is due.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::*;
use crate::api::{
    ConditionStatus, DataEntry, EntryStatus, ExternalCloudSecretSpec, RemoteRef, set_condition,
};
use crate::digest::Domain;
use crate::provider::Class;
use crate::refresh::Seen;

mod settle;

const UID: &str = "uid-1";

/// A case: a settled object, changed by the case.
struct Case {
    object: ExternalCloudSecret,
    views: Vec<View>,
    secret: Option<SecretFacts>,
    problem: Option<Problem>,
    behind: bool,
    moved: bool,
    drifted: bool,
    verified: Option<String>,
}

/// What a case comes to, without its details.
#[derive(Debug, PartialEq, Eq)]
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

fn fresh(text: &str) -> View {
    View::Fresh(Seen {
        digest: value(text),
        version: None,
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
            secret: self.secret.as_ref(),
            moved: self.moved,
            drifted: self.drifted,
            verified: self.verified.as_deref(),
            key: &key(),
        })
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is not general over lifetimes"
    )]
    fn decision(&self) -> Decision {
        match self.facts(|facts| facts.due()) {
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

type Change = fn(&mut Case);

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one line of the table for each state"
)]
fn each_state_has_its_decision() {
    let fetch = Decision::Fetch {
        anew: false,
        retry: false,
    };
    let retry = Decision::Fetch {
        anew: false,
        retry: true,
    };
    let forced = Decision::Fetch {
        anew: true,
        retry: true,
    };
    let table: Vec<(&str, Change, Decision)> = vec![
        ("nothing changed", |_| {}, Decision::Settled),
        (
            "a restart: nothing read yet, not looked at",
            |c| {
                c.views = vec![View::Unknown];
                c.verified = None;
            },
            Decision::Look,
        ),
        (
            "a restart with a lost digest key waits for the slot",
            |c| {
                c.status().entries[0].digest = "00000000.00".into();
                c.views = vec![View::Unknown];
            },
            Decision::Settled,
        ),
        (
            "the Secret was changed by somebody",
            |c| c.verified = Some("6".into()),
            Decision::Look,
        ),
        ("the Secret drifted", |c| c.drifted = true, fetch),
        (
            "the Secret is gone",
            |c| c.secret = None,
            Decision::Fetch {
                anew: false,
                retry: false,
            },
        ),
        (
            "a value changed",
            |c| {
                c.views = vec![fresh("new")];
                c.behind = true;
            },
            Decision::Fetch {
                anew: false,
                retry: false,
            },
        ),
        (
            "the references changed",
            |c| c.moved = true,
            Decision::Fetch {
                anew: false,
                retry: true,
            },
        ),
        ("somebody asked", |c| c.asked("1"), forced),
        (
            "somebody asked and was answered",
            |c| {
                c.asked("1");
                c.status().last_handled_refresh = Some("1".into());
            },
            Decision::Settled,
        ),
        (
            "a generation that asks for the same data needs no call",
            |c| {
                c.object.metadata.generation = Some(4);
            },
            Decision::Settled,
        ),
        (
            "a generation that asks for other data",
            |c| {
                c.object.metadata.generation = Some(4);
                c.object.spec.data[0].remote_ref.property = Some("p".into());
            },
            retry,
        ),
        (
            "a generation with another key that fails already",
            |c| {
                c.object.metadata.generation = Some(4);
                c.object.spec.data[0].secret_key = "b".into();
                c.views = vec![failed(Class::Denied)];
            },
            Decision::Fetch {
                anew: false,
                retry: true,
            },
        ),
        (
            "a failed refresh",
            |c| c.views = vec![failed(Class::Denied)],
            Decision::Failed(Reason::AccessDenied),
        ),
        (
            "a failed refresh and no Secret waits for the ladder",
            |c| {
                c.views = vec![failed(Class::Unavailable)];
                c.secret = None;
            },
            Decision::Failed(Reason::ProviderUnavailable),
        ),
        (
            "a recovery that changed nothing",
            |c| c.not_fresh(),
            Decision::Settled,
        ),
        (
            "a restart of an object that was not fresh",
            |c| {
                c.not_fresh();
                c.views = vec![View::Unknown];
            },
            Decision::Fetch {
                anew: false,
                retry: true,
            },
        ),
        (
            "suspended",
            |c| {
                c.object.spec.suspend = Some(true);
                c.secret = None;
                c.views.clear();
            },
            Decision::Failed(Reason::Suspended),
        ),
        (
            "suspended beats what somebody asked",
            |c| {
                c.object.spec.suspend = Some(true);
                c.asked("2");
            },
            Decision::Failed(Reason::Suspended),
        ),
        (
            "a store is missing",
            |c| {
                c.problem = Some(Problem::new(Reason::StoreNotFound, "x"));
            },
            Decision::Failed(Reason::StoreNotFound),
        ),
        (
            "somebody else's Secret is not asked for",
            |c| {
                c.secret.as_mut().unwrap().controller = Some(("other".into(), "Thing x".into()));
            },
            Decision::Failed(Reason::TargetConflict),
        ),
        (
            "somebody else's Secret with our label",
            |c| {
                c.secret.as_mut().unwrap().controller = None;
            },
            Decision::Failed(Reason::TargetConflict),
        ),
        (
            "a restored Secret is ours and is looked at",
            |c| {
                let secret = c.secret.as_mut().unwrap();
                secret.controller = None;
                secret.owner = Some("shop/db".into());
                c.verified = None;
            },
            Decision::Look,
        ),
    ];
    for (what, change, expected) in table {
        assert_eq!(Case::with(change).decision(), expected, "{what}");
    }
}
