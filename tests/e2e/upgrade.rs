//! What an earlier version left is taken over as it is: nothing is written anew and nothing is read before its time.
//!
//! `tests/upgrade/VERSION` is what that version left: its definitions, its objects with their status, its Secrets, its
//! digest key and its Lease. How a version is added is written in CONTRIBUTING.md, "Release".

mod users;

use std::fs;
use std::path::{Path, PathBuf};

use external_cloud_secrets::api::names::DIGEST_KEY_SECRET;
use external_cloud_secrets::cli::crds::crds_yaml;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use self::users::{KEYS, SSM_KEYS, manifests, on_tencent, prepare};
use super::interruption::{start, stop};
use super::kubectl::Kubectl;
use super::pages::Page;
use super::scene::Scene;
use super::snapshot::NEVER;
use super::world::World;

/// A world whose operator finds the cloud by [`users::CLOUD`].
async fn world() -> World {
    World::own_with(&[], &[("HTTP_PROXY", "{cloud}")]).await
}

/// The kinds that are recorded, with their groups, in the order in which they are made again.
const KINDS: [(&str, &str); 5] = [
    ("cloudsecrets.dev", "CloudSecretStore"),
    ("cloudsecrets.dev", "ClusterCloudSecretStore"),
    ("cloudsecrets.dev", "ExternalCloudSecret"),
    ("", "Secret"),
    ("coordination.k8s.io", "Lease"),
];

fn gvk((group, kind): (&str, &str)) -> GroupVersionKind {
    let version = match group {
        "cloudsecrets.dev" => "v1alpha1",
        _ => "v1",
    };
    GroupVersionKind::gvk(group, version, kind)
}

/// The API of a kind, in a namespace or in all.
fn api(scene: &Scene<'_>, kind: (&str, &str), namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&gvk(kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(scene.client.clone(), namespace, &resource),
        None => Api::all_with(scene.client.clone(), &resource),
    }
}

/// The ownerReferences of an object.
fn owners(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    let references = object["metadata"].get_mut("ownerReferences");
    references
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// Everything of the kinds that are recorded: users' objects, the Secrets of the operator, its key and its Lease.
async fn everything(scene: &Scene<'_>) -> Vec<Value> {
    let home = scene.world.account.namespace();
    let mut found = Vec::new();
    for kind in KINDS {
        let list = api(scene, kind, None).list(&<_>::default()).await.unwrap();
        for object in list {
            let mut object = serde_json::to_value(object).unwrap();
            // A list says it once for all.
            let version = ApiResource::from_gvk(&gvk(kind)).api_version;
            (object["apiVersion"], object["kind"]) = (version.into(), kind.1.into());
            let meta = &object["metadata"];
            let recorded = match (kind.1, meta["namespace"].as_str()) {
                ("Secret", Some(place)) if place == home => meta["name"] == DIGEST_KEY_SECRET,
                ("Secret", _) => meta["labels"]["cloudsecrets.dev/managed"] == "true",
                ("Lease", place) => place == Some(home),
                _ => true,
            };
            found.extend(recorded.then_some(object));
        }
    }
    found
}

/// Runs the operator of this version until everything has settled, and writes down what it leaves.
async fn record(dir: &Path) {
    let world = world().await;
    let scene = prepare(&world).await;
    for manifest in manifests(&scene) {
        scene.apply(&manifest).await.unwrap();
    }
    scene.wait_settled("mixed").await;
    scene.wait_settled("named").await;
    scene.wait_settled("tencent").await;
    for (name, type_, status, reason) in [
        ("suspended", "Fresh", "False", "Suspended"),
        ("missing", "Fresh", "False", "RemoteNotFound"),
        ("stalled", "Stalled", "True", "StoreNotFound"),
    ] {
        scene.wait_condition(name, type_, status, reason).await;
    }
    for key in SSM_KEYS {
        assert!(!on_tencent(&scene).reads(key).is_empty(), "{key}");
    }
    stop(&world).await;
    let mut state = everything(&scene).await;
    for object in &mut state {
        let meta = object["metadata"].as_object_mut().unwrap();
        for own in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
        ] {
            meta.remove(own);
        }
        if meta.get("namespace").and_then(Value::as_str) == Some(world.account.namespace()) {
            meta.remove("namespace");
        }
        for owner in owners(object) {
            owner["uid"].take();
        }
    }
    fs::create_dir_all(dir).unwrap();
    let state = serde_json::to_string_pretty(&state).unwrap();
    fs::write(dir.join("state.json"), state + "\n").unwrap();
    fs::write(dir.join("crds.yaml"), crds_yaml().unwrap()).unwrap();
}

/// Brings a cluster without operator into the recorded state.
async fn restore(scene: &Scene<'_>, state: Vec<Value>) {
    let home = scene.world.account.namespace();
    for mut object in state {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let kind = KINDS.iter().copied().find(|known| known.1 == kind).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let namespace = match kind.1 {
            "ClusterCloudSecretStore" => None,
            _ => Some(
                object["metadata"]["namespace"]
                    .as_str()
                    .unwrap_or(home)
                    .to_owned(),
            ),
        };
        let api = api(scene, kind, namespace.as_deref());
        for owner in owners(&mut object) {
            let controller = scene
                .objects()
                .get(owner["name"].as_str().unwrap())
                .await
                .unwrap();
            owner["uid"] = controller.metadata.uid.into();
        }
        if kind.1 == "Lease" {
            // The old process ended just now.
            object["spec"]["renewTime"] = json!(MicroTime(Timestamp::now()));
        }
        if kind.1 == "Lease" || name == DIGEST_KEY_SECRET {
            // The operator that was here may have made them.
            let _ = api.delete(&name, &DeleteParams::default()).await;
        }
        let generation = object["metadata"]["generation"].take();
        let (made, params) = (
            serde_json::from_value(object.clone()).unwrap(),
            PostParams::default(),
        );
        let made: DynamicObject = api.create(&params, &made).await.unwrap();
        if object["status"].is_object() {
            assert_eq!(json!(made.metadata.generation), generation, "{name}");
            let status = Patch::Merge(json!({ "status": object["status"] }));
            api.patch_status(&name, &PatchParams::default(), &status)
                .await
                .unwrap();
        }
    }
}

/// Runs the operator until it has acted on something that is newer than all that was there.
async fn run_until_it_acts(scene: &Scene<'_>, name: &str) {
    scene.put(name, "canary-later");
    scene
        .apply(&scene.object(name, NEVER, &[("plain", name)]))
        .await
        .unwrap();
    scene.wait_settled(name).await;
}

/// Takes over what a version left, before and after its definitions are replaced by today's.
async fn take_over(dir: &Path) {
    let world = world().await;
    let setup = stop(&world).await;
    let scene = prepare(&world).await;
    let kubectl = Kubectl::of(&world.cluster).await;
    let crds = dir.join("crds.yaml");
    kubectl
        .print(&["apply", "-f", crds.to_str().unwrap()])
        .await;
    let state = fs::read_to_string(dir.join("state.json")).unwrap();
    restore(&scene, serde_json::from_str(&state).unwrap()).await;
    let recorded = |objects: Vec<Value>| -> Vec<Value> {
        let theirs = |object: &Value| {
            let name = object["metadata"]["name"].as_str().unwrap();
            object["kind"] != "Lease" && !name.starts_with("later")
        };
        objects.into_iter().filter(theirs).collect()
    };
    let before = recorded(everything(&scene).await);
    assert!(before.len() > 10, "{}", before.len());
    let writes = world.cluster.writes().await.unwrap();

    start(&world, setup).await;
    run_until_it_acts(&scene, "later-1").await;
    for script in Page::read("docs/upgrades.md").commands("Definitions first") {
        kubectl.run_here(script).await;
    }
    world.restart_operator().await;
    run_until_it_acts(&scene, "later-2").await;

    let place = dir.display();
    assert_eq!(recorded(everything(&scene).await), before, "{place}");
    let done = world.cluster.writes().await.unwrap().since(&writes);
    // What was made meanwhile, and nothing that would change nothing either.
    assert_eq!(done.of("secrets"), 2, "{place}: {done}");
    assert_eq!(done.of("externalcloudsecrets/status"), 2, "{place}: {done}");
    for stores in [
        "cloudsecretstores/status",
        "clustercloudsecretstores/status",
    ] {
        assert_eq!(done.of(stores), 0, "{place}: {done}");
    }
    // What is due within a tenth of its interval rides along where a call is made anyway.
    let due = ["later-1", "later-2", "missing"].map(|name| scene.key(name));
    for call in KEYS.iter().flat_map(|key| scene.reads(key)) {
        let made_anyway = call.names.iter().any(|name| due.contains(name));
        assert!(made_anyway, "{place}: before its time: {call:?}");
    }
    let ssm = on_tencent(&scene);
    let early: Vec<_> = SSM_KEYS.iter().flat_map(|key| ssm.reads(key)).collect();
    assert!(early.is_empty(), "{place}: before its time: {early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_left_is_neither_rewritten_nor_read_anew() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    let mut versions: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    versions.sort();
    assert!(
        !versions.is_empty(),
        "nothing is recorded in {}",
        root.display()
    );
    for version in versions {
        take_over(&version).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_version_leaves_can_be_recorded_and_taken_over() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upgrade");
    record(&dir).await;
    take_over(&dir).await;
}
