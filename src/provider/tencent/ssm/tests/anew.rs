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
