//! What an interruption leaves undone is done afterwards, once; and an interruption alone causes
//! neither reads nor writes.

use std::time::Duration;

use cloudsim::{Fault, Filter};
use external_cloud_secrets::api::names::DIGEST_KEY_SECRET;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use super::operator::{Operator, Setup};
use super::scene::Scene;
use super::snapshot::{NEVER, annotation, texts};
use super::wait::until;
use super::world::World;

/// How long the API server may be back before everything has caught up.
const CATCH_UP: Duration = Duration::from_secs(45);
/// Objects of a scene.
const OBJECTS: usize = 20;

/// The names of a scene's objects.
fn names() -> Vec<String> {
    (0..OBJECTS).map(|number| format!("x{number}")).collect()
}

/// A scene with settled objects of one entry each.
async fn settled<'w>(world: &'w World, prefix: &str, interval: &str) -> Scene<'w> {
    let scene = Scene::new(world, prefix).await;
    let mut objects = Vec::new();
    for name in names() {
        scene.put(&name, &format!("canary-{name}"));
        objects.push(scene.object(&name, interval, &[("value", &name)]));
    }
    scene.apply_all(&objects).await;
    let names = names();
    join_all(names.iter().map(|name| scene.wait_settled(name))).await;
    scene
}

/// Every Secret of the scene, byte for byte.
async fn secrets(scene: &Scene<'_>) -> Vec<Secret> {
    let names = names();
    join_all(names.iter().map(|name| scene.secret_as_it_is(name))).await
}

/// All calls that the scene's role made, credentials included.
fn calls(scene: &Scene<'_>) -> u64 {
    let role = format!("{}-reader", scene.namespace);
    let filter = Filter::default().principal(&role);
    scene.world.cloud.ledger_of(&filter).total
}

/// Stops the operator and gives what is needed to start it again.
pub async fn stop(world: &World) -> Setup {
    let operator = world.operator.lock().await.take().unwrap();
    let setup = operator.successor();
    let (code, took) = operator.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "stopping took {took:?}");
    setup
}

/// Starts an operator in the place of one that was stopped.
pub async fn start(world: &World, setup: Setup) {
    *world.operator.lock().await = Some(Operator::start(setup).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_api_server_missed_is_applied_when_it_is_back() {
    let world = World::own().await;
    let scene = Scene::new(&world, "missed").await;
    let keys = ["a", "b", "c", "d"];
    for key in keys {
        scene.put(key, &format!("canary-{key}"));
    }
    let object = scene.object("db", "10s", &keys.map(|key| (key, key)));
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let before = scene.secret_as_it_is("db").await;

    world.cluster.stop_apiserver().await.unwrap();
    until("the end of its leading", CATCH_UP, async || {
        let metrics = world.metrics().await;
        let leads = metrics.contains("\ncloudsecrets_leader 1");
        if leads { Err("it leads") } else { Ok(()) }
    })
    .await;
    // Who cannot write does not read either: it cannot know that nobody else does.
    let read = scene.calls("c");
    scene.put("c", "canary-changed");
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(scene.calls("c"), read);
    world.cluster.start_apiserver().await.unwrap();
    let back = std::time::Instant::now();
    until("the change", CATCH_UP, async || {
        match scene.value("db", "c").await.as_deref() {
            Some("canary-changed") => Ok(()),
            _ => Err(scene.conditions("db").await),
        }
    })
    .await;
    println!("applied {:?} after the API server's return", back.elapsed());
    let after = scene.secret_as_it_is("db").await;
    assert_ne!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    let expected = [
        ("a", "canary-a"),
        ("b", "canary-b"),
        ("c", "canary-changed"),
        ("d", "canary-d"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(texts(&after), expected);
    scene.wait_settled("db").await;
    scene.stays(&after, Duration::from_secs(12)).await;
    // A new API server counts from nothing.
    let writes = world.cluster.writes().await.unwrap();
    assert_eq!(writes.of("secrets"), 1, "{writes}");
    assert_eq!(writes.of("externalcloudsecrets/status"), 1, "{writes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reads_nothing_and_writes_nothing_and_a_lost_key_changes_no_data() {
    let world = World::own().await;
    // Due long after the test, and due while it runs.
    let calm = settled(&world, "calm", NEVER).await;
    let brisk = settled(&world, "brisk", "10s").await;
    let (calm_before, brisk_before) = (secrets(&calm).await, secrets(&brisk).await);
    tokio::time::sleep(Duration::from_secs(5)).await;

    // A restart.
    let setup = stop(&world).await;
    let (calls_before, writes) = (calls(&calm), world.cluster.writes().await.unwrap());
    start(&world, setup).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(calls(&calm), calls_before, "reads before their slot");
    let done = world.cluster.writes().await.unwrap().since(&writes);
    println!("a restart: {done}");
    assert_eq!(
        done.without(&["serviceaccounts/token"]).total(),
        0,
        "{done}"
    );

    // A hand that changed data meanwhile.
    let setup = stop(&world).await;
    let spoil = json!({ "stringData": { "value": "spoilt" } });
    calm.edit_secret("x3", &spoil).await;
    start(&world, setup).await;
    calm.wait_value("x3", "value", "canary-x3").await;
    assert_eq!(calls(&calm) - calls_before, 2, "one exchange, one read");
    calm.wait_settled("x3").await;

    // What was not fresh is read again by the next process, whenever its slot is.
    let fault = Fault::error(503, "ServiceUnavailable").name(&calm.key("x5"));
    let fault = world.cloud.add_fault(fault);
    calm.put("x5", "canary-x5-new");
    calm.refresh("x5", "1").await;
    calm.wait_condition("x5", "Fresh", "False", "ProviderUnavailable")
        .await;
    let setup = stop(&world).await;
    world.cloud.clear_fault(fault);
    start(&world, setup).await;
    calm.wait_value("x5", "value", "canary-x5-new").await;
    calm.wait_settled("x5").await;

    // A lost key. What is not due yet keeps what it says about itself.
    let (calm_now, calls_before) = (secrets(&calm).await, calls(&calm));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let setup = stop(&world).await;
    let own: Api<Secret> = Api::namespaced(calm.client.clone(), &setup.namespace);
    let params = DeleteParams::default();
    own.delete(DIGEST_KEY_SECRET, &params).await.unwrap();
    let writes = world.cluster.writes().await.unwrap();
    start(&world, setup).await;
    let inputs = |secrets: &[Secret]| -> Vec<String> {
        secrets
            .iter()
            .map(|secret| annotation(secret, "inputs"))
            .collect()
    };
    let old = inputs(&brisk_before);
    until("the new annotations", CATCH_UP, async || {
        let now = inputs(&secrets(&brisk).await);
        match now.iter().zip(&old).filter(|(now, old)| now == old).count() {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let done = world.cluster.writes().await.unwrap().since(&writes);
    println!("a lost key: {done}");
    // The new key is one more Secret.
    assert_eq!(done.of("secrets"), OBJECTS as u64 + 1, "{done}");
    assert_eq!(
        done.of("externalcloudsecrets/status"),
        OBJECTS as u64,
        "{done}"
    );
    assert_eq!(done.of("events"), 0, "{done}");
    for (now, before) in secrets(&brisk).await.iter().zip(&brisk_before) {
        assert_eq!(now.data, before.data);
        assert_eq!(
            annotation(now, "changed-at"),
            annotation(before, "changed-at")
        );
    }
    assert_eq!(secrets(&calm).await, calm_now);
    assert_eq!(calls(&calm), calls_before);
    let untouched = calm_before
        .iter()
        .zip(&calm_now)
        .filter(|(a, b)| a == b)
        .count();
    assert_eq!(untouched, OBJECTS - 2, "all but two that were changed");
}
