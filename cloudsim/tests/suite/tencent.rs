//! Tencent's SSM: reading secrets of all types and states, and what its gateway asks of a request.

use base64::{Engine, engine::general_purpose::STANDARD};
use cloudsim::tencent::{
    KeyEncoding, Secret, SecretState, SecretType, Settings, UnknownVersion, Version,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::tencent_support::*;

#[tokio::test]
async fn a_value_has_two_halves_of_which_the_absent_one_is_empty() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let text = client.value("prod-db", "v2").await;
    assert_eq!(text["SecretString"], "canary-db-2");
    assert_eq!(text["SecretBinary"], "");
    assert_eq!(text["VersionId"], "v2");
    assert!(text["RequestId"].is_string());
    let binary = Secret::versioned("prod-key", vec![Version::binary("v1", &[0, 255])]);
    simulator.tencent().put_secret(binary).unwrap();
    let binary = client.value("prod-key", "v1").await;
    assert_eq!(binary["SecretString"], "");
    assert_eq!(binary["SecretBinary"], STANDARD.encode([0, 255]));
}

#[tokio::test]
async fn a_version_must_be_said_and_must_exist() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let without = client
        .call("GetSecretValue", json!({ "SecretName": "prod-db" }))
        .await;
    assert_eq!(without.code(), "MissingParameter");
    let empty = client.value("prod-db", "").await;
    assert_eq!(empty["Error"]["Code"], "MissingParameter");
    let absent = client.value("prod-db", "SSM_Current").await;
    assert_eq!(absent["Error"]["Code"], "ResourceNotFound");
    simulator.tencent().set_settings(Settings {
        unknown_version: UnknownVersion::InvalidParameterValue,
        ..Settings::default()
    });
    let absent = client.value("prod-db", "SSM_Current").await;
    assert_eq!(absent["Error"]["Code"], "InvalidParameterValue");
    let absent = client.value("prod-none", "v1").await;
    assert_eq!(absent["Error"]["Code"], "ResourceNotFound.SecretNotExist");
}

#[tokio::test]
async fn states_refuse_in_their_own_ways() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    for (state, code, status) in [
        (
            SecretState::Disabled,
            "ResourceUnavailable.ResourceDisabled",
            "Disabled",
        ),
        (
            SecretState::PendingDelete,
            "ResourceUnavailable.ResourcePendingDeleted",
            "PendingDelete",
        ),
        (
            SecretState::Creating,
            "ResourceUnavailable.ResourceUninitialized",
            "Creating",
        ),
        (
            SecretState::Failed,
            "ResourceUnavailable.ResourceUninitialized",
            "Failed",
        ),
    ] {
        simulator
            .tencent()
            .set_secret_state("prod-db", state)
            .unwrap();
        assert_eq!(client.value("prod-db", "v2").await["Error"]["Code"], code);
        let described = client
            .call("DescribeSecret", json!({ "SecretName": "prod-db" }))
            .await;
        assert_eq!(described.body["Status"], status);
    }
    simulator
        .tencent()
        .set_secret_state("prod-db", SecretState::Enabled)
        .unwrap();
    assert_eq!(
        client.value("prod-db", "v2").await["SecretString"],
        "canary-db-2"
    );
    simulator.tencent().set_settings(Settings {
        purchased: false,
        ..Settings::default()
    });
    let code = &client.value("prod-db", "v2").await["Error"]["Code"];
    assert_eq!(code, "ResourceUnavailable.NotPurchased");
}

#[tokio::test]
async fn a_rotation_moves_the_current_version_of_a_managed_secret() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let managed = Secret::managed(SecretType::Product, "prod-rds", "canary-1");
    simulator.tencent().put_secret(managed).unwrap();
    assert_eq!(
        client.value("prod-rds", "SSM_Current").await["SecretString"],
        "canary-1"
    );
    simulator.tencent().rotate("prod-rds", "canary-2").unwrap();
    assert_eq!(
        client.value("prod-rds", "SSM_Current").await["SecretString"],
        "canary-2"
    );
    let info = simulator.tencent().secrets();
    let versions = &info
        .iter()
        .find(|info| info.name == "prod-rds")
        .unwrap()
        .versions;
    let old = client.value("prod-rds", &versions[0].id).await;
    assert_eq!(old["SecretString"], "canary-1");
}

#[tokio::test]
async fn the_keys_of_a_pair_come_as_they_are_or_in_base64() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    for (name, encoding) in [
        ("prod-raw", KeyEncoding::Raw),
        ("prod-b64", KeyEncoding::Base64),
    ] {
        let pair = Secret::ssh(
            name,
            "ssh-rsa canary-public",
            "-----BEGIN canary-private",
            encoding,
        );
        simulator.tencent().put_secret(pair).unwrap();
    }
    let read = async |body| client.call("GetSSHKeyPairValue", body).await.body;
    let raw = read(json!({ "SecretName": "prod-raw" })).await;
    assert_eq!(raw["PublicKey"], "ssh-rsa canary-public");
    assert_eq!(raw["SSHKeyID"], "skey-prod-raw");
    let encoded = read(json!({ "SSHKeyId": "skey-prod-b64" })).await;
    assert_eq!(
        encoded["PrivateKey"],
        STANDARD.encode("-----BEGIN canary-private")
    );
    let text = client.value("prod-raw", "SSM_Current").await;
    assert_eq!(text["Error"]["Code"], "UnsupportedOperation");
    let other = read(json!({ "SecretName": "prod-db" })).await;
    assert_eq!(other["Error"]["Code"], "UnsupportedOperation");
}

#[tokio::test]
async fn the_region_header_selects_the_data_whatever_the_host_is() {
    let simulator = tencent().await;
    let there = Secret::new("prod-db", "canary-beijing").region("ap-beijing");
    simulator.tencent().put_secret(there).unwrap();
    let mut client = Tencent::new(&simulator, USER);
    client.host = Some("ssm.ap-guangzhou.tencentcloudapi.com".to_owned());
    let read = async |region: &str| {
        let mut client = client.clone();
        client.region = region.to_owned();
        client.value("prod-db", "SSM_Current").await
    };
    assert_eq!(read("ap-beijing").await["SecretString"], "canary-beijing");
    assert_eq!(
        read("ap-guangzhou").await["Error"]["Code"],
        "ResourceNotFound"
    );
    assert_eq!(read("").await["Error"]["Code"], "MissingParameter");
    assert_eq!(
        read("ap-beijing-3").await["Error"]["Code"],
        "UnsupportedRegion"
    );
}

#[tokio::test]
async fn a_request_is_verified_to_its_last_part() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let code = async |client: &Tencent| {
        let read = json!({ "SecretName": "prod-db", "VersionId": "v2" });
        client.call("GetSecretValue", read).await.code().to_owned()
    };
    assert_eq!(code(&client).await, "");
    let with = |change: &dyn Fn(&mut Tencent)| {
        let mut client = client.clone();
        change(&mut client);
        client
    };
    for (client, expected) in [
        (with(&|client| client.signs_action = true), ""),
        (
            with(&|client| client.content_type = "application/json; charset=utf-8"),
            "",
        ),
        (
            with(&|client| client.secret = "wrong".to_owned()),
            "AuthFailure.SignatureFailure",
        ),
        (
            with(&|client| client.key_id = "AKIDnone".to_owned()),
            "AuthFailure.SecretIdNotFound",
        ),
        (
            with(&|client| client.token = Some("any".to_owned())),
            "AuthFailure.TokenFailure",
        ),
        (
            with(&|client| client.sent_body = Some("{}".to_owned())),
            "AuthFailure.SignatureFailure",
        ),
        (
            with(&|client| client.ahead = 301),
            "AuthFailure.SignatureExpire",
        ),
        (
            with(&|client| client.ahead = -301),
            "AuthFailure.SignatureExpire",
        ),
        (with(&|client| client.ahead = 290), ""),
        (
            with(&|client| client.version = "2019-09-24"),
            "NoSuchVersion",
        ),
        (with(&|client| client.service = "sts"), "NoSuchVersion"),
        (with(&|client| client.service = "kms"), "NoSuchProduct"),
    ] {
        assert_eq!(code(&client).await, expected, "{client:?}");
    }
    let unknown = client.call("GetSecretValues", json!({})).await;
    assert_eq!(unknown.code(), "InvalidAction");
    let misspelt = json!({ "SecretName": "prod-db", "VersionID": "v2" });
    let misspelt = client.call("GetSecretValue", misspelt).await;
    assert_eq!(misspelt.code(), "UnknownParameter");
    assert_eq!(misspelt.status, 200);
    simulator.revoke_key(USER.0).unwrap();
    assert_eq!(code(&client).await, "AuthFailure.SecretIdNotFound");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_the_date_header() {
    let simulator = tencent().await;
    let mut client = Tencent::new(&simulator, USER);
    simulator
        .tencent()
        .set_clock_offset(SignedDuration::from_hours(2));
    let read = json!({ "SecretName": "prod-db", "VersionId": "v2" });
    let refused = client.call("GetSecretValue", read.clone()).await;
    assert_eq!(refused.code(), "AuthFailure.SignatureExpire");
    let date = refused.headers["date"].to_str().unwrap();
    let there = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    let offset = there.duration_since(jiff::Timestamp::now());
    assert!((7190..=7200).contains(&offset.as_secs()), "{date}");
    client.ahead = offset.as_secs();
    assert_eq!(client.call("GetSecretValue", read).await.code(), "");
}

#[tokio::test]
async fn messages_are_english_only_if_that_is_asked_for() {
    let simulator = tencent().await;
    let mut client = Tencent::new(&simulator, USER);
    let message = async |client: &Tencent| {
        let answer = client.value("prod-none", "v1").await;
        answer["Error"]["Message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(&client).await, "The secret does not exist.");
    client.language = None;
    assert_eq!(message(&client).await, "资源不存在。");
}
