//! What the API server refuses is told, and tried again by itself.

use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::scene::Scene;
use super::snapshot::NEVER;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_is_told_and_made_when_it_is_allowed() {
    let scene = Scene::new(World::shared().await, "quota").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "none", "namespace": scene.namespace },
        "spec": { "hard": { "count/secrets": "0" } },
    });
    scene.apply(&quota).await.unwrap();
    let quotas: Api<ResourceQuota> = Api::namespaced(scene.client.clone(), &scene.namespace);
    // The part of the quota's controller, which the test's control plane does not run.
    let none = json!({ "count/secrets": "0" });
    let status = json!({ "status": { "hard": none, "used": none } });
    let params = PatchParams::default();
    quotas
        .patch_status("none", &params, &Patch::Merge(&status))
        .await
        .unwrap();
    scene.put("db", "canary-value");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition("db", "Ready", "False", "WriteRefused")
        .await;
    assert!(message.contains("ResourceQuota"), "{message}");
    assert!(!message.contains("canary"), "{message}");
    let params = DeleteParams::default();
    quotas.delete("none", &params).await.unwrap();
    let limit = Duration::from_mins(1);
    scene
        .wait_condition_for(limit, "db", "Ready", "True", "SecretReady")
        .await;
    scene.wait_value("db", "password", "canary-value").await;
    scene.wait_settled("db").await;
}
