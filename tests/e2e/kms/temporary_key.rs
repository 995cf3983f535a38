//! Temporary keys in Secrets: the id, the secret and the token of a session that somebody began.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::scene::Scene;
use crate::wait::{SOON, until};
use crate::world::{ACCOUNT, PROVIDER, World};

const VALUE: &str = "canary-value";

/// Credentials of a role of the scene, as a person gets them: id, secret and token.
async fn issue(scene: &Scene<'_>, role: &str) -> [String; 3] {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let arn = scene.role_arn(role);
    let provider = format!("acs:ram::{ACCOUNT}:oidc-provider/{PROVIDER}");
    let form = [
        ("Action", "AssumeRoleWithOIDC"),
        ("Version", "2015-04-01"),
        ("Format", "JSON"),
        ("Timestamp", &now),
        ("RoleArn", &arn),
        ("OIDCProviderArn", &provider),
        ("RoleSessionName", "somebody"),
        ("OIDCToken", &scene.token("reader").await),
    ];
    let call = reqwest::Client::new().post(scene.cloud.url()).form(&form);
    let answer: Value = call.send().await.unwrap().json().await.unwrap();
    let part = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
    ["AccessKeyId", "AccessKeySecret", "SecurityToken"].map(part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_key_reads_until_it_expires_and_its_successor_heals_at_once() {
    let world = World::kms().await;
    let cloud = world.another_cloud().await;
    let scene = Scene::at(world, "temporary", Service::Kms, cloud).await;
    scene.put("db", VALUE);
    let lifetime = SignedDuration::from_secs(4);
    scene.cloud.set_credential_lifetime(Some(lifetime));
    let first = issue(&scene, "reader").await;
    scene.cloud.set_credential_lifetime(None);
    let keep = async |[id, secret, token]: [&str; 3]| {
        let values = [("id", id), ("secret", secret), ("token", token)];
        scene.put_secret("ak", &values).await;
    };
    keep(first.each_ref().map(String::as_str)).await;
    let mut auth = scene.access_key("ak");
    auth["accessKey"]["securityTokenSecretRef"] = json!({ "name": "ak", "key": "token" });
    scene.through("db", auth).await;
    scene.wait_value("db", "password", VALUE).await;
    scene.wait_settled("db").await;
    let secret = scene.secret_as_it_is("db").await;

    // It ends while it is in use.
    until("its end", SOON, async || {
        scene
            .refresh("db", &jiff::Timestamp::now().to_string())
            .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let fresh = scene.condition("db", "Fresh").await;
        (fresh.status == "False").then_some(()).ok_or(fresh)
    })
    .await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AuthenticationFailed")
        .await;
    assert!(
        message.contains("InvalidSecurityToken.Expired"),
        "{message}"
    );
    assert_eq!(scene.secret_as_it_is("db").await, secret);

    // Half of a successor is another identity, and no good one.
    let next = issue(&scene, "reader").await;
    keep([&next[0], &next[1], &first[2]]).await;
    until("the mismatch", SOON, async || {
        let fresh = scene.condition("db", "Fresh").await;
        let told = fresh
            .message
            .contains("InvalidSecurityToken.MismatchWithAccessKey");
        told.then_some(()).ok_or(fresh)
    })
    .await;
    assert_eq!(scene.secret_as_it_is("db").await, secret);
    keep(next.each_ref().map(String::as_str)).await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    let healed = scene.secret("db").await.unwrap();
    assert_eq!(healed.data, secret.data);
}
