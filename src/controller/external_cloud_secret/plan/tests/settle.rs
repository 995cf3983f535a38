//! What the answers come to.

use super::*;

#[allow(clippy::unnecessary_wraps, reason = "it stands in a list with errors")]
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
fn a_property_that_is_missing_is_named_and_the_value_is_not() {
    let case = Case::with(|case| {
        case.object.spec.data[0].remote_ref.property = Some("password".into());
    });
    case.facts(
        |facts| match facts.settle(&[read(r#"{"canary-key":"canary-value"}"#)]) {
            Settlement::Failed(problem) => {
                assert_eq!(problem.reason, Reason::PropertyNotFound);
                let expected =
                    r#"data[a].remoteRef.property "password" (/k): the value has no such property"#;
                assert_eq!(problem.message, expected);
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn more_than_a_secret_holds_is_refused() {
    let case = Case::settled();
    let large = "x".repeat(crate::controller::external_cloud_secret::render::MOST_BYTES + 1);
    case.facts(|facts| match facts.settle(&[read(&large)]) {
        Settlement::Failed(problem) => assert_eq!(problem.reason, Reason::TooLarge),
        other => panic!("{other:?}"),
    });
}
