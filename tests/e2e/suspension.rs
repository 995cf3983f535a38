//! A suspended object or store asks no cloud and touches no Secret; afterwards it catches up.

use std::time::Duration;

use cloudsim::Filter;
use serde_json::json;

use super::scene::Scene;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_object_reads_and_writes_nothing_and_catches_up_afterwards() {
    let scene = Scene::new(World::shared().await, "rest").await;
    scene.put("db", "canary-old");
    let awake = scene.object("db", "10s", &[("password", "db")]);
    scene.apply(&awake).await.unwrap();
    scene.wait_settled("db").await;
    let mut asleep = awake.clone();
    asleep["spec"]["suspend"] = true.into();
    scene.apply(&asleep).await.unwrap();
    scene
        .wait_condition("db", "Fresh", "False", "Suspended")
        .await;
    assert_eq!(scene.condition("db", "Ready").await.status, "True");
    let spoil = json!({ "stringData": { "password": "spoilt" } });
    scene.edit_secret("db", &spoil).await;
    scene.put("db", "canary-new");
    scene.refresh("db", "asked").await;
    let (spoilt, calls) = (scene.secret_as_it_is("db").await, scene.calls("db"));
    scene.stays(&spoilt, Duration::from_secs(11)).await;
    assert_eq!(scene.calls("db"), calls);
    scene.apply(&awake).await.unwrap();
    scene.wait_value("db", "password", "canary-new").await;
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_store_makes_no_call_and_its_objects_say_so() {
    let scene = Scene::new(World::shared().await, "closed").await;
    scene.put("db", "canary-old");
    let object = scene.object("db", "10s", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let mut store = scene.store("oos", scene.rrsa("reader"));
    store["spec"]["suspend"] = true.into();
    scene.apply(&store).await.unwrap();
    let message = scene
        .wait_condition("db", "Fresh", "False", "Suspended")
        .await;
    assert!(message.contains("CloudSecretStore oos"), "{message}");
    scene.put("db", "canary-new");
    let role = format!("{}-reader", scene.namespace);
    let filter = Filter::default().principal(&role);
    let calls = || scene.world.cloud.ledger_of(&filter).total;
    let (secret, before) = (scene.secret_as_it_is("db").await, calls());
    scene.stays(&secret, Duration::from_secs(11)).await;
    assert_eq!(calls(), before);
    store["spec"]["suspend"] = false.into();
    scene.apply(&store).await.unwrap();
    scene.wait_value("db", "password", "canary-new").await;
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stores_shortest_interval_holds_for_its_objects() {
    let scene = Scene::new(World::shared().await, "floor").await;
    let mut store = scene.store("oos", scene.rrsa("reader"));
    store["spec"]["limits"] = json!({ "minRefreshInterval": "8000h" });
    scene.apply(&store).await.unwrap();
    scene.put("db", "canary-old");
    let object = scene.object("db", "10s", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let calls = scene.calls("db");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(scene.calls("db"), calls);
    let object = scene.objects().get("db").await.unwrap();
    assert_eq!(
        object.spec.refresh_interval.as_deref(),
        Some("10s"),
        "as written"
    );
}
