//! The further identities of Alibaba Cloud: roles named by annotations, roles entered by others, and
//! warnings about keys that may do anything.

use cloudsim::Filter;
use external_cloud_secrets::api::{CloudSecretStore, ClusterCloudSecretStore};
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::{ACCOUNT, World};

const STORE: &str = "CloudSecretStore";

/// An object `name` that reads the parameter `db` through a store `name` of its own.
async fn through(scene: &Scene<'_>, name: &str, auth: Value) {
    scene.apply(&scene.store(name, auth)).await.unwrap();
    let object = scene.reading(name, (STORE, name), &[("password", &scene.key("db"))]);
    scene.apply(&object).await.unwrap();
}

/// `spec.auth` of a store whose ServiceAccount names the role.
fn by_annotation(scene: &Scene<'_>, account: &str) -> Value {
    let mut auth = scene.rrsa(account);
    auth["rrsa"].as_object_mut().unwrap().remove("roleArn");
    auth
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_names_the_role_that_the_store_does_not() {
    let scene = Scene::new(World::shared().await, "annotated").await;
    scene.put("db", "canary-annotated");
    let role = |name: &str| format!("acs:ram::{ACCOUNT}:role/{}-{name}", scene.namespace);
    through(&scene, "db", by_annotation(&scene, "reader")).await;
    let message = scene
        .wait_store(STORE, "db", "False", "StoreNotReady")
        .await;
    for part in ["spec.auth.rrsa.roleArn", "ack.alibabacloud.com/role-arn"] {
        assert!(message.contains(part), "{message}");
    }
    scene
        .annotate(
            "reader",
            json!({ "ack.alibabacloud.com/role-arn": role("reader") }),
        )
        .await;
    scene.wait_value("db", "password", "canary-annotated").await;

    // A role that does not trust the account is refused, and the name alone is enough.
    let absent = json!({ "ack.alibabacloud.com/role-arn": role("absent") });
    scene.annotate("reader", absent).await;
    scene
        .wait_condition("db", "Fresh", "False", "AuthenticationFailed")
        .await;
    let name = json!({
        "ack.alibabacloud.com/role-arn": null,
        "pod-identity.alibabacloud.com/role-name": format!("{}-reader", scene.namespace),
    });
    scene.annotate("reader", name).await;
    scene
        .wait_condition("db", "Fresh", "True", "Refreshed")
        .await;

    // What the store says wins.
    scene
        .annotate(
            "reader",
            json!({ "ack.alibabacloud.com/role-arn": role("absent") }),
        )
        .await;
    through(&scene, "said", scene.rrsa("reader")).await;
    scene
        .wait_value("said", "password", "canary-annotated")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_nobody_names_is_asked_for() {
    let scene = Scene::new(World::shared().await, "noprovider").await;
    scene.put("db", "canary-noprovider");
    let mut auth = scene.rrsa("reader");
    let rrsa = auth["rrsa"].as_object_mut().unwrap();
    rrsa.remove("oidcProviderArn");
    through(&scene, "db", auth).await;
    let message = scene.wait_store(STORE, "db", "False", "InvalidSpec").await;
    assert!(message.contains("--ack-cluster-id"), "{message}");
    assert!(scene.secret("db").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_is_warned_of_once_and_a_users_key_is_not() {
    let scene = Scene::new(World::shared().await, "rootkey").await;
    scene.put("db", "canary-rootkey");
    let cloud = &scene.world.cloud;
    for (name, owner) in [("root", None), ("user", Some(scene.namespace.as_str()))] {
        let id = format!("{}-{name}", scene.namespace);
        cloud.put_key(owner, &id, "canary-rootkey-secret").unwrap();
        let values = [("id", &*id), ("secret", "canary-rootkey-secret")];
        scene.put_secret(&format!("{name}-ak"), &values).await;
        through(&scene, name, scene.access_key(&format!("{name}-ak"))).await;
    }
    scene.wait_value("root", "password", "canary-rootkey").await;
    scene
        .wait_condition("user", "Ready", "False", "AccessDenied")
        .await;
    let event = until("the warning", SOON, async || {
        scene.root_key_warnings().await.pop().ok_or(())
    })
    .await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.regarding.unwrap().name.as_deref(), Some("root"));
    assert!(!event.note.unwrap().contains("canary"));
    // Another look at the store says nothing new.
    let mut store = scene.store("root", scene.access_key("root-ak"));
    store["spec"]["limits"] = json!({ "minRefreshInterval": "1m" });
    scene.apply(&store).await.unwrap();
    scene.wait_store(STORE, "root", "True", "StoreReady").await;
    assert_eq!(scene.root_key_warnings().await.len(), 1);
    assert!(!scene.world.log().await.contains("canary-rootkey-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_of_a_consumers_namespace_is_told_to_its_objects() {
    let world = World::shared().await;
    let (root, user) = (
        Scene::new(world, "rootkeys").await,
        Scene::new(world, "userkeys").await,
    );
    let mut auth = root.access_key("ak");
    for part in ["accessKeyIdSecretRef", "accessKeySecretSecretRef"] {
        auth["accessKey"][part]["fromConsumer"] = true.into();
    }
    let store = root.cluster_store("keys", auth, json!([{ "namespaceSelector": {} }]));
    root.apply(&store).await.unwrap();
    let store = root.cluster_name("keys");
    for (scene, owner) in [(&root, None), (&user, Some(user.namespace.as_str()))] {
        let id = scene.namespace.as_str();
        let cloud = &world.cloud;
        cloud.put_key(owner, id, "canary-rootkeys-secret").unwrap();
        let values = [("id", id), ("secret", "canary-rootkeys-secret")];
        scene.put_secret("ak", &values).await;
    }
    root.put("db", "canary-rootkeys");
    let key = root.key("db");
    let reading = |scene: &Scene<'_>, name: &str, suspended: bool| {
        let keys = [("a", &*key)];
        let mut object = scene.reading(name, ("ClusterCloudSecretStore", &store), &keys);
        object["spec"]["suspend"] = suspended.into();
        object
    };
    user.apply(&reading(&user, "db", true)).await.unwrap();
    user.wait_condition("db", "Fresh", "False", "Suspended")
        .await;
    for name in ["db", "again"] {
        root.apply(&reading(&root, name, false)).await.unwrap();
        root.wait_value(name, "a", "canary-rootkeys").await;
    }
    let event = until("the warning", SOON, async || {
        root.root_key_warnings().await.pop().ok_or(())
    })
    .await;
    let about = event.regarding.unwrap();
    assert_eq!(about.kind.as_deref(), Some("ExternalCloudSecret"));
    assert!(!event.note.unwrap().contains("canary"));
    let asked = || {
        let mut view = world.cloud.ledger_of(&Filter::action("GetCallerIdentity"));
        let user = format!("acs:ram::{ACCOUNT}:user/{}", user.namespace);
        view.recent.retain(|call| call.principal == user);
        view.recent.len()
    };
    assert_eq!(
        asked(),
        0,
        "nothing is asked about a suspended object's key"
    );
    user.apply(&reading(&user, "db", false)).await.unwrap();
    until("the question", SOON, async || {
        (asked() == 1).then_some(()).ok_or(asked())
    })
    .await;
    user.wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert_eq!(
        root.root_key_warnings().await.len(),
        1,
        "one key, one warning"
    );
    assert!(user.root_key_warnings().await.is_empty());
    // What is watched by name is watched for everybody in this world, and not without bounds.
    for scene in [&root, &user] {
        let params = DeleteParams::default();
        let all = ListParams::default();
        scene
            .objects()
            .delete_collection(&params, &all)
            .await
            .unwrap();
        let stores: Api<CloudSecretStore> = Api::namespaced(scene.client.clone(), &scene.namespace);
        stores.delete_collection(&params, &all).await.unwrap();
    }
    let stores: Api<ClusterCloudSecretStore> = Api::all(root.client.clone());
    stores
        .delete(&store, &DeleteParams::default())
        .await
        .unwrap();
}
