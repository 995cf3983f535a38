//! Tenants that share an operator: who may use which store, and as whom.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

const CLUSTER: &str = "ClusterCloudSecretStore";
const NAMESPACED: &str = "CloudSecretStore";

/// A cluster store `name` of `scene` that reads as its ServiceAccount `reader`.
async fn cluster_store(scene: &Scene<'_>, name: &str, conditions: Value) -> String {
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["namespace"] = scene.namespace.as_str().into();
    let store = scene.cluster_store(name, auth, conditions);
    scene.apply(&store).await.unwrap();
    scene.cluster_name(name)
}

/// What must not move while others are woken: the object, and the calls for its parameter.
async fn still(scene: &Scene<'_>, object: &str, parameter: &str) -> (Option<String>, usize) {
    let found = scene.objects().get(object).await.unwrap();
    (found.metadata.resource_version, scene.calls(parameter))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespaced_store_reaches_nothing_outside_its_namespace() {
    let world = World::tenants().await;
    let victim = Scene::new(world, "victim").await;
    victim
        .put_secret("ak", &[("id", "x"), ("secret", "canary-ak")])
        .await;
    let thief = Scene::new(world, "thief").await;
    let place = json!(victim.namespace);
    let mut account = victim.rrsa("reader");
    account["rrsa"]["serviceAccountRef"]["namespace"] = place.clone();
    let mut consumer = victim.rrsa("reader");
    consumer["rrsa"]["serviceAccountRef"]["fromConsumer"] = true.into();
    let mut key = thief.access_key("ak");
    key["accessKey"]["accessKeySecretSecretRef"]["namespace"] = place;
    for auth in [account, consumer, key] {
        let refused = thief.apply(&thief.store("steal", auth)).await.unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("must have neither namespace nor fromConsumer"),
            "{text}"
        );
    }
    // The same names mean its own namespace's, where there is no such Secret.
    thief
        .apply(&thief.store("own", thief.access_key("ak")))
        .await
        .unwrap();
    let message = thief
        .wait_store(NAMESPACED, "own", "False", "StoreNotReady")
        .await;
    let own = format!("Secret {}/ak does not exist", thief.namespace);
    assert!(message.contains(&own), "{message}");
    // The role of another namespace does not trust its ServiceAccount, and its store is out of reach.
    victim.put("db", "canary-victim");
    let role = victim.rrsa("reader");
    thief.apply(&thief.store("role", role)).await.unwrap();
    let key = victim.key("db");
    for (name, store) in [("role", "role"), ("store", "absent")] {
        let object = thief.reading(name, (NAMESPACED, store), &[("stolen", &key)]);
        thief.apply(&object).await.unwrap();
    }
    let message = thief
        .wait_condition("role", "Ready", "False", "AccessDenied")
        .await;
    assert!(
        message.contains("AuthenticationFail.NoPermission"),
        "{message}"
    );
    thief
        .wait_condition("store", "Ready", "False", "StoreNotFound")
        .await;
    assert!(thief.secret("role").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_identity_is_refused_to_namespaced_stores() {
    let scene = Scene::new(World::tenants().await, "borrowed").await;
    let mut own_file = scene.rrsa("reader");
    let rrsa = own_file["rrsa"].as_object_mut().unwrap();
    rrsa.remove("serviceAccountRef");
    for (name, field, auth) in [
        ("file", "spec.auth.rrsa without serviceAccountRef", own_file),
        ("operator", "spec.auth.operator", json!({ "operator": {} })),
    ] {
        scene.apply(&scene.store(name, auth)).await.unwrap();
        let object = scene.reading(name, (NAMESPACED, name), &[("a", &scene.key("a"))]);
        scene.apply(&object).await.unwrap();
        let store = scene
            .wait_store(NAMESPACED, name, "False", "InvalidSpec")
            .await;
        let object = scene
            .wait_condition(name, "Ready", "False", "StoreNotReady")
            .await;
        for message in [store, object] {
            assert!(message.contains(field), "{message}");
            assert!(message.contains("--store-ambient-credentials"), "{message}");
        }
    }
    assert_eq!(scene.calls("a"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_stores_conditions_say_who_reads_which_keys() {
    let world = World::tenants().await;
    let owner = Scene::new(world, "owner").await;
    let named = Scene::new(world, "named").await;
    let stranger = Scene::new(world, "stranger").await;
    let rule = json!([{ "namespaces": [named.namespace], "keys": [
        format!("/{}/for/{{namespace}}/**", owner.namespace), "/shared/*" ] }]);
    let store = cluster_store(&owner, "rules", rule).await;
    let own = format!("/{}/for/{}/a/b", owner.namespace, named.namespace);
    let others = format!("/{}/for/{}/a", owner.namespace, stranger.namespace);
    for key in [&own, &others] {
        world.cloud.put_parameter(key, "canary-rule").unwrap();
    }
    let place = (CLUSTER, store.as_str());
    for (name, key) in [
        ("own", own.as_str()),
        ("others", others.as_str()),
        ("deep", "/shared/a/b"),
    ] {
        named
            .apply(&named.reading(name, place, &[("a", key)]))
            .await
            .unwrap();
    }
    stranger
        .apply(&stranger.reading("db", place, &[("a", &others)]))
        .await
        .unwrap();
    named.wait_value("own", "a", "canary-rule").await;
    for (name, key) in [("others", others.as_str()), ("deep", "/shared/a/b")] {
        let message = named
            .wait_condition(name, "Ready", "False", "StoreDenied")
            .await;
        let may = format!("/for/{}/**", named.namespace);
        for part in [key, "data[a]", &may] {
            assert!(message.contains(part), "{message}");
        }
        named
            .wait_condition(name, "Stalled", "True", "StoreDenied")
            .await;
    }
    let message = stranger
        .wait_condition("db", "Ready", "False", "StoreDenied")
        .await;
    assert!(message.contains(&stranger.namespace), "{message}");
    let calls = world.cloud.ledger();
    assert_eq!(calls.asking(&own).count(), 1, "the ledger does see names");
    for key in [others.as_str(), "/shared/a/b"] {
        assert_eq!(calls.asking(key).count(), 0, "{key} was asked for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespaces_label_admits_and_shuts_out_and_wakes_nobody_else() {
    let world = World::tenants().await;
    let (team, other) = (
        Scene::new(world, "team").await,
        Scene::new(world, "bystander").await,
    );
    for scene in [&team, &other] {
        scene.put("db", "canary-team");
    }
    let rule = json!([{ "namespaceSelector": { "matchLabels": { "team": team.namespace } } }]);
    let store = cluster_store(&team, "labelled", rule).await;
    let object = team.reading("db", (CLUSTER, &store), &[("a", &team.key("db"))]);
    team.apply(&object).await.unwrap();
    other
        .apply(&other.object("db", "1h", &[("a", "db")]))
        .await
        .unwrap();
    other
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    team.wait_condition("db", "Ready", "False", "StoreDenied")
        .await;
    let before = still(&other, "db", "db").await;

    team.label("team", json!(team.namespace)).await;
    let secret = team.wait_value("db", "a", "canary-team").await;
    team.wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    team.label("team", json!("z")).await;
    team.wait_condition("db", "Fresh", "False", "StoreDenied")
        .await;
    assert_eq!(
        team.condition_if_any("db", "Ready").await.unwrap().status,
        "True"
    );
    assert_eq!(team.secret("db").await.unwrap(), secret);
    // Shut out, it asks no more, not even when somebody wants it to.
    let calls = team.calls("db");
    team.refresh("db", "1").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(team.calls("db"), calls);
    assert_eq!(still(&other, "db", "db").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_consumer_gives_each_namespace_its_own_service_account() {
    let world = World::tenants().await;
    let (trusted, denied) = (
        Scene::new(world, "trusted").await,
        Scene::new(world, "denied").await,
    );
    trusted.put("db", "canary-consumer");
    let mut auth = trusted.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"] = json!({ "name": "reader", "fromConsumer": true });
    let store = trusted.cluster_store("each", auth, json!([{ "namespaceSelector": {} }]));
    trusted.apply(&store).await.unwrap();
    let name = trusted.cluster_name("each");
    trusted
        .wait_store(CLUSTER, &name, "True", "StoreReady")
        .await;
    let key = trusted.key("db");
    for scene in [&trusted, &denied] {
        scene
            .apply(&scene.reading("db", (CLUSTER, &name), &[("a", &key)]))
            .await
            .unwrap();
    }
    trusted.wait_value("db", "a", "canary-consumer").await;
    let message = denied
        .wait_condition("db", "Ready", "False", "AccessDenied")
        .await;
    assert!(
        message.contains("AuthenticationFail.NoPermission"),
        "{message}"
    );
    trusted.refresh("db", "1").await;
    denied.refresh("db", "1").await;
    trusted
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    denied
        .wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert!(denied.secret("db").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn from_consumer_gives_each_namespace_its_own_access_key() {
    let world = World::tenants().await;
    let (rich, poor) = (
        Scene::new(world, "rich").await,
        Scene::new(world, "poor").await,
    );
    rich.put("db", "canary-rich");
    world
        .cloud
        .put_key(None, &rich.namespace, "secret-of-the-rich")
        .unwrap();
    rich.put_secret(
        "ak",
        &[("id", &rich.namespace), ("secret", "secret-of-the-rich\n")],
    )
    .await;
    poor.put_secret(
        "ak",
        &[("id", &rich.namespace), ("secret", "a-guess-of-the-poor")],
    )
    .await;
    let mut auth = rich.access_key("ak");
    for part in ["accessKeyIdSecretRef", "accessKeySecretSecretRef"] {
        auth["accessKey"][part]["fromConsumer"] = true.into();
    }
    let store = rich.cluster_store("keys", auth, json!([{ "namespaceSelector": {} }]));
    rich.apply(&store).await.unwrap();
    let store = rich.cluster_name("keys");
    let key = rich.key("db");
    for scene in [&rich, &poor] {
        scene
            .apply(&scene.reading("db", (CLUSTER, &store), &[("a", &key)]))
            .await
            .unwrap();
    }
    rich.wait_value("db", "a", "canary-rich").await;
    let message = poor
        .wait_condition("db", "Ready", "False", "AuthenticationFailed")
        .await;
    assert!(message.contains("SignatureDoesNotMatch"), "{message}");
    rich.wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    assert!(poor.secret("db").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_store_wakes_its_dependents_and_nobody_else() {
    let scene = Scene::new(World::tenants().await, "changed").await;
    for name in ["db", "other"] {
        scene.put(name, "canary-store");
    }
    scene
        .apply(&scene.store("second", scene.rrsa("reader")))
        .await
        .unwrap();
    for (name, store) in [("db", "second"), ("other", "oos")] {
        let key = scene.key(name);
        let object = scene.reading(name, (NAMESPACED, store), &[("a", &key)]);
        scene.apply(&object).await.unwrap();
        scene
            .wait_condition(name, "Fresh", "True", "Refreshed")
            .await;
    }
    let before = still(&scene, "other", "other").await;
    let calls = scene.calls("db");
    scene.role("writer", &["reader"], &["/nothing"]);
    let mut auth = scene.rrsa("writer");
    auth["rrsa"]["serviceAccountRef"]["name"] = "reader".into();
    scene.apply(&scene.store("second", auth)).await.unwrap();
    let message = scene
        .wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert!(message.contains("Forbidden.RAM"), "{message}");
    assert!(scene.calls("db") > calls);
    assert_eq!(
        scene.condition_if_any("db", "Ready").await.unwrap().status,
        "True"
    );
    scene
        .apply(&scene.store("second", scene.rrsa("reader")))
        .await
        .unwrap();
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    let mut suspended = scene.store("second", scene.rrsa("reader"));
    suspended["spec"]["suspend"] = true.into();
    scene.apply(&suspended).await.unwrap();
    scene
        .wait_condition("db", "Fresh", "False", "Suspended")
        .await;
    assert_eq!(still(&scene, "other", "other").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_that_is_made_anew_is_another_identity() {
    let scene = Scene::new(World::tenants().await, "reborn").await;
    scene.service_account("second").await;
    scene.role("second", &["second"], &[&scene.key("*")]);
    scene
        .apply(&scene.store("second", scene.rrsa("second")))
        .await
        .unwrap();
    for (name, store) in [("db", "second"), ("other", "oos")] {
        scene.put(name, "canary-reborn");
        let object = scene.reading(name, (NAMESPACED, store), &[("a", &scene.key(name))]);
        scene.apply(&object).await.unwrap();
        scene
            .wait_condition(name, "Fresh", "True", "Refreshed")
            .await;
    }
    let before = still(&scene, "other", "other").await;
    let (calls, entered) = (scene.calls("db"), entries(&scene));
    scene.delete_service_account("second").await;
    for message in [
        scene
            .wait_store(NAMESPACED, "second", "False", "StoreNotReady")
            .await,
        scene
            .wait_condition("db", "Fresh", "False", "StoreNotReady")
            .await,
    ] {
        assert!(
            message.contains("spec.auth.rrsa.serviceAccountRef"),
            "{message}"
        );
    }
    scene.service_account("second").await;
    scene
        .wait_store(NAMESPACED, "second", "True", "StoreReady")
        .await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    until("a call of the new identity", SOON, async || {
        let entered = entries(&scene) > entered && scene.calls("db") > calls;
        entered.then_some(()).ok_or("none")
    })
    .await;
    assert_eq!(still(&scene, "other", "other").await, before);
}

/// How often the scene's role `second` was entered.
fn entries(scene: &Scene<'_>) -> u64 {
    let role = format!("{}-second", scene.namespace);
    let filter = cloudsim::Filter::action("AssumeRoleWithOIDC").principal(&role);
    scene.world.cloud.ledger_of(&filter).total
}
