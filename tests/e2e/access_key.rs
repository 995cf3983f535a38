//! Access keys in Secrets: wrong, revoked, rotated, missing.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

const STORE: &str = "CloudSecretStore";
/// More than the first wait of a parked identity.
const PROBED: Duration = Duration::from_secs(50);

/// The Secret holds the same data since the same time: another identity that reads the same value
/// changes only what the Secret says about itself.
async fn untouched(scene: &Scene<'_>, name: &str, before: &Secret) {
    let secret = scene.secret(name).await.unwrap();
    assert_eq!(secret.data, before.data);
    let changed = |secret: &Secret| secret.annotations()["cloudsecrets.dev/changed-at"].clone();
    assert_eq!(changed(&secret), changed(before), "equal data was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_access_keys_with_one_id_and_two_secrets_share_nothing() {
    let scene = Scene::new(World::shared().await, "twins").await;
    scene.put("db", "canary-twins");
    let id = scene.namespace.as_str();
    scene
        .world
        .cloud
        .put_key(None, id, "the-right-secret")
        .unwrap();
    for (name, secret) in [("right", "the-right-secret"), ("wrong", "the-wrong-secret")] {
        scene
            .put_secret(&format!("{name}-ak"), &[("id", id), ("secret", secret)])
            .await;
        scene
            .through(name, scene.access_key(&format!("{name}-ak")))
            .await;
    }
    scene.wait_value("right", "password", "canary-twins").await;
    let message = scene
        .wait_condition("wrong", "Ready", "False", "AuthenticationFailed")
        .await;
    assert!(message.contains("SignatureDoesNotMatch"), "{message}");
    // The one does not ride on what the other has just read, nor does the other fall with the one.
    for name in ["right", "wrong"] {
        scene.refresh(name, "1").await;
    }
    scene
        .wait_condition("right", "Fresh", "True", "Refreshed")
        .await;
    scene
        .wait_condition("wrong", "Fresh", "False", "AuthenticationFailed")
        .await;
    assert!(scene.secret("wrong").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_access_key_leaves_the_secret_alone_and_a_rotated_one_heals_at_once() {
    let scene = Scene::new(World::shared().await, "revoked").await;
    let cloud = &scene.world.cloud;
    scene.put("db", "canary-revoked");
    let ids = ["1", "2"].map(|n| format!("{}-{n}", scene.namespace));
    for id in &ids {
        cloud.put_key(None, id, "a-long-secret").unwrap();
    }
    scene
        .put_secret("ak", &[("id", &ids[0]), ("secret", "a-long-secret")])
        .await;
    scene.through("db", scene.access_key("ak")).await;
    scene.through("other", scene.rrsa("reader")).await;
    let secret = scene.wait_value("db", "password", "canary-revoked").await;
    scene
        .wait_condition("other", "Fresh", "True", "Refreshed")
        .await;
    let other = scene.objects().get("other").await.unwrap();
    let fails = async |request: &str| {
        scene.refresh("db", request).await;
        let message = scene
            .wait_condition("db", "Fresh", "False", "AuthenticationFailed")
            .await;
        assert!(message.contains("InvalidAccessKeyId.NotFound"), "{message}");
        assert_eq!(
            scene.condition_if_any("db", "Ready").await.unwrap().status,
            "True"
        );
        untouched(&scene, "db", &secret).await;
    };
    cloud.revoke_key(&ids[0]).unwrap();
    fails("1").await;
    assert_eq!(scene.secret("db").await.unwrap(), secret);
    // The time of the last change is told in seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene
        .put_secret("ak", &[("id", &ids[1]), ("secret", "a-long-secret")])
        .await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;

    // A key that is given back heals at the next probe of its identity.
    cloud.revoke_key(&ids[1]).unwrap();
    fails("2").await;
    cloud.restore_key(&ids[1]).unwrap();
    until("healing", PROBED, async || {
        let fresh = scene.condition_if_any("db", "Fresh").await.unwrap();
        (fresh.status == "True").then_some(()).ok_or(fresh)
    })
    .await;
    untouched(&scene, "db", &secret).await;
    let now = scene.objects().get("other").await.unwrap();
    assert_eq!(
        now.metadata.resource_version,
        other.metadata.resource_version
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_secret_that_is_missing_or_incomplete_is_named_and_heals() {
    let scene = Scene::new(World::shared().await, "incomplete").await;
    scene.put("db", "canary-incomplete");
    let id = scene.namespace.as_str();
    scene
        .world
        .cloud
        .put_key(None, id, "a-long-secret")
        .unwrap();
    scene.through("db", scene.access_key("ak")).await;
    let (first, second) = ("accessKeyIdSecretRef", "accessKeySecretSecretRef");
    for (content, field, problem) in [
        (None, first, "ak does not exist"),
        (Some(("id", id)), second, "ak has no key secret"),
        (
            Some(("secret", " \n")),
            second,
            "ak has no text under the key secret",
        ),
    ] {
        if let Some((key, text)) = content {
            let mut all = vec![("id", id), (key, text)];
            all.dedup_by_key(|pair| pair.0);
            scene.put_secret("ak", &all).await;
        }
        until(problem, SOON, async || {
            let store = scene
                .wait_store(STORE, "db", "False", "StoreNotReady")
                .await;
            let object = scene
                .wait_condition("db", "Ready", "False", "StoreNotReady")
                .await;
            let named = |text: &String| text.contains(field) && text.contains(problem);
            let both = [store, object];
            both.iter().all(named).then_some(()).ok_or(both)
        })
        .await;
    }
    scene
        .put_secret("ak", &[("id", id), ("secret", "a-long-secret")])
        .await;
    scene.wait_store(STORE, "db", "True", "StoreReady").await;
    scene
        .wait_value("db", "password", "canary-incomplete")
        .await;
    // Gone again: what was made stays, and the store says so.
    scene.delete_secret("ak").await;
    scene
        .wait_store(STORE, "db", "False", "StoreNotReady")
        .await;
    scene
        .wait_condition("db", "Fresh", "False", "StoreNotReady")
        .await;
    assert_eq!(
        scene.condition_if_any("db", "Ready").await.unwrap().status,
        "True"
    );
}
