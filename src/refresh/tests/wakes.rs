//! Who is woken, when, and what stays in memory.

use super::world::*;
use super::*;

const INTERVAL: Duration = Duration::from_secs(100);

async fn settled(world: &mut World, cloud: &Arc<Cloud>, names: &[&str]) {
    let origin = world.origin(cloud);
    for name in names {
        let needs = vec![need(&origin, "a", INTERVAL)];
        world.hub.subscribe(&object(name), needs);
        world.settle(&object(name)).await;
    }
    world.pass(SECOND * 6).await;
    world.wakes();
    cloud.take_calls();
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_value_wakes_nobody_and_is_not_kept() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    settled(&mut world, &cloud, &["o1", "o2"]).await;
    for _ in 0..1_000 {
        world.pass(SECOND / 2).await;
        assert_eq!(world.hub.figures().held_bytes, 0);
    }
    assert_eq!(cloud.take_calls().len(), 5);
    assert!(world.wakes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_changed_value_wakes_at_every_poll_until_it_is_applied() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    settled(&mut world, &cloud, &["o1", "o2"]).await;
    cloud.value("a", "new");
    world.pass(INTERVAL).await;
    assert_eq!(world.wakes(), ["o1", "o2"]);
    world.settle(&object("o1")).await;
    world.pass(SECOND * 6).await;
    world.wakes();
    assert_eq!(
        world.hub.figures().held_bytes,
        0,
        "kept for five seconds only"
    );
    world.pass(INTERVAL * 2).await;
    assert_eq!(world.wakes(), ["o2", "o2"], "looking is not enough");
    world.settle(&object("o2")).await;
    world.pass(SECOND).await;
    world.wakes();
    world.pass(INTERVAL * 2).await;
    assert!(world.wakes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_woken_by_a_poll_gets_that_polls_value() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    settled(&mut world, &cloud, &["o1"]).await;
    cloud.value("a", "new");
    let woken = world.woken.recv().await.unwrap();
    assert_eq!(
        texts(&world.collect(&woken, Join::default()).await),
        ["new"]
    );
    assert_eq!(cloud.take_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stages_of_a_secret_that_changed_a_moment_after_they_were_read_are_all_read_anew() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    let other = need(&origin, "b", HOUR);
    let current = need(&origin, "a", HOUR);
    let mut previous = current.clone();
    previous.key.stage = Some("ACSPrevious".to_owned());
    let both = vec![current, previous.clone(), other];
    world.hub.subscribe(&object("both"), both);
    world.settle(&object("both")).await;
    world.pass(SECOND).await;
    cloud.value("a", "rotated");
    cloud.value("b", "unnoticed");
    // Its poll is the first to notice.
    world.hub.subscribe(&object("poll"), vec![previous]);
    let anew = Join {
        anew: Some(1),
        retry: false,
    };
    world.collect(&object("poll"), anew).await;
    assert!(world.wakes().contains(&"both".to_owned()));
    let read = world.collect(&object("both"), Join::default()).await;
    assert_eq!(texts(&read), ["rotated", "rotated", "value of b"]);
}

#[tokio::test(start_paused = true)]
async fn failures_wake_once_for_each_kind_and_recovery_wakes_once() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    settled(&mut world, &cloud, &["o"]).await;
    let mut woken = Vec::new();
    for script in [
        Some(Script::Fails(Class::Denied, "NoPermission")),
        Some(Script::Fails(Class::Unavailable, "Timeout")),
        None,
    ] {
        match script {
            Some(script) => cloud.set("a", script),
            None => cloud.heal(),
        }
        // More than an hour, for that is how long a refused row waits in the end.
        for _ in 0..4_500 {
            world.pass(SECOND).await;
            for _ in world.wakes() {
                let view = world.hub.look(&object("o")).remove(0);
                woken.push(match view {
                    View::Failed(error) => error.code().to_owned(),
                    View::Fresh(_) => "fresh".to_owned(),
                    View::Unknown => "unknown".to_owned(),
                });
            }
        }
    }
    assert_eq!(woken, ["NoPermission", "Timeout", "fresh"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_was_not_looked_at_wakes_again() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    settled(&mut world, &cloud, &["o"]).await;
    cloud.set("a", Script::Fails(Class::NotFound, "ParameterNotExist"));
    world.pass(INTERVAL * 3).await;
    assert_eq!(world.wakes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_error_of_a_streak_is_kept() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    settled(&mut world, &cloud, &["o"]).await;
    for code in ["First", "Second", "Third"] {
        cloud.all(Script::Fails(Class::Unavailable, code));
        world.pass(INTERVAL).await;
        let view = world.hub.look(&object("o")).remove(0);
        assert!(matches!(view, View::Failed(error) if error.code() == "First"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_object_learns_what_is_known() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", INTERVAL)]);
    assert!(matches!(world.hub.look(&object("o"))[..], [View::Unknown]));
    settled(&mut world, &cloud, &["o"]).await;
    world
        .hub
        .subscribe(&object("late"), vec![need(&origin, "a", INTERVAL)]);
    let view = world.hub.look(&object("late")).remove(0);
    assert!(matches!(view, View::Fresh(seen) if seen.version.as_deref() == Some("1")));
}

#[tokio::test(start_paused = true)]
async fn subscribing_without_a_digest_does_not_forget_what_was_applied() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&mut world, &cloud, &["o"]).await;
    world
        .hub
        .subscribe(&object("o"), vec![need(&origin, "a", INTERVAL)]);
    assert!(!world.hub.behind(&object("o")));
    world.pass(INTERVAL * 2).await;
    assert!(world.wakes().is_empty());
    cloud.value("a", "new");
    world.pass(INTERVAL).await;
    assert!(world.hub.behind(&object("o")));
}
