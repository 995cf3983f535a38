//! A changed value reaches its Secret: at the next slot, and at once when somebody asks.

use std::time::{Duration, Instant};

use super::scene::Scene;
use super::snapshot::{NEVER, annotation, texts};
use super::wait::{SOON, until};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_becomes_a_secret_and_goes_with_its_object() {
    let scene = Scene::new(World::shared().await, "first").await;
    scene.put("db", "canary-first");
    scene
        .apply(&scene.object("db", "1h", &[("password", "db")]))
        .await
        .unwrap();
    let secret = scene.wait_value("db", "password", "canary-first").await;
    let labels = secret.metadata.labels.unwrap();
    assert_eq!(labels["cloudsecrets.dev/managed"], "true");
    scene.wait_settled("db").await;
    scene.delete("db").await;
    until("the Secret's end", SOON, async || {
        match scene.secret("db").await {
            None => Ok(()),
            Some(_) => Err("still there"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_arrives_at_once_when_somebody_asks_and_costs_one_call() {
    let scene = Scene::new(World::shared().await, "asked").await;
    scene.put("db", "canary-old");
    scene
        .apply(&scene.object("db", NEVER, &[("password", "db")]))
        .await
        .unwrap();
    let old = scene.wait_value("db", "password", "canary-old").await;
    scene.wait_settled("db").await;
    scene.put("db", "canary-new");
    let before = scene.calls("db");
    scene.refresh("db", "1").await;
    let new = scene.wait_value("db", "password", "canary-new").await;
    scene.wait_handled("db", "1").await;
    assert_eq!(scene.calls("db") - before, 1);
    assert_ne!(annotation(&old, "inputs"), annotation(&new, "inputs"));
    assert_eq!(
        new.metadata.resource_version,
        scene.secret_as_it_is("db").await.metadata.resource_version,
        "one write"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_carried_out_once() {
    let scene = Scene::new(World::shared().await, "once").await;
    scene.put("db", "canary-old");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    scene.refresh("db", "now").await;
    scene.wait_handled("db", "now").await;
    let (secret, version) = (scene.secret_as_it_is("db").await, scene.version("db").await);
    let calls = scene.calls("db");
    scene.put("db", "canary-new");
    scene.refresh("db", "now").await;
    scene.stays(&secret, Duration::from_secs(3)).await;
    assert_eq!(scene.calls("db"), calls);
    assert_eq!(scene.version("db").await, version);
    scene.refresh("db", "again").await;
    scene.wait_value("db", "password", "canary-new").await;
    assert_eq!(scene.calls("db"), calls + 1);
    // So is one that is as long as annotations may be, and status does not repeat it.
    scene.wait_handled("db", "again").await;
    let mut handled = "again".to_owned();
    for (extra, end) in [(2, "1"), (3, "2")] {
        let long = format!("{}{end}", "x".repeat(200 << 10));
        scene.refresh("db", &long).await;
        handled = until("the long request", SOON, async || {
            let status = scene.objects().get("db").await.unwrap().status;
            let now = status.unwrap_or_default().last_handled_refresh;
            now.filter(|now| *now != handled).ok_or(())
        })
        .await;
        assert!(handled.len() < 100, "{handled}");
        let secret = scene.secret_as_it_is("db").await;
        let version = scene.version("db").await;
        scene.stays(&secret, Duration::from_secs(2)).await;
        assert_eq!(scene.version("db").await, version);
        assert_eq!(scene.calls("db"), calls + extra);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_any_length_is_carried_out_once_and_status_stays_small() {
    let scene = Scene::new(World::shared().await, "lengthy").await;
    scene.put("db", "canary-lengthy");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let mut handled: Option<String> = None;
    for end in ["1", "2"] {
        let calls = scene.calls("db");
        scene
            .refresh("db", &format!("{}{end}", "x".repeat(200 << 10)))
            .await;
        let next = until("the request", SOON, async || {
            let status = scene.objects().get("db").await.unwrap().status;
            let now = status.unwrap_or_default().last_handled_refresh;
            now.filter(|now| handled.as_ref() != Some(now)).ok_or(())
        })
        .await;
        assert!(next.len() < 100, "{next}");
        handled = Some(next);
        let version = scene.version("db").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(scene.calls("db"), calls + 1);
        assert_eq!(scene.version("db").await, version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_arrives_at_the_next_slot_with_one_write() {
    let scene = Scene::new(World::shared().await, "slot").await;
    scene.put("db", "canary-old");
    let object = scene.object("db", "10s", &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    let old = scene.wait_value("db", "password", "canary-old").await;
    scene.wait_settled("db").await;
    // One slot passes: a refresh that brings the same value writes nothing.
    let (calls, version) = (scene.calls("db"), scene.version("db").await);
    until("the next slot", SOON, async || match scene.calls("db") {
        now if now > calls => Ok(()),
        now => Err(now),
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(scene.version("db").await, version);
    assert_eq!(
        scene.secret("db").await.unwrap().metadata.resource_version,
        old.metadata.resource_version
    );

    let calls = scene.calls("db");
    let start = Instant::now();
    scene.put("db", "canary-new");
    let new = scene.wait_value("db", "password", "canary-new").await;
    assert!(start.elapsed() < Duration::from_secs(12), "not at the slot");
    assert_eq!(scene.calls("db"), calls + 1, "one call brings the value");
    let written = scene.secret_as_it_is("db").await;
    assert_eq!(
        written.metadata.resource_version,
        new.metadata.resource_version
    );
    assert!(annotation(&new, "changed-at") >= annotation(&old, "changed-at"));
    let status = scene.objects().get("db").await.unwrap().status.unwrap();
    assert!(status.changed_time.is_some());
    // The next slot finds nothing new.
    scene.stays(&written, Duration::from_secs(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_of_four_change_is_written_with_the_other_three_intact() {
    let scene = Scene::new(World::shared().await, "four").await;
    let keys = ["a", "b", "c", "d"];
    for key in keys {
        scene.put(key, &format!("canary-{key}"));
    }
    let entries = keys.map(|key| (key, key));
    scene
        .apply(&scene.object("db", "10s", &entries))
        .await
        .unwrap();
    scene.wait_settled("db").await;
    scene.put("c", "canary-changed");
    let new = scene.wait_value("db", "c", "canary-changed").await;
    let expected = [
        ("a", "canary-a"),
        ("b", "canary-b"),
        ("c", "canary-changed"),
        ("d", "canary-d"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(texts(&new), expected);
    let written = scene.secret_as_it_is("db").await;
    assert_eq!(
        written.metadata.resource_version, new.metadata.resource_version,
        "one write"
    );
    scene.stays(&written, Duration::from_secs(11)).await;
}
