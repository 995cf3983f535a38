//! A simulator with a small cloud in it, and a client that signs.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use cloudsim::{Issuer, Options, Simulator};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use ring::{digest, hmac};
use serde_json::{Value, json};

pub const ACCOUNT: &str = "1000000000000001";
pub const ISSUER: &str = "https://issuer.example.com";
pub const SUBJECT: &str = "system:serviceaccount:shop:reader";
pub const AUDIENCE: &str = "sts.aliyuncs.com";
pub const PROVIDER: &str = "acs:ram::1000000000000001:oidc-provider/cluster";
pub const ROLE: &str = "acs:ram::1000000000000001:role/reader";
pub const OOS: &str = "2019-06-01";
pub const STS: &str = "2015-04-01";
pub const KMS: &str = "2016-01-20";

/// The seed's keys: id and secret of the RAM user, of one who may do nothing, of the account itself.
pub const USER: (&str, &str) = ("LTAIuser", "canary-user-secret");
pub const NOBODY: (&str, &str) = ("LTAInobody", "canary-nobody-secret");
pub const ROOT: (&str, &str) = ("LTAIroot", "canary-root-secret");

pub fn issuer() -> Issuer {
    Issuer::throw_away(ISSUER).unwrap()
}

pub fn seed() -> String {
    let rules = json!([{
        "actions": ["oos:GetSecretParameter", "oos:GetSecretParameters", "kms:GetSecretValue"],
        "resources": ["/shop/*"],
    }]);
    let seed = json!({
        "accounts": [{
            "id": ACCOUNT,
            "access_keys": [{ "id": ROOT.0, "secret": ROOT.1 }],
            "users": [
                { "name": "user", "access_keys": [{ "id": USER.0, "secret": USER.1 }], "rules": rules },
                { "name": "nobody", "access_keys": [{ "id": NOBODY.0, "secret": NOBODY.1 }] },
            ],
            "oidc_providers": [{ "name": "cluster", "issuer": ISSUER, "jwks": issuer().jwks() }],
            "roles": [{
                "name": "reader",
                "trust": [{ "provider": "cluster", "subjects": [SUBJECT] }],
                "rules": rules,
            }],
            "parameters": [
                { "name": "/shop/a", "versions": ["canary-a1", "canary-a2"] },
                { "name": "/shop/b", "versions": ["canary-b1"] },
                { "name": "/bank/pin", "versions": ["canary-pin"] },
            ],
        }],
    });
    seed.to_string()
}

pub async fn simulator() -> Simulator {
    Simulator::start(seed(), Options::default()).await.unwrap()
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

/// A client of the clouds.
#[derive(Debug, Clone)]
pub struct Client {
    pub url: String,
    pub key_id: String,
    pub secret: String,
    pub token: Option<String>,
    pub http: reqwest::Client,
}

/// A request before it is signed, with everything that a test may spoil.
#[derive(Debug, Clone)]
pub struct Draft {
    pub method: Method,
    pub version: &'static str,
    pub action: &'static str,
    pub query: Vec<(String, String)>,
    pub date: String,
    pub nonce: String,
    pub body: String,
    /// Sent instead of what was signed.
    pub sent_body: Option<String>,
    pub unsigned: &'static [&'static str],
}

impl Reply {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        Self {
            status,
            headers,
            body,
        }
    }

    /// The status and the code, for short comparisons.
    pub fn refusal(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.body["Code"].as_str().unwrap_or("no code"),
        )
    }
}

impl Client {
    pub fn new(simulator: &Simulator, key: (&str, &str)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            url: simulator.url(),
            key_id: key.0.to_owned(),
            secret: key.1.to_owned(),
            token: None,
            http,
        }
    }

    /// A client with the credentials of an `AssumeRoleWithOIDC` answer.
    pub fn session(simulator: &Simulator, reply: &Reply) -> Self {
        let text = |name: &str| reply.body["Credentials"][name].as_str().unwrap();
        let mut client = Self::new(simulator, (text("AccessKeyId"), text("AccessKeySecret")));
        client.token = Some(text("SecurityToken").to_owned());
        client
    }

    pub fn sign(&self, draft: &Draft) -> RequestBuilder {
        let hex = |bytes: &[u8]| hex::encode(bytes);
        let sha = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let host = self.url.split("://").nth(1).unwrap().to_owned();
        let mut headers = vec![
            ("host", host),
            ("x-acs-action", draft.action.to_owned()),
            ("x-acs-content-sha256", sha(&draft.body)),
            ("x-acs-date", draft.date.clone()),
        ];
        headers.extend(
            self.token
                .clone()
                .map(|token| ("x-acs-security-token", token)),
        );
        headers.push(("x-acs-signature-nonce", draft.nonce.clone()));
        headers.push(("x-acs-version", draft.version.to_owned()));

        let mut query = draft.query.clone();
        query.sort();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let query = query.join("&");
        let signed = headers
            .iter()
            .filter(|(name, _)| !draft.unsigned.contains(name));
        let names: Vec<_> = signed.clone().map(|(name, _)| *name).collect();
        let mut lines = String::new();
        for (name, value) in signed {
            writeln!(lines, "{name}:{value}").unwrap();
        }
        let canonical = format!(
            "{}\n/\n{query}\n{lines}\n{}\n{}",
            draft.method,
            names.join(";"),
            sha(&draft.body)
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hmac::sign(
            &key,
            format!("ACS3-HMAC-SHA256\n{}", sha(&canonical)).as_bytes(),
        );
        let authorization = format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature={}",
            self.key_id,
            names.join(";"),
            hex(signature.as_ref())
        );
        let mut request = self
            .http
            .request(draft.method.clone(), format!("{}/?{query}", self.url))
            .header("authorization", authorization)
            .header("user-agent", "suite/1")
            .body(
                draft
                    .sent_body
                    .clone()
                    .unwrap_or_else(|| draft.body.clone()),
            );
        for (name, value) in headers.into_iter().skip(1) {
            request = request.header(name, value);
        }
        request
    }

    pub async fn send(&self, draft: &Draft) -> Reply {
        Reply::of(self.sign(draft).send().await.unwrap()).await
    }

    /// `GetSecretParameter` with its value.
    pub async fn get(&self, name: &str) -> Reply {
        self.send(&Draft::get(name)).await
    }

    /// `GetSecretParameters` with their values.
    pub async fn get_all(&self, names: &[&str]) -> Reply {
        self.send(&Draft::get_all(names)).await
    }

    pub async fn identity(&self) -> Reply {
        self.send(&Draft::new(STS, "GetCallerIdentity")).await
    }
}

impl Draft {
    pub fn new(version: &'static str, action: &'static str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self {
            method: Method::POST,
            version,
            action,
            query: Vec::new(),
            date: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            nonce: format!("nonce-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            body: String::new(),
            sent_body: None,
            unsigned: &[],
        }
    }

    pub fn get(name: &str) -> Self {
        Self::new(OOS, "GetSecretParameter")
            .with("Name", name)
            .with("WithDecryption", "true")
    }

    pub fn get_all(names: &[&str]) -> Self {
        let names = json!(names).to_string();
        Self::new(OOS, "GetSecretParameters")
            .with("Names", &names)
            .with("WithDecryption", "true")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The parameters of a token exchange that succeeds with the token.
pub fn exchange(token: &str) -> Vec<(&'static str, String)> {
    vec![
        ("Action", "AssumeRoleWithOIDC".to_owned()),
        ("Version", STS.to_owned()),
        ("Format", "JSON".to_owned()),
        (
            "Timestamp",
            Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        ),
        ("RoleArn", ROLE.to_owned()),
        ("OIDCProviderArn", PROVIDER.to_owned()),
        ("OIDCToken", token.to_owned()),
        ("RoleSessionName", "session-1".to_owned()),
    ]
}

/// Sends a token exchange as a form.
pub async fn assume(simulator: &Simulator, parameters: &[(&'static str, String)]) -> Reply {
    let client = Client::new(simulator, USER);
    Reply::of(
        client
            .http
            .post(simulator.url())
            .form(parameters)
            .send()
            .await
            .unwrap(),
    )
    .await
}

/// Credentials of a session of the role.
pub async fn session(simulator: &Simulator) -> Client {
    let reply = assume(simulator, &exchange(&issuer().token(SUBJECT, AUDIENCE))).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body["Code"]);
    Client::session(simulator, &reply)
}

fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
