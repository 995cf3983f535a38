//! Tencent's STS: tokens and callers for sessions of roles, and the metadata service of CVM.

use cloudsim::tencent::{Metadata, Role, Settings};
use cloudsim::{CredentialsState, Effect, Fault, Filter, Issuer};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{ISSUER, SUBJECT, issuer};
use crate::tencent_support::*;

#[tokio::test]
async fn a_token_is_exchanged_for_a_session_that_needs_its_token() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let token = issuer().token(SUBJECT, AUDIENCE);
    let answer = client.exchange("SKIP", web_identity(&token)).await;
    let expired = answer.body["ExpiredTime"].as_i64().unwrap();
    let left = expired - Timestamp::now().as_second();
    assert!((7190..=7200).contains(&left), "{left}");
    let expiration: Timestamp = answer.body["Expiration"].as_str().unwrap().parse().unwrap();
    assert_eq!(expiration.as_second(), expired);
    let mut session = Tencent::session(&simulator, &answer.body["Credentials"]);
    assert_eq!(
        session.value("prod-db", "v2").await["SecretString"],
        "canary-db-2"
    );
    let denied = session.value("bank-pin", "SSM_Current").await;
    assert_eq!(denied["Error"]["Code"], "UnauthorizedOperation");
    session.token = None;
    let without = session.value("prod-db", "v2").await;
    assert_eq!(without["Error"]["Code"], "AuthFailure.TokenFailure");
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_and_so_is_one_that_is_not_trusted() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let code = async |authorization: &str, body: Value| {
        let answer = client.exchange(authorization, body).await;
        answer.code().to_owned()
    };
    let good = issuer().token(SUBJECT, AUDIENCE);
    let not_good = "InvalidParameter.WebIdentityTokenError";
    let elsewhere = Issuer::throw_away("https://other.example.com").unwrap();
    let mut claims = issuer().claims(SUBJECT, AUDIENCE, Timestamp::now());
    claims.exp = claims.iat - 1;
    for token in [
        issuer().token(SUBJECT, "sts.aliyuncs.com"),
        issuer().sign(&claims),
        elsewhere.token(SUBJECT, AUDIENCE),
        format!("{good}A"),
        "no token".to_owned(),
    ] {
        assert_eq!(code("SKIP", web_identity(&token)).await, not_good);
    }
    let other = issuer().token("system:serviceaccount:bank:reader", AUDIENCE);
    assert_eq!(
        code("SKIP", web_identity(&other)).await,
        "UnauthorizedOperation"
    );
    let with = |name: &str, value: Value| {
        let mut body = web_identity(&good);
        body[name] = value;
        body
    };
    let role = |name: &str| json!(format!("qcs::cam::uin/{UIN}:roleName/{name}"));
    for (body, expected) in [
        (
            with("ProviderId", json!("cls-other")),
            "InvalidParameter.ParamError",
        ),
        (
            with("RoleArn", role("nobody")),
            "ResourceNotFound.RoleNotFound",
        ),
        (
            with("RoleArn", json!("reader")),
            "InvalidParameter.ParamError",
        ),
        (
            with("RoleSessionName", json!("a b")),
            "InvalidParameter.ParamError",
        ),
        (
            with("DurationSeconds", json!(43_201)),
            "InvalidParameter.OverTimeError",
        ),
        (with("RoleSessionName", Value::Null), "MissingParameter"),
        (
            with(
                "RoleArn",
                json!(format!("qcs::cam::uin/{UIN}:role/4611686018427397919")),
            ),
            "",
        ),
    ] {
        assert_eq!(code("SKIP", body).await, expected);
    }
    let signed = code("TC3-HMAC-SHA256 x", web_identity(&good)).await;
    assert_eq!(signed, "AuthFailure.InvalidAuthorization");
    assert_eq!(
        code("", web_identity(&good)).await,
        "AuthFailure.InvalidAuthorization"
    );
}

#[tokio::test]
async fn token_exchanges_have_a_quota() {
    let simulator = tencent().await;
    let settings = Settings::default().with_quota("AssumeRoleWithWebIdentity", Some(1));
    simulator.tencent().set_settings(settings);
    let client = Tencent::new(&simulator, USER);
    let token = issuer().token(SUBJECT, AUDIENCE);
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = client.exchange("SKIP", web_identity(&token)).await;
        codes.insert(answer.code().to_owned());
    }
    assert!(codes.contains("RequestLimitExceeded") && codes.contains(""));
}

#[tokio::test]
async fn a_trust_document_is_obeyed_with_its_conditions() {
    let simulator = tencent().await;
    let trust = |audience: &str| {
        json!({
            "version": "2.0",
            "statement": [{
                "effect": "allow",
                "action": "name/sts:AssumeRoleWithWebIdentity",
                "principal": { "federated": [format!("qcs::cam::uin/{UIN}:oidc-provider/{PROVIDER}")] },
                "condition": { "string_equal": { "oidc:iss": [ISSUER], "oidc:aud": [audience] } },
            }],
        })
    };
    let client = Tencent::new(&simulator, USER);
    let token = issuer().token("system:serviceaccount:any:any", AUDIENCE);
    for (audience, expected) in [(AUDIENCE, ""), ("other", "UnauthorizedOperation")] {
        let mut role = Role::new("reader");
        role.trust_document = Some(trust(audience));
        simulator.tencent().put_role(&role).unwrap();
        assert_eq!(
            client.exchange("SKIP", web_identity(&token)).await.code(),
            expected
        );
    }
    let mut wrong = Role::new("reader");
    wrong.trust_document = Some(json!({ "version": "2.0" }));
    assert!(simulator.tencent().put_role(&wrong).is_err());
}

#[tokio::test]
async fn a_caller_assumes_a_role_that_trusts_it_and_a_policy_narrows_the_session() {
    let simulator = tencent().await;
    let user = format!("qcs::cam::uin/{UIN}:uin/100000000011");
    let target = Role::new("target")
        .assumed_by(&user, &["ext-1"])
        .assumed_by(ROLE, &[])
        .may(&["ssm:*"], &["prod-*"]);
    let arn = simulator.tencent().put_role(&target).unwrap();
    let client = Tencent::new(&simulator, USER);
    let assume = async |client: &Tencent, extra: Value| {
        let mut body = json!({ "RoleArn": arn, "RoleSessionName": "session-2" });
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        client.sts().call("AssumeRole", body).await
    };
    let external = json!({ "ExternalId": "ext-1" });
    let answer = assume(&client, external.clone()).await;
    let session = Tencent::session(&simulator, &answer.body["Credentials"]);
    assert_eq!(
        session.value("prod-db", "v1").await["SecretString"],
        "canary-db-1"
    );
    let who = session.sts().call("GetCallerIdentity", json!({})).await;
    assert_eq!(
        (&who.body["Type"], &who.body["AccountId"]),
        (&json!("CAMRole"), &json!(UIN))
    );
    assert_eq!(
        assume(&client, json!({})).await.code(),
        "UnauthorizedOperation"
    );
    let nobody = Tencent::new(&simulator, NOBODY);
    assert_eq!(
        assume(&nobody, external).await.code(),
        "UnauthorizedOperation"
    );

    let statement = json!({
        "effect": "allow", "action": ["ssm:GetSecretValue"],
        "resource": [format!("qcs::ssm::uin/{UIN}:secret/creatorUin/{UIN}/prod-other")],
    });
    let policy = json!({ "version": "2.0", "statement": [statement] }).to_string();
    let encoded = policy
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('"', "%22");
    let chained = crate::tencent_support::session(&simulator).await;
    let plain = assume(&chained, json!({ "Policy": policy })).await;
    assert_eq!(plain.code(), "InvalidParameter.ParamError");
    let narrowed = assume(&chained, json!({ "Policy": encoded })).await;
    let narrowed = Tencent::session(&simulator, &narrowed.body["Credentials"]);
    let denied = narrowed.value("prod-db", "v1").await;
    assert_eq!(denied["Error"]["Code"], "UnauthorizedOperation");
    let other = narrowed.value("prod-other", "v1").await;
    assert_eq!(other["Error"]["Code"], "ResourceNotFound.SecretNotExist");
}

#[tokio::test]
async fn sessions_expire_and_are_revoked() {
    let simulator = tencent().await;
    let living = session(&simulator).await;
    assert_eq!(simulator.tencent().revoke_sessions("reader").unwrap(), 1);
    let refused = living.value("prod-db", "v2").await;
    assert_eq!(refused["Error"]["Code"], "AuthFailure.SecretIdNotFound");
    simulator.set_credential_lifetime(Some(SignedDuration::from_secs(-1)));
    let expired = session(&simulator).await.value("prod-db", "v2").await;
    assert_eq!(expired["Error"]["Code"], "AuthFailure.TokenFailure");
}

#[tokio::test]
async fn an_instance_says_its_role_and_its_credentials() {
    let simulator = tencent().await;
    let path = "/latest/meta-data/cam/security-credentials/";
    let get = async |path: &str| {
        let url = format!("{}{path}", simulator.url());
        let response = Tencent::new(&simulator, USER)
            .http
            .get(url)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get(path).await.0, 404);
    simulator.tencent().set_metadata(Some(Metadata::default()));
    assert_eq!(get(path).await.0, 404);
    let with = |state| Metadata {
        role: Some("reader".to_owned()),
        state,
    };
    let credentials = format!("{path}reader");
    simulator
        .tencent()
        .set_metadata(Some(with(CredentialsState::Ok)));
    assert_eq!(get(path).await, (200, "reader".to_owned()));
    let (_, text) = get(&credentials).await;
    let good: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(good["Code"], "Success");
    let client = Tencent::session(&simulator, &good);
    assert_eq!(
        client.value("prod-db", "v2").await["SecretString"],
        "canary-db-2"
    );
    assert_eq!(get(&credentials).await.1, text);
    assert_eq!(get(&format!("{path}other")).await.0, 404);
    simulator
        .tencent()
        .set_metadata(Some(with(CredentialsState::Expired)));
    let stale: Value = serde_json::from_str(&get(&credentials).await.1).unwrap();
    let stale = Tencent::session(&simulator, &stale)
        .value("prod-db", "v2")
        .await;
    assert_eq!(stale["Error"]["Code"], "AuthFailure.TokenFailure");
    simulator
        .tencent()
        .set_metadata(Some(with(CredentialsState::Failed)));
    assert_eq!(
        get(&credentials).await,
        (200, "{\"Code\":\"Failed\"}".to_owned())
    );
    simulator
        .tencent()
        .set_metadata(Some(with(CredentialsState::Ok)));
    for (service, expected) in [("cvm.qcloud.com", "Success"), ("scf.qcloud.com", "Failed")] {
        let mut role = Role::new("reader");
        role.trust_document = Some(json!({
            "version": "2.0",
            "statement": [{
                "effect": "allow", "action": "name/sts:AssumeRole", "principal": { "service": [service] },
            }],
        }));
        simulator.tencent().put_role(&role).unwrap();
        assert!(get(&credentials).await.1.contains(expected), "{service}");
    }
    let fault = Fault::new(Effect::Html { status: 500 }).service("tencent-metadata");
    simulator.add_fault(fault.times(1));
    assert_eq!(get(path).await.0, 500);
    let calls = simulator
        .ledger()
        .calls(&Filter::service("tencent-metadata").principal("reader"));
    assert!(calls > 5, "{calls}");
}
