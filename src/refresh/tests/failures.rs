//! How long failed rows wait, and whom a failure does not touch.

use super::world::*;
use super::*;

/// When the one row of a world is read while it fails like `script` for `time`.
async fn reads(script: Script, interval: Duration, time: Duration) -> Vec<u64> {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(script);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", interval)]);
    let _ = world.collect(&object("o"), Join::default()).await;
    let first = cloud.take_calls()[0].at;
    world.pass(time).await;
    let calls = cloud.take_calls();
    calls
        .iter()
        .map(|call| (call.at - first).as_secs())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_class_climbs_its_own_ladder() {
    let denied = Script::Fails(Class::Denied, "NoPermission");
    assert_eq!(reads(denied, HOUR, MINUTE * 16).await, [60, 180, 420, 900]);
    let away = Script::Fails(Class::Unavailable, "Timeout");
    assert_eq!(reads(away, HOUR, MINUTE * 3).await, [5, 15, 35, 75, 155]);
    let invalid = Script::Fails(Class::Invalid, "InvalidParameter");
    assert!(reads(invalid, MINUTE, HOUR * 9).await.is_empty());
    let missing = Script::Fails(Class::NotFound, "NotExist");
    assert_eq!(reads(missing, MINUTE, MINUTE * 10).await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_tried_three_times_where_the_cloud_is_away() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for (class, tries) in [
        (Class::Unavailable, 3),
        (Class::Throttled, 3),
        (Class::Denied, 1),
        (Class::Protocol, 1),
    ] {
        let name = format!("{class:?}");
        cloud.all(Script::Spoils(class, "Scripted"));
        world
            .hub
            .subscribe(&object(&name), vec![need(&origin, &name, HOUR)]);
        let _ = world.collect(&object(&name), Join::default()).await;
        assert_eq!(cloud.take_calls().len(), tries, "{name}");
        world.hub.unsubscribe(&object(&name));
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_can_only_be_changed_is_read_on_request() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Fails(Class::Invalid, "InvalidParameter"));
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", MINUTE)]);
    let _ = world.collect(&object("o"), Join::default()).await;
    cloud.heal();
    world.pass(HOUR).await;
    let retry = Join {
        anew: None,
        retry: true,
    };
    let answers = world.collect(&object("o"), retry).await;
    assert_eq!(texts(&answers), ["value of a"]);
    cloud.take_calls();
    world.pass(MINUTE * 10).await;
    assert_eq!(cloud.take_calls().len(), 10, "it has its slots again");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_cut_and_delays_no_other_group() {
    let world = World::new();
    let (slow, quick) = (world.cloud("slow"), world.cloud("quick"));
    slow.all(Script::Hangs);
    for n in 0..200 {
        let needs = vec![need(&world.origin(&slow), &format!("k{n}"), HOUR)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND).await;
    let before = world.start.elapsed();
    let origin = world.origin(&quick);
    world
        .hub
        .subscribe(&object("new"), vec![need(&origin, "a", HOUR)]);
    let answers = world.collect(&object("new"), Join::default()).await;
    assert_eq!(texts(&answers), ["value of a"]);
    assert!(world.start.elapsed() - before < SECOND / 10);
    let cut = world.collect(&object("o0"), Join::default()).await;
    assert_eq!(texts(&cut), ["DeadlineExceeded"]);
    assert!(world.start.elapsed() <= DEADLINE * 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_asked_by_one_call_at_a_time() {
    let world = World::new();
    let cloud = world.cloud("a");
    cloud.all(Script::Hangs);
    for n in 0..1_000 {
        let needs = vec![need(&world.origin(&cloud), &format!("k{n}"), HOUR)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(MINUTE * 2).await;
    cloud.take_calls();
    cloud
        .most_in_flight
        .store(0, std::sync::atomic::Ordering::SeqCst);
    world.pass(HOUR).await;
    let most = cloud
        .most_in_flight
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(most, 1);
    assert!(cloud.take_calls().len() <= 180);
    cloud.heal();
    world.pass(MINUTE * 6).await;
    for n in 0..1_000 {
        let view = world.hub.look(&object(&format!("o{n}"))).remove(0);
        assert!(matches!(view, View::Fresh(_)), "{n}: {view:?}");
    }
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_dead_endpoint_is_told_soon() {
    for versioned in [false, true] {
        let world = World::new();
        let cloud = world.cloud("a");
        cloud.all(Script::Hangs);
        for n in 0..1_000 {
            let mut need = need(&world.origin(&cloud), &format!("k{n}"), HOUR);
            need.key.version = versioned.then(|| "1".to_owned());
            world.hub.subscribe(&object(&format!("o{n}")), vec![need]);
            let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
        }
        world.pass(DEADLINE * 5).await;
        for n in 0..1_000 {
            let view = world.hub.look(&object(&format!("o{n}"))).remove(0);
            assert!(matches!(view, View::Failed(_)), "{n}: {view:?}");
        }
        cloud.heal();
        world.pass(MINUTE * 6).await;
        for n in 0..1_000 {
            let view = world.hub.look(&object(&format!("o{n}"))).remove(0);
            assert!(matches!(view, View::Fresh(_)), "{n}: {view:?}");
        }
        world.hub.check();
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_hang_are_not_taken_for_their_endpoint() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    for n in 0..100 {
        let mut need = need(&origin, &format!("k{n}"), HOUR);
        need.key.version = Some("1".to_owned());
        if n % 9 == 0 {
            cloud.set(&need.key.key, Script::Hangs);
        }
        world.hub.subscribe(&object(&format!("o{n}")), vec![need]);
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(DEADLINE * 7).await;
    for n in 0..100 {
        let view = world.hub.look(&object(&format!("o{n}"))).remove(0);
        assert_eq!(matches!(view, View::Failed(_)), n % 9 == 0, "{n}: {view:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_group_pauses_as_long_as_it_is_told() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Throttled, "Throttling.User"));
    for n in 0..100 {
        let needs = vec![need(&origin, &format!("k{n}"), MINUTE)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
    world.pass(MINUTE * 10).await;
    let calls = cloud.take_calls().len();
    assert!(calls < 1_500, "{calls}");
    cloud.heal();
    world.pass(MINUTE * 2).await;
    for n in 0..100 {
        let view = world.hub.look(&object(&format!("o{n}"))).remove(0);
        assert!(matches!(view, View::Fresh(_)));
    }
}
