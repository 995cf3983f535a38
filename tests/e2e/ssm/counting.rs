//! What a thousand references of SSM cost, counted where the calls arrive, whose quotas are the real ones.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudsim::tencent::SecretType;
use cloudsim::{Call, Filter};
use kube::api::ListParams;
use serde_json::Value;

use crate::scene::Scene;
use crate::wait::until;
use crate::world::World;

const REFERENCES: usize = 1_000;
/// References of each object, as many in all.
const ENTRIES: usize = 25;
/// Long enough for a thousand lists of versions within their quota.
const INTERVAL: &str = "40s";
const SECONDS: i64 = 40;
/// Full intervals that are counted.
const INTERVALS: usize = 2;

async fn converged(scene: &Scene<'_>, objects: usize) {
    until("all objects", Duration::from_mins(4), async || {
        let list = scene.objects().list(&ListParams::default()).await.unwrap();
        let all = |object: &external_cloud_secrets::api::ExternalCloudSecret| {
            let conditions = object.status.iter().flat_map(|status| &status.conditions);
            conditions
                .filter(|condition| condition.status == "True")
                .count()
                == 2
        };
        match list.iter().filter(|object| all(object)).count() {
            some if some == objects => Ok(()),
            some => Err(some),
        }
    })
    .await;
}

/// The objects that read these, by 25.
fn readers(scene: &Scene<'_>, prefix: &str, pinned: bool) -> Vec<Value> {
    let object = |number: usize| {
        let names: Vec<String> = (0..ENTRIES)
            .map(|n| format!("{prefix}{}", number * ENTRIES + n))
            .collect();
        let entries: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
        let mut object = scene.object(&format!("{prefix}x{number}"), INTERVAL, &entries);
        for entry in object["spec"]["data"].as_array_mut().unwrap() {
            if pinned {
                entry["remoteRef"]["version"] = "SSM_Current".into();
            }
        }
        object
    };
    (0..REFERENCES / ENTRIES).map(object).collect()
}

fn calls(scene: &Scene<'_>, action: &str) -> u64 {
    let filter = Filter {
        action: Some(action.to_owned()),
        ..Filter::service("ssm")
    };
    scene.cloud.ledger_of(&filter).total
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_references_cost_a_call_each_and_two_where_versions_are_looked_for() {
    let world = World::own_with(&["--quota-share=0.9"], &[]).await;
    let scene = Scene::ssm(&world, "counting").await;
    for n in 0..REFERENCES {
        let kind = if n % 2 == 0 {
            SecretType::Product
        } else {
            SecretType::Custom
        };
        scene.put_current(&format!("plain{n}"), kind, "canary-plain");
        scene.put_ssm(&format!("custom{n}"), "canary-custom");
    }
    scene.put_current("one", SecretType::Product, "canary-one");
    let one: Vec<Value> = (0..REFERENCES)
        .map(|n| scene.object(&format!("one{n}"), INTERVAL, &[("password", "one")]))
        .collect();
    // Half of those that cost one call are rotated by SSM, and half are pinned.
    let mut objects = readers(&scene, "plain", false);
    for object in &mut objects {
        for entry in object["spec"]["data"].as_array_mut().unwrap() {
            let key = entry["remoteRef"]["key"].as_str().unwrap();
            let number: usize = key.rsplit("plain").next().unwrap().parse().unwrap();
            if number % 2 == 1 {
                entry["remoteRef"]["version"] = "SSM_Current".into();
            }
        }
    }
    objects.extend(readers(&scene, "custom", false));
    objects.extend(one);
    for some in objects.chunks(64) {
        scene.apply_all(some).await;
    }
    converged(&scene, objects.len()).await;
    let described = calls(&scene, "DescribeSecret");
    assert_eq!(
        described, 1_501,
        "each that is not pinned is described once"
    );
    // An interval more, so that every row has come to its own slot.
    let rounds = INTERVALS + 1;
    let start = jiff::Timestamp::now();
    let time = Duration::from_secs(SECONDS.unsigned_abs()) * u32::try_from(rounds).unwrap();
    until("some intervals", time * 2, async || {
        let passed = jiff::Timestamp::now().duration_since(start);
        if passed >= jiff::SignedDuration::try_from(time).unwrap() {
            Ok(())
        } else {
            Err(passed)
        }
    })
    .await;
    let end = jiff::Timestamp::now();
    let counted = SECONDS * i64::try_from(INTERVALS).unwrap();
    let from = end
        .checked_sub(jiff::SignedDuration::from_secs(counted))
        .unwrap();
    let recent = scene.cloud.ledger_of(&Filter::service("ssm")).recent;
    assert!(
        recent[0].at < from,
        "the ledger remembers the time that is counted"
    );
    let within: Vec<&Call> = recent.iter().filter(|call| call.at >= from).collect();
    let mut times: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
    for call in &within {
        assert_eq!(call.outcome, "OK", "no quota was exceeded");
        let kind = call.names[0].trim_end_matches(|c: char| c.is_ascii_digit());
        let kind = kind.rsplit('-').next().unwrap().to_owned();
        let at = call.at.as_millisecond();
        times
            .entry((kind, call.action.clone()))
            .or_default()
            .push(at);
    }
    let per_interval: BTreeMap<(&str, &str), f64> = times
        .iter()
        .map(|((kind, action), at)| ((&**kind, &**action), at.len() as f64 / INTERVALS as f64))
        .collect();
    let expected = [
        (("custom", "GetSecretValue"), 1_000.0),
        (("custom", "ListSecretVersionIds"), 1_000.0),
        (("one", "GetSecretValue"), 1.0),
        (("plain", "GetSecretValue"), 1_000.0),
    ];
    assert_eq!(per_interval.len(), expected.len(), "{per_interval:?}");
    for ((key, told), (expected_key, calls)) in per_interval.iter().zip(expected) {
        assert_eq!(*key, expected_key);
        // A slot at either end may be served a moment before or after it.
        assert!(
            (told - calls).abs() <= calls * 0.02 + 0.5,
            "{per_interval:?}"
        );
    }
    let refused = Filter {
        outcome: Some("RequestLimitExceeded".to_owned()),
        ..Filter::service("ssm")
    };
    assert_eq!(
        scene.cloud.ledger_of(&refused).total,
        0,
        "never above a quota"
    );
}
