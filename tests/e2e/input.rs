//! Bad input that the API server cannot refuse is reported with the name of its field, and disturbs
//! nobody else.

use std::time::Duration;

use external_cloud_secrets::api::ExternalCloudSecret;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

/// The longest value that the cloud takes, with four bytes to each character: 16 KiB.
fn longest_value() -> String {
    "\u{1F511}".repeat(4096)
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_only_the_operator_can_judge_is_reported_with_its_field() {
    let scene = Scene::new(World::shared().await, "input").await;
    scene.put("db", "canary-plain");
    scene.put("json", r#"{"user":"canary-user","list":[1],"none":null}"#);
    let entry = |key: &str, with: Value| {
        let mut reference = json!({ "key": scene.key(key) });
        json_patch::merge(&mut reference, &with);
        json!({ "secretKey": "pass", "remoteRef": reference })
    };
    let property = |text: &str| json!({ "property": text });
    let deep = "a.".repeat(100);
    let elsewhere = json!({ "name": "absent", "kind": "ClusterCloudSecretStore" });
    let mut absent = entry("db", json!({}));
    absent["sourceRef"] = json!({ "storeRef": elsewhere });
    let table = [
        (
            "version",
            entry("db", json!({ "version": "newest" })),
            "InvalidSpec",
            "remoteRef.version",
        ),
        (
            "negative",
            entry("db", json!({ "version": "-1" })),
            "InvalidSpec",
            "remoteRef.version",
        ),
        (
            "zero",
            entry("db", json!({ "version": "0" })),
            "InvalidSpec",
            "remoteRef.version",
        ),
        (
            "future",
            entry("db", json!({ "version": "99" })),
            "RemoteNotFound",
            "remoteRef.version",
        ),
        (
            "key",
            entry("absent", json!({})),
            "RemoteNotFound",
            "remoteRef.key",
        ),
        (
            "missing",
            entry("json", property("password")),
            "PropertyNotFound",
            "remoteRef.property",
        ),
        (
            "index",
            entry("json", property("list.7")),
            "PropertyNotFound",
            "remoteRef.property",
        ),
        (
            "null",
            entry("json", property("none")),
            "PropertyNotFound",
            "remoteRef.property",
        ),
        (
            "text",
            entry("db", property("user")),
            "PropertyNotFound",
            "remoteRef.property",
        ),
        (
            "deep",
            entry("json", property(&deep)),
            "PropertyNotFound",
            "remoteRef.property",
        ),
        (
            "store",
            absent,
            "StoreNotFound",
            "ClusterCloudSecretStore absent",
        ),
    ];
    for (name, entry, _, _) in &table {
        let mut object = scene.object(name, "1h", &[("good", "db")]);
        object["spec"]["data"]
            .as_array_mut()
            .unwrap()
            .push(entry.clone());
        scene.apply(&object).await.unwrap();
    }
    for (name, _, reason, field) in &table {
        let message = scene.wait_condition(name, "Ready", "False", reason).await;
        assert!(
            message.contains("data[pass]") && message.contains(field),
            "{name}: {message}"
        );
        assert!(!message.contains("canary"), "{name}: {message}");
        let again = scene.wait_condition(name, "Fresh", "False", reason).await;
        assert_eq!(again, message);
        // All keys or none.
        assert!(scene.secret(name).await.is_none(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_holds_one_mebibyte_and_not_a_byte_more() {
    let scene = Scene::new(World::shared().await, "large").await;
    scene.put("long", &longest_value());
    scene.put("short", "x");
    let names: Vec<String> = (0..64).map(|i| format!("k{i}")).collect();
    let mut entries: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "long")).collect();
    let full = scene.object("full", "1h", &entries);
    entries.push(("last", "short"));
    let over = scene.object("over", "1h", &entries);
    scene.apply(&full).await.unwrap();
    scene.apply(&over).await.unwrap();
    let secret = scene.wait_value("full", "k63", &longest_value()).await;
    assert_eq!(secret.data.unwrap().len(), 64);
    let message = scene
        .wait_condition("over", "Ready", "False", "TooLarge")
        .await;
    assert!(
        message.contains("1048577") && message.contains("1048576"),
        "{message}"
    );
    scene
        .wait_condition("over", "Stalled", "True", "TooLarge")
        .await;
    assert!(scene.secret("over").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_served_object_leaves_its_secret_alone_and_heals_when_corrected() {
    let scene = Scene::new(World::shared().await, "mistake").await;
    scene.put("json", r#"{"user":"canary-user"}"#);
    let mut object = scene.object("db", "1h", &[("user", "json")]);
    object["spec"]["data"][0]["remoteRef"]["property"] = "user".into();
    scene.apply(&object).await.unwrap();
    let secret = scene.wait_value("db", "user", "canary-user").await;
    let mut mistaken = object.clone();
    mistaken["spec"]["data"][0]["remoteRef"]["property"] = "usre".into();
    scene.apply(&mistaken).await.unwrap();
    scene
        .wait_condition("db", "Fresh", "False", "PropertyNotFound")
        .await;
    assert_eq!(scene.secret("db").await.unwrap(), secret);
    scene.apply(&object).await.unwrap();
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
    assert_eq!(
        scene.secret("db").await.unwrap(),
        secret,
        "equal data was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_cannot_be_decoded_do_not_stop_the_others() {
    let world = World::strict().await;
    let scene = Scene::new(world, "broken").await;
    let before = loosen(&scene).await;
    let specs = [
        json!("canary-undecodable"),
        json!({ "data": "canary-undecodable" }),
        json!({ "data": [{ "secretKey": 7, "remoteRef": { "key": ["canary-undecodable"] } }] }),
        Value::Null,
    ];
    for (i, spec) in specs.iter().enumerate() {
        create_raw(&scene, &format!("bad-{i}"), spec).await;
    }
    let served = async |name: &str| {
        scene
            .apply(&scene.reading(name, ("CloudSecretStore", "absent"), &[("a", "/a")]))
            .await
            .unwrap();
        scene
            .wait_condition(name, "Ready", "False", "StoreNotFound")
            .await;
    };
    served("beside").await;
    // Also when they are in the first list that an operator reads.
    world.restart_operator().await;
    served("after").await;
    until("the count of undecodable objects", SOON, async || {
        let metrics = world.metrics().await;
        let line = metrics.lines().find(|line| {
            line.starts_with("cloudsecrets_undecodable_objects")
                && line.contains("ExternalCloudSecret")
        });
        let line = line.unwrap_or_default().to_owned();
        line.ends_with(" 4").then_some(()).ok_or(line)
    })
    .await;
    assert!(!world.log().await.contains("canary-undecodable"));
    // One that is repaired is served.
    let api = raw(&scene);
    api.delete("bad-0", &DeleteParams::default()).await.unwrap();
    served("bad-0").await;
    for i in 1..specs.len() {
        api.delete(&format!("bad-{i}"), &DeleteParams::default())
            .await
            .unwrap();
    }
    restore(&scene, before).await;
}

fn definitions(scene: &Scene<'_>) -> Api<CustomResourceDefinition> {
    Api::all(scene.client.clone())
}

const DEFINITION: &str = "externalcloudsecrets.cloudsecrets.dev";

/// Lets any spec in, as an older or newer definition might; returns the schema of before.
async fn loosen(scene: &Scene<'_>) -> JSONSchemaProps {
    let api = definitions(scene);
    let mut definition = api.get(DEFINITION).await.unwrap();
    let schema = definition.spec.versions[0].schema.as_mut().unwrap();
    let schema = schema.open_api_v3_schema.as_mut().unwrap();
    let before = schema.clone();
    schema.required = None;
    let anything = JSONSchemaProps {
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    schema
        .properties
        .as_mut()
        .unwrap()
        .insert("spec".into(), anything);
    api.replace(DEFINITION, &PostParams::default(), &definition)
        .await
        .unwrap();
    before
}

async fn restore(scene: &Scene<'_>, before: JSONSchemaProps) {
    let api = definitions(scene);
    let mut definition = api.get(DEFINITION).await.unwrap();
    let schema = definition.spec.versions[0].schema.as_mut().unwrap();
    schema.open_api_v3_schema = Some(before);
    api.replace(DEFINITION, &PostParams::default(), &definition)
        .await
        .unwrap();
}

fn raw(scene: &Scene<'_>) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<ExternalCloudSecret>(&());
    Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource)
}

/// Creates an object with any spec, as soon as the API server takes it.
async fn create_raw(scene: &Scene<'_>, name: &str, spec: &Value) {
    let object = json!({
        "apiVersion": "cloudsecrets.dev/v1alpha1",
        "kind": "ExternalCloudSecret",
        "metadata": { "name": name },
        "spec": spec,
    });
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    until(
        "the loosened definition",
        Duration::from_secs(10),
        async || raw(scene).create(&PostParams::default(), &object).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_told_and_the_secret_comes_when_there_is_room() {
    let scene = Scene::new(World::shared().await, "quota").await;
    scene.put("db", "canary-quota");
    let quota = json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": { "name": "none", "namespace": scene.namespace },
        "spec": { "hard": { "count/secrets": "0" } },
    });
    scene.apply(&quota).await.unwrap();
    let quotas: Api<ResourceQuota> = Api::namespaced(scene.client.clone(), &scene.namespace);
    // What the controller of quotas, which this cluster does without, would note.
    let none = json!({ "count/secrets": "0" });
    let noted = Patch::Merge(json!({ "status": { "hard": none, "used": none } }));
    quotas
        .patch_status("none", &PatchParams::default(), &noted)
        .await
        .unwrap();
    scene
        .apply(&scene.object("db", "1h", &[("a", "db")]))
        .await
        .unwrap();
    let message = scene
        .wait_condition("db", "Ready", "False", "WriteRefused")
        .await;
    assert!(
        message.contains("ResourceQuota") && !message.contains("canary"),
        "{message}"
    );
    quotas
        .delete("none", &DeleteParams::default())
        .await
        .unwrap();
    scene.wait_value("db", "a", "canary-quota").await;
    scene
        .wait_condition("db", "Ready", "True", "SecretReady")
        .await;
}
