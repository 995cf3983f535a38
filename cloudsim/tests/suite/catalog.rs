//! KMS: lists of secrets and versions, and changes to them over the wire.

use base64::{Engine, engine::general_purpose::STANDARD};
use cloudsim::{KmsSettings, Secret, SecretType, Simulator};
use serde_json::{Value, json};

use crate::kms::{SHARED, kms, value};
use crate::support::*;

fn draft(action: &'static str) -> Draft {
    Draft::new(KMS, action)
}

fn of(action: &'static str, name: &str) -> Draft {
    draft(action).with("SecretName", name)
}

async fn root() -> (Simulator, Client) {
    let simulator = kms().await;
    let client = Client::new(&simulator, ROOT);
    (simulator, client)
}

fn listed(reply: &Reply) -> Vec<&str> {
    let list = reply.body["SecretList"]["Secret"].as_array().unwrap();
    list.iter()
        .map(|entry| entry["SecretName"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn secrets_are_listed_in_pages_of_the_own_account_and_region() {
    let (simulator, client) = root().await;
    simulator
        .put_secret(Secret::new("shop/far", "canary").region("cn-beijing"))
        .unwrap();
    let all = client.send(&draft("ListSecrets")).await;
    assert_eq!(listed(&all), ["bank/pin", "shop/a", "shop/b"]);
    assert_eq!(all.body["TotalCount"], 3);
    assert!(all.body["SecretList"]["Secret"][1].get("Tags").is_none());
    let second = draft("ListSecrets")
        .with("PageNumber", "2")
        .with("PageSize", "2");
    assert_eq!(listed(&client.send(&second).await), ["shop/b"]);
    let far = draft("ListSecrets").with("RegionId", "cn-beijing");
    assert_eq!(listed(&client.send(&far).await), ["shop/far"]);
    let too_many = draft("ListSecrets").with("PageSize", "101");
    assert_eq!(
        client.send(&too_many).await.refusal(),
        (400, "InvalidParameter")
    );
    let user = Client::new(&simulator, USER);
    let reply = user.send(&draft("ListSecrets")).await;
    assert_eq!(reply.refusal(), (403, "Forbidden.NoPermission"));
}

#[tokio::test]
async fn filters_choose_by_the_beginning_of_a_name_by_tags_and_by_type() {
    let (simulator, client) = root().await;
    let tagged = Secret::new("shop/t", "canary")
        .tag("env", "test")
        .tag("team", "prod");
    simulator.put_secret(tagged).unwrap();
    simulator
        .put_secret(Secret::account(SecretType::Rds, "rds", "u", "canary"))
        .unwrap();
    let list = |filters: Value| {
        let client = client.clone();
        async move {
            let draft = draft("ListSecrets").with("Filters", &filters.to_string());
            client.send(&draft.with("FetchTags", "true")).await
        }
    };
    let reply = list(json!([{ "Key": "SecretName", "Values": ["shop/", "rds"] }])).await;
    assert_eq!(listed(&reply), ["rds", "shop/a", "shop/b", "shop/t"]);
    let tags = json!([
        { "Key": "TagKey", "Values": ["env"] },
        { "Key": "TagValue", "Values": ["prod"] },
    ]);
    let reply = list(tags).await;
    assert_eq!(listed(&reply), ["shop/a", "shop/t"]);
    assert_eq!(
        reply.body["SecretList"]["Secret"][0]["Tags"],
        json!({ "Tag": [{ "TagKey": "env", "TagValue": "prod" }] })
    );
    let reply = list(json!([{ "Key": "SecretType", "Values": ["RDS"] }])).await;
    assert_eq!(listed(&reply), ["rds"]);
    let eleven = vec!["x"; 11];
    for wrong in [
        json!([{ "Key": "Name", "Values": ["x"] }]),
        json!([{ "Key": "SecretName", "Values": eleven }]),
        json!({ "SecretName": "x" }),
    ] {
        assert_eq!(list(wrong).await.refusal(), (400, "InvalidParameter"));
    }
}

#[tokio::test]
async fn a_description_holds_no_data() {
    let (simulator, client) = root().await;
    let secret = Secret {
        description: Some("The database".to_owned()),
        instance: Some("kst-1".to_owned()),
        ..Secret::new("shop/d", "canary").key("k1")
    };
    simulator.put_secret(secret).unwrap();
    simulator.delete_secret("shop/d", Some(7)).unwrap();
    let reply = client.send(&of("DescribeSecret", "shop/d")).await.body;
    assert_eq!(
        reply["Arn"],
        "acs:kms:cn-hangzhou:1000000000000001:secret/shop/d"
    );
    assert_eq!(reply["EncryptionKeyId"], "k1");
    assert_eq!(reply["Description"], "The database");
    assert!(reply["PlannedDeleteTime"].is_string());
    assert!(!reply.to_string().contains("canary"));
    let missing = client.send(&of("DescribeSecret", "shop/none")).await;
    assert_eq!(missing.refusal(), (404, "Forbidden.ResourceNotFound"));
    let theirs = client.send(&of("DescribeSecret", SHARED)).await;
    assert_eq!(theirs.refusal(), (400, "InvalidParameter"));
}

#[tokio::test]
async fn versions_without_a_stage_are_listed_only_if_asked_for() {
    let (_simulator, client) = root().await;
    let put = of("PutSecretValue", "shop/a")
        .with("VersionId", "v3")
        .with("SecretData", "canary");
    assert_eq!(client.send(&put).await.status, 200);
    let ids = |reply: Reply| -> Vec<String> {
        let list = reply.body["VersionIds"]["VersionId"].as_array().unwrap();
        list.iter()
            .map(|entry| entry["VersionId"].as_str().unwrap().to_owned())
            .collect()
    };
    let ask = of("ListSecretVersionIds", "shop/a");
    assert_eq!(ids(client.send(&ask).await), ["v2", "v3"]);
    let all = of("ListSecretVersionIds", "shop/a").with("IncludeDeprecated", "true");
    assert_eq!(ids(client.send(&all).await), ["v1", "v2", "v3"]);
}

#[tokio::test]
async fn a_secret_lives_from_its_creation_to_its_deletion() {
    let (_simulator, client) = root().await;
    let data = "p@ss w0rd/+&=%~*中\0";
    let create = || {
        of("CreateSecret", "shop/new")
            .with("VersionId", "v1")
            .with("SecretData", data)
    };
    let tags = r#"[{"TagKey":"k","TagValue":"v"}]"#;
    let reply = client.send(&create().with("Tags", tags)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.body["Arn"],
        "acs:kms:cn-hangzhou:1000000000000001:secret/shop/new"
    );
    let exists = (409, "Rejected.ResourceExist");
    assert_eq!(client.send(&create()).await.refusal(), exists);
    assert_eq!(
        client.send(&value("shop/new")).await.body["SecretData"],
        data
    );

    let bytes = STANDARD.encode([0, 255, 254, 0]);
    let put = |data: &str| {
        of("PutSecretValue", "shop/new")
            .with("VersionId", "v2")
            .with("SecretDataType", "binary")
            .with("SecretData", data)
    };
    for _ in 0..2 {
        let reply = client.send(&put(&bytes)).await;
        assert_eq!(
            reply.body["VersionStages"],
            json!({ "VersionStage": ["ACSCurrent"] })
        );
    }
    assert_eq!(client.send(&put("AAAA")).await.refusal(), exists);
    let current = client.send(&value("shop/new")).await.body;
    assert_eq!(
        (&current["SecretData"], &current["SecretDataType"]),
        (&json!(bytes), &json!("binary"))
    );

    let back = of("UpdateSecretVersionStage", "shop/new")
        .with("VersionStage", "ACSCurrent")
        .with("RemoveFromVersion", "v2")
        .with("MoveToVersion", "v1");
    assert_eq!(client.send(&back).await.status, 200);
    let previous = value("shop/new").with("VersionStage", "ACSPrevious");
    assert_eq!(client.send(&previous).await.body["VersionId"], "v2");
    let remove = of("UpdateSecretVersionStage", "shop/new")
        .with("VersionStage", "ACSCurrent")
        .with("RemoveFromVersion", "v1");
    assert_eq!(
        client.send(&remove).await.refusal(),
        (400, "InvalidParameter")
    );

    let in_window = (409, "Rejected.ResourceInDeleteWindow");
    assert_eq!(
        client.send(&of("DeleteSecret", "shop/new")).await.status,
        200
    );
    assert_eq!(client.send(&value("shop/new")).await.refusal(), in_window);
    assert_eq!(client.send(&create()).await.refusal(), in_window);
    assert_eq!(
        client.send(&of("RestoreSecret", "shop/new")).await.status,
        200
    );
    assert_eq!(client.send(&value("shop/new")).await.status, 200);
    let force = of("DeleteSecret", "shop/new").with("ForceDeleteWithoutRecovery", "true");
    assert_eq!(client.send(&force).await.status, 200);
    let gone = client.send(&value("shop/new")).await;
    assert_eq!(gone.refusal(), (404, "Forbidden.ResourceNotFound"));
}

#[tokio::test]
async fn a_managed_secret_takes_no_versions_from_a_caller() {
    let (simulator, client) = root().await;
    simulator
        .put_secret(Secret::ecs_key_pair("ecs", "u", "p", "canary"))
        .unwrap();
    let put = of("PutSecretValue", "ecs")
        .with("VersionId", "v2")
        .with("SecretData", "canary");
    assert_eq!(
        client.send(&put).await.refusal(),
        (400, "UnsupportedOperation")
    );
    let create = of("CreateSecret", "rds")
        .with("VersionId", "v1")
        .with("SecretData", "canary");
    let reply = client.send(&create.with("SecretType", "Rds")).await;
    assert_eq!(reply.refusal(), (400, "UnsupportedOperation"));
}

#[tokio::test]
async fn lists_and_writes_have_quotas_of_their_own() {
    let (simulator, client) = root().await;
    simulator.set_kms(KmsSettings {
        lists_per_second: Some(0),
        writes_per_second: Some(0),
        ..KmsSettings::default()
    });
    for draft in [
        draft("ListSecrets"),
        of("DescribeSecret", "shop/a"),
        of("DeleteSecret", "shop/a"),
    ] {
        assert_eq!(
            client.send(&draft).await.refusal(),
            (429, "Rejected.Throttling")
        );
    }
    assert_eq!(client.send(&value("shop/a")).await.status, 200);
}
