//! KMS reads by batch: partial failures, limits, gateways without the call, permissions.

use cloudsim::{Batch, Filter};
use serde_json::json;

use super::kms::*;
use crate::support::*;

#[tokio::test]
async fn a_batch_says_of_each_name_what_went_wrong() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let reply = client
        .send(&batch(&[
            "shop/none",
            SHARED,
            "bank/pin",
            "shop/b",
            "shop/a",
        ]))
        .await;
    assert_eq!(reply.status, 200);
    let names = |list: &str, field: &str| -> Vec<String> {
        let list = reply.body[list].as_array().unwrap();
        list.iter()
            .map(|entry| entry[field].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names("SecretValues", "SecretName"),
        [SHARED, "shop/a", "shop/b"]
    );
    assert_eq!(
        names("SecretValues", "SecretData"),
        ["canary-shared", "canary-a2", "canary-b1"]
    );
    assert_eq!(names("Errors", "SecretName"), ["bank/pin", "shop/none"]);
    assert_eq!(
        names("Errors", "Code"),
        ["Forbidden.NoPermission", "Forbidden.ResourceNotFound"]
    );
    assert_eq!(reply.body["Errors"][1]["HttpStatus"], 404);
    let ledger = simulator.ledger_of(&Filter::service("kms"));
    assert_eq!((ledger.total, ledger.names), (1, 5));
}

#[tokio::test]
async fn a_batch_takes_one_to_twenty_distinct_secrets_with_stages_and_versions() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let many: Vec<String> = (0..21).map(|number| format!("shop/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(client.send(&batch(&many[..20])).await.status, 200);
    for names in [&many[..], &[], &["shop/a", "shop/a"]] {
        assert_eq!(
            client.send(&batch(names)).await.refusal(),
            (400, "InvalidParameter")
        );
    }
    let list = json!([
        { "SecretName": "shop/a", "VersionStage": "ACSPrevious" },
        { "SecretName": "shop/b", "VersionId": "v1", "FetchExtendedConfig": "true" },
    ]);
    let draft = Draft::new(KMS, "BatchGetSecretValue").with("SecretsList", &list.to_string());
    let reply = client.send(&draft).await.body;
    assert_eq!(reply["SecretValues"][0]["SecretData"], "canary-a1");
    assert_eq!(reply["SecretValues"][1]["SecretData"], "canary-b1");
    let odd = json!([{ "SecretName": "shop/a", "Stage": "ACSPrevious" }]).to_string();
    let odd = Draft::new(KMS, "BatchGetSecretValue").with("SecretsList", &odd);
    assert_eq!(client.send(&odd).await.refusal(), (400, "InvalidParameter"));
}

#[tokio::test]
async fn a_batch_can_be_unknown_in_each_documented_way() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    for (mode, refusal) in [
        (Batch::ApiNotFound, (404, "InvalidApi.NotFound")),
        (Batch::ActionNotFound, (404, "InvalidAction.NotFound")),
        (Batch::Unsupported, (400, "UnsupportedOperation")),
    ] {
        simulator.set_batch(mode);
        assert_eq!(client.send(&batch(&["shop/a"])).await.refusal(), refusal);
    }
    simulator.set_batch(Batch::On);
    assert_eq!(client.send(&batch(&["shop/a"])).await.status, 200);
}

#[tokio::test]
async fn who_may_read_one_by_one_need_not_be_allowed_to_read_by_batch() {
    let simulator = kms().await;
    let client = Client::new(&simulator, SINGLE);
    assert_eq!(client.send(&value("shop/a")).await.status, 200);
    let reply = client.send(&batch(&["shop/a", "shop/b"])).await;
    assert_eq!(reply.refusal(), (403, "Forbidden.NoPermission"));
    assert_eq!(
        reply.body["AccessDeniedDetail"]["AuthAction"],
        "kms:BatchGetSecretValue"
    );
}
