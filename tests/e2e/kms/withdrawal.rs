//! A batch call that is taken away while it is in use.

use std::time::Duration;

use cloudsim::{AttachedPolicy, Batch};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::scene::Scene;
use crate::wait::{SOON, until};
use crate::world::World;

/// More than a batch, and less than two.
const SECRETS: usize = 25;
/// Where a slot had passed without a read, two reads would be this far apart: two intervals of ten
/// seconds, less the second by which a read may be early.
const MISSED: i64 = 19_000;

/// How it is taken away.
#[derive(Clone, Copy)]
enum Way {
    /// The gateway does not know it any more.
    Refused(Batch),
    /// The role may not use it any more, for any secret.
    Forbidden,
}

fn names() -> Vec<String> {
    (0..SECRETS).map(|n| format!("s{n}")).collect()
}

/// A scene whose objects have settled, in a cloud of its own.
async fn settled<'w>(world: &'w World, prefix: &str) -> Scene<'w> {
    let cloud = world.another_cloud().await;
    let scene = Scene::at(world, prefix, Service::Kms, cloud).await;
    let mut objects: Vec<Value> = Vec::new();
    for name in &names() {
        scene.put(name, "canary-old");
        objects.push(scene.object(name, "10s", &[("value", name)]));
    }
    scene.apply_all(&objects).await;
    join_all(names().iter().map(|name| scene.wait_settled(name))).await;
    scene
}

fn withdraw(scene: &Scene<'_>, way: Way) {
    match way {
        Way::Refused(batch) => scene.cloud.set_batch(batch),
        Way::Forbidden => {
            let deny =
                json!({ "Effect": "Deny", "Action": "kms:BatchGetSecretValue", "Resource": "*" });
            let policy = AttachedPolicy {
                principal: format!("role/{}-reader", scene.namespace),
                document: json!({ "Version": "1", "Statement": [deny] }),
            };
            scene.cloud.put_policy(&policy).unwrap();
        }
    }
}

/// When each read of a secret was answered with its value, in milliseconds.
fn read_at(scene: &Scene<'_>, name: &str) -> Vec<i64> {
    let reads = scene.reads(name).into_iter();
    let good = reads.filter(|call| call.outcome == "OK");
    good.map(|call| call.at.as_millisecond()).collect()
}

async fn goes_on(world: &World, prefix: &str, way: Way) {
    let scene = settled(world, prefix).await;
    let names = names();
    let secrets = join_all(names.iter().map(|name| scene.secret_as_it_is(name))).await;
    let versions = join_all(names.iter().map(|name| scene.version(name))).await;
    let batched = |scene: &Scene<'_>| {
        let calls = scene
            .cloud
            .ledger_of(&cloudsim::Filter::action("BatchGetSecretValue"));
        calls.recent.last().map(|call| call.outcome.clone())
    };
    assert_eq!(
        batched(&scene).as_deref(),
        Some("OK"),
        "{prefix}: it was not in use"
    );

    withdraw(&scene, way);
    // Each is read again at its slot, and nothing is written: neither Secrets nor status.
    let reads: Vec<usize> = names
        .iter()
        .map(|name| read_at(&scene, name).len())
        .collect();
    until("a read of each", SOON, async || {
        let read = |(name, before): (&String, &usize)| read_at(&scene, name).len() > *before;
        let waiting = names.iter().zip(&reads).filter(|pair| !read(*pair)).count();
        if waiting == 0 { Ok(()) } else { Err(waiting) }
    })
    .await;
    assert_ne!(
        batched(&scene).as_deref(),
        Some("OK"),
        "{prefix}: it was not refused"
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    for ((name, secret), version) in names.iter().zip(&secrets).zip(&versions) {
        assert_eq!(&scene.secret_as_it_is(name).await, secret, "{prefix}");
        assert_eq!(&scene.version(name).await, version, "{prefix}");
    }
    // And what is rotated from then on arrives.
    for name in &names {
        scene.put(name, "canary-new");
    }
    for name in &names {
        scene.wait_value(name, "value", "canary-new").await;
        let times = read_at(&scene, name);
        let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps.iter().all(|gap| *gap < MISSED),
            "{prefix}: {gaps:?} ms apart"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_call_that_is_withdrawn_in_mid_run_loses_no_refresh_and_touches_no_secret() {
    let world = World::kms().await;
    tokio::join!(
        goes_on(world, "noapi", Way::Refused(Batch::ApiNotFound)),
        goes_on(world, "noaction", Way::Refused(Batch::ActionNotFound)),
        goes_on(world, "unsupported", Way::Refused(Batch::Unsupported)),
        goes_on(world, "nobatch", Way::Forbidden),
    );
    let metrics = world.metrics().await;
    let counted = |line: &&str| line.starts_with("cloudsecrets_batch_fallbacks_total{");
    let fallbacks: Vec<&str> = metrics.lines().filter(counted).collect();
    let kms = fallbacks
        .iter()
        .find(|line| line.contains("provider=\"kms\""));
    let count: f64 = kms.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count >= 4.0, "{fallbacks:?}");
}
