//! How batches and single reads take each other's place, against a scripted gateway.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::*;

mod place;
use crate::clock::Clock;
use crate::http::{HttpClient, HttpOptions};
use crate::provider::Skews;

/// What the gateway refuses.
#[derive(Debug, Clone, Copy, Default)]
struct Script {
    /// The code and status with which it refuses every batch.
    batch: Option<(u16, &'static str)>,
    /// How many names of a batch are denied.
    denied: usize,
    /// The code and status with which it refuses every single read.
    single: Option<(u16, &'static str)>,
}

#[derive(Default)]
struct Log {
    script: Script,
    calls: Vec<&'static str>,
    now: i64,
}

/// A gateway, and a provider that reads from it.
struct Gate {
    log: Arc<Mutex<Log>>,
    kms: Kms,
}

struct Hand(Arc<Mutex<Log>>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + self.0.lock().unwrap().now).unwrap()
    }
}

impl Gate {
    async fn start(dedicated: bool) -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let seen = Arc::clone(&log);
        let answer = move |headers: HeaderMap, Query(query): Query<Vec<(String, String)>>| {
            let action = headers["x-acs-action"].to_str().unwrap();
            let body = answer(&mut seen.lock().unwrap(), action, &query);
            async move { body }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let http = HttpClient::new(HttpOptions {
            allow_insecure: true,
            timeout: Duration::from_secs(5),
        });
        let edge = Edge {
            http: http.unwrap(),
            clock: Arc::new(Hand(Arc::clone(&log))),
            random: Arc::new(ring::rand::SystemRandom::new()),
            skews: Skews::default(),
        };
        let policy = EndpointPolicy::new([], true).unwrap();
        let config = KmsConfig {
            region: "cn-hangzhou".to_owned(),
            network: Network::Public,
            endpoint: Some(url.clone()),
            instance: None,
        };
        let sts = endpoint::sts(&policy, Some(&url), "", Network::Public).unwrap();
        let kms = Kms::new(config, sts, &policy, edge).unwrap();
        *kms.support() = Support::new(!dedicated);
        Self { log, kms }
    }

    fn script(&self, script: Script) {
        self.log.lock().unwrap().script = script;
    }

    fn pass(&self, minutes: i64) {
        self.log.lock().unwrap().now += minutes * 60;
    }

    /// Reads `count` names and gives their values or classes, and the calls that were made.
    async fn read(&self, count: usize) -> (Result<Vec<String>, String>, (usize, usize)) {
        let keys: Vec<RemoteKey> = (0..count)
            .map(|i| RemoteKey::named(format!("s{i}")))
            .collect();
        let answers = self.kms.fetch(&credentials(), &keys).await;
        let text = |answer: Answer| match answer {
            Ok(fetched) => String::from_utf8(fetched.value.expose().to_vec()).unwrap(),
            Err(error) => error.class.as_str().to_owned(),
        };
        let answers = answers.map(|answers| answers.into_iter().map(text).collect());
        let calls = std::mem::take(&mut self.log.lock().unwrap().calls);
        let batches = calls.iter().filter(|call| **call == "batch").count();
        let outcome = answers.map_err(|error| error.class.as_str().to_owned());
        (outcome, (batches, calls.len() - batches))
    }

    fn batch(&self) -> usize {
        self.kms.capabilities().batch
    }
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "LTAI".to_owned(),
        access_key_secret: SecretString::from("canary"),
        security_token: None,
        expires_at: None,
    }
}

fn answer(log: &mut Log, action: &str, query: &[(String, String)]) -> (StatusCode, String) {
    let parameter = |name: &str| {
        query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    let value = |name: &str| json!({"SecretName": name, "SecretData": format!("v-{name}")});
    let (refused, body) = if action == "BatchGetSecretValue" {
        log.calls.push("batch");
        let list: Vec<Value> = serde_json::from_str(parameter("SecretsList").unwrap()).unwrap();
        let names = list
            .iter()
            .map(|entry| entry["SecretName"].as_str().unwrap());
        let denied = |name| json!({"SecretName": name, "Code": "Forbidden.NoPermission"});
        let errors: Vec<Value> = names.clone().take(log.script.denied).map(denied).collect();
        let values: Vec<Value> = names.skip(log.script.denied).map(value).collect();
        let body = json!({"SecretValues": values, "Errors": errors});
        (log.script.batch, body)
    } else {
        log.calls.push("single");
        (log.script.single, value(parameter("SecretName").unwrap()))
    };
    match refused {
        Some((status, code)) => {
            let body = json!({"Code": code, "Message": "canary", "RequestId": "r1"});
            (StatusCode::from_u16(status).unwrap(), body.to_string())
        }
        None => (StatusCode::OK, body.to_string()),
    }
}

/// The answer when every name is read.
#[allow(clippy::unnecessary_wraps)]
fn values(count: usize) -> Result<Vec<String>, String> {
    Ok((0..count).map(|i| format!("v-s{i}")).collect())
}

#[tokio::test]
async fn a_batch_that_is_withdrawn_loses_no_refresh_and_is_remembered() {
    for (status, code) in [
        (404, "InvalidApi.NotFound"),
        (404, "InvalidAction.NotFound"),
        (400, "InvalidAction"),
        (400, "UnsupportedOperation"),
    ] {
        let gate = Gate::start(false).await;
        assert_eq!(gate.read(20).await, (values(20), (1, 0)));
        gate.script(Script {
            batch: Some((status, code)),
            ..Script::default()
        });
        assert_eq!(gate.read(20).await, (values(20), (1, 20)), "{code}");
        assert_eq!(gate.kms.take_notice(), Some(Notice::BatchWithdrawn));
        assert_eq!(gate.batch(), 1);
        gate.pass(59);
        assert_eq!(
            gate.read(20).await,
            (values(20), (0, 20)),
            "one that left before"
        );
        gate.pass(1);
        assert_eq!(gate.batch(), 20);
        assert_eq!(gate.read(3).await, (values(3), (1, 3)));
        assert_eq!(gate.kms.take_notice(), None, "it was said");
        gate.script(Script::default());
        gate.pass(60);
        assert_eq!(gate.read(3).await, (values(3), (1, 0)));
    }
}

#[tokio::test]
async fn an_identity_that_may_only_read_singly_does() {
    let denied = Some((403, "Forbidden.NoPermission"));
    for script in [
        Script {
            batch: denied,
            ..Script::default()
        },
        Script {
            denied: 5,
            ..Script::default()
        },
    ] {
        let gate = Gate::start(false).await;
        gate.script(script);
        let (answers, (batches, _)) = gate.read(5).await;
        assert_eq!((answers, batches), (values(5), 1));
        assert_eq!(gate.batch(), 1);
        assert_eq!(gate.kms.take_notice(), Some(Notice::BatchWithdrawn));
    }
}

#[tokio::test]
async fn what_only_a_batch_is_denied_is_read_singly() {
    let gate = Gate::start(false).await;
    gate.script(Script {
        denied: 2,
        ..Script::default()
    });
    assert_eq!(gate.read(5).await, (values(5), (1, 2)));
    assert_eq!(gate.batch(), 20, "it works for the others");
    assert_eq!(gate.kms.take_notice(), None);
}

#[tokio::test]
async fn an_identity_that_may_not_read_at_all_withdraws_no_batch() {
    let denied = Some((403, "Forbidden.NoPermission"));
    for each_denied in [false, true] {
        let gate = Gate::start(false).await;
        gate.script(Script {
            batch: denied.filter(|_| !each_denied),
            denied: if each_denied { 5 } else { 0 },
            single: denied,
        });
        let (answers, (_, singles)) = gate.read(5).await;
        assert_eq!(answers, Ok(vec!["Denied".to_owned(); 5]));
        assert_eq!(singles, if each_denied { 1 } else { 5 });
        assert_eq!(gate.batch(), 20);
        assert_eq!(gate.kms.take_notice(), None);
    }
}

#[tokio::test]
async fn other_failures_of_a_batch_are_failures() {
    for (status, code, class) in [
        (500, "InternalFailure", "Unavailable"),
        (429, "Rejected.Throttling", "Throttled"),
        (404, "InvalidAccessKeyId.NotFound", "Unauthenticated"),
        (400, "InvalidParameter", "Invalid"),
    ] {
        let gate = Gate::start(false).await;
        gate.script(Script {
            batch: Some((status, code)),
            ..Script::default()
        });
        assert_eq!(gate.read(3).await, (Err(class.to_owned()), (1, 0)));
        assert_eq!(gate.batch(), 20);
    }
}

#[tokio::test]
async fn single_reads_that_all_fail_alike_fail_as_a_whole() {
    let table = [
        (500, "InternalFailure", "Unavailable"),
        (429, "Rejected.Throttling", "Throttled"),
        (404, "InvalidAccessKeyId.NotFound", "Unauthenticated"),
    ];
    for (status, code, class) in table {
        let gate = Gate::start(false).await;
        gate.script(Script {
            batch: Some((404, "InvalidApi.NotFound")),
            single: Some((status, code)),
            ..Script::default()
        });
        assert_eq!(gate.read(3).await.0, Err(class.to_owned()));
    }
}

#[tokio::test]
async fn a_dedicated_instance_reads_singly_until_a_batch_proves_itself() {
    let gate = Gate::start(true).await;
    assert_eq!(gate.batch(), 1);
    assert_eq!(gate.read(1).await, (values(1), (1, 0)), "a batch of one");
    assert_eq!(gate.batch(), 20);
    assert_eq!(gate.read(20).await, (values(20), (1, 0)));

    let gate = Gate::start(true).await;
    gate.script(Script {
        batch: Some((500, "InternalFailure")),
        ..Script::default()
    });
    assert_eq!(gate.read(1).await, (values(1), (1, 1)));
    assert_eq!(gate.read(1).await, (values(1), (0, 1)));
    assert_eq!(gate.batch(), 1);
    assert_eq!(gate.kms.take_notice(), None, "it never was in use");
    gate.script(Script::default());
    gate.pass(60);
    assert_eq!(gate.read(1).await, (values(1), (1, 0)));
    assert_eq!(gate.batch(), 20);
}

#[tokio::test]
async fn what_may_be_asked_twice_about_one_secret_travels_alone() {
    let gate = Gate::start(false).await;
    let key = |version: Option<&str>, stage: Option<&str>| RemoteKey {
        version: version.map(str::to_owned),
        stage: stage.map(str::to_owned),
        ..RemoteKey::named("a")
    };
    let kms = &gate.kms;
    assert!(kms.batchable(&key(None, None)));
    assert!(!kms.batchable(&key(Some("v1"), None)));
    assert!(!kms.batchable(&key(None, Some("ACSPrevious"))));
    assert!(!kms.batchable(&RemoteKey::named("acs:kms:cn-hangzhou:2:secret/a")));
    assert_eq!(
        kms.canonical(key(None, Some("ACSCurrent"))),
        key(None, None)
    );
    for kept in [
        key(None, Some("ACSPrevious")),
        key(Some("v1"), Some("ACSCurrent")),
    ] {
        assert_eq!(kms.canonical(kept.clone()), kept);
    }
    for keys in [
        vec![key(None, None), key(None, Some("ACSPrevious"))],
        vec![key(None, None), key(None, None)],
        (0..21).map(|i| RemoteKey::named(format!("s{i}"))).collect(),
    ] {
        let error = kms.fetch(&credentials(), &keys).await.unwrap_err();
        assert_eq!((error.class, error.code()), (Class::Invalid, "Batch"));
    }
}
