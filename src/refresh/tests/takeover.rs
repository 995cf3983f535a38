//! What is read after a time in which nobody read, and what is told to the next who begins so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::schedule::{Slots, until};
use super::world::*;
use super::*;

const ROWS: usize = 1_000;
const HALF: Duration = Duration::from_mins(30);

fn ago(world: &World, time: Duration) -> Timestamp {
    world.wall() - SignedDuration::try_from(time).unwrap()
}

fn subscribe(world: &World, origin: &Arc<Origin>, interval: Duration) {
    for n in 0..ROWS {
        let needs = vec![need(origin, &format!("k{n}"), interval)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
}

/// How long before now each row had its last slot.
fn missed_by(world: &World, origin: &Origin, interval: Duration) -> BTreeMap<String, Duration> {
    let missed = |n: usize| {
        let key = format!("k{n}");
        let hash = reference::digest(&world.key, origin, &RemoteKey::named(&key));
        let slots = Slots::new(interval, hash.leading_u64());
        (
            key,
            interval - until(world.wall(), slots.next_after(world.wall())),
        )
    };
    (0..ROWS).map(missed).collect()
}

#[tokio::test(start_paused = true)]
async fn what_fell_due_meanwhile_is_read_once_and_soon_and_nothing_else() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let missed = missed_by(&world, &origin, HOUR);
    world.hub.nobody_read_since(ago(&world, HALF));
    subscribe(&world, &origin, HOUR);
    world.pass(MINUTE).await;
    let calls = cloud.take_calls();
    let reads: Vec<&String> = calls.iter().flat_map(|call| &call.keys).collect();
    let expected = missed.values().filter(|ago| **ago < HALF).count();
    // Those that have their slot in the next minutes fill the batches.
    let soon = |ago: &&Duration| **ago >= HOUR - HOUR / 10 - MINUTE;
    let more = reads.len() - expected;
    assert!(more <= missed.values().filter(soon).count());
    for (key, ago) in &missed {
        let times = reads.iter().filter(|read| **read == key).count();
        assert!(times <= 1, "{key} was read {times} times");
        assert!(*ago >= HALF || times == 1, "{key} was forgotten");
        assert!(
            *ago < HALF || soon(&ago) || times == 0,
            "{key} was read early"
        );
    }
    assert!(calls.len() <= reads.len() / 10 + 2, "in full batches");
    for second in 0..60 {
        let then = |call: &&cloud::Call| call.at.as_secs() == second;
        let burst = calls.iter().filter(then).count();
        assert!(burst <= 4, "{burst} calls in second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_costs_no_more_than_it_would_have_without() {
    const INTERVAL: Duration = Duration::from_secs(10);
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .nobody_read_since(ago(&world, Duration::from_secs(13)));
    subscribe(&world, &origin, INTERVAL);
    world.pass(Duration::from_secs(47)).await;
    // A minute began 13 s ago.
    let calls = cloud.take_calls().len();
    assert!((400..=600).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn who_knows_of_no_absence_waits_for_the_slots() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    subscribe(&world, &origin, HOUR);
    world.pass(Duration::from_secs(1)).await;
    assert!(cloud.take_calls().len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_when_everything_is_done() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "k", HOUR)]);
    world.settle(&object("o")).await;
    assert_eq!(world.hub.backlog(), None);
    world.pass(HOUR * 2).await;
    assert_eq!(world.hub.backlog(), None);
    // What failed is known by its object's condition.
    cloud.all(Script::Fails(Class::Denied, "No"));
    world.pass(HOUR).await;
    assert_eq!(world.hub.backlog(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_or_waits_to_be_is_told_by_its_slot() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "k", HOUR)]);
    world.settle(&object("o")).await;
    *cloud.latency.lock().unwrap() = DEADLINE / 2;
    cloud.take_calls();
    let step = Duration::from_secs(1);
    let mut slot = world.wall();
    while cloud.take_calls().is_empty() {
        slot = world.wall();
        world.pass(step).await;
    }
    world.pass(DEADLINE / 4).await;
    let told = world.hub.backlog().expect("it is under way");
    // A gap that begins there has the slot in it.
    assert!(
        told < slot + SignedDuration::from_secs(1) && told > slot - SignedDuration::from_secs(2)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_read_and_not_applied_yet_is_told_by_its_slot() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "k", HOUR)]);
    world.settle(&object("o")).await;
    cloud.take_calls();
    cloud.value("k", "canary-new");
    while cloud.take_calls().is_empty() {
        world.pass(Duration::from_millis(100)).await;
    }
    world.pass(Duration::from_millis(100)).await;
    let told = world.hub.backlog().expect("it is not applied");
    assert!(told < world.wall() && told > ago(&world, Duration::from_secs(3)));
    world.settle(&object("o")).await;
    assert_eq!(world.hub.backlog(), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_predecessor_left_is_handed_on_until_it_is_made_up_for() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let since = ago(&world, HALF);
    world.hub.nobody_read_since(since);
    assert_eq!(
        world.hub.backlog(),
        Some(since),
        "before anybody subscribed"
    );
    cloud.all(Script::Hangs);
    subscribe(&world, &origin, HOUR);
    world.pass(DEADLINE / 2).await;
    assert_eq!(world.hub.backlog(), Some(since));
    cloud.heal();
    world.pass(MINUTE * 12).await;
    let told = world.hub.backlog();
    assert!(
        told.is_none_or(|told| told > since + SignedDuration::from_mins(30)),
        "{told:?}"
    );
}
