//! Whose Secret it is: what somebody else made is neither adopted nor changed nor deleted.

use std::time::Duration;

use external_cloud_secrets::api::ExternalCloudSecret;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

const LABEL: &str = "cloudsecrets.dev/managed";
const OWNER: &str = "cloudsecrets.dev/owner";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_made_by_someone_else_stays_as_it_is_and_its_name_is_taken_when_it_goes() {
    let scene = Scene::new(World::tenants().await, "foreign").await;
    scene.put("db", "canary-foreign");
    let holder = json!([holder(&scene).await]);
    let other = format!("{}/other", scene.namespace);
    let variants = [
        ("bare", json!({})),
        ("labelled", json!({ "labels": { LABEL: "true" } })),
        (
            "annotated",
            json!({ "annotations": { OWNER: format!("{}/annotated", scene.namespace) } }),
        ),
        (
            "forged",
            json!({ "labels": { LABEL: "true" }, "annotations": { OWNER: other } }),
        ),
        ("controlled", json!({ "ownerReferences": holder })),
        (
            "disguised",
            json!({
                "labels": { LABEL: "true" },
                "annotations": { OWNER: format!("{}/disguised", scene.namespace) },
                "ownerReferences": holder,
            }),
        ),
    ];
    join_all(variants.map(|(name, metadata)| stays(&scene, name, metadata))).await;
}

/// One variant: the conflict, the untouched Secret, and the healing.
async fn stays(scene: &Scene<'_>, name: &str, metadata: Value) {
    let theirs = scene.foreign(name, metadata, "Opaque").await;
    let object = scene.object(name, "1h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    for (type_, status) in [("Ready", "False"), ("Fresh", "False"), ("Stalled", "True")] {
        let message = scene
            .wait_condition(name, type_, status, "TargetConflict")
            .await;
        assert!(message.contains(name), "{name}: {message}");
    }
    scene.refresh(name, "1").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(scene.secret(name).await.as_ref(), Some(&theirs), "{name}");
    scene.delete(name).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.secret(name).await.as_ref(), Some(&theirs), "{name}");

    scene.apply(&object).await.unwrap();
    scene
        .wait_condition(name, "Stalled", "True", "TargetConflict")
        .await;
    scene.delete_secret(name).await;
    let ours = scene.wait_value(name, "password", "canary-foreign").await;
    assert_eq!(ours.data.unwrap().len(), 1, "{name}");
    scene
        .wait_condition(name, "Ready", "True", "SecretReady")
        .await;
    let stalled = scene.condition_if_any(name, "Stalled").await;
    assert_eq!(stalled, None, "{name}");
}

/// A controller that exists, so that nobody collects what it holds.
async fn holder(scene: &Scene<'_>) -> Value {
    let api: Api<ConfigMap> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let holder = json!({ "metadata": { "name": "holder" } });
    let holder: ConfigMap = serde_json::from_value(holder).unwrap();
    let holder = api.create(&PostParams::default(), &holder).await.unwrap();
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "holder", "uid": holder.uid(), "controller": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_objects_with_one_target_waits_until_the_first_goes() {
    let scene = Scene::new(World::tenants().await, "rivals").await;
    scene.put("one", "canary-one");
    scene.put("two", "canary-two");
    let rival = |name: &str| {
        let mut object = scene.object(name, "1h", &[("password", name)]);
        object["spec"]["target"] = json!({ "name": "contested" });
        object
    };
    scene.apply(&rival("one")).await.unwrap();
    let first = scene
        .wait_value("contested", "password", "canary-one")
        .await;
    scene.apply(&rival("two")).await.unwrap();
    let message = scene
        .wait_condition("two", "Ready", "False", "TargetConflict")
        .await;
    assert!(message.contains("ExternalCloudSecret one"), "{message}");
    scene.refresh("two", "1").await;
    scene
        .wait_condition("one", "Ready", "True", "SecretReady")
        .await;
    assert_eq!(scene.secret("contested").await.unwrap(), first);

    scene.delete("one").await;
    scene
        .wait_value("contested", "password", "canary-two")
        .await;
    scene
        .wait_condition("two", "Ready", "True", "SecretReady")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_secret_is_taken_back_and_its_equal_data_stays_untouched() {
    let scene = Scene::new(World::tenants().await, "restored").await;
    scene.put("db", "canary-restored");
    let object = scene.object("db", "1h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    let made = scene.wait_value("db", "password", "canary-restored").await;
    let kept = backup(&made);

    // The object stays, the Secret comes back from a backup.
    scene.delete_secret("db").await;
    let restored = restore(&scene, &kept).await;
    let taken = wait_owned(&scene, "db").await;
    // The operator may have made the Secret anew before the backup came; then there was nothing to
    // take back.
    if taken.uid() == restored.uid() {
        assert_eq!(taken.data, restored.data);
        assert_eq!(changed_at(&taken), changed_at(&restored));
    }

    // Both come back, as on another cluster: new UIDs, and the Secret is there first.
    orphan(&scene, "db").await;
    scene.delete_secret("db").await;
    let restored = restore(&scene, &kept).await;
    scene.apply(&object).await.unwrap();
    let taken = wait_owned(&scene, "db").await;
    assert_eq!(taken.uid(), restored.uid(), "the Secret was replaced");
    assert_eq!(taken.data, restored.data);
    assert_eq!(
        changed_at(&taken),
        changed_at(&restored),
        "equal data was written"
    );
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;

    scene.delete("db").await;
    scene.wait_gone("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_secret_with_older_data_is_brought_up_to_date() {
    let scene = Scene::new(World::tenants().await, "older").await;
    scene.put("db", "canary-new");
    let owner = format!("{}/db", scene.namespace);
    let metadata = json!({ "labels": { LABEL: "true" }, "annotations": { OWNER: owner } });
    let restored = scene.foreign("db", metadata, "Opaque").await;
    let object = scene.object("db", "1h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    let taken = scene.wait_value("db", "password", "canary-new").await;
    assert_eq!(taken.uid(), restored.uid());
    assert_eq!(taken.data.as_ref().unwrap().len(), 1, "old keys stayed");
    wait_owned(&scene, "db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_reference_that_is_taken_away_comes_back() {
    let scene = Scene::new(World::tenants().await, "ownerless").await;
    scene.put("db", "canary-ownerless");
    let object = scene.object("db", "1h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    let made = scene.wait_value("db", "password", "canary-ownerless").await;
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    let patch = Patch::Merge(json!({ "metadata": { "ownerReferences": null } }));
    let params = PatchParams::default();
    scene.secrets().patch("db", &params, &patch).await.unwrap();
    let taken = wait_owned(&scene, "db").await;
    assert_eq!(taken.uid(), made.uid());
    assert_eq!(
        changed_at(&taken),
        changed_at(&made),
        "equal data was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_another_type_is_never_written_whatever_it_says_about_itself() {
    let scene = Scene::new(World::tenants().await, "types").await;
    scene.put("db", "canary-typed");
    let types = [
        ("token", "kubernetes.io/service-account-token"),
        ("helm", "helm.sh/release.v1"),
        ("bootstrap", "bootstrap.kubernetes.io/token"),
        ("custom", "example.com/own"),
    ];
    join_all(types.map(|(name, type_)| spared(&scene, name, type_))).await;
}

/// A Secret of `type_` with our label, our annotation and our ownerReference stays as it is.
async fn spared(scene: &Scene<'_>, name: &str, type_: &str) {
    let mut object = scene.object(name, "1h", &[("password", "db")]);
    object["spec"]["suspend"] = true.into();
    scene.apply(&object).await.unwrap();
    let uid = scene.objects().get(name).await.unwrap().uid().unwrap();
    let metadata = json!({
        "labels": { LABEL: "true" },
        "annotations": {
            OWNER: format!("{}/{name}", scene.namespace),
            "kubernetes.io/service-account.name": "reader",
        },
        "ownerReferences": [{
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "ExternalCloudSecret",
            "name": name,
            "uid": uid,
            "controller": true,
        }],
    });
    scene.foreign(name, metadata, type_).await;
    // The controller of tokens fills in its own.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let theirs = scene.secret(name).await.unwrap();
    object["spec"]["suspend"] = false.into();
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition(name, "Ready", "False", "TargetConflict")
        .await;
    assert!(message.contains(type_), "{message}");
    scene.refresh(name, "1").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.secret(name).await.unwrap(), theirs, "{type_}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_deleted_and_made_again_at_once_has_its_secret_in_the_end() {
    let scene = Scene::new(World::tenants().await, "again").await;
    scene.put("db", "canary-again");
    let object = scene.object("db", "1h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_value("db", "password", "canary-again").await;
    for _ in 0..5 {
        scene.delete("db").await;
        scene.apply(&object).await.unwrap();
    }
    let secret = wait_owned(&scene, "db").await;
    assert_eq!(secret.data.unwrap()["password"].0, b"canary-again");
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_the_operators_own_namespace_is_refused() {
    let world = World::tenants().await;
    let scene = Scene::new(world, "home").await;
    scene.put("db", "canary-home");
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["namespace"] = scene.namespace.as_str().into();
    let store = scene.cluster_store("all", auth, json!([{ "namespaceSelector": {} }]));
    scene.apply(&store).await.unwrap();
    let store = scene.cluster_name("all");
    let key = scene.key("db");
    let reading = ("ClusterCloudSecretStore", &*store);
    // The store would serve it.
    let here = scene.reading("db", reading, &[("password", &key)]);
    scene.apply(&here).await.unwrap();
    scene.wait_value("db", "password", "canary-home").await;
    let home = scene.elsewhere(world.account.namespace());
    let name = scene.cluster_name("guest");
    for target in [name.as_str(), "external-cloud-secrets-digest-key"] {
        let mut there = home.reading(&name, reading, &[("key", &key)]);
        there["spec"]["target"] = json!({ "name": target });
        let before = home.secret(target).await;
        home.apply(&there).await.unwrap();
        let message = home
            .wait_condition(&name, "Ready", "False", "InvalidSpec")
            .await;
        assert!(message.contains("operator's own namespace"), "{message}");
        assert_eq!(home.secret(target).await, before);
    }
    home.delete(&name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_the_operator_serves_has_a_finalizer() {
    let scene = Scene::new(World::tenants().await, "finalizer").await;
    scene.put("db", "canary-finalizer");
    let object = scene.object("db", "1h", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    let secret = scene.wait_value("db", "password", "canary-finalizer").await;
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    scene
        .wait_store("CloudSecretStore", "oos", "True", "StoreReady")
        .await;
    assert!(secret.finalizers().is_empty());
    assert!(
        scene
            .objects()
            .get("db")
            .await
            .unwrap()
            .finalizers()
            .is_empty()
    );
    let stores: Api<external_cloud_secrets::api::CloudSecretStore> =
        Api::namespaced(scene.client.clone(), &scene.namespace);
    assert!(stores.get("oos").await.unwrap().finalizers().is_empty());
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(scene.client.clone());
    let namespace = namespaces.get(&scene.namespace).await.unwrap();
    assert!(namespace.finalizers().is_empty());
    // So that nothing holds up a namespace's end.
    namespaces
        .delete(&scene.namespace, &DeleteParams::default())
        .await
        .unwrap();
    until("the namespace's end", SOON, async || {
        match namespaces.get_opt(&scene.namespace).await.unwrap() {
            None => Ok(()),
            Some(still) => Err(still.status),
        }
    })
    .await;
}

/// What a backup keeps of a Secret.
fn backup(secret: &Secret) -> Secret {
    let from = &secret.metadata;
    Secret {
        metadata: ObjectMeta {
            name: from.name.clone(),
            labels: from.labels.clone(),
            annotations: from.annotations.clone(),
            ..ObjectMeta::default()
        },
        ..secret.clone()
    }
}

/// Brings a Secret back; if somebody made it meanwhile, that one stays.
async fn restore(scene: &Scene<'_>, kept: &Secret) -> Secret {
    match scene.secrets().create(&PostParams::default(), kept).await {
        Ok(restored) => restored,
        Err(_) => scene.secret(&kept.name_any()).await.unwrap(),
    }
}

/// Deletes an object and leaves its Secret.
async fn orphan(scene: &Scene<'_>, name: &str) {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    scene.objects().delete(name, &params).await.unwrap();
    until("the object's end", SOON, async || {
        let found: Option<ExternalCloudSecret> = scene.objects().get_opt(name).await.unwrap();
        found.map_or(Ok(()), |_| Err("still there"))
    })
    .await;
}

/// Waits until the object of the same name controls the Secret.
async fn wait_owned(scene: &Scene<'_>, name: &str) -> Secret {
    until("the ownerReference", SOON, async || {
        let uid = scene.objects().get(name).await.unwrap().uid().unwrap();
        let secret = scene.secret(name).await.ok_or("no Secret".to_owned())?;
        let owners = secret.owner_references();
        let owned = owners.len() == 1 && owners[0].uid == uid && owners[0].controller == Some(true);
        owned.then(|| secret.clone()).ok_or(format!("{owners:?}"))
    })
    .await
}

fn changed_at(secret: &Secret) -> Option<&String> {
    secret.annotations().get("cloudsecrets.dev/changed-at")
}
