//! An endpoint that answers nobody is left alone, and comes back without a stampede.

use super::cloud::KEY_DISABLED;
use super::world::*;
use super::*;

const AWAY: Script = Script::Spoils(Class::Unavailable, "ConnectTimeout");

/// `count` objects whose values were read, each a row of its own.
async fn settled(world: &World, origin: &Arc<Origin>, count: usize, interval: Duration) {
    for n in 0..count {
        let name = object(&format!("o{n}"));
        let needs = vec![need(origin, &format!("k{n}"), interval)];
        world.hub.subscribe(&name, needs);
        let _ = world.hub.join(&name, Join::default());
    }
    world.pass(MINUTE).await;
    for n in 0..count {
        world.settle(&object(&format!("o{n}"))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_costs_less_than_a_call_a_second_and_one_wake_an_object() {
    let mut world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 10_000, MINUTE * 10).await;
    world.wakes();
    cloud.take_calls();
    cloud.all(AWAY);
    let mut woken = Vec::new();
    for _ in 0..3_600 {
        world.pass(SECOND).await;
        let now = world.wakes();
        for name in &now {
            world.hub.look(&object(name));
        }
        woken.extend(now);
    }
    let calls = cloud.take_calls().len();
    assert!(calls < 3_600 / 4, "{calls}");
    assert!(world.hub.outage("a.example").is_some());
    assert_eq!(world.hub.figures().outages, 1);
    let distinct: std::collections::HashSet<&String> = woken.iter().collect();
    assert_eq!(distinct.len(), 10_000);
    assert!(woken.len() <= 10_010, "{}", woken.len());
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_keys_themselves_are_no_outage() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 50, MINUTE).await;
    for n in 0..40 {
        let broken = Script::Spoils(Class::Unavailable, KEY_DISABLED);
        cloud.set(&format!("k{n}"), broken);
    }
    for _ in 0..100 {
        world.pass(SECOND * 3).await;
        assert!(world.hub.outage("a.example").is_none());
    }
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_lets_all_rows_go_spread_over_time() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 4_000, MINUTE).await;
    cloud.all(AWAY);
    world.pass(MINUTE * 10).await;
    cloud.take_calls();
    cloud.heal();
    world.pass(SECOND * 6).await;
    assert!(world.hub.outage("a.example").is_none());
    world.pass(SECOND * 31).await;
    let calls = cloud.take_calls();
    let healed = calls.iter().map(|call| call.keys.len()).sum::<usize>();
    assert!(healed >= 4_000, "{healed}");
    let first = calls[0].at;
    let in_second = |n: u64| {
        let second = first + SECOND * u32::try_from(n).unwrap();
        calls
            .iter()
            .filter(|call| (second..second + SECOND).contains(&call.at))
            .count()
    };
    let most = (0..40).map(in_second).max().unwrap();
    assert!(most <= 40, "{most} calls in one second, of {}", calls.len());
    for n in 0..4_000 {
        let views = world.hub.look(&object(&format!("o{n}")));
        assert!(matches!(views[..], [View::Fresh(_)]));
    }
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_during_an_outage_is_told_at_once() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 100, SECOND * 10).await;
    cloud.all(Script::Hangs);
    world.pass(MINUTE * 5).await;
    assert!(world.hub.outage("a.example").is_some());
    let before = world.start.elapsed();
    world
        .hub
        .subscribe(&object("new"), vec![need(&origin, "new", HOUR)]);
    let answers = world.collect(&object("new"), Join::default()).await;
    assert_eq!(texts(&answers), ["DeadlineExceeded"]);
    assert!(world.start.elapsed() - before < SECOND / 100);
    cloud.heal();
    world.pass(MINUTE).await;
    let answers = world.collect(&object("new"), Join::default()).await;
    assert_eq!(texts(&answers), ["value of new"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_asks_has_the_endpoint_called_now() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 100, SECOND * 10).await;
    cloud.all(AWAY);
    world.pass(MINUTE * 5).await;
    let first = loop {
        world.pass(SECOND / 10).await;
        if !cloud.take_calls().is_empty() {
            break world.start.elapsed();
        }
    };
    cloud.heal();
    let anew = Join {
        anew: Some(1),
        retry: true,
    };
    let answers = world.collect(&object("o0"), anew).await;
    assert_eq!(texts(&answers), ["value of k0"]);
    assert!(world.start.elapsed() - first < SECOND);
    assert!(world.hub.outage("a.example").is_none());
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_an_endpoint_is_called_once_in_a_second() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 100, SECOND * 10).await;
    cloud.all(AWAY);
    world.pass(MINUTE).await;
    assert!(world.hub.outage("a.example").is_some());
    cloud.take_calls();
    for n in 0..100 {
        let anew = Join {
            anew: Some(1),
            retry: true,
        };
        let _ = world.hub.join(&object(&format!("o{n}")), anew);
        world.pass(SECOND / 10).await;
    }
    let calls = cloud.take_calls().len();
    assert!((9..=11).contains(&calls), "{calls} in 10 s");
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn one_endpoints_silence_is_no_others() {
    let world = World::new();
    let (away, here) = (world.cloud("away"), world.cloud("here"));
    settled(&world, &world.origin(&away), 50, SECOND * 10).await;
    away.all(AWAY);
    let origin = world.origin(&here);
    world
        .hub
        .subscribe(&object("other"), vec![need(&origin, "a", SECOND * 10)]);
    world.collect(&object("other"), Join::default()).await;
    here.take_calls();
    world.pass(MINUTE * 10).await;
    assert_eq!(here.take_calls().len(), 60);
    assert!(world.hub.outage("here.example").is_none());
}

#[tokio::test(start_paused = true)]
async fn refusals_and_rows_that_hang_alone_are_no_outage() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    settled(&world, &origin, 30, SECOND * 10).await;
    cloud.set("k7", Script::Hangs);
    cloud.set("k8", Script::Spoils(Class::Denied, "NoPermission"));
    for _ in 0..60 {
        world.pass(SECOND * 10).await;
        assert!(world.hub.outage("a.example").is_none());
    }
    cloud.take_calls();
    world.pass(SECOND * 20).await;
    let reads = cloud.take_reads();
    assert!(
        (0..30)
            .filter(|n| ![7, 8].contains(n))
            .all(|n| reads.contains_key(&format!("k{n}")))
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_answered_keeps_an_endpoint_from_nobody_for_long() {
    let world = World::new();
    let cloud = world.cloud("a");
    let (bad, good) = (
        world.origin_as(&cloud, "bad"),
        world.origin_as(&cloud, "good"),
    );
    for n in 0..20 {
        let key = format!("bad{n}");
        cloud.set(&key, AWAY);
        let name = object(&key);
        world
            .hub
            .subscribe(&name, vec![need(&bad, &key, SECOND * 10)]);
        let _ = world.hub.join(&name, Join::default());
    }
    world
        .hub
        .subscribe(&object("good"), vec![need(&good, "good", HOUR)]);
    let _ = world.hub.join(&object("good"), Join::default());
    let mut longest = Duration::ZERO;
    let mut out = Duration::ZERO;
    for _ in 0..600 {
        world.pass(SECOND).await;
        out = match world.hub.outage("a.example") {
            Some(_) => out + SECOND,
            None => Duration::ZERO,
        };
        longest = longest.max(out);
    }
    assert!(longest <= SECOND * 16, "{longest:?}");
    let views = world.hub.look(&object("good"));
    assert!(matches!(views[..], [View::Fresh(_)]), "{views:?}");
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn one_reference_that_always_fails_is_no_outage_and_keeps_none_going() {
    for others in [1, 30] {
        let world = World::new();
        let cloud = world.cloud("a");
        let origin = world.origin(&cloud);
        let poison = Need {
            key: RemoteKey {
                version: Some("1".to_owned()),
                ..RemoteKey::named("poison")
            },
            ..need(&origin, "poison", HOUR)
        };
        cloud.set("poison", AWAY);
        world.hub.subscribe(&object("poison"), vec![poison]);
        let _ = world.hub.join(&object("poison"), Join::default());
        settled(&world, &origin, others, HOUR * 24).await;
        world.pass(HOUR).await;
        assert!(world.hub.outage("a.example").is_none(), "{others}");
        // Now everything is away, and comes back while the one stays as it is.
        cloud.all(AWAY);
        for n in 0..others {
            let anew = Join {
                anew: Some(7),
                retry: true,
            };
            let _ = world.collect(&object(&format!("o{n}")), anew).await;
        }
        world.pass(MINUTE).await;
        cloud.heal();
        cloud.set("poison", AWAY);
        world.pass(MINUTE * 2).await;
        for n in 0..others {
            let views = world.hub.look(&object(&format!("o{n}")));
            assert!(matches!(views[..], [View::Fresh(_)]), "{others}: {views:?}");
        }
        world.hub.check();
    }
}
