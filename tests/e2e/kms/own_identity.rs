//! The operator's own identity reading KMS: its role, a role that this one enters, and token files
//! that are no longer good.

use std::time::Duration;

use cloudsim::{Issuer, OidcProvider};
use serde_json::{Value, json};

use crate::identity::{ambient, by_file, put_file};
use crate::scene::Scene;
use crate::world::{ACCOUNT, PROVIDER};

const STORE: &str = "CloudSecretStore";
const AUDIENCE: &str = "sts.aliyuncs.com";
const VALUE: &str = "canary-value";
/// More than the first wait of a parked identity.
const PROBED: Duration = Duration::from_secs(50);

/// Lets the operator's own role, which ServiceAccount `reader` stands for, read and enter roles.
fn put_own_role(scene: &Scene<'_>) {
    let subject = format!("system:serviceaccount:{}:reader", scene.namespace);
    scene.put_role(json!({
        "name": "operator",
        "trust": [{ "provider": PROVIDER, "subjects": [subject], "audiences": [AUDIENCE] }],
        "rules": [
            { "actions": ["kms:*"], "resources": [scene.key("*")] },
            { "actions": ["sts:AssumeRole"], "resources": ["*"] },
        ],
    }));
}

async fn reads(scene: &Scene<'_>, name: &str, auth: Value) {
    scene.apply(&scene.store(name, auth)).await.unwrap();
    let object = scene.reading(name, (STORE, name), &[("password", &scene.key("db"))]);
    scene.apply(&object).await.unwrap();
    scene.wait_value(name, "password", VALUE).await;
    scene.wait_settled(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_identity_reads_kms_and_outlives_bad_token_files() {
    let (world, _alone) = ambient().await;
    let scene = Scene::kms(world, "ownkms").await;
    scene.put("db", VALUE);
    put_file(world, &scene.token("reader").await);
    put_own_role(&scene);
    reads(&scene, "own", json!({ "operator": {} })).await;
    scene.tokenless_role("target", "kms:*");
    let own = format!("acs:ram::{ACCOUNT}:role/operator");
    scene.trust("target", &own, "ext-1");
    let entering = scene.entering(json!({ "operator": {} }), "target", "ext-1");
    reads(&scene, "entered", entering).await;

    // Another cluster's tokens, which a test can sign as old as it likes.
    let provider = format!("p-{}", scene.namespace);
    let issuer = Issuer::throw_away("https://issuer.example/kms").unwrap();
    let known = OidcProvider {
        name: provider.clone(),
        issuer: "https://issuer.example/kms".into(),
        client_ids: vec![AUDIENCE.into()],
        jwks: Some(issuer.jwks()),
    };
    scene.cloud.put_oidc_provider(known).unwrap();
    scene.role_by(&provider, "filed", &["reader"], &[&scene.key("db")]);
    let subject = format!("system:serviceaccount:{}:reader", scene.namespace);
    let mut auth = by_file(&scene, "filed");
    let arn = format!("acs:ram::{ACCOUNT}:oidc-provider/{provider}");
    auth["rrsa"]["oidcProviderArn"] = arn.into();
    put_file(world, &issuer.token(&subject, AUDIENCE));
    reads(&scene, "filed", auth).await;
    let secret = scene.secret_as_it_is("filed").await;

    let now = jiff::Timestamp::now();
    let mut old = issuer.claims(&subject, AUDIENCE, now);
    old.iat -= 700;
    old.nbf -= 700;
    old.exp -= 700;
    let stranger = issuer.token("system:serviceaccount:else:where", AUDIENCE);
    scene.revoke("filed");
    for (file, reason, code) in [
        (
            issuer.sign(&old),
            "AuthenticationFailed",
            "OIDCToken.Expired",
        ),
        (
            issuer.token(&subject, "else"),
            "AuthenticationFailed",
            "OIDCToken.AudienceNotMatch",
        ),
        (
            "no token".into(),
            "AuthenticationFailed",
            "OIDCToken.Invalid",
        ),
        (stranger, "AccessDenied", "AuthenticationFail.NoPermission"),
    ] {
        put_file(world, &file);
        for name in ["filed", "own"] {
            scene.refresh(name, code).await;
            scene.wait_handled(name, code).await;
        }
        let message = scene
            .wait_condition("filed", "Fresh", "False", reason)
            .await;
        assert!(message.contains(code), "{message}");
        assert_eq!(scene.condition("filed", "Ready").await.status, "True");
        assert_eq!(scene.secret_as_it_is("filed").await, secret);
        // The same file stands for the operator's own role, whose credentials are still good.
        assert_eq!(scene.condition("own", "Fresh").await.status, "True");
    }
    put_file(world, &issuer.token(&subject, AUDIENCE));
    // It would heal alone, but its failures have made the next probe a matter of minutes.
    scene.refresh("filed", "healed").await;
    scene
        .wait_condition_for(PROBED, "filed", "Fresh", "True", "Refreshed")
        .await;
    assert_eq!(scene.secret_as_it_is("filed").await, secret);
}
