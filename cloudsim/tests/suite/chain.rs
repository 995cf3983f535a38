//! `AssumeRole`: who may assume which role, and for how long; policy documents.

use cloudsim::{AttachedPolicy, Options, RoleTrust, Simulator};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::*;

const REMOTE: &str = "acs:ram::2000000000000002:role/remote";
const USER_ARN: &str = "acs:ram::1000000000000001:user/user";

fn chain_seed() -> Value {
    let mut seed: Value = serde_json::from_str(&seed()).unwrap();
    let assume = json!({ "actions": ["sts:AssumeRole"], "resources": ["acs:ram::*:role/*"] });
    let account = &mut seed["accounts"][0];
    for list in ["users", "roles"] {
        account[list][0]["rules"]
            .as_array_mut()
            .unwrap()
            .push(assume.clone());
    }
    seed["accounts"].as_array_mut().unwrap().push(json!({
        "id": "2000000000000002",
        "roles": [
            {
                "name": "remote",
                "max_session_duration": "2h",
                "rules": [{ "actions": ["oos:*", "kms:*", "sts:*"], "resources": ["*"] }],
            },
            { "name": "last" },
        ],
        "trusts": [
            {
                "role": "remote",
                "statements": [
                    { "principals": [USER_ARN, ROLE], "external_ids": ["ext:1", "ext:2"] },
                ],
            },
            { "role": "last", "statements": [{ "principals": ["acs:ram::2000000000000002:root"] }] },
        ],
        "parameters": [
            { "name": "/far/a", "versions": ["canary-far"] },
            { "name": "/far/b", "versions": ["canary-far"] },
        ],
    }));
    seed
}

async fn chain() -> Simulator {
    Simulator::start(chain_seed().to_string(), Options::default())
        .await
        .unwrap()
}

fn ask(role: &str) -> Draft {
    Draft::new(STS, "AssumeRole")
        .with("RoleArn", role)
        .with("RoleSessionName", "hop")
}

fn remote() -> Draft {
    ask(REMOTE).with("ExternalId", "ext:1")
}

#[tokio::test]
async fn a_user_and_a_role_that_are_trusted_get_credentials_that_work() {
    let simulator = chain().await;
    for caller in [Client::new(&simulator, USER), session(&simulator).await] {
        let reply = caller.send(&remote()).await;
        assert_eq!(reply.status, 200, "{}", reply.body["Code"]);
        assert_eq!(
            reply.body["AssumedRoleUser"]["Arn"],
            format!("{REMOTE}/hop")
        );
        assert!(reply.body.get("OIDCTokenInfo").is_none());
        let far = Client::session(&simulator, &reply);
        assert_eq!(
            far.get("/far/a").await.body["Parameter"]["Value"],
            "canary-far"
        );
        assert_eq!(far.identity().await.body["AccountId"], "2000000000000002");
        let last = far.send(&ask(&REMOTE.replace("remote", "last"))).await;
        assert_eq!(last.status, 200);
    }
    let ledger = simulator.ledger();
    assert_eq!(ledger.asking(REMOTE).count(), 2);
}

#[tokio::test]
async fn a_caller_without_permission_trust_or_external_id_is_refused() {
    let simulator = chain().await;
    let user = Client::new(&simulator, USER);
    let denied = (403, "NoPermission");
    assert_eq!(user.send(&ask(REMOTE)).await.refusal(), denied);
    let wrong = ask(REMOTE).with("ExternalId", "ext:3");
    assert_eq!(user.send(&wrong).await.refusal(), denied);
    assert_eq!(
        Client::new(&simulator, NOBODY)
            .send(&remote())
            .await
            .refusal(),
        denied
    );
    assert_eq!(
        Client::new(&simulator, ROOT)
            .send(&remote())
            .await
            .refusal(),
        denied
    );
    assert_eq!(user.send(&ask(ROLE)).await.refusal(), denied);
    let missing = user.send(&ask("acs:ram::2000000000000002:role/none")).await;
    assert_eq!(missing.refusal(), (404, "EntityNotExist.Role"));
    let hidden = Client::new(&simulator, NOBODY);
    let hidden = hidden
        .send(&ask("acs:ram::2000000000000002:role/none"))
        .await;
    assert_eq!(hidden.refusal(), denied);
    simulator.delete_trust(REMOTE).unwrap();
    assert_eq!(user.send(&remote()).await.refusal(), denied);
    let trust = RoleTrust {
        role: "remote".to_owned(),
        statements: vec![serde_json::from_value(json!({ "principals": [USER_ARN] })).unwrap()],
        document: None,
    };
    simulator.put_trust_in("2000000000000002", &trust).unwrap();
    assert_eq!(user.send(&ask(REMOTE)).await.status, 200);
}

#[tokio::test]
async fn parameters_of_assume_role_are_checked_one_by_one() {
    let simulator = chain().await;
    let user = Client::new(&simulator, USER);
    let long = "x".repeat(1225);
    for (name, value, code) in [
        ("RoleSessionName", "x", "InvalidParameter.RoleSessionName"),
        ("ExternalId", "a b", "InvalidParameter.ExternalId"),
        ("ExternalId", &long, "InvalidParameter.ExternalId"),
        ("DurationSeconds", "899", "InvalidParameter.DurationSeconds"),
        (
            "DurationSeconds",
            "7201",
            "InvalidParameter.DurationSeconds",
        ),
        ("RoleArn", "remote", "InvalidParameter.RoleArn"),
        ("Policy", "{", "InvalidParameter.PolicyGrammar"),
        (
            "Policy",
            "{\"Version\":\"1\"}",
            "InvalidParameter.PolicyGrammar",
        ),
        ("Surprise", "1", "InvalidParameter"),
    ] {
        let mut draft = remote();
        draft.query.retain(|(known, _)| known != name);
        let reply = user.send(&draft.with(name, value)).await;
        assert_eq!(reply.refusal(), (400, code), "{name}");
    }
    assert_eq!(
        user.send(&remote().with("DurationSeconds", "7200"))
            .await
            .status,
        200
    );
    let role = session(&simulator).await;
    let chained = role.send(&remote().with("DurationSeconds", "3601")).await;
    assert_eq!(chained.refusal(), (400, "InvalidParameter.DurationSeconds"));
}

#[tokio::test]
async fn a_session_policy_narrows_what_a_session_may_do() {
    let simulator = chain().await;
    let policy = json!({
        "Version": "1",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["oos:GetSecretParameter", "kms:GetSecretValue"],
            "Resource": ["acs:oos:*:*:secretparameter//far/a", "acs:kms:*:*:secret/oos//far/a"],
        }],
    });
    let user = Client::new(&simulator, USER);
    let reply = user
        .send(&remote().with("Policy", &policy.to_string()))
        .await;
    let far = Client::session(&simulator, &reply);
    assert_eq!(far.get("/far/a").await.status, 200);
    assert_eq!(far.get("/far/b").await.refusal(), (403, "Forbidden.RAM"));

    let mut parameters = exchange(&issuer().token(SUBJECT, AUDIENCE));
    parameters.push(("Policy", policy.to_string()));
    let reply = assume(&simulator, &parameters).await;
    let narrow = Client::session(&simulator, &reply);
    assert_eq!(
        narrow.get("/shop/a").await.refusal(),
        (403, "Forbidden.RAM")
    );
}

#[tokio::test]
async fn credentials_of_a_hop_expire_by_themselves() {
    let simulator = chain().await;
    let user = Client::new(&simulator, USER);
    let reply = user.send(&remote().with("DurationSeconds", "900")).await;
    let expires = reply.body["Credentials"]["Expiration"].as_str().unwrap();
    let expires: Timestamp = expires.parse().unwrap();
    assert!((890..=900).contains(&expires.duration_since(Timestamp::now()).as_secs()));
    simulator.set_credential_lifetime(Some(jiff::SignedDuration::from_millis(50)));
    let reply = user.send(&remote()).await;
    let far = Client::session(&simulator, &reply);
    tokio::time::sleep(std::time::Duration::from_millis(80)).await;
    assert_eq!(
        far.get("/far/a").await.refusal(),
        (400, "InvalidSecurityToken.Expired")
    );
}

#[tokio::test]
async fn policies_and_trust_are_taken_as_ram_writes_them() {
    let simulator = chain().await;
    let nobody = Client::new(&simulator, NOBODY);
    let attach = |document: Value| {
        let principal = "user/nobody".to_owned();
        simulator.put_policy(&AttachedPolicy {
            principal,
            document,
        })
    };
    let document = json!({
        "Version": "1",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["oos:GetSecretParameter", "kms:GetSecretValue", "sts:AssumeRole"],
            "Resource": "*",
        }],
    });
    attach(document).unwrap();
    assert_eq!(nobody.get("/shop/a").await.status, 200);
    let trust: RoleTrust = serde_json::from_value(json!({
        "role": "remote",
        "document": {
            "Version": "1",
            "Statement": [{
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": { "RAM": ["acs:ram::1000000000000001:root"] },
                "Condition": { "StringEquals": { "sts:ExternalId": "only" } },
            }],
        },
    }))
    .unwrap();
    simulator.put_trust_in("2000000000000002", &trust).unwrap();
    assert_eq!(
        nobody.send(&remote()).await.refusal(),
        (403, "NoPermission")
    );
    assert_eq!(
        nobody
            .send(&ask(REMOTE).with("ExternalId", "only"))
            .await
            .status,
        200
    );
    simulator.delete_policy("user/nobody").unwrap();
    assert_eq!(
        nobody.get("/shop/a").await.refusal(),
        (403, "Forbidden.RAM")
    );
    assert!(attach(json!({ "Version": "2", "Statement": [] })).is_err());
}

#[tokio::test]
async fn a_role_trusts_tokens_by_its_trust_policy_too() {
    let simulator = chain().await;
    simulator
        .put_role(serde_json::from_value(json!({ "name": "documented" })).unwrap())
        .unwrap();
    let exchange = || {
        let mut parameters = exchange(&issuer().token(SUBJECT, AUDIENCE));
        parameters.retain(|(name, _)| *name != "RoleArn");
        parameters.push(("RoleArn", ROLE.replace("reader", "documented")));
        parameters
    };
    let trust = |subject: &str| -> RoleTrust {
        let conditions = json!({ "oidc:iss": ISSUER, "oidc:aud": AUDIENCE, "oidc:sub": subject });
        serde_json::from_value(json!({
            "role": "documented",
            "document": {
                "Version": "1",
                "Statement": [{
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": { "Federated": [PROVIDER] },
                    "Condition": { "StringEquals": conditions },
                }],
            },
        }))
        .unwrap()
    };
    simulator
        .put_trust(&trust("system:serviceaccount:bank:reader"))
        .unwrap();
    let refused = (403, "AuthenticationFail.NoPermission");
    assert_eq!(assume(&simulator, &exchange()).await.refusal(), refused);
    simulator.put_trust(&trust(SUBJECT)).unwrap();
    assert_eq!(assume(&simulator, &exchange()).await.status, 200);
}

#[tokio::test]
async fn the_accounts_own_key_is_told_as_such() {
    let simulator = chain().await;
    let identity = Client::new(&simulator, ROOT).identity().await.body;
    assert_eq!(identity["IdentityType"], "Account");
    assert_eq!(identity["Arn"], format!("acs:ram::{ACCOUNT}:root"));
}
