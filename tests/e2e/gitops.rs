//! What GitOps tools see: each state of each kind, as Flux and Argo CD take it.

mod judge;

use cloudsim::Fault;
use devcluster::{Cluster, Options};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use self::judge::Judge;
use super::cloud::Service;
use super::kubectl::Kubectl;
use super::pages::Page;
use super::road::Road;
use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::SOON;
use super::world::World;

const OBJECT: &str = "ExternalCloudSecret";
const STORE: &str = "CloudSecretStore";
const CLUSTER_STORE: &str = "ClusterCloudSecretStore";

/// A state: the object that is in it, the row of docs/gitops.md about it, and what stands in Argo CD's message.
type State = (&'static str, &'static str, &'static str);

/// The states of objects while the operator runs.
const OBJECTS: [State; 8] = [
    ("ready", "has its Secret", "Secret ready is in place"),
    (
        "stale",
        "has its Secret, and whose last refresh failed",
        "not fresh, ProviderUnavailable: data[value]",
    ),
    (
        "suspended",
        "is suspended, or whose store is, with its Secret",
        "spec.suspend",
    ),
    (
        "resting",
        "is suspended, or whose store is, with its Secret",
        "CloudSecretStore rest",
    ),
    (
        "asleep",
        "is suspended and never had its Secret",
        "spec.suspend",
    ),
    (
        "waiting",
        "has no Secret because the cloud is away or throttles",
        "ProviderUnavailable: data[value]",
    ),
    (
        "refused",
        "has no Secret for another reason, which is tried again",
        "AccessDenied: data[value]",
    ),
    ("stalled", "cannot get one as it stands", "StoreNotFound: "),
];

/// The states of stores, of both kinds, while the operator runs.
const STORES: [State; 5] = [
    ("ready", "resolves", "the spec and the identity resolve"),
    (
        "dark",
        "resolves, and whose endpoint answers nobody",
        "not reachable: ",
    ),
    ("suspended", "is suspended", "spec.suspend"),
    ("waiting", "names what is not there yet", "StoreNotReady: "),
    ("stalled", "cannot work as it stands", "InvalidSpec: "),
];

/// The states of every kind while nobody looks: an object that is new, and one that was changed.
const UNSEEN: [State; 2] = [
    (
        "unseen",
        "nobody has looked at since it was made or changed",
        "has not seen",
    ),
    (
        "ready",
        "nobody has looked at since it was made or changed",
        "has not seen",
    ),
];

/// What the page says that Flux and Argo CD say of a kind's state.
fn promised(kind: &str, state: &str) -> (&'static str, &'static str) {
    let tables: Vec<&str> = include_str!("../../docs/gitops.md")
        .split("\n| a")
        .collect();
    let table = tables[if kind == OBJECT { 1 } else { 2 }];
    let row = table.split_once(&format!("\n| {state} | "));
    let (_, row) = row.unwrap_or_else(|| panic!("`{state}` is not on the page"));
    let cells: Vec<&str> = row.lines().next().unwrap().split(" | ").collect();
    // Behind a comma stands what is in the message.
    (
        cells[1],
        cells[2].trim_end_matches(" |").split(',').next().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_and_argo_cd_take_each_state_for_what_it_is() {
    let world = World::own().await;
    let scene = Scene::new(&world, "states").await;
    objects(&scene).await;
    for state in OBJECTS {
        check(&scene, OBJECT, state).await;
    }
    for kind in [STORE, CLUSTER_STORE] {
        stores(&scene, kind).await;
        for state in STORES {
            check(&scene, kind, state).await;
        }
        // One that is corrected is as good as any other.
        let name = name_of(&scene, kind, "stalled");
        scene.apply(&store(&scene, kind, "stalled")).await.unwrap();
        scene.wait_store(kind, &name, "True", "StoreReady").await;
        check(&scene, kind, ("stalled", STORES[0].1, STORES[0].2)).await;
    }

    // Nobody is there who would see what is new.
    drop(world.operator.lock().await.take());
    scene.apply(&waking(&scene, "unseen")).await.unwrap();
    let mut changed = waking(&scene, "ready");
    changed["spec"]["refreshInterval"] = "7000h".into();
    scene.apply(&changed).await.unwrap();
    for kind in [STORE, CLUSTER_STORE] {
        scene.apply(&store(&scene, kind, "unseen")).await.unwrap();
        let mut changed = store(&scene, kind, "ready");
        changed["spec"]["limits"] = json!({ "requestsPerSecond": 7 });
        scene.apply(&changed).await.unwrap();
    }
    for kind in [OBJECT, STORE, CLUSTER_STORE] {
        for state in UNSEEN {
            check(&scene, kind, state).await;
        }
        let name = name_of(&scene, kind, "stalled");
        delete_slowly(&scene, kind, &name).await;
        // The page says it of objects, and stores are no different.
        let seen = Judge::get()
            .await
            .ask(&raw(&scene, kind, &name).await)
            .await;
        let said = (&*seen.flux.status, &*seen.argo.status);
        assert_eq!(
            said,
            promised(OBJECT, "is being deleted"),
            "{kind}: {seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_checks_are_merged_into_what_argo_cd_has_already() {
    // Of our own: in a cluster that exists, Argo CD may be at work.
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let kubectl = Kubectl::of(&cluster).await;
    kubectl.print(&["create", "namespace", "argocd"]).await;
    let url = "--from-literal=url=https://argocd.example.com";
    let create = ["-n", "argocd", "create", "configmap", "argocd-cm", url];
    kubectl.print(&create).await;
    for script in Page::read("docs/gitops.md").commands("Argo CD") {
        kubectl.run_here(script).await;
    }
    let merged = kubectl
        .json(&["-n", "argocd", "get", "configmap", "argocd-cm"])
        .await;
    assert_eq!(merged["data"]["url"], "https://argocd.example.com");
    let judge = Judge::get().await;
    for kind in [OBJECT, STORE, CLUSTER_STORE] {
        let key = format!("resource.customizations.health.cloudsecrets.dev_{kind}");
        assert_eq!(merged["data"][&key], judge.check(kind));
    }
    assert_eq!(judge.check(STORE), judge.check(CLUSTER_STORE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_says_no_stalls_nothing() {
    let condition = |type_: &str, status: &str| {
        json!({ "type": type_, "status": status, "reason": "Said", "message": "by somebody",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1 })
    };
    let object = json!({
        "apiVersion": "cloudsecrets.dev/v1alpha1", "kind": OBJECT,
        "metadata": { "name": "db", "namespace": "shop", "generation": 1 },
        "status": { "observedGeneration": 1, "conditions": [
            condition("Ready", "True"), condition("Fresh", "True"), condition("Stalled", "False"),
        ] },
    });
    let seen = Judge::get().await.ask(&object).await;
    assert_eq!(seen.argo.status, "Healthy", "{seen:?}");
    assert_eq!(seen.flux.status, "Current", "{seen:?}");
}

/// Asks both tools about an object.
async fn check(scene: &Scene<'_>, kind: &str, (name, state, message): State) {
    let object = raw(scene, kind, &name_of(scene, kind, name)).await;
    let seen = Judge::get().await.ask(&object).await;
    let said = (&*seen.flux.status, &*seen.argo.status);
    let told = format!("{kind} that {state}: {seen:?}\n{}", object["status"]);
    assert_eq!(said, promised(kind, state), "{told}");
    assert!(seen.argo.message.contains(message), "{told}");
}

/// Brings one object into each state of [`OBJECTS`].
async fn objects(scene: &Scene<'_>) {
    let rest = scene.store("rest", scene.rrsa("reader"));
    scene.apply(&rest).await.unwrap();
    let mut resting = waking(scene, "resting");
    resting["spec"]["secretStoreRef"]["name"] = "rest".into();
    let calm = ["ready", "stale", "suspended"].map(|name| waking(scene, name));
    scene.apply_all(&calm).await;
    scene.apply(&resting).await.unwrap();
    for name in ["ready", "stale", "suspended", "resting"] {
        scene.wait_settled(name).await;
    }
    for name in ["stale", "waiting"] {
        let fault = Fault::error(503, "ServiceUnavailable").name(&scene.key(name));
        scene.cloud.add_fault(fault);
    }
    scene.refresh("stale", "1").await;
    let mut rest = rest;
    rest["spec"]["suspend"] = true.into();
    scene.apply(&rest).await.unwrap();
    for name in ["suspended", "asleep"] {
        let mut object = waking(scene, name);
        object["spec"]["suspend"] = true.into();
        scene.apply(&object).await.unwrap();
    }
    scene.apply(&waking(scene, "waiting")).await.unwrap();
    let mut refused = waking(scene, "refused");
    refused["spec"]["data"][0]["remoteRef"]["key"] = "/elsewhere/db".into();
    let mut stalled = waking(scene, "stalled");
    stalled["spec"]["secretStoreRef"]["name"] = "missing".into();
    scene.apply_all(&[refused, stalled]).await;
    for (name, type_, status, reason) in [
        ("stale", "Fresh", "False", "ProviderUnavailable"),
        ("suspended", "Fresh", "False", "Suspended"),
        ("resting", "Fresh", "False", "Suspended"),
        ("asleep", "Ready", "Unknown", "Pending"),
        ("waiting", "Ready", "False", "ProviderUnavailable"),
        ("refused", "Ready", "False", "AccessDenied"),
        ("stalled", "Stalled", "True", "StoreNotFound"),
    ] {
        scene.wait_condition(name, type_, status, reason).await;
    }
}

/// An object that is refreshed when somebody asks for it, and its value.
fn waking(scene: &Scene<'_>, name: &str) -> Value {
    scene.put(name, "canary-state");
    scene.object(name, NEVER, &[("value", name)])
}

/// Brings one store of a kind into each state of [`STORES`].
async fn stores(scene: &Scene<'_>, kind: &str) {
    let mut waiting = store(scene, kind, "waiting");
    waiting["spec"]["auth"]["rrsa"]["serviceAccountRef"]["name"] = "missing".into();
    let mut stalled = store(scene, kind, "stalled");
    stalled["spec"]["auth"]["rrsa"]["audience"] = "example.com".into();
    let mut suspended = store(scene, kind, "suspended");
    suspended["spec"]["suspend"] = true.into();
    let road = Road::open(scene.cloud.addr()).await;
    let mut dark = store(scene, kind, "dark");
    dark["spec"]["provider"][Service::Oos.name()]["endpoint"] = road.url().into();
    let ready = store(scene, kind, "ready");
    scene
        .apply_all(&[waiting, stalled, suspended, dark, ready])
        .await;
    let named = |name| name_of(scene, kind, name);
    for (name, status, reason) in [
        ("waiting", "False", "StoreNotReady"),
        ("stalled", "False", "InvalidSpec"),
        ("suspended", "True", "Suspended"),
        ("dark", "True", "StoreReady"),
        ("ready", "True", "StoreReady"),
    ] {
        scene.wait_store(kind, &named(name), status, reason).await;
    }
    // Three references that nobody answers for.
    road.cut();
    let place = (kind, &*named("dark"));
    let readers = ["a", "b", "c"].map(|key| {
        let name = format!("{}-{key}", kind.to_lowercase());
        scene.reading(&name, place, &[("value", &scene.key(key))])
    });
    scene.apply_all(&readers).await;
    scene
        .wait_store_is(SOON, place, "Reachable", "False", "ProviderUnavailable")
        .await;
}

/// A store of a kind that any namespace may use.
fn store(scene: &Scene<'_>, kind: &str, name: &str) -> Value {
    let mut auth = scene.rrsa("reader");
    if kind == STORE {
        return scene.store(name, auth);
    }
    auth["rrsa"]["serviceAccountRef"]["namespace"] = scene.namespace.as_str().into();
    scene.cluster_store(name, auth, json!([{ "namespaceSelector": {} }]))
}

fn name_of(scene: &Scene<'_>, kind: &str, name: &str) -> String {
    match kind {
        CLUSTER_STORE => scene.cluster_name(name),
        _ => name.to_owned(),
    }
}

fn api(scene: &Scene<'_>, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("cloudsecrets.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk(&gvk);
    match kind {
        CLUSTER_STORE => Api::all_with(scene.client.clone(), &resource),
        _ => Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource),
    }
}

/// An object as the API server gives it.
async fn raw(scene: &Scene<'_>, kind: &str, name: &str) -> Value {
    let object = api(scene, kind).get(name).await.unwrap();
    serde_json::to_value(object).unwrap()
}

/// Deletes an object that somebody holds by a finalizer.
async fn delete_slowly(scene: &Scene<'_>, kind: &str, name: &str) {
    let api = api(scene, kind);
    let held = json!({ "metadata": { "finalizers": ["example.com/held"] } });
    let patch = Patch::Merge(held);
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    api.delete(name, &DeleteParams::default()).await.unwrap();
}
