//! Secrets of another account, by their ARN.

use cloudsim::Secret;
use serde_json::json;

use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::world::{OTHER_ACCOUNT, World};

const CLUSTER: &str = "ClusterCloudSecretStore";

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_secret_takes_its_policy_and_a_pattern_that_means_arns() {
    let scene = Scene::kms(World::kms().await, "arn").await;
    let arn = format!(
        "acs:kms:cn-hangzhou:{OTHER_ACCOUNT}:secret/{}",
        scene.key("db")
    );
    scene.role("reader", &["reader"], &[&arn]);
    let theirs = |value: &str| Secret::new(&scene.key("db"), value);
    let put = |secret| scene.cloud.put_secret_in(OTHER_ACCOUNT, secret).unwrap();
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["namespace"] = scene.namespace.as_str().into();
    let name = scene.cluster_name("kms");
    let admit = async |keys: &[&str]| {
        let conditions = json!([{ "namespaces": [scene.namespace], "keys": keys }]);
        let store = scene.cluster_store("kms", auth.clone(), conditions);
        scene.apply(&store).await.unwrap();
        scene.wait_store(CLUSTER, &name, "True", "StoreReady").await;
    };

    // Whoever admits everything of the own account admits no other account.
    put(theirs("canary-1").shared_with(&scene.role_arn("reader")));
    admit(&["**"]).await;
    let mut object = scene.reading("db", (CLUSTER, &name), &[("password", &arn)]);
    object["spec"]["refreshInterval"] = NEVER.into();
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition("db", "Ready", "False", "StoreDenied")
        .await;
    assert!(message.contains("data[password]"), "{message}");
    let asked = |key: &str| scene.cloud.ledger().asking(key).count();
    assert_eq!(asked(&arn), 0, "it was asked for");
    let pattern = format!("acs:kms:cn-hangzhou:{OTHER_ACCOUNT}:secret//{{namespace}}/**");
    admit(&[&pattern]).await;
    scene.wait_value("db", "password", "canary-1").await;
    scene.wait_settled("db").await;
    let secret = scene.secret_as_it_is("db").await;

    // Its owner takes the permission back.
    put(theirs("canary-2"));
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert!(message.contains("Forbidden.NoPermission"), "{message}");
    assert_eq!(scene.secret_as_it_is("db").await, secret);
    put(theirs("canary-2").shared_with(&scene.role_arn("reader")));
    scene.refresh("db", "2").await;
    scene.wait_value("db", "password", "canary-2").await;
    scene.wait_settled("db").await;
}
