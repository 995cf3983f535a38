//! Several processes, one Lease, a paused clock, and everything that goes wrong in between.

#![allow(clippy::unchecked_time_subtraction)]

mod gate;
mod random;
mod term;
mod world;

use std::time::Duration;

use world::{Line, Process, World, s};

use super::view::{DEADLINE, LEASE, PACE, RENEWAL};

/// A look, or a call, that comes a moment later.
const MOMENT: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn one_of_three_leads_and_goes_on_leading() {
    let world = World::new();
    let mut three = ["a", "b", "c"].map(|name| world.process(name));
    three.iter_mut().for_each(Process::start);
    let first = world.leader_within(MOMENT, &three).await;
    for _ in 0..600 {
        world.pass(s(1)).await;
        assert_eq!(world.leader(&three), Some(first.clone()));
    }
    assert_eq!(world.lease().transitions, 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_is_replaced_within_fourteen_seconds() {
    for after in 0..8 {
        let world = World::new();
        let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
        first.start();
        world.pass(s(20)).await;
        second.start();
        world.pass(s(10) + Duration::from_millis(500 * after)).await;
        first.kill();
        world.pass(LEASE - RENEWAL - MOMENT).await;
        assert!(!second.leads(), "the Lease is still valid");
        world
            .leader_within(s(14) - (LEASE - RENEWAL - MOMENT), [&second])
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_the_lease_back_is_replaced_at_the_next_look() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.start();
    second.start();
    world.pass(s(30)).await;
    first.stop().await;
    assert!(!first.leads());
    world.leader_within(PACE + MOMENT, [&second]).await;
    assert_eq!(world.lease().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn who_stops_in_the_middle_of_taking_the_lease_gives_it_back_too() {
    let world = World::new();
    let mut first = world.process("a");
    first.start();
    // The answer to its look is on its way; the answer to what it writes then will be lost.
    world.pass(Duration::from_millis(15)).await;
    first.line().set(Line::LosesAnswers);
    world.pass(s(1)).await;
    assert_eq!(world.lease().holder.as_deref(), Some("a"));
    assert!(!first.leads());
    first.line().set(Line::Works);
    first.stop().await;
    assert_eq!(world.lease().holder, None);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost_deposes_nobody() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.start();
    world.pass(s(1)).await;
    second.start();
    for line in [Line::LosesAnswers, Line::LosesRequests] {
        world.pass(RENEWAL - PACE).await;
        first.line().set(line);
        // The renewal is sent, and given up after three seconds.
        world.pass(PACE + s(3)).await;
        first.line().set(Line::Works);
        for _ in 0..40 {
            world.pass(PACE).await;
            assert!(first.leads() && !second.leads(), "{line:?}");
        }
    }
    assert_eq!(world.lease().transitions, 0);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_leading_before_anybody_else_begins() {
    for line in [Line::Refuses, Line::LosesRequests, Line::LosesAnswers] {
        let world = World::new();
        let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
        first.start();
        world.pass(s(1)).await;
        second.start();
        world.pass(s(30)).await;
        first.line().set(line);
        let mut idle = Duration::ZERO;
        for _ in 0..400 {
            world.pass(MOMENT / 4).await;
            match (first.leads(), second.leads()) {
                (true, true) => panic!("both lead, {line:?}"),
                (false, false) => idle += MOMENT / 4,
                _ => {}
            }
        }
        assert!(second.leads(), "{line:?}");
        assert!(idle >= LEASE - DEADLINE - MOMENT, "{line:?}: {idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_stopped_for_long_does_not_lead_when_it_goes_on() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.start();
    world.pass(s(1)).await;
    second.start();
    world.pass(s(9)).await;
    first.freeze();
    world.leader_within(s(14), [&second]).await;
    world.pass(s(60)).await;
    first.thaw();
    assert!(!first.leads(), "before it does anything");
    for _ in 0..60 {
        world.pass(MOMENT).await;
        assert!(second.leads() && !first.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_led_leads_again_at_once_after_an_outage() {
    let world = World::new();
    let mut only = world.process("a");
    only.start();
    world.pass(s(30)).await;
    only.line().set(Line::Refuses);
    world.pass(DEADLINE + MOMENT).await;
    assert!(!only.leads());
    world.pass(s(300)).await;
    only.line().set(Line::Works);
    world.leader_within(PACE + MOMENT, [&only]).await;
    assert_eq!(only.terms().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_makes_no_two_leaders() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.start();
    world.pass(s(1)).await;
    second.start();
    // It has seen who leads. Nobody who starts at that moment can know.
    world.pass(s(1)).await;
    for pause in 0..9 {
        world.delete();
        for _ in 0..20 {
            world.pass(s(1)).await;
            assert!(!(first.leads() && second.leads()));
        }
        world.pass(Duration::from_millis(500 * pause)).await;
        world.leader_within(s(14), [&first, &second]).await;
    }
    // Also when its leader is dead.
    first.kill();
    world.delete();
    world.leader_within(s(14), [&second]).await;
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_or_are_set_make_no_two_leaders() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.clock().set(3_600);
    second.clock().set(-86_400);
    first.start();
    world.pass(s(1)).await;
    second.start();
    for at in [100_000, -100_000, 0, 5, 20, -20] {
        first.clock().set(at);
        second.clock().set(-at);
        for _ in 0..120 {
            world.pass(MOMENT).await;
            assert!(!second.leads(), "clocks are not compared");
        }
        assert!(first.leads(), "a clock that is set costs at most a moment");
    }
}
