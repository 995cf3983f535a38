//! The metadata service, both versions, and the credentials URI.

use cloudsim::{
    CredentialsState, CredentialsUri, Effect, Fault, Filter, Metadata, RoleTrust, Simulator,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::*;

const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/";

async fn instance() -> Simulator {
    let simulator = simulator().await;
    simulator.set_metadata(Some(Metadata {
        role: Some("reader".to_owned()),
        ..Metadata::default()
    }));
    simulator
}

async fn call(
    simulator: &Simulator,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let client = Client::new(simulator, USER).http;
    let mut request = client.request(method, format!("{}{path}", simulator.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn get(simulator: &Simulator, path: &str, token: Option<&str>) -> (u16, String) {
    let headers: Vec<_> = token
        .map(|token| ("X-aliyun-ecs-metadata-token", token))
        .into_iter()
        .collect();
    let response = call(simulator, Method::GET, path, &headers).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn token(simulator: &Simulator, ttl: &str) -> (u16, String) {
    let headers = [("X-aliyun-ecs-metadata-token-ttl-seconds", ttl)];
    let response = call(simulator, Method::PUT, "/latest/api/token", &headers).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

fn client(simulator: &Simulator, credentials: &str) -> Client {
    let credentials: Value = serde_json::from_str(credentials).unwrap();
    assert_eq!(credentials["Code"], "Success");
    let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let mut client = Client::new(simulator, (&text("AccessKeyId"), &text("AccessKeySecret")));
    client.token = Some(text("SecurityToken"));
    client
}

#[tokio::test]
async fn both_versions_give_the_roles_name_and_credentials_that_work() {
    let simulator = instance().await;
    let (status, token) = token(&simulator, "21600").await;
    assert_eq!(status, 200);
    for token in [None, Some(token.as_str())] {
        assert_eq!(
            get(&simulator, CREDENTIALS, token).await,
            (200, "reader".to_owned())
        );
        let region = get(&simulator, "/latest/meta-data/region-id", token).await;
        assert_eq!(region, (200, "cn-hangzhou".to_owned()));
        let (_, credentials) = get(&simulator, &format!("{CREDENTIALS}reader"), token).await;
        let client = client(&simulator, &credentials);
        assert_eq!(client.get("/shop/a").await.status, 200);
        assert_eq!(
            client.identity().await.body["IdentityType"],
            "AssumedRoleUser"
        );
    }
    let other = get(&simulator, &format!("{CREDENTIALS}other"), None).await;
    assert_eq!(other.0, 404);
}

#[tokio::test]
async fn credentials_stay_the_same_until_half_their_life_is_over_or_they_are_revoked() {
    let simulator = instance().await;
    let path = format!("{CREDENTIALS}reader");
    let (_, first) = get(&simulator, &path, None).await;
    assert_eq!(get(&simulator, &path, None).await.1, first);
    simulator.revoke_sessions("reader").unwrap();
    assert_ne!(get(&simulator, &path, None).await.1, first);
    simulator.revoke_sessions("reader").unwrap();
    simulator.set_credential_lifetime(Some(jiff::SignedDuration::from_millis(100)));
    let (_, short) = get(&simulator, &path, None).await;
    tokio::time::sleep(std::time::Duration::from_millis(80)).await;
    assert_ne!(get(&simulator, &path, None).await.1, short);
}

#[tokio::test]
async fn each_version_can_be_off() {
    let simulator = instance().await;
    let metadata = |v1, v2| Metadata {
        role: Some("reader".to_owned()),
        v1,
        v2,
        ..Metadata::default()
    };
    simulator.set_metadata(Some(metadata(false, true)));
    assert_eq!(get(&simulator, CREDENTIALS, None).await.0, 403);
    let (_, good) = token(&simulator, "60").await;
    assert_eq!(get(&simulator, CREDENTIALS, Some(&good)).await.0, 200);
    assert_eq!(get(&simulator, CREDENTIALS, Some("bad")).await.0, 401);
    for ttl in ["0", "21601", "soon"] {
        assert_eq!(token(&simulator, ttl).await.0, 400);
    }
    simulator.set_metadata(Some(metadata(true, false)));
    assert_eq!(token(&simulator, "60").await.0, 404);
    assert_eq!(get(&simulator, CREDENTIALS, None).await.0, 200);
}

#[tokio::test]
async fn a_role_can_be_absent_and_its_credentials_failed_or_expired() {
    let simulator = simulator().await;
    assert_eq!(get(&simulator, CREDENTIALS, None).await.0, 404);
    simulator.set_metadata(Some(Metadata::default()));
    assert_eq!(get(&simulator, CREDENTIALS, None).await.0, 404);
    assert_eq!(
        get(&simulator, "/latest/meta-data/region-id", None).await.0,
        200
    );
    let with = |state| Metadata {
        role: Some("reader".to_owned()),
        state,
        ..Metadata::default()
    };
    simulator.set_metadata(Some(with(CredentialsState::Failed)));
    let path = format!("{CREDENTIALS}reader");
    let (status, failed) = get(&simulator, &path, None).await;
    assert_eq!(status, 200);
    assert!(failed.contains("\"Code\":\"Failed\"") && !failed.contains("Secret"));
    simulator.set_metadata(Some(with(CredentialsState::Expired)));
    let (_, expired) = get(&simulator, &path, None).await;
    let reply = client(&simulator, &expired).get("/shop/a").await;
    assert_eq!(reply.refusal(), (400, "InvalidSecurityToken.Expired"));
    simulator.set_metadata(Some(with(CredentialsState::Ok)));
    let (_, good) = get(&simulator, &path, None).await;
    assert_eq!(client(&simulator, &good).get("/shop/a").await.status, 200);
}

#[tokio::test]
async fn a_role_with_a_trust_policy_must_trust_the_instances_service() {
    let simulator = instance().await;
    let trust = |service: &str| -> RoleTrust {
        let statement = json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": [service] },
        });
        let document = json!({ "Version": "1", "Statement": [statement] });
        serde_json::from_value(json!({ "role": "reader", "document": document })).unwrap()
    };
    let path = format!("{CREDENTIALS}reader");
    simulator.put_trust(&trust("fc.aliyuncs.com")).unwrap();
    assert!(get(&simulator, &path, None).await.1.contains("Failed"));
    simulator.put_trust(&trust("ecs.aliyuncs.com")).unwrap();
    assert!(get(&simulator, &path, None).await.1.contains("Success"));
}

#[tokio::test]
async fn a_credentials_uri_hands_out_credentials_of_its_role() {
    let simulator = simulator().await;
    let path = "/credentials-uri?x=1";
    assert_eq!(get(&simulator, path, None).await.0, 404);
    let uri = |state| CredentialsUri {
        role: "reader".to_owned(),
        state,
    };
    simulator.set_credentials_uri(Some(uri(CredentialsState::Ok)));
    assert!(simulator.credentials_uri().ends_with("/credentials-uri"));
    let (_, good) = get(&simulator, path, None).await;
    assert_eq!(client(&simulator, &good).get("/shop/a").await.status, 200);
    simulator.set_credentials_uri(Some(uri(CredentialsState::Failed)));
    assert!(get(&simulator, path, None).await.1.contains("Failed"));
}

#[tokio::test]
async fn faults_strike_the_metadata_service_and_the_ledger_keeps_its_calls() {
    let simulator = instance().await;
    simulator.add_fault(
        Fault::error(500, "X")
            .service("metadata")
            .action("GetToken")
            .times(1),
    );
    assert_eq!(token(&simulator, "60").await.0, 500);
    assert_eq!(token(&simulator, "60").await.0, 200);
    simulator.add_fault(
        Fault::new(Effect::Delay { millis: 50 })
            .action("GetRoleName")
            .times(1),
    );
    assert_eq!(get(&simulator, CREDENTIALS, None).await.0, 200);
    let ledger = simulator.ledger();
    assert_eq!(ledger.calls(&Filter::service("metadata")), 3);
    assert_eq!(ledger.calls(&Filter::action("GetToken").outcome("OK")), 1);
    assert_eq!(
        ledger.calls(&Filter::action("GetToken").principal("reader")),
        2
    );
}
