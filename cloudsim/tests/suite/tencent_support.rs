//! A simulator with a small Tencent Cloud in it, and a client that signs with TC3-HMAC-SHA256.

use std::fmt::Write as _;

use cloudsim::{Options, Simulator};
use jiff::Timestamp;
use reqwest::{Response, header::HeaderMap};
use ring::{digest, hmac};
use serde_json::{Value, json};

use crate::support::{ISSUER, SUBJECT, issuer};

pub const UIN: &str = "100000000001";
pub const PROVIDER: &str = "cls-demo0001";
pub const ROLE: &str = "qcs::cam::uin/100000000001:roleName/reader";
pub const AUDIENCE: &str = "sts.cloud.tencent.com";
pub const SSM: &str = "2019-09-23";
pub const STS: &str = "2018-08-13";

/// The seed's keys: id and secret of a user, of one who may do nothing, of the account itself.
pub const USER: (&str, &str) = ("AKIDuser", "canary-user-secret");
pub const NOBODY: (&str, &str) = ("AKIDnobody", "canary-nobody-secret");
pub const ROOT: (&str, &str) = ("AKIDroot", "canary-root-secret");

pub fn seed() -> Value {
    let rules = json!([
        { "actions": ["ssm:*"], "resources": ["prod-*"] },
        { "actions": ["ssm:ListSecrets", "ssm:CreateSecret", "ssm:GetServiceStatus"], "resources": ["*"] },
        { "actions": ["sts:AssumeRole"], "resources": ["role/*"] },
    ]);
    json!({
        "tencent": {
            "accounts": [{
                "uin": UIN,
                "access_keys": [{ "id": ROOT.0, "secret": ROOT.1 }],
                "users": [
                    { "uin": "100000000011", "access_keys": [{ "id": USER.0, "secret": USER.1 }], "rules": rules },
                    { "uin": "100000000012", "access_keys": [{ "id": NOBODY.0, "secret": NOBODY.1 }] },
                ],
                "oidc_providers": [{ "name": PROVIDER, "issuer": ISSUER, "jwks": issuer().jwks() }],
                "roles": [{
                    "name": "reader",
                    "id": "4611686018427397919",
                    "trust": [{ "provider": PROVIDER, "subjects": [SUBJECT] }],
                    "rules": [{ "actions": ["ssm:GetSecretValue", "sts:AssumeRole"], "resources": ["prod-*", "role/*"] }],
                }],
                "secrets": [
                    {
                        "name": "prod-db",
                        "tags": { "env": "prod" },
                        "versions": [
                            { "id": "v1", "text": "canary-db-1" },
                            { "id": "v2", "text": "canary-db-2" },
                        ],
                    },
                    { "name": "bank-pin", "value": "canary-pin" },
                ],
            }],
        },
    })
}

pub async fn tencent() -> Simulator {
    let simulator = Simulator::start(seed().to_string(), Options::default());
    simulator.await.unwrap()
}

/// An answer, read whole: what is in its envelope.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A client of Tencent Cloud, with everything that a test may spoil.
#[derive(Debug, Clone)]
pub struct Tencent {
    pub url: String,
    pub host: Option<String>,
    pub key_id: String,
    pub secret: String,
    pub token: Option<String>,
    pub region: String,
    pub service: &'static str,
    pub version: &'static str,
    pub content_type: &'static str,
    pub language: Option<&'static str>,
    pub signs_action: bool,
    /// How many seconds its clock is ahead.
    pub ahead: i64,
    /// Sent instead of what was signed.
    pub sent_body: Option<String>,
    pub http: reqwest::Client,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        Self {
            status,
            headers,
            body: body["Response"].take(),
        }
    }

    /// The code of a refusal; empty if it is none.
    pub fn code(&self) -> &str {
        self.body["Error"]["Code"].as_str().unwrap_or_default()
    }
}

impl Tencent {
    pub fn new(simulator: &Simulator, key: (&str, &str)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            url: simulator.url(),
            host: None,
            key_id: key.0.to_owned(),
            secret: key.1.to_owned(),
            token: None,
            region: "ap-guangzhou".to_owned(),
            service: "ssm",
            version: SSM,
            content_type: "application/json",
            language: Some("en-US"),
            signs_action: false,
            ahead: 0,
            sent_body: None,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// A client with the credentials of an answer of STS.
    pub fn session(simulator: &Simulator, credentials: &Value) -> Self {
        let text = |name: &str| credentials[name].as_str().unwrap();
        let mut client = Self::new(simulator, (text("TmpSecretId"), text("TmpSecretKey")));
        client.token = Some(text("Token").to_owned());
        client
    }

    /// The same client for STS.
    pub fn sts(&self) -> Self {
        Self {
            service: "sts",
            version: STS,
            ..self.clone()
        }
    }

    pub async fn call(&self, action: &str, body: Value) -> Answer {
        let sha =
            |text: &str| hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let mac = |key: &[u8], text: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
        };
        let host = self.url.split("://").nth(1).unwrap();
        let host = self.host.as_deref().unwrap_or(host);
        let body = body.to_string();
        let now = Timestamp::now().as_second() + self.ahead;
        let date = Timestamp::from_second(now)
            .unwrap()
            .strftime("%Y-%m-%d")
            .to_string();
        let mut lines = format!("content-type:{}\nhost:{host}\n", self.content_type);
        let mut names = "content-type;host".to_owned();
        if self.signs_action {
            writeln!(lines, "x-tc-action:{}", action.to_lowercase()).unwrap();
            names += ";x-tc-action";
        }
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", sha(&body));
        let scope = format!("{date}/{}/tc3_request", self.service);
        let text = format!("TC3-HMAC-SHA256\n{now}\n{scope}\n{}", sha(&canonical));
        let key = mac(format!("TC3{}", self.secret).as_bytes(), &date);
        let key = mac(&mac(&key, self.service), "tc3_request");
        let signature = hex::encode(mac(&key, &text));
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.key_id
        );
        let body = self.sent_body.clone().unwrap_or(body);
        self.send(action, host, &authorization, now, body).await
    }

    async fn send(
        &self,
        action: &str,
        host: &str,
        authorization: &str,
        now: i64,
        body: String,
    ) -> Answer {
        let mut request = self
            .http
            .post(&self.url)
            .header("host", host)
            .header("content-type", self.content_type)
            .header("authorization", authorization)
            .header("x-tc-action", action)
            .header("x-tc-version", self.version)
            .header("x-tc-region", &self.region)
            .header("x-tc-timestamp", now.to_string())
            .header("user-agent", "suite/1")
            .body(body);
        for (name, value) in [
            ("x-tc-token", self.token.as_deref()),
            ("x-tc-language", self.language),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// `GetSecretValue`: what is in the envelope.
    pub async fn value(&self, name: &str, version: &str) -> Value {
        let body = json!({ "SecretName": name, "VersionId": version });
        self.call("GetSecretValue", body).await.body
    }

    /// `AssumeRoleWithWebIdentity` with this body, unsigned.
    pub async fn exchange(&self, authorization: &str, body: Value) -> Answer {
        let host = self.url.split("://").nth(1).unwrap();
        let now = Timestamp::now().as_second() + self.ahead;
        let body = body.to_string();
        let action = "AssumeRoleWithWebIdentity";
        self.sts()
            .send(action, host, authorization, now, body)
            .await
    }
}

/// The body of a token exchange that succeeds with the token.
pub fn web_identity(token: &str) -> Value {
    json!({
        "ProviderId": PROVIDER,
        "WebIdentityToken": token,
        "RoleArn": ROLE,
        "RoleSessionName": "session-1",
    })
}

/// Credentials of a session of the role.
pub async fn session(simulator: &Simulator) -> Tencent {
    let client = Tencent::new(simulator, USER);
    let token = issuer().token(SUBJECT, AUDIENCE);
    let answer = client.exchange("SKIP", web_identity(&token)).await;
    assert_eq!(answer.code(), "", "{:?}", answer.body["Error"]);
    Tencent::session(simulator, &answer.body["Credentials"])
}
