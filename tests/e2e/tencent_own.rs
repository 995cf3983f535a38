//! What may be the operator's own identity on Tencent Cloud, and that the role of the node never stands
//! in for it.

use std::time::Duration;

use cloudsim::tencent::Metadata;
use cloudsim::{CredentialsState, Filter};
use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::until;
use super::world::{TKE_CLUSTER, UIN, World};

const AUDIENCE: &str = "sts.cloud.tencent.com";
/// More than the first wait of a parked identity.
const PROBED: Duration = Duration::from_secs(50);

/// A scene with the secret `db` on a node whose role may do anything.
async fn on_a_node(world: &'static World, prefix: &str) -> Scene<'static> {
    let scene = Scene::new(world, prefix).await;
    scene.put_cam_secret("db", &format!("canary-{prefix}"));
    let worker = scene.cam_role("worker").may(&["*"], &["*"]);
    scene.tencent().put_role(&worker).unwrap();
    node(&scene, Some(CredentialsState::Ok));
    scene
}

/// Sets what the node's metadata service does; none ends it.
fn node(scene: &Scene<'_>, state: Option<CredentialsState>) {
    let metadata = state.map(|state| Metadata {
        role: Some(format!("{}-worker", scene.namespace)),
        state,
    });
    scene.tencent().set_metadata(metadata);
}

fn asked_of_the_node(scene: &Scene<'_>) -> u64 {
    let filter = Filter::service("tencent-metadata");
    scene.cloud.ledger_of(&filter).total
}

fn own(scene: &Scene<'_>, source: &str) -> Value {
    json!({ source: {}, "stsEndpoint": scene.cloud.url() })
}

async fn heals(scene: &Scene<'_>, name: &str, value: &str) {
    until("healing", PROBED, async || {
        let found = scene.value(name, "password").await;
        (found.as_deref() == Some(value)).then_some(()).ok_or(found)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_token_file_is_its_identity_and_the_node_is_never_asked_instead() {
    let world = World::tke().await;
    let scene = on_a_node(world, "tkefile").await;
    let file = world.dir.path().join("token");
    let role = |name: &str| {
        let subject = format!("system:serviceaccount:{}:reader", scene.namespace);
        let role = cloudsim::tencent::Role::new(name).trusting(TKE_CLUSTER, &subject);
        let role = role.may(&["ssm:GetSecretValue"], &["*"]);
        scene.tencent().put_role(&role).unwrap();
    };
    // No file yet: the variables name one, so it is that, and nothing else.
    scene.through_cam("own", own(&scene, "operator")).await;
    let stores_role = format!("{}-reader", scene.namespace);
    let by_file = json!({
        "webIdentity": { "roleArn": scene.cam_role_arn("reader") },
        "stsEndpoint": scene.cloud.url(),
    });
    scene.through_cam("file", by_file).await;
    for name in ["own", "file"] {
        let message = scene
            .wait_condition(name, "Ready", "False", "AuthenticationFailed")
            .await;
        for part in ["TokenFile", file.to_str().unwrap(), "does not exist"] {
            assert!(message.contains(part), "{message}");
        }
    }
    // A file, and roles that are not there.
    std::fs::write(&file, scene.token_for("reader", AUDIENCE).await).unwrap();
    until("the next try", PROBED, async || {
        let message = scene.conditions("own").await.join(" ");
        let told = message.contains("ResourceNotFound.RoleNotFound")
            && message.contains(&format!("qcs::cam::uin/{UIN}:roleName/operator"));
        told.then_some(()).ok_or(message)
    })
    .await;
    role("operator");
    role(&stores_role);
    for name in ["own", "file"] {
        scene.refresh(name, "1").await;
        heals(&scene, name, "canary-tkefile").await;
    }
    assert_eq!(asked_of_the_node(&scene), 0, "the node was asked");
    // The operator's own role and the store's are two identities.
    for role in ["operator", &*stores_role] {
        let filter = Filter::service("ssm").principal(role);
        assert_ne!(scene.cloud.ledger_of(&filter).total, 0, "{role}");
    }
    let token = scene.token_for("reader", AUDIENCE).await;
    let signed = token.rsplit('.').next().unwrap();
    assert!(!world.log().await.contains(signed) && !world.log().await.contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_takes_the_provider_that_the_operators_environment_names() {
    let scene = on_a_node(World::tke().await, "tkeprovider").await;
    scene.cam_reader("reader", "reader");
    let mut auth = scene.web_identity("reader", "reader");
    auth["webIdentity"]
        .as_object_mut()
        .unwrap()
        .remove("providerId");
    scene.through_cam("db", auth).await;
    scene
        .wait_value("db", "password", "canary-tkeprovider")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_node_reads_where_it_is_enabled_and_fails_by_name() {
    let world = World::cvm().await;
    let scene = on_a_node(world, "tkenode").await;
    for (name, source) in [("node", "instanceRole"), ("own", "operator")] {
        scene.through_cam(name, own(&scene, source)).await;
        scene.wait_value(name, "password", "canary-tkenode").await;
    }
    let made = scene.secret("node").await.unwrap();
    // It enters roles too.
    let reader = scene
        .cam_role("target")
        .may(&["ssm:GetSecretValue"], &["*"]);
    let reader = reader.assumed_by(&scene.cam_role_arn("worker"), &[]);
    scene.tencent().put_role(&reader).unwrap();
    let mut auth = own(&scene, "instanceRole");
    auth["assumeRole"] = json!({ "roleArn": scene.cam_role_arn("target") });
    scene.through_cam("entered", auth).await;
    scene
        .wait_value("entered", "password", "canary-tkenode")
        .await;

    for (state, reason, code) in [
        (
            Some(CredentialsState::Failed),
            "AuthenticationFailed",
            "InstanceRole.Refused",
        ),
        (None, "AuthenticationFailed", "InstanceRole.Http404"),
    ] {
        node(&scene, state);
        let worker = format!("{}-worker", scene.namespace);
        scene.tencent().revoke_sessions(&worker).unwrap();
        scene.refresh("node", code).await;
        scene.wait_handled("node", code).await;
        let message = scene.wait_condition("node", "Fresh", "False", reason).await;
        assert!(message.contains(code), "{message}");
        assert_eq!(scene.secret("node").await.unwrap(), made);
    }
    // A web identity that is refused does not become the node's.
    node(&scene, Some(CredentialsState::Ok));
    scene.cam_reader("other", "nobody");
    let auth = scene.web_identity("other", "reader");
    scene.through_cam("denied", auth).await;
    scene
        .wait_condition("denied", "Ready", "False", "AccessDenied")
        .await;
    assert!(scene.secret("denied").await.is_none());
    heals(&scene, "node", "canary-tkenode").await;
    assert!(!world.log().await.contains("canary"));
}
