//! Identities that read KMS until something happens to them: each says what, keeps its Secret, and
//! heals by itself.

use std::time::Duration;

use cloudsim::{AttachedPolicy, OidcProvider};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::world::{ACCOUNT, PROVIDER, World};

const STORE: &str = "CloudSecretStore";
/// More than a minute, the first wait of an identity that was denied.
const PROBED: Duration = Duration::from_secs(100);
const VALUE: &str = "canary-value";

/// What happens to an identity, and what undoes it.
type Act = Box<dyn Fn(&Scene<'_>)>;

/// An identity that works, until it does not.
struct Case {
    name: &'static str,
    auth: Value,
    reason: &'static str,
    code: &'static str,
    harm: Act,
    mend: Act,
}

fn provider_arn(name: &str) -> String {
    format!("acs:ram::{ACCOUNT}:oidc-provider/{name}")
}

/// Registers the cluster under another name, whose tokens have to be as said.
fn register(scene: &Scene<'_>, name: &str, issuer: &str, audience: &str) {
    let provider = OidcProvider {
        name: name.to_owned(),
        issuer: issuer.to_owned(),
        client_ids: vec![audience.to_owned()],
        jwks: None,
    };
    scene.cloud.put_oidc_provider(provider).unwrap();
}

/// Lets a role read, which ServiceAccount `reader` stands for.
fn readable(scene: &Scene<'_>, name: &str, provider: &str) {
    scene.role_by(provider, name, &["reader"], &[&scene.key("db")]);
}

fn delete_role(scene: &Scene<'_>, name: &str) {
    scene.revoke(name);
    scene.cloud.delete_role(&scene.role_arn(name)).unwrap();
}

/// A role that reads through the ServiceAccount `reader`, and what happens to it.
fn by_token(scene: &Scene<'_>) -> Vec<Case> {
    let issuer = scene.world.cluster.issuer().to_owned();
    let registered = issuer.clone();
    let case = |name: &'static str, told: (&'static str, &'static str), harm: Act, mend: Act| {
        let provider = format!("p-{name}");
        register(scene, &provider, &registered, "sts.aliyuncs.com");
        readable(scene, name, &provider);
        let mut auth = scene.rrsa_as(name, "reader");
        auth["rrsa"]["oidcProviderArn"] = provider_arn(&provider).into();
        let (reason, code) = told;
        Case {
            name,
            auth,
            reason,
            code,
            harm,
            mend,
        }
    };
    let (denied, failed) = ("AccessDenied", "AuthenticationFailed");
    let (back, again, anew) = (issuer.clone(), issuer.clone(), issuer);
    vec![
        case(
            "role",
            (failed, "EntityNotExist.Role"),
            Box::new(|scene| delete_role(scene, "role")),
            Box::new(|scene| readable(scene, "role", "p-role")),
        ),
        case(
            "trust",
            (denied, "AuthenticationFail.NoPermission"),
            Box::new(|scene| {
                scene.role_by("p-trust", "trust", &["somebody"], &[&scene.key("db")]);
                scene.revoke("trust");
            }),
            Box::new(|scene| readable(scene, "trust", "p-trust")),
        ),
        case(
            "audience",
            (failed, "AuthenticationFail.OIDCToken.AudienceNotMatch"),
            Box::new(move |scene| {
                register(scene, "p-audience", &back, "somebody-else");
                scene.revoke("audience");
            }),
            Box::new(move |scene| register(scene, "p-audience", &again, "sts.aliyuncs.com")),
        ),
        case(
            "provider",
            (denied, "AuthenticationFail.NoPermission"),
            Box::new(|scene| {
                let provider = provider_arn("p-provider");
                scene.cloud.delete_oidc_provider(&provider).unwrap();
                scene.revoke("provider");
            }),
            Box::new(move |scene| register(scene, "p-provider", &anew, "sts.aliyuncs.com")),
        ),
    ]
}

/// A user's key that reads, and one that enters a role.
async fn by_key(scene: &Scene<'_>) -> Vec<Case> {
    let id = |name: &str| format!("{}-{name}", scene.namespace);
    // The one user whom this cloud knows; each key is one of its.
    let allow = json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*" });
    let policy = AttachedPolicy {
        principal: "user/entrant".into(),
        document: json!({ "Version": "1", "Statement": [allow] }),
    };
    scene.cloud.put_policy(&policy).unwrap();
    let mut cases = Vec::new();
    for name in ["key", "keychain"] {
        let id = id(name);
        scene
            .cloud
            .put_key(Some("entrant"), &id, "a-long-secret")
            .unwrap();
        let secret = format!("{name}-ak");
        scene
            .put_secret(&secret, &[("id", &id), ("secret", "a-long-secret")])
            .await;
        let mut auth = scene.access_key(&secret);
        if name == "keychain" {
            scene.tokenless_role("of-key", "kms:*");
            scene.trust(
                "of-key",
                &format!("acs:ram::{ACCOUNT}:user/entrant"),
                "ext-1",
            );
            auth = scene.entering(auth, "of-key", "ext-1");
        }
        let again = id.clone();
        cases.push(Case {
            name,
            auth,
            reason: "AuthenticationFailed",
            code: "InvalidAccessKeyId.NotFound",
            harm: Box::new(move |scene| {
                scene.cloud.revoke_key(&id).unwrap();
                if name == "keychain" {
                    scene.revoke("of-key");
                }
            }),
            mend: Box::new(move |scene| scene.cloud.restore_key(&again).unwrap()),
        });
    }
    cases
}

/// A role that a token stands for, entering another one.
fn by_two_hops(scene: &Scene<'_>) -> Vec<Case> {
    let entrant = |scene: &Scene<'_>| {
        let subject = format!("system:serviceaccount:{}:reader", scene.namespace);
        scene.put_role(json!({
            "name": format!("{}-lost", scene.namespace),
            "trust": [{ "provider": PROVIDER, "subjects": [subject], "audiences": ["sts.aliyuncs.com"] }],
            "rules": [{ "actions": ["sts:AssumeRole"], "resources": ["*"] }],
        }));
    };
    entrant(scene);
    let entered = |role: &'static str, by: &'static str| {
        scene.tokenless_role(role, "kms:*");
        scene.trust(role, &scene.role_arn(by), "ext-1");
        let account = if by == "lost" { "reader" } else { by };
        scene.entering(scene.rrsa_as(by, account), role, "ext-1")
    };
    let missing = "EntityNotExist.Role";
    vec![
        Case {
            name: "external-id",
            auth: entered("of-external-id", "entrant"),
            reason: "AccessDenied",
            code: "NoPermission",
            harm: Box::new(|scene| {
                scene.trust("of-external-id", &scene.role_arn("entrant"), "ext-2");
                scene.revoke("of-external-id");
            }),
            mend: Box::new(|scene| {
                scene.trust("of-external-id", &scene.role_arn("entrant"), "ext-1");
            }),
        },
        Case {
            name: "second-role",
            auth: entered("of-second-role", "entrant"),
            reason: "AuthenticationFailed",
            code: missing,
            harm: Box::new(|scene| delete_role(scene, "of-second-role")),
            mend: Box::new(|scene| scene.tokenless_role("of-second-role", "kms:*")),
        },
        Case {
            name: "first-role",
            auth: entered("of-first-role", "lost"),
            reason: "AuthenticationFailed",
            code: missing,
            harm: Box::new(|scene| {
                scene.revoke("of-first-role");
                delete_role(scene, "lost");
            }),
            mend: Box::new(entrant),
        },
    ]
}

/// What was refused so far.
fn refused(scene: &Scene<'_>) -> u64 {
    let groups = scene.cloud.ledger().groups;
    let refused = groups.iter().filter(|group| group.outcome != "OK");
    refused.map(|group| group.calls).sum()
}

/// Harms an identity that works, and sees to it that this is told and costs nothing.
async fn suffers(scene: &Scene<'_>, case: &Case) -> Secret {
    let name = case.name;
    scene
        .apply(&scene.store(name, case.auth.clone()))
        .await
        .unwrap();
    let place = (STORE, name);
    let mut object = scene.reading(name, place, &[("password", &scene.key("db"))]);
    object["spec"]["refreshInterval"] = NEVER.into();
    scene.apply(&object).await.unwrap();
    scene.wait_settled(name).await;
    scene.wait_value(name, "password", VALUE).await;
    let secret = scene.secret_as_it_is(name).await;
    (case.harm)(scene);
    scene.refresh(name, "1").await;
    let message = scene
        .wait_condition(name, "Fresh", "False", case.reason)
        .await;
    assert!(message.contains(case.code), "{name}: {message}");
    assert_eq!(
        scene.condition(name, "Ready").await.status,
        "True",
        "{name}"
    );
    assert_eq!(scene.secret_as_it_is(name).await, secret, "{name}");
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn each_identity_that_fails_in_use_says_why_keeps_its_secret_and_heals_alone() {
    let world = World::kms().await;
    let cloud = world.another_cloud().await;
    let scene = Scene::at(world, "inuse", Service::Kms, cloud).await;
    scene.put("db", VALUE);
    scene.entrant("entrant").await;
    let mut cases = by_token(&scene);
    cases.extend(by_key(&scene).await);
    cases.extend(by_two_hops(&scene));
    let secrets = join_all(cases.iter().map(|case| suffers(&scene, case))).await;
    let refused_before = refused(&scene);
    for case in &cases {
        (case.mend)(&scene);
    }
    for (case, secret) in cases.iter().zip(secrets) {
        let name = case.name;
        scene
            .wait_condition_for(PROBED, name, "Fresh", "True", "Refreshed")
            .await;
        assert_eq!(scene.secret_as_it_is(name).await, secret, "{name}");
    }
    assert_eq!(
        refused(&scene),
        refused_before,
        "nobody asked in vain meanwhile"
    );
}
