//! What refusals of a read mean, by what was known before it.

use super::*;

#[tokio::test]
async fn who_may_not_ask_reads_what_is_current_and_is_told() {
    let gate = Gate::start().await;
    let current = |caveat| ("value of SSM_Current".to_owned(), Some(caveat));
    gate.say("DescribeSecret", refusal("UnauthorizedOperation"));
    assert_eq!(gate.read(&db()).await.unwrap(), current(Caveat::KindHidden));
    gate.read(&db()).await.unwrap();
    assert_eq!(
        gate.calls(),
        [
            "DescribeSecret",
            "GetSecretValue SSM_Current",
            "GetSecretValue SSM_Current"
        ]
    );
    gate.pass(3_600);
    gate.say("DescribeSecret", json!({"SecretType": 0}));
    gate.say(
        "ListSecretVersionIds",
        refusal("AuthFailure.UnauthorizedOperation"),
    );
    gate.ssm.learn(&credentials(), &db()).await.unwrap();
    assert_eq!(
        gate.read(&db()).await.unwrap(),
        current(Caveat::VersionsHidden)
    );
    gate.pass(3_600);
    gate.say("ListSecretVersionIds", listing(&[("v9", 1)]));
    gate.ssm.learn(&credentials(), &db()).await.unwrap();
    let expected = ("value of v9".to_owned(), None);
    assert_eq!(
        gate.read(&db()).await.unwrap(),
        expected,
        "the permission was granted"
    );
}

#[tokio::test]
async fn only_that_there_is_no_secret_says_that_it_is_gone() {
    let gate = Gate::start().await;
    let (missing, none) = (code::NO_SECRET, "ResourceNotFound");
    let invalid = "InvalidParameterValue";
    // By which way it is read, and what each code means there.
    let table = [
        (Some("v1"), missing, Class::NotFound),
        (Some("v1"), none, Class::NotFound),
        (Some("v1"), invalid, Class::NotFound),
        (None, missing, Class::NotFound),
        (None, none, Class::Protocol),
        (None, invalid, Class::Protocol),
    ];
    for (named, told, class) in table {
        for secret_type in [0, 1] {
            gate.say("DescribeSecret", json!({"SecretType": secret_type}));
            gate.say("ListSecretVersionIds", listing(&[("v1", 1)]));
            gate.say("GetSecretValue", refusal(told));
            let key = named.map_or_else(db, version);
            assert_eq!(
                gate.fails(&key).await,
                (class, told.to_owned()),
                "{named:?}"
            );
        }
    }
    gate.ssm.ways().forget("db");
    gate.say("DescribeSecret", refusal("UnauthorizedOperation"));
    gate.say("GetSecretValue", refusal(none));
    assert_eq!(gate.fails(&db()).await, (Class::Denied, none.to_owned()));
}

#[tokio::test]
async fn a_version_that_is_not_there_is_told_from_a_secret_that_is_not() {
    let gate = Gate::start().await;
    let mut texts = Vec::new();
    for told in [code::NO_SECRET, "ResourceNotFound", "InvalidParameterValue"] {
        gate.say("GetSecretValue", refusal(told));
        texts.push(gate.read(&version("v1")).await.unwrap_err().to_string());
    }
    assert!(
        !texts[0].contains("version") && texts[1].contains("no such version"),
        "{texts:?}"
    );
    assert!(texts[2].contains("no such version"), "{texts:?}");
}

#[tokio::test]
async fn a_state_that_forbids_reading_is_no_missing_permission() {
    let gate = Gate::start().await;
    for state in [
        "ResourceDisabled",
        "ResourcePendingDeleted",
        "ResourceUninitialized",
    ] {
        let told = format!("ResourceUnavailable.{state}");
        gate.say("DescribeSecret", json!({"SecretType": 0}));
        gate.say("ListSecretVersionIds", refusal(&told));
        assert_eq!(gate.fails(&db()).await, (Class::Denied, told.clone()));
        gate.say("DescribeSecret", refusal(&told));
        gate.ssm.ways().forget("db");
        assert_eq!(gate.fails(&db()).await, (Class::Denied, told));
        gate.calls();
    }
}

#[tokio::test]
async fn a_stage_is_refused_before_anything_is_sent() {
    let gate = Gate::start().await;
    let staged = RemoteKey {
        stage: Some("current".to_owned()),
        ..db()
    };
    assert_eq!(
        gate.fails(&staged).await,
        (Class::Invalid, "Stage".to_owned())
    );
    assert!(gate.calls().is_empty());
}
