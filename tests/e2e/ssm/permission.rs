//! Who may read values and ask nothing else reads what is current, and its status says so.

use cloudsim::tencent::{SecretType, Version};

use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::user::READING;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_said_in_the_status_and_a_pinned_version_needs_nothing_else() {
    let scene = Scene::ssm(World::ssm().await, "narrow").await;
    scene.may(&["ssm:GetSecretValue"]).await;
    scene.put_current("db", SecretType::Custom, "canary-current");
    let newest = Version::text("v2", "canary-newest");
    scene
        .cloud
        .tencent()
        .put_version(&scene.key("db"), &newest)
        .unwrap();
    let mut pinned = scene.object("pinned", NEVER, &[("password", "db")]);
    pinned["spec"]["data"][0]["remoteRef"]["version"] = "v2".into();
    scene
        .apply_all(&[scene.object("db", NEVER, &[("password", "db")]), pinned])
        .await;
    scene.wait_value("db", "password", "canary-current").await;
    let message = scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    assert!(
        message.contains("data[password]: ssm:DescribeSecret is denied"),
        "{message}"
    );
    scene
        .wait_value("pinned", "password", "canary-newest")
        .await;
    let message = scene
        .wait_condition("pinned", "Fresh", "True", "Refreshed")
        .await;
    assert_eq!(message, "the last due refresh worked");
    let asked: Vec<_> = scene
        .reads("db")
        .into_iter()
        .map(|call| call.action)
        .collect();
    let described = asked
        .iter()
        .filter(|action| *action == "DescribeSecret")
        .count();
    assert_eq!(described, 1, "it is not asked again at once: {asked:?}");

    // What was granted counts as soon as the operator asks again, at the latest when it is new.
    scene.may(&READING).await;
    scene.delete("db").await;
    scene.delete("pinned").await;
    scene.wait_gone("pinned").await;
    scene
        .apply(&scene.object("db", NEVER, &[("password", "db")]))
        .await
        .unwrap();
    scene.wait_value("db", "password", "canary-newest").await;
    let message = scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    assert_eq!(message, "the last due refresh worked");
}
