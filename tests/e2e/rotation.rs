//! A changed value reaches its Secret: at the next slot, and at once when somebody asks.

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_becomes_a_secret_and_goes_with_its_object() {
    let scene = Scene::new(World::shared().await, "first").await;
    scene.put("db", "canary-first");
    scene
        .apply(&scene.object("db", "1h", &[("password", "db")]))
        .await
        .unwrap();
    let secret = scene.wait_value("db", "password", "canary-first").await;
    let labels = secret.metadata.labels.unwrap();
    assert_eq!(labels["cloudsecrets.dev/managed"], "true");
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    scene.delete("db").await;
    until("the Secret's end", SOON, async || {
        match scene.secret("db").await {
            None => Ok(()),
            Some(_) => Err("still there"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_arrives_at_once_when_somebody_asks_and_costs_one_call() {
    let scene = Scene::new(World::shared().await, "asked").await;
    scene.put("db", "canary-old");
    scene
        .apply(&scene.object("db", "1h", &[("password", "db")]))
        .await
        .unwrap();
    scene.wait_value("db", "password", "canary-old").await;
    scene.put("db", "canary-new");
    let before = scene.calls("db");
    scene.refresh("db", "1").await;
    scene.wait_value("db", "password", "canary-new").await;
    until("the request's mark", SOON, async || {
        let status = scene.objects().get("db").await.unwrap().status.unwrap();
        match status.last_handled_refresh.as_deref() {
            Some("1") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(scene.calls("db") - before, 1);
}
