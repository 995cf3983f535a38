//! Answers of KMS that are wrong as a whole cost nobody a Secret: one key of ten that travel together
//! is struck, as in [`crate::faults`] for OOS.

use cloudsim::{Effect, KmsSettings};
use futures::future::join_all;

use crate::cloud::Service;
use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::ten::{Heals, LONG, Ten, strike_one};
use crate::world::World;

async fn strike(prefix: &str, effect: Effect, reason: &str, told: &[&str], heals: Heals) {
    let ten = Ten::of(Scene::kms(World::kms().await, prefix).await).await;
    strike_one(ten, effect, reason, told, heals).await;
}

fn refusal(status: u16, code: &str) -> Effect {
    Effect::Error {
        status,
        code: code.to_owned(),
        message: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_one_secret_keeps_its_secret() {
    let effect = refusal(500, "InternalFailure");
    let told = ["InternalFailure", "(request "];
    strike(
        "kmsoutage",
        effect,
        "ProviderUnavailable",
        &told,
        Heals::Alone,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_denied_whole_keeps_the_secret() {
    let effect = refusal(403, "Forbidden.InDebt");
    let told = ["Forbidden.InDebt", "(request "];
    strike("kmsdebt", effect, "AccessDenied", &told, Heals::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_read_keeps_the_secret() {
    let told = ["UndecodableAnswer"];
    let effect = Effect::MalformedJson;
    strike(
        "kmsbroken",
        effect,
        "UnexpectedResponse",
        &told,
        Heals::Asked,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_costs_no_secret_and_heals_alone() {
    let world = World::kms().await;
    let cloud = world.another_cloud().await;
    let scene = Scene::at(world, "quota", Service::Kms, cloud).await;
    let names = ["a", "b", "c"];
    for name in names {
        scene.put(name, "canary-old");
    }
    let object = scene.object("db", NEVER, &names.map(|name| (name, name)));
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let before = scene.secret_as_it_is("db").await;
    let quota = |reads| KmsSettings {
        reads_per_second: reads,
        ..KmsSettings::default()
    };
    scene.cloud.set_kms(quota(Some(0)));
    for name in names {
        scene.put(name, "canary-new");
    }
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "Throttled")
        .await;
    assert!(message.contains("Rejected.Throttling"), "{message}");
    assert_eq!(scene.condition("db", "Ready").await.status, "True");
    assert_eq!(scene.secret_as_it_is("db").await, before);
    scene.cloud.set_kms(quota(None));
    scene
        .wait_condition_for(LONG, "db", "Fresh", "True", "Refreshed")
        .await;
    join_all(names.map(|name| scene.wait_value("db", name, "canary-new"))).await;
}
