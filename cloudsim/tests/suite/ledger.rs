//! The ledger counts, and tells nothing that is secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cloudsim::{Fault, Filter, Options, Simulator};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::support::*;

/// A log that is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn calls_are_counted_by_service_action_principal_and_outcome() {
    let simulator = simulator().await;
    let (user, role) = (Client::new(&simulator, USER), session(&simulator).await);
    user.get_all(&["/shop/a", "/shop/b"]).await;
    role.get_all(&["/shop/a"]).await;
    role.get("/bank/pin").await;
    role.get("/shop/none").await;
    let ledger = simulator.ledger();
    assert_eq!(ledger.total, 5);
    assert_eq!(ledger.names, 5);
    assert_eq!(ledger.calls(&Filter::action("GetSecretParameters")), 2);
    assert_eq!(ledger.calls(&Filter::service("oos").principal("reader")), 3);
    assert_eq!(
        ledger.calls(&Filter::service("oos").principal(ROLE).outcome("OK")),
        1
    );
    assert_eq!(
        ledger.calls(&Filter::action("AssumeRoleWithOIDC").principal("reader")),
        1
    );
    assert_eq!(ledger.calls(&Filter::default().outcome("Forbidden.RAM")), 1);
    assert_eq!(
        ledger.calls(&Filter::default().outcome("EntityNotExists.Parameter")),
        1
    );
    assert_eq!(
        ledger
            .seconds
            .iter()
            .map(|second| second.calls)
            .sum::<u64>(),
        5
    );

    let narrow = simulator.ledger_of(&Filter::service("oos").principal("user"));
    assert_eq!((narrow.total, narrow.names, narrow.recent.len()), (1, 2, 1));
    simulator.reset_ledger();
    assert_eq!(simulator.ledger().total, 0);
}

#[tokio::test]
async fn a_call_is_remembered_with_its_names_its_session_and_its_client() {
    let simulator = simulator().await;
    session(&simulator)
        .await
        .get_all(&["/shop/b", "/shop/a"])
        .await;
    let ledger = simulator.ledger();
    let call = ledger.asking("/shop/a").next().unwrap();
    assert_eq!(call.names, ["/shop/b", "/shop/a"]);
    assert_eq!(call.session.as_deref(), Some("session-1"));
    assert_eq!(call.user_agent.as_deref(), Some("suite/1"));
    assert_eq!(call.principal, ROLE);
    assert!(call.source.starts_with("127.0.0.1:"));
    let filter = Filter {
        name: Some("/shop/c".to_owned()),
        ..Filter::default()
    };
    assert!(simulator.ledger_of(&filter).recent.is_empty());
}

#[tokio::test]
async fn a_struck_call_says_by_what() {
    let simulator = simulator().await;
    simulator.add_fault(Fault::error(503, "ServiceUnavailable"));
    Client::new(&simulator, USER).get("/shop/a").await;
    let ledger = simulator.ledger();
    assert_eq!(ledger.recent[0].fault.as_deref(), Some("error"));
    assert_eq!(ledger.recent[0].outcome, "ServiceUnavailable");
}

#[tokio::test]
async fn two_simulators_side_by_side_share_nothing() {
    let (first, second) = (simulator().await, simulator().await);
    first.put_parameter("/shop/a", "canary-first").unwrap();
    first.add_fault(Fault::error(500, "X").name("/shop/b"));
    let reply = Client::new(&second, USER).get("/shop/a").await;
    assert_eq!(reply.body["Parameter"]["Value"], "canary-a2");
    assert_eq!(Client::new(&second, USER).get("/shop/b").await.status, 200);
    assert_eq!((first.ledger().total, second.ledger().total), (0, 2));
    // Credentials of one are nothing to the other.
    let mut stranger = session(&first).await;
    stranger.url = second.url();
    assert_eq!(
        stranger.get("/shop/a").await.refusal(),
        (404, "InvalidAccessKeyId.NotFound")
    );
}

#[tokio::test]
async fn a_dropped_simulator_frees_its_port_and_its_connections() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    client.get("/shop/a").await;
    let address = simulator.addr();
    drop(simulator);
    assert!(client.sign(&Draft::get("/shop/a")).send().await.is_err());
    let again = Options {
        listen: address,
        ..Options::default()
    };
    let simulator = Simulator::start(seed(), again).await.unwrap();
    assert_eq!(simulator.addr(), address);
    assert_eq!(client.get("/shop/a").await.status, 200);
}

#[tokio::test]
async fn ledger_and_logs_hold_no_value_and_no_credential() {
    let kept = Kept::default();
    let writer = kept.clone();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("cloudsim=trace"))
        .with_writer(move || writer.clone())
        .init();
    let simulator = simulator().await;
    let token = issuer().token(SUBJECT, AUDIENCE);
    let reply = assume(&simulator, &exchange(&token)).await;
    let role = Client::session(&simulator, &reply);
    role.get("/shop/a").await;
    role.get_all(&["/shop/a", "/shop/b", "/bank/pin"]).await;
    Client {
        secret: "canary-wrong".to_owned(),
        ..role.clone()
    }
    .get("/shop/a")
    .await;
    Client::new(&simulator, USER).get("/shop/a").await;
    Client::new(&simulator, USER).get("canary not a name").await;
    Client::new(&simulator, ("canary-unknown-key", "canary"))
        .get("/shop/a")
        .await;
    assume(&simulator, &exchange("canary.canary.canary")).await;
    simulator.put_parameter("/shop/a", "canary-a3").unwrap();
    let handed = use_the_other_services(&simulator).await;

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ledger = http
        .get(format!("{}/_sim/ledger", simulator.url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let faults = http
        .get(format!("{}/_sim/parameters", simulator.url()))
        .send()
        .await
        .unwrap();
    let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("GetSecretParameters") && ledger.contains("GetSecretParameters"));
    let secrets = http
        .get(format!("{}/_sim/secrets", simulator.url()))
        .send()
        .await
        .unwrap();
    assert!(log.contains("GetSecretValue") && log.contains("GetCredentials"));
    let everything = format!(
        "{log}{ledger}{}{}{simulator:?}",
        faults.text().await.unwrap(),
        secrets.text().await.unwrap()
    );
    let credentials = &reply.body["Credentials"];
    for secret in [
        "canary",
        &token,
        credentials["AccessKeySecret"].as_str().unwrap(),
        credentials["SecurityToken"].as_str().unwrap(),
        credentials["AccessKeyId"].as_str().unwrap(),
    ] {
        assert!(!everything.contains(secret));
    }
    assert_eq!(handed.len(), 8);
    for secret in handed {
        assert!(!everything.contains(&secret));
    }
}

/// Has KMS, a chain and the metadata service handle canaries; returns the credentials that they gave.
async fn use_the_other_services(simulator: &Simulator) -> Vec<String> {
    let root = Client::new(simulator, ROOT);
    let secret = |action| Draft::new(KMS, action).with("SecretName", "shop/k");
    simulator
        .put_secret(cloudsim::Secret::account(
            cloudsim::SecretType::Rds,
            "shop/k",
            "canary-user",
            "canary-password",
        ))
        .unwrap();
    simulator.rotate_secret("shop/k", "canary-rotated").unwrap();
    root.send(&secret("GetSecretValue")).await;
    root.send(
        &secret("PutSecretValue")
            .with("VersionId", "v9")
            .with("SecretData", "canary-put"),
    )
    .await;
    let created = Draft::new(KMS, "CreateSecret")
        .with("SecretName", "shop/created")
        .with("VersionId", "v1")
        .with("SecretData", "canary-created");
    assert_eq!(root.send(&created).await.status, 200);
    let list = r#"[{"SecretName":"shop/k"},{"SecretName":"canary not a name"}]"#;
    root.send(&Draft::new(KMS, "BatchGetSecretValue").with("SecretsList", list))
        .await;

    let rules = json!([{ "actions": ["sts:AssumeRole"], "resources": ["*"] }]);
    let hop = json!({ "name": "hop", "rules": rules });
    simulator
        .put_role(serde_json::from_value(hop).unwrap())
        .unwrap();
    let trust = json!({
        "role": "hop",
        "statements": [{
            "principals": ["acs:ram::1000000000000001:root"],
            "external_ids": ["canary-external-id"],
        }],
    });
    simulator
        .put_trust(&serde_json::from_value(trust).unwrap())
        .unwrap();
    simulator.set_metadata(Some(cloudsim::Metadata {
        role: Some("hop".to_owned()),
        ..cloudsim::Metadata::default()
    }));
    let base = format!("{}/latest", simulator.url());
    let token = root
        .http
        .put(format!("{base}/api/token"))
        .header("X-aliyun-ecs-metadata-token-ttl-seconds", "60");
    let token = token.send().await.unwrap().text().await.unwrap();
    let credentials = root
        .http
        .get(format!("{base}/meta-data/ram/security-credentials/hop"))
        .header("X-aliyun-ecs-metadata-token", &token);
    let credentials = credentials.send().await.unwrap().text().await.unwrap();
    let credentials: Value = serde_json::from_str(&credentials).unwrap();
    let handed = Reply {
        status: 200.try_into().unwrap(),
        headers: reqwest::header::HeaderMap::new(),
        body: json!({ "Credentials": credentials }),
    };
    let hop = Draft::new(STS, "AssumeRole")
        .with("RoleArn", "acs:ram::1000000000000001:role/hop")
        .with("RoleSessionName", "hop")
        .with("ExternalId", "canary-external-id");
    let again = Client::session(simulator, &handed).send(&hop).await;
    assert_eq!(again.status, 200);
    let mut secrets = vec![token, "canary-external-id".to_owned()];
    for credentials in [&handed.body["Credentials"], &again.body["Credentials"]] {
        for field in ["AccessKeyId", "AccessKeySecret", "SecurityToken"] {
            secrets.push(credentials[field].as_str().unwrap().to_owned());
        }
    }
    secrets
}
