//! `AssumeRoleWithOIDC`: the token is really verified.

use std::sync::Arc;
use std::time::Duration;

use cloudsim::{Claims, Issuer, OidcProvider, Options, Simulator};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::*;

const OTHER_KEY: &str = include_str!("other-key.pem");

async fn with_claims(simulator: &Simulator, change: impl FnOnce(&mut Claims)) -> Reply {
    let mut claims = issuer().claims(SUBJECT, AUDIENCE, Timestamp::now());
    change(&mut claims);
    assume(simulator, &exchange(&issuer().sign(&claims))).await
}

async fn with_parameter(simulator: &Simulator, name: &'static str, value: &str) -> Reply {
    let mut parameters = exchange(&issuer().token(SUBJECT, AUDIENCE));
    parameters.retain(|(known, _)| *known != name);
    parameters.push((name, value.to_owned()));
    assume(simulator, &parameters).await
}

#[tokio::test]
async fn a_good_token_gives_random_credentials_that_work() {
    let simulator = simulator().await;
    let parameters = exchange(&issuer().token(SUBJECT, AUDIENCE));
    let first = assume(&simulator, &parameters).await;
    let second = assume(&simulator, &parameters).await;
    let credentials = &first.body["Credentials"];
    assert!(
        credentials["AccessKeyId"]
            .as_str()
            .unwrap()
            .starts_with("STS.")
    );
    for field in ["AccessKeyId", "AccessKeySecret", "SecurityToken"] {
        assert_ne!(credentials[field], second.body["Credentials"][field]);
    }
    let expires: Timestamp = credentials["Expiration"].as_str().unwrap().parse().unwrap();
    let lifetime = expires.duration_since(Timestamp::now()).as_secs();
    assert!((3590..=3600).contains(&lifetime), "{lifetime}");
    assert_eq!(
        first.body["AssumedRoleUser"]["Arn"],
        format!("{ROLE}/session-1")
    );
    assert_eq!(first.body["OIDCTokenInfo"]["Subject"], SUBJECT);
    assert_eq!(
        Client::session(&simulator, &first)
            .get("/shop/a")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_token_may_come_in_the_query_as_the_python_sdk_sends_it() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let parameters = exchange(&issuer().token(SUBJECT, AUDIENCE));
    let request = client.http.get(simulator.url()).query(&parameters);
    assert_eq!(Reply::of(request.send().await.unwrap()).await.status, 200);
    // The Go SDK: the common parameters in the query, the rest in a form.
    let (common, rest) = parameters.split_at(4);
    let request = client.http.post(simulator.url()).query(common).form(rest);
    assert_eq!(Reply::of(request.send().await.unwrap()).await.status, 200);
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let reply = with_claims(&simulator().await, |claims| claims.exp = claims.iat - 1).await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.Expired")
    );
}

#[tokio::test]
async fn a_token_of_the_future_is_refused() {
    let simulator = simulator().await;
    let reply = with_claims(&simulator, |claims| claims.nbf += 300).await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.Invalid")
    );
    let reply = with_claims(&simulator, |claims| claims.iat += 300).await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.Invalid")
    );
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let reply = with_claims(&simulator().await, |claims| {
        claims.aud = vec!["kubernetes".into()];
    })
    .await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.AudienceNotMatch")
    );
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    let reply = with_claims(&simulator().await, |claims| {
        claims.iss = "https://other.example.com".into();
    })
    .await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.IssuerNotMatch")
    );
}

#[tokio::test]
async fn a_token_of_a_subject_that_the_role_does_not_trust_is_refused() {
    let subject = "system:serviceaccount:shop:reader2";
    let reply = with_claims(&simulator().await, |claims| claims.sub = subject.into()).await;
    assert_eq!(reply.refusal(), (403, "AuthenticationFail.NoPermission"));
}

#[tokio::test]
async fn a_token_signed_by_another_or_an_unknown_key_is_refused() {
    let simulator = simulator().await;
    let other = Issuer::from_pem(ISSUER, OTHER_KEY).unwrap();
    let reply = assume(&simulator, &exchange(&other.token(SUBJECT, AUDIENCE))).await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.Invalid")
    );
    // The header says the known key, the signature is the other's.
    let (known, forged) = (
        issuer().token(SUBJECT, AUDIENCE),
        other.token(SUBJECT, AUDIENCE),
    );
    let (header, _) = known.split_once('.').unwrap();
    let (_, rest) = forged.split_once('.').unwrap();
    let reply = assume(&simulator, &exchange(&format!("{header}.{rest}"))).await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.Invalid")
    );
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let simulator = simulator().await;
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.";
    for text in ["abc", "not a token", "a.b.c", unsigned, &"x".repeat(20_001)] {
        let reply = assume(&simulator, &exchange(text)).await;
        assert_eq!(
            reply.refusal(),
            (400, "AuthenticationFail.OIDCToken.Invalid")
        );
    }
}

#[tokio::test]
async fn an_unknown_provider_or_role_is_refused() {
    let simulator = simulator().await;
    let reply = with_parameter(&simulator, "OIDCProviderArn", "acs:ram::1:oidc-provider/x").await;
    assert_eq!(reply.refusal(), (403, "AuthenticationFail.NoPermission"));
    assert_eq!(reply.body["Message"], "No such OIDC Provider registered.");
    let reply = with_parameter(&simulator, "RoleArn", "acs:ram::1:role/x").await;
    assert_eq!(reply.refusal(), (404, "EntityNotExist.Role"));
}

#[tokio::test]
async fn wrong_parameters_of_an_exchange_are_refused() {
    let simulator = simulator().await;
    for (name, value, code) in [
        ("RoleSessionName", "x", "InvalidParameter.RoleSessionName"),
        (
            "RoleSessionName",
            "has space",
            "InvalidParameter.RoleSessionName",
        ),
        ("DurationSeconds", "899", "InvalidParameter.DurationSeconds"),
        (
            "DurationSeconds",
            "3601",
            "InvalidParameter.DurationSeconds",
        ),
        ("DurationSeconds", "1h", "InvalidParameter.DurationSeconds"),
        ("RoleArn", "reader", "InvalidParameter.RoleArn"),
        ("Policy", "{}", "InvalidParameter.PolicyGrammar"),
        ("Policy", &"x".repeat(2049), "InvalidParameter.PolicySize"),
        ("RoleArn", "", "MissingParameter"),
        ("OIDCToken", "", "MissingParameter"),
        ("Timestamp", "", "MissingParameter"),
        (
            "Timestamp",
            "2020-01-01T00:00:00Z",
            "InvalidTimeStamp.Expired",
        ),
        ("Format", "XML", "InvalidParameter"),
        ("Surprise", "1", "InvalidParameter"),
    ] {
        let reply = with_parameter(&simulator, name, value).await;
        assert_eq!(reply.refusal(), (400, code), "{name}={value}");
    }
    assert_eq!(
        with_parameter(&simulator, "DurationSeconds", "900")
            .await
            .status,
        200
    );
}

/// Serves an issuer's documents over https; returns the issuer's URL and the CA.
async fn serve(
    documents: impl Fn(&str, &str) -> Option<Value> + Send + Sync + 'static,
) -> (String, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let ca = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let base = url.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match documents(&base, path) {
                Some(body) => ("200 OK", body.to_string()),
                None => ("404 Not Found", String::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, ca_pem)
}

fn provider(issuer: &str) -> OidcProvider {
    serde_json::from_value(json!({ "name": "cluster", "issuer": issuer })).unwrap()
}

async fn simulator_trusting(ca_pem: String) -> Simulator {
    Simulator::start(
        seed(),
        Options {
            oidc_ca_pem: Some(ca_pem),
            ..Options::default()
        },
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn keys_are_found_by_https_discovery() {
    let (url, ca) = serve(|base, path| match path {
        "/.well-known/openid-configuration" => Some(Issuer::throw_away(base).unwrap().discovery()),
        "/keys" => Some(json!(issuer().jwks())),
        _ => None,
    })
    .await;
    let simulator = simulator_trusting(ca).await;
    assert_eq!(
        simulator.put_oidc_provider(provider(&url)).unwrap(),
        PROVIDER
    );
    let token = Issuer::throw_away(&url).unwrap().token(SUBJECT, AUDIENCE);
    assert_eq!(assume(&simulator, &exchange(&token)).await.status, 200);
    let forged = Issuer::from_pem(&url, OTHER_KEY)
        .unwrap()
        .token(SUBJECT, AUDIENCE);
    let reply = assume(&simulator, &exchange(&forged)).await;
    assert_eq!(
        reply.refusal(),
        (400, "AuthenticationFail.OIDCToken.Invalid")
    );
}

#[tokio::test]
async fn a_key_that_the_issuer_adds_is_found() {
    let rotated = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = rotated.clone();
    let (url, ca) = serve(move |base, path| match path {
        "/.well-known/openid-configuration" => Some(Issuer::throw_away(base).unwrap().discovery()),
        "/keys" if flag.load(std::sync::atomic::Ordering::SeqCst) => {
            Some(json!(Issuer::from_pem(base, OTHER_KEY).unwrap().jwks()))
        }
        "/keys" => Some(json!(issuer().jwks())),
        _ => None,
    })
    .await;
    let simulator = simulator_trusting(ca).await;
    simulator.put_oidc_provider(provider(&url)).unwrap();
    let old = Issuer::throw_away(&url).unwrap().token(SUBJECT, AUDIENCE);
    let new = Issuer::from_pem(&url, OTHER_KEY)
        .unwrap()
        .token(SUBJECT, AUDIENCE);
    assert_eq!(assume(&simulator, &exchange(&old)).await.status, 200);
    assert_eq!(assume(&simulator, &exchange(&new)).await.status, 400);
    rotated.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(assume(&simulator, &exchange(&new)).await.status, 200);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_or_believed_is_broken() {
    let broken = (
        400,
        "AuthenticationFail.OIDCToken.IssuerConfigurationBroken",
    );
    let token = |url: &str| Issuer::throw_away(url).unwrap().token(SUBJECT, AUDIENCE);
    // It says to be somebody else.
    let (url, ca) = serve(|_, _| Some(issuer().discovery())).await;
    let simulator = simulator_trusting(ca).await;
    simulator.put_oidc_provider(provider(&url)).unwrap();
    assert_eq!(
        assume(&simulator, &exchange(&token(&url))).await.refusal(),
        broken
    );
    // It is certified by another CA than the one given.
    let (other, _) = serve(|base, path| match path {
        "/keys" => Some(json!(issuer().jwks())),
        _ => Some(Issuer::throw_away(base).unwrap().discovery()),
    })
    .await;
    simulator.put_oidc_provider(provider(&other)).unwrap();
    assert_eq!(
        assume(&simulator, &exchange(&token(&other)))
            .await
            .refusal(),
        broken
    );
    // It is not there.
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = format!("https://{gone}");
    simulator.put_oidc_provider(provider(&gone)).unwrap();
    let reply = tokio::time::timeout(
        Duration::from_secs(8),
        assume(&simulator, &exchange(&token(&gone))),
    )
    .await;
    assert_eq!(reply.unwrap().refusal(), broken);
}
