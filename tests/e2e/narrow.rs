//! An operator that serves some namespaces has rights in these only, and does there what any does.

use std::time::Duration;

use devcluster::OperatorAccount;
use serde_json::{Value, json};

use super::operator::{Operator, RBAC, Setup};
use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::{SOON, until};
use super::world::World;

/// An operator of its own for the namespaces of `scenes`, in the place of the world's, and its account.
async fn serve(
    world: &World,
    scenes: &[&Scene<'_>],
    cluster_stores: bool,
) -> (Operator, OperatorAccount) {
    let operator = world.operator.lock().await.take().unwrap();
    let setup = operator.successor();
    operator.stop();
    let home = world.cluster.namespace("narrow").await.unwrap();
    let watched: Vec<&str> = scenes.iter().map(|scene| &*scene.namespace).collect();
    let account = world
        .cluster
        .install_narrow_operator(RBAC, home.name(), &watched, cluster_stores)
        .await
        .unwrap();
    for namespace in &watched {
        account.grant_tokens(namespace, &["reader"]).await.unwrap();
    }
    let setup = Setup {
        kubeconfig: account.kubeconfig(world.dir.path()).unwrap(),
        namespace: home.name().to_owned(),
        args: vec![
            format!("--watch-namespaces={}", watched.join(",")),
            format!("--cluster-stores={cluster_stores}"),
            "--cluster-name=narrow".to_owned(),
        ],
        ..setup
    };
    (Operator::start(setup).await, account)
}

/// Whether nothing was ever said of an object.
async fn is_unseen(scene: &Scene<'_>, name: &str) -> bool {
    let object = scene.objects().get(name).await.unwrap();
    let status = object.status.unwrap_or_default();
    status.conditions.is_empty() && scene.secret(name).await.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_in_the_watched_namespaces_are_all_that_it_needs() {
    let world = World::own().await;
    let one = Scene::new(&world, "one").await;
    let two = Scene::new(&world, "two").await;
    let outside = Scene::new(&world, "outside").await;
    let (operator, account) = serve(&world, &[&one, &two], false).await;
    for scene in [&one, &two, &outside] {
        scene.put("db", "canary-old");
        let object = scene.object("db", NEVER, &[("password", "db")]);
        scene.apply(&object).await.unwrap();
    }
    for scene in [&one, &two] {
        scene.wait_settled("db").await;
        // Whatever wakes it elsewhere wakes it here.
        let spoil = json!({ "stringData": { "password": "spoilt" } });
        scene.edit_secret("db", &spoil).await;
        scene.wait_value("db", "password", "canary-old").await;
        scene.put("db", "canary-new");
        scene.refresh("db", "1").await;
        scene.wait_value("db", "password", "canary-new").await;
        let mut store = scene.store("oos", scene.rrsa("reader"));
        store["spec"]["suspend"] = true.into();
        scene.apply(&store).await.unwrap();
        scene
            .wait_condition("db", "Fresh", "False", "Suspended")
            .await;
    }
    assert!(is_unseen(&outside, "db").await);
    assert_eq!(outside.calls("db"), 0);
    let log = operator.log();
    assert!(!log.contains("Forbidden"), "{log}");
    assert!(!log.contains(&outside.namespace), "{log}");

    // It has no rights anywhere else.
    for kind in ["secrets", "serviceaccounts", "configmaps"] {
        let namespaced = format!("/api/v1/namespaces/{}/{kind}", outside.namespace);
        for place in [namespaced, format!("/api/v1/{kind}")] {
            let request = http::Request::get(place).body(Vec::new()).unwrap();
            let refused = account.client().unwrap().request::<Value>(request).await;
            assert!(
                matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403),
                "{kind}: {refused:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_stores_are_served_for_the_watched_namespaces_and_name_nothing_outside() {
    let world = World::own().await;
    let inside = Scene::new(&world, "inside").await;
    let outside = Scene::new(&world, "outside").await;
    let conditions = json!([{ "namespaceSelector": { "matchLabels": { "team": "a" } } }]);
    let mut own = inside.rrsa("reader");
    own["rrsa"]["serviceAccountRef"]["fromConsumer"] = true.into();
    let store = inside.cluster_store("own", own, conditions.clone());
    let mut beyond = outside.rrsa("reader");
    beyond["rrsa"]["serviceAccountRef"]["namespace"] = outside.namespace.as_str().into();
    let beyond = inside.cluster_store("beyond", beyond, conditions);
    let (operator, _) = serve(&world, &[&inside], true).await;
    inside.apply_all(&[store, beyond]).await;
    let kind = "ClusterCloudSecretStore";
    let name = inside.cluster_name("beyond");
    let message = inside.wait_store(kind, &name, "False", "InvalidSpec").await;
    assert!(message.contains("--watch-namespaces"), "{message}");
    let name = inside.cluster_name("own");
    inside.wait_store(kind, &name, "True", "StoreReady").await;

    for scene in [&inside, &outside] {
        scene.put("db", "canary-value");
        let object = scene.reading("db", (kind, &name), &[("password", &scene.key("db"))]);
        scene.apply(&object).await.unwrap();
    }
    inside
        .wait_condition("db", "Fresh", "False", "StoreDenied")
        .await;
    for scene in [&inside, &outside] {
        scene.label("team", "a".into()).await;
    }
    inside.wait_value("db", "password", "canary-value").await;
    assert!(is_unseen(&outside, "db").await);
    let log = operator.log();
    // Events about cluster stores have no namespace in which it may write them.
    let refused = log.lines().find(|line| line.contains("watch failed"));
    assert_eq!(refused, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_role_in_one_of_them_it_is_not_ready_and_says_why() {
    let world = World::own().await;
    let one = Scene::new(&world, "one").await;
    let (operator, _) = serve(&world, &[&one], false).await;
    let mut setup = operator.successor();
    operator.stop();
    let bare = world.cluster.namespace("bare").await.unwrap();
    setup.args[0] = format!("--watch-namespaces={},{}", one.namespace, bare.name());
    let operator = Operator::listening(setup).await;
    until("the refusal in the log", SOON, async || {
        let log = operator.log();
        let told = log.contains("watch failed") && log.contains("403 (Forbidden)");
        if told { Ok(()) } else { Err(log) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (code, _) = operator.answer("/readyz").await.unwrap();
    assert_eq!(code, 503);
}
