//! What a backup brings back, whatever it left out: Secrets without objects, objects without Secrets, and both.

use std::time::Duration;

use external_cloud_secrets::api::names::DIGEST_KEY_SECRET;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tempfile::TempDir;

use super::interruption::{start, stop};
use super::kubectl::Kubectl;
use super::pages::Page;
use super::scene::Scene;
use super::snapshot::{NEVER, annotation, texts};
use super::wait::{SOON, until};
use super::world::World;

const NAMES: [&str; 2] = ["db", "api"];

/// A scene with two settled objects.
async fn settled<'w>(world: &'w World, prefix: &str) -> Scene<'w> {
    let scene = Scene::new(world, prefix).await;
    for name in NAMES {
        scene.put(name, &format!("canary-{name}"));
        scene
            .apply(&scene.object(name, NEVER, &[("value", name)]))
            .await
            .unwrap();
    }
    join_all(NAMES.iter().map(|name| scene.wait_settled(name))).await;
    scene
}

/// Deletes the objects and stores that a user has, and with them the Secrets.
async fn delete_everything(scene: &Scene<'_>, kubectl: &Kubectl) {
    let kinds = ["xcs", "xstore", "cxstore"];
    for kind in kinds {
        kubectl.print(&["delete", kind, "--all", "-A"]).await;
    }
    for name in NAMES {
        scene.wait_gone(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_backup_holds_comes_back_as_the_page_says() {
    let world = World::own().await;
    let scene = settled(&world, "backup").await;
    let kubectl = Kubectl::of(&world.cluster).await;
    let page = Page::read("docs/backup.md");
    let commands = page.commands("With kubectl");
    let [backup, restore, wait, ownerless] = commands[..] else {
        panic!("{commands:?}")
    };
    let dir = TempDir::new().unwrap();
    kubectl.script(backup, dir.path()).await;
    let secrets = async || join_all(NAMES.map(|name| scene.secret_as_it_is(name))).await;
    let before = secrets().await;

    // Everything is lost, the digest key included.
    let setup = stop(&world).await;
    delete_everything(&scene, &kubectl).await;
    let own: Api<Secret> = Api::namespaced(scene.client.clone(), &setup.namespace);
    own.delete(DIGEST_KEY_SECRET, &DeleteParams::default())
        .await
        .unwrap();
    start(&world, setup).await;

    // Secrets without their objects stay as they are, also while others come and go.
    let of = |file: &str| restore.replace("secrets.json objects.json", file);
    kubectl.script(&of("secrets.json"), dir.path()).await;
    let alone = secrets().await;
    scene
        .apply(&scene.store("oos", scene.rrsa("reader")))
        .await
        .unwrap();
    scene.put("other", "canary-other");
    let other = scene.object("other", NEVER, &[("value", "other")]);
    scene.apply(&other).await.unwrap();
    scene.wait_settled("other").await;
    assert_eq!(secrets().await, alone);
    let mut found: Vec<String> = kubectl
        .script(ownerless, dir.path())
        .await
        .lines()
        .map(str::to_owned)
        .collect();
    found.sort();
    let mut expected = NAMES.map(|name| format!("{}/{name}", scene.namespace));
    expected.sort();
    assert_eq!(found, expected);

    // Their objects take them back, with one read of each value and no write of equal data.
    let calls = NAMES.map(|name| scene.calls(name));
    kubectl.script(restore, dir.path()).await;
    kubectl.script(wait, dir.path()).await;
    for (taken, before) in secrets().await.iter().zip(&before) {
        assert_eq!(texts(taken), texts(before));
        assert_eq!(
            annotation(taken, "changed-at"),
            annotation(before, "changed-at")
        );
        assert_ne!(
            annotation(taken, "inputs"),
            annotation(before, "inputs"),
            "of another key"
        );
    }
    let uids = |secrets: &[Secret]| -> Vec<_> { secrets.iter().map(ResourceExt::uid).collect() };
    assert_eq!(
        uids(&secrets().await),
        uids(&alone),
        "a Secret was replaced"
    );
    assert_eq!(
        NAMES.map(|name| scene.calls(name)),
        calls.map(|calls| calls + 1)
    );
    assert_eq!(kubectl.script(ownerless, dir.path()).await, "");

    // Objects without their Secrets have them made.
    delete_everything(&scene, &kubectl).await;
    kubectl.script(&of("objects.json"), dir.path()).await;
    kubectl.script(wait, dir.path()).await;
    for (made, before) in secrets().await.iter().zip(&before) {
        assert_eq!(texts(made), texts(before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_comes_back_with_its_old_owner_goes_and_is_made_anew() {
    let scene = Scene::new(World::tenants().await, "stale").await;
    scene.put("db", "canary-stale");
    let object = scene.object("db", NEVER, &[("value", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let mut stale = scene.secret("db").await.unwrap();
    stale.metadata.uid = None;
    stale.metadata.resource_version = None;
    let old = stale.owner_references()[0].uid.clone();
    scene.delete("db").await;
    scene.wait_gone("db").await;
    // Kubernetes collects what belongs to nobody.
    let params = PostParams::default();
    scene.secrets().create(&params, &stale).await.unwrap();
    scene.wait_gone("db").await;
    scene.secrets().create(&params, &stale).await.unwrap();
    scene.apply(&object).await.unwrap();
    until("a Secret of the new object", SOON, async || {
        let secret = scene.secret("db").await.ok_or("none".to_owned())?;
        let owner = secret.owner_references()[0].uid.clone();
        if owner == old { Err(owner) } else { Ok(()) }
    })
    .await;
    scene.wait_value("db", "value", "canary-stale").await;
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_snapshot_of_etcd_everything_is_read_again_at_once() {
    let world = World::own().await;
    let scene = settled(&world, "snapshot").await;
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["namespace"] = scene.namespace.as_str().into();
    let store = scene.cluster_store("all", auth, json!([{ "namespaces": [scene.namespace] }]));
    scene.apply(&store).await.unwrap();
    let kubectl = Kubectl::of(&world.cluster).await;
    kubectl
        .print(&["create", "namespace", "external-cloud-secrets"])
        .await;
    let name = "external-cloud-secrets";
    kubectl
        .print(&["-n", name, "create", "deployment", name, "--image=none"])
        .await;
    let calls = NAMES.map(|name| scene.calls(name));
    let page = Page::read("docs/backup.md");
    for script in page.commands("After a snapshot of etcd was restored") {
        kubectl.run_here(script).await;
    }
    until(
        "another read of each value",
        Duration::from_secs(60),
        async || {
            let now = NAMES.map(|name| scene.calls(name));
            if now.iter().zip(calls).all(|(now, before)| *now > before) {
                Ok(())
            } else {
                Err(now)
            }
        },
    )
    .await;
}
