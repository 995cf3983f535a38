//! Calls in flight and bytes in memory.

use std::sync::atomic::Ordering;

use super::super::answer::Spent;
use super::super::table::{Now, Table};
use super::world::*;
use super::*;

fn limits(held_bytes: usize) -> Limits {
    Limits {
        in_flight_per_group: 3,
        in_flight: 5,
        held_bytes,
        ..Limits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_stay_within_their_bounds() {
    let world = World::with(limits(1 << 20));
    let clouds = ["a", "b", "c"].map(|name| world.cloud(name));
    for n in 0..300 {
        let origin = world.origin(&clouds[n % 3]);
        let needs = vec![need(&origin, &format!("k{n}"), HOUR)];
        let object = ObjectKey::new(&format!("ns{}", n % 7), &format!("o{n}"));
        world.hub.subscribe(&object, needs);
        let _ = world.hub.join(&object, Join::default());
    }
    world.pass(Duration::from_millis(10)).await;
    assert_eq!(world.hub.lock().in_flight, 5);
    world.pass(MINUTE).await;
    for cloud in &clouds {
        assert_eq!(cloud.most_in_flight.load(Ordering::SeqCst), 3);
        assert_eq!(cloud.take_calls().len(), 10);
    }
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_full_hub_sends_few_batches_at_a_time_and_comes_to_an_end() {
    let world = World::with(limits(2_000));
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let big = "x".repeat(500);
    for n in 0..40 {
        // Each object needs rows of several batches, so that it holds some while it waits for more.
        let needs = (0..10).map(|m| {
            let key = format!("k{}", (n + m * 37) % 400);
            cloud.value(&key, &big);
            need(&origin, &key, HOUR)
        });
        world
            .hub
            .subscribe(&object(&format!("o{n}")), needs.collect());
    }
    for n in 0..40 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    for n in 0..40 {
        world.settle(&object(&format!("o{n}"))).await;
    }
    world.pass(SECOND * 6).await;
    assert_eq!(world.hub.figures().held_bytes, 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_full_hub_goes_on_as_soon_as_values_are_applied() {
    let world = World::with(limits(1_000));
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..200 {
        cloud.value(&format!("k{n}"), &"x".repeat(500));
        let needs = vec![need(&origin, &format!("k{n}"), HOUR)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    for n in 0..200 {
        world.settle(&object(&format!("o{n}"))).await;
    }
    assert!(world.start.elapsed() < SECOND * 2, "it waits for no expiry");
}

#[tokio::test(start_paused = true)]
async fn values_expire_on_time_although_a_full_hub_waits_for_a_call_that_hangs() {
    let world = World::with(limits(100));
    let (cloud, slow) = (world.cloud("a"), world.cloud("slow"));
    let origin = world.origin(&cloud);
    slow.all(Script::Hangs);
    let stuck = vec![need(&world.origin(&slow), "k", HOUR)];
    world.hub.subscribe(&object("stuck"), stuck);
    let _ = world.hub.join(&object("stuck"), Join::default());
    cloud.value("k0", &"x".repeat(500));
    for name in ["o0", "o1"] {
        let key = name.replace('o', "k");
        world
            .hub
            .subscribe(&object(name), vec![need(&origin, &key, HOUR)]);
    }
    let _ = world.collect(&object("o0"), Join::default()).await;
    let _ = world.hub.join(&object("o1"), Join::default());
    world.pass(Duration::from_millis(5_100)).await;
    let joined = world.hub.join(&object("o1"), Join::default());
    assert!(matches!(joined, Joined::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn forty_thousand_rows_cost_a_call_for_ten_and_go_with_those_who_need_them() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..10_000 {
        let needs = (0..4).map(|m| need(&origin, &format!("k{n}-{m}"), HOUR));
        world
            .hub
            .subscribe(&object(&format!("o{n}")), needs.collect());
    }
    world.pass(HOUR).await;
    let calls = cloud.take_calls().len();
    assert!((3_990..=4_420).contains(&calls), "{calls}");
    world.pass(HOUR).await;
    assert_eq!(cloud.take_calls().len(), 4_000);
    for n in 0..10_000 {
        world.hub.unsubscribe(&object(&format!("o{n}")));
    }
    world.hub.check_empty();
}

#[tokio::test(start_paused = true)]
async fn one_reference_of_ten_thousand_objects_is_one_row_for_all() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let name = |n: usize| object(&format!("o{n}"));
    for n in 0..10_000 {
        world
            .hub
            .subscribe(&name(n), vec![need(&origin, "one", HOUR)]);
        let _ = world.hub.join(&name(n), Join::default());
    }
    world.pass(SECOND).await;
    for n in 0..10_000 {
        world.settle(&name(n)).await;
    }
    assert_eq!(cloud.take_calls().len(), 1);
    for n in 0..10_000 {
        world.hub.unsubscribe(&name(n));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_due_and_does_not_move_is_a_stall_and_what_waits_for_a_cloud_is_none() {
    let world = World::new();
    let cloud = world.cloud("a");
    let mut table = Table::new(world.key.clone(), limits(1 << 20));
    let mut now = Now {
        wall: world.wall(),
        at: tokio::time::Instant::now(),
    };
    let mut pass = |time: Duration| {
        now.wall += jiff::SignedDuration::try_from(time).unwrap();
        now.at += time;
        now
    };
    let origin = world.origin(&cloud);
    let start = pass(SECOND);
    table.subscribe(&object("o"), vec![need(&origin, "a", MINUTE)], start);
    assert_eq!(table.figures(start.at).stalled, Duration::ZERO);
    let later = pass(HOUR);
    assert!(
        table.figures(later.at).stalled >= MINUTE * 58,
        "nobody sends it"
    );
    let departure = table.depart(later).unwrap();
    assert_eq!(table.figures(later.at).stalled, Duration::ZERO);
    let away = CallFailure::Identity(CallError::new(Class::Denied, "NoPermission"));
    let soon = pass(SECOND);
    table.arrive(departure, Err(away), Spent::default(), soon);
    let parked = pass(SECOND * 20);
    assert_eq!(
        table.figures(parked.at).stalled,
        Duration::ZERO,
        "it waits for its probe"
    );
}
