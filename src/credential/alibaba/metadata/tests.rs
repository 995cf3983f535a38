//! The metadata service and the URL, played by a loopback server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;

use super::*;
use crate::clock::TokioClock;
use crate::http::DirectClient;

const GOOD: &str = r#"{"Code":"Success","AccessKeyId":"STS.a","AccessKeySecret":"canary-s",
    "SecurityToken":"canary-t","Expiration":"1970-01-01T01:00:00Z","LastUpdated":"x"}"#;

/// What is answered to `METHOD PATH`, and what was asked, with the token it carried.
#[derive(Default)]
struct Machine {
    answers: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<(String, Option<String>)>>,
}

async fn answer(State(machine): State<Arc<Machine>>, request: Request) -> (StatusCode, String) {
    let question = format!("{} {}", request.method(), request.uri().path());
    let token = request.headers().get(TOKEN);
    let token = token.map(|token| token.to_str().unwrap().to_owned());
    machine
        .asked
        .lock()
        .unwrap()
        .push((question.clone(), token));
    let answers = machine.answers.lock().unwrap();
    let (status, body) = answers
        .get(&question)
        .cloned()
        .unwrap_or((404, String::new()));
    (StatusCode::from_u16(status).unwrap(), body)
}

struct Fixture {
    machine: Arc<Machine>,
    url: String,
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
        let fixture = Self { machine, url };
        fixture.put("PUT /latest/api/token", 200, "canary-imds");
        fixture.put(&format!("GET {ROLES}"), 200, "worker\n");
        fixture.put(&format!("GET {ROLES}worker"), 200, GOOD);
        fixture
    }

    fn put(&self, question: &str, status: u16, body: &str) {
        let mut answers = self.machine.answers.lock().unwrap();
        answers.insert(question.to_owned(), (status, body.to_owned()));
    }

    fn surroundings(&self, allow_v1: bool) -> Surroundings {
        let metadata = Metadata {
            url: Some(self.url.clone()),
            allow_v1,
        };
        let clock = Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH));
        Surroundings::new(DirectClient::new().unwrap(), clock, Some(metadata))
    }

    async fn failure(&self, allow_v1: bool) -> (Class, String) {
        let error = instance_role(&self.surroundings(allow_v1), None)
            .await
            .unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("canary") && !shown.contains("127.0.0.1"),
            "{shown}"
        );
        (error.class, error.code().to_owned())
    }

    fn asked(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.machine.asked.lock().unwrap())
    }
}

fn expected(class: Class, code: &str) -> (Class, String) {
    (class, code.to_owned())
}

#[tokio::test]
async fn a_role_is_discovered_and_read_with_a_token() {
    let fixture = Fixture::new().await;
    let credentials = instance_role(&fixture.surroundings(false), None)
        .await
        .unwrap();
    assert_eq!(credentials.access_key_id, "STS.a");
    assert_eq!(
        credentials.expires_at,
        Some("1970-01-01T01:00:00Z".parse().unwrap())
    );
    let token = Some("canary-imds".to_owned());
    let questions = [
        ("PUT /latest/api/token".to_owned(), None),
        (format!("GET {ROLES}"), token.clone()),
        (format!("GET {ROLES}worker"), token),
    ];
    assert_eq!(fixture.asked(), questions);
    instance_role(&fixture.surroundings(false), Some("worker"))
        .await
        .unwrap();
    assert_eq!(fixture.asked().len(), 2, "a given role is not looked for");
}

#[tokio::test]
async fn the_first_version_is_used_only_where_the_second_is_absent_and_it_is_allowed() {
    let fixture = Fixture::new().await;
    fixture.put("PUT /latest/api/token", 404, "");
    instance_role(&fixture.surroundings(true), None)
        .await
        .unwrap();
    assert!(fixture.asked().iter().all(|(_, token)| token.is_none()));
    let refused = expected(Class::Unauthenticated, "InstanceRole.Token");
    assert_eq!(fixture.failure(false).await, refused);
    assert_eq!(
        fixture.asked().len(),
        1,
        "nothing was asked without a token"
    );
}

#[tokio::test]
async fn every_failure_is_named() {
    use Class::{Protocol, Unauthenticated, Unavailable};
    let fixture = Fixture::new().await;
    let role = format!("GET {ROLES}worker");
    let table = [
        (404, "", expected(Unauthenticated, "InstanceRole.Http404")),
        (403, "", expected(Unauthenticated, "InstanceRole.Http403")),
        (503, "canary", expected(Unavailable, "InstanceRole.Http503")),
        (200, "canary", expected(Protocol, "InstanceRole.Unusable")),
        (
            200,
            r#"{"Code":"Failed"}"#,
            expected(Unauthenticated, "InstanceRole.Refused"),
        ),
        (
            200,
            r#"{"Code":"Success"}"#,
            expected(Protocol, "InstanceRole.Unusable"),
        ),
    ];
    for (status, body, failure) in table {
        fixture.put(&role, status, body);
        assert_eq!(fixture.failure(false).await, failure, "{status} {body}");
    }
    fixture.put(&role, 200, &GOOD.replace("01:00:00", "00:00:00"));
    assert_eq!(
        fixture.failure(false).await,
        expected(Protocol, "InstanceRole.Unusable")
    );
    for name in ["", "..", "a/b", "<html>canary"] {
        fixture.put(&format!("GET {ROLES}"), 200, name);
        assert_eq!(
            fixture.failure(false).await,
            expected(Protocol, "InstanceRole.Name")
        );
    }
    fixture.put(&format!("GET {ROLES}"), 404, "");
    assert_eq!(
        fixture.failure(false).await,
        expected(Unauthenticated, "InstanceRole.Http404")
    );
}

#[tokio::test]
async fn an_absent_or_forbidden_service_is_said() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let fixture = Fixture {
        machine: Arc::default(),
        url,
    };
    let nobody = expected(Class::Unavailable, "InstanceRole.ConnectionFailed");
    assert_eq!(fixture.failure(true).await, nobody);
    let clock = Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH));
    let off = Surroundings::new(DirectClient::new().unwrap(), clock, None);
    let error = instance_role(&off, None).await.unwrap_err();
    assert!(
        error.to_string().contains("--enable-instance-role"),
        "{error}"
    );
}

#[tokio::test]
async fn silence_ends_after_a_second() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixture = Fixture {
        machine: Arc::default(),
        url: format!("http://{}", listener.local_addr().unwrap()),
    };
    let start = std::time::Instant::now();
    let silent = expected(Class::Unavailable, "InstanceRole.Timeout");
    assert_eq!(fixture.failure(false).await, silent);
    assert!(start.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn a_url_gives_credentials_or_says_that_it_does_not() {
    let fixture = Fixture::new().await;
    fixture.put("GET /canary", 200, GOOD);
    let surroundings = fixture.surroundings(false);
    let url = format!("{}/canary?x=1", fixture.url);
    let credentials = credentials_uri(&surroundings, &url).await.unwrap();
    assert_eq!(credentials.access_key_id, "STS.a");
    let table = [
        (500, "canary", Class::Unavailable, "CredentialsUri.Http500"),
        (
            403,
            "canary",
            Class::Unauthenticated,
            "CredentialsUri.Http403",
        ),
        (200, "canary", Class::Protocol, "CredentialsUri.Unusable"),
        (307, "", Class::Protocol, "Redirect"),
    ];
    for (status, body, class, code) in table {
        fixture.put("GET /canary", status, body);
        let error = credentials_uri(&surroundings, &url).await.unwrap_err();
        assert_eq!((error.class, error.code()), (class, code));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
