//! Batches that fail as a whole: whom they blame.

use super::world::*;
use super::*;

const INTERVAL: Duration = Duration::from_secs(100);

/// Subscribes `count` objects to keys of their own and joins them all.
fn crowd(world: &World, cloud: &Arc<Cloud>, count: usize) {
    let origin = world.origin(cloud);
    for n in 0..count {
        let needs = vec![need(&origin, &format!("k{n}"), INTERVAL)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
}

/// The codes of the failures that the first `count` objects look at.
fn failed(world: &World, count: usize) -> Vec<String> {
    (0..count)
        .filter_map(
            |n| match world.hub.look(&object(&format!("o{n}"))).first() {
                Some(View::Failed(error)) => Some(format!("k{n} {}", error.code())),
                Some(View::Unknown) => Some(format!("k{n} unknown")),
                Some(View::Fresh(_)) | None => None,
            },
        )
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_batch_calls_missing_is_read_singly_before_it_counts() {
    let world = World::new();
    let cloud = world.cloud("a");
    cloud.set("k3", Script::Fails(Class::NotFound, "NotExist"));
    crowd(&world, &cloud, 10);
    world.pass(SECOND / 40).await;
    assert_eq!(failed(&world, 10), ["k3 unknown"]);
    world.pass(SECOND).await;
    assert_eq!(failed(&world, 10), ["k3 NotExist"]);
    let calls = cloud.take_calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[1].keys, ["k3"]);
    cloud.heal();
    world.pass(INTERVAL * 2).await;
    cloud.take_calls();
    world.pass(INTERVAL * 10).await;
    let calls = cloud.take_calls();
    let alone = calls.iter().filter(|call| call.keys == ["k3"]).count();
    assert!(alone < 10, "it travels with others again");
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_split_and_only_the_culprit_fails_and_reads_singly() {
    for class in [Class::Denied, Class::NotFound, Class::Invalid] {
        let world = World::new();
        let cloud = world.cloud("a");
        cloud.set("k7", Script::Spoils(class, "Refused"));
        crowd(&world, &cloud, 10);
        world.pass(SECOND).await;
        assert_eq!(failed(&world, 10), ["k7 Refused"]);
        assert!(cloud.take_calls().len() <= 9);
        world.pass(HOUR - MINUTE).await;
        let calls = cloud.take_calls();
        assert!(
            calls
                .iter()
                .all(|call| call.keys.len() == 1 || !call.keys.contains(&"k7".into())),
            "the culprit travels alone"
        );
        assert_eq!(failed(&world, 10), ["k7 Refused"]);
        world.hub.check();
    }
}

#[tokio::test(start_paused = true)]
async fn two_culprits_in_one_batch_are_both_found() {
    let world = World::new();
    let cloud = world.cloud("a");
    cloud.set("k2", Script::Spoils(Class::Denied, "Refused"));
    cloud.set("k9", Script::Spoils(Class::Protocol, "Malformed"));
    crowd(&world, &cloud, 10);
    world.pass(SECOND * 5).await;
    assert_eq!(failed(&world, 10), ["k2 Refused", "k9 Malformed"]);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn culprits_in_several_batches_blame_no_neighbour() {
    for script in [
        Script::Spoils(Class::Protocol, "Malformed"),
        Script::Spoils(Class::Unavailable, "Reset"),
        Script::Spoils(Class::Denied, "Denied"),
        Script::Panics,
        Script::Hangs,
    ] {
        let world = World::new();
        let cloud = world.cloud("a");
        for n in [5, 15, 25, 55] {
            cloud.set(&format!("k{n}"), script.clone());
        }
        crowd(&world, &cloud, 60);
        world.pass(DEADLINE + SECOND * 15).await;
        let failed: Vec<_> = failed(&world, 60)
            .iter()
            .map(|text| text.split(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(failed, ["k5", "k15", "k25", "k55"], "{script:?}");
        cloud.take_calls();
        world.pass(HOUR / 2).await;
        let together = cloud
            .take_calls()
            .into_iter()
            .filter(|call| call.keys.len() > 1);
        assert!(
            together
                .into_iter()
                .all(|call| !call.keys.contains(&"k5".to_owned())),
            "culprits travel alone"
        );
        world.hub.check();
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_read_alone_but_not_together_travel_apart() {
    let world = World::new();
    let cloud = world.cloud("a");
    cloud.all(Script::NotTogether);
    crowd(&world, &cloud, 10);
    world.pass(SECOND * 2).await;
    assert!(failed(&world, 10).is_empty());
    assert_eq!(cloud.take_calls().len(), 19, "halved down to each row");
    world.pass(INTERVAL * 10).await;
    let calls = cloud.take_calls().len();
    assert!((90..=100).contains(&calls), "{calls}");
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_answered_nobody_is_searched_for() {
    let world = World::new();
    let cloud = world.cloud("a");
    cloud.all(Script::Spoils(Class::Protocol, "Html"));
    crowd(&world, &cloud, 500);
    world.pass(SECOND * 30).await;
    assert_eq!(failed(&world, 500).len(), 500);
    let calls = cloud.take_calls();
    let singles = calls.iter().filter(|call| call.keys.len() == 1).count();
    assert!(singles <= 30, "{singles} single reads");
    assert!(calls.len() <= 80, "{} calls", calls.len());
    world.pass(MINUTE * 3).await;
    let calls = cloud.take_calls();
    assert!(
        calls.iter().all(|call| call.keys.len() > 1),
        "no more searches"
    );
    cloud.heal();
    world.pass(HOUR).await;
    assert!(failed(&world, 500).is_empty());
    cloud.take_calls();
    world.pass(INTERVAL * 4).await;
    assert_eq!(cloud.take_calls().len(), 200, "all travel together again");
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_dropped_while_it_is_searched_for_does_not_keep_the_search_open() {
    let world = World::new();
    let cloud = world.cloud("a");
    cloud.set("k5", Script::Spoils(Class::Protocol, "Malformed"));
    *cloud.latency.lock().unwrap() = SECOND;
    crowd(&world, &cloud, 10);
    world.pass(SECOND * 3 / 2).await;
    for n in 0..9 {
        world.hub.unsubscribe(&object(&format!("o{n}")));
        world.hub.check();
    }
    world.pass(SECOND * 5).await;
    assert!(matches!(
        world.hub.look(&object("o9"))[..],
        [View::Fresh(_)]
    ));
    let searches = |world: &World| {
        let table = world.hub.lock();
        table
            .groups
            .values()
            .map(|g| g.searches.len())
            .sum::<usize>()
    };
    assert_eq!(searches(&world), 0);
    crowd(&world, &cloud, 30);
    world.pass(SECOND * 6).await;
    assert_eq!(failed(&world, 30), ["k5 Malformed"]);
    assert_eq!(searches(&world), 0);
    world.hub.unsubscribe(&object("o9"));
}

#[tokio::test(start_paused = true)]
async fn parts_of_dropped_rows_hold_nobody_up() {
    let world = World::with(Limits {
        in_flight_per_group: 1,
        ..Limits::default()
    });
    let (cloud, other) = (world.cloud("a"), world.cloud("b"));
    cloud.set("k0", Script::Spoils(Class::Denied, "Refused"));
    *cloud.latency.lock().unwrap() = SECOND;
    crowd(&world, &cloud, 20);
    world.pass(SECOND * 3 / 2).await;
    for n in 0..10 {
        world.hub.unsubscribe(&object(&format!("o{n}")));
    }
    let origin = world.origin(&other);
    world
        .hub
        .subscribe(&object("other"), vec![need(&origin, "a", HOUR)]);
    let _ = world.hub.join(&object("other"), Join::default());
    world.pass(SECOND).await;
    assert_eq!(other.take_calls().len(), 1);
    world.pass(SECOND * 3).await;
    assert!(failed(&world, 20).len() <= 10);
    assert!(matches!(
        world.hub.look(&object("o15"))[..],
        [View::Fresh(_)]
    ));
    world.hub.check();
}
