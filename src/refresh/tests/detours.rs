//! Reads of several calls: each call leaves by its own quota, and none waits for another's.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::time::Instant;

use super::stepwise::{DESCRIBE, NEWEST, PAIR, READ, Stepwise};
use super::world::*;
use super::*;

/// The part of every quota that is used.
const SHARE: f64 = 0.2;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

/// One object for each name, which waits for it.
fn crowd(world: &World, origin: &Arc<Origin>, names: &[String], interval: Duration) {
    for name in names {
        world
            .hub
            .subscribe(&object(name), vec![need(origin, name, interval)]);
        let _ = world.hub.join(&object(name), Join::default());
    }
}

fn counts(calls: &[(Duration, &'static str)]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (_, action) in calls {
        *counts.entry(*action).or_default() += 1;
    }
    counts
}

/// No second sees more calls of an action than its share, and the burst that a budget allows.
fn assert_within_quotas(calls: &[(Duration, &'static str)]) {
    for (action, per_second) in [DESCRIBE, NEWEST, READ, PAIR] {
        let share = f64::from(per_second) * SHARE;
        let times: Vec<Duration> = calls
            .iter()
            .filter(|(_, called)| *called == action)
            .map(|(at, _)| *at)
            .collect();
        for (i, first) in times.iter().enumerate() {
            let second = times[i..].iter().take_while(|at| **at < *first + SECOND);
            let most = share + (share * 0.1).max(1.0) + 1.0;
            let seen = u32::try_from(second.count()).unwrap();
            assert!(f64::from(seen) <= most, "{seen} {action} in a second");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_of_a_read_is_counted_by_its_own_quota() {
    let world = World::new();
    let cloud = Stepwise::new(world.start);
    let origin = world.origin_at(cloud.clone(), "id");
    for (prefix, count) in [("c", 40), ("m", 40), ("p", 20)] {
        crowd(&world, &origin, &names(prefix, count), HOUR);
    }
    world.pass(SECOND * 30).await;
    let calls = cloud.take_calls();
    assert_within_quotas(&calls);
    let expected = [
        ("describe", 100),
        ("newest", 40),
        ("pair", 20),
        ("read", 80),
    ];
    assert_eq!(counts(&calls), BTreeMap::from(expected));
    for name in ["c-0", "m-39", "p-19"] {
        let answers = world.collect(&object(name), Join::default()).await;
        assert!(answers[0].is_ok(), "{name}");
    }
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn in_steady_state_a_plain_reference_costs_a_call_and_one_with_versions_two() {
    let world = World::new();
    let cloud = Stepwise::new(world.start);
    let origin = world.origin_at(cloud.clone(), "id");
    for (prefix, count) in [("c", 1_000), ("m", 1_000)] {
        for name in names(prefix, count) {
            world
                .hub
                .subscribe(&object(&name), vec![need(&origin, &name, HOUR)]);
        }
    }
    world.pass(HOUR * 2).await;
    assert_within_quotas(&cloud.take_calls());
    world.pass(HOUR).await;
    let calls = cloud.take_calls();
    assert_within_quotas(&calls);
    let expected = [("newest", 1_000), ("read", 2_000)];
    assert_eq!(counts(&calls), BTreeMap::from(expected));
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn what_is_plain_does_not_wait_behind_what_is_not() {
    let world = World::new();
    let cloud = Stepwise::new(world.start);
    let origin = world.origin_at(cloud.clone(), "id");
    crowd(&world, &origin, &names("c", 500), HOUR);
    world.pass(SECOND).await;
    let mut pinned = need(&origin, "c-1", HOUR);
    pinned.key.version = Some("v1".to_owned());
    world.hub.subscribe(&object("pinned"), vec![pinned]);
    let asked = Instant::now();
    world.collect(&object("pinned"), Join::default()).await;
    assert!(asked.elapsed() < Duration::from_millis(100));
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn what_a_store_allows_holds_for_all_its_calls_together() {
    let world = World::new();
    let cloud = Stepwise::new(world.start);
    let origin = world.origin_at(cloud.clone(), "id");
    for name in ["c", "m", "p"].iter().flat_map(|prefix| names(prefix, 60)) {
        let mut need = need(&origin, &name, HOUR);
        need.limits = StoreLimits {
            per_second: Some(3),
            in_flight: Some(1),
        };
        world.hub.subscribe(&object(&name), vec![need]);
        let _ = world.hub.join(&object(&name), Join::default());
    }
    world.pass(SECOND * 20).await;
    let calls = cloud.take_calls().len();
    assert!((58..=62).contains(&calls), "{calls} calls in 20 s");
    assert_eq!(cloud.in_flight.lock().unwrap().1, 1);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_person_who_asks_gets_the_version_that_is_the_newest_then() {
    let world = World::new();
    let cloud = Stepwise::new(world.start);
    *cloud.latency.lock().unwrap() = SECOND;
    let origin = world.origin_at(cloud.clone(), "id");
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "c-1", HOUR)]);
    world.collect(&object("o"), Join::default()).await;
    let anew = |n| Join {
        anew: Some(n),
        retry: false,
    };
    // The newest version is asked for, and before it is read there is a newer one.
    let _ = world.hub.join(&object("o"), anew(1));
    world.pass(SECOND + SECOND / 2).await;
    *cloud.version.lock().unwrap() = 2;
    let answers = world.collect(&object("o"), anew(2)).await;
    assert_eq!(texts(&answers), ["c-1 Some(2)"]);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_learn_is_the_rows_and_over_when_it_is() {
    let mut world = World::new();
    let cloud = Stepwise::new(world.start);
    let origin = world.origin_at(cloud.clone(), "id");
    for (action, _) in [DESCRIBE, NEWEST] {
        *cloud.fails.lock().unwrap() = Some((action, Class::Denied));
        let name = format!("c-{action}");
        world
            .hub
            .subscribe(&object(&name), vec![need(&origin, &name, MINUTE)]);
        let answers = world.collect(&object(&name), Join::default()).await;
        assert_eq!(texts(&answers), ["Scripted"]);
        *cloud.fails.lock().unwrap() = None;
        world.wakes();
        world.pass(MINUTE * 3).await;
        assert!(world.wakes().contains(&name), "it was read after all");
        world.hub.unsubscribe(&object(&name));
    }
    world.hub.check_empty();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_action_slows_no_other() {
    let world = World::new();
    let cloud = Stepwise::new(world.start);
    let origin = world.origin_at(cloud.clone(), "id");
    *cloud.fails.lock().unwrap() = Some(("newest", Class::Throttled));
    crowd(&world, &origin, &names("c", 3), HOUR);
    world.pass(SECOND * 2).await;
    assert_eq!(world.hub.figures().slowed, 1);
    let asked = Instant::now();
    for name in names("m", 8) {
        let mut pinned = need(&origin, &name, HOUR);
        pinned.key.version = Some("v1".to_owned());
        world.hub.subscribe(&object(&name), vec![pinned]);
        world.collect(&object(&name), Join::default()).await;
    }
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    world.hub.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_read_no_action_exceeds_its_share(
        population in prop::collection::vec((0_usize..4, 1_usize..40, 10_u64..120), 1..8),
        latency in 1_u64..3_000,
        leave in prop::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = World::new();
            let cloud = Stepwise::new(world.start);
            *cloud.latency.lock().unwrap() = Duration::from_millis(latency);
            let origin = world.origin_at(cloud.clone(), "id");
            let mut all = Vec::new();
            for (n, (kind, count, interval)) in population.iter().enumerate() {
                let prefix = format!("{}-{n}", ["c", "m", "p", "c"][*kind]);
                let names = names(&prefix, *count);
                for name in &names {
                    let mut need = need(&origin, name, Duration::from_secs(*interval));
                    need.key.version = (*kind == 3).then(|| "v1".to_owned());
                    world.hub.subscribe(&object(name), vec![need]);
                    if n % 2 == 0 {
                        let _ = world.hub.join(&object(name), Join::default());
                    }
                }
                all.extend(names);
                world.pass(SECOND * 7).await;
                world.hub.check();
            }
            world.pass(MINUTE * 3).await;
            world.hub.check();
            if leave {
                for name in &all {
                    world.hub.unsubscribe(&object(name));
                }
                world.pass(MINUTE).await;
                world.hub.check_empty();
            }
            let calls = cloud.take_calls();
            assert_within_quotas(&calls);
        });
    }
}
