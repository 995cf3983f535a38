//! How answers are read, and how a clock that is off is mended, against a scripted gateway.

use std::sync::Mutex;

use axum::Router;
use axum::http::HeaderMap;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::http::{HttpClient, HttpOptions};
use crate::provider::endpoint::EndpointPolicy;
use crate::provider::tencent::endpoint::SSM;

const API: Api = Api {
    name: "ssm",
    version: "2019-09-23",
    table: code::SSM,
};

fn response(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: HeaderMap::new(),
        body: Zeroizing::new(body.as_bytes().to_vec()),
    }
}

fn refused(status: u16, body: &str) -> CallError {
    read::<Value>(&response(status, body), code::SSM).unwrap_err()
}

#[test]
fn a_refusal_has_status_200_and_carries_code_and_request_but_no_message() {
    let body = r#"{"Response":{"Error":{"Code":"AuthFailure.TokenFailure","Message":"canary-token"},
        "RequestId":"r-1"}}"#;
    let error = refused(200, body);
    assert_eq!(error.class, Class::Unauthenticated);
    assert_eq!(error.to_string(), "AuthFailure.TokenFailure (request r-1)");
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn any_other_status_is_not_the_services() {
    let body = r#"{"Response":{"Error":{"Code":"ResourceNotFound"},"RequestId":"r"}}"#;
    for (status, class) in [
        (404, Class::Protocol),
        (403, Class::Protocol),
        (401, Class::Protocol),
        (429, Class::Throttled),
        (502, Class::Unavailable),
    ] {
        let error = refused(status, body);
        assert_eq!(
            (error.class, error.code()),
            (class, &*format!("Http{status}"))
        );
    }
}

#[test]
fn a_broken_answer_is_described_without_its_text() {
    for body in [
        "<canary>",
        "",
        "{}",
        r#"{"Response":"canary"}"#,
        r#"{"Response":{"RequestId":"canar"#,
    ] {
        let error = refused(200, body);
        assert_eq!(
            (error.class, error.code()),
            (Class::Protocol, "UndecodableAnswer")
        );
        assert!(!format!("{error} {error:?}").contains("canar"), "{error}");
    }
}

#[test]
fn an_answer_is_read_whatever_its_content_type() {
    let body = r#"{"Response":{"SecretName":"a","RequestId":"r"}}"#;
    let answer: Value = read(&response(200, body), code::SSM).unwrap();
    assert_eq!(answer["SecretName"], "a");
}

/// What our clock says, and the gateway's; it takes five minutes.
struct Clocks {
    ours: i64,
    gateways: i64,
    told: bool,
}

struct Ours(Arc<Mutex<Clocks>>);

impl Clock for Ours {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.lock().unwrap().ours).unwrap()
    }
}

async fn gateway(clocks: Clocks) -> (Gateway, Arc<Mutex<Clocks>>, Arc<Mutex<u32>>) {
    let (clocks, calls) = (Arc::new(Mutex::new(clocks)), Arc::new(Mutex::new(0)));
    let (seen, count) = (Arc::clone(&clocks), Arc::clone(&calls));
    let answer = move |headers: HeaderMap| {
        let clocks = seen.lock().unwrap();
        *count.lock().unwrap() += 1;
        let sent: i64 = headers["x-tc-timestamp"].to_str().unwrap().parse().unwrap();
        let body = if (sent - clocks.gateways).abs() > 300 {
            json!({"Response": {"Error": {"Code": code::CLOCK, "Message": "m"}, "RequestId": "r"}})
        } else {
            json!({"Response": {"RequestId": "r"}})
        };
        let now = Timestamp::from_second(clocks.gateways).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = date.timestamp_to_rfc9110_string(&now).unwrap();
        let date = if clocks.told { date } else { "soon".to_owned() };
        async move { ([("date", date)], body.to_string()) }
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
        clock: Arc::new(Ours(Arc::clone(&clocks))),
        random: Arc::new(ring::rand::SystemRandom::new()),
    };
    let endpoint = EndpointPolicy::new([], true)
        .unwrap()
        .check(&url, &SSM)
        .unwrap();
    (
        Gateway::new(edge, endpoint, API, "ap-guangzhou"),
        clocks,
        calls,
    )
}

async fn call(gateway: &Gateway) -> Result<Value, CallError> {
    let credentials = Credentials {
        access_key_id: "AKIDcanary".to_owned(),
        access_key_secret: SecretString::from("canary"),
        security_token: None,
        expires_at: None,
    };
    gateway
        .signed(&credentials, "GetSecretValue", &json!({}))
        .await
}

#[tokio::test]
async fn a_clock_that_is_off_is_mended_once_by_the_gateways_own() {
    let (gateway, clocks, calls) = gateway(Clocks {
        ours: 1_700_000_000,
        gateways: 1_700_003_600,
        told: true,
    })
    .await;
    assert!(!gateway.take_news());
    call(&gateway).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), 2, "the call was made again");
    assert!(gateway.take_news() && !gateway.take_news(), "and said once");
    assert_eq!((gateway.take_again(), gateway.take_again()), (1, 0));
    call(&gateway).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), 3, "what was learned stays known");
    // Somebody mended our clock.
    clocks.lock().unwrap().ours += 3_600;
    call(&gateway).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), 5);
}

#[tokio::test]
async fn a_gateway_whose_time_is_not_told_or_too_far_off_is_asked_once() {
    for (told, off) in [(false, 3_600), (true, 90_000), (true, -90_000)] {
        let (gateway, _, calls) = gateway(Clocks {
            ours: 1_700_000_000,
            gateways: 1_700_000_000 + off,
            told,
        })
        .await;
        let error = call(&gateway).await.unwrap_err();
        assert_eq!(
            (error.class, error.code()),
            (Class::Unauthenticated, code::CLOCK)
        );
        assert_eq!(*calls.lock().unwrap(), 1);
        assert!(!gateway.take_news());
    }
}
