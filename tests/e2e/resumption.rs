//! What goes wrong between the operator and the API server is gone on from, without a restart and without
//! a wrong write.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use devcluster::{Cluster, Options};
use futures::future::join_all;
use serde_json::json;

use super::proxy::Proxy;
use super::scene::Scene;
use super::snapshot::{NEVER, texts};
use super::wait::until;
use super::world::World;

/// How long the way to the API server may be mended before everything has caught up.
const CATCH_UP: Duration = Duration::from_secs(45);

/// A cluster, a proxy in front of its API server, and an operator that has only the proxy.
async fn behind_a_proxy() -> (World, Proxy) {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let api = Proxy::start(cluster.server(), Some(cluster.ca_pem()));
    let world = World::own_through(cluster, &api.url, &[], &[]).await;
    (world, api)
}

/// Changes of everything that is watched, each of which has a consequence: an object that is new, one
/// that goes, a Secret that drifts, one that goes, a namespace's label and, at the end, a store.
struct Changes<'s, 'w> {
    scene: &'s Scene<'w>,
    store: serde_json::Value,
}

impl<'s, 'w> Changes<'s, 'w> {
    /// Objects that have settled before anything changes.
    async fn prepare(scene: &'s Scene<'w>) -> Self {
        let conditions = json!([{ "namespaceSelector": { "matchLabels": { "team": "a" } } }]);
        let mut auth = scene.rrsa("reader");
        auth["rrsa"]["serviceAccountRef"]["fromConsumer"] = true.into();
        let store = scene.cluster_store("labelled", auth, conditions);
        scene.apply(&store).await.unwrap();
        let place = ("ClusterCloudSecretStore", &*scene.cluster_name("labelled"));
        let key = scene.key("db");
        scene.put("db", "canary-value");
        let named = |name: &str| scene.object(name, NEVER, &[("value", "db")]);
        let objects = [
            named("going"),
            named("drifting"),
            named("deleted"),
            named("calm"),
            scene.reading("labelled", place, &[("value", &key)]),
        ];
        scene.apply_all(&objects).await;
        for name in ["going", "drifting", "deleted", "calm"] {
            scene.wait_settled(name).await;
        }
        scene
            .wait_condition("labelled", "Ready", "False", "StoreDenied")
            .await;
        Self { scene, store }
    }

    /// Changes everything.
    async fn make(&self) {
        let scene = self.scene;
        let new = scene.object("new", NEVER, &[("value", "db")]);
        scene.apply(&new).await.unwrap();
        scene.delete("going").await;
        let spoil = json!({ "stringData": { "value": "spoilt" } });
        scene.edit_secret("drifting", &spoil).await;
        scene.delete_secret("deleted").await;
        scene.label("team", "a".into()).await;
    }

    /// Waits until all of it was acted on, and nothing else.
    async fn wait(&self) {
        let scene = self.scene;
        // Watches that fail are tried again more and more slowly.
        until("the new object's Secret", CATCH_UP, async || {
            let value = scene.value("new", "value").await;
            value.ok_or("none")
        })
        .await;
        for name in ["new", "drifting", "deleted", "labelled"] {
            scene.wait_value(name, "value", "canary-value").await;
            scene.wait_settled(name).await;
        }
        scene.wait_gone("going").await;
        // The store last, for with it rests what else would be looked at.
        let mut store = self.store.clone();
        store["spec"]["suspend"] = true.into();
        scene.apply(&store).await.unwrap();
        scene
            .wait_condition("labelled", "Fresh", "False", "Suspended")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_was_cut_is_resumed_where_it_ended() {
    let (world, api) = behind_a_proxy().await;
    let scene = Scene::new(&world, "cut").await;
    let changes = Changes::prepare(&scene).await;
    let calm = scene.secret_as_it_is("calm").await;
    let listed = lists(&api);
    api.cut_streams();
    changes.make().await;
    changes.wait().await;
    assert_eq!(scene.secret_as_it_is("calm").await, calm);
    assert_eq!(lists(&api), listed, "nothing is listed anew");
}

/// Lists that went through the proxy.
fn lists(api: &Proxy) -> usize {
    let seen = api.seen();
    let list = |path: &str| path.contains("limit=") && !path.contains("watch=");
    seen.iter().filter(|exchange| list(&exchange.path)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_place_is_gone_is_begun_anew_and_misses_nothing() {
    let (world, api) = behind_a_proxy().await;
    let scene = Scene::new(&world, "expired").await;
    let changes = Changes::prepare(&scene).await;
    let calm = scene.secret_as_it_is("calm").await;
    api.close(true);
    changes.make().await;
    // A new API server remembers nothing of what was before it.
    world.cluster.stop_apiserver().await.unwrap();
    world.cluster.start_apiserver().await.unwrap();
    api.close(false);
    changes.wait().await;
    assert_eq!(scene.secret_as_it_is("calm").await, calm);
    let log = world.log().await;
    assert!(log.contains("410 (Expired)"), "no place was lost: {log}");
}

/// Writes of Secrets and statuses that the operator says it made, by their fate.
fn fates(metrics: &str, fate: &str) -> u64 {
    let families = [
        "cloudsecrets_secret_writes_total",
        "cloudsecrets_status_writes_total",
    ];
    let of = |line: &&str| {
        let family = families.iter().any(|family| line.starts_with(family));
        family && line.contains(&format!("fate=\"{fate}\""))
    };
    let counts = metrics.lines().filter(of);
    let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    counts.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_keeps_every_secret_as_it_was_and_gets_the_newest_values_once_it_has_space() {
    let world = World::own().await;
    let scene = Scene::new(&world, "full").await;
    let names: Vec<String> = (0..10).map(|number| format!("x{number}")).collect();
    let mut objects = Vec::new();
    for name in &names {
        scene.put(name, "canary-1");
        scene.put(&format!("{name}-b"), "canary-b");
        let other = format!("{name}-b");
        objects.push(scene.object(name, "10s", &[("a", name), ("b", &other)]));
    }
    scene.apply_all(&objects).await;
    join_all(names.iter().map(|name| scene.wait_settled(name))).await;
    let secrets = async || join_all(names.iter().map(|name| scene.secret_as_it_is(name))).await;
    let before = secrets().await;

    world.cluster.fill_etcd().await.unwrap();
    let lead = async || world.operator.lock().await.as_ref().unwrap().leads().await;
    for name in &names {
        scene.put(name, "canary-2");
    }
    until("a write that fails", CATCH_UP, async || {
        match fates(&world.metrics().await, "failed") {
            0 => Err(0),
            _ => Ok(()),
        }
    })
    .await;
    // The Lease is in the same etcd: who cannot renew it stops reading, too.
    until("the end of the leadership", CATCH_UP, async || {
        if lead().await {
            Err("it leads")
        } else {
            Ok(())
        }
    })
    .await;
    for name in &names {
        scene.put(name, "canary-3");
    }
    let reads = || -> Vec<usize> { names.iter().map(|name| scene.calls(name)).collect() };
    let earlier = reads();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(reads(), earlier, "an interval without a leader");
    assert_eq!(secrets().await, before, "while etcd was full");
    let operator = world.operator.lock().await;
    let ready = operator.as_ref().unwrap().answer("/readyz").await;
    assert_eq!(ready.map(|(code, _)| code), Some(200));
    drop(operator);

    let writes = world.cluster.writes().await.unwrap();
    world.cluster.drain_etcd().await.unwrap();
    for name in &names {
        let limit = Duration::from_mins(2);
        until(
            &format!("the newest value of {name}"),
            limit,
            async || match scene.value(name, "a").await.as_deref() {
                Some("canary-3") => Ok(()),
                _ => Err(scene.conditions(name).await),
            },
        )
        .await;
        let now = texts(&scene.secret_as_it_is(name).await);
        let expected = [("a", "canary-3"), ("b", "canary-b")];
        assert_eq!(now, expected.map(|(key, value)| (key.into(), value.into())));
        scene.wait_settled(name).await;
    }
    // Each Secret was written once, with the newest value.
    let done = world.cluster.writes().await.unwrap().since(&writes);
    let taken = done
        .iter()
        .filter(|(write, _)| write.resource == "secrets" && write.code == "200");
    let taken: u64 = taken.map(|(_, count)| count).sum();
    assert_eq!(taken, names.len() as u64, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_at_one_secret_neither_undoes_what_the_other_did() {
    let world = World::own().await;
    let scene = Scene::new(&world, "rivals").await;
    let names: Vec<String> = (0..8).map(|number| format!("x{number}")).collect();
    let mut objects = Vec::new();
    for name in &names {
        scene.put(name, "canary-1");
        objects.push(scene.object(name, "10s", &[("value", name)]));
    }
    scene.apply_all(&objects).await;
    join_all(names.iter().map(|name| scene.wait_settled(name))).await;

    // Somebody writes an annotation of each Secret as fast as can be, and none is ever lost.
    let (stop, turns) = (AtomicBool::new(false), AtomicU32::new(0));
    let rival = async |name: &String| {
        let mut last = 0;
        while !stop.load(Ordering::SeqCst) {
            last = turns.fetch_add(1, Ordering::SeqCst);
            let note = json!({ "metadata": { "annotations": { "rival": last.to_string() } } });
            scene.edit_secret(name, &note).await;
            let secret = scene.secret_as_it_is(name).await;
            let annotations = secret.metadata.annotations.unwrap();
            assert_eq!(annotations["rival"], last.to_string());
        }
        last
    };
    let values = async {
        for value in ["canary-2", "canary-3"] {
            for name in &names {
                scene.put(name, value);
            }
            for name in &names {
                scene.wait_value(name, "value", value).await;
            }
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (last, ()) = tokio::join!(join_all(names.iter().map(rival)), values);
    for (name, last) in names.iter().zip(last) {
        let secret = scene.secret_as_it_is(name).await;
        assert_eq!(texts(&secret), [("value".into(), "canary-3".into())]);
        let annotations = secret.metadata.annotations.unwrap();
        assert_eq!(annotations["rival"], last.to_string());
    }
    let writes = world.cluster.writes().await.unwrap();
    let conflicts = writes.iter().filter(|(write, _)| write.code == "409");
    assert!(conflicts.count() > 0, "nobody was in the way: {writes}");
}
