//! Tokens on their way to STS: a raw loopback server sees what is sent.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::super::{AccessKey, Alibaba, AssumedRole, Profile, TokenService};
use super::*;
use crate::clock::TokioClock;
use crate::digest::DigestKey;
use crate::http::{HttpClient, HttpOptions};
use crate::provider::alibaba::Network;
use crate::provider::alibaba::endpoint::sts;
use crate::provider::endpoint::EndpointPolicy;

type Seen = Arc<Mutex<Vec<(String, String)>>>;

const ROLE: &str = "acs:ram::2:role/readers";

/// Files in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<PathBuf, Vec<u8>>>);

impl Memory {
    fn put(&self, path: &str, text: &str) {
        self.0.lock().unwrap().insert(path.into(), text.into());
    }
}

impl Files for Memory {
    fn read<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Zeroizing<Vec<u8>>>> {
        let found = self.0.lock().unwrap().get(path).cloned();
        let found = found.ok_or(io::Error::from(ErrorKind::NotFound));
        async move { found.map(Zeroizing::new) }.boxed()
    }
}

/// Mints tokens that say whose they are.
struct Speaking;

impl TokenMinter for Speaking {
    fn mint<'a>(
        &'a self,
        account: &'a ServiceAccount,
        audience: &'a Audience,
    ) -> BoxFuture<'a, Result<SecretString, CallError>> {
        let ServiceAccount {
            namespace,
            name,
            uid,
        } = account;
        let token = format!("{namespace}.{name}.{uid}.{}", audience.as_str());
        async move { Ok(SecretString::from(token)) }.boxed()
    }
}

/// Answers with credentials; of a signed call, shows the action and the key in place of a body.
async fn answer(
    State(seen): State<Seen>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    mut body: String,
) -> String {
    let header = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    if let Some(action) = header("x-acs-action") {
        let key = header("x-acs-accesskey-id").unwrap_or_default();
        let token = header("x-acs-security-token").unwrap_or_default();
        body = format!("{action} {key} {token}");
    }
    seen.lock().unwrap().push((query.unwrap_or_default(), body));
    r#"{"RequestId":"r","Credentials":{"AccessKeyId":"STS.a","AccessKeySecret":"canary-s",
        "SecurityToken":"canary-t","Expiration":"1970-01-01T01:00:00Z"}}"#
        .to_owned()
}

struct Fixture {
    exchange: Exchange,
    files: Arc<Memory>,
    seen: Seen,
    sts: TokenService,
}

impl Fixture {
    async fn new() -> Self {
        let seen = Seen::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, app).await });
        let policy = EndpointPolicy::new([], true).unwrap();
        let http = HttpClient::new(HttpOptions {
            allow_insecure: true,
            timeout: Duration::from_secs(5),
        });
        let edge = Edge {
            http: http.unwrap(),
            clock: Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH)),
            random: Arc::new(ring::rand::SystemRandom::new()),
        };
        let files = Arc::new(Memory::default());
        Self {
            exchange: Exchange::new(edge, Arc::new(Speaking), files.clone()),
            files,
            seen,
            sts: TokenService::new(
                &Alibaba,
                sts(&policy, Some(&url), "", Network::Public).unwrap(),
            ),
        }
    }

    fn source(&self, subject: Subject) -> Source {
        Source::WebIdentity(WebIdentity {
            role_arn: "acs:ram::1:role/shop".to_owned(),
            provider: "acs:ram::1:oidc-provider/c1".to_owned(),
            subject,
            sts: self.sts.clone(),
            session_name: "c.shop.db".to_owned(),
            duration_seconds: Some(900),
            policy: None,
        })
    }

    async fn exchange(&self, subject: Subject) -> Result<Credentials, CallError> {
        let identity = Identity::new(self.source(subject), &DigestKey::new(&[1; 32]));
        self.exchange.exchange(&identity, None).await
    }

    fn last(&self) -> (String, String) {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }
}

fn account() -> Subject {
    Subject::ServiceAccount {
        account: ServiceAccount {
            namespace: "shop".to_owned(),
            name: "db".to_owned(),
            uid: "u1".to_owned(),
        },
        audience: Audience::new("sts.aliyuncs.com").unwrap(),
    }
}

fn file() -> Subject {
    Subject::TokenFile {
        path: "/var/run/token".into(),
    }
}

#[tokio::test]
async fn a_minted_token_travels_in_the_body_only() {
    let fixture = Fixture::new().await;
    let credentials = fixture.exchange(account()).await.unwrap();
    assert_eq!(credentials.access_key_id, "STS.a");
    assert_eq!(credentials.access_key_secret.expose_secret(), "canary-s");
    let (query, body) = fixture.last();
    assert!(query.starts_with("Action=AssumeRoleWithOIDC&Format=JSON&SignatureNonce="));
    assert!(query.ends_with("&Timestamp=1970-01-01T00%3A00%3A00Z&Version=2015-04-01"));
    assert_eq!(
        body,
        "DurationSeconds=900&OIDCProviderArn=acs%3Aram%3A%3A1%3Aoidc-provider%2Fc1\
         &OIDCToken=shop.db.u1.sts.aliyuncs.com&RoleArn=acs%3Aram%3A%3A1%3Arole%2Fshop\
         &RoleSessionName=c.shop.db"
    );
}

#[tokio::test]
async fn a_token_file_is_trimmed_and_read_at_each_exchange() {
    let fixture = Fixture::new().await;
    for token in ["one", "two"] {
        fixture.files.put("/var/run/token", &format!(" {token}\n"));
        fixture.exchange(file()).await.unwrap();
        let (_, body) = fixture.last();
        assert!(body.contains(&format!("OIDCToken={token}&")), "{body}");
    }
}

#[tokio::test]
async fn a_missing_or_empty_token_file_is_named_and_nothing_else_is_tried() {
    let fixture = Fixture::new().await;
    let error = fixture.exchange(file()).await.unwrap_err();
    let text = "TokenFile: file /var/run/token does not exist";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.class, Class::Unauthenticated);
    fixture.files.put("/var/run/token", " \n");
    let error = fixture.exchange(file()).await.unwrap_err();
    assert_eq!(error.to_string(), "TokenFile: file /var/run/token is empty");
    assert!(fixture.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_access_key_is_not_exchanged() {
    let fixture = Fixture::new().await;
    let source = Source::AccessKey(AccessKey {
        id: "id".to_owned(),
        secret: SecretString::from("canary-s"),
        token: None,
    });
    let identity = Identity::new(source, &DigestKey::new(&[1; 32]));
    let credentials = fixture.exchange.exchange(&identity, None).await.unwrap();
    assert_eq!(credentials.expires_at, None);
    assert!(fixture.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_role_is_entered_with_the_credentials_of_its_base() {
    let fixture = Fixture::new().await;
    let base = fixture.exchange(account()).await.unwrap();
    let key = DigestKey::new(&[1; 32]);
    let role = AssumedRole {
        base: Arc::new(Identity::new(fixture.source(account()), &key)),
        role_arn: ROLE.to_owned(),
        external_id: Some("ext:1".to_owned()),
        session_name: "c.shop.db".to_owned(),
        duration_seconds: Some(1800),
        policy: Some(r#"{"Version":"1"}"#.to_owned()),
        sts: fixture.sts.clone(),
    };
    let identity = Identity::new(Source::AssumedRole(role), &key);
    let exchanged = fixture.exchange.exchange(&identity, Some(&base)).await;
    assert_eq!(exchanged.unwrap().access_key_id, "STS.a");
    let (query, body) = fixture.last();
    assert_eq!(
        query,
        "DurationSeconds=1800&ExternalId=ext%3A1&Policy=%7B%22Version%22%3A%221%22%7D\
         &RoleArn=acs%3Aram%3A%3A2%3Arole%2Freaders&RoleSessionName=c.shop.db"
    );
    assert_eq!(body, "AssumeRole STS.a canary-t");
    let error = fixture
        .exchange
        .exchange(&identity, None)
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Invalid);
}

#[tokio::test]
async fn a_profile_is_read_at_each_exchange() {
    let fixture = Fixture::new().await;
    let profile = Profile {
        path: "/credentials".into(),
        name: "default".to_owned(),
        sts: fixture.sts.clone(),
        session_name: "c.ns.operator".to_owned(),
    };
    let identity = Identity::new(Source::Profile(profile), &DigestKey::new(&[1; 32]));
    let error = fixture
        .exchange
        .exchange(&identity, None)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "CredentialsFile: file /credentials does not exist"
    );
    let key = "access_key_id=id\naccess_key_secret=canary-s\n";
    let text = format!("[default]\ntype=access_key\n{key}");
    fixture.files.put("/credentials", &text);
    let credentials = fixture.exchange.exchange(&identity, None).await.unwrap();
    assert_eq!(credentials.access_key_id, "id");
    assert!(credentials.expires_at.is_some(), "it is read again");
    let text = format!("[default]\ntype=ram_role_arn\n{key}role_arn={ROLE}\n");
    fixture.files.put("/credentials", &text);
    let credentials = fixture.exchange.exchange(&identity, None).await.unwrap();
    assert_eq!(credentials.access_key_id, "STS.a");
    let (query, body) = fixture.last();
    assert!(query.ends_with("RoleSessionName=c.ns.operator"), "{query}");
    assert_eq!(body, "AssumeRole  ");
    fixture
        .files
        .put("/credentials", "[default]\ntype=ecs_ram_role\n");
    let error = fixture
        .exchange
        .exchange(&identity, None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "NoSurroundings");
}

#[test]
fn a_refused_role_is_named_with_what_to_correct() {
    let told = |class, code, way: &Way| {
        let role = "acs:ram::1:role/pay";
        let error = naming_role(&Alibaba, CallError::new(class, code), way, role);
        let text = error.to_string();
        let named = text.ends_with(role);
        (text, named)
    };
    let table = [
        (
            Class::Unauthenticated,
            "EntityNotExist.Role",
            &BY_TOKEN,
            "there is no role",
        ),
        (
            Class::Denied,
            "AuthenticationFail.NoPermission",
            &BY_TOKEN,
            "oidc:sub",
        ),
        (
            Class::Denied,
            "Forbidden.NoPermission",
            &BY_TOKEN,
            "OIDC provider",
        ),
        (Class::Denied, "NoPermission", &ENTERED, "externalId"),
        (
            Class::Invalid,
            "InvalidParameter.DurationSeconds",
            &ENTERED,
            "spec.auth",
        ),
    ];
    for (class, code, way, part) in table {
        let (text, named) = told(class, code, way);
        assert!(named && text.contains(part), "{text}");
    }
    assert_eq!(told(Class::Unavailable, "Http502", &BY_TOKEN).0, "Http502");
}
