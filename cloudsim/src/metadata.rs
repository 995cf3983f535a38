//! The metadata service of an ECS instance, versions 1 and 2, and a credentials URI.

use std::collections::HashMap;

use axum::http::Method;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::account::{Kind, Principal};
use crate::answer::{Answer, send};
use crate::cloud::Cloud;
use crate::connection::Peer;
use crate::fault::Effect;
use crate::gateway::{UNKNOWN, outcome, refusal, strike};
use crate::ledger::Call;
use crate::random;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::seed::{CredentialsState, CredentialsUri, INSTANCE_SESSION, Metadata, Seed};
use crate::service::oos::date;

/// The path of the credentials URI.
pub(crate) const URI_PATH: &str = "/credentials-uri";

const TOKEN: &str = "/latest/api/token";
const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/";
const REGION: &str = "/latest/meta-data/region-id";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const TTL_HEADER: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const MAX_TTL: i64 = 21_600;

/// What an instance asks its metadata service for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A token of version 2.
    Token,
    /// The name of the role.
    Role,
    /// The credentials of a role.
    Credentials(String),
    /// The region.
    Region,
    /// The credentials of the credentials URI.
    Uri,
    /// Something that is not there.
    Other,
}

/// The service's settings, the tokens it gave, and the credentials it hands out for now.
#[derive(Debug, Default)]
pub(crate) struct MetadataState {
    pub(crate) metadata: Option<Metadata>,
    pub(crate) uri: Option<CredentialsUri>,
    tokens: HashMap<String, Timestamp>,
    handed: HashMap<String, Handed>,
}

/// Credentials that are handed out until half their life is over.
#[derive(Debug, Clone)]
struct Handed {
    key_id: String,
    issued: Timestamp,
    expires: Timestamp,
}

/// Answers a request to the metadata service, or to the credentials URI.
pub(crate) async fn answer(
    cloud: &Cloud,
    asked: Asked,
    request: &Request,
    peer: &Peer,
) -> Response {
    let mut call = call(cloud, &asked, request);
    let (delay, fault) = strike(cloud, &call);
    let effect = fault.as_ref().map(|fault| &fault.effect);
    let result = match effect.and_then(refusal) {
        Some(refusal) => Err(refusal),
        None => text(cloud, &asked, request),
    };
    let result = match effect {
        Some(Effect::EmptyValue { .. } | Effect::MissingEntry) => result.map(|_| String::new()),
        _ => result,
    };
    call.outcome = outcome(
        effect,
        &result.as_ref().map(|_| Value::Null).map_err(Clone::clone),
    );
    call.fault = effect
        .map(Effect::kind)
        .or(delay.map(|_| "delay"))
        .map(str::to_owned);
    tracing::debug!(
        action = call.action,
        outcome = call.outcome,
        "metadata call"
    );
    cloud.ledger.write().record(call);
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    let answer = match result {
        Ok(body) => Answer::text(200, body),
        Err(refusal) => Answer::text(refusal.status, refusal.message),
    };
    send(answer, effect, peer).await
}

fn call(cloud: &Cloud, asked: &Asked, request: &Request) -> Call {
    let role = role_of(cloud, asked);
    Call {
        at: cloud.now(),
        service: "metadata".to_owned(),
        action: asked.name().to_owned(),
        principal: role.unwrap_or_else(|| UNKNOWN.to_owned()),
        session: None,
        outcome: String::new(),
        fault: None,
        names: Vec::new(),
        user_agent: request
            .header("user-agent")
            .map(|agent| agent.chars().take(200).collect()),
        source: request.source.to_string(),
        host: request.host().to_owned(),
    }
}

/// The ARN of the role whose credentials are handed out.
fn role_of(cloud: &Cloud, asked: &Asked) -> Option<String> {
    let state = cloud.host.read();
    let role = match asked {
        Asked::Uri => state.uri.as_ref().map(|uri| uri.role.clone()),
        _ => state
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.role.clone()),
    };
    drop(state);
    cloud.role_arn(None, &role?).ok()
}

fn text(cloud: &Cloud, asked: &Asked, request: &Request) -> Result<String, Refusal> {
    if *asked == Asked::Uri {
        let state = cloud.host.read().uri.as_ref().map(|uri| uri.state);
        return credentials(cloud, asked, state.ok_or_else(absent)?);
    }
    let metadata = cloud.host.read().metadata.clone().ok_or_else(absent)?;
    let now = cloud.now();
    if *asked == Asked::Token {
        return token(cloud, &metadata, request, now);
    }
    if request.method != Method::GET {
        return Err(Refusal::new(405, "405", "Method Not Allowed"));
    }
    match request.header(TOKEN_HEADER).filter(|_| metadata.v2) {
        None if metadata.v1 => {}
        None => return Err(Refusal::new(403, "403", "Forbidden")),
        Some(token) => {
            let expires = cloud.host.read().tokens.get(token).copied();
            if expires.is_none_or(|at| at <= now) {
                return Err(Refusal::new(401, "401", "Unauthorized"));
            }
        }
    }
    let arn = role_of(cloud, asked);
    let name = arn.as_deref().and_then(|arn| arn.rsplit('/').next());
    match asked {
        Asked::Region => Ok(cloud.region.clone()),
        Asked::Role => name.map(str::to_owned).ok_or_else(absent),
        Asked::Credentials(role) if name == Some(role) => credentials(cloud, asked, metadata.state),
        _ => Err(absent()),
    }
}

fn token(
    cloud: &Cloud,
    metadata: &Metadata,
    request: &Request,
    now: Timestamp,
) -> Result<String, Refusal> {
    if !metadata.v2 {
        return Err(absent());
    }
    if request.method != Method::PUT {
        return Err(Refusal::new(405, "405", "Method Not Allowed"));
    }
    let ttl = request.header(TTL_HEADER).and_then(|ttl| ttl.parse().ok());
    let ttl = ttl.filter(|ttl| (1..=MAX_TTL).contains(ttl));
    let ttl = ttl.ok_or_else(|| Refusal::new(400, "400", "Bad Request"))?;
    let token = random::alphanumeric(56);
    let mut state = cloud.host.write();
    state.tokens.retain(|_, expires| now < *expires);
    let expires = now + SignedDuration::from_secs(ttl);
    state.tokens.insert(token.clone(), expires);
    Ok(token)
}

/// The credentials as JSON: the same ones until half their life is over or they are revoked.
fn credentials(cloud: &Cloud, asked: &Asked, state: CredentialsState) -> Result<String, Refusal> {
    let now = cloud.now();
    let arn = role_of(cloud, asked).ok_or_else(absent)?;
    let registry = cloud.registry.read();
    let known = registry.role(&arn).is_some();
    let trust = registry.trust(&arn);
    // A role with a trust policy must trust the instances' service, or it could not be an instance's.
    let service = "ecs.aliyuncs.com";
    let trusted = *asked == Asked::Uri || trust.is_none_or(|trust| trust.admits_service(service));
    drop(registry);
    if !known || !trusted || state == CredentialsState::Failed {
        let failed = json!({ "Code": "Failed", "LastUpdated": date(now) });
        return Ok(failed.to_string());
    }
    let handed = handed(cloud, &arn, state == CredentialsState::Expired, now);
    let registry = cloud.registry.read();
    let key = registry.key(&handed.key_id).ok_or_else(absent)?;
    let answer = json!({
        "AccessKeyId": handed.key_id,
        "AccessKeySecret": key.secret,
        "SecurityToken": key.temporary.as_ref().map(|temporary| &temporary.token),
        "Expiration": date(handed.expires),
        "LastUpdated": date(handed.issued),
        "Code": "Success",
    });
    Ok(answer.to_string())
}

fn handed(cloud: &Cloud, arn: &str, stale: bool, now: Timestamp) -> Handed {
    let mut host = cloud.host.write();
    let mut registry = cloud.registry.write();
    let young = |handed: &&Handed| {
        let revoked = registry.key(&handed.key_id).is_none_or(|key| key.revoked);
        let half = handed.expires.duration_since(handed.issued) / 2;
        !revoked && !stale && now < handed.issued + half
    };
    if let Some(handed) = host.handed.get(arn).filter(young) {
        return handed.clone();
    }
    let lifetime = cloud.credential_lifetime().unwrap_or(INSTANCE_SESSION);
    // Stale credentials expired a minute ago, so that they are still known as expired.
    let age = lifetime + SignedDuration::from_mins(1);
    let issued = if stale { now - age } else { now };
    let parts = arn
        .strip_prefix("acs:ram::")
        .and_then(|arn| arn.split_once(":role/"));
    let (account, role) = parts.unwrap_or_default();
    let principal = Principal {
        account: account.to_owned(),
        kind: Kind::Session {
            role: role.to_owned(),
            session: "i-cloudsim".to_owned(),
        },
        limits: None,
    };
    let expires = issued + lifetime;
    let (key_id, _) = registry.issue(principal, now, expires);
    let handed = Handed {
        key_id,
        issued,
        expires,
    };
    host.handed.insert(arn.to_owned(), handed.clone());
    handed
}

fn absent() -> Refusal {
    Refusal::new(404, "404", "Not Found")
}

// === impl Asked ===

impl Asked {
    /// What a request asks for, if it is to the metadata service or to the credentials URI at all.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let path = request.path.as_str();
        let role = path.strip_prefix(CREDENTIALS);
        match (path, role) {
            _ if request.instance => None,
            (TOKEN, _) => Some(Self::Token),
            (REGION, _) => Some(Self::Region),
            (URI_PATH, _) => Some(Self::Uri),
            (_, Some("")) => Some(Self::Role),
            (_, Some(role)) => Some(Self::Credentials(role.to_owned())),
            _ => path.starts_with("/latest/").then_some(Self::Other),
        }
    }

    /// The name by which faults and the ledger know it.
    fn name(&self) -> &'static str {
        match self {
            Self::Token => "GetToken",
            Self::Role => "GetRoleName",
            Self::Credentials(_) => "GetCredentials",
            Self::Region => "GetRegion",
            Self::Uri => "GetCredentialsUri",
            Self::Other => UNKNOWN,
        }
    }
}

// === impl MetadataState ===

impl MetadataState {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self {
            metadata: seed.metadata.clone(),
            uri: seed.credentials_uri.clone(),
            ..Self::default()
        }
    }
}
