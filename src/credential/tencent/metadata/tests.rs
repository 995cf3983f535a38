//! The metadata service of a CVM instance, played by a loopback server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;

use super::*;
use crate::clock::TokioClock;
use crate::credential::Metadata;
use crate::http::DirectClient;

const GOOD: &str = r#"{"Code":"Success","TmpSecretId":"AKIDa","TmpSecretKey":"canary-s",
    "Token":"canary-t","ExpiredTime":3600,"Expiration":"1970-01-01T01:00:00Z"}"#;

/// What is answered to a path, and what was asked.
#[derive(Default)]
struct Machine {
    answers: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<String>>,
}

async fn answer(State(machine): State<Arc<Machine>>, request: Request) -> (StatusCode, String) {
    let path = request.uri().path().to_owned();
    let question = format!("{} {path}", request.method());
    machine.asked.lock().unwrap().push(question);
    let answer = machine.answers.lock().unwrap().get(&path).cloned();
    let (status, body) = answer.unwrap_or((404, String::new()));
    (StatusCode::from_u16(status).unwrap(), body)
}

struct Fixture {
    machine: Arc<Machine>,
    around: Surroundings,
}

fn around(url: Option<String>) -> Surroundings {
    let metadata = url.map(|url| Metadata {
        url: Some(url),
        allow_v1: false,
    });
    let clock = Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH));
    Surroundings::new(DirectClient::new().unwrap(), clock, metadata)
}

impl Fixture {
    /// An instance with the role `worker`.
    async fn new() -> Self {
        let machine = Arc::new(Machine::default());
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&machine));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, app).await });
        let around = around(Some(url));
        let fixture = Self { machine, around };
        fixture.put("", 200, "worker\n");
        fixture.put("worker", 200, GOOD);
        fixture
    }

    fn put(&self, role: &str, status: u16, body: &str) {
        let mut answers = self.machine.answers.lock().unwrap();
        answers.insert(format!("{ROLES}{role}"), (status, body.to_owned()));
    }

    async fn failure(&self) -> (Class, String) {
        let error = instance_role(&self.around, None).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary") && !shown.contains("127.0.0.1"));
        (error.class, error.code().to_owned())
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.machine.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn a_role_is_discovered_and_read_and_its_end_is_the_number() {
    let fixture = Fixture::new().await;
    let credentials = instance_role(&fixture.around, None).await.unwrap();
    assert_eq!(credentials.access_key_id, "AKIDa");
    let ends = "1970-01-01T01:00:00Z".parse().unwrap();
    assert_eq!(credentials.expires_at, Some(ends));
    let role = format!("GET {ROLES}worker");
    assert_eq!(fixture.asked(), [format!("GET {ROLES}"), role.clone()]);
    instance_role(&fixture.around, Some("worker"))
        .await
        .unwrap();
    assert_eq!(fixture.asked(), [role], "a given role is not looked for");
}

#[tokio::test]
async fn every_failure_is_named() {
    use Class::{Protocol, Unauthenticated, Unavailable};
    let fixture = Fixture::new().await;
    let without_code = GOOD.replace(r#""Code":"Success","#, "");
    let expired = GOOD.replace("3600", "0");
    let long = GOOD.replace("canary-t", &"t".repeat(9_000));
    for (status, body, class, code) in [
        (404, "", Unauthenticated, "InstanceRole.Http404"),
        (403, "", Unauthenticated, "InstanceRole.Http403"),
        (503, "canary", Unavailable, "InstanceRole.Http503"),
        (200, "canary", Protocol, "InstanceRole.Unusable"),
        (
            200,
            r#"{"Code":"Failed"}"#,
            Unauthenticated,
            "InstanceRole.Refused",
        ),
        (200, &without_code, Unauthenticated, "InstanceRole.Refused"),
        (
            200,
            r#"{"Code":"Success"}"#,
            Protocol,
            "InstanceRole.Unusable",
        ),
        (200, &expired, Protocol, "InstanceRole.Unusable"),
        (200, &long, Protocol, "InstanceRole.Unusable"),
    ] {
        fixture.put("worker", status, body);
        let found = fixture.failure().await;
        assert_eq!(found, (class, code.to_owned()), "{status}");
    }
    for name in ["", "..", "a/b", "<html>canary"] {
        fixture.put("", 200, name);
        let found = fixture.failure().await;
        assert_eq!(found, (Protocol, "InstanceRole.Name".to_owned()));
    }
    fixture.put("", 404, "");
    let none = (Unauthenticated, "InstanceRole.Http404".to_owned());
    assert_eq!(fixture.failure().await, none);
}

#[tokio::test]
async fn a_service_that_is_off_is_not_asked() {
    let error = instance_role(&around(None), None).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("--enable-instance-role"), "{text}");
}
