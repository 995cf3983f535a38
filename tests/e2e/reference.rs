//! What an entry refers to: a property of a value, or one version of it.

use serde_json::json;

use super::scene::Scene;
use super::snapshot::{NEVER, texts};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn properties_are_taken_out_of_one_read() {
    let scene = Scene::new(World::shared().await, "property").await;
    let value = json!({ "user": "canary-u", "a.b": "canary-literal", "a": { "b": "canary-walked" }, "list": [1, 2] });
    scene.put("json", &value.to_string());
    let mut object = scene.object(
        "db",
        NEVER,
        &[("user", "json"), ("literal", "json"), ("second", "json")],
    );
    for (at, property) in ["user", "a.b", "list.1"].iter().enumerate() {
        object["spec"]["data"][at]["remoteRef"]["property"] = (*property).into();
    }
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let expected = [
        ("literal", "canary-literal"),
        ("second", "2"),
        ("user", "canary-u"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(texts(&scene.secret("db").await.unwrap()), expected);
    assert_eq!(scene.calls("json"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_that_vanishes_keeps_the_secret_and_is_told() {
    let scene = Scene::new(World::shared().await, "vanished").await;
    scene.put("json", r#"{"user":"canary-u","password":"canary-p"}"#);
    let mut object = scene.object("db", NEVER, &[("user", "json"), ("password", "json")]);
    for (at, property) in ["user", "password"].iter().enumerate() {
        object["spec"]["data"][at]["remoteRef"]["property"] = (*property).into();
    }
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let before = scene.secret_as_it_is("db").await;
    scene.put("json", r#"{"user":"canary-other"}"#);
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "PropertyNotFound")
        .await;
    let named = r#"data[password].remoteRef.property "password""#;
    assert!(message.contains(named), "{message}");
    assert!(!message.contains("canary"), "{message}");
    assert_eq!(scene.secret_as_it_is("db").await, before);
    assert_eq!(scene.condition("db", "Ready").await.status, "True");
    // It stays so: what cannot be rendered is not rendered again and again.
    let version = scene.version("db").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(scene.version("db").await, version);
    scene.put("json", r#"{"user":"canary-other","password":"canary-q"}"#);
    scene.refresh("db", "2").await;
    scene.wait_value("db", "password", "canary-q").await;
    scene.wait_value("db", "user", "canary-other").await;
    scene.wait_settled("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_version_stays_and_a_missing_one_is_told() {
    let scene = Scene::new(World::shared().await, "version").await;
    scene.put("db", "canary-1");
    scene.put("db", "canary-2");
    let mut object = scene.object("db", NEVER, &[("first", "db"), ("latest", "db")]);
    object["spec"]["data"][0]["remoteRef"]["version"] = "1".into();
    scene.apply(&object).await.unwrap();
    scene.wait_value("db", "first", "canary-1").await;
    scene.wait_value("db", "latest", "canary-2").await;
    scene.put("db", "canary-3");
    scene.refresh("db", "1").await;
    scene.wait_value("db", "latest", "canary-3").await;
    scene.wait_value("db", "first", "canary-1").await;
    scene.wait_settled("db").await;
    let status = scene.objects().get("db").await.unwrap().status.unwrap();
    let versions: Vec<_> = status
        .entries
        .iter()
        .map(|e| e.version.as_deref())
        .collect();
    assert_eq!(versions, [Some("1"), Some("3")]);
    // A version that does not exist holds everything back.
    let before = scene.secret_as_it_is("db").await;
    object["spec"]["data"][0]["remoteRef"]["version"] = "9".into();
    scene.apply(&object).await.unwrap();
    let message = scene
        .wait_condition("db", "Fresh", "False", "RemoteNotFound")
        .await;
    assert!(message.contains("data[first]"), "{message}");
    assert_eq!(scene.secret_as_it_is("db").await, before);
}
