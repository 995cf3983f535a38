//! What a new leader knows of the time before it.

use jiff::{SignedDuration, Timestamp};

use super::world::{Line, Process, World, s};
use super::{LEASE, MOMENT, PACE};
use crate::lease::Term;

fn only(process: &Process) -> Term {
    let terms = process.terms();
    assert_eq!(terms.len(), 1);
    terms[0]
}

fn ago(now: Timestamp, seconds: i64) -> Timestamp {
    now - SignedDuration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_first_of_all_knows_nothing() {
    let world = World::new();
    let mut first = world.process("a");
    first.start();
    world.pass(MOMENT).await;
    assert_eq!(only(&first).unled_since, None);
}

#[tokio::test(start_paused = true)]
async fn a_successor_knows_since_when_nobody_led() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.start();
    world.pass(s(30)).await;
    first.kill();
    let renewed = world.lease().renewed;
    world.pass(s(86_400)).await;
    second.start();
    world.leader_within(LEASE + MOMENT, [&second]).await;
    assert_eq!(only(&second).unled_since, renewed);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_ahead_hides_nothing() {
    let world = World::new();
    let [mut first, mut second] = ["a", "b"].map(|name| world.process(name));
    first.clock().set(3_600);
    first.start();
    world.pass(s(30)).await;
    second.start();
    world.pass(s(30)).await;
    let killed = world.now();
    first.kill();
    world.leader_within(LEASE + PACE + MOMENT, [&second]).await;
    let since = only(&second).unled_since.unwrap();
    assert!(since <= killed + SignedDuration::from_secs(2) && since >= ago(killed, 6));
}

#[tokio::test(start_paused = true)]
async fn what_was_overdue_is_handed_on_until_somebody_says_that_it_is_done() {
    let world = World::new();
    let mut first = world.process("a");
    first.start();
    world.pass(s(5)).await;
    let overdue = ago(world.now(), 100);
    *first.overdue.lock().unwrap() = Some(overdue);
    world.pass(s(5)).await;
    assert_eq!(world.lease().overdue, Some(overdue));
    // Killed, and so is whoever comes after it, before the first renewal.
    first.kill();
    for name in ["b", "c"] {
        let mut next = world.process(name);
        next.start();
        world.leader_within(LEASE + PACE + MOMENT, [&next]).await;
        world.pass(MOMENT).await;
        assert_eq!(only(&next).unled_since, Some(overdue));
        next.kill();
    }
    let mut last = world.process("d");
    last.start();
    world.pass(LEASE + s(8)).await;
    assert_eq!(only(&last).unled_since, Some(overdue));
    assert_eq!(world.lease().overdue, None, "done");
    *last.overdue.lock().unwrap() = Some(ago(world.now(), 1));
    last.stop().await;
    assert!(world.lease().overdue.is_some(), "also who stops tells it");
}

#[tokio::test(start_paused = true)]
async fn who_stops_after_an_outage_tells_when_that_began() {
    let world = World::new();
    let mut first = world.process("a");
    first.start();
    world.pass(s(30)).await;
    first.line().set(Line::Refuses);
    let renewed = world.lease().renewed;
    world.pass(s(600)).await;
    first.line().set(Line::Works);
    first.stop().await;
    assert_eq!(world.lease().holder, None);
    let mut next = world.process("b");
    next.start();
    world.leader_within(MOMENT, [&next]).await;
    world.pass(MOMENT).await;
    assert_eq!(only(&next).unled_since, renewed);
}
