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

/// Whether the call that a namespace makes in a store of its own leaves at once.
async fn leaves_at_once(world: &World, namespace: &str) -> bool {
    let cloud = world.cloud("good");
    let needs = vec![need(&world.origin_by(&cloud, namespace), "k", HOUR)];
    joins(world, namespace, "one", needs);
    world.pass(Duration::from_millis(10)).await;
    cloud.take_calls().len() == 1
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_calls_hang_leaves_as_much_room_as_it_takes() {
    let world = World::new();
    for n in 0..100 {
        let cloud = world.cloud(&format!("hangs{n}"));
        cloud.all(Script::Hangs);
        let origin = world.origin_as(&cloud, &format!("id{n}"));
        for m in 0..16 {
            let mut need = need(&origin, &format!("k{m}"), HOUR);
            need.key.version = Some("1".to_owned());
            joins(&world, "many", &format!("o{n}-{m}"), vec![need]);
        }
    }
    world.pass(Duration::from_millis(10)).await;
    assert_eq!(world.hub.lock().in_flight, 256);
    assert!(leaves_at_once(&world, "few").await);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_tenants_thousands_of_stores_stand_before_nobody() {
    let world = World::new();
    for n in 0..2_000 {
        let cloud = world.cloud(&format!("slow{n}"));
        *cloud.latency.lock().unwrap() = SECOND * 10;
        let origin = world.origin_as(&cloud, &format!("id{n}"));
        joins(
            &world,
            "many",
            &format!("o{n}"),
            vec![need(&origin, "k", HOUR * 9_000)],
        );
    }
    world.pass(SECOND * 15).await;
    assert!(leaves_at_once(&world, "few").await);
    world.pass(SECOND * 10 * 8).await;
    assert_eq!(world.hub.lock().in_flight, 0, "all had their turns");
    assert_eq!(world.hub.figures().due, 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn tenants_whose_calls_hang_share_what_there_is_and_no_one_else_waits() {
    let world = World::new();
    for tenant in 0..20 {
        for n in 0..64 {
            let cloud = world.cloud(&format!("slow{tenant}-{n}"));
            *cloud.latency.lock().unwrap() =
                SECOND * 5 + SECOND / 13 * ((n * 37 + tenant * 11) % 97);
            let origin = world.origin_as(&cloud, &format!("id{tenant}-{n}"));
            for m in 0..12 {
                let mut need = need(&origin, &format!("k{m}"), HOUR);
                need.key.version = Some("1".to_owned());
                joins(
                    &world,
                    &format!("ns{tenant}"),
                    &format!("o{n}-{m}"),
                    vec![need],
                );
            }
        }
    }
    world.pass(SECOND * 30).await;
    let most = world.hub.lock().shares.in_flight().max();
    assert!((24..=26).contains(&most.unwrap()), "{most:?} of 512");
    assert!(leaves_at_once(&world, "few").await);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_others_calls_is_late_and_no_stall() {
    let world = World::new();
    for n in 0..1_000 {
        let cloud = world.cloud(&format!("slow{n}"));
        *cloud.latency.lock().unwrap() = SECOND * 10;
        let origin = world.origin_as(&cloud, &format!("id{n}"));
        let needs = vec![need(&origin, "k", SECOND * 10)];
        let object = ObjectKey::new("many", &format!("o{n}"));
        world.hub.subscribe(&object, needs);
    }
    world.pass(MINUTE * 2).await;
    let figures = world.hub.figures();
    assert!(figures.oldest_overdue > SECOND * 25, "{figures:?}");
    assert!(figures.stalled < SECOND * 12, "{figures:?}");
}
