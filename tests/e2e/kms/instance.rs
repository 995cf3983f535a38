//! Dedicated instances: behind their own authority, and on no other host than the vendor's.

use cloudsim::{Fault, KmsInstance};
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::endpoint::Trap;
use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::world::World;

const STORE: &str = "CloudSecretStore";

/// A store that reads the scene's instance, if its certificate comes from `ca`.
fn store(scene: &Scene<'_>, ca: Option<&str>) -> Value {
    let mut store = scene.store("kms", scene.rrsa("reader"));
    let instance = &mut store["spec"]["provider"]["kms"]["instance"];
    *instance = json!({ "endpoint": running(scene).url });
    if let Some(ca) = ca {
        instance["caBundle"] = ca.into();
    }
    store
}

fn running<'s>(scene: &'s Scene<'_>) -> &'s KmsInstance {
    scene.cloud.kms_instance().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_read_behind_its_own_authority_and_no_other() {
    let world = World::kms().await;
    let (cloud, other) = (world.another_cloud().await, world.another_cloud().await);
    let scene = Scene::at(world, "instance", Service::Kms, cloud).await;
    let ca = running(&scene).ca_pem.clone();
    scene.apply(&store(&scene, Some(&ca))).await.unwrap();
    let names = ["a", "b", "c"];
    for name in names {
        scene.put(name, "canary-old");
    }
    let entries = names.map(|name| (name, name));
    let object = scene.object("db", NEVER, &entries);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let secret = scene.secret_as_it_is("db").await;
    let host = running(&scene).address.to_string();
    let calls = || names.map(|name| scene.reads(name)).concat();
    assert!(
        calls().iter().all(|call| call.host == host),
        "{:?}",
        calls()
    );

    // Another authority, and the vendor's own: nothing is sent, and the Secret stays.
    let theirs = other.kms_instance().unwrap().ca_pem.clone();
    let sent = calls().len();
    for name in names {
        scene.put(name, "canary-new");
    }
    for (n, ca) in [Some(&*theirs), None].into_iter().enumerate() {
        scene.apply(&store(&scene, ca)).await.unwrap();
        scene.refresh("db", &n.to_string()).await;
        let message = scene
            .wait_condition("db", "Fresh", "False", "ProviderUnavailable")
            .await;
        let told = message.contains("TlsFailed: ") && message.contains("caBundleRef");
        assert!(told, "{message}");
        assert_eq!(scene.condition("db", "Ready").await.status, "True");
        assert_eq!(scene.secret_as_it_is("db").await, secret);
    }
    assert_eq!(calls().len(), sent, "something was sent to a stranger");
    scene.apply(&store(&scene, Some(&ca))).await.unwrap();
    for name in names {
        scene.wait_value("db", name, "canary-new").await;
    }
    scene.wait_settled("db").await;

    // An instance that is stopped holds what it holds.
    let secret = scene.secret_as_it_is("db").await;
    let stopped = Fault::error(403, "Forbidden.DKMSInstanceStateInvalid").service("kms");
    let id = scene.cloud.add_fault(stopped);
    scene.refresh("db", "stopped").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert!(message.contains("DKMSInstanceStateInvalid"), "{message}");
    assert_eq!(scene.secret_as_it_is("db").await, secret);
    scene.cloud.clear_fault(id);
    scene.refresh("db", "started").await;
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kms_host_off_the_patterns_is_refused_before_anything_is_signed() {
    let world = World::strict().await;
    let scene = Scene::kms(world, "kmshosts").await;
    let trap = Trap::new();
    let port = trap.port();
    let table = [
        (format!("http://127.0.0.1:{port}"), "must use https"),
        (format!("https://127.0.0.1:{port}"), "not an IP address"),
        (format!("https://localhost:{port}"), "must not name a port"),
        ("https://100.100.100.200".into(), "link-local or metadata"),
        ("https://kst-a.evil.com".into(), "is not one of"),
        (
            "https://kst-a.b.cryptoservice.kms.aliyuncs.com".into(),
            "is not one of",
        ),
        (
            "https://kst-a.cryptoservice.kms.aliyuncs.com.evil.com".into(),
            "is not one of",
        ),
        (
            "https://oos.cn-hangzhou.aliyuncs.com".into(),
            "is not one of",
        ),
    ];
    for (i, (url, problem)) in table.iter().enumerate() {
        for field in ["endpoint", "instance"] {
            let name = format!("{field}-{i}");
            let mut store = scene.store(&name, scene.rrsa("reader"));
            let provider = &mut store["spec"]["provider"]["kms"];
            *provider = match field {
                "endpoint" => json!({ "region": "cn-hangzhou", "endpoint": url }),
                _ => json!({ "region": "cn-hangzhou", "instance": { "endpoint": url } }),
            };
            // All else is as in production.
            store["spec"]["auth"]
                .as_object_mut()
                .unwrap()
                .remove("stsEndpoint");
            scene.apply(&store).await.unwrap();
            let message = scene.wait_store(STORE, &name, "False", "InvalidSpec").await;
            assert!(message.contains("spec.provider.kms"), "{message}");
            assert!(message.contains(problem), "{url}: {message}");
            let object = scene.reading(&name, (STORE, &name), &[("a", "a")]);
            scene.apply(&object).await.unwrap();
            let told = scene
                .wait_condition(&name, "Ready", "False", "StoreNotReady")
                .await;
            assert!(told.contains(problem), "{url}: {told}");
        }
    }
    assert_eq!(world.cloud.ledger().total, 0, "the cloud was called");
    trap.assert_untouched();
}
