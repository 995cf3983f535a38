//! What strikes everything that one identity or one endpoint reads costs nobody a Secret either.

use std::time::Duration;

use cloudsim::{Fault, Filter};
use futures::future::join_all;
use serde_json::json;

use super::cloud::Service;
use super::road::Road;
use super::scene::Scene;
use super::snapshot::NEVER;
use super::ten::{Heals, LONG, NEIGHBOURS, Ten, VICTIM};
use super::wait::until;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_refused_is_replaced_and_nobody_notices() {
    let ten = Ten::new("revoked").await;
    let scene = &ten.scene;
    let revoked = scene
        .world
        .cloud
        .revoke_sessions(&format!("{}-reader", scene.namespace));
    assert!(revoked.unwrap() > 0);
    scene.put(VICTIM, "canary-new");
    scene.put("n1", "canary-meanwhile");
    scene.wait_value(VICTIM, VICTIM, "canary-new").await;
    scene.wait_value("all", "n1", "canary-meanwhile").await;
    let fresh = format!("{:?}", scene.condition("n1", "Fresh").await);
    assert_eq!(fresh, ten.fresh_since);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_keeps_every_secret_of_its_identity_and_heals_alone() {
    let ten = Ten::new("expired").await;
    let scene = &ten.scene;
    // Another identity reads beside it.
    scene.service_account("other").await;
    scene.role("other", &["other"], &[&scene.key("*")]);
    scene
        .apply(&scene.store("other", scene.rrsa("other")))
        .await
        .unwrap();
    let mut beside = scene.object("beside", "10s", &[("n1", "n1")]);
    beside["spec"]["secretStoreRef"]["name"] = "other".into();
    scene.apply(&beside).await.unwrap();
    scene.wait_settled("beside").await;
    let fresh = scene.condition("beside", "Fresh").await;

    let role = format!("{}-reader", scene.namespace);
    let code = "InvalidSecurityToken.Expired";
    let fault = Fault::error(400, code).service("oos").principal(&role);
    let id = scene.world.cloud.add_fault(fault);
    scene.put(VICTIM, "canary-new");
    scene.put("n1", "canary-meanwhile");
    scene.refresh("all", "during").await;
    let message = scene
        .wait_condition("all", "Fresh", "False", "AuthenticationFailed")
        .await;
    assert!(
        message.contains(code) && message.contains("(request "),
        "{message}"
    );
    scene.wait_value("beside", "n1", "canary-meanwhile").await;
    assert_eq!(scene.condition("beside", "Fresh").await, fresh);
    ten.check_untouched().await;
    assert_eq!(scene.condition("all", "Ready").await.status, "True");
    // One probe at a time: a parked identity is not hammered by its rows.
    let filter = Filter::service("oos").principal(&role).outcome(code);
    let refused = scene.world.cloud.ledger_of(&filter).total;
    assert!(refused <= 8, "{refused} calls of a parked identity");
    scene.world.cloud.clear_fault(id);
    ten.heal(Heals::Alone).await;
    until("the neighbours", LONG, async || {
        let all = join_all(NEIGHBOURS.iter().map(|name| scene.condition(name, "Fresh"))).await;
        if all.iter().all(|fresh| fresh.status == "True") {
            Ok(())
        } else {
            Err(all)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_connections_keeps_every_secret_and_heals_alone() {
    let scene = Scene::new(World::shared().await, "dark").await;
    let road = Road::open(scene.world.cloud.addr()).await;
    let mut store = scene.store("road", scene.rrsa("reader"));
    store["spec"]["provider"]["oos"]["endpoint"] = road.url().into();
    scene.apply(&store).await.unwrap();
    let place = ("CloudSecretStore", "road");
    scene
        .wait_store_is(LONG, place, "Reachable", "True", "NoOutage")
        .await;
    let names = ["a", "b", "c"];
    for name in names {
        scene.put(name, "canary-old");
        let mut object = scene.object(name, "10s", &[(name, name)]);
        object["spec"]["secretStoreRef"]["name"] = "road".into();
        scene.apply(&object).await.unwrap();
    }
    join_all(names.map(|name| scene.wait_settled(name))).await;
    let before = join_all(names.map(|name| scene.secret_as_it_is(name))).await;
    road.cut();
    for name in names {
        scene.put(name, "canary-new");
        let message = scene
            .wait_condition(name, "Fresh", "False", "ProviderUnavailable")
            .await;
        assert!(message.contains("Connection"), "{message}");
        assert_eq!(scene.condition(name, "Ready").await.status, "True");
    }
    assert_eq!(
        join_all(names.map(|name| scene.secret_as_it_is(name))).await,
        before
    );
    let message = scene
        .wait_store_is(LONG, place, "Reachable", "False", "ProviderUnavailable")
        .await;
    assert!(message.contains(": Connection"), "{message}");
    road.mend().await;
    for name in names {
        scene
            .wait_condition_for(LONG, name, "Fresh", "True", "Refreshed")
            .await;
        scene.wait_value(name, name, "canary-new").await;
    }
    scene
        .wait_store_is(LONG, place, "Reachable", "True", "NoOutage")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttling_cloud_is_left_in_peace_and_costs_no_secret() {
    // A cloud of its own: a refusal slows down whatever reads the same account there.
    let world = World::shared().await;
    let cloud = world.another_cloud().await;
    let ten = Ten::of(Scene::at(world, "throttled", Service::Oos, cloud).await).await;
    let scene = &ten.scene;
    let role = format!("{}-reader", scene.namespace);
    let fault = Fault::throttle(4_000).service("oos").principal(&role);
    let id = scene.cloud.add_fault(fault);
    scene.put(VICTIM, "canary-new");
    scene.put("n1", "canary-meanwhile");
    // A call waits twice for the cloud's hint before it gives up.
    let message = scene
        .wait_condition_for(LONG, VICTIM, "Fresh", "False", "Throttled")
        .await;
    assert!(
        message.contains("Throttling.User") && message.contains("(request "),
        "{message}"
    );
    ten.check_untouched().await;
    assert_eq!(scene.condition(VICTIM, "Ready").await.status, "True");
    let throttled = Filter::service("oos")
        .principal(&role)
        .outcome("Throttling.User");
    let calls = || scene.cloud.ledger_of(&throttled).total;
    let before = calls();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let more = calls() - before;
    assert!(more <= 24, "{more} calls in 8 s, against a hint of 4 s");
    scene.cloud.clear_fault(id);
    ten.heal(Heals::Alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_during_an_outage_is_repaired_after_it() {
    let scene = Scene::new(World::shared().await, "later").await;
    scene.put("db", "canary-good");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let fault = Fault::error(503, "ServiceUnavailable").name(&scene.key("db"));
    let id = scene.world.cloud.add_fault(fault);
    // The value of the first read is kept for a few seconds, and would do.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let spoil = json!({ "stringData": { "password": "spoilt" } });
    scene.edit_secret("db", &spoil).await;
    scene
        .wait_condition("db", "Fresh", "False", "ProviderUnavailable")
        .await;
    let spoilt = scene.secret_as_it_is("db").await;
    scene.stays(&spoilt, Duration::from_secs(1)).await;
    scene.world.cloud.clear_fault(id);
    scene.wait_value("db", "password", "canary-good").await;
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_deleted_during_an_outage_comes_back_after_it() {
    let scene = Scene::new(World::shared().await, "lost").await;
    scene.put("db", "canary-good");
    let object = scene.object("db", NEVER, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let fault = Fault::error(503, "ServiceUnavailable").name(&scene.key("db"));
    let id = scene.world.cloud.add_fault(fault);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let params = kube::api::DeleteParams::default();
    scene.secrets().delete("db", &params).await.unwrap();
    scene
        .wait_condition("db", "Ready", "False", "ProviderUnavailable")
        .await;
    scene.world.cloud.clear_fault(id);
    scene.wait_value("db", "password", "canary-good").await;
    scene.wait_settled("db").await;
}
