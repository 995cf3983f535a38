//! Roles that a store's source enters, and the sources of the operator's own machine, end to end.

use std::time::Duration;

use cloudsim::{CredentialsState, Filter, Metadata};
use serde_json::{Value, json};

use super::cloud::Service;
use super::roles::entered;
use super::scene::Scene;
use super::wait::until;
use super::world::{ACCOUNT, World};

const STORE: &str = "CloudSecretStore";
/// More than the first wait of a parked identity.
const PROBED: Duration = Duration::from_secs(50);

/// An object `name` that reads the parameter `db` through a store `name` of its own.
async fn through(scene: &Scene<'_>, name: &str, auth: Value) {
    scene.apply(&scene.store(name, auth)).await.unwrap();
    let object = scene.reading(name, (STORE, name), &[("password", &scene.key("db"))]);
    scene.apply(&object).await.unwrap();
}

fn calls(scene: &Scene<'_>, action: &str, principal: &str) -> u64 {
    let principal = format!("{}-{principal}", scene.namespace);
    let filter = Filter {
        action: Some(action.to_owned()),
        ..Filter::service("sts").principal(&principal)
    };
    scene.world.cloud.ledger_of(&filter).total
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_chains_share_one_exchange_and_a_wrong_external_id_gets_nothing() {
    let scene = entered(World::shared().await, "chain").await;
    for name in ["one", "two"] {
        through(
            &scene,
            name,
            scene.entering(scene.rrsa("entrant"), "target", "ext-1"),
        )
        .await;
        scene.wait_value(name, "password", "canary-chain").await;
    }
    let entered = calls(&scene, "AssumeRole", "entrant");
    assert_eq!(entered, 1, "one exchange for both");
    through(
        &scene,
        "wrong",
        scene.entering(scene.rrsa("entrant"), "target", "ext-2"),
    )
    .await;
    let message = scene
        .wait_condition("wrong", "Ready", "False", "AccessDenied")
        .await;
    assert!(
        message.contains("NoPermission") && message.contains("externalId"),
        "{message}"
    );
    assert!(scene.secret("wrong").await.is_none());
    // Without the role the source may not read, and the store does not lend what it read.
    through(&scene, "bare", scene.rrsa("entrant")).await;
    scene
        .wait_condition("bare", "Ready", "False", "AccessDenied")
        .await;
    assert!(scene.secret("bare").await.is_none());
    // What is mended in the cloud heals alone.
    scene.trust("target", &scene.role_arn("entrant"), "ext-2");
    until("healing", PROBED * 3, async || {
        let value = scene.value("wrong", "password").await;
        (value.as_deref() == Some("canary-chain"))
            .then_some(())
            .ok_or(value)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_key_enters_a_role_until_it_is_revoked() {
    let scene = entered(World::shared().await, "keychain").await;
    let cloud = &scene.world.cloud;
    let id = scene.namespace.clone();
    cloud
        .put_key(Some("entrant"), &id, "canary-keychain-secret")
        .unwrap();
    scene.trust(
        "target",
        &format!("acs:ram::{ACCOUNT}:user/entrant"),
        "ext-1",
    );
    scene
        .put_secret("ak", &[("id", &id), ("secret", "canary-keychain-secret")])
        .await;
    through(
        &scene,
        "db",
        scene.entering(scene.access_key("ak"), "target", "ext-1"),
    )
    .await;
    let secret = scene.wait_value("db", "password", "canary-keychain").await;

    cloud.revoke_key(&id).unwrap();
    cloud.revoke_sessions(&format!("{id}-target")).unwrap();
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AuthenticationFailed")
        .await;
    assert!(message.contains("InvalidAccessKeyId.NotFound"), "{message}");
    assert_eq!(scene.secret("db").await.unwrap(), secret);
    cloud.restore_key(&id).unwrap();
    until("healing", PROBED, async || {
        let fresh = scene.condition_if_any("db", "Fresh").await.unwrap();
        (fresh.status == "True").then_some(()).ok_or(fresh)
    })
    .await;
    assert!(!scene.world.log().await.contains("canary-keychain-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_role_and_the_operators_key_are_what_stores_say_and_never_each_other() {
    let world = World::instance().await;
    let scene = Scene::new(world, "instance").await;
    scene.put("db", "canary-instance");
    let cloud = &world.cloud;
    let sts = |source: &str| json!({ source: {}, "stsEndpoint": cloud.url() });

    // The operator's key is unknown yet, and the instance's role would do.
    scene.tokenless_role("worker", "*");
    let metadata = Metadata {
        role: Some(format!("{}-worker", scene.namespace)),
        ..Metadata::default()
    };
    cloud.set_metadata(Some(metadata.clone()));
    through(&scene, "own", sts("operator")).await;
    let message = scene
        .wait_condition("own", "Ready", "False", "AuthenticationFailed")
        .await;
    assert!(message.contains("InvalidAccessKeyId.NotFound"), "{message}");
    assert_eq!(cloud.ledger_of(&Filter::service("metadata")).total, 0);

    through(&scene, "node", sts("instanceRole")).await;
    scene
        .wait_value("node", "password", "canary-instance")
        .await;
    assert!(scene.secret("own").await.is_none());
    // Both read KMS too.
    scene.put_kms(cloudsim::Secret::new("db", "canary-kms"));
    for (name, source) in [("own-kms", "operator"), ("node-kms", "instanceRole")] {
        let store = scene.store_of(Service::Kms, name, sts(source));
        scene.apply(&store).await.unwrap();
        let object = scene.reading(name, (STORE, name), &[("password", &scene.key("db"))]);
        scene.apply(&object).await.unwrap();
    }
    let made = scene.wait_value("node-kms", "password", "canary-kms").await;
    assert!(scene.secret("own-kms").await.is_none());

    // A role that is gone fails what asks anew, and what is there stays; so does a metadata service
    // that is gone.
    let failed = Metadata {
        state: CredentialsState::Failed,
        ..metadata.clone()
    };
    for (state, code) in [
        (Some(failed), "InstanceRole.Refused"),
        (None, "InstanceRole.Token"),
    ] {
        cloud.set_metadata(state);
        scene.revoke("worker");
        for name in ["node", "node-kms"] {
            scene.refresh(name, code).await;
            scene.wait_handled(name, code).await;
            let message = scene
                .wait_condition(name, "Fresh", "False", "AuthenticationFailed")
                .await;
            assert!(message.contains(code), "{message}");
        }
        scene
            .wait_value("node", "password", "canary-instance")
            .await;
        assert_eq!(scene.secret("node-kms").await.unwrap(), made);
    }

    cloud.set_metadata(Some(metadata));
    cloud
        .put_key(None, "LTAIoperator", "canary-operator-secret")
        .unwrap();
    for name in ["own", "node", "own-kms", "node-kms"] {
        until("healing", PROBED, async || {
            let fresh = scene.condition_if_any(name, "Fresh").await.unwrap();
            (fresh.status == "True").then_some(()).ok_or(fresh)
        })
        .await;
    }
    scene.wait_value("own-kms", "password", "canary-kms").await;
    scene.wait_value("own", "password", "canary-instance").await;
    assert!(!world.log().await.contains("canary-operator-secret"));
}
