//! One tenant leaves room for others: in memory, and among the calls that are under way.

use super::world::*;
use super::*;

/// An object of `namespace` that needs `keys`, and joins them.
fn joins(world: &World, namespace: &str, name: &str, needs: Vec<Need>) -> ObjectKey {
    let object = ObjectKey::new(namespace, name);
    world.hub.subscribe(&object, needs);
    let _ = world.hub.join(&object, Join::default());
    object
}

/// `count` objects of 20 values each, 10,000 bytes, and of three that take 15 s each, one by one.
fn stuck(world: &World, clouds: [&Arc<Cloud>; 2], namespace: &str, count: usize) -> Vec<ObjectKey> {
    let [cloud, slow] = clouds;
    *slow.latency.lock().unwrap() = SECOND * 15;
    let (origin, late) = (world.origin(cloud), world.origin_as(slow, namespace));
    let object = |n: usize| {
        let fast = (0..20).map(|m| {
            let key = format!("{namespace}-{n}-{m}");
            cloud.value(&key, &"x".repeat(500));
            need(&origin, &key, HOUR)
        });
        let slow = (0..3).map(|m| {
            let mut need = need(&late, &format!("{namespace}-{n}-{m}"), HOUR);
            need.key.version = Some("1".to_owned());
            need.limits.in_flight = Some(1);
            need
        });
        let needs = fast.chain(slow).collect();
        joins(world, namespace, &format!("o{n}"), needs)
    };
    (0..count).map(object).collect()
}

/// How long an object of another namespace waits for one value.
async fn wait_of_another(world: &World, cloud: &Arc<Cloud>) -> Duration {
    let before = world.start.elapsed();
    let needs = vec![need(&world.origin(cloud), "few", HOUR)];
    let few = joins(world, "few", "one", needs);
    world.collect(&few, Join::default()).await;
    world.start.elapsed() - before
}

#[tokio::test(start_paused = true)]
async fn values_that_wait_for_others_do_not_fill_the_hub() {
    let world = World::with(Limits {
        held_bytes: 30_000,
        ..Limits::default()
    });
    let (cloud, slow) = (world.cloud("a"), world.cloud("slow"));
    let stuck = stuck(&world, [&cloud, &slow], "many", 6);
    world.pass(SECOND * 10).await;
    let held = world.hub.figures().held_bytes;
    assert!(held < 30_000, "{held}");
    assert!(held >= 10_000, "the oldest keeps its own: {held}");
    let wait = wait_of_another(&world, &cloud).await;
    assert!(wait <= Duration::from_millis(50), "{wait:?}");
    *slow.latency.lock().unwrap() = SECOND / 100;
    for object in &stuck {
        let answers = world.collect(object, Join::default()).await;
        assert_eq!(answers.len(), 23);
        assert!(answers.iter().all(Result::is_ok));
    }
    world.pass(SECOND * 6).await;
    assert_eq!(world.hub.figures().held_bytes, 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn the_only_join_of_each_namespace_keeps_its_values_for_half_a_minute_only() {
    let world = World::with(Limits {
        held_bytes: 30_000,
        ..Limits::default()
    });
    let (cloud, slow) = (world.cloud("a"), world.cloud("slow"));
    for n in 0..6 {
        stuck(&world, [&cloud, &slow], &format!("ns{n}"), 1);
    }
    world.pass(SECOND * 20).await;
    assert!(world.hub.figures().held_bytes >= 30_000);
    world.pass(SECOND * 12).await;
    let wait = wait_of_another(&world, &cloud).await;
    assert!(wait <= Duration::from_millis(50), "{wait:?}");
    let held = world.hub.figures().held_bytes;
    assert!(held < 30_000, "{held}");
}
