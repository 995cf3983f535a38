//! What others do to a Secret of ours: data is put right, metadata is theirs.

use std::time::{Duration, Instant};

use kube::api::DeleteParams;
use serde_json::json;

use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::{SOON, until};
use super::world::World;

/// A scene with one object `db` whose Secret is in place and is not due for a long time.
async fn settled(prefix: &str) -> Scene<'static> {
    let scene = Scene::new(World::shared().await, prefix).await;
    scene.put("db", "canary-good");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_value("db", "password", "canary-good").await;
    scene.wait_settled("db").await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn data_changed_by_a_hand_is_repaired_and_at_most_once_in_ten_seconds() {
    let scene = settled("drift").await;
    let spoil = json!({ "stringData": { "password": "spoilt", "extra": "more" } });
    scene.edit_secret("db", &spoil).await;
    let repaired = scene.wait_value("db", "password", "canary-good").await;
    assert_eq!(repaired.data.unwrap().len(), 1, "the extra key is gone");
    let first = Instant::now();
    scene.edit_secret("db", &spoil).await;
    scene.wait_value("db", "password", "canary-good").await;
    let pause = first.elapsed();
    assert!(pause > Duration::from_secs(9), "repaired after {pause:?}");
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_others_is_left_alone() {
    let scene = settled("foreign").await;
    let version = scene.version("db").await;
    let theirs =
        json!({ "metadata": { "labels": { "team": "a" }, "annotations": { "note": "theirs" } } });
    scene.edit_secret("db", &theirs).await;
    let edited = scene.secret_as_it_is("db").await;
    scene.stays(&edited, Duration::from_secs(3)).await;
    assert_eq!(scene.version("db").await, version, "no write of the status");
    // It also outlives the next write.
    scene.put("db", "canary-next");
    scene.refresh("db", "1").await;
    let next = scene.wait_value("db", "password", "canary-next").await;
    assert_eq!(next.metadata.labels.unwrap()["team"], "a");
    assert_eq!(next.metadata.annotations.unwrap()["note"], "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_was_removed_is_restored() {
    let scene = settled("label").await;
    let before = scene.secret_as_it_is("db").await;
    let strip = json!({ "metadata": { "labels": { "cloudsecrets.dev/managed": null } } });
    scene.edit_secret("db", &strip).await;
    until("the label", SOON, async || {
        let labels = scene.secret("db").await.unwrap().metadata.labels;
        match labels.unwrap_or_default().get("cloudsecrets.dev/managed") {
            Some(value) if value == "true" => Ok(()),
            other => Err(format!("{other:?}; {:?}", scene.conditions("db").await)),
        }
    })
    .await;
    let after = scene.secret_as_it_is("db").await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.data, before.data);
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_that_were_removed_are_restored() {
    let scene = settled("stripped").await;
    let before = scene.secret_as_it_is("db").await;
    let strip = json!({ "metadata": { "annotations": null } });
    scene.edit_secret("db", &strip).await;
    until("the annotations", SOON, async || {
        let annotations = scene.secret("db").await.unwrap().metadata.annotations;
        match annotations
            .unwrap_or_default()
            .get("cloudsecrets.dev/inputs")
        {
            Some(_) => Ok(()),
            None => Err(scene.conditions("db").await),
        }
    })
    .await;
    let after = scene.secret_as_it_is("db").await;
    assert_eq!(after.data, before.data);
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_deleted_is_made_again_at_once() {
    let scene = settled("deleted").await;
    let before = scene.secret("db").await.unwrap();
    let deleted = Instant::now();
    let params = DeleteParams::default();
    scene.secrets().delete("db", &params).await.unwrap();
    let made = scene.wait_value("db", "password", "canary-good").await;
    assert_ne!(made.metadata.uid, before.metadata.uid);
    assert!(deleted.elapsed() < Duration::from_secs(5));
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_target_leaves_nothing_of_ours_behind() {
    let scene = settled("rename").await;
    let bystander = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "bystander", "namespace": scene.namespace,
            "labels": { "cloudsecrets.dev/managed": "true" },
            "annotations": { "cloudsecrets.dev/owner": format!("{}/db", scene.namespace) },
        },
    });
    scene.apply(&bystander).await.unwrap();
    let mut object = scene.object("db", NEVER, &[("password", "db")]);
    object["spec"]["target"] = json!({ "name": "renamed" });
    scene.apply(&object).await.unwrap();
    scene.wait_value("renamed", "password", "canary-good").await;
    until("the old Secret's end", SOON, async || {
        match scene.secret("db").await {
            None => Ok(()),
            Some(_) => Err(scene.conditions("db").await),
        }
    })
    .await;
    assert!(scene.secret("bystander").await.is_some());
    scene.wait_settled("db").await;
    let status = scene.objects().get("db").await.unwrap().status.unwrap();
    assert_eq!(status.secret_name.as_deref(), Some("renamed"));
}
