//! When what was learned of a secret still counts, and when it is learned anew.

use super::*;

#[tokio::test]
async fn a_read_that_waited_long_is_made_of_what_was_learned_for_it() {
    let gate = Gate::start().await;
    gate.say("DescribeSecret", json!({"SecretType": 0}));
    gate.say("ListSecretVersionIds", listing(&[("v1", 1)]));
    for _ in 0..2 {
        gate.ssm.learn(&credentials(), &db()).await.unwrap();
    }
    gate.calls();
    gate.pass(600);
    assert!(gate.detour().unwrap().learns);
    assert_eq!(
        gate.ssm.detour(&db(), true, gate.ssm.edge.clock.now()),
        None
    );
    assert_eq!(gate.ssm.action(&[db()], false), "GetSecretValue");
    assert_eq!(gate.ssm.action(&[db()], true), "ListSecretVersionIds");
    gate.read(&db()).await.unwrap();
    assert_eq!(gate.calls(), ["GetSecretValue v1"]);
}

#[tokio::test]
async fn a_secret_that_was_made_anew_as_another_kind_between_two_reads_is_read_as_that() {
    let gate = Gate::start().await;
    gate.say(
        "ListSecretVersionIds",
        listing(&[("v7", 7), ("SSM_Current", 1)]),
    );
    gate.say("GetSSHKeyPairValue", json!({"PublicKey": "ssh-rsa k"}));
    let read = |kind| match kind {
        0 => "value of v7",
        1 => "value of SSM_Current",
        _ => r#"{"PublicKey":"ssh-rsa k"}"#,
    };
    for (before, after) in [(1, 0), (0, 1), (2, 0), (1, 2)] {
        gate.ssm.ways().forget("db");
        for kind in [before, after] {
            gate.say("DescribeSecret", json!({"SecretType": kind}));
            while gate
                .ssm
                .detour(&db(), false, gate.ssm.edge.clock.now())
                .is_some_and(|detour| detour.learns)
            {
                gate.ssm.learn(&credentials(), &db()).await.unwrap();
            }
            assert_eq!(gate.read(&db()).await.unwrap().0, read(kind));
            gate.pass(7_200);
        }
    }
}

#[tokio::test]
async fn a_call_that_fits_another_kind_is_no_error_of_the_reference_and_what_was_learned_is_dropped()
 {
    let gate = Gate::start().await;
    let calls = [("GetSSHKeyPairValue", 2), ("ListSecretVersionIds", 0)];
    for (action, kind) in calls {
        for told in [
            "UnsupportedOperation",
            "InvalidParameterValue",
            "ResourceNotFound",
        ] {
            gate.ssm.ways().forget("db");
            gate.say("DescribeSecret", json!({"SecretType": kind}));
            gate.say(action, refusal(told));
            assert_eq!(gate.fails(&db()).await, (Class::Protocol, told.to_owned()));
            // It is a managed one now.
            gate.say("DescribeSecret", json!({"SecretType": 1}));
            assert_eq!(gate.ssm.action(&[db()], true), "DescribeSecret", "{told}");
            assert_eq!(gate.read(&db()).await.unwrap().0, "value of SSM_Current");
        }
    }
}

#[tokio::test]
async fn whatever_is_asked_only_that_there_is_no_secret_says_so() {
    let gate = Gate::start().await;
    for (told, class) in [
        (code::NO_SECRET, Class::NotFound),
        ("ResourceNotFound", Class::Protocol),
        ("InvalidParameter", Class::Protocol),
        (code::NO_REGION, Class::Invalid),
    ] {
        for (action, kind) in [
            ("GetSecretValue", 1),
            ("GetSSHKeyPairValue", 2),
            ("ListSecretVersionIds", 0),
            ("DescribeSecret", 0),
        ] {
            gate.ssm.ways().forget("db");
            gate.say("DescribeSecret", json!({"SecretType": kind}));
            gate.say(action, refusal(told));
            assert_eq!(
                gate.fails(&db()).await,
                (class, told.to_owned()),
                "{action}"
            );
        }
    }
    gate.say("GetSecretValue", refusal(code::NO_REGION));
    assert_eq!(gate.fails(&version("v1")).await.0, Class::Invalid);
}
