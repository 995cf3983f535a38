//! KMS reads: versions, stages, types, permissions, keys, batches, quotas.

use base64::{Engine, engine::general_purpose::STANDARD};
use cloudsim::{KeyState, KmsSettings, Options, Secret, SecretType, SecretVersion, Simulator};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::*;

pub const OTHER: &str = "2000000000000002";
pub const SHARED: &str = "acs:kms:cn-hangzhou:2000000000000002:secret/shared/db";
/// May read one by one, but not by batch.
pub const SINGLE: (&str, &str) = ("LTAIsingle", "canary-single-secret");

pub fn kms_seed() -> Value {
    let rule = |actions: &[&str], resources: &[&str]| json!({ "actions": actions, "resources": resources });
    let both: &[&str] = &["kms:GetSecretValue", "kms:BatchGetSecretValue"];
    json!({
        "accounts": [
            {
                "id": ACCOUNT,
                "access_keys": [{ "id": ROOT.0, "secret": ROOT.1 }],
                "users": [
                    {
                        "name": "user",
                        "access_keys": [{ "id": USER.0, "secret": USER.1 }],
                        "rules": [
                            rule(both, &["shop/*", "acs:kms:*:2000000000000002:secret/shared/*"]),
                            rule(&["kms:Decrypt"], &["key/open"]),
                        ],
                    },
                    {
                        "name": "single",
                        "access_keys": [{ "id": SINGLE.0, "secret": SINGLE.1 }],
                        "rules": [rule(&["kms:GetSecretValue"], &["*"])],
                    },
                    { "name": "nobody", "access_keys": [{ "id": NOBODY.0, "secret": NOBODY.1 }] },
                ],
                "secrets": [
                    {
                        "name": "shop/a",
                        "tags": { "env": "prod" },
                        "versions": [
                            { "id": "v1", "data": "canary-a1" },
                            { "id": "v2", "data": "canary-a2" },
                        ],
                    },
                    { "name": "shop/b", "value": "canary-b1" },
                    { "name": "bank/pin", "value": "canary-pin" },
                ],
            },
            {
                "id": OTHER,
                "secrets": [
                    {
                        "name": "shared/db",
                        "value": "canary-shared",
                        "policy": [{ "principals": ["acs:ram::1000000000000001:user/user"] }],
                    },
                    { "name": "shared/private", "value": "canary-private" },
                ],
            },
        ],
    })
}

pub async fn kms() -> Simulator {
    let simulator = Simulator::start(kms_seed().to_string(), Options::default());
    simulator.await.unwrap()
}

pub fn value(name: &str) -> Draft {
    Draft::new(KMS, "GetSecretValue").with("SecretName", name)
}

pub fn batch(names: &[&str]) -> Draft {
    let list: Vec<Value> = names
        .iter()
        .map(|name| json!({ "SecretName": name }))
        .collect();
    Draft::new(KMS, "BatchGetSecretValue").with("SecretsList", &json!(list).to_string())
}

#[tokio::test]
async fn a_secret_is_read_by_stage_and_by_version() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let current = client.send(&value("shop/a")).await.body;
    assert_eq!(current["SecretData"], "canary-a2");
    assert_eq!(current["SecretDataType"], "text");
    assert_eq!(current["SecretType"], "Generic");
    assert_eq!(current["VersionId"], "v2");
    assert_eq!(
        current["VersionStages"],
        json!({ "VersionStage": ["ACSCurrent"] })
    );
    assert!(current.get("NextRotationDate").is_none());
    let read = |name: &'static str, text: &'static str| {
        let client = client.clone();
        async move { client.send(&value("shop/a").with(name, text)).await }
    };
    assert_eq!(
        read("VersionStage", "ACSPrevious").await.body["SecretData"],
        "canary-a1"
    );
    assert_eq!(
        read("VersionId", "v1").await.body["SecretData"],
        "canary-a1"
    );
    let missing = (404, "Forbidden.ResourceNotFound");
    assert_eq!(read("VersionId", "v3").await.refusal(), missing);
    assert_eq!(read("VersionStage", "Mine").await.refusal(), missing);
    let reply = client.send(&value("shop/none")).await;
    assert_eq!(reply.refusal(), missing);
    assert_eq!(reply.body["HttpStatus"], 404);
    assert_eq!(
        client.send(&value("no spaces")).await.refusal(),
        (400, "InvalidParameter")
    );
}

#[tokio::test]
async fn a_version_and_a_stage_must_agree() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let ask = |version, stage| {
        value("shop/a")
            .with("VersionId", version)
            .with("VersionStage", stage)
    };
    assert_eq!(client.send(&ask("v1", "ACSPrevious")).await.status, 200);
    let reply = client.send(&ask("v1", "ACSCurrent")).await;
    assert_eq!(reply.refusal(), (400, "InvalidParameter"));
}

#[tokio::test]
async fn a_new_version_moves_the_stages() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let version = SecretVersion::new("v3", "canary-a3");
    assert_eq!(
        simulator.put_secret_version("shop/a", version).unwrap(),
        "v3"
    );
    let staged = |stage| value("shop/a").with("VersionStage", stage);
    assert_eq!(
        client.send(&staged("ACSCurrent")).await.body["SecretData"],
        "canary-a3"
    );
    assert_eq!(
        client.send(&staged("ACSPrevious")).await.body["SecretData"],
        "canary-a2"
    );
    let unstaged = client.send(&value("shop/a").with("VersionId", "v1")).await;
    assert_eq!(
        unstaged.body["VersionStages"],
        json!({ "VersionStage": [] })
    );
    let mine = SecretVersion::new("v4", "canary-a4").stages(&["Mine"]);
    simulator.put_secret_version("shop/a", mine).unwrap();
    assert_eq!(
        client.send(&staged("Mine")).await.body["SecretData"],
        "canary-a4"
    );
    assert_eq!(
        client.send(&staged("ACSCurrent")).await.body["SecretData"],
        "canary-a3"
    );
    assert!(
        simulator
            .put_secret_version("shop/a", SecretVersion::new("v4", "x"))
            .is_err()
    );
}

#[tokio::test]
async fn bytes_come_in_base64_and_the_longest_values_arrive() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let bytes: Vec<u8> = (0..=255).cycle().take(30_720).collect();
    simulator
        .put_secret(Secret::binary("shop/bytes", &bytes))
        .unwrap();
    simulator
        .put_secret(Secret::new("shop/long", &"x".repeat(30_720)))
        .unwrap();
    let reply = client.send(&value("shop/bytes")).await.body;
    assert_eq!(reply["SecretDataType"], "binary");
    assert_eq!(
        STANDARD
            .decode(reply["SecretData"].as_str().unwrap())
            .unwrap(),
        bytes
    );
    let long = client.send(&value("shop/long")).await.body;
    assert_eq!(long["SecretData"].as_str().unwrap().len(), 30_720);
    assert!(
        simulator
            .put_secret(Secret::new("shop/long", &"x".repeat(30_721)))
            .is_err()
    );
    let undecodable = Secret {
        data_type: cloudsim::DataType::Binary,
        ..Secret::new("shop/odd", "not base64!")
    };
    simulator.put_secret(undecodable).unwrap();
    assert_eq!(
        client.send(&value("shop/odd")).await.body["SecretData"],
        "not base64!"
    );
}

#[tokio::test]
async fn a_managed_secret_says_its_rotation_and_ignores_versions() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let secret = Secret::account(SecretType::Rds, "shop/rds", "app", "canary-p1")
        .rotated_every(SignedDuration::from_hours(168));
    simulator
        .put_secret(Secret {
            extended_config: Some(json!({ "k": "v" })),
            ..secret
        })
        .unwrap();
    let reply = client
        .send(&value("shop/rds").with("VersionId", "any"))
        .await
        .body;
    assert_eq!(reply["SecretType"], "Rds");
    assert_eq!(
        serde_json::from_str::<Value>(reply["SecretData"].as_str().unwrap()).unwrap(),
        json!({ "AccountName": "app", "AccountPassword": "canary-p1" })
    );
    assert_eq!(reply["AutomaticRotation"], "Enabled");
    assert_eq!(reply["RotationInterval"], "604800s");
    let next: jiff::Timestamp = reply["NextRotationDate"].as_str().unwrap().parse().unwrap();
    assert!(next > jiff::Timestamp::now() + SignedDuration::from_hours(167));
    assert!(reply.get("LastRotationDate").is_none() && reply.get("ExtendedConfig").is_none());

    let id = simulator.rotate_secret("shop/rds", "canary-p2").unwrap();
    let reply = client
        .send(&value("shop/rds").with("FetchExtendedConfig", "true"))
        .await
        .body;
    assert_eq!(
        (&reply["VersionId"], &reply["SecretData"]),
        (&json!(id), &json!("canary-p2"))
    );
    assert!(reply["LastRotationDate"].is_string());
    assert_eq!(reply["ExtendedConfig"], r#"{"k":"v"}"#);
    let previous = client
        .send(&value("shop/rds").with("VersionStage", "ACSPrevious"))
        .await;
    assert!(
        previous.body["SecretData"]
            .as_str()
            .unwrap()
            .contains("canary-p1")
    );
}

#[tokio::test]
async fn permission_comes_before_existence() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    for name in ["bank/pin", "bank/none"] {
        let reply = client.send(&value(name)).await;
        assert_eq!(reply.refusal(), (403, "Forbidden.NoPermission"));
        assert_eq!(
            reply.body["AccessDeniedDetail"]["AuthAction"],
            "kms:GetSecretValue"
        );
    }
}

#[tokio::test]
async fn a_key_takes_a_permission_and_must_be_usable() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    simulator
        .put_secret(Secret::new("shop/open", "canary").key("open"))
        .unwrap();
    simulator
        .put_secret(Secret::new("shop/shut", "canary").key("shut"))
        .unwrap();
    let shut = client.send(&value("shop/shut")).await;
    assert_eq!(shut.refusal(), (403, "Forbidden.NoPermission"));
    assert_eq!(shut.body["AccessDeniedDetail"]["AuthAction"], "kms:Decrypt");
    assert_eq!(client.send(&value("shop/open")).await.status, 200);
    for (state, code) in [
        (KeyState::Disabled, "Rejected.Disabled"),
        (KeyState::PendingDeletion, "Rejected.PendingDeletion"),
        (KeyState::PendingImport, "Rejected.PendingImport"),
    ] {
        simulator.put_kms_key("open", state).unwrap();
        assert_eq!(
            client.send(&value("shop/open")).await.refusal(),
            (409, code)
        );
    }
    simulator.delete_kms_key("open").unwrap();
    let reply = client.send(&value("shop/open")).await;
    assert_eq!(reply.refusal(), (404, "Forbidden.KeyNotFound"));
}

#[tokio::test]
async fn a_deleted_secret_is_rejected_first_and_missing_then() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    simulator.delete_secret("shop/a", Some(7)).unwrap();
    let reply = client.send(&value("shop/a")).await;
    assert_eq!(reply.refusal(), (409, "Rejected.ResourceInDeleteWindow"));
    simulator.restore_secret("shop/a").unwrap();
    assert_eq!(client.send(&value("shop/a")).await.status, 200);
    simulator.delete_secret("shop/a", None).unwrap();
    let reply = client.send(&value("shop/a")).await;
    assert_eq!(reply.refusal(), (404, "Forbidden.ResourceNotFound"));
}

#[tokio::test]
async fn a_secret_of_another_account_takes_its_policy_and_the_own_rules() {
    let simulator = kms().await;
    let client = Client::new(&simulator, USER);
    let reply = client.send(&value(SHARED)).await;
    assert_eq!(reply.body["SecretData"], "canary-shared");
    assert_eq!(reply.body["SecretName"], SHARED);
    let denied = (403, "Forbidden.NoPermission");
    let private = SHARED.replace("db", "private");
    assert_eq!(client.send(&value(&private)).await.refusal(), denied);
    let none = SHARED.replace("db", "none");
    assert_eq!(client.send(&value(&none)).await.refusal(), denied);
    let nobody = Client::new(&simulator, NOBODY);
    assert_eq!(nobody.send(&value(SHARED)).await.refusal(), denied);
    let elsewhere = SHARED.replace("cn-hangzhou", "cn-beijing");
    let reply = client.send(&value(&elsewhere)).await;
    assert_eq!(reply.refusal(), (404, "Forbidden.ResourceNotFound"));
    simulator.set_kms(KmsSettings {
        bare_names: true,
        ..KmsSettings::default()
    });
    assert_eq!(
        client.send(&value(SHARED)).await.body["SecretName"],
        "shared/db"
    );
}
