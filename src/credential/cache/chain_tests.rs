//! Roles that other identities enter: what is shared, what is renewed, and what is not.

use super::tests::{Fixture, Mode, access_key, hop, rrsa, settle};
use super::*;

#[tokio::test(start_paused = true)]
async fn chains_share_the_exchange_of_their_base_and_nothing_else() {
    let fixture = Fixture::new();
    let base = rrsa("a");
    let (one, other, same) = (hop(&base, "x"), hop(&rrsa("a"), "y"), hop(&base, "x"));
    let calls = [&one, &other, &same, &base].map(|id| fixture.cache.get(id));
    let all = futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(fixture.exchanges(), 3, "the base, x and y");
    assert!(Arc::ptr_eq(&all[0], &all[2]));
    assert!(!Arc::ptr_eq(&all[0], &all[1]));
    let entered = fixture.entered();
    assert_eq!(entered, vec![all[3].access_key_id.clone(); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_chain_ends_with_its_last_hop_and_is_renewed_through_a_base_that_is_renewed_too() {
    let fixture = Fixture::new();
    let identity = hop(&rrsa("a"), "x");
    let first = fixture.get(&identity).await;
    fixture.mode(Mode::Fail);
    tokio::time::advance(Duration::from_mins(50)).await;
    assert!(Arc::ptr_eq(&first, &fixture.get(&identity).await));
    settle().await;
    fixture.mode(Mode::Issue);
    tokio::time::advance(Duration::from_mins(10)).await;
    let renewed = fixture.get(&identity).await;
    assert!(!Arc::ptr_eq(&first, &renewed));
    let entered = fixture.entered();
    assert_ne!(entered[0], entered[entered.len() - 1], "by a new base");
}

#[tokio::test(start_paused = true)]
async fn a_base_that_fails_fails_the_chain_and_enters_nothing() {
    let fixture = Fixture::new();
    let identity = hop(&rrsa("a"), "x");
    fixture.mode(Mode::Fail);
    let error = fixture.cache.get(&identity).await.unwrap_err();
    assert_eq!(error.to_string(), "ServiceUnavailable");
    assert_eq!(fixture.exchanges(), 1);
    assert!(fixture.entered().is_empty());
    fixture.mode(Mode::Issue);
    fixture.get(&identity).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_base_is_renewed_once() {
    let fixture = Fixture::new();
    let base = rrsa("a");
    let held = fixture.get(&base).await;
    fixture.refuse(&held);
    fixture.get(&hop(&base, "x")).await;
    assert_eq!(
        fixture.exchanges(),
        4,
        "the base, a refusal, the base again, the hop"
    );
    assert!(!Arc::ptr_eq(&held, &fixture.get(&base).await));
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_not_tried_again() {
    let fixture = Fixture::new();
    let base = access_key("canary-1");
    let held = fixture.get(&base).await;
    fixture.refuse(&held);
    let error = fixture.cache.get(&hop(&base, "x")).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthenticated);
    assert_eq!(fixture.exchanges(), 1);
    fixture.get(&hop(&base, "x")).await;
}

#[tokio::test(start_paused = true)]
async fn throttling_waits_as_asked_and_stops_nobody_who_is_still_valid() {
    let fixture = Fixture::new();
    let (held, new) = (rrsa("a"), rrsa("b"));
    let first = fixture.get(&held).await;
    fixture.mode(Mode::Throttle);
    tokio::time::advance(Duration::from_secs(2750)).await;
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&first, &fixture.get(&held).await));
        settle().await;
    }
    assert_eq!(
        fixture.exchanges(),
        2,
        "one attempt, and none before three minutes"
    );
    let error = fixture.cache.get(&new).await.unwrap_err();
    assert_eq!(error.class, Class::Throttled);
    assert!(Arc::ptr_eq(&first, &fixture.get(&held).await));
    tokio::time::advance(Duration::from_mins(3)).await;
    fixture.mode(Mode::Issue);
    fixture.get(&held).await;
    settle().await;
    assert!(!Arc::ptr_eq(&first, &fixture.get(&held).await));
}

#[tokio::test(start_paused = true)]
async fn the_base_of_a_live_chain_is_kept() {
    let fixture = Fixture::new();
    let identity = hop(&hop(&rrsa("a"), "x"), "y");
    fixture.get(&identity).await;
    fixture.get(&rrsa("b")).await;
    fixture.cache.retain(&HashSet::from([identity.id()]));
    assert_eq!(fixture.cache.len(), 3);
}
