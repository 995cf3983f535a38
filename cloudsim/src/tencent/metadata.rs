//! The metadata service of a CVM instance: the role that is bound to it, and credentials of that role.

use axum::http::Method;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::answer::{Answer, send};
use crate::cloud::Cloud;
use crate::connection::Peer;
use crate::fault::Effect;
use crate::gateway::{UNKNOWN, outcome, refusal, strike};
use crate::ledger::Call;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::seed::{CredentialsState, INSTANCE_SESSION};
use crate::tencent::cam::{Kind, Principal, split_role_arn};

const CREDENTIALS: &str = "/latest/meta-data/cam/security-credentials/";

/// The service that a role must trust to be bound to an instance.
const SERVICE: &str = "cvm.qcloud.com";

/// What an instance asks its metadata service for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The name of the role.
    Role,
    /// The credentials of a role.
    Credentials(String),
}

/// Credentials that are handed out until half their life is over.
#[derive(Debug, Clone)]
pub(crate) struct Handed {
    role: String,
    credentials: [String; 3],
    issued: Timestamp,
    ends: Timestamp,
}

/// Answers a request to the metadata service. It has no tokens: whoever reaches it, gets what it asks for.
pub(crate) async fn answer(
    cloud: &Cloud,
    asked: Asked,
    request: &Request,
    peer: &Peer,
) -> Response {
    let role = role(cloud);
    let mut call = Call {
        at: cloud.now(),
        service: "tencent-metadata".to_owned(),
        action: asked.name().to_owned(),
        principal: role.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        session: None,
        outcome: String::new(),
        fault: None,
        names: Vec::new(),
        user_agent: request
            .header("user-agent")
            .map(|agent| agent.chars().take(200).collect()),
        source: request.source.to_string(),
        host: request.host().to_owned(),
    };
    let (delay, fault) = strike(cloud, &call);
    let effect = fault.as_ref().map(|fault| &fault.effect);
    let result = match effect.and_then(refusal) {
        Some(refusal) => Err(refusal),
        None => text(cloud, role.as_deref(), &asked, request),
    };
    let result = match effect {
        Some(Effect::EmptyValue { .. } | Effect::MissingEntry) => result.map(|_| String::new()),
        _ => result,
    };
    let plain = result.as_ref().map(|_| Value::Null).map_err(Clone::clone);
    call.outcome = outcome(effect, &plain);
    call.fault = effect
        .map(Effect::kind)
        .or(delay.map(|_| "delay"))
        .map(str::to_owned);
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

/// The ARN of the role that is bound to the instance.
fn role(cloud: &Cloud) -> Option<String> {
    let metadata = cloud.tencent.metadata.read();
    let role = metadata.as_ref()?.role.clone()?;
    drop(metadata);
    cloud.tencent.role_arn(None, &role).ok()
}

fn text(
    cloud: &Cloud,
    role: Option<&str>,
    asked: &Asked,
    request: &Request,
) -> Result<String, Refusal> {
    let absent = || Refusal::new(404, "404", "Not Found");
    if request.method != Method::GET {
        return Err(Refusal::new(405, "405", "Method Not Allowed"));
    }
    let state = cloud
        .tencent
        .metadata
        .read()
        .as_ref()
        .map(|metadata| metadata.state);
    let (state, role) = (state.ok_or_else(absent)?, role.ok_or_else(absent)?);
    let (account, end) = split_role_arn(role).ok_or_else(absent)?;
    let name = end.rsplit('/').next().unwrap_or_default();
    match asked {
        Asked::Role => Ok(name.to_owned()),
        Asked::Credentials(other) if other != name => Err(absent()),
        Asked::Credentials(_) => {
            let registry = cloud.tencent.registry.read();
            let known = registry.role(role);
            // A role with a trust document must trust the instances' service, or it could not be an instance's.
            let trusted = known.is_some_and(|role| role.trust.admits_service(SERVICE));
            drop(registry);
            if !trusted || state == CredentialsState::Failed {
                return Ok(json!({ "Code": "Failed" }).to_string());
            }
            let handed = handed(cloud, account, name, state == CredentialsState::Expired);
            let [id, secret, token] = handed.credentials;
            let answer = json!({
                "TmpSecretId": id,
                "TmpSecretKey": secret,
                "Token": token,
                "ExpiredTime": handed.ends.as_second(),
                "Expiration": handed.ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "Code": "Success",
            });
            Ok(answer.to_string())
        }
    }
}

/// The same credentials until half their life is over or they are revoked.
fn handed(cloud: &Cloud, account: &str, role: &str, stale: bool) -> Handed {
    let now = cloud.tencent.now(cloud.now());
    let mut kept = cloud.tencent.handed.write();
    let mut registry = cloud.tencent.registry.write();
    let good = |handed: &&Handed| {
        let key = registry.key(&handed.credentials[0]);
        let half = handed.ends.duration_since(handed.issued) / 2;
        key.is_some_and(|key| !key.revoked)
            && handed.role == role
            && !stale
            && now < handed.issued + half
    };
    if let Some(handed) = kept.as_ref().filter(good) {
        return handed.clone();
    }
    let lifetime = cloud.credential_lifetime().unwrap_or(INSTANCE_SESSION);
    // Stale credentials expired a minute ago, so that they are still known as expired.
    let age = lifetime + SignedDuration::from_mins(1);
    let issued = if stale { now - age } else { now };
    let ends = issued + lifetime;
    let principal = Principal {
        account: account.to_owned(),
        kind: Kind::Session {
            role: role.to_owned(),
            session: "ins-cloudsim".to_owned(),
        },
        limits: None,
    };
    let handed = Handed {
        role: role.to_owned(),
        credentials: registry.issue(principal, now, ends),
        issued,
        ends,
    };
    *kept = Some(handed.clone());
    handed
}

// === impl Asked ===

impl Asked {
    /// What a request asks for, if it is to this metadata service at all.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        match request.path.strip_prefix(CREDENTIALS)? {
            "" => Some(Self::Role),
            role => Some(Self::Credentials(role.to_owned())),
        }
    }

    /// The name by which faults and the ledger know it.
    fn name(&self) -> &'static str {
        match self {
            Self::Role => "GetRoleName",
            Self::Credentials(_) => "GetCredentials",
        }
    }
}
