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

#[test]
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
    type Change = fn(&mut Case);
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

fn read(text: &str) -> Result<Arc<Held>, Arc<CallError>> {
    Ok(Held::alone(text, value(text)))
}

#[test]
fn values_that_the_secret_holds_are_neither_rendered_nor_written() {
    let same =
        |case: &Case| case.facts(|facts| matches!(facts.settle(&[read("v")]), Settlement::Same));
    assert!(same(&Case::settled()));
    assert!(
        !same(&Case::with(|case| case.drifted = true)),
        "what drifted is written again"
    );
    assert!(!same(&Case::with(|case| case.secret = None)));
    let property =
        |case: &mut Case| case.object.spec.data[0].remote_ref.property = Some("p".into());
    assert!(
        !same(&Case::with(property)),
        "another property is another value"
    );
}

#[test]
fn one_failed_answer_of_many_writes_nothing() {
    let case = Case::with(|case| {
        let mut second = case.object.spec.data[0].clone();
        second.secret_key = "b".into();
        case.object.spec.data.push(second);
    });
    let answers = [
        read("new"),
        Err(Arc::new(CallError::new(Class::Unavailable, "Code"))),
    ];
    case.facts(|facts| match facts.settle(&answers) {
        Settlement::Failed(problem) => {
            assert_eq!(problem.reason, Reason::ProviderUnavailable);
            assert!(
                problem.message.starts_with("data[b] (/k)"),
                "{}",
                problem.message
            );
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_settlement_says_what_it_was_made_of_and_prints_no_value() {
    let case = Case::settled();
    case.facts(|facts| match facts.settle(&[read("canary-new")]) {
        settlement @ Settlement::Write { .. } => {
            assert!(!format!("{settlement:?}").contains("canary"));
            let Settlement::Write { data, inputs } = settlement else {
                unreachable!()
            };
            assert_eq!(data["a"].expose(), b"canary-new");
            let made_of = inputs_digest(&key(), "db", &case.object.spec, &[value("canary-new")]);
            assert!(inputs.made_of(&key(), made_of));
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_property_that_is_missing_names_the_field_and_not_the_value() {
    let case = Case::with(|case| {
        case.object.spec.data[0].remote_ref.property = Some("password".into());
    });
    case.facts(
        |facts| match facts.settle(&[read(r#"{"canary-key":"canary-value"}"#)]) {
            Settlement::Failed(problem) => {
                assert_eq!(problem.reason, Reason::PropertyNotFound);
                assert!(
                    problem
                        .message
                        .starts_with("data[a].remoteRef.property (/k)")
                );
                assert!(!problem.message.contains("canary"));
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn more_than_a_secret_holds_is_refused() {
    let case = Case::settled();
    let large = "x".repeat(super::super::render::MOST_BYTES + 1);
    case.facts(|facts| match facts.settle(&[read(&large)]) {
        Settlement::Failed(problem) => assert_eq!(problem.reason, Reason::TooLarge),
        other => panic!("{other:?}"),
    });
}

#[test]
fn another_request_is_another_call() {
    let token = |request: &str| {
        let case = Case::with(|case| case.asked(request));
        case.facts(|facts| match facts.due() {
            Due::Fetch(join) => join.anew,
            _ => None,
        })
    };
    assert!(token("1").is_some());
    assert_ne!(token("1"), token("2"));
    assert_eq!(
        token("1"),
        token("1"),
        "asking again while it runs is the same request"
    );
}

#[test]
fn the_first_failed_entry_is_named() {
    let case = Case::with(|case| {
        let mut second = case.object.spec.data[0].clone();
        second.secret_key = "b".into();
        case.object.spec.data.push(second);
        case.views = vec![fresh("v"), failed(Class::NotFound)];
    });
    case.facts(|facts| match facts.due() {
        Due::Report(Standing::Failed(problem)) => {
            assert!(
                problem.message.starts_with("data[b] (/k): Code"),
                "{}",
                problem.message
            );
        }
        other => panic!("{other:?}"),
    });
}
