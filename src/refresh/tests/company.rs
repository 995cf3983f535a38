//! What is wanted one after the other shares a call, and waits for that a moment at most.

use super::world::*;
use super::*;

const MOMENT: Duration = Duration::from_millis(10);
/// The time between two objects that are created one after the other.
const STEP: Duration = Duration::from_millis(2);

/// A cloud in `world` that takes so long for a call, and how it is read.
fn slow(world: &World, latency: Duration) -> (Arc<Cloud>, Arc<Origin>) {
    let cloud = world.cloud("a");
    *cloud.latency.lock().unwrap() = latency;
    let origin = world.origin(&cloud);
    (cloud, origin)
}

/// Joins an object with a key of its own for each of `numbers`.
async fn create(world: &World, origin: &Arc<Origin>, numbers: std::ops::Range<usize>) {
    for n in numbers {
        want(world, need(origin, &format!("k{n}"), HOUR));
        world.pass(STEP).await;
    }
}

/// Joins an object of its own for `need`.
fn want(world: &World, need: Need) {
    let object = object(&format!("of-{}", need.key.key));
    world.hub.subscribe(&object, vec![need]);
    let _ = world.hub.join(&object, Join::default());
}

/// When the calls left since the last look, and how many keys each carried.
fn calls(cloud: &Cloud) -> Vec<(Duration, usize)> {
    let calls = cloud.take_calls().into_iter();
    calls.map(|call| (call.at, call.keys.len())).collect()
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_call_is_under_way_waits_a_moment_for_company() {
    let world = World::new();
    let (cloud, origin) = slow(&world, SECOND);
    create(&world, &origin, 0..5).await;
    world.pass(MOMENT).await;
    let (first, second) = (Duration::ZERO, STEP + MOMENT);
    let [(left, 1), (then, 4)] = calls(&cloud)[..] else {
        panic!("the first leaves at once and the others together");
    };
    // Timers are a millisecond late at most.
    assert_eq!(
        (left, then.as_millis() / 2),
        (first, second.as_millis() / 2)
    );
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_waits_for_nobody() {
    let world = World::new();
    let (cloud, origin) = slow(&world, SECOND);
    create(&world, &origin, 0..1).await;
    let (before, needs) = (world.start.elapsed(), 1..11);
    let needs = needs.map(|n| need(&origin, &format!("k{n}"), HOUR));
    world.hub.subscribe(&object("all"), needs.collect());
    let _ = world.hub.join(&object("all"), Join::default());
    world.pass(STEP).await;
    assert_eq!(calls(&cloud), [(Duration::ZERO, 1), (before, 10)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_call_under_way() {
    let world = World::new();
    let (cloud, origin) = slow(&world, MOMENT / 2);
    create(&world, &origin, 0..2).await;
    world.pass(MOMENT).await;
    let calls = calls(&cloud);
    assert_eq!(calls.len(), 2);
    assert!(calls[1].0 < MOMENT, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_singly_waits_for_nobody() {
    let world = World::new();
    let mut cloud = Cloud::new("a", world.start);
    cloud.batch = 1;
    let cloud = Arc::new(cloud);
    *cloud.latency.lock().unwrap() = SECOND;
    create(&world, &world.origin(&cloud), 0..3).await;
    let left: Vec<_> = calls(&cloud).into_iter().map(|(at, _)| at).collect();
    assert_eq!(left.len(), 3);
    assert!(left[2] < MOMENT, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn what_can_have_no_company_waits_for_none() {
    let world = World::new();
    let (cloud, origin) = slow(&world, SECOND);
    create(&world, &origin, 0..1).await;
    let mut pinned = need(&origin, "pinned", HOUR);
    pinned.key.version = Some("v1".to_owned());
    want(&world, pinned);
    world.pass(STEP).await;
    assert_eq!(calls(&cloud).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_for_a_free_slot_waits_for_nothing_more() {
    let world = World::with(Limits {
        in_flight_per_group: 2,
        ..Limits::default()
    });
    let (cloud, origin) = slow(&world, SECOND);
    // The second leaves after a moment alone, and the third finds no slot.
    create(&world, &origin, 0..2).await;
    world.pass(SECOND / 2).await;
    create(&world, &origin, 2..3).await;
    world.pass(SECOND / 2).await;
    let calls = calls(&cloud);
    assert_eq!(calls.len(), 3);
    assert!(calls[2].0 < SECOND + STEP, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_scarce_budget_gives_its_turn_to_nobody() {
    let world = World::new();
    let (cloud, origin) = slow(&world, SECOND);
    // A fifth of it, hence one call in 100 ms.
    *cloud.per_second.lock().unwrap() = Some(50);
    create(&world, &origin, 0..1).await;
    world.pass(SECOND / 10 - STEP * 2).await;
    create(&world, &origin, 1..2).await;
    world.pass(STEP).await;
    let calls = calls(&cloud);
    assert_eq!(calls.len(), 2, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_company_is_read_whatever_falls_due_beside_it() {
    let world = World::new();
    let (cloud, origin) = slow(&world, SECOND);
    for n in 0..30 {
        let needs = vec![need(&origin, &format!("old{n}"), MINUTE)];
        world.hub.subscribe(&object(&format!("old{n}")), needs);
    }
    for n in 0..100 {
        create(&world, &origin, n..n + 1).await;
        world.pass(SECOND / 3).await;
    }
    world.pass(SECOND * 2).await;
    let reads = cloud.take_reads();
    assert!((0..100).all(|n| reads.contains_key(&format!("k{n}"))));
    world.hub.check();
}
