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
    assert!(gate.ssm.detour(&db(), false).unwrap().learns);
    assert_eq!(gate.ssm.detour(&db(), true), None);
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
                .detour(&db(), false)
                .is_some_and(|detour| detour.learns)
            {
                gate.ssm.learn(&credentials(), &db()).await.unwrap();
            }
            assert_eq!(gate.read(&db()).await.unwrap().0, read(kind));
            gate.pass(7_200);
        }
    }
}
