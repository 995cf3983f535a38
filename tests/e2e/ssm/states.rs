//! Secrets that are there and cannot be read, and those that are not there.

use cloudsim::tencent::SecretState;

use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn disabled_pending_and_absent_are_told_apart_and_only_absent_is_not_found() {
    let scene = Scene::ssm(World::ssm().await, "states").await;
    scene.put_ssm("db", "canary-1");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let before = scene.secret_as_it_is("db").await;
    let (tencent, key) = (scene.cloud.tencent(), scene.key("db"));
    let mut told = Vec::new();
    for (state, reason, word) in [
        (
            Some(SecretState::Disabled),
            "AccessDenied",
            "the secret is disabled",
        ),
        (
            Some(SecretState::PendingDelete),
            "AccessDenied",
            "about to be deleted",
        ),
        (None, "RemoteNotFound", "ResourceNotFound.SecretNotExist"),
    ] {
        match state {
            Some(state) => tencent.set_secret_state(&key, state).unwrap(),
            None => tencent.delete_secret(&key).unwrap(),
        }
        scene.refresh("db", word).await;
        scene.wait_handled("db", word).await;
        let message = scene.wait_condition("db", "Fresh", "False", reason).await;
        assert!(
            message.starts_with("data[password] ") && message.contains(word),
            "{message}"
        );
        told.push(message);
        assert_eq!(
            scene.secret_as_it_is("db").await,
            before,
            "the Secret is kept"
        );
        scene
            .wait_condition("db", "Ready", "True", "SecretReady")
            .await;
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 3, "{told:?}");
    scene.put_ssm("db", "canary-2");
    scene.refresh("db", "healed").await;
    scene.wait_value("db", "password", "canary-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_there_is_no_missing_secret() {
    let scene = Scene::ssm(World::ssm().await, "unknown").await;
    scene.put_ssm("db", "canary-1");
    let mut object = scene.object("db", NEVER, &[("password", "db")]);
    object["spec"]["data"][0]["remoteRef"]["version"] = "v9".into();
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition("db", "Fresh", "False", "RemoteNotFound")
        .await;
    assert!(message.contains("there is no such version"), "{message}");
}
