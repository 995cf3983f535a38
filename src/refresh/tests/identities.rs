//! Identities that fail, and those that do not.

use std::collections::BTreeSet;

use super::world::*;
use super::*;

const INTERVAL: Duration = Duration::from_secs(100);

fn refused() -> CallError {
    CallError::new(Class::Unauthenticated, "AuthenticationFail")
}

fn subscribe(world: &World, origin: &Arc<Origin>, count: usize) {
    for n in 0..count {
        let needs = vec![need(origin, &format!("k{n}"), INTERVAL)];
        world.hub.subscribe(&object(&format!("o{n}")), needs);
    }
}

fn failing(world: &World, count: usize) -> usize {
    let fails = |n: &usize| {
        let view = world.hub.look(&object(&format!("o{n}"))).remove(0);
        matches!(view, View::Failed(error) if error.class == Class::Unauthenticated)
    };
    (0..count).filter(fails).count()
}

#[tokio::test(start_paused = true)]
async fn a_failed_identity_is_probed_by_one_call_at_a_time_and_everything_recovers() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin_by(&cloud, "acs:ram::1:role/a");
    let role = "acs:ram::1:role/a".to_owned();
    world
        .tokens
        .broken
        .lock()
        .unwrap()
        .insert(role.clone(), refused());
    subscribe(&world, &origin, 1_000);
    for n in 0..1_000 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND).await;
    assert_eq!(failing(&world, 1_000), 1_000);
    assert_eq!(world.hub.figures().parked, 1);
    world.pass(HOUR).await;
    let exchanges = std::mem::take(&mut *world.tokens.exchanges.lock().unwrap());
    let gaps: Vec<u64> = exchanges
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).as_secs())
        .collect();
    assert_eq!(gaps, [30, 60, 120, 240, 480, 900, 900]);
    assert_eq!(failing(&world, 1_000), 1_000);
    world.wakes();
    world.tokens.broken.lock().unwrap().clear();
    world.pass(MINUTE * 15).await;
    assert_eq!(failing(&world, 1_000), 0);
    assert!(cloud.take_calls().len() >= 100);
    let mut woken = world.wakes();
    woken.sort();
    woken.dedup();
    assert_eq!(woken.len(), 1_000, "each is told");
    assert_eq!(world.hub.figures().parked, 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn rows_that_come_due_while_their_identity_is_parked_fail_at_their_slot() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Unauthenticated, "InvalidAccessKeyId"));
    subscribe(&world, &origin, 1_000);
    let mut woken = BTreeSet::new();
    for _ in 0..100 {
        world.pass(INTERVAL / 100).await;
        woken.extend(world.wakes());
        assert_eq!(woken.len(), failing(&world, 1_000), "each is told at once");
    }
    assert_eq!(woken.len(), 1_000, "within one interval");
    world.pass(INTERVAL * 2).await;
    assert_eq!(failing(&world, 1_000), 1_000);
    // Each probe is a call, and another after its credentials were dropped.
    assert!(cloud.take_calls().len() <= 10);
}

#[tokio::test(start_paused = true)]
async fn a_join_under_a_parked_identity_is_answered_at_once_and_woken_later() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Unauthenticated, "InvalidAccessKeyId"));
    subscribe(&world, &origin, 1);
    let _ = world.collect(&object("o0"), Join::default()).await;
    cloud.take_calls();
    let digest = Digest::parse(&"0".repeat(32));
    for (n, request) in [
        Join::default(),
        Join {
            anew: None,
            retry: true,
        },
    ]
    .into_iter()
    .enumerate()
    {
        let late = object(&format!("late{n}"));
        let mut need = need(&origin, &format!("late{n}"), HOUR);
        need.applied = digest;
        world.hub.subscribe(&late, vec![need]);
        let joined = world.hub.join(&late, request);
        assert!(matches!(joined, Joined::Ready(answers) if answers[0].is_err()));
        assert!(matches!(world.hub.look(&late)[..], [View::Failed(_)]));
    }
    assert_eq!(cloud.take_calls().len(), 0);
    cloud.heal();
    world.wakes();
    world.pass(MINUTE).await;
    let mut woken = world.wakes();
    woken.sort();
    assert_eq!(woken, ["late0", "late1", "o0"]);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn who_asks_gets_a_probe_at_once_and_postpones_nobody() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Unauthenticated, "InvalidAccessKeyId"));
    subscribe(&world, &origin, 100);
    for n in 0..100 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND).await;
    assert_eq!(failing(&world, 100), 100);
    for token in 1..=5 {
        world.pass(SECOND).await;
        cloud.take_calls();
        let asked = Join {
            anew: Some(token),
            retry: true,
        };
        let answers = world.collect(&object("o7"), asked).await;
        assert!(answers[0].is_err());
        assert_eq!(
            cloud.take_calls().len(),
            2,
            "the probe, and once more with new credentials"
        );
    }
    world.hub.check();
    // Who mended one thing and broke another is told of the other.
    cloud.all(Script::Spoils(
        Class::Unauthenticated,
        "SignatureDoesNotMatch",
    ));
    world.pass(SECOND).await;
    let asked = Join {
        anew: Some(6),
        retry: true,
    };
    let answers = world.collect(&object("o7"), asked).await;
    assert_eq!(texts(&answers), ["SignatureDoesNotMatch"]);
    // The next probe is where it was: what failed meanwhile for one who asked does not count.
    cloud.heal();
    world.pass(SECOND * 30).await;
    assert_eq!(failing(&world, 100), 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_somebody_asked_for_and_that_works_frees_everybody() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Unauthenticated, "InvalidAccessKeyId"));
    subscribe(&world, &origin, 100);
    for n in 0..100 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND * 2).await;
    cloud.heal();
    let asked = Join {
        anew: Some(1),
        retry: true,
    };
    assert!(world.collect(&object("o7"), asked).await[0].is_ok());
    world.pass(SECOND).await;
    assert_eq!(failing(&world, 100), 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_an_identity_is_tried_once_in_a_second() {
    let world = World::new();
    let cloud = world.cloud("a");
    let role = "acs:ram::1:role/a";
    let refused = CallError::new(Class::Denied, "NoPermission");
    world
        .tokens
        .broken
        .lock()
        .unwrap()
        .insert(role.to_owned(), refused);
    let origin = world.origin_by(&cloud, role);
    subscribe(&world, &origin, 100);
    let _ = world.hub.join(&object("o0"), Join::default());
    world.pass(SECOND * 2).await;
    world.tokens.exchanges.lock().unwrap().clear();
    for n in 0..100 {
        let anew = Join {
            anew: Some(1),
            retry: true,
        };
        let _ = world.hub.join(&object(&format!("o{n}")), anew);
        world.pass(SECOND / 10).await;
    }
    let tried = world.tokens.exchanges.lock().unwrap().len();
    assert!((9..=11).contains(&tried), "{tried} in 10 s");
    // Who asks a moment after a failure has it tried a moment later.
    world.pass(SECOND).await;
    let anew = Join {
        anew: Some(2),
        retry: true,
    };
    let _ = world.collect(&object("o1"), anew).await;
    world.tokens.broken.lock().unwrap().clear();
    assert!(world.collect(&object("o2"), anew).await[0].is_err());
    world.pass(SECOND * 2).await;
    assert_eq!(failing(&world, 100), 0);
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_dropped_and_tried_again_once() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin_by(&cloud, "acs:ram::1:role/a");
    subscribe(&world, &origin, 1);
    world.settle(&object("o0")).await;
    cloud.all(Script::Spoils(
        Class::Unauthenticated,
        "SecurityTokenExpired",
    ));
    cloud.take_calls();
    let retry = Join {
        anew: Some(1),
        retry: false,
    };
    let answers = world.collect(&object("o0"), retry).await;
    assert_eq!(texts(&answers), ["SecurityTokenExpired"]);
    assert_eq!(cloud.take_calls().len(), 2);
    assert_eq!(world.tokens.exchanges.lock().unwrap().len(), 2);
    assert_eq!(world.hub.figures().parked, 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_left_together_count_as_one_failure_of_their_identity() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Unauthenticated, "InvalidAccessKeyId"));
    subscribe(&world, &origin, 80);
    for n in 0..80 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(SECOND).await;
    cloud.heal();
    world.pass(SECOND * 30).await;
    assert_eq!(failing(&world, 80), 0);
}

#[tokio::test(start_paused = true)]
async fn two_identities_never_affect_each_other() {
    let world = World::new();
    let cloud = world.cloud("a");
    let bad = world.origin_by(&cloud, "acs:ram::1:role/bad");
    let good = world.origin_by(&cloud, "acs:ram::1:role/good");
    let role = "acs:ram::1:role/bad".to_owned();
    world.tokens.broken.lock().unwrap().insert(role, refused());
    subscribe(&world, &bad, 100);
    world
        .hub
        .subscribe(&object("good"), vec![need(&good, "k0", SECOND * 10)]);
    for n in 0..100 {
        let _ = world.hub.join(&object(&format!("o{n}")), Join::default());
    }
    world.pass(INTERVAL * 10).await;
    assert_eq!(cloud.take_calls().len(), 100, "all of them the good one's");
}

#[tokio::test(start_paused = true)]
async fn an_identity_is_parked_at_all_its_addresses_and_recovers_at_all() {
    let world = World::new();
    let clouds = ["a", "b", "c"].map(|name| world.cloud(name));
    let origins = clouds
        .each_ref()
        .map(|cloud| world.origin_by(cloud, "acs:ram::1:role/a"));
    let role = "acs:ram::1:role/a".to_owned();
    world.tokens.broken.lock().unwrap().insert(role, refused());
    for (n, origin) in origins.iter().enumerate() {
        for m in 0..10 {
            let name = object(&format!("o{n}-{m}"));
            world
                .hub
                .subscribe(&name, vec![need(origin, &format!("k{m}"), INTERVAL)]);
            let _ = world.hub.join(&name, Join::default());
        }
    }
    world.pass(INTERVAL).await;
    world.tokens.broken.lock().unwrap().clear();
    // The first probe after the identity works again meets an endpoint that does not.
    clouds[0].all(Script::Spoils(Class::Unavailable, "Timeout"));
    world.pass(INTERVAL * 4).await;
    for cloud in &clouds[1..] {
        assert!(
            !cloud.take_calls().is_empty(),
            "a dead endpoint holds the others up"
        );
    }
    clouds[0].heal();
    world.pass(HOUR).await;
    for n in 0..3 {
        for m in 0..10 {
            let view = world.hub.look(&object(&format!("o{n}-{m}"))).remove(0);
            assert!(matches!(view, View::Fresh(_)));
        }
    }
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_parked_identity_that_nobody_needs_is_forgotten() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    cloud.all(Script::Spoils(Class::Unauthenticated, "InvalidAccessKeyId"));
    subscribe(&world, &origin, 10);
    let _ = world.collect(&object("o0"), Join::default()).await;
    *cloud.latency.lock().unwrap() = SECOND * 5;
    world.pass(SECOND * 32).await;
    for n in 0..10 {
        world.hub.unsubscribe(&object(&format!("o{n}")));
    }
    world.pass(SECOND * 20).await;
    world.hub.check_empty();
    cloud.heal();
    subscribe(&world, &origin, 1);
    let answers = world.collect(&object("o0"), Join::default()).await;
    assert_eq!(texts(&answers), ["value of k0"]);
}
