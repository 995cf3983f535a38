//! The gateway before all services: reads a request, verifies it, lets faults strike, answers, keeps the ledger.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::account::{Principal, role_arn};
use crate::answer::{Answer, send};
use crate::authentication::{authenticate, check_date, check_nonce, claimed};
use crate::cloud::Cloud;
use crate::connection::Peer;
use crate::fault::{Effect, Fault, Subject};
use crate::ledger::Call;
use crate::metadata::{self, Asked};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::service::{Action, Service, kms, oos, sts};
use crate::tencent;

const MAX_BODY: usize = 1 << 20;
pub(crate) const UNKNOWN: &str = "unknown";

/// Answers one request to a cloud.
pub(crate) async fn answer(
    State(cloud): State<Arc<Cloud>>,
    Extension(peer): Extension<Peer>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if !cloud.latency.is_zero() {
        tokio::time::sleep(cloud.latency).await;
    }
    let mut request = Request::new(parts, body, peer.address);
    request.instance = peer.instance;
    if tencent::is_asked(&request) {
        return tencent::answer(&cloud, &request, &peer).await;
    }
    if let Some(asked) = Asked::of(&request) {
        return metadata::answer(&cloud, asked, &request, &peer).await;
    }
    let action = Action::of(&request);
    let service = action.as_ref().ok().map(|action| action.service());
    let caller = match &action {
        Ok(Action::AssumeRoleWithOidc) => check_unsigned(&cloud, &request).map(|()| None),
        Ok(_) => authenticate(&cloud, &request).map(Some),
        Err(refusal) => Err(refusal.clone()),
    };
    let mut call = call(
        &cloud,
        &request,
        action.as_ref().ok(),
        caller.as_ref().ok().and_then(Option::as_ref),
    );
    let (delay, fault) = strike(&cloud, &call);
    let effect = fault.as_ref().map(|fault| &fault.effect);

    let result = match effect {
        Some(
            Effect::Hang
            | Effect::Reset
            | Effect::Close
            | Effect::Html { .. }
            | Effect::Redirect { .. },
        ) => Ok(Value::Null),
        Some(Effect::Error { .. } | Effect::Throttle { .. }) => {
            Err(effect.and_then(refusal).unwrap_or_else(internal))
        }
        _ => match (action, caller) {
            (Ok(action), Ok(caller)) => perform(&cloud, action, caller.as_ref(), &request).await,
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        },
    };
    let result = result.map(|mut body| {
        if let Some(fault) = &fault {
            oos::spoil(&mut body, fault);
            kms::spoil(&mut body, fault);
        }
        body
    });
    call.outcome = outcome(effect, &result);
    call.fault = effect
        .map(Effect::kind)
        .or(delay.map(|_| "delay"))
        .map(str::to_owned);
    tracing::debug!(
        service = call.service,
        action = call.action,
        principal = call.principal,
        outcome = call.outcome,
        fault = call.fault,
        names = call.names.len(),
        "call"
    );
    cloud.ledger.write().record(call);

    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    send(Answer::new(result, &request, service), effect, &peer).await
}

async fn perform(
    cloud: &Cloud,
    action: Action,
    caller: Option<&Principal>,
    request: &Request,
) -> Result<Value, Refusal> {
    action.check_parameters(request)?;
    match (action, caller) {
        (Action::AssumeRoleWithOidc, _) => sts::assume_role_with_oidc(cloud, request).await,
        (_, None) => Err(internal()),
        (Action::GetCallerIdentity, Some(caller)) => Ok(sts::get_caller_identity(caller)),
        (Action::AssumeRole, Some(caller)) => sts::assume_role(cloud, caller, request),
        (action, Some(caller)) if action.service() == Service::Kms => {
            kms::perform(action, &kms::Call::new(cloud, caller, request))
        }
        (action, Some(caller)) => oos::perform(action, cloud, caller, request),
    }
}

/// What the gateway asks of an unsigned call: a time, and a nonce that is new if there is one.
fn check_unsigned(cloud: &Cloud, request: &Request) -> Result<(), Refusal> {
    let now = cloud.now();
    check_date(request.require("Timestamp")?, now)?;
    if let Some(nonce) = request.parameter("SignatureNonce") {
        check_nonce(cloud, "", nonce, now)?;
    }
    // Without a format the real gateway answers XML, which no client of ours reads.
    match request.parameter("Format") {
        Some(format) if format.eq_ignore_ascii_case("json") => Ok(()),
        _ => Err(Refusal::invalid(
            "Format",
            "this server answers JSON only, which must be asked for",
        )),
    }
}

/// The ledger's entry, as far as it is known before the answer.
fn call(
    cloud: &Cloud,
    request: &Request,
    action: Option<&Action>,
    caller: Option<&Principal>,
) -> Call {
    let claimed = match caller {
        None => claimed(cloud, request),
        Some(caller) => Some(caller.clone()),
    };
    let (principal, session) = match (action, &claimed) {
        (Some(Action::AssumeRoleWithOidc), _) => asked_role(cloud, request),
        (_, Some(principal)) => (principal.arn(), principal.session().map(str::to_owned)),
        (_, None) => (UNKNOWN.to_owned(), None),
    };
    Call {
        at: cloud.now(),
        service: action
            .map_or(UNKNOWN, |action| action.service().name())
            .to_owned(),
        action: action.map_or(UNKNOWN, |action| action.name()).to_owned(),
        principal,
        session,
        outcome: String::new(),
        fault: None,
        names: match action {
            Some(Action::AssumeRole) => known_role(cloud, request).into_iter().collect(),
            _ => request.asked_names(),
        },
        user_agent: request
            .header("user-agent")
            .map(|agent| agent.chars().take(200).collect()),
        source: request.source.to_string(),
        host: request.host().to_owned(),
    }
}

/// The role that is asked for, if it exists: the ledger must not hold whatever else a client may send.
fn known_role(cloud: &Cloud, request: &Request) -> Option<String> {
    let arn = request.parameter("RoleArn")?;
    let known = cloud.registry.read().role(arn).is_some();
    known.then(|| arn.to_owned())
}

/// The role and session that a token exchange asks for; roles that do not exist are not kept by name.
fn asked_role(cloud: &Cloud, request: &Request) -> (String, Option<String>) {
    let role = known_role(cloud, request);
    let session = request
        .parameter("RoleSessionName")
        .filter(|name| role.is_some() && name.len() <= 64);
    (
        role.unwrap_or_else(|| role_arn(UNKNOWN, UNKNOWN)),
        session.map(str::to_owned),
    )
}

/// Lets the faults strike: the sum of the delays, and the one other fault.
pub(crate) fn strike(cloud: &Cloud, call: &Call) -> (Option<Duration>, Option<Fault>) {
    if cloud.faults.read().is_empty() {
        return (None, None);
    }
    let subject = Subject {
        service: &call.service,
        action: &call.action,
        names: &call.names,
        principal: &call.principal,
        host: &call.host,
    };
    let (mut delay, mut other) = (None, None);
    for fault in cloud.faults.write().strike(&subject) {
        match fault.effect {
            Effect::Delay { millis } => {
                delay = Some(delay.unwrap_or_default() + Duration::from_millis(millis));
            }
            _ => other = Some(fault),
        }
    }
    (delay, other)
}

pub(crate) fn refusal(effect: &Effect) -> Option<Refusal> {
    match effect {
        Effect::Error {
            status,
            code,
            message,
        } => {
            let message = message
                .clone()
                .unwrap_or_else(|| "The request was refused by a fault.".to_owned());
            Some(Refusal::new(*status, code.clone(), message))
        }
        Effect::Throttle {
            status,
            code,
            retry_after_ms,
        } => {
            let mut refusal = Refusal::new(
                *status,
                code.clone(),
                "Request was denied due to user flow control.",
            );
            refusal.retry_after = retry_after_ms.map(Duration::from_millis);
            Some(refusal)
        }
        _ => None,
    }
}

fn internal() -> Refusal {
    Refusal::new(
        500,
        "InternalError",
        "The request processing has failed due to some unknown error.",
    )
}

pub(crate) fn outcome(effect: Option<&Effect>, result: &Result<Value, Refusal>) -> String {
    match (effect, result) {
        (
            Some(
                effect @ (Effect::Hang
                | Effect::Reset
                | Effect::Close
                | Effect::Truncate
                | Effect::Html { .. }
                | Effect::MalformedJson
                | Effect::Redirect { .. }),
            ),
            _,
        ) => format!("Fault.{}", effect.kind()),
        (_, Ok(_)) => "OK".to_owned(),
        (_, Err(refusal)) => refusal.code.to_string(),
    }
}
