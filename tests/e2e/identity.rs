//! Who the operator is to the cloud: token files and roles, and what happens when one of them is
//! wrong.

use std::path::PathBuf;
use std::time::Duration;

use cloudsim::Filter;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::scene::Scene;
use super::wait::until;
use super::world::{ACCOUNT, PROVIDER, World};

const STORE: &str = "CloudSecretStore";
/// More than the first wait of a parked identity.
const PROBED: Duration = Duration::from_secs(50);

static FILE: Mutex<()> = Mutex::const_new(());

/// The world whose operator has a token file, for one test at a time.
pub async fn ambient() -> (&'static World, MutexGuard<'static, ()>) {
    let alone = FILE.lock().await;
    (World::ambient().await, alone)
}

fn token_file(world: &World) -> PathBuf {
    world.dir.path().join("token")
}

/// Replaces the token file as the kubelet does, by a rename.
pub fn put_file(world: &World, text: &str) {
    let new = world.dir.path().join("token.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, token_file(world)).unwrap();
}

/// `spec.auth` of a store that enters the scene's role `name` with the operator's token file; the
/// operator's environment says by which provider and where STS is.
pub fn by_file(scene: &Scene<'_>, name: &str) -> Value {
    json!({ "rrsa": { "roleArn": format!("acs:ram::{ACCOUNT}:role/{}-{name}", scene.namespace) } })
}

/// Calls of STS for a role of the scene.
fn exchanges(scene: &Scene<'_>, role: &str) -> u64 {
    let filter = Filter::service("sts").principal(&format!("{}-{role}", scene.namespace));
    scene.world.cloud.ledger_of(&filter).total
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_token_file_is_used_at_the_next_exchange() {
    let (world, _alone) = ambient().await;
    let scene = Scene::new(world, "replaced").await;
    scene.put("db", "canary-file");
    for name in ["one", "two"] {
        scene.service_account(name).await;
        scene.role(name, &[name], &[&scene.key("*")]);
    }
    world
        .cloud
        .set_credential_lifetime(Some(SignedDuration::from_secs(3)));
    put_file(world, &format!("{}\n", scene.token("one").await));
    scene.through("one", by_file(&scene, "one")).await;
    let secret = scene.wait_value("one", "password", "canary-file").await;
    put_file(world, &scene.token("two").await);
    scene.through("two", by_file(&scene, "two")).await;
    scene.wait_value("two", "password", "canary-file").await;

    // The first role does not trust the new token, and its credentials end.
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.refresh("one", "1").await;
    let message = scene
        .wait_condition("one", "Fresh", "False", "AccessDenied")
        .await;
    assert!(
        message.contains("AuthenticationFail.NoPermission"),
        "{message}"
    );
    assert_eq!(scene.secret("one").await.unwrap(), secret);
    world.cloud.set_credential_lifetime(None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_missing_or_empty_is_named_and_no_other_identity_is_tried() {
    let (world, _alone) = ambient().await;
    let scene = Scene::new(world, "nofile").await;
    scene.put("db", "canary-nofile");
    // The operator's own role would do, and so would the ServiceAccount of the scene.
    let _ = std::fs::remove_file(token_file(world));
    let calls = world.cloud.ledger().total;
    let path = token_file(world).to_string_lossy().into_owned();
    for (name, text, problem) in [
        ("missing", None, "does not exist"),
        ("empty", Some(""), "is empty"),
        ("blank", Some(" \n"), "is empty"),
    ] {
        scene.role(name, &["reader"], &[&scene.key("*")]);
        if let Some(text) = text {
            put_file(world, text);
        }
        scene.through(name, by_file(&scene, name)).await;
        let message = scene
            .wait_condition(name, "Ready", "False", "AuthenticationFailed")
            .await;
        assert!(
            message.contains(&path) && message.contains(problem),
            "{message}"
        );
    }
    assert_eq!(world.cloud.ledger().total, calls, "the cloud was called");

    put_file(world, &scene.token("reader").await);
    until("healing", PROBED, async || {
        let value = scene.value("missing", "password").await;
        (value.as_deref() == Some("canary-nofile"))
            .then_some(())
            .ok_or(value)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roles_from_one_token_file_are_two_identities() {
    let (world, _alone) = ambient().await;
    let scene = Scene::new(world, "tworoles").await;
    scene.put("db", "canary-roles");
    put_file(world, &scene.token("reader").await);
    scene.role("may", &["reader"], &[&scene.key("db")]);
    scene.role("maynot", &["reader"], &[&scene.key("other")]);
    let mut own = json!({ "name": "operator", "max_session_duration": "PT1H" });
    own["trust"] = json!([{ "provider": PROVIDER, "audiences": ["sts.aliyuncs.com"],
        "subjects": [format!("system:serviceaccount:{}:reader", scene.namespace)] }]);
    own["rules"] = json!([{ "actions": ["*"], "resources": [scene.key("*")] }]);
    world
        .cloud
        .put_role(serde_json::from_value(own).unwrap())
        .unwrap();
    scene.through("may", by_file(&scene, "may")).await;
    scene.wait_value("may", "password", "canary-roles").await;
    scene.through("maynot", by_file(&scene, "maynot")).await;
    let message = scene
        .wait_condition("maynot", "Ready", "False", "AccessDenied")
        .await;
    assert!(message.contains("Forbidden.RAM"), "{message}");
    assert!(scene.secret("maynot").await.is_none());

    // Where the operator is told to, a namespaced store may use the operator's own role.
    scene.through("own", json!({ "operator": {} })).await;
    scene.wait_value("own", "password", "canary-roles").await;
    let own = Filter::service("oos").principal("operator").outcome("OK");
    assert_eq!(world.cloud.ledger_of(&own).total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_off_the_list_is_refused_before_a_token_is_made() {
    let (world, _alone) = ambient().await;
    let scene = Scene::new(world, "audience").await;
    scene.put("db", "canary-audience");
    let made = async || {
        world
            .cluster
            .writes()
            .await
            .unwrap()
            .of("serviceaccounts/token")
    };
    let before = made().await;
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["audience"] = "https://kubernetes.default.svc".into();
    scene.through("kept", auth).await;
    let store = scene
        .wait_store(STORE, "kept", "False", "InvalidSpec")
        .await;
    let object = scene
        .wait_condition("kept", "Ready", "False", "StoreNotReady")
        .await;
    for message in [store, object] {
        assert!(message.contains("spec.auth.rrsa.audience"), "{message}");
        assert!(message.contains("--allowed-token-audiences"), "{message}");
    }
    scene.refresh("kept", "1").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(made().await, before, "a token was made");
    // The count does see tokens.
    scene.through("given", scene.rrsa("reader")).await;
    scene
        .wait_value("given", "password", "canary-audience")
        .await;
    assert_eq!(made().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_identity_is_told_with_the_clouds_code() {
    let scene = Scene::new(World::shared().await, "wrong").await;
    scene.put("db", "canary-wrong");
    let change = |field: &str, value: &str| {
        let mut auth = scene.rrsa("reader");
        auth["rrsa"][field] = value.into();
        auth
    };
    scene.role("untrusting", &["somebody"], &[&scene.key("*")]);
    let role = |name: &str| format!("acs:ram::{ACCOUNT}:role/{}-{name}", scene.namespace);
    let provider = format!("acs:ram::{ACCOUNT}:oidc-provider/nobody");
    // There is no grant to make tokens of this one.
    let mut ungranted = scene.rrsa("reader");
    ungranted["rrsa"]["serviceAccountRef"]["name"] = "default".into();
    let (denied, failed) = ("AccessDenied", "AuthenticationFailed");
    let table = [
        (
            "audience",
            change("audience", "sts.cloud.tencent.com"),
            failed,
            "AuthenticationFail.OIDCToken.AudienceNotMatch",
        ),
        (
            "subject",
            change("roleArn", &role("untrusting")),
            denied,
            "AuthenticationFail.NoPermission",
        ),
        (
            "provider",
            change("oidcProviderArn", &provider),
            denied,
            "AuthenticationFail.NoPermission",
        ),
        (
            "role",
            change("roleArn", &role("absent")),
            failed,
            "EntityNotExist.Role",
        ),
        ("grant", ungranted, denied, "TokenRequest.Forbidden"),
    ];
    for (name, auth, reason, code) in table {
        scene.through(name, auth).await;
        let message = scene.wait_condition(name, "Ready", "False", reason).await;
        assert!(message.contains(code), "{name}: {message}");
        let named = match name {
            "role" => role("absent"),
            "grant" => format!("ServiceAccount {}/default", scene.namespace),
            _ => String::new(),
        };
        assert!(message.contains(&named), "{name}: {message}");
        scene.wait_condition(name, "Fresh", "False", reason).await;
        assert!(scene.secret(name).await.is_none(), "{name}");
    }
    assert_eq!(scene.calls("db"), 0, "nothing was read");
    assert_eq!(
        exchanges(&scene, "untrusting"),
        1,
        "a refusal is not hammered on"
    );
}
