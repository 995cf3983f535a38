//! Tencent's lists and changes, its quotas, permissions and faults, and the ledger.

use cloudsim::tencent::{Role, Secret, SecretType, Settings, User, Version};
use cloudsim::{Admin, Effect, Fault, Filter};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::Client;
use crate::tencent_support::*;

fn names(body: &Value) -> Vec<&str> {
    let all = body["SecretMetadatas"].as_array().unwrap().iter();
    all.map(|entry| entry["SecretName"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_is_of_one_type_paged_ordered_and_filtered() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let redis = Secret::managed(SecretType::Redis, "prod-redis", "canary").tag("env", "prod");
    simulator.tencent().put_secret(redis).unwrap();
    let list = async |body: Value| client.call("ListSecrets", body).await.body;
    let all = list(json!({ "OrderType": 1 })).await;
    assert_eq!(all["TotalCount"], 2);
    assert_eq!(names(&all), ["bank-pin", "prod-db"]);
    assert_eq!(names(&list(json!({})).await), ["prod-db", "bank-pin"]);
    let page = list(json!({ "OrderType": 1, "Offset": 1, "Limit": 1 })).await;
    assert_eq!(
        (names(&page), &page["TotalCount"]),
        (vec!["prod-db"], &json!(2))
    );
    assert_eq!(
        names(&list(json!({ "SecretType": 4 })).await),
        ["prod-redis"]
    );
    let tagged = |value: &str| json!({ "TagFilters": [{ "TagKey": "env", "TagValue": [value] }] });
    assert_eq!(names(&list(tagged("prod")).await), ["prod-db"]);
    assert!(names(&list(tagged("test")).await).is_empty());
    assert_eq!(
        names(&list(json!({ "SearchSecretName": "pin" })).await),
        ["bank-pin"]
    );
    assert!(names(&list(json!({ "State": 2 })).await).is_empty());
    assert_eq!(
        list(json!({ "Limit": 101 })).await["Error"]["Code"],
        "InvalidParameterValue"
    );
    let nobody = Tencent::new(&simulator, NOBODY)
        .call("ListSecrets", json!({}))
        .await;
    assert_eq!(nobody.code(), "UnauthorizedOperation");
}

#[tokio::test]
async fn one_field_has_a_type_here_and_another_there() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let mut managed = Secret::managed(SecretType::Product, "prod-rds", "canary");
    managed.rotation_days = Some(7);
    simulator.tencent().put_secret(managed).unwrap();
    let one = client
        .call("DescribeSecret", json!({ "SecretName": "prod-rds" }))
        .await
        .body;
    assert_eq!(
        (&one["RotationStatus"], &one["SecretType"]),
        (&json!(true), &json!(1))
    );
    assert!(one["NextRotationTime"].is_string() && one["CreateUin"].is_u64());
    let list = client
        .call("ListSecrets", json!({ "SecretType": 1 }))
        .await
        .body;
    let entry = &list["SecretMetadatas"][0];
    assert_eq!(entry["RotationStatus"], 1);
    assert!(entry["NextRotationTime"].is_i64());
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_the_later_of_one_second_before() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let at = |second| Timestamp::from_second(second).unwrap();
    let versions = vec![
        Version::text("one", "canary").at(at(50)),
        Version::text("two", "canary").at(at(90)),
        Version::text("three", "canary").at(at(90)),
        Version::text("four", "canary").at(at(20)),
    ];
    simulator
        .tencent()
        .put_secret(Secret::versioned("prod-many", versions))
        .unwrap();
    let list = async || {
        let body = json!({ "SecretName": "prod-many" });
        let body = client.call("ListSecretVersionIds", body).await.body;
        let versions = body["Versions"].as_array().unwrap().iter();
        let ids = versions.map(|version| version["VersionId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list().await, ["three", "two", "one", "four"]);
    simulator
        .tencent()
        .put_version("prod-many", &Version::text("one", "canary-2"))
        .unwrap();
    assert_eq!(list().await[0], "three");
    assert_eq!(
        client.value("prod-many", "one").await["SecretString"],
        "canary-2"
    );
    simulator
        .tencent()
        .put_version("prod-many", &Version::text("five", "canary"))
        .unwrap();
    assert_eq!(list().await[0], "five");
}

#[tokio::test]
async fn a_secret_lives_from_creation_to_deletion() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let call = async |action: &str, mut body: Value| {
        body["SecretName"] = json!("prod-new");
        client.call(action, body).await
    };
    let text = |id: &str| json!({ "VersionId": id, "SecretString": format!("canary-{id}") });
    let made = call("CreateSecret", json!({ "SecretString": "canary-0" })).await;
    assert_eq!(made.body["VersionId"], "SSM_Current");
    let again = call("CreateSecret", json!({ "SecretString": "canary-0" })).await;
    assert_eq!(again.code(), "ResourceInUse.SecretExists");
    for number in 1..=9 {
        assert_eq!(
            call("PutSecretValue", text(&format!("v{number}")))
                .await
                .code(),
            ""
        );
    }
    assert_eq!(
        call("PutSecretValue", text("v10")).await.code(),
        "LimitExceeded"
    );
    assert_eq!(
        call("PutSecretValue", text("v9")).await.code(),
        "ResourceInUse.VersionIdExists"
    );
    assert_eq!(
        call("UpdateSecret", text("v10")).await.code(),
        "ResourceNotFound"
    );
    let both = json!({ "VersionId": "v9", "SecretString": "a", "SecretBinary": "YQ==" });
    assert_eq!(
        call("UpdateSecret", both).await.code(),
        "InvalidParameterValue"
    );
    let binary = json!({ "VersionId": "v9", "SecretBinary": "YQ==" });
    assert_eq!(call("UpdateSecret", binary).await.code(), "");
    assert_eq!(client.value("prod-new", "v9").await["SecretBinary"], "YQ==");
    assert_eq!(
        call("DeleteSecretVersion", json!({ "VersionId": "v9" }))
            .await
            .code(),
        ""
    );
    assert_eq!(
        call("DeleteSecret", json!({})).await.code(),
        "FailedOperation"
    );
    assert_eq!(call("DisableSecret", json!({})).await.code(), "");
    let later = call("DeleteSecret", json!({ "RecoveryWindowInDays": 7 })).await;
    let wait = later.body["DeleteTime"].as_i64().unwrap() - Timestamp::now().as_second();
    assert!((604_790..=604_800).contains(&wait), "{wait}");
    let pending = "ResourceUnavailable.ResourcePendingDeleted";
    assert_eq!(call("EnableSecret", json!({})).await.code(), pending);
    assert_eq!(call("RestoreSecret", json!({})).await.code(), "");
    assert_eq!(
        call("RestoreSecret", json!({})).await.code(),
        "FailedOperation"
    );
    assert_eq!(call("EnableSecret", json!({})).await.code(), "");
    assert_eq!(
        client.value("prod-new", "v8").await["SecretString"],
        "canary-v8"
    );
    assert_eq!(call("DisableSecret", json!({})).await.code(), "");
    assert_eq!(call("DeleteSecret", json!({})).await.code(), "");
    assert_eq!(
        call("DescribeSecret", json!({})).await.code(),
        "ResourceNotFound.SecretNotExist"
    );
    let managed = Secret::managed(SecretType::ApiKey, "prod-new", "canary");
    simulator.tencent().put_secret(managed).unwrap();
    assert_eq!(
        call("PutSecretValue", text("v1")).await.code(),
        "UnsupportedOperation"
    );
}

#[tokio::test]
async fn each_action_has_its_own_quota() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let describe = async || {
        client
            .call("DescribeSecret", json!({ "SecretName": "prod-db" }))
            .await
    };
    let limited = Settings::default().with_quota("DescribeSecret", Some(1));
    simulator.tencent().set_settings(limited);
    let mut refused = 0;
    for _ in 0..20 {
        let answer = describe().await;
        if !answer.code().is_empty() {
            assert_eq!(
                (answer.status, answer.code()),
                (200, "RequestLimitExceeded")
            );
            refused += 1;
        }
        assert_eq!(
            client.value("prod-db", "v2").await["SecretString"],
            "canary-db-2"
        );
    }
    assert!(refused > 0);
    simulator.tencent().set_settings(Settings::generous());
    assert_eq!(describe().await.code(), "");
    assert!(Settings::default().quotas);
}

#[tokio::test]
async fn a_policy_document_counts_beside_the_rules_and_its_denials_win() {
    let simulator = tencent().await;
    let session = session(&simulator).await;
    let code = async |name: &str| {
        let answer = session.value(name, "SSM_Current").await;
        answer["Error"]["Code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let grant = |effect: &str, resource: &str| {
        let statement = json!({
            "effect": effect, "action": ["name/ssm:GetSecretValue"], "resource": [resource],
        });
        let mut role = Role::new("reader").may(&["ssm:GetSecretValue"], &["prod-*"]);
        role.policy_document = Some(json!({ "version": "2.0", "statement": [statement] }));
        simulator.tencent().put_role(&role).unwrap();
    };
    assert_eq!(code("bank-pin").await, "UnauthorizedOperation");
    grant(
        "allow",
        &format!("qcs::ssm:ap-guangzhou:uin/{UIN}:secret/creatorUin/{UIN}/bank-pin"),
    );
    assert_eq!(code("bank-pin").await, "");
    grant("deny", "*");
    assert_eq!(code("prod-db").await, "UnauthorizedOperation");
    let user: User = serde_json::from_value(json!({
        "uin": "100000000012",
        "rules": [{ "actions": ["ssm:GetSecretValue"], "resources": ["bank-*"] }],
    }))
    .unwrap();
    simulator.tencent().put_user(&user).unwrap();
    let nobody = Tencent::new(&simulator, NOBODY);
    let pin = nobody.value("bank-pin", "SSM_Current").await;
    assert_eq!(pin["SecretString"], "canary-pin");
}

#[tokio::test]
async fn faults_strike_by_name_and_are_said_as_this_cloud_says_them() {
    let simulator = tencent().await;
    let client = Tencent::new(&simulator, USER);
    let one = |effect| Fault::new(effect).service("ssm").name("prod-db").times(1);
    let read = async || {
        let body = json!({ "SecretName": "prod-db", "VersionId": "v2" });
        client.call("GetSecretValue", body).await
    };
    simulator.add_fault(one(Effect::EmptyValue { absent: false }));
    assert_eq!(read().await.body["SecretString"], "");
    simulator.add_fault(one(Effect::EmptyValue { absent: true }));
    assert!(read().await.body.get("SecretString").is_none());
    simulator.add_fault(Fault::throttle(100).name("prod-db").times(1));
    let throttled = read().await;
    assert_eq!(
        (throttled.status, throttled.code()),
        (200, "RequestLimitExceeded")
    );
    simulator.add_fault(
        Fault::error(200, "InternalError")
            .action("GetSecretValue")
            .times(1),
    );
    assert_eq!(read().await.code(), "InternalError");
    simulator.add_fault(Fault::error(503, "ServiceUnavailable").times(1));
    assert_eq!(read().await.status, 503);
    simulator.add_fault(Fault::error(200, "InternalError").name("prod-other"));
    assert_eq!(read().await.code(), "");
}

#[tokio::test]
async fn the_ledger_tells_the_clouds_apart_and_holds_no_value() {
    let mut both = seed();
    let alibaba: Value = serde_json::from_str(&crate::support::seed()).unwrap();
    both["accounts"] = alibaba["accounts"].clone();
    let simulator = cloudsim::Simulator::start(both.to_string(), cloudsim::Options::default());
    let simulator = simulator.await.unwrap();
    session(&simulator).await.value("prod-db", "v2").await;
    let identity = Client::new(&simulator, crate::support::USER)
        .identity()
        .await;
    assert_eq!(identity.status, 200);
    let ledger = simulator.ledger();
    assert_eq!(ledger.calls(&Filter::service("sts")), 1);
    assert_eq!(
        ledger.calls(&Filter::service("tencent-sts").principal(ROLE)),
        1
    );
    assert_eq!(
        ledger.calls(&Filter::service("ssm").principal("reader").outcome("OK")),
        1
    );
    let call = ledger.asking("prod-db").next().unwrap();
    assert_eq!(call.session.as_deref(), Some("session-1"));
    let text = serde_json::to_string(&ledger).unwrap();
    assert!(!text.contains("canary") && !text.contains("eyJ"));
}

#[tokio::test]
async fn another_process_can_do_all_of_it() {
    let simulator = tencent().await;
    let admin = Admin::new(simulator.url()).unwrap();
    let admin = admin.tencent();
    let client = Tencent::new(&simulator, USER);
    admin
        .put_secret(&Secret::managed(
            SecretType::Product,
            "prod-far",
            "canary-1",
        ))
        .await
        .unwrap();
    admin.rotate("prod-far", "canary-2").await.unwrap();
    admin
        .put_version("prod-far", &Version::text("v9", "canary-9"))
        .await
        .unwrap();
    assert_eq!(
        client.value("prod-far", "SSM_Current").await["SecretString"],
        "canary-2"
    );
    admin.delete_version("prod-far", "v9").await.unwrap();
    assert_eq!(
        client.value("prod-far", "v9").await["Error"]["Code"],
        "ResourceNotFound"
    );
    let disabled = cloudsim::tencent::SecretState::Disabled;
    admin.set_secret_state("prod-far", disabled).await.unwrap();
    let info = admin.secrets().await.unwrap();
    assert!(
        info.iter()
            .any(|info| info.name == "prod-far" && info.state == disabled)
    );
    admin.delete_secret("prod-far").await.unwrap();
    assert!(admin.delete_secret("prod-far").await.is_err());
    admin
        .put_role(&Role::new("writer").may(&["ssm:*"], &["*"]))
        .await
        .unwrap();
    admin.delete_role("writer").await.unwrap();
    let provider = cloudsim::tencent::OidcProvider::new("cls-2", "https://i", issuer_keys());
    assert!(
        admin
            .put_oidc_provider(&provider)
            .await
            .unwrap()
            .ends_with("oidc-provider/cls-2")
    );
    admin.delete_oidc_provider("cls-2").await.unwrap();
    admin.set_settings(&Settings::generous()).await.unwrap();
    assert_eq!(simulator.tencent().settings(), Settings::generous());
    admin
        .set_clock_offset(jiff::SignedDuration::from_hours(-1))
        .await
        .unwrap();
    let late = client.value("prod-db", "v2").await;
    assert_eq!(late["Error"]["Code"], "AuthFailure.SignatureExpire");
}

fn issuer_keys() -> cloudsim::Jwks {
    crate::support::issuer().jwks()
}
