//! Hundreds of objects whose identity fails: the cloud hears of it once a step, not once an object.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudsim::Call;
use external_cloud_secrets::api::{ExternalCloudSecret, condition};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;

use crate::cloud::Service;
use crate::scene::Scene;
use crate::wait::{SOON, until};
use crate::world::World;

const STORE: &str = "CloudSecretStore";
/// Objects of each identity, each with a secret of its own: more than all batches of one identity hold
/// that may be under way at once, so that calls for each of them would show.
const OBJECTS: usize = 200;
/// The first step of the ladder, after which an identity is probed.
const STEP: Duration = Duration::from_secs(30);
/// What belongs to one try is closer together than this.
const TOGETHER: i64 = 5_000;
/// Batches of one identity that are under way at once.
const IN_FLIGHT: usize = 8;

/// The objects of a store `name`.
async fn objects(scene: &Scene<'_>, name: &str, auth: Value) -> Vec<Value> {
    scene.apply(&scene.store(name, auth)).await.unwrap();
    let one = |n| {
        let secret = format!("{name}-{n}");
        scene.put(&secret, "canary-value");
        let place = (STORE, name);
        let mut object = scene.reading(&secret, place, &[("value", &scene.key(&secret))]);
        object["spec"]["refreshInterval"] = "10s".into();
        object
    };
    (0..OBJECTS).map(one).collect()
}

/// Waits until the condition `Fresh` of all objects of a store has this status and reason.
async fn all(scene: &Scene<'_>, name: &str, limit: Duration, status: &str, reason: &str) {
    until(&format!("{name}: {status}/{reason}"), limit, async || {
        let list = scene.objects().list(&ListParams::default()).await.unwrap();
        let is = |object: &&ExternalCloudSecret| {
            let conditions = object.status.iter().flat_map(|status| &status.conditions);
            let mut fresh = conditions.filter(|one| one.type_ == condition::FRESH);
            object.name_any().starts_with(name)
                && fresh.any(|one| one.status == status && one.reason == reason)
        };
        match list.iter().filter(is).count() {
            OBJECTS => Ok(()),
            some => Err(some),
        }
    })
    .await;
}

/// Every Secret and its version.
async fn secrets(scene: &Scene<'_>) -> BTreeMap<String, Option<String>> {
    let list = scene.secrets().list(&ListParams::default()).await.unwrap();
    let made = list.into_iter().filter(|secret| secret.name_any() != "ak");
    made.map(|secret| (secret.name_any(), secret.resource_version()))
        .collect()
}

/// The calls of the whole cloud with an outcome, cut where there is a pause.
fn tries(scene: &Scene<'_>, outcome: &str) -> Vec<Vec<Call>> {
    let filter = cloudsim::Filter::default().outcome(outcome);
    let mut tries: Vec<Vec<Call>> = Vec::new();
    for call in scene.cloud.ledger_of(&filter).recent {
        match tries.last_mut() {
            Some(last) if call.at.as_millisecond() - last[0].at.as_millisecond() < TOGETHER => {
                last.push(call);
            }
            _ => tries.push(vec![call]),
        }
    }
    tries
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_two_hundred_objects_is_probed_once_a_step() {
    let world = World::kms().await;
    let cloud = world.another_cloud().await;
    let scene = Scene::at(world, "probed", Service::Kms, cloud).await;
    let id = &scene.namespace;
    scene.cloud.put_key(None, id, "a-long-secret").unwrap();
    scene
        .put_secret("ak", &[("id", id), ("secret", "a-long-secret")])
        .await;
    let mut made = objects(&scene, "stays", scene.access_key("ak")).await;
    made.extend(objects(&scene, "returns", scene.rrsa("reader")).await);
    scene.apply_all(&made).await;
    for name in ["stays", "returns"] {
        all(&scene, name, SOON, "True", "Refreshed").await;
    }
    let before = secrets(&scene).await;
    assert_eq!(before.len(), 2 * OBJECTS);

    // A key is revoked; a role is deleted, and comes back before anybody looks.
    scene.cloud.revoke_key(id).unwrap();
    scene.revoke("reader");
    scene.cloud.delete_role(&scene.role_arn("reader")).unwrap();
    for name in ["stays", "returns"] {
        all(&scene, name, SOON, "False", "AuthenticationFailed").await;
    }
    scene.role("reader", &["reader"], &[&scene.key("*")]);
    all(&scene, "returns", STEP + SOON, "True", "Refreshed").await;
    let (no_key, no_role) = ("InvalidAccessKeyId.NotFound", "EntityNotExist.Role");
    let exchanges = tries(&scene, no_role);
    assert_eq!(exchanges.len(), 1, "{exchanges:?}");
    assert!(exchanges[0].len() <= IN_FLIGHT, "{exchanges:?}");

    // The key's first probe goes out in these seconds too, and nothing else until the next step.
    let of_key = || {
        let mut all = tries(&scene, no_key);
        for calls in &mut all {
            calls.retain(|call| call.names.iter().any(|name| name.contains("/stays-")));
        }
        all.retain(|calls| !calls.is_empty());
        all
    };
    until("the probe", SOON, async || match of_key().len() {
        2.. => Ok(()),
        few => Err(few),
    })
    .await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    let probes = of_key();
    let counts: Vec<usize> = probes.iter().map(Vec::len).collect();
    // A call that is refused is made once more, in case only its credentials were old.
    assert!(
        matches!(counts[..], [1..=16, 1..=2]),
        "{counts:?} calls of {OBJECTS} objects"
    );
    let apart = probes[1][0].at.duration_since(probes[0][0].at).as_secs();
    assert!(apart >= 29, "{apart} s apart");
    assert_eq!(secrets(&scene).await, before, "a Secret was written");

    // Whoever asks gets a probe, and what it finds is good for all.
    scene.cloud.restore_key(id).unwrap();
    scene.refresh("stays-7", "1").await;
    all(&scene, "stays", SOON, "True", "Refreshed").await;
    assert_eq!(of_key().len(), 2, "nobody was refused any more");
    assert_eq!(secrets(&scene).await, before, "a Secret was written");
}
