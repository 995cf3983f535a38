//! Identities on Tencent Cloud that stores and ServiceAccounts name, end to end, each failing in each of
//! its ways. What is the operator's own is in `tencent_own`.

use std::time::Duration;

use cloudsim::tencent::Role;
use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::{TKE_CLUSTER, UIN, World};

const STORE: &str = "CloudSecretStore";
/// More than the first wait of a parked identity.
const PROBED: Duration = Duration::from_secs(50);

/// A scene with the secret `db` and the ServiceAccount `reader`, whose CAM role may read it.
async fn scene(prefix: &str) -> Scene<'static> {
    let scene = Scene::new(World::ssm().await, prefix).await;
    scene.put_cam_secret("db", &format!("canary-{prefix}"));
    scene.cam_reader("reader", "reader");
    scene
}

async fn heals(scene: &Scene<'_>, name: &str) {
    until("healing", PROBED, async || {
        let fresh = scene.condition_if_any(name, "Fresh").await.unwrap();
        (fresh.status == "True").then_some(()).ok_or(fresh)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_reads_as_its_role_and_equal_stores_share_one_exchange() {
    let scene = scene("tkeshare").await;
    for name in ["one", "two"] {
        let auth = scene.web_identity("reader", "reader");
        scene.through_cam(name, auth).await;
        scene.wait_value(name, "password", "canary-tkeshare").await;
    }
    let role = scene.cam_role_arn("reader");
    let exchanges = scene.sts_calls("AssumeRoleWithWebIdentity", &role);
    assert_eq!(exchanges, 1, "one exchange for both");
    // Another ServiceAccount is another identity, which the role does not trust.
    scene.service_account("other").await;
    scene
        .through_cam("other", scene.web_identity("reader", "other"))
        .await;
    let message = scene
        .wait_condition("other", "Ready", "False", "AccessDenied")
        .await;
    for part in ["UnauthorizedOperation", "oidc:sub", &role] {
        assert!(message.contains(part), "{message}");
    }
    assert!(scene.secret("other").await.is_none());
    let log = scene.world.log().await;
    assert!(!log.contains("canary-tkeshare"));
    assert!(
        !log.contains(&scene.token_for("reader", "x").await[..20]),
        "no token"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_names_the_role_and_the_audience_that_the_store_does_not() {
    let scene = scene("tkeannotated").await;
    let mut auth = scene.web_identity("reader", "reader");
    auth["webIdentity"]
        .as_object_mut()
        .unwrap()
        .remove("roleArn");
    scene.through_cam("db", auth).await;
    let message = scene
        .wait_store(STORE, "db", "False", "StoreNotReady")
        .await;
    for part in [
        "spec.auth.webIdentity.roleArn",
        "tke.cloud.tencent.com/role-arn",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let role = |arn: &str| json!({ "tke.cloud.tencent.com/role-arn": arn });
    scene
        .annotate("reader", role("acs:ram::1:role/reader"))
        .await;
    until("the refusal", SOON, async || {
        let message = scene
            .wait_store(STORE, "db", "False", "StoreNotReady")
            .await;
        let told = message.contains("is no role's ARN") && message.contains("reader");
        told.then_some(()).ok_or(message)
    })
    .await;
    scene
        .annotate("reader", role(&scene.cam_role_arn("reader")))
        .await;
    scene
        .wait_value("db", "password", "canary-tkeannotated")
        .await;

    // An audience is chosen among the operator's own, and never repeated in a message.
    let audience = |text: &str| json!({ "tke.cloud.tencent.com/audience": text });
    scene
        .annotate("reader", audience("https://canary.default.svc"))
        .await;
    let message = scene
        .wait_store(STORE, "db", "False", "StoreNotReady")
        .await;
    for part in [
        "tke.cloud.tencent.com/audience",
        "--allowed-token-audiences",
        "reader",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("canary"), "{message}");
    // One that is allowed, and that the OIDC provider does not list.
    scene.annotate("reader", audience("sts.aliyuncs.com")).await;
    scene.wait_store(STORE, "db", "True", "StoreReady").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AuthenticationFailed")
        .await;
    for part in [
        "InvalidParameter.WebIdentityTokenError",
        "audience",
        "reader",
    ] {
        assert!(message.contains(part), "{message}");
    }
    scene
        .annotate("reader", audience("sts.cloud.tencent.com"))
        .await;
    heals(&scene, "db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_part_of_a_web_identity_is_named_and_gets_nothing() {
    let scene = scene("tkewrong").await;
    let absent = scene.cam_role_arn("absent");
    for (name, field, value, reason, parts) in [
        (
            "role",
            "roleArn",
            absent.as_str(),
            "AuthenticationFailed",
            ["ResourceNotFound.RoleNotFound", absent.as_str()],
        ),
        (
            "provider",
            "providerId",
            "cls-unknown",
            "InvalidSpec",
            ["InvalidParameter.ParamError", "providerId"],
        ),
        (
            "audience",
            "audience",
            "sts.aliyuncs.com",
            "AuthenticationFailed",
            ["InvalidParameter.WebIdentityTokenError", "audience"],
        ),
    ] {
        let mut auth = scene.web_identity("reader", "reader");
        auth["webIdentity"][field] = value.into();
        scene.through_cam(name, auth).await;
        let message = scene.wait_condition(name, "Ready", "False", reason).await;
        for part in parts {
            assert!(message.contains(part), "{name}: {message}");
        }
        assert!(scene.secret(name).await.is_none());
    }
    // What the operator does not know either is asked for.
    let mut auth = scene.web_identity("reader", "reader");
    auth["webIdentity"]
        .as_object_mut()
        .unwrap()
        .remove("providerId");
    scene.through_cam("noprovider", auth).await;
    let message = scene
        .wait_store(STORE, "noprovider", "False", "StoreNotReady")
        .await;
    for part in ["spec.auth.webIdentity.providerId", "TKE_PROVIDER_ID"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_cloud_is_refused_by_its_field() {
    let scene = Scene::new(World::ssm().await, "tkeforeign").await;
    let (cam, ram) = (scene.cam_role_arn("reader"), scene.role_arn("reader"));
    let entering = |arn: &str| json!({ "operator": {}, "assumeRole": { "roleArn": arn } });
    let mut ram_by_token = scene.web_identity("reader", "reader");
    ram_by_token["webIdentity"]["roleArn"] = ram.as_str().into();
    let table = [
        (scene.cam_store("x", scene.rrsa("reader")), "webIdentity"),
        (
            scene.store("x", scene.web_identity("reader", "reader")),
            "rrsa",
        ),
        (scene.cam_store("x", entering(&ram)), "qcs::cam::uin/"),
        (scene.store("x", entering(&cam)), "acs:ram::"),
        (scene.cam_store("x", ram_by_token), "roleArn"),
    ];
    for (store, part) in table {
        let error = scene.apply(&store).await.unwrap_err().to_string();
        assert!(
            error.contains("spec.auth") && error.contains(part),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_entered_by_a_service_account_or_a_users_key_with_what_it_asks_for() {
    let scene = scene("tkechain").await;
    scene.service_account("entrant").await;
    let subject = format!("system:serviceaccount:{}:entrant", scene.namespace);
    let entrant = scene.cam_role("entrant").trusting(TKE_CLUSTER, &subject);
    let entrant = entrant.may(&["sts:AssumeRole"], &["*"]);
    scene.tencent().put_role(&entrant).unwrap();
    let id = scene.namespace.clone();
    let uin = "100000000077";
    let secret = "canary-tkechain-secret";
    scene.tencent().put_key(Some(uin), &id, secret).unwrap();
    let target = |ids: &[&str]| -> Role {
        let user = format!("qcs::cam::uin/{UIN}:uin/{uin}");
        let target = scene
            .cam_role("target")
            .may(&["ssm:GetSecretValue"], &["*"]);
        let target = target.assumed_by(&scene.cam_role_arn("entrant"), ids);
        target.assumed_by(&user, ids)
    };
    scene.tencent().put_role(&target(&["ext-1"])).unwrap();
    let entering = |mut auth: Value, external_id: &str| {
        let role = scene.cam_role_arn("target");
        auth["assumeRole"] = json!({ "roleArn": role, "externalId": external_id });
        auth
    };
    let token = || scene.web_identity("entrant", "entrant");
    scene.through_cam("token", entering(token(), "ext-1")).await;
    scene
        .wait_value("token", "password", "canary-tkechain")
        .await;
    scene.through_cam("wrong", entering(token(), "ext-2")).await;
    let message = scene
        .wait_condition("wrong", "Ready", "False", "AccessDenied")
        .await;
    for part in ["UnauthorizedOperation", "externalId", "-target"] {
        assert!(message.contains(part), "{message}");
    }
    // Without the role the source may not read, and no store lends what it read.
    scene.through_cam("bare", token()).await;
    scene
        .wait_condition("bare", "Ready", "False", "AccessDenied")
        .await;
    assert!(scene.secret("bare").await.is_none());
    // The user of the key may not enter roles: nobody allowed it.
    scene
        .put_secret("ak", &[("id", &id), ("secret", secret)])
        .await;
    let mut key = scene.access_key("ak");
    key["stsEndpoint"] = scene.cloud.url().into();
    scene.through_cam("key", entering(key, "ext-1")).await;
    let message = scene
        .wait_condition("key", "Ready", "False", "AccessDenied")
        .await;
    assert!(message.contains("sts:AssumeRole"), "{message}");
    assert!(!scene.world.log().await.contains("canary-tkechain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_key_reads_with_or_without_a_token_and_a_root_key_is_warned_of() {
    let scene = scene("tkekey").await;
    let secret = "canary-tkekey-secret";
    for (name, user) in [("root", None), ("user", Some("100000000078"))] {
        let id = format!("{}-{name}", scene.namespace);
        scene.tencent().put_key(user, &id, secret).unwrap();
        let values = [("id", &*id), ("secret", secret)];
        scene.put_secret(&format!("{name}-ak"), &values).await;
        let mut auth = scene.access_key(&format!("{name}-ak"));
        auth["stsEndpoint"] = scene.cloud.url().into();
        scene.through_cam(name, auth).await;
    }
    scene.wait_value("root", "password", "canary-tkekey").await;
    scene
        .wait_condition("user", "Ready", "False", "AccessDenied")
        .await;
    let event = until("the warning", SOON, async || {
        scene.root_key_warnings().await.pop().ok_or(())
    })
    .await;
    assert_eq!(event.regarding.unwrap().name.as_deref(), Some("root"));
    assert_eq!(scene.root_key_warnings().await.len(), 1);

    // A long-lived key has no token: with one it is another identity, and refused.
    let id = format!("{}-root", scene.namespace);
    let values = [
        ("id", &*id),
        ("secret", secret),
        ("token", "canary-tkekey-token"),
    ];
    scene.put_secret("token-ak", &values).await;
    let mut auth = scene.access_key("token-ak");
    auth["accessKey"]["securityTokenSecretRef"] = json!({ "name": "token-ak", "key": "token" });
    scene.through_cam("token", auth).await;
    let message = scene
        .wait_condition("token", "Ready", "False", "AuthenticationFailed")
        .await;
    assert!(message.contains("AuthFailure.TokenFailure"), "{message}");
    assert!(!scene.world.log().await.contains("canary-tkekey"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_ssm_does_not_lead_to_another_sts() {
    let scene = scene("tkests").await;
    let mut auth = scene.web_identity("reader", "reader");
    auth.as_object_mut().unwrap().remove("stsEndpoint");
    for (name, site, host) in [
        ("china", "China", "sts.tencentcloudapi.com"),
        ("intl", "International", "sts.intl.tencentcloudapi.com"),
    ] {
        let mut store = scene.cam_store(name, auth.clone());
        store["spec"]["provider"]["ssm"]["site"] = site.into();
        scene.apply(&store).await.unwrap();
        let keys = [("password", &*scene.cam_key("db"))];
        let object = scene.reading(name, (STORE, name), &keys);
        scene.apply(&object).await.unwrap();
        let message = scene
            .wait_condition(name, "Ready", "False", "ProviderUnavailable")
            .await;
        assert!(message.contains(&format!("{host} ")), "{message}");
    }
    let role = scene.cam_role_arn("reader");
    assert_eq!(scene.sts_calls("AssumeRoleWithWebIdentity", &role), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_operators_own_is_refused_where_it_is_not_allowed() {
    let scene = scene("tkeown").await;
    let file = json!({ "webIdentity": { "roleArn": scene.cam_role_arn("reader") } });
    for (name, auth, parts) in [
        (
            "operator",
            json!({ "operator": {} }),
            ["spec.auth.operator", "--store-ambient-credentials"],
        ),
        (
            "file",
            file,
            [
                "spec.auth.webIdentity without serviceAccountRef",
                "--store-ambient-credentials",
            ],
        ),
        (
            "node",
            json!({ "instanceRole": {} }),
            ["spec.auth.instanceRole", "--enable-instance-role"],
        ),
    ] {
        scene.through_cam(name, auth).await;
        let message = scene.wait_store(STORE, name, "False", "InvalidSpec").await;
        for part in parts {
            assert!(message.contains(part), "{name}: {message}");
        }
        assert!(scene.secret(name).await.is_none());
    }
}
