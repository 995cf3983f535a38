//! One of two operators leads; the other stands by, and takes over in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, watcher};
use serde_json::json;

use super::operator;
use super::pair::{Pair, lease};
use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::{SOON, until};
use super::world::World;

/// How long after the end of a leader another one leads.
const AFTER_SIGTERM: Duration = Duration::from_secs(2);
const AFTER_SIGKILL: Duration = Duration::from_secs(14);
/// How long a leader leads that cannot renew the Lease, and how long nobody else takes it.
const DEADLINE: Duration = Duration::from_secs(8);
const LEASE: Duration = Duration::from_secs(12);

/// What everything may take longer on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// A scene with objects `x0`, `x1` and so on, settled.
async fn settled<'w>(world: &'w World, prefix: &str, interval: &str, objects: usize) -> Scene<'w> {
    let scene = Scene::new(world, prefix).await;
    let names: Vec<String> = (0..objects).map(|n| format!("x{n}")).collect();
    let mut all = Vec::new();
    for name in &names {
        scene.put(name, "canary-0");
        all.push(scene.object(name, interval, &[("value", name)]));
    }
    scene.apply_all(&all).await;
    join_all(names.iter().map(|name| scene.wait_settled(name))).await;
    scene
}

/// Every Secret and the version of every object, as they are.
async fn everything(scene: &Scene<'_>) -> (Vec<Secret>, Vec<Option<String>>) {
    let list = <_>::default();
    let (mut secrets, objects) = (
        scene.secrets().list(&list).await.unwrap().items,
        scene.objects().list(&list).await.unwrap().items,
    );
    for secret in &mut secrets {
        secret.metadata.managed_fields = None;
    }
    let versions = objects.iter().map(ResourceExt::resource_version);
    (secrets, versions.collect())
}

/// When the cloud was asked, by whom says so in its session's name.
fn calls_of(scene: &Scene<'_>, session: &str) -> usize {
    let calls = scene.world.cloud.ledger().recent;
    let of = |name: &Option<String>| name.as_ref().is_some_and(|name| name.contains(session));
    calls.iter().filter(|call| of(&call.session)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_by_neither_calls_nor_writes_and_leads_two_seconds_after_a_sigterm() {
    let world = World::own().await;
    let scene = settled(&world, "standby", "10s", 20).await;
    // What it signs says who it is.
    let pair = Pair::beside(&world, &["--cluster-name=second-one"]).await;
    // The last events of the start are out by then.
    pair.never_both_lead(Duration::from_secs(6)).await;
    let before = everything(&scene).await;
    let writes = world.cluster.writes().await.unwrap();
    world.cloud.reset_ledger();
    pair.never_both_lead(Duration::from_secs(12)).await;
    let calls = world.cloud.ledger().recent;
    assert!(calls.len() > 1, "the leader reads");
    assert_eq!(calls_of(&scene, "second-one"), 0);
    let done = world.cluster.writes().await.unwrap().since(&writes);
    assert_eq!(done.total(), 0, "{done}");
    assert_eq!(everything(&scene).await, before);
    assert!(
        !pair
            .second
            .page("/metrics")
            .await
            .contains("cloudsecrets_objects{")
    );

    let old = pair.lease().await;
    let stopped = Timestamp::now();
    let Pair { first, second, .. } = pair;
    let (code, _) = first.stop();
    assert_eq!(code, Some(0));
    second.wait_leading(SOON).await;
    let home = world.account.namespace();
    let taken = lease(&Api::namespaced(scene.client.clone(), home)).await;
    assert_ne!(taken.holder_identity, old.holder_identity);
    let took = since(stopped, taken.acquire_time.unwrap().0);
    println!("another leads {took:?} after SIGTERM");
    assert!(took <= AFTER_SIGTERM + SLACK, "{took:?}");
    scene.put("x0", "canary-1");
    scene.wait_value("x0", "value", "canary-1").await;
    assert!(calls_of(&scene, "second-one") > 0, "now it calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_is_replaced_and_nothing_is_forgotten_read_early_or_written_anew() {
    let world = World::own().await;
    let (calm, brisk) = (
        settled(&world, "calm", NEVER, 20).await,
        settled(&world, "brisk", "10s", 20).await,
    );
    let pair = Pair::beside(&world, &[]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = (everything(&calm).await, everything(&brisk).await);
    let writes = world.cluster.writes().await.unwrap();
    let old = pair.lease().await;
    let killed = Timestamp::now();
    world.cloud.reset_ledger();
    let Pair { first, second, .. } = pair;
    first.kill();
    // Due while nobody leads, and not before.
    let reads = |scene: &Scene<'_>| -> BTreeMap<String, usize> {
        let mut reads = BTreeMap::new();
        for call in world.cloud.ledger().recent {
            for name in call
                .names
                .into_iter()
                .filter(|name| name.starts_with(&scene.key("")))
            {
                *reads.entry(name).or_default() += 1;
            }
        }
        reads
    };
    second.wait_leading(Duration::from_secs(30)).await;
    let home = world.account.namespace();
    let lease = lease(&Api::namespaced(calm.client.clone(), home)).await;
    let taken = lease.acquire_time.unwrap().0;
    let took = since(killed, taken);
    println!("another leads {took:?} after SIGKILL");
    assert!(took <= AFTER_SIGKILL + SLACK, "{took:?}");
    assert!(
        since(old.renew_time.unwrap().0, taken) >= LEASE,
        "too early"
    );
    assert_eq!(
        lease.lease_transitions,
        old.lease_transitions.map(|n| n + 1)
    );
    // Everything brisk fell due, and is read within half an interval.
    until(
        "what fell due",
        Duration::from_secs(5) + 2 * SLACK,
        async || {
            let all = reads(&brisk);
            if all.len() == 20 { Ok(()) } else { Err(all) }
        },
    )
    .await;
    let twice = reads(&brisk)
        .into_values()
        .filter(|times| *times > 1)
        .count();
    println!("{twice} of 20 came to their next slot meanwhile");
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(
        reads(&brisk).into_values().all(|times| times <= 3),
        "{:?}",
        reads(&brisk)
    );
    assert_eq!(reads(&calm), BTreeMap::new(), "read before their slot");
    let done = world.cluster.writes().await.unwrap().since(&writes);
    assert_eq!(
        done.without(&["serviceaccounts/token"]).total(),
        0,
        "{done}"
    );
    assert_eq!((everything(&calm).await, everything(&brisk).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_stopped_past_its_lease_writes_nothing_wrong_when_it_goes_on() {
    const OBJECTS: usize = 30;
    let world = World::own().await;
    let scene = settled(&world, "stopped", "10s", OBJECTS).await;
    let pair = Pair::beside(&world, &[]).await;
    let watched = tokio::spawn(only_newer_values(scene.secrets()));
    let mut number = 0;
    // Every few milliseconds a value changes and somebody asks for it, so that there is always a
    // write under way.
    let load = async |number: &mut usize, time: Duration| {
        let start = Instant::now();
        while start.elapsed() < time {
            *number += 1;
            let name = format!("x{}", *number % OBJECTS);
            scene.put(&name, &format!("canary-{number}"));
            scene.refresh(&name, &number.to_string()).await;
        }
    };
    load(&mut number, Duration::from_secs(3)).await;
    let old = pair.lease().await;
    pair.first.freeze();
    load(&mut number, LEASE + Duration::from_secs(5)).await;
    pair.taken_from(&old).await;
    load(&mut number, Duration::from_secs(3)).await;
    pair.first.thaw();
    load(&mut number, Duration::from_secs(3)).await;
    pair.never_both_lead(Duration::from_secs(3)).await;
    assert!(pair.second.leads().await && !pair.first.leads().await);
    // In the end every Secret holds what the cloud does.
    for object in 0..OBJECTS {
        let name = format!("x{object}");
        let last = (0..=number).rev().find(|n| n % OBJECTS == object).unwrap();
        scene
            .wait_value(&name, "value", &format!("canary-{last}"))
            .await;
        scene.wait_settled(&name).await;
        // Requests take turns: the last one may come after its value.
        scene.wait_handled(&name, &last.to_string()).await;
    }
    let before = everything(&scene).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(everything(&scene).await, before);
    assert!(!watched.is_finished(), "{:?}", watched.await);
    watched.abort();
    println!("{number} changes");
    let said = pair.first.log();
    assert!(
        said.contains("standing by") && said.contains("leading no more"),
        "{said}"
    );
}

/// Ends when a Secret gets an older value than it had.
async fn only_newer_values(secrets: Api<Secret>) -> String {
    let events = watcher(secrets, watcher::Config::default()).default_backoff();
    let mut events = std::pin::pin!(events.applied_objects().into_stream());
    let mut newest: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(event) = events.next().await {
        let Ok(secret) = event else { continue };
        let (name, data) = (secret.name_any(), secret.data.unwrap_or_default());
        let Some(value) = data.get("value") else {
            continue;
        };
        let text = String::from_utf8(value.0.clone()).unwrap();
        let number = text.trim_start_matches("canary-").parse().unwrap();
        let before = newest.insert(name.clone(), number).unwrap_or_default();
        if number < before {
            return format!("{name} went from {before} to {number}");
        }
    }
    "the watch ended".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_of_a_status_is_refused_by_the_version_it_was_decided_on() {
    let scene = settled(World::shared().await, "late", NEVER, 1).await;
    let decided_on = scene.objects().get("x0").await.unwrap();
    let patch = |version: Option<String>| {
        let meta = json!({ "uid": decided_on.uid(), "resourceVersion": version });
        Patch::Merge(
            json!({ "metadata": meta, "status": { "changedTime": "2001-01-01T00:00:00Z" } }),
        )
    };
    let write = async |version| {
        let params = PatchParams::default();
        let objects = scene.objects();
        objects.patch_status("x0", &params, &patch(version)).await
    };
    scene.put("x0", "canary-1");
    scene.refresh("x0", "1").await;
    scene.wait_handled("x0", "1").await;
    let before = everything(&scene).await;
    match write(decided_on.resource_version()).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 409),
        other => panic!("{other:?}"),
    }
    assert_eq!(everything(&scene).await, before);
    let latest = scene.version("x0").await;
    write(Some(latest)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leads_while_the_api_server_hangs_and_one_does_when_it_goes_on() {
    let world = World::own().await;
    let scene = settled(&world, "hangs", "10s", 10).await;
    let pair = Pair::beside(&world, &[]).await;
    pair.never_both_lead(Duration::from_secs(3)).await;
    let before = everything(&scene).await;
    let writes = world.cluster.writes().await.unwrap();
    let processes = world.cluster.process_ids().await;
    let server = processes.iter().find(|(name, _)| *name == "kube-apiserver");
    let server = server.unwrap().1.to_string();
    operator::send("STOP", &server);
    let stopped = Instant::now();
    until("the end of its leading", DEADLINE + SLACK, async || {
        if pair.first.leads().await {
            Err("it leads")
        } else {
            Ok(())
        }
    })
    .await;
    println!(
        "it stopped leading {:?} after the API server hung",
        stopped.elapsed()
    );
    world.cloud.reset_ledger();
    scene.put("x0", "canary-1");
    pair.never_both_lead(LEASE).await;
    assert_eq!(world.cloud.ledger().recent.len(), 0, "nobody calls");
    operator::send("CONT", &server);
    scene.wait_value("x0", "value", "canary-1").await;
    pair.never_both_lead(Duration::from_secs(3)).await;
    let leaders = [pair.first.leads().await, pair.second.leads().await];
    assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
    let done = world.cluster.writes().await.unwrap().since(&writes);
    assert_eq!(done.of("secrets"), 1, "{done}");
    let after = everything(&scene).await;
    let same = before
        .0
        .iter()
        .zip(&after.0)
        .filter(|(a, b)| a == b)
        .count();
    assert_eq!(same, 9, "all but the one that changed");
    for operator in [pair.first, pair.second] {
        assert_eq!(operator.stop().0, Some(0), "the same processes");
    }
}
