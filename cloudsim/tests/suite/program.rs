//! The program, and the client of its admin API.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use cloudsim::{Admin, AdminError, Fault, Filter, Seed};
use serde_json::json;

/// The program, ended with the test.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start() -> Self {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/seed.example.yaml");
        let mut child = Command::new(env!("CARGO_BIN_EXE_cloudsim"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--seed",
                example,
                "--latency",
                "1ms",
                "--kms-instance",
                "127.0.0.1:0",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("cloudsim: listening on ")
            .unwrap()
            .to_owned();
        Self { child, url }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_program_starts_with_the_example_and_obeys_its_admin_api() {
    let program = Program::start();
    let admin = Admin::new(&program.url).unwrap();
    admin.health().await.unwrap();
    let before = admin.parameters().await.unwrap();
    assert_eq!(before.len(), 4);
    assert_eq!(admin.tencent().secrets().await.unwrap().len(), 3);
    assert_eq!(
        admin
            .put_parameter("/shop/db/password", "canary")
            .await
            .unwrap(),
        3
    );
    admin.delete_parameter("/bank/pin").await.unwrap();
    assert!(matches!(
        admin.delete_parameter("/bank/pin").await,
        Err(AdminError::Refused(_))
    ));
    assert_eq!(admin.parameters().await.unwrap().len(), 3);

    let id = admin
        .add_fault(
            &Fault::error(503, "ServiceUnavailable")
                .service("oos")
                .times(3),
        )
        .await
        .unwrap();
    assert_eq!(admin.faults().await.unwrap()[0].id, id);
    admin.clear_fault(id).await.unwrap();
    admin.clear_faults().await.unwrap();
    assert!(admin.faults().await.unwrap().is_empty());

    let provider = json!({ "name": "late", "issuer": "https://late.example.com" });
    let arn = admin
        .put_oidc_provider(&serde_json::from_value(provider).unwrap())
        .await
        .unwrap();
    assert_eq!(arn, "acs:ram::1000000000000001:oidc-provider/late");
    let role = json!({ "name": "late", "trust": [{ "provider": "late", "subjects": ["a"] }] });
    let arn = admin
        .put_role(&serde_json::from_value(role).unwrap())
        .await
        .unwrap();
    assert_eq!(arn, "acs:ram::1000000000000001:role/late");
    assert_eq!(admin.revoke_sessions("late").await.unwrap(), 0);
    admin.delete_role("late").await.unwrap();
    admin.delete_oidc_provider("late").await.unwrap();

    let key = json!({ "user": "shop-reader", "id": "LTAInew", "secret": "canary" });
    admin
        .put_key(&serde_json::from_value(key).unwrap())
        .await
        .unwrap();
    admin.revoke_key("LTAInew").await.unwrap();
    admin.restore_key("LTAInew").await.unwrap();
    admin.set_credential_lifetime(Some(2.5)).await.unwrap();

    reqwest::get(&program.url).await.unwrap();
    assert_eq!(admin.ledger(&Filter::default()).await.unwrap().total, 1);
    assert_eq!(
        admin.ledger(&Filter::service("oos")).await.unwrap().total,
        0
    );
    admin.reset_ledger().await.unwrap();
    assert_eq!(admin.ledger(&Filter::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn secrets_trust_and_metadata_are_changed_from_another_process() {
    let program = Program::start();
    let admin = Admin::new(&program.url).unwrap();
    let before = admin.secrets().await.unwrap().len();
    let secret = cloudsim::Secret::binary("shop/bytes", &[0, 255]).key("k");
    admin.put_secret(&secret).await.unwrap();
    let spec = json!({ "name": "shop/bytes", "data": "AAAA", "stages": ["Mine"] });
    let id = admin
        .put_secret_version(&serde_json::from_value(spec).unwrap())
        .await
        .unwrap();
    assert_eq!(id, "v2");
    assert_eq!(
        admin.rotate_secret("shop/bytes", "AAAA").await.unwrap(),
        "v3"
    );
    admin.delete_secret("shop/bytes", Some(7)).await.unwrap();
    assert_eq!(admin.secrets().await.unwrap().len(), before + 1);
    admin.restore_secret("shop/bytes").await.unwrap();
    admin.delete_secret("shop/bytes", None).await.unwrap();
    assert_eq!(admin.secrets().await.unwrap().len(), before);
    admin.delete_kms_key("k").await.unwrap();
    let key = json!({ "id": "k", "state": "Disabled" });
    admin
        .put_kms_key(&serde_json::from_value(key).unwrap())
        .await
        .unwrap();
    admin
        .set_kms(&cloudsim::KmsSettings::generous())
        .await
        .unwrap();
    let instance = admin.kms_instance().await.unwrap();
    assert!(instance.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"));

    let plain = cloudsim::Parameter::new("/shop/plain", "one");
    admin.put_plain_parameter(&plain).await.unwrap();
    admin.delete_plain_parameter("/shop/plain").await.unwrap();
    let trust =
        json!({ "role": "shop-reader", "statements": [{ "principals": ["acs:ram::1:root"] }] });
    admin
        .put_trust(&serde_json::from_value(trust).unwrap())
        .await
        .unwrap();
    admin.delete_trust("shop-reader").await.unwrap();
    let statement = json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*" });
    let document = json!({ "Version": "1", "Statement": statement });
    let attached = json!({ "principal": "role/shop-reader", "document": document });
    admin
        .put_policy(&serde_json::from_value(attached).unwrap())
        .await
        .unwrap();
    admin.delete_policy("role/shop-reader").await.unwrap();
    admin
        .set_metadata(Some(&cloudsim::Metadata::default()))
        .await
        .unwrap();
    admin.set_metadata(None).await.unwrap();
    let uri = json!({ "role": "shop-reader", "state": "expired" });
    admin
        .set_credentials_uri(Some(&serde_json::from_value(uri).unwrap()))
        .await
        .unwrap();
    admin.set_credentials_uri(None).await.unwrap();
}

#[tokio::test]
async fn a_wrong_admin_call_is_refused_in_json() {
    let program = Program::start();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, body, status) in [
        ("nothing", json!({}), 404),
        ("faults", json!({ "effect": { "kind": "earthquake" } }), 422),
        (
            "faults",
            json!({ "match": { "nmae": "x" }, "effect": { "kind": "hang" } }),
            422,
        ),
        (
            "parameters",
            json!({ "name": "no spaces", "value": "canary" }),
            400,
        ),
        ("roles", json!({ "name": "r", "rulez": [] }), 422),
        (
            "secrets",
            json!({ "name": "no spaces", "value": "canary" }),
            400,
        ),
        ("secrets", json!({ "name": "s" }), 400),
        ("trusts", json!({ "role": "r", "document": {} }), 400),
    ] {
        let url = format!("{}/_sim/{path}", program.url);
        let reply = http.post(url).json(&body).send().await.unwrap();
        assert_eq!(reply.status(), status, "{path}");
        let text = reply.text().await.unwrap();
        assert!(
            text.starts_with("{\"error\":") && !text.contains("canary"),
            "{text}"
        );
    }
}

#[test]
fn a_program_that_cannot_start_says_why_in_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_cloudsim"))
        .args(["--seed", "/nowhere.yaml"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let reason = String::from_utf8(output.stderr).unwrap();
    assert!(
        reason.starts_with("cloudsim: cannot read /nowhere.yaml:") && reason.lines().count() == 1
    );
}

#[test]
fn a_wrong_seed_is_refused_with_the_place_and_without_values() {
    for (seed, what) in [
        ("accounts: []", "at least one"),
        ("accounts: [{id: abc}]", "digits"),
        ("accounts: [{id: '1', keys: []}]", "keys"),
        (
            "accounts: [{id: '1', parameters: [{name: 'a b', versions: [canary]}]}]",
            "A-Za-z0-9",
        ),
        (
            "accounts: [{id: '1', parameters: [{name: a, versions: []}]}]",
            "no version",
        ),
        (
            "accounts: [{id: '1', parameters: [{name: a, versions: [canary], x: canary}]}]",
            "x",
        ),
        (
            "accounts: [{id: '1', oidc_providers: [{name: a, issuer: 'http://x'}]}]",
            "https",
        ),
        (
            "accounts: [{id: '1', roles: [{name: a, max_session_duration: 1m}]}]",
            "max_session_duration",
        ),
        (
            "accounts: [{id: '1', secrets: [{name: a, versions: [{id: v, data: canary}, {id: v, data: canary}]}]}]",
            "two versions",
        ),
        (
            "accounts: [{id: '1', policies: [{principal: role/a, document: {Version: '1'}}]}]",
            "Statement",
        ),
    ] {
        let error = Seed::from_yaml(seed).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
