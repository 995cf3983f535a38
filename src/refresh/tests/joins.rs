//! How objects collect values.

use super::world::*;
use super::*;

fn anew(token: u64) -> Join {
    Join {
        anew: Some(token),
        retry: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_is_served_at_once_in_the_order_of_the_needs() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let needs = ["b", "a", "b"].map(|key| need(&origin, key, HOUR));
    world.hub.subscribe(&object("o"), needs.to_vec());
    assert!(matches!(
        world.hub.join(&object("o"), Join::default()),
        Joined::Pending
    ));
    world.pass(Duration::from_millis(30)).await;
    assert_eq!(world.wakes(), ["o"]);
    let answers = world.collect(&object("o"), Join::default()).await;
    assert_eq!(texts(&answers), ["value of b", "value of a", "value of b"]);
    assert_eq!(cloud.take_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_joins_fill_their_batches() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..1_000 {
        let needs = vec![need(&origin, &format!("k{n}"), HOUR)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND).await;
    assert_eq!(cloud.take_calls().len(), 100);
    assert_eq!(world.wakes().len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn one_tenants_thousand_joins_add_one_turn_to_anothers() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let join = |object: ObjectKey, key: &str| {
        world.hub.subscribe(&object, vec![need(&origin, key, HOUR)]);
        let _ = world.hub.join(&object, Join::default());
    };
    for n in 0..1_000 {
        join(ObjectKey::new("greedy", &format!("o{n}")), &format!("k{n}"));
    }
    join(ObjectKey::new("modest", "o"), "mine");
    world.pass(SECOND).await;
    let calls = cloud.take_calls();
    let turn = calls
        .iter()
        .position(|call| call.keys.contains(&"mine".to_owned()));
    assert_eq!(turn, Some(0));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_leaves_before_what_is_due() {
    let world = World::with(Limits {
        in_flight_per_group: 1,
        ..Limits::default()
    });
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    *cloud.latency.lock().unwrap() = SECOND * 2;
    for n in 0..1_000 {
        let needs = vec![need(&origin, &format!("k{n}"), SECOND * 10)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
    world.pass(MINUTE).await;
    assert!(world.hub.figures().due > 500, "there is a queue");
    world
        .hub
        .subscribe(&object("new"), vec![need(&origin, "new", HOUR)]);
    let before = world.start.elapsed();
    world.collect(&object("new"), Join::default()).await;
    assert!(world.start.elapsed() - before <= SECOND * 4 + SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn values_of_the_last_five_seconds_are_shared_and_older_ones_read_again() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for name in ["o1", "o2", "o3"] {
        world
            .hub
            .subscribe(&object(name), vec![need(&origin, "a", HOUR)]);
    }
    world.settle(&object("o1")).await;
    cloud.value("a", "new");
    world.pass(SECOND * 4).await;
    let shared = world.collect(&object("o2"), Join::default()).await;
    assert_eq!(texts(&shared), ["value of a"]);
    assert_eq!(cloud.take_calls().len(), 1);
    world.pass(SECOND * 2).await;
    let read = world.collect(&object("o3"), Join::default()).await;
    assert_eq!(texts(&read), ["new"]);
    assert_eq!(cloud.take_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_value_is_kept_for_its_own_five_seconds() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for name in ["o1", "o2", "o3"] {
        world
            .hub
            .subscribe(&object(name), vec![need(&origin, "a", HOUR)]);
    }
    world.collect(&object("o1"), Join::default()).await;
    world.pass(SECOND * 3).await;
    world.collect(&object("o2"), anew(1)).await;
    cloud.take_calls();
    world.pass(SECOND * 4).await;
    world.collect(&object("o3"), Join::default()).await;
    assert_eq!(cloud.take_calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forced_read_calls_once_for_each_request() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", HOUR)]);
    world.settle(&object("o")).await;
    assert_eq!(cloud.take_calls().len(), 1);
    for _ in 0..3 {
        world.collect(&object("o"), anew(1)).await;
    }
    assert_eq!(cloud.take_calls().len(), 1);
    world.collect(&object("o"), anew(2)).await;
    assert_eq!(cloud.take_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forced_read_is_sent_after_the_request_also_when_a_call_is_under_way() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    *cloud.latency.lock().unwrap() = SECOND;
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", HOUR)]);
    let _ = world.hub.join(&object("o"), Join::default());
    world.pass(SECOND / 2).await;
    let _ = world.hub.join(&object("o"), anew(1));
    world.pass(SECOND * 3 / 4).await;
    assert!(matches!(
        world.hub.join(&object("o"), anew(1)),
        Joined::Pending
    ));
    cloud.value("a", "new");
    let answers = world.collect(&object("o"), anew(1)).await;
    assert_eq!(texts(&answers), ["new"]);
    assert_eq!(cloud.take_calls().len(), 2);
    let _ = world.hub.join(&object("o"), anew(2));
    let _ = world.hub.join(&object("o"), anew(3));
    world.collect(&object("o"), anew(3)).await;
    assert_eq!(cloud.take_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_row_is_asked_again_only_on_request() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.set("a", Script::Fails(Class::Denied, "NoPermission"));
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", HOUR)]);
    let first = world.collect(&object("o"), Join::default()).await;
    assert_eq!(texts(&first), ["NoPermission"]);
    cloud.heal();
    world.pass(SECOND * 10).await;
    let still = world.collect(&object("o"), Join::default()).await;
    assert_eq!(texts(&still), ["NoPermission"]);
    assert_eq!(cloud.take_calls().len(), 1);
    let retry = Join {
        anew: None,
        retry: true,
    };
    assert_eq!(
        texts(&world.collect(&object("o"), retry).await),
        ["value of a"]
    );
    cloud.set("a", Script::Fails(Class::Denied, "NoPermission"));
    world.collect(&object("o"), anew(1)).await;
    cloud.heal();
    assert_eq!(
        texts(&world.collect(&object("o"), anew(2)).await),
        ["value of a"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_given_up_lets_its_values_go() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.set("b", Script::Hangs);
    let needs = ["a", "b"].map(|key| {
        let mut need = need(&origin, key, HOUR);
        need.key.version = Some("1".to_owned());
        need
    });
    world.hub.subscribe(&object("o"), needs.to_vec());
    let _ = world.hub.join(&object("o"), Join::default());
    world.pass(SECOND * 6).await;
    assert!(world.hub.figures().held_bytes > 0);
    world.hub.cancel(&object("o"));
    assert_eq!(world.hub.figures().held_bytes, 0);
    world.wakes();
    world.pass(SECOND * 10).await;
    assert!(world.wakes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_collected_for_long_are_asked_for_again() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", HOUR * 24)]);
    let _ = world.hub.join(&object("o"), Join::default());
    world.pass(MINUTE * 4).await;
    let joined = world.hub.join(&object("o"), Join::default());
    assert!(
        matches!(joined, Joined::Ready(_)),
        "a busy controller is waited for"
    );
    drop(joined);
    let _ = world.hub.join(&object("o"), Join::default());
    world.pass(SECOND).await;
    assert!(world.hub.figures().held_bytes > 0);
    world.pass(MINUTE * 6).await;
    assert_eq!(world.hub.figures().held_bytes, 0);
    cloud.value("a", "new");
    let answers = world.collect(&object("o"), Join::default()).await;
    assert_eq!(texts(&answers), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_without_needs_has_its_answers() {
    let world = World::new();
    let nobody = object("nobody");
    assert!(matches!(world.hub.join(&nobody, Join::default()), Joined::Ready(a) if a.is_empty()));
    assert!(world.hub.look(&nobody).is_empty());
    world.hub.cancel(&nobody);
    world.hub.unsubscribe(&nobody);
}

#[tokio::test(start_paused = true)]
async fn no_public_type_prints_a_value() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.value("a", "canary-value");
    let needs = vec![need(&origin, "a", HOUR)];
    let first = format!("{needs:?} {origin:?}");
    world.hub.subscribe(&object("o"), needs);
    let answers = world.collect(&object("o"), Join::default()).await;
    let second = format!("{answers:?} {:?}", world.hub.look(&object("o")));
    let joined = Joined::Ready(answers);
    let figures = world.hub.figures();
    let third = format!("{joined:?} {figures:?} {:?}", world.hub.lock());
    let text = [first, second, third].concat();
    assert!(text.contains("secret bytes"));
    assert!(!text.contains("canary"), "{text}");
}
