//! Two operators in one cluster: each serves the stores of its class, and the objects that read through
//! them, and says nothing of any other.

use external_cloud_secrets::api::names;
use serde_json::{Value, json};

use super::operator::{Operator, RBAC};
use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::{SOON, until};
use super::world::World;

/// The scene's store under another name and class.
fn store(scene: &Scene<'_>, name: &str, class: Option<&str>) -> Value {
    let mut store = scene.store(name, scene.rrsa("reader"));
    if let Some(class) = class {
        store["spec"]["controller"] = class.into();
    }
    store
}

/// An object that reads the same parameter through several stores.
fn object(scene: &Scene<'_>, name: &str, stores: &[&str]) -> Value {
    let keys: Vec<String> = (0..stores.len()).map(|i| format!("k{i}")).collect();
    let entries: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "db")).collect();
    let mut object = scene.object(name, NEVER, &entries);
    for (i, store) in stores.iter().enumerate() {
        let source = json!({ "storeRef": { "name": store } });
        object["spec"]["data"][i]["sourceRef"] = source;
    }
    object
}

/// Whether an operator has logged anything about `name` in the scene.
fn speaks_of(log: &str, scene: &Scene<'_>, name: &str) -> bool {
    let place = format!("{}/{name} ", scene.namespace);
    log.lines().any(|line| format!("{line} ").contains(&place))
}

/// How many objects an operator counts as its own, by its metrics.
fn counted(metrics: &str) -> usize {
    let ready = "cloudsecrets_objects{condition=\"Ready\",kind=\"ExternalCloudSecret\"";
    let counts = metrics.lines().filter(|line| line.contains(ready));
    counts
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok())
        .sum()
}

/// Another operator beside the world's, in the same namespace and as the same account, which may write
/// the Leases of both.
async fn second(world: &World, class: &str) -> Operator {
    let own = "resourceNames: [external-cloud-secrets]";
    assert_eq!(RBAC.matches(own).count(), 1);
    let both = format!(
        "resourceNames: [{}, {}]",
        names::lease(None),
        names::lease(Some(class))
    );
    let rules = RBAC.replace(own, &both);
    let home = world.account.namespace();
    world.cluster.install_operator(&rules, home).await.unwrap();
    let mut setup = world.operator.lock().await.as_ref().unwrap().successor();
    setup.args.push(format!("--controller-class={class}"));
    Operator::start(setup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operator_serves_its_class_and_is_silent_about_others() {
    let world = World::own().await;
    let scene = Scene::new(&world, "classes").await;
    let of_a = second(&world, "a").await;
    scene.put("db", "canary-value");
    let stores = [
        store(&scene, "of-a", Some("a")),
        store(&scene, "of-nobody", Some("nobody")),
    ];
    scene.apply_all(&stores).await;
    let objects = [
        object(&scene, "plain", &["oos"]),
        object(&scene, "missing", &["none"]),
        object(&scene, "classed", &["of-a"]),
        object(&scene, "mixed", &["of-a", "oos"]),
        object(&scene, "half", &["none", "of-a"]),
        object(&scene, "unserved", &["of-nobody"]),
    ];
    scene.apply_all(&objects).await;
    for name in ["plain", "classed"] {
        scene.wait_settled(name).await;
    }
    let kind = "CloudSecretStore";
    scene.wait_store(kind, "of-a", "True", "StoreReady").await;
    let message = scene
        .wait_condition("mixed", "Ready", "False", "InvalidSpec")
        .await;
    assert!(message.contains("spec.controller"), "{message}");
    for name in ["half", "missing"] {
        scene
            .wait_condition(name, "Ready", "False", "StoreNotFound")
            .await;
    }

    // Both have seen everything by now, and each has spoken of its own.
    let (own, others) = (world.log().await, of_a.log());
    for (name, log, other) in [
        ("plain", &own, &others),
        ("missing", &own, &others),
        ("classed", &others, &own),
        ("mixed", &others, &own),
        ("half", &others, &own),
    ] {
        assert!(speaks_of(log, &scene, name), "{name}: {log}");
        assert!(!speaks_of(other, &scene, name), "{name}: {other}");
    }
    assert!(scene.conditions("unserved").await.is_empty());
    assert!(scene.secret("unserved").await.is_none());
    let (_, status) = scene.store_status(kind, "of-nobody").await;
    assert!(status.conditions.is_empty(), "{status:?}");
    assert_eq!(counted(&world.metrics().await), 2);
    assert_eq!(counted(&of_a.page("/metrics").await), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_over_to_another_operator_takes_its_objects_along() {
    let world = World::own().await;
    let scene = Scene::new(&world, "over").await;
    let of_a = second(&world, "a").await;
    scene.put("db", "canary-old");
    let classed = store(&scene, "moving", Some("a"));
    scene.apply(&classed).await.unwrap();
    let object = object(&scene, "db", &["moving"]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let secret = scene.secret_as_it_is("db").await;
    scene.apply(&store(&scene, "moving", None)).await.unwrap();
    until("the other operator's count", SOON, async || {
        let now = (
            counted(&world.metrics().await),
            counted(&of_a.page("/metrics").await),
        );
        if now == (1, 0) { Ok(()) } else { Err(now) }
    })
    .await;
    scene.put("db", "canary-new");
    let calls = scene.calls("db");
    scene.refresh("db", "1").await;
    scene.wait_handled("db", "1").await;
    scene.wait_value("db", "k0", "canary-new").await;
    assert!(speaks_of(&world.log().await, &scene, "db"));
    assert_eq!(scene.calls("db"), calls + 1, "one of them reads");
    // The digest key is one: nothing had to be written anew.
    assert_eq!(
        secret.metadata.uid,
        scene.secret_as_it_is("db").await.metadata.uid
    );
    let writes = world.cluster.writes().await.unwrap();
    let made = writes.of("secrets");
    assert_eq!(
        made, 3,
        "the digest key, the Secret, the new value: {writes}"
    );
}
