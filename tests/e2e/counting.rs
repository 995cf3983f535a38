//! What a thousand references cost: calls to the cloud, and writes to the API server. Everything is
//! counted where it arrives.

use std::collections::HashMap;
use std::time::Duration;

use cloudsim::{Call, Filter};
use devcluster::Writes;
use futures::{StreamExt, stream};
use kube::api::ListParams;
use serde_json::Value;

use super::scene::Scene;
use super::wait::until;
use super::world::World;

const OBJECTS: usize = 1_000;
/// References of each object that reads KMS, of as many in all.
const ENTRIES: usize = 25;
/// Long enough for a slot's early part to hold ten rows, short enough for a test.
const INTERVAL: &str = "10s";
const SECONDS: u64 = 10;
/// Full intervals that are counted.
const INTERVALS: usize = 3;
/// How often they are counted at most.
const LOOKS: usize = 4;

/// Applies objects, 32 at a time.
async fn apply(scene: &Scene<'_>, objects: Vec<Value>) {
    stream::iter(objects)
        .for_each_concurrent(32, async |object| scene.apply(&object).await.unwrap())
        .await;
}

/// Waits until as many objects of the scene are fresh.
async fn converged(scene: &Scene<'_>, objects: usize) {
    until("all objects", Duration::from_secs(90), async || {
        let list = scene.objects().list(&ListParams::default()).await.unwrap();
        let fresh = |object: &external_cloud_secrets::api::ExternalCloudSecret| {
            let conditions = object.status.iter().flat_map(|status| &status.conditions);
            conditions
                .filter(|condition| condition.status == "True")
                .count()
                == 2
        };
        match list.iter().filter(|o| fresh(o)).count() {
            all if all == objects => Ok(()),
            some => Err(some),
        }
    })
    .await;
}

/// Waits until the events of the first convergence are out, which have a slow pace of their own,
/// and returns what was written up to then.
async fn last_events(world: &World) -> Writes {
    let mut before = world.cluster.writes().await.unwrap();
    until("the last event", Duration::from_mins(1), async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = world.cluster.writes().await.unwrap();
        match std::mem::replace(&mut before, now.clone()) {
            earlier if earlier.of("events") == now.of("events") => Ok(now),
            earlier => Err(now.since(&earlier).to_string()),
        }
    })
    .await
}

/// The scene's reads, oldest first.
fn reads(scene: &Scene<'_>) -> Vec<Call> {
    let principal = format!("{}-reader", scene.namespace);
    let filter = Filter::service(scene.service.name()).principal(&principal);
    scene.cloud.ledger_of(&filter).recent
}

/// Objects of the scene that read as many distinct secrets of KMS as there are objects elsewhere.
fn readers_of_secrets(scene: &Scene<'_>) -> Vec<Value> {
    let object = |number| {
        let names: Vec<String> = (0..ENTRIES).map(|n| format!("s{number}-{n}")).collect();
        let entries: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
        for name in &names {
            scene.put(name, "canary-secret");
        }
        scene.object(&format!("x{number}"), INTERVAL, &entries)
    };
    (0..OBJECTS / ENTRIES).map(object).collect()
}

/// Whether each of the scene's references was read once in every interval, by calls that were full.
fn each_once_in_full_calls(scene: &Scene<'_>, batch: usize) -> Result<(), String> {
    let calls = reads(scene);
    let intervals = intervals(&calls);
    if intervals.len() < INTERVALS {
        return Err(format!("{} intervals", intervals.len()));
    }
    for interval in intervals {
        let mut asked: HashMap<&str, usize> = HashMap::new();
        for name in interval.iter().flat_map(|call| &call.names) {
            *asked.entry(name).or_default() += 1;
        }
        let twice = asked.values().filter(|times| **times > 1).count();
        let is = (interval.len(), asked.len(), twice);
        if is != (OBJECTS / batch, OBJECTS, 0) {
            return Err(format!("{is:?} calls, names, names read twice"));
        }
    }
    Ok(())
}

/// Whether the one reference of the scene was read once in every interval.
fn one_call_an_interval(scene: &Scene<'_>) -> Result<(), String> {
    let calls = reads(scene);
    let apart = |pair: &[Call]| pair[1].at.duration_since(pair[0].at).as_millis();
    let intervals: Vec<i128> = calls.windows(2).map(apart).collect();
    let wanted = i128::from(SECONDS) * 1_000;
    let even = intervals.iter().all(|apart| (apart - wanted).abs() < 1_000);
    if even && (INTERVALS..=INTERVALS + 1).contains(&intervals.len()) {
        return Ok(());
    }
    Err(format!("calls {intervals:?} ms apart"))
}

/// Cuts calls into full intervals in the middle of the longest pause, which comes at the same time in
/// each, so that neither lateness nor two calls that change places count a call to the wrong one.
fn intervals(calls: &[Call]) -> Vec<&[Call]> {
    let length = jiff::SignedDuration::from_secs(SECONDS.cast_signed());
    let first = calls[0].at;
    let pause = |pair: &&[Call]| pair[1].at.duration_since(pair[0].at);
    let in_first = |pair: &&[Call]| pair[1].at.duration_since(first) < length;
    let longest = calls.windows(2).filter(in_first).max_by_key(pause).unwrap();
    let cut = longest[0].at + pause(&longest) / 2;
    let number = |call: &Call| {
        call.at
            .duration_since(cut)
            .as_nanos()
            .div_euclid(length.as_nanos())
    };
    let last = number(&calls[calls.len() - 1]);
    calls
        .chunk_by(|one, next| number(one) == number(next))
        .filter(|chunk| (0..last).contains(&number(&chunk[0])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_references_cost_a_call_for_ten_parameters_or_twenty_secrets_and_no_write() {
    let world = World::own().await;
    let (one, each, kms) = (
        Scene::new(&world, "one").await,
        Scene::new(&world, "each").await,
        Scene::kms(&world, "kms").await,
    );
    one.put("shared", "canary-shared");
    let mut same = Vec::with_capacity(OBJECTS);
    let mut distinct = Vec::with_capacity(OBJECTS);
    for number in 0..OBJECTS {
        let name = format!("x{number}");
        each.put(&name, "canary-each");
        same.push(one.object(&name, INTERVAL, &[("value", "shared")]));
        distinct.push(each.object(&name, INTERVAL, &[("value", &name)]));
    }
    let secrets = readers_of_secrets(&kms);
    let many = secrets.len();
    let before = world.cluster.writes().await.unwrap();
    tokio::join!(
        apply(&one, same),
        apply(&each, distinct),
        apply(&kms, secrets)
    );
    tokio::join!(
        converged(&one, OBJECTS),
        converged(&each, OBJECTS),
        converged(&kms, many)
    );

    // Cold: each object costs one POST of its Secret and one PATCH of its status.
    let cold = world.cluster.writes().await.unwrap().since(&before);
    println!("cold convergence: {cold}");
    let objects = (2 * OBJECTS + many) as u64;
    assert_eq!(cold.of("secrets"), objects, "{cold}");
    assert_eq!(cold.of("externalcloudsecrets/status"), objects, "{cold}");

    // The first slots are uneven, because some were satisfied by the first reads.
    tokio::time::sleep(Duration::from_secs(2 * SECONDS)).await;
    let settled = last_events(&world).await;
    let events = settled.since(&before).of("events");
    println!("{events} events");
    assert!(events < objects / 10, "{events} events");
    // A machine that stands still for seconds regroups what fell due meanwhile: of several looks, one
    // has to see the plain case.
    let mut seen = Vec::new();
    let plain = loop {
        world.cloud.reset_ledger();
        tokio::time::sleep(Duration::from_secs(SECONDS * (INTERVALS as u64 + 1) + 2)).await;
        let look = each_once_in_full_calls(&each, 10)
            .and_then(|()| each_once_in_full_calls(&kms, 20))
            .and_then(|()| one_call_an_interval(&one));
        let plain = look.is_ok();
        seen.push(look);
        if plain || seen.len() == LOOKS {
            break plain;
        }
    };
    assert!(plain, "{seen:?}");

    let steady = world.cluster.writes().await.unwrap().since(&settled);
    assert_eq!(steady.total(), 0, "{steady}");
}
