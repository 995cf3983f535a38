//! What a backup brings back, whatever it left out: Secrets without objects, objects without Secrets, and both.

use std::time::Duration;

use cloudsim::Filter;
use external_cloud_secrets::api::names::DIGEST_KEY_SECRET;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::Value;
use tempfile::TempDir;

use super::interruption::{start, stop};
use super::kubectl::Kubectl;
use super::page::Page;
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
        scene.apply(&scene.object(name, NEVER, &[("value", name)])).await.unwrap();
    }
    join_all(NAMES.iter().map(|name| scene.wait_settled(name))).await;
    scene
}
