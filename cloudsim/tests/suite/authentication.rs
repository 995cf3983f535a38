//! Signed requests: each way to be refused, with its code.

use std::fmt::Write as _;
use std::sync::Arc;

use cloudsim::{Options, Simulator};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

const VECTORS: &str = include_str!("../../../tests/vectors/acs.jsonl");

fn minutes_from_now(minutes: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test]
async fn a_well_signed_call_succeeds_by_get_and_by_post() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    for method in [Method::GET, Method::POST] {
        let reply = client
            .send(&Draft {
                method,
                ..Draft::get("/shop/a")
            })
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body["Parameter"]["Value"], "canary-a2");
        assert_eq!(
            reply.body["RequestId"],
            reply.headers["x-acs-request-id"].to_str().unwrap()
        );
    }
}

#[tokio::test]
async fn a_clock_more_than_fifteen_minutes_off_is_refused() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    for minutes in [-16, 16] {
        let draft = Draft {
            date: minutes_from_now(minutes),
            ..Draft::get("/shop/a")
        };
        assert_eq!(
            client.send(&draft).await.refusal(),
            (400, "InvalidTimeStamp.Expired")
        );
    }
    for minutes in [-14, 14] {
        let draft = Draft {
            date: minutes_from_now(minutes),
            ..Draft::get("/shop/a")
        };
        assert_eq!(client.send(&draft).await.status, 200);
    }
}

#[tokio::test]
async fn a_malformed_date_is_refused() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    for date in [
        "yesterday",
        "2024-06-01T12:34:56.000Z",
        "2024-06-01T12:34:56+00:00",
        "2024-13-01T12:34:56Z",
    ] {
        let draft = Draft {
            date: date.to_owned(),
            ..Draft::get("/shop/a")
        };
        assert_eq!(
            client.send(&draft).await.refusal(),
            (400, "InvalidTimeStamp.Format")
        );
    }
}

#[tokio::test]
async fn a_nonce_is_good_for_one_call() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let draft = Draft::get("/shop/a");
    assert_eq!(client.send(&draft).await.status, 200);
    assert_eq!(
        client.send(&draft).await.refusal(),
        (400, "SignatureNonceUsed")
    );
}

#[tokio::test]
async fn a_nonce_of_a_refused_signature_is_not_used_up() {
    let simulator = simulator().await;
    let draft = Draft::get("/shop/a");
    let wrong = Client::new(&simulator, (USER.0, "canary-wrong"));
    assert_eq!(
        wrong.send(&draft).await.refusal(),
        (400, "SignatureDoesNotMatch")
    );
    assert_eq!(Client::new(&simulator, USER).send(&draft).await.status, 200);
}

#[tokio::test]
async fn an_unknown_or_revoked_key_is_not_found() {
    let simulator = simulator().await;
    let unknown = Client::new(&simulator, ("LTAIunknown", "canary"));
    assert_eq!(
        unknown.get("/shop/a").await.refusal(),
        (404, "InvalidAccessKeyId.NotFound")
    );
    let known = Client::new(&simulator, USER);
    simulator.revoke_key(USER.0).unwrap();
    assert_eq!(
        known.get("/shop/a").await.refusal(),
        (404, "InvalidAccessKeyId.NotFound")
    );
    simulator.restore_key(USER.0).unwrap();
    assert_eq!(known.get("/shop/a").await.status, 200);
    assert!(simulator.revoke_key("LTAIunknown").is_err());
}

#[tokio::test]
async fn a_wrong_signature_is_answered_with_the_string_to_sign_as_the_real_cloud_does() {
    let simulator = simulator().await;
    let reply = Client::new(&simulator, (USER.0, "canary-wrong"))
        .get("/shop/a")
        .await;
    assert_eq!(reply.refusal(), (400, "SignatureDoesNotMatch"));
    let message = reply.body["Message"].as_str().unwrap();
    assert!(message.contains("ACS3-HMAC-SHA256\n") && message.contains("Name=%2Fshop%2Fa"));
    for field in ["RequestId", "HostId", "Recommend"] {
        assert!(reply.body[field].is_string(), "{field}");
    }
}

#[tokio::test]
async fn a_tampered_body_is_refused() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let draft = Draft {
        body: "x=1".to_owned(),
        sent_body: Some("x=2".to_owned()),
        ..Draft::get("/shop/a")
    };
    assert_eq!(
        client.send(&draft).await.refusal(),
        (400, "SignatureDoesNotMatch")
    );
}

#[tokio::test]
async fn a_header_that_should_be_signed_and_is_not_makes_the_signature_incomplete() {
    let simulator = simulator().await;
    let session = session(&simulator).await;
    for unsigned in [
        &["host"] as &[_],
        &["x-acs-action"],
        &["x-acs-version"],
        &["x-acs-date"],
        &["x-acs-signature-nonce"],
        &["x-acs-content-sha256"],
        &["x-acs-security-token"],
    ] {
        let reply = session
            .send(&Draft {
                unsigned,
                ..Draft::get("/shop/a")
            })
            .await;
        assert_eq!(
            reply.refusal(),
            (400, "IncompleteSignature"),
            "{unsigned:?}"
        );
    }
}

#[tokio::test]
async fn an_absent_or_malformed_or_old_style_signature_is_refused() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let url = format!(
        "{}/?Action=GetSecretParameter&Version=2019-06-01&Name=x",
        simulator.url()
    );
    let plain = Reply::of(client.http.post(&url).send().await.unwrap()).await;
    assert_eq!(plain.refusal(), (400, "MissingParameter"));
    let old = Reply::of(
        client
            .http
            .post(format!("{url}&Signature=abc"))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(old.refusal(), (400, "IncompleteSignature"));
    let malformed = client
        .http
        .post(&url)
        .header("authorization", "ACS3-HMAC-SHA256 nonsense");
    let malformed = Reply::of(malformed.send().await.unwrap()).await;
    assert_eq!(malformed.refusal(), (400, "IncompleteSignature"));
}

#[tokio::test]
async fn a_temporary_key_needs_its_own_token_while_it_lives() {
    let simulator = simulator().await;
    let good = session(&simulator).await;
    assert_eq!(good.get("/shop/a").await.status, 200);
    let without = Client {
        token: None,
        ..good.clone()
    };
    assert_eq!(
        without.get("/shop/a").await.refusal(),
        (400, "InvalidSecurityToken.Malformed")
    );
    let other = session(&simulator).await;
    let crossed = Client {
        token: other.token,
        ..good.clone()
    };
    let mismatch = (400, "InvalidSecurityToken.MismatchWithAccessKey");
    assert_eq!(crossed.get("/shop/a").await.refusal(), mismatch);
    let needless = Client {
        token: good.token.clone(),
        ..Client::new(&simulator, USER)
    };
    assert_eq!(needless.get("/shop/a").await.refusal(), mismatch);
}

#[tokio::test]
async fn expired_and_revoked_sessions_are_refused() {
    let simulator = simulator().await;
    let lasting = session(&simulator).await;
    simulator.set_credential_lifetime(Some(jiff::SignedDuration::from_millis(300)));
    let brief = session(&simulator).await;
    assert_eq!(brief.get("/shop/a").await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
    assert_eq!(
        brief.get("/shop/a").await.refusal(),
        (400, "InvalidSecurityToken.Expired")
    );
    assert_eq!(lasting.get("/shop/a").await.status, 200);
    assert_eq!(simulator.revoke_sessions("reader").unwrap(), 2);
    assert_eq!(
        lasting.get("/shop/a").await.refusal(),
        (404, "InvalidAccessKeyId.NotFound")
    );
}

#[tokio::test]
async fn unknown_versions_actions_paths_and_methods_are_refused_in_json() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let reply = client
        .send(&Draft::new("2016-01-21", "GetSecretValue"))
        .await;
    assert_eq!(reply.refusal(), (404, "InvalidProduct.NotFound"));
    let reply = client.send(&Draft::new(OOS, "GetCallerIdentity")).await;
    assert_eq!(reply.refusal(), (404, "InvalidApi.NotFound"));
    let reply = client
        .send(&Draft {
            method: Method::PUT,
            ..Draft::get("/shop/a")
        })
        .await;
    assert_eq!(reply.refusal(), (405, "UnsupportedHTTPMethod"));
    let path = format!(
        "{}/oos?Action=GetSecretParameter&Version=2019-06-01",
        simulator.url()
    );
    let reply = Reply::of(client.http.post(path).send().await.unwrap()).await;
    assert_eq!(reply.refusal(), (404, "InvalidApi.NotFound"));
    let reply = Reply::of(client.http.get(simulator.url()).send().await.unwrap()).await;
    assert_eq!(reply.refusal(), (400, "MissingParameter"));
}

#[tokio::test]
async fn any_host_name_is_accepted_as_long_as_it_is_the_signed_one() {
    let simulator = simulator().await;
    let mut client = Client::new(&simulator, USER);
    client.url = format!(
        "http://oos.cn-hangzhou.aliyuncs.com:{}",
        simulator.addr().port()
    );
    client.http = reqwest::Client::builder()
        .no_proxy()
        .resolve("oos.cn-hangzhou.aliyuncs.com", simulator.addr())
        .build()
        .unwrap();
    assert_eq!(client.get("/shop/a").await.status, 200);
    let other = client.sign(&Draft::get("/shop/a")).build().unwrap();
    let mut other = other;
    other.headers_mut().insert(
        HeaderName::from_static("host"),
        HeaderValue::from_static("kms.example.com"),
    );
    let reply = Reply::of(client.http.execute(other).await.unwrap()).await;
    assert_eq!(reply.refusal(), (400, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn everybody_can_ask_who_they_are() {
    let simulator = simulator().await;
    let kind = async |client: Client| client.identity().await.body;
    let user = kind(Client::new(&simulator, NOBODY)).await;
    assert_eq!(user["IdentityType"], "RAMUser");
    assert_eq!(user["Arn"], format!("acs:ram::{ACCOUNT}:user/nobody"));
    let root = kind(Client::new(&simulator, ROOT)).await;
    assert_eq!(root["IdentityType"], "Account");
    let role = kind(session(&simulator).await).await;
    assert_eq!(role["IdentityType"], "AssumedRoleUser");
    assert_eq!(
        role["Arn"],
        format!("acs:ram::{ACCOUNT}:assumed-role/reader/session-1")
    );
    assert_eq!(role["AccountId"], ACCOUNT);
}

#[tokio::test]
async fn a_captured_request_of_an_official_sdk_is_answered_at_its_own_time() {
    let seed = r#"{accounts: [{id: "1", parameters: [{name: /a/b, versions: [one, two, canary-three]}],
        access_keys: [{id: LTAI5tGoldenAccessKeyId, secret: GoldenAccessKeySecret0123456789}]}]}"#;
    let clock = Arc::new(|| "2024-06-01T12:40:00Z".parse().unwrap());
    let simulator = Simulator::start(
        seed,
        Options {
            clock,
            ..Options::default()
        },
    )
    .await
    .unwrap();
    let cases = VECTORS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let case = cases
        .into_iter()
        .find(|case| case["case"] == "oos.GetSecretParameter")
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (_, query) = text(&case["target"])
        .split_once('?')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let mut request = format!("{} /?{query} HTTP/1.1\r\n", text(&case["method"]));
    for pair in case["headers"].as_array().unwrap() {
        write!(request, "{}: {}\r\n", text(&pair[0]), text(&pair[1])).unwrap();
    }
    request.push_str("connection: close\r\n\r\n");
    for outcome in ["canary-three", "SignatureNonceUsed"] {
        let mut stream = TcpStream::connect(simulator.addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(outcome), "{answer}");
    }
}
