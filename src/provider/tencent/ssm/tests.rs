//! Which calls a read costs and what refusals of them mean, against a scripted gateway.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value as Json, json};

use super::*;

mod refusal;
use crate::clock::Clock;
use crate::http::{HttpClient, HttpOptions};

/// What is answered to each action, and what was called.
#[derive(Default)]
struct Log {
    script: HashMap<&'static str, Json>,
    calls: Vec<String>,
    now: i64,
}

struct Gate {
    log: Arc<Mutex<Log>>,
    ssm: Ssm,
}

struct Hand(Arc<Mutex<Log>>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + self.0.lock().unwrap().now).unwrap()
    }
}

fn refusal(code: &str) -> Json {
    json!({"Error": {"Code": code, "Message": "canary"}})
}

fn listing(versions: &[(&str, i64)]) -> Json {
    let version = |(id, time): &(&str, i64)| json!({"VersionId": id, "CreateTime": time});
    json!({"Versions": versions.iter().map(version).collect::<Vec<_>>()})
}

impl Gate {
    async fn start() -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let seen = Arc::clone(&log);
        let answer = move |headers: HeaderMap, body: Bytes| {
            let body = answer(&mut seen.lock().unwrap(), &headers, &body);
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
        };
        let policy = EndpointPolicy::new([], true).unwrap();
        let place = (Site::China, Network::Public);
        let config = SsmConfig {
            region: "ap-guangzhou".to_owned(),
            place,
            endpoint: Some(url.clone()),
        };
        let sts = endpoint::sts(&policy, Some(&url), "ap-guangzhou", place).unwrap();
        let ssm = Ssm::new(config, sts, &policy, edge).unwrap();
        Self { log, ssm }
    }

    fn say(&self, action: &'static str, answer: Json) {
        self.log.lock().unwrap().script.insert(action, answer);
    }

    fn pass(&self, seconds: i64) {
        self.log.lock().unwrap().now += seconds;
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap().calls)
    }

    async fn read(&self, key: &RemoteKey) -> Result<(String, Option<Caveat>), CallError> {
        let answers = self
            .ssm
            .fetch(&credentials(), std::slice::from_ref(key))
            .await;
        let fetched = answers.and_then(|mut answers| answers.remove(0))?;
        let text = String::from_utf8(fetched.value.expose().to_vec()).unwrap();
        Ok((text, fetched.caveat))
    }

    /// The class and code that a read fails with.
    async fn fails(&self, key: &RemoteKey) -> (Class, String) {
        let error = self.read(key).await.unwrap_err();
        assert!(!format!("{error:?}").contains("canary"));
        (error.class, error.code().to_owned())
    }
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIDcanary".to_owned(),
        access_key_secret: SecretString::from("canary"),
        security_token: None,
        expires_at: None,
    }
}

fn db() -> RemoteKey {
    RemoteKey::named("db")
}

fn version(version: &str) -> RemoteKey {
    RemoteKey {
        version: Some(version.to_owned()),
        ..db()
    }
}

fn answer(log: &mut Log, headers: &HeaderMap, body: &[u8]) -> String {
    let action = headers["x-tc-action"].to_str().unwrap().to_owned();
    assert_eq!(headers["x-tc-region"], "ap-guangzhou");
    let asked: Json = serde_json::from_slice(body).unwrap();
    let version = asked["VersionId"].as_str().unwrap_or_default();
    log.calls
        .push(format!("{action} {version}").trim().to_owned());
    let mut told = log.script.get(action.as_str()).cloned();
    if action == "GetSecretValue" && told.is_none() {
        let value = format!("value of {version}");
        told = Some(
            json!({"SecretName": "db", "VersionId": version, "SecretString": value, "SecretBinary": ""}),
        );
    }
    let mut told = told.unwrap_or_else(|| refusal("InvalidAction"));
    told["RequestId"] = "r-1".into();
    json!({"Response": told}).to_string()
}

#[tokio::test]
async fn a_named_version_costs_one_call() {
    let gate = Gate::start().await;
    for name in ["v1", "SSM_Current"] {
        let (text, caveat) = gate.read(&version(name)).await.unwrap();
        assert_eq!((text, caveat), (format!("value of {name}"), None));
        assert_eq!(gate.calls(), [format!("GetSecretValue {name}")]);
    }
}

#[tokio::test]
async fn a_managed_secret_is_described_once_and_its_current_version_read() {
    let gate = Gate::start().await;
    for secret_type in [1, 3, 4] {
        gate.ssm.ways().forget("db");
        gate.say(
            "DescribeSecret",
            json!({"SecretName": "db", "SecretType": secret_type}),
        );
        gate.read(&db()).await.unwrap();
        assert_eq!(
            gate.calls(),
            ["DescribeSecret", "GetSecretValue SSM_Current"]
        );
        gate.pass(1_000_000);
        gate.read(&db()).await.unwrap();
        assert_eq!(gate.calls(), ["GetSecretValue SSM_Current"]);
    }
}

#[tokio::test]
async fn the_newest_version_of_a_custom_secret_is_looked_for_at_each_read() {
    let gate = Gate::start().await;
    gate.say("DescribeSecret", json!({"SecretType": 0}));
    gate.say("ListSecretVersionIds", listing(&[("SSM_Current", 1)]));
    assert_eq!(gate.read(&db()).await.unwrap().0, "value of SSM_Current");
    gate.calls();
    gate.say(
        "ListSecretVersionIds",
        listing(&[("v2", 2), ("SSM_Current", 1)]),
    );
    assert_eq!(
        gate.read(&db()).await.unwrap(),
        ("value of v2".to_owned(), None)
    );
    assert_eq!(gate.calls(), ["ListSecretVersionIds", "GetSecretValue v2"]);
}

#[tokio::test]
async fn each_call_of_a_read_is_announced_with_its_own_quota() {
    let gate = Gate::start().await;
    gate.say("DescribeSecret", json!({"SecretType": 0}));
    gate.say("ListSecretVersionIds", listing(&[("v1", 1)]));
    let mut announced = Vec::new();
    loop {
        let action = gate.ssm.action(&[db()]);
        let detour = gate.ssm.detour(&db());
        let Some(detour) = detour else {
            announced.push((action, gate.ssm.quota().name, gate.ssm.quota().per_second));
            break;
        };
        assert!(detour.learns);
        announced.push((action, detour.quota.name, detour.quota.per_second));
        gate.ssm.learn(&credentials(), &db()).await.unwrap();
        assert_eq!(gate.calls(), [action], "one call at a time");
    }
    let expected = [
        ("DescribeSecret", "ssm-descriptions", Some(40)),
        ("ListSecretVersionIds", "ssm-versions", Some(40)),
        ("GetSecretValue", "ssm-reads", Some(300)),
    ];
    assert_eq!(announced, expected);
    gate.read(&db()).await.unwrap();
    assert_eq!(
        gate.calls(),
        ["GetSecretValue v1"],
        "what was learned was not asked again"
    );
}

#[tokio::test]
async fn a_pair_of_keys_is_read_by_its_own_call() {
    let gate = Gate::start().await;
    gate.say("DescribeSecret", json!({"SecretType": 2}));
    gate.say(
        "GetSSHKeyPairValue",
        json!({"PublicKey": "ssh-rsa k", "PrivateKey": ""}),
    );
    let read = gate.read(&db()).await.unwrap();
    assert_eq!(read, (r#"{"PublicKey":"ssh-rsa k"}"#.to_owned(), None));
    assert_eq!(gate.calls(), ["DescribeSecret", "GetSSHKeyPairValue"]);
    let detour = gate.ssm.detour(&db()).unwrap();
    assert_eq!((detour.learns, detour.quota.per_second), (false, Some(20)));
    gate.read(&version("v1")).await.unwrap();
    assert_eq!(
        gate.calls(),
        ["GetSecretValue v1"],
        "a named version needs no other"
    );
}

#[tokio::test]
async fn a_secret_that_was_made_anew_is_described_anew() {
    let gate = Gate::start().await;
    gate.say("DescribeSecret", json!({"SecretType": 1}));
    gate.read(&db()).await.unwrap();
    gate.say("GetSecretValue", refusal(code::NO_SECRET));
    assert_eq!(gate.fails(&db()).await.0, Class::NotFound);
    gate.log.lock().unwrap().script.remove("GetSecretValue");
    gate.say("DescribeSecret", json!({"SecretType": 0}));
    gate.say("ListSecretVersionIds", listing(&[("v7", 1)]));
    assert_eq!(gate.read(&db()).await.unwrap().0, "value of v7");
}

#[tokio::test]
async fn a_list_asks_for_every_type_and_each_tag_and_filters_names_again() {
    let gate = Gate::start().await;
    let secret = |name: &str| json!({"SecretName": name});
    let page = [secret("shop-a"), secret("my-shop-"), secret("shop-b")];
    gate.say(
        "ListSecrets",
        json!({"TotalCount": 3, "SecretMetadatas": page}),
    );
    let names = |listed: Vec<Listed>| -> Vec<String> {
        listed.into_iter().map(|listed| listed.key.key).collect()
    };
    let mut selection = Selection {
        path: Some("shop-".to_owned()),
        tags: BTreeMap::new(),
    };
    let listed = gate.ssm.list(&credentials(), &selection).await.unwrap();
    assert_eq!(names(listed), ["shop-a", "shop-b"]);
    assert_eq!(gate.calls().len(), 5);
    selection.tags.insert("env".to_owned(), "prod".to_owned());
    selection.tags.insert("team".to_owned(), "a".to_owned());
    let listed = gate.ssm.list(&credentials(), &selection).await.unwrap();
    assert_eq!(names(listed), ["shop-a", "shop-b"]);
    assert_eq!(gate.calls().len(), 10);
}

#[tokio::test]
async fn a_list_that_ends_before_its_end_is_no_list() {
    let gate = Gate::start().await;
    gate.say(
        "ListSecrets",
        json!({"TotalCount": 3, "SecretMetadatas": []}),
    );
    let error = gate
        .ssm
        .list(&credentials(), &Selection::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code()),
        (Class::Protocol, "IncompleteList")
    );
}
