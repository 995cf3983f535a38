//! What is due for what is known.

use std::borrow::Cow;

use super::super::super::request::refresh_request;
use super::*;

type Change = fn(&mut Case);

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
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
            "the Secret is missing, the first region is silent and there is another",
            |c| {
                c.failing_first(Class::Unavailable);
                c.secret = None;
            },
            fetch,
        ),
        (
            "the Secret is there, the first region is silent and there is another",
            |c| c.failing_first(Class::Unavailable),
            Decision::Failed(Reason::ProviderUnavailable),
        ),
        (
            "the Secret is missing, the first region refuses and there is another",
            |c| {
                c.failing_first(Class::Denied);
                c.secret = None;
            },
            Decision::Failed(Reason::AccessDenied),
        ),
        (
            "the Secret is missing and the only region is silent",
            |c| {
                c.views = vec![failed(Class::Unavailable)];
                c.secret = None;
            },
            Decision::Failed(Reason::ProviderUnavailable),
        ),
        (
            "an answer of another region comes while the generation is still new",
            |c| {
                c.failing_first(Class::Unavailable);
                c.secret = None;
                c.object.metadata.generation = Some(4);
                c.asking_elsewhere = true;
            },
            fetch,
        ),
        (
            "somebody asked and was answered",
            |c| {
                c.asked("1");
                c.status().last_handled_refresh = Some("1".into());
            },
            Decision::Settled,
        ),
        (
            "somebody asked at length and was answered",
            |c| {
                c.asked(&"x".repeat(200 << 10));
                let handled = refresh_request(&c.object).map(Cow::into_owned);
                c.status().last_handled_refresh = handled;
            },
            Decision::Settled,
        ),
        (
            "somebody asked at length for something else",
            |c| {
                c.asked(&"x".repeat(200 << 10));
                let handled = refresh_request(&c.object).map(Cow::into_owned);
                c.status().last_handled_refresh = handled;
                c.asked(&"x".repeat(201 << 10));
            },
            forced,
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
            "a restart after the key was changed",
            |c| {
                c.object.metadata.generation = Some(4);
                c.object.spec.data[0].remote_ref.key = "/other".into();
                c.views = vec![View::Unknown];
            },
            Decision::Fetch {
                anew: false,
                retry: true,
            },
        ),
        (
            "a restart after the version was pinned",
            |c| {
                c.object.metadata.generation = Some(4);
                c.object.spec.data[0].remote_ref.version = Some("1".into());
                c.views = vec![View::Unknown];
            },
            Decision::Fetch {
                anew: false,
                retry: true,
            },
        ),
        (
            "a restart after the store was changed",
            |c| {
                c.object.metadata.generation = Some(4);
                c.object.spec.secret_store_ref = Some(store("other"));
                c.views = vec![View::Unknown];
            },
            Decision::Fetch {
                anew: false,
                retry: true,
            },
        ),
        (
            "a status that could not be written costs no call",
            |c| {
                c.status().entries.clear();
                c.status().conditions.clear();
            },
            Decision::Settled,
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
            "a refresh that works again is told before the Secret is looked at",
            |c| {
                c.not_fresh();
                c.verified = None;
            },
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

#[test]
#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough"
)]
fn what_is_told_of_an_outage_stays_while_one_entry_after_the_other_fails() {
    let mut case = Case::with(|case| {
        let mut second = case.object.spec.data[0].clone();
        second.secret_key = "b".into();
        case.object.spec.data.push(second);
        case.places.push(EntryPlace::default());
        case.views = vec![fresh("v"), failed(Class::Unavailable)];
    });
    let told = |case: &Case| match case.facts(|facts| facts.due()) {
        Due::Report(Standing::Failed(problem)) => problem,
        due => panic!("{due:?}"),
    };
    let first = told(&case);
    assert!(first.message.starts_with("data[b]"), "{}", first.message);
    let generation = case.object.metadata.generation;
    set_condition(
        &mut case.status().conditions,
        FRESH,
        ConditionStatus::False,
        first.reason,
        first.message.as_str(),
        generation,
        Timestamp::UNIX_EPOCH,
    );
    case.views = vec![failed(Class::Unavailable), failed(Class::Unavailable)];
    assert_eq!(told(&case), first);
    case.views[1] = fresh("v");
    assert!(
        told(&case).message.starts_with("data[a]"),
        "that one is well again"
    );
}
