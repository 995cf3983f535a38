//! Refreshes that people ask for: of one object, of many at once, of everything that a store reads.

use std::time::{Duration, Instant};

use cloudsim::{Effect, Fault};
use external_cloud_secrets::api::{CloudSecretStore, ClusterCloudSecretStore};
use futures::future::join_all;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::{SOON, until};
use super::world::World;

/// Objects that one namespace may have refreshed at once, and how far apart the others come.
const BURST: usize = 50;
const PACE: Duration = Duration::from_millis(200);

impl Scene<'_> {
    /// Asks for a refresh of everything that a store reads; a cluster store where `kind` says so.
    async fn refresh_store(&self, kind: &str, name: &str, request: &str) {
        let patch =
            json!({ "metadata": { "annotations": { "cloudsecrets.dev/refresh": request } } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        if kind == "CloudSecretStore" {
            let api: Api<CloudSecretStore> = Api::namespaced(self.client.clone(), &self.namespace);
            api.patch(name, &params, &patch).await.unwrap();
        } else {
            let api: Api<ClusterCloudSecretStore> = Api::all(self.client.clone());
            api.patch(name, &params, &patch).await.unwrap();
        }
    }

    /// Waits until a store says that it was carried out.
    async fn wait_store_handled(&self, kind: &str, name: &str, request: &str) {
        until(
            &format!("{kind} {name}: {request}"),
            SOON,
            async || match self.store_status(kind, name).await.1.last_handled_refresh {
                Some(handled) if handled == request => Ok(()),
                other => Err(other),
            },
        )
        .await;
    }

    /// How often each parameter was read. What is due before long rides in others' batches, so that an
    /// exact number is nobody's promise.
    fn counts(&self, names: &[String]) -> Vec<usize> {
        names.iter().map(|name| self.calls(name)).collect()
    }

    /// Settled objects `x0…`, each of a parameter of its own.
    async fn settled_objects(&self, number: usize) -> Vec<String> {
        let names: Vec<String> = (0..number).map(|i| format!("x{i}")).collect();
        let mut objects = Vec::with_capacity(number);
        for name in &names {
            self.put(name, "canary-old");
            objects.push(self.object(name, NEVER, &[("value", name)]));
        }
        self.apply_all(&objects).await;
        join_all(names.iter().map(|name| self.wait_settled(name))).await;
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_comes_too_soon_waits_for_its_turn_and_is_not_lost() {
    let scene = Scene::new(World::shared().await, "soon").await;
    scene.put("db", "canary-1");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let calls = scene.calls("db");
    scene.put("db", "canary-2");
    let start = Instant::now();
    scene.refresh("db", "1").await;
    scene.wait_handled("db", "1").await;
    scene.wait_value("db", "password", "canary-2").await;
    scene.put("db", "canary-3");
    for request in ["2", "3", "4"] {
        scene.refresh("db", request).await;
    }
    scene.wait_value("db", "password", "canary-3").await;
    let took = start.elapsed();
    scene.wait_handled("db", "4").await;
    assert!(took >= Duration::from_secs(10), "{took:?}");
    assert_eq!(
        scene.calls("db") - calls,
        2,
        "what was asked in between is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_while_an_answer_is_waited_for_is_read_after_it() {
    let world = World::shared().await;
    let scene = Scene::new(world, "late").await;
    scene.put("db", "canary-1");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let late = Fault::new(Effect::Delay { millis: 4_000 }).name(&scene.key("db"));
    let late = scene.cloud.add_fault(late);
    let calls = scene.calls("db");
    scene.refresh("db", "1").await;
    until("the call", SOON, async || match scene.calls("db") {
        now if now > calls => Ok(()),
        now => Err(now),
    })
    .await;
    // Younger than the answer that is on its way.
    scene.put("db", "canary-2");
    scene.refresh("db", "2").await;
    scene.refresh_store("CloudSecretStore", "oos", "3").await;
    scene.wait_handled("db", "1").await;
    scene.cloud.clear_fault(late);
    scene.wait_handled("db", "2").await;
    scene.wait_value("db", "password", "canary-2").await;
    scene
        .wait_store_handled("CloudSecretStore", "oos", "3")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_always_refreshing_holds_up_no_cluster_stores_refresh() {
    let world = World::shared().await;
    let scene = Scene::new(world, "busy").await;
    let names = scene.settled_objects(BURST * 3).await;
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"] = json!({ "name": "reader", "namespace": scene.namespace });
    let conditions = json!([{ "namespaces": [scene.namespace] }]);
    let store = scene.cluster_store("busy", auth, conditions);
    scene.apply(&store).await.unwrap();
    let (kind, name) = ("ClusterCloudSecretStore", scene.cluster_name("busy"));
    let reader = scene.reading("db", (kind, &name), &[("value", &scene.key("x0"))]);
    scene.apply(&reader).await.unwrap();
    scene.wait_settled("db").await;
    join_all(names.iter().map(|name| scene.refresh(name, "1"))).await;
    let start = Instant::now();
    scene.refresh_store(kind, &name, "now").await;
    scene.wait_store_handled(kind, &name, "now").await;
    let (took, queue) = (start.elapsed(), PACE * 100);
    assert!(
        took < queue,
        "{took:?} behind {queue:?} of the namespace's own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_its_refreshes_at_a_pace_that_holds_up_no_other() {
    let world = World::shared().await;
    let (greedy, modest) = (
        Scene::new(world, "greedy").await,
        Scene::new(world, "modest").await,
    );
    let names = greedy.settled_objects(BURST + 20).await;
    modest.settled_objects(1).await;
    let start = Instant::now();
    join_all(names.iter().map(|name| greedy.refresh(name, "1"))).await;
    modest.refresh("x0", "1").await;
    modest.wait_handled("x0", "1").await;
    let others = start.elapsed();
    join_all(names.iter().map(|name| greedy.wait_handled(name, "1"))).await;
    let all = start.elapsed();
    assert!(others < Duration::from_secs(3), "{others:?}");
    assert!(all >= PACE * 18, "twenty came without a turn: {all:?}");
    let reads = greedy.counts(&names);
    assert!(reads.iter().all(|reads| *reads >= 2), "{reads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_refreshed_with_everything_that_reads_through_it() {
    let world = World::own().await;
    let scene = Scene::new(&world, "store").await;
    let names = scene.settled_objects(30).await;
    // What is suspended is not waited for.
    let mut asleep = scene.object("asleep", NEVER, &[("value", "x0")]);
    asleep["spec"]["suspend"] = true.into();
    scene.apply(&asleep).await.unwrap();
    scene
        .wait_condition("asleep", "Fresh", "False", "Suspended")
        .await;
    scene.put("x7", "canary-new");
    let before = world.cluster.writes().await.unwrap();
    scene.refresh_store("CloudSecretStore", "oos", "1").await;
    scene
        .wait_store_handled("CloudSecretStore", "oos", "1")
        .await;
    let reads = scene.counts(&names);
    assert!(reads.iter().all(|reads| *reads >= 2), "{reads:?}");
    let read = scene.value("x7", "value").await;
    assert_eq!(read.as_deref(), Some("canary-new"), "before it is said");

    // The value that changed costs a write and a status, the rest nothing; the store's request and
    // its status are two more.
    let done = world.cluster.writes().await.unwrap().since(&before);
    let done = done.without(&["events", "serviceaccounts/token"]);
    assert_eq!(done.of("secrets"), 1, "{done}");
    assert_eq!(done.of("externalcloudsecrets/status"), 1, "{done}");
    assert_eq!(done.of("cloudsecretstores/status"), 1, "{done}");

    // What was carried out is not carried out again by the next process.
    world.restart_operator().await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(scene.counts(&names), reads, "after a restart");
    scene.refresh_store("CloudSecretStore", "oos", "2").await;
    scene
        .wait_store_handled("CloudSecretStore", "oos", "2")
        .await;
    let again = scene.counts(&names);
    let mut pairs = again.iter().zip(&reads);
    assert!(pairs.all(|(now, before)| now > before), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stores_refresh_takes_the_turns_of_the_namespaces_it_reads_for() {
    let scene = Scene::new(World::shared().await, "turns").await;
    let names = scene.settled_objects(BURST + 15).await;
    let start = Instant::now();
    scene.refresh_store("CloudSecretStore", "oos", "1").await;
    scene
        .wait_store_handled("CloudSecretStore", "oos", "1")
        .await;
    let took = start.elapsed();
    assert!(took >= PACE * 13, "fifteen came without a turn: {took:?}");
    let reads = scene.counts(&names);
    assert!(reads.iter().all(|reads| *reads >= 2), "{reads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_store_is_refreshed_in_every_namespace_and_a_new_one_has_nothing_to_do() {
    let world = World::shared().await;
    let (one, two) = (
        Scene::new(world, "wide").await,
        Scene::new(world, "wide").await,
    );
    let mut auth = one.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"] = json!({ "name": "reader", "namespace": one.namespace });
    let conditions = json!([{ "namespaces": [one.namespace, two.namespace] }]);
    let mut store = one.cluster_store("wide", auth, conditions);
    // As it may stand in a repository for ever.
    store["metadata"]["annotations"] = json!({ "cloudsecrets.dev/refresh": "from the start" });
    one.apply(&store).await.unwrap();
    let (kind, name) = ("ClusterCloudSecretStore", one.cluster_name("wide"));
    one.wait_store_handled(kind, &name, "from the start").await;
    one.put("db", "canary-old");
    let key = one.key("db");
    for scene in [&one, &two] {
        let object = scene.reading("db", (kind, &name), &[("password", &key)]);
        scene.apply(&object).await.unwrap();
        scene.wait_settled("db").await;
    }
    one.put("db", "canary-new");
    one.refresh_store(kind, &name, "now").await;
    one.wait_store_handled(kind, &name, "now").await;
    for scene in [&one, &two] {
        let value = scene.value("db", "password").await;
        assert_eq!(value.as_deref(), Some("canary-new"));
    }
}
