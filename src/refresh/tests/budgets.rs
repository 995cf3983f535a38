//! Calls of one account stay within its share, whoever makes them, and nobody is passed over.

use super::world::*;
use super::*;

/// `count` objects of a namespace that join a row each, `first`-named.
fn crowd(world: &World, origin: &Arc<Origin>, namespace: &str, count: usize) {
    for n in 0..count {
        let object = ObjectKey::new(namespace, &format!("o{n}"));
        let needs = vec![need(origin, &format!("{namespace}-{n}"), HOUR)];
        world.hub.subscribe(&object, needs);
        let _ = world.hub.join(&object, Join::default());
    }
}

/// The most calls of `calls` in any second.
fn busiest(calls: &[Duration]) -> usize {
    let from = |first: &Duration| {
        let within = |at: &&Duration| (*first..*first + SECOND).contains(*at);
        calls.iter().filter(within).count()
    };
    calls.iter().map(from).max().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn identities_of_one_account_share_its_budget_and_other_accounts_have_theirs() {
    let world = World::new();
    let clouds = ["a", "b", "c"].map(|name| world.cloud(name));
    for cloud in &clouds {
        // A fifth of it is ten calls a second.
        *cloud.per_second.lock().unwrap() = Some(50);
    }
    let role = |account: &str, name: &str| format!("acs:ram::{account}:role/{name}");
    let origins = [
        world.origin_by(&clouds[0], &role("1", "x")),
        world.origin_by(&clouds[1], &role("1", "y")),
        world.origin_by(&clouds[2], &role("2", "x")),
    ];
    for (n, origin) in origins.iter().enumerate() {
        crowd(&world, origin, &format!("ns{n}"), 600);
    }
    world.pass(SECOND * 4).await;
    let calls = clouds.each_ref().map(|cloud| {
        let calls = cloud.take_calls();
        calls.iter().map(|call| call.at).collect::<Vec<_>>()
    });
    let together = [&calls[0][..], &calls[1]].concat();
    // The first call of each identity is its own, until the cloud has accepted it.
    assert!((40..=44).contains(&together.len()), "{}", together.len());
    assert!(busiest(&together) <= 13);
    assert!(calls[0].len().abs_diff(calls[1].len()) <= 1, "turn by turn");
    assert!((40..=43).contains(&calls[2].len()));
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_the_material_does_not_tell_is_shared_once_it_is_known() {
    let world = World::new();
    let clouds = ["a", "b"].map(|name| world.cloud(name));
    for cloud in &clouds {
        *cloud.per_second.lock().unwrap() = Some(50);
    }
    let origins = [
        world.origin_as(&clouds[0], "x"),
        world.origin_as(&clouds[1], "y"),
    ];
    for (n, origin) in origins.iter().enumerate() {
        crowd(&world, origin, &format!("ns{n}"), 2_000);
    }
    let count = || {
        clouds
            .iter()
            .map(|cloud| cloud.take_calls().len())
            .sum::<usize>()
    };
    world.pass(SECOND * 2).await;
    assert!((40..=44).contains(&count()), "each its own");
    for origin in &origins {
        world.hub.learn_account(origin.identity.id(), "1");
    }
    world.pass(SECOND * 4).await;
    let shared = count();
    assert!((39..=42).contains(&shared), "{shared}");
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_slows_the_whole_account_and_it_recovers() {
    let world = World::new();
    let clouds = ["a", "b"].map(|name| world.cloud(name));
    for cloud in &clouds {
        *cloud.per_second.lock().unwrap() = Some(500);
    }
    let role = "acs:ram::1:role/x";
    crowd(&world, &world.origin_by(&clouds[0], role), "ns0", 2);
    world.pass(SECOND).await;
    clouds[0].all(Script::Spoils(Class::Throttled, "Throttling.User"));
    world.hub.subscribe(
        &object("more"),
        vec![need(&world.origin_by(&clouds[0], role), "more", HOUR)],
    );
    let _ = world.hub.join(&object("more"), Join::default());
    world.pass(Duration::from_millis(500)).await;
    crowd(&world, &world.origin_by(&clouds[1], role), "ns1", 5_000);
    world.pass(SECOND * 3).await;
    assert_eq!(world.hub.figures().slowed, 1);
    let slow = clouds[1].take_calls().len();
    assert!(
        slow < 200,
        "{slow} in about two seconds, where 100 a second is the share"
    );
    clouds[0].heal();
    world.pass(MINUTE * 2).await;
    assert_eq!(world.hub.figures().slowed, 0);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_rows_of_one_tenant_add_one_turn_to_anothers() {
    for periodic in [false, true] {
        let world = World::new();
        let cloud = world.cloud("a");
        *cloud.per_second.lock().unwrap() = Some(50);
        let origin = world.origin(&cloud);
        if periodic {
            for n in 0..10_000 {
                let name = ObjectKey::new("many", &format!("o{n}"));
                let needs = vec![need(&origin, &format!("many-{n}"), SECOND * 20)];
                world.hub.subscribe(&name, needs);
            }
            // Ten calls a second are a fifth of what is due.
            world.pass(SECOND * 18).await;
        } else {
            crowd(&world, &origin, "many", 10_000);
            world.pass(SECOND).await;
        }
        assert!(world.hub.figures().due > 5_000);
        let one = ObjectKey::new("few", "one");
        let before = world.start.elapsed();
        world.hub.subscribe(&one, vec![need(&origin, "few", HOUR)]);
        world.collect(&one, Join::default()).await;
        let took = world.start.elapsed() - before;
        assert!(took <= Duration::from_millis(250), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_tenants_broken_batches_leave_others_their_turns() {
    let world = World::new();
    let cloud = world.cloud("a");
    *cloud.per_second.lock().unwrap() = Some(50);
    let origin = world.origin(&cloud);
    for n in 0..10_000 {
        let missing = Script::Fails(Class::NotFound, "NotExist");
        cloud.set(&format!("many-{n}"), missing);
    }
    crowd(&world, &origin, "many", 10_000);
    world.pass(SECOND * 10).await;
    for n in 0..20 {
        let one = ObjectKey::new("few", &format!("one{n}"));
        let before = world.start.elapsed();
        let needs = vec![need(&origin, &format!("few-{n}"), HOUR)];
        world.hub.subscribe(&one, needs);
        world.collect(&one, Join::default()).await;
        let took = world.start.elapsed() - before;
        assert!(took <= Duration::from_millis(450), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_needs_what_another_waits_for_does_not_wait_in_its_place() {
    let world = World::new();
    let cloud = world.cloud("a");
    *cloud.per_second.lock().unwrap() = Some(50);
    let origin = world.origin(&cloud);
    crowd(&world, &origin, "many", 10_000);
    let one = ObjectKey::new("few", "one");
    let before = world.start.elapsed();
    world
        .hub
        .subscribe(&one, vec![need(&origin, "many-9999", HOUR)]);
    world.collect(&one, Join::default()).await;
    let took = world.start.elapsed() - before;
    assert!(took <= Duration::from_millis(250), "{took:?}");
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_only_claimed_costs_nobody_a_turn() {
    let world = World::new();
    let (cloud, other) = (world.cloud("a"), world.cloud("b"));
    for cloud in [&cloud, &other] {
        *cloud.per_second.lock().unwrap() = Some(50);
    }
    let role = |name: &str| format!("acs:ram::1:role/{name}");
    let refused = CallError::new(Class::Denied, "NoPermission");
    for n in 0..200 {
        let role = role(&format!("claimed{n}"));
        world
            .tokens
            .broken
            .lock()
            .unwrap()
            .insert(role.clone(), refused.clone());
        crowd(
            &world,
            &world.origin_by(&cloud, &role),
            &format!("ns{n}"),
            5,
        );
    }
    let owner = world.origin_by(&other, &role("owner"));
    crowd(&world, &owner, "owner", 400);
    world.pass(SECOND * 5).await;
    let calls = other.take_calls().len();
    assert!(calls >= 38, "{calls} calls in 5 s, where 50 are the share");
}

#[tokio::test(start_paused = true)]
async fn periodic_rows_are_served_while_the_fast_lane_never_empties() {
    let world = World::new();
    let cloud = world.cloud("a");
    *cloud.per_second.lock().unwrap() = Some(50);
    let origin = world.origin(&cloud);
    let periodic = object("periodic");
    world
        .hub
        .subscribe(&periodic, vec![need(&origin, "periodic", SECOND * 10)]);
    world.collect(&periodic, Join::default()).await;
    crowd(&world, &origin, "many", 20_000);
    world.pass(SECOND * 30).await;
    let reads = cloud.take_reads();
    assert!(reads["periodic"] >= 3, "{}", reads["periodic"]);
    assert!(world.hub.figures().due > 10_000, "they still wait");
}

#[tokio::test(start_paused = true)]
async fn a_store_can_only_allow_less() {
    let world = World::new();
    let cloud = world.cloud("a");
    let origin = world.origin(&cloud);
    *cloud.latency.lock().unwrap() = SECOND;
    let tight = StoreLimits {
        per_second: Some(2),
        in_flight: Some(1),
    };
    let limited = |key: &str, limits| Need {
        limits,
        ..need(&origin, key, HOUR)
    };
    for n in 0..100 {
        let name = object(&format!("o{n}"));
        world
            .hub
            .subscribe(&name, vec![limited(&format!("k{n}"), tight)]);
        let _ = world.hub.join(&name, Join::default());
    }
    world.pass(SECOND * 5).await;
    assert_eq!(
        cloud
            .most_in_flight
            .load(std::sync::atomic::Ordering::SeqCst),
        1
    );
    assert!(cloud.take_calls().len() <= 5);
    // The store says otherwise now.
    for n in 0..100 {
        let name = object(&format!("o{n}"));
        let needs = vec![limited(&format!("k{n}"), StoreLimits::default())];
        world.hub.subscribe(&name, needs);
    }
    world.pass(SECOND * 2).await;
    assert!(
        cloud
            .most_in_flight
            .load(std::sync::atomic::Ordering::SeqCst)
            > 1
    );
    world.hub.check();
}

#[tokio::test(start_paused = true)]
async fn without_a_share_there_is_no_budget() {
    let world = World::with(Limits {
        quota_share: 0.0,
        ..Limits::default()
    });
    let cloud = world.cloud("a");
    *cloud.per_second.lock().unwrap() = Some(1);
    crowd(&world, &world.origin(&cloud), "many", 1_000);
    world.pass(SECOND).await;
    assert_eq!(cloud.take_calls().len(), 100);
}
