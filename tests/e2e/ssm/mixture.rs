//! One object of two clouds and three services.

use cloudsim::tencent::SecretType;
use serde_json::json;

use crate::cloud::Service;
use crate::scene::Scene;
use crate::snapshot::{NEVER, texts};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn one_object_mixes_oos_kms_and_ssm() {
    let scene = Scene::kms(World::ssm().await, "mixed").await;
    let ssm = Scene {
        service: Service::Ssm,
        ..scene.elsewhere(&scene.namespace)
    };
    ssm.ssm_store().await;
    let store = scene.store_of(Service::Oos, "oos", scene.rrsa("reader"));
    scene.apply(&store).await.unwrap();
    scene.put("secret", "canary-kms-1");
    scene
        .cloud
        .put_parameter(&scene.key("parameter"), "canary-oos-1")
        .unwrap();
    ssm.put_current("account", SecretType::Redis, "canary-ssm-1");
    let mut object = scene.object(
        "db",
        NEVER,
        &[("a", "parameter"), ("b", "secret"), ("c", "account")],
    );
    for (i, store) in ["oos", "kms", "ssm"].iter().enumerate() {
        object["spec"]["data"][i]["sourceRef"] = json!({ "storeRef": { "name": store } });
    }
    object["spec"]["data"][2]["remoteRef"]["key"] = ssm.key("account").into();
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let held = async || {
        let texts = texts(&scene.secret_as_it_is("db").await);
        texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    assert_eq!(
        held().await,
        ["canary-oos-1", "canary-kms-1", "canary-ssm-1"]
    );
    let status = scene.objects().get("db").await.unwrap().status.unwrap();
    let regions: Vec<_> = status
        .entries
        .iter()
        .map(|entry| entry.region.as_deref())
        .collect();
    assert_eq!(
        regions,
        [
            Some("cn-hangzhou"),
            Some("cn-hangzhou"),
            Some("ap-guangzhou")
        ]
    );

    // One cloud refuses while the others have news: all entries or none.
    ssm.may(&[]).await;
    scene.put("secret", "canary-kms-2");
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert!(message.starts_with("data[c] "), "{message}");
    assert_eq!(
        held().await,
        ["canary-oos-1", "canary-kms-1", "canary-ssm-1"]
    );
    ssm.may(&crate::user::READING).await;
    ssm.cloud
        .tencent()
        .rotate(&ssm.key("account"), "canary-ssm-2")
        .unwrap();
    scene.refresh("db", "2").await;
    scene.wait_value("db", "c", "canary-ssm-2").await;
    assert_eq!(
        held().await,
        ["canary-oos-1", "canary-kms-2", "canary-ssm-2"]
    );
}
