//! Tencent's STS 2018-08-13: who is calling, and tokens and callers for sessions of roles.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::jwt::Token;
use crate::permission::Resource;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::tencent::action::Action;
use crate::tencent::call::{Call, refuse};
use crate::tencent::cam::{Kind, Principal, provider_arn, pseudo_id, role_arn, split_role_arn};

const DEFAULT_DURATION: i64 = 7200;
const MAX_DURATION: i64 = 43_200;
const MAX_POLICY: usize = 2048;

/// A role that is asked for, taken apart.
struct Asked<'a> {
    arn: &'a str,
    account: &'a str,
    session: &'a str,
    seconds: i64,
}

/// Does one of the signed actions.
pub(super) fn perform(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    match call.action {
        Action::AssumeRole => assume_role(call, caller),
        _ => Ok(get_caller_identity(caller)),
    }
}

/// Says whether a text can be a session's name.
pub(super) fn is_session_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (2..=128).contains(&name.len()) && name.bytes().all(good)
}

fn wrong(message: &str) -> Refusal {
    refuse("InvalidParameter.ParamError", message)
}

fn asked<'c>(call: &'c Call<'_>) -> Result<Asked<'c>, Refusal> {
    let arn = call.require("RoleArn")?;
    let parts = split_role_arn(arn);
    let (account, _) = parts.ok_or_else(|| wrong("The RoleArn is wrongly formed."))?;
    let session = call.require("RoleSessionName")?;
    if !is_session_name(session) {
        return Err(wrong("The RoleSessionName is wrongly formed."));
    }
    let seconds = call
        .number("DurationSeconds", 1..=MAX_DURATION, DEFAULT_DURATION)
        .map_err(|_| too_long())?;
    Ok(Asked {
        arn,
        account,
        session,
        seconds,
    })
}

fn too_long() -> Refusal {
    refuse(
        "InvalidParameter.OverTimeError",
        "The DurationSeconds exceeds the limit.",
    )
}

fn no_such_role() -> Refusal {
    refuse("ResourceNotFound.RoleNotFound", "The role does not exist.")
}

/// `GetCallerIdentity`: needs no permission.
fn get_caller_identity(caller: &Principal) -> Value {
    let account = &caller.account;
    let id = pseudo_id(&caller.arn());
    let (kind, user, principal, arn) = match &caller.kind {
        Kind::Root => (
            "RootAccount",
            account.clone(),
            account.clone(),
            caller.arn(),
        ),
        Kind::User(uin) => ("CAMUser", uin.clone(), uin.clone(), caller.arn()),
        Kind::Session { session, .. } => (
            "CAMRole",
            format!("{id}:{session}"),
            id.clone(),
            format!("qcs::sts::uin/{account}:assumed-role/{id}"),
        ),
    };
    json!({
        "Arn": arn,
        "AccountId": account,
        "UserId": user,
        "PrincipalId": principal,
        "Type": kind,
    })
}

/// `AssumeRoleWithWebIdentity`: unsigned; the token is the proof.
///
/// The token is judged before the role is looked up, so that nobody without a good token learns which roles exist;
/// and by the machine's clock, not by the cloud's, for its issuer has a clock of its own.
pub(super) async fn assume_role_with_web_identity(call: &Call<'_>) -> Result<Value, Refusal> {
    let asked = asked(call)?;
    call.throttle(asked.account)?;
    let name = call.require("ProviderId")?;
    let token = call.require("WebIdentityToken")?;
    let cloud = call.cloud;
    let provider_arn = provider_arn(asked.account, name);
    let provider = cloud
        .tencent
        .registry
        .read()
        .provider(&provider_arn)
        .cloned();
    let provider = provider
        .map(|provider| provider.verifier())
        .ok_or_else(|| wrong("The ProviderId is not that of an OIDC provider of the account."))?;
    let token = Token::verify(token, &provider, &cloud.key_sets, cloud.now()).await;
    let token = token.map_err(|refusal| {
        Refusal::new(
            200,
            "InvalidParameter.WebIdentityTokenError",
            refusal.message,
        )
    })?;
    let mut facts = vec![
        ("oidc:iss", provider.issuer.as_str()),
        ("oidc:sub", token.subject.as_str()),
    ];
    let audiences = token.audiences.iter();
    facts.extend(audiences.map(|audience| ("oidc:aud", audience.as_str())));
    let name = {
        let registry = cloud.tencent.registry.read();
        let role = registry.role(asked.arn).ok_or_else(no_such_role)?;
        if !role.trust.admits_token(&provider_arn, &facts) {
            return Err(refuse(
                "UnauthorizedOperation",
                "The trust policy of the role does not allow this token.",
            ));
        }
        check_longest(asked.seconds, role.longest)?;
        role.name.clone()
    };
    Ok(issue(call, &asked, name, None))
}

/// `AssumeRole`: the caller's permission is judged before the role is looked up.
fn assume_role(call: &Call<'_>, caller: &Principal) -> Result<Value, Refusal> {
    let asked = asked(call)?;
    let limits = call.text("Policy")?.map(policy).transpose()?;
    let external_id = call.text("ExternalId")?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    if external_id.is_some_and(|id| !(2..=128).contains(&id.len()) || !id.bytes().all(good)) {
        return Err(wrong("The ExternalId is wrongly formed."));
    }
    let registry = call.cloud.tencent.registry.read();
    let role = registry.role(asked.arn);
    let name = role.map(|role| role.name.clone());
    drop(registry);
    let arn = match &name {
        Some(name) => role_arn(asked.account, name),
        None => asked.arn.to_owned(),
    };
    let resource = Resource {
        account: asked.account.to_owned(),
        name: format!("role/{}", name.as_deref().unwrap_or_default()),
        arn,
    };
    call.permit_on(caller, &resource)?;
    let name = {
        let registry = call.cloud.tencent.registry.read();
        let role = registry.role(asked.arn).ok_or_else(no_such_role)?;
        if !role.trust.admits_caller(&caller.names(), external_id) {
            return Err(refuse(
                "UnauthorizedOperation",
                "The trust policy of the role does not allow this caller.",
            ));
        }
        check_longest(asked.seconds, role.longest)?;
        role.name.clone()
    };
    Ok(issue(call, &asked, name, limits))
}

fn check_longest(seconds: i64, longest: SignedDuration) -> Result<(), Refusal> {
    if seconds <= longest.as_secs() {
        return Ok(());
    }
    Err(too_long())
}

/// Makes credentials and says them as both ways of assuming a role do.
fn issue(call: &Call<'_>, asked: &Asked<'_>, role: String, limits: Option<Arc<Policy>>) -> Value {
    let cloud = call.cloud;
    let now = cloud.tencent.now(cloud.now());
    let lifetime = cloud.credential_lifetime();
    let ends = now + lifetime.unwrap_or(SignedDuration::from_secs(asked.seconds));
    let principal = Principal {
        account: asked.account.to_owned(),
        kind: Kind::Session {
            role,
            session: asked.session.to_owned(),
        },
        limits,
    };
    let [id, secret, token] = cloud.tencent.registry.write().issue(principal, now, ends);
    json!({
        "Credentials": { "Token": token, "TmpSecretId": id, "TmpSecretKey": secret },
        "ExpiredTime": ends.as_second(),
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

/// The policy of a session, URL-encoded, which can only narrow what the role may do.
fn policy(text: &str) -> Result<Arc<Policy>, Refusal> {
    if text.len() > MAX_POLICY {
        return Err(refuse(
            "InvalidParameter.PolicyTooLong",
            "The Policy is too long.",
        ));
    }
    let policy = decoded(text)
        .ok_or("it is not URL-encoded")
        .and_then(|text| serde_json::from_str(&text).map_err(|_| "it is not JSON"))
        .and_then(|document| Policy::read_cam(&document));
    policy
        .map(Arc::new)
        .map_err(|why| wrong(&format!("The Policy is wrongly formed: {why}.")))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'%' => {
                let mut byte = [0];
                hex::decode_to_slice(tail.get(..2)?, &mut byte).ok()?;
                bytes.push(byte[0]);
                rest = &tail[2..];
            }
            // What needs encoding and is not encoded was not encoded at all.
            b'{' | b'}' | b'"' | b' ' => return None,
            other => {
                bytes.push(*other);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
