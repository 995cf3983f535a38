//! Another target name: the new Secret first, then the old one goes, and nobody else's.

use kube::ResourceExt;
use kube::api::{ObjectMeta, PostParams};
use serde_json::{Value, json};

use super::scene::Scene;
use super::world::World;

fn aimed(scene: &Scene<'_>, target: &str) -> Value {
    let mut object = scene.object("db", "1h", &[("password", "db")]);
    object["spec"]["target"] = json!({ "name": target });
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_target_leaves_nothing_of_ours_behind_and_everything_of_others() {
    let scene = Scene::new(World::tenants().await, "renamed").await;
    scene.put("db", "canary-renamed");
    let labels = json!({ "labels": { "cloudsecrets.dev/managed": "true" } });
    let theirs = scene.foreign("theirs", labels, "Opaque").await;
    scene.apply(&aimed(&scene, "old")).await.unwrap();
    scene
        .wait_named("db", "old", "password", "canary-renamed")
        .await;
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    scene.apply(&aimed(&scene, "new")).await.unwrap();
    scene
        .wait_named("db", "new", "password", "canary-renamed")
        .await;
    scene.wait_gone("old").await;
    assert_eq!(scene.secret("theirs").await, Some(theirs));
    let status = scene.objects().get("db").await.unwrap().status.unwrap();
    assert_eq!(status.secret_name.as_deref(), Some("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_write_makes_under_an_old_name_goes_too() {
    let scene = Scene::new(World::tenants().await, "late").await;
    scene.put("db", "canary-late");
    scene.apply(&aimed(&scene, "new")).await.unwrap();
    let new = scene
        .wait_named("db", "new", "password", "canary-late")
        .await;
    scene.wait_settled("db").await;
    // As another process would make it that was stopped before the rename.
    let mut late = new.clone();
    late.metadata = ObjectMeta {
        name: Some("old".into()),
        labels: new.metadata.labels.clone(),
        annotations: new.metadata.annotations.clone(),
        owner_references: new.metadata.owner_references.clone(),
        ..ObjectMeta::default()
    };
    let made = scene.secrets().create(&PostParams::default(), &late).await;
    made.unwrap();
    scene.wait_gone("old").await;
    assert_eq!(scene.secret("new").await, Some(new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_renamed_onto_somebody_elses_secret_keeps_the_old_one_until_it_can_move() {
    let scene = Scene::new(World::tenants().await, "blocked").await;
    scene.put("db", "canary-blocked");
    scene.apply(&aimed(&scene, "old")).await.unwrap();
    let old = scene
        .wait_named("db", "old", "password", "canary-blocked")
        .await;
    let theirs = scene.foreign("new", json!({}), "Opaque").await;
    scene.apply(&aimed(&scene, "new")).await.unwrap();
    scene
        .wait_condition("db", "Ready", "False", "TargetConflict")
        .await;
    assert_eq!(scene.secret("old").await.map(|s| s.uid()), Some(old.uid()));
    assert_eq!(scene.secret("new").await, Some(theirs));
    scene.delete_secret("new").await;
    scene
        .wait_named("db", "new", "password", "canary-blocked")
        .await;
    scene.wait_gone("old").await;
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
}
