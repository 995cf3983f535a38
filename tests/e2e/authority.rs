//! Dedicated KMS instances whose authority a store names by `caBundleRef`: trusted alone, watched, and
//! told apart from what is missing or no certificate.

use cloudsim::Secret;
use external_cloud_secrets::api::CloudSecretStore;
use external_cloud_secrets::http::Authority;
use external_cloud_secrets::provider::alibaba::ca;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::{SOON, until};
use super::world::World;

const NAMESPACED: &str = "CloudSecretStore";
const CLUSTER: &str = "ClusterCloudSecretStore";

/// The certificates of the simulated instance's authority.
fn right(scene: &Scene<'_>) -> String {
    scene.world.cloud.kms_instance().unwrap().ca_pem.clone()
}

/// Certificates that are as good, and another authority's.
fn wrong(region: &str) -> String {
    ca::chain(region).unwrap().pem.to_owned()
}

/// `spec.provider` of the simulated instance, trusted as `reference` says.
fn provider(scene: &Scene<'_>, reference: &Value) -> Value {
    let cloud = &scene.world.cloud;
    let instance =
        json!({ "endpoint": cloud.kms_instance().unwrap().url, "caBundleRef": reference });
    json!({ "kms": { "region": "cn-hangzhou", "endpoint": cloud.url(), "instance": instance } })
}

/// An object `name` that reads the secret `db` of the instance through a store `name`, which trusts what
/// `reference` names.
async fn through(scene: &Scene<'_>, name: &str, reference: &Value) {
    let mut store = scene.store(name, scene.rrsa("reader"));
    store["spec"]["provider"] = provider(scene, reference);
    scene.apply(&store).await.unwrap();
    scene
        .apply(&object(scene, name, NAMESPACED, name))
        .await
        .unwrap();
}

fn object(scene: &Scene<'_>, name: &str, kind: &str, store: &str) -> Value {
    let mut object = scene.reading(name, (kind, store), &[("password", &scene.key("db"))]);
    object["spec"]["refreshInterval"] = NEVER.into();
    object
}

/// Puts a version of the secret `db`.
fn put(scene: &Scene<'_>, value: &str) {
    let secret = Secret::new(&scene.key("db"), value);
    scene.world.cloud.put_secret(secret).unwrap();
}

/// Makes or replaces the object `ca` of a kind, with one key.
async fn put_ca(scene: &Scene<'_>, kind: &str, key: &str, text: &str) {
    if kind == "Secret" {
        return scene.put_secret("ca", &[(key, text)]).await;
    }
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "ca", "namespace": scene.namespace },
        "data": { key: text },
    });
    scene.apply(&map).await.unwrap();
}

async fn delete_ca(scene: &Scene<'_>, kind: &str) {
    if kind == "Secret" {
        return scene.delete_secret("ca").await;
    }
    let api: Api<ConfigMap> = Api::namespaced(scene.client.clone(), &scene.namespace);
    api.delete("ca", &DeleteParams::default()).await.unwrap();
}

fn reference(kind: &str) -> Value {
    json!({ "kind": kind, "name": "ca", "key": "ca.crt" })
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_from_a_config_map_or_a_secret() {
    let scene = Scene::new(World::shared().await, "bundle").await;
    put(&scene, "canary-bundle");
    for kind in ["ConfigMap", "Secret"] {
        put_ca(&scene, kind, "ca.crt", &right(&scene)).await;
    }
    through(&scene, "map", &json!({ "name": "ca", "key": "ca.crt" })).await;
    through(&scene, "secret", &reference("Secret")).await;
    for name in ["map", "secret"] {
        scene.wait_value(name, "password", "canary-bundle").await;
        scene
            .wait_store(NAMESPACED, name, "True", "StoreReady")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_store_names_the_namespace_and_a_namespaced_one_may_not() {
    let world = World::shared().await;
    let owner = Scene::new(world, "keeper").await;
    let scene = Scene::new(world, "borrower").await;
    put_ca(&owner, "ConfigMap", "ca.crt", &right(&owner)).await;
    put(&scene, "canary-cluster");
    let mut elsewhere = reference("ConfigMap");
    elsewhere["namespace"] = owner.namespace.as_str().into();
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["fromConsumer"] = true.into();
    let conditions = json!([{ "namespaces": [scene.namespace] }]);
    let mut store = scene.cluster_store("kms", auth, conditions);
    store["spec"]["provider"] = provider(&scene, &elsewhere);
    scene.apply(&store).await.unwrap();
    let name = scene.cluster_name("kms");
    scene
        .apply(&object(&scene, "db", CLUSTER, &name))
        .await
        .unwrap();
    scene.wait_value("db", "password", "canary-cluster").await;
    let mut thief = scene.store("steal", scene.rrsa("reader"));
    thief["spec"]["provider"] = provider(&scene, &elsewhere);
    let refused = scene.apply(&thief).await.unwrap_err().to_string();
    assert!(
        refused.contains("caBundleRef: Forbidden: must have no namespace"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_authority_leaves_the_secret_alone_and_the_right_one_heals_without_a_new_store() {
    let scene = Scene::new(World::shared().await, "mistaken").await;
    for kind in ["ConfigMap", "Secret"] {
        let name = kind.to_lowercase();
        put(&scene, "canary-before");
        put_ca(&scene, kind, "ca.crt", &right(&scene)).await;
        through(&scene, &name, &reference(kind)).await;
        scene.wait_settled(&name).await;
        scene
            .wait_store(NAMESPACED, &name, "True", "StoreReady")
            .await;
        let before = scene.secret_as_it_is(&name).await;
        let stores: Api<CloudSecretStore> = Api::namespaced(scene.client.clone(), &scene.namespace);
        let store = stores.get(&name).await.unwrap();
        put(&scene, "canary-after");
        put_ca(&scene, kind, "ca.crt", &wrong("cn-beijing")).await;
        // Other certificates are another place to read from, which is asked at once.
        let message = scene
            .wait_condition(&name, "Fresh", "False", "ProviderUnavailable")
            .await;
        let told = message.contains("TlsFailed: ") && message.contains("caBundleRef");
        assert!(told, "{message}");
        assert_eq!(scene.condition(&name, "Ready").await.status, "True");
        assert_eq!(scene.secret_as_it_is(&name).await, before);
        // The new ones beside the old ones, as where an authority changes.
        let both = wrong("cn-beijing") + &right(&scene);
        put_ca(&scene, kind, "ca.crt", &both).await;
        scene.wait_value(&name, "password", "canary-after").await;
        scene.wait_settled(&name).await;
        assert_eq!(stores.get(&name).await.unwrap(), store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_no_certificate_is_named_and_heals() {
    let scene = Scene::new(World::shared().await, "bare").await;
    put(&scene, "canary-bare");
    for kind in ["ConfigMap", "Secret"] {
        let name = kind.to_lowercase();
        let ca = format!("{kind} {}/ca", scene.namespace);
        let long = format!("#{}\n{}", "canary-long".repeat(3_000), right(&scene));
        let none = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n";
        through(&scene, &name, &reference(kind)).await;
        for (content, problem) in [
            (None, format!("{ca} does not exist; create it")),
            (
                Some(("other", "x")),
                format!("{ca} has no key ca.crt; add it"),
            ),
            (
                Some(("ca.crt", "canary-text")),
                format!("the key ca.crt of {ca} holds no certificate; put"),
            ),
            (
                Some(("ca.crt", none)),
                format!("the key ca.crt of {ca} holds something that is marked as a certificate"),
            ),
            (
                Some(("ca.crt", &*long)),
                format!("the key ca.crt of {ca} holds more than 32768 characters"),
            ),
        ] {
            if let Some((key, text)) = content {
                put_ca(&scene, kind, key, text).await;
            }
            let said = format!("spec.provider.kms.instance.caBundleRef: {problem}");
            not_ready(&scene, &name, &said).await;
        }
        put_ca(&scene, kind, "ca.crt", &right(&scene)).await;
        scene.wait_value(&name, "password", "canary-bare").await;
        scene
            .wait_store(NAMESPACED, &name, "True", "StoreReady")
            .await;
        // Gone again: what was made stays, until it is back.
        let before = scene.secret_as_it_is(&name).await;
        delete_ca(&scene, kind).await;
        scene
            .wait_store(NAMESPACED, &name, "False", "StoreNotReady")
            .await;
        scene
            .wait_condition(&name, "Fresh", "False", "StoreNotReady")
            .await;
        assert_eq!(scene.condition(&name, "Ready").await.status, "True");
        put_ca(&scene, kind, "ca.crt", &right(&scene)).await;
        scene.wait_settled(&name).await;
        assert_eq!(scene.secret_as_it_is(&name).await.data, before.data);
    }
    let log = scene.world.log().await;
    for content in ["canary-text", "canary-long", "Y2FuYXJ5"] {
        assert!(!log.contains(content), "{content} is in the log");
    }
}

/// Waits until store and object say `what`, and nothing of what was found.
async fn not_ready(scene: &Scene<'_>, name: &str, what: &str) {
    until(what, SOON, async || {
        let both = [
            scene
                .wait_store(NAMESPACED, name, "False", "StoreNotReady")
                .await,
            scene
                .wait_condition(name, "Ready", "False", "StoreNotReady")
                .await,
        ];
        assert!(!both.iter().any(|said| said.contains("canary")), "{both:?}");
        let said = both.iter().all(|said| said.contains(what));
        said.then_some(()).ok_or(both)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_from_a_reference_is_counted_while_it_is_trusted() {
    let scene = Scene::new(World::shared().await, "expiring").await;
    put(&scene, "canary-expiring");
    // No other test's, so that the series are this one's.
    let bundles = ["cn-chengdu", "cn-heyuan"].map(|region| right(&scene) + &wrong(region));
    let series = bundles.each_ref().map(|bundle| {
        let authority = Authority::from_pem(bundle).unwrap();
        let (name, expiry) = (authority.name(), authority.expiry().unwrap());
        let family = "cloudsecrets_authority_expiry_timestamp_seconds";
        format!("{family}{{authority=\"{name}\"}} {}", expiry.as_second())
    });
    let shown = async |expected: [bool; 2]| {
        until("the series", SOON, async || {
            let text = scene.world.metrics().await;
            let found = series.each_ref().map(|series| text.contains(&**series));
            (found == expected).then_some(()).ok_or(found)
        })
        .await;
    };
    put_ca(&scene, "ConfigMap", "ca.crt", &bundles[0]).await;
    through(&scene, "db", &reference("ConfigMap")).await;
    scene.wait_value("db", "password", "canary-expiring").await;
    shown([true, false]).await;
    put_ca(&scene, "ConfigMap", "ca.crt", &bundles[1]).await;
    shown([false, true]).await;
    scene.wait_settled("db").await;
    scene.delete("db").await;
    shown([false, false]).await;
}
