//! What goes wrong between the operator and the API server is gone on from, without a restart and without
//! a wrong write.

use devcluster::{Cluster, Options};
use serde_json::json;

use super::proxy::Proxy;
use super::scene::Scene;
use super::snapshot::NEVER;
use super::world::World;

/// A cluster, a proxy in front of its API server, and an operator that has only the proxy.
async fn behind_a_proxy() -> (World, Proxy) {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let api = Proxy::start(cluster.server(), Some(cluster.ca_pem()));
    let world = World::own_through(cluster, &api.url, &[], &[]).await;
    (world, api)
}

/// Changes of everything that is watched, each of which does something: an object that is new, one that
/// goes, a Secret that drifts, a Secret that goes, a namespace's label, a store, a key in a Secret.
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
        for name in ["new", "drifting", "deleted", "labelled"] {
            scene.wait_value(name, "value", "canary-value").await;
            scene.wait_settled(name).await;
        }
        scene.wait_gone("going").await;
        // A store that is gone, last, for with it goes what else would be looked at.
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
