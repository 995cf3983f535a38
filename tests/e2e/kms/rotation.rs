//! Rotations: two stages of one secret side by side, and accounts that KMS rotates itself.

use std::sync::{Arc, Mutex};

use cloudsim::{Secret, SecretType, SecretVersion};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::scene::Scene;
use crate::snapshot::{NEVER, texts};
use crate::wait::{SOON, until};
use crate::world::World;

/// What a Secret has held, one state after the other.
struct History {
    seen: Arc<Mutex<Vec<Vec<String>>>>,
    watching: JoinHandle<()>,
}

impl History {
    /// Follows the Secret of this name.
    fn of(scene: &Scene<'_>, name: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let stream = watcher(scene.secrets(), config).default_backoff();
        let kept = Arc::clone(&seen);
        let watching = tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream.applied_objects());
            while let Some(secret) = stream.next().await {
                let Ok(secret): Result<KubeSecret, _> = secret else {
                    continue;
                };
                let state: Vec<String> = texts(&secret).into_iter().map(|(_, text)| text).collect();
                let mut kept = kept.lock().unwrap();
                if kept.last() != Some(&state) {
                    kept.push(state);
                }
            }
        });
        Self { seen, watching }
    }

    fn seen(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the Secret has held exactly these states, in the order of its keys.
    async fn is(&self, states: &[&[&str]]) {
        until("the states of the Secret", SOON, async || {
            let seen = self.seen();
            assert!(seen.len() <= states.len(), "{seen:?}");
            if seen == states { Ok(()) } else { Err(seen) }
        })
        .await;
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// An entry that reads a stage of a secret, and a part of it.
fn entry(scene: &Scene<'_>, key: &str, name: &str, stage: &str, property: Option<&str>) -> Value {
    let mut remote = json!({ "key": scene.key(name), "stage": stage });
    if let Some(property) = property {
        remote["property"] = property.into();
    }
    json!({ "secretKey": key, "remoteRef": remote })
}

fn account(user: &str, password: &str) -> String {
    json!({ "AccountName": user, "AccountPassword": password }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn current_and_previous_stand_side_by_side_through_rotations() {
    let scene = Scene::kms(World::kms().await, "stages").await;
    let versions = ["1", "2"].map(|n| SecretVersion::new(n, &format!("canary-{n}")));
    scene.put_kms(Secret::new("pair", "").with_versions(versions));
    // Alibaba Cloud's way with two accounts: the other one becomes current.
    let data = account("user-1", "canary-1");
    scene.put_kms(Secret::managed(SecretType::Rds, "rds", &data));
    scene.rotate("rds", &account("user-2", "canary-2"));

    let mut pair = scene.object("pair", "10s", &[]);
    pair["spec"]["data"] = json!([
        entry(&scene, "current", "pair", "ACSCurrent", None),
        entry(&scene, "previous", "pair", "ACSPrevious", None),
    ]);
    let mut rds = scene.object("rds", "10s", &[]);
    rds["spec"]["data"] = json!([
        entry(
            &scene,
            "a-password",
            "rds",
            "ACSCurrent",
            Some("AccountPassword")
        ),
        entry(&scene, "b-user", "rds", "ACSCurrent", Some("AccountName")),
        entry(
            &scene,
            "c-password-before",
            "rds",
            "ACSPrevious",
            Some("AccountPassword")
        ),
        entry(
            &scene,
            "d-user-before",
            "rds",
            "ACSPrevious",
            Some("AccountName")
        ),
    ]);
    let (pairs, accounts) = (History::of(&scene, "pair"), History::of(&scene, "rds"));
    scene.apply_all(&[pair, rds]).await;
    let pair_states: [&[&str]; 4] = [
        &["canary-2", "canary-1"],
        &["canary-3", "canary-2"],
        &["canary-4", "canary-3"],
        &["canary-5", "canary-4"],
    ];
    let rds_states: [&[&str]; 4] = [
        &["canary-2", "user-2", "canary-1", "user-1"],
        &["canary-3", "user-1", "canary-2", "user-2"],
        &["canary-4", "user-2", "canary-3", "user-1"],
        &["canary-5", "user-1", "canary-4", "user-2"],
    ];
    let both = async |so_far: usize| {
        pairs.is(&pair_states[..so_far]).await;
        accounts.is(&rds_states[..so_far]).await;
    };
    let rotate = |n: usize| {
        scene.rotate("pair", &format!("canary-{n}"));
        let user = format!("user-{}", (n + 1) % 2 + 1);
        scene.rotate("rds", &account(&user, &format!("canary-{n}")));
    };
    both(1).await;
    // At the next slots, and then twice at once because somebody asks.
    for n in 3..=5 {
        rotate(n);
        if n > 3 {
            for name in ["pair", "rds"] {
                scene.refresh(name, &n.to_string()).await;
            }
        }
        both(n - 1).await;
    }
    for name in ["pair", "rds"] {
        scene.wait_settled(name).await;
    }
    let status = scene.objects().get("pair").await.unwrap().status.unwrap();
    let told: Vec<_> = status
        .entries
        .iter()
        .map(|entry| entry.version.as_deref())
        .collect();
    assert_eq!(told, [Some("v5"), Some("v4")]);
    // One secret in two stages is two references: the current one travels in batches, the other alone.
    let alone = |call: &cloudsim::Call| call.action == "GetSecretValue";
    assert!(scene.reads("pair").iter().any(alone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_version_outlives_rotations_and_a_managed_secret_has_none() {
    let scene = Scene::kms(World::kms().await, "pinned").await;
    scene.put("db", "canary-1");
    let mut object = scene.object("db", NEVER, &[("first", "db"), ("latest", "db")]);
    object["spec"]["data"][0]["remoteRef"]["version"] = "v1".into();
    scene.apply(&object).await.unwrap();
    for n in ["canary-2", "canary-3"] {
        scene.rotate("db", n);
        scene.refresh("db", n).await;
        scene.wait_value("db", "latest", n).await;
        scene.wait_value("db", "first", "canary-1").await;
    }
    scene.wait_settled("db").await;
    let before = scene.secret_as_it_is("db").await;
    object["spec"]["data"][0]["remoteRef"]["version"] = "v9".into();
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition("db", "Fresh", "False", "RemoteNotFound")
        .await;
    assert!(message.starts_with("data[first] "), "{message}");
    assert_eq!(scene.secret_as_it_is("db").await, before);

    let data = account("user", "canary-managed");
    scene.put_kms(Secret::managed(SecretType::Redis, "redis", &data));
    let mut managed = scene.object("redis", NEVER, &[("account", "redis")]);
    scene.apply(&managed).await.unwrap();
    scene.wait_value("redis", "account", &data).await;
    scene.wait_settled("redis").await;
    let before = scene.secret_as_it_is("redis").await;
    managed["spec"]["data"][0]["remoteRef"]["version"] = "v1".into();
    scene.apply(&managed).await.unwrap();
    let message = scene
        .wait_condition("redis", "Fresh", "False", "InvalidSpec")
        .await;
    assert!(message.contains("VersionOfManagedSecret"), "{message}");
    assert_eq!(scene.secret_as_it_is("redis").await, before);
}
