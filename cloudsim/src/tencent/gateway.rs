//! Tencent's gateway: reads a request, verifies it, lets faults strike, answers, keeps the ledger.

use axum::response::Response;
use serde_json::{Value, json};

use crate::answer::{Answer, send};
use crate::cloud::Cloud;
use crate::connection::Peer;
use crate::fault::{Effect, Fault};
use crate::gateway::{UNKNOWN, outcome, refusal, strike};
use crate::ledger;
use crate::random;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::tencent::action::{Action, Service};
use crate::tencent::authentication::{authenticate, check_unsigned, claimed};
use crate::tencent::call::{Call, said};
use crate::tencent::cam::{Principal, role_arn};
use crate::tencent::store::is_name;
use crate::tencent::tc3::ALGORITHM;
use crate::tencent::{language, metadata, ssm, sts};

/// Says whether a request is for Tencent Cloud: by its headers, or by the path of the metadata service.
pub(crate) fn is_asked(request: &Request) -> bool {
    let signed = request.header("authorization").unwrap_or_default();
    let mut headers = request.headers.keys();
    !request.instance
        && (headers.any(|name| name.as_str().starts_with("x-tc-"))
            || signed.starts_with(ALGORITHM)
            || metadata::Asked::of(request).is_some())
}

/// Answers one request.
pub(crate) async fn answer(cloud: &Cloud, request: &Request, peer: &Peer) -> Response {
    if let Some(asked) = metadata::Asked::of(request) {
        return metadata::answer(cloud, asked, request, peer).await;
    }
    let action = Action::of(request);
    let caller = match &action {
        Ok(Action::AssumeRoleWithWebIdentity) => check_unsigned(cloud, request).map(|()| None),
        Ok(action) => authenticate(cloud, *action, request).map(Some),
        Err(refusal) => Err(refusal.clone()),
    };
    let signer = caller.as_ref().ok().and_then(Option::as_ref);
    let mut call = entry(cloud, request, action.as_ref().ok().copied(), signer);
    let (delay, fault) = strike(cloud, &call);
    let effect = fault.as_ref().map(|fault| &fault.effect);
    let result = match effect {
        Some(
            Effect::Hang
            | Effect::Reset
            | Effect::Close
            | Effect::Html { .. }
            | Effect::Redirect { .. },
        ) => Ok(Value::Null),
        Some(effect @ (Effect::Error { .. } | Effect::Throttle { .. })) => {
            Err(refusal(effect).map_or_else(internal, in_own_words))
        }
        _ => match (action, caller) {
            (Ok(action), Ok(caller)) => perform(cloud, action, caller.as_ref(), request).await,
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        },
    };
    let result = result.map(|mut body| {
        if let Some(fault) = &fault {
            spoil(&mut body, fault);
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
        "call"
    );
    cloud.ledger.write().record(call);
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    send(envelope(cloud, request, result), effect, peer).await
}

async fn perform(
    cloud: &Cloud,
    action: Action,
    caller: Option<&Principal>,
    request: &Request,
) -> Result<Value, Refusal> {
    let call = Call::new(cloud, action, request)?;
    match (action, caller) {
        (Action::AssumeRoleWithWebIdentity, _) => sts::assume_role_with_web_identity(&call).await,
        (_, None) => Err(internal()),
        (_, Some(caller)) => {
            call.throttle(&caller.account)?;
            match action.service() {
                Service::Ssm => ssm::perform(&call, caller),
                Service::Sts => sts::perform(&call, caller),
            }
        }
    }
}

/// Puts a result into Tencent's envelope. Refusals have status 200, if no fault says another one.
fn envelope(cloud: &Cloud, request: &Request, result: Result<Value, Refusal>) -> Answer {
    let (status, mut response) = match result {
        Ok(body) => (200, body),
        Err(refusal) => {
            let asked = request.header("x-tc-language");
            let message = language::message(asked, &refusal.code, &refusal.message);
            let error = json!({ "Code": refusal.code, "Message": message });
            (refusal.status, json!({ "Error": error }))
        }
    };
    if let Some(response) = response.as_object_mut() {
        let id = random::request_id().to_lowercase();
        response.insert("RequestId".to_owned(), json!(id));
    }
    let date = cloud.tencent.now(cloud.now());
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Answer::json(status, &json!({ "Response": response }), date)
}

/// The ledger's entry, as far as it is known before the answer.
fn entry(
    cloud: &Cloud,
    request: &Request,
    action: Option<Action>,
    caller: Option<&Principal>,
) -> ledger::Call {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    // The ledger must not hold whatever else a client may send, so a role is named only if it exists.
    let role = said(&body, "RoleArn").and_then(|arn| {
        let registry = cloud.tencent.registry.read();
        let account = crate::tencent::cam::split_role_arn(arn)?.0;
        Some(role_arn(account, &registry.role(arn)?.name))
    });
    let web = action == Some(Action::AssumeRoleWithWebIdentity);
    let claimed = caller.cloned().or_else(|| claimed(cloud, request));
    let (principal, session) = match claimed {
        _ if web => {
            let session = said(&body, "RoleSessionName").filter(|name| sts::is_session_name(name));
            let session = session.filter(|_| role.is_some()).map(str::to_owned);
            (role.clone(), session)
        }
        Some(claimed) => (Some(claimed.arn()), claimed.session().map(str::to_owned)),
        None => (None, None),
    };
    let names = match action {
        Some(Action::AssumeRole) => role,
        _ => said(&body, "SecretName")
            .filter(|name| is_name(name))
            .map(str::to_owned),
    };
    ledger::Call {
        at: cloud.now(),
        service: action
            .map_or(UNKNOWN, |action| action.service().name())
            .to_owned(),
        action: action.map_or(UNKNOWN, Action::name).to_owned(),
        principal: principal.unwrap_or_else(|| UNKNOWN.to_owned()),
        session,
        outcome: String::new(),
        fault: None,
        names: names.into_iter().collect(),
        user_agent: request
            .header("user-agent")
            .map(|agent| agent.chars().take(200).collect()),
        source: request.source.to_string(),
        host: request.host().to_owned(),
    }
}

/// A throttle that says nothing of its own is said as this cloud says it.
fn in_own_words(refusal: Refusal) -> Refusal {
    if refusal.code != "Throttling.User" {
        return refusal;
    }
    Refusal {
        status: 200,
        code: "RequestLimitExceeded".into(),
        ..refusal
    }
}

/// What faults do to good answers.
fn spoil(body: &mut Value, fault: &Fault) {
    let Some(body) = body.as_object_mut() else {
        return;
    };
    match fault.effect {
        Effect::EmptyValue { absent } => {
            for field in ["SecretString", "SecretBinary", "PublicKey", "PrivateKey"] {
                if absent {
                    body.remove(field);
                } else if let Some(value) = body.get_mut(field) {
                    *value = json!("");
                }
            }
        }
        Effect::MissingEntry => body.clear(),
        _ => {}
    }
}

fn internal() -> Refusal {
    Refusal::new(200, "InternalError", "An internal error occurred.")
}
