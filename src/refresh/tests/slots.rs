//! When rows are read.

use std::collections::BTreeMap;

use super::super::schedule::{Slots, until};
use super::world::*;
use super::*;

const INTERVAL: Duration = Duration::from_secs(100);

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_that_name_one_reference_cost_one_call_an_interval() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..1_000 {
        let needs = vec![need(&origin, "one", INTERVAL)];
        assert!(world.hub.subscribe(&object(&format!("o{n}")), needs));
    }
    assert_eq!(world.hub.figures().rows, 1);
    world.pass(INTERVAL * 5).await;
    assert_eq!(cloud.take_calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_references_cost_a_hundred_calls_an_interval_each_read_once_and_on_time() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..1_000 {
        let needs = vec![need(&origin, &format!("k{n}"), INTERVAL)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
    let began = world.wall();
    world.pass(INTERVAL / 2).await;
    cloud.take_calls();
    let mut last: BTreeMap<String, Duration> = BTreeMap::new();
    for _ in 0..4 {
        world.pass(INTERVAL).await;
        let calls = cloud.take_calls();
        assert_eq!(calls.len(), 100);
        let mut reads = 0;
        for call in calls {
            for key in call.keys {
                reads += 1;
                let slot = slot_near(&world, &origin, &key, began, call.at);
                let early = slot.saturating_sub(call.at);
                assert!(early <= INTERVAL / 10, "{key} was read {early:?} early");
                let late = call.at.saturating_sub(slot);
                assert!(late < SECOND, "{key} was read {late:?} late");
                let gap = last
                    .insert(key, call.at)
                    .map_or(INTERVAL, |at| call.at - at);
                assert!(gap >= INTERVAL * 9 / 10 && gap <= INTERVAL * 11 / 10);
            }
        }
        assert_eq!((reads, last.len()), (1_000, 1_000));
    }
}

/// The slot of `key` that a read at `at` was for, as time since the start.
fn slot_near(
    world: &World,
    origin: &Origin,
    key: &str,
    began: jiff::Timestamp,
    at: Duration,
) -> Duration {
    let hash = reference::digest(&world.key, origin, &RemoteKey::named(key));
    let slots = Slots::new(
        INTERVAL,
        u64::from_be_bytes(hash.as_bytes()[..8].try_into().unwrap()),
    );
    let shortly_before = began + at - INTERVAL / 2;
    until(began, slots.next_after(shortly_before))
}

#[tokio::test(start_paused = true)]
async fn versioned_reads_travel_alone() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..40 {
        let mut need = need(&origin, &format!("k{n}"), INTERVAL);
        need.key.version = (n % 2 == 0).then(|| "1".to_owned());
        world.hub.subscribe(&object(&format!("o{n}")), vec![need]);
    }
    world.pass(INTERVAL * 3).await;
    let reads = cloud.take_reads();
    // The edges of the time may cut a tenth of an interval off, or let it in.
    assert_eq!(reads.len(), 40);
    assert!(reads.values().all(|n| (2..=4).contains(n)), "{reads:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_row_waits_for_its_slot_when_nobody_joins() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..100 {
        let needs = vec![need(&origin, &format!("k{n}"), HOUR)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
    world.pass(MINUTE).await;
    assert!(cloud.take_calls().len() < 5);
    world.pass(HOUR - MINUTE).await;
    assert!(cloud.take_calls().len() >= 10);
}

#[tokio::test(start_paused = true)]
async fn subscribing_again_moves_nothing_and_costs_nothing() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let needs = || vec![need(&origin, "a", INTERVAL), need(&origin, "b", INTERVAL)];
    assert!(world.hub.subscribe(&object("o"), needs()));
    world.settle(&object("o")).await;
    cloud.take_calls();
    for _ in 0..500 {
        assert!(!world.hub.subscribe(&object("o"), needs()));
        world.pass(SECOND).await;
    }
    assert!(cloud.take_reads().values().all(|reads| *reads == 5));
}

#[tokio::test(start_paused = true)]
async fn the_shortest_interval_rules_until_it_leaves() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let long = INTERVAL * 10;
    world
        .hub
        .subscribe(&object("slow"), vec![need(&origin, "a", long)]);
    world.pass(long).await;
    assert_eq!(cloud.take_calls().len(), 1);
    world
        .hub
        .subscribe(&object("fast"), vec![need(&origin, "a", INTERVAL)]);
    assert_eq!(
        cloud.take_calls().len(),
        0,
        "a shorter interval waits for its slot"
    );
    world.pass(long).await;
    assert_eq!(cloud.take_calls().len(), 10);
    world.hub.unsubscribe(&object("fast"));
    world.pass(long * 3).await;
    assert_eq!(cloud.take_calls().len(), 3);
    world
        .hub
        .subscribe(&object("slow"), vec![need(&origin, "a", INTERVAL)]);
    world.pass(long).await;
    assert_eq!(cloud.take_calls().len(), 10);
    world
        .hub
        .subscribe(&object("slow"), vec![need(&origin, "a", long)]);
    world.pass(long * 3).await;
    assert_eq!(cloud.take_calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn many_rows_with_a_shorter_interval_do_not_leave_at_once() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let subscribe = |interval| {
        for n in 0..1_000 {
            let needs = vec![need(&origin, &format!("k{n}"), interval)];
            world.hub.subscribe(&object(&format!("o{n}")), needs);
        }
    };
    subscribe(HOUR);
    world.pass(HOUR * 2).await;
    cloud.take_calls();
    subscribe(INTERVAL);
    world.pass(INTERVAL / 10).await;
    assert!(
        cloud.take_calls().len() <= 22,
        "a tenth, topped up by a tenth"
    );
    world.pass(INTERVAL * 9 / 10).await;
    assert!(cloud.take_calls().len() <= 100);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_nobody_needs_goes_with_its_group_and_its_memory() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..100 {
        let needs = vec![need(&origin, &format!("k{}", n / 2), INTERVAL)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
    for n in 0..100 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND).await;
    assert!(world.hub.figures().held_bytes > 0);
    for n in 0..100 {
        let _ = world.hub.join(
            &object(&format!("o{n}")),
            Join {
                anew: Some(1),
                retry: false,
            },
        );
        world.hub.unsubscribe(&object(&format!("o{n}")));
    }
    world.pass(SECOND).await;
    assert_eq!(world.hub.figures(), HubFigures::default());
    world.hub.check_empty();
    cloud.take_calls();
    world.pass(HOUR).await;
    assert_eq!(cloud.take_calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_rotates_is_read_once_more_shortly_after() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let rotation = world.wall() + jiff::SignedDuration::from_mins(10);
    for n in 0..20 {
        let key = format!("k{n}");
        cloud.set(&key, Script::Rotates(rotation));
        let name = object(&key);
        world
            .hub
            .subscribe(&name, vec![need(&origin, &key, HOUR * 24)]);
        let _ = world.hub.join(&name, Join::default());
    }
    world.pass(MINUTE).await;
    cloud.take_calls();
    world.pass(MINUTE * 9).await;
    assert_eq!(cloud.take_calls().len(), 0, "not before it rotates");
    world.pass(SECOND).await;
    let began = world.start.elapsed();
    world.pass(SECOND * 5).await;
    let calls = cloud.take_calls();
    assert!(calls.iter().all(|call| call.at + SECOND / 10 >= began));
    let reads: usize = calls.iter().map(|call| call.keys.len()).sum();
    assert_eq!(reads, 20, "each once");
    world.pass(HOUR).await;
    assert_eq!(cloud.take_calls().len(), 0, "and not again for that");
}
