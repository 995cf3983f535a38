//! STS: credentials of one principal for those of a role that trusts it.

use serde_json::Value;

use crate::account::{Kind, Principal};
use crate::cloud::Cloud;
use crate::permission::{self, Resource};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::service::sts::{
    bad_duration, check_session_name, duration, invalid, issue, no_such_role, policy, seconds,
    split_role_arn,
};

/// The longest session of a role that was assumed by another role's session.
const MAX_CHAINED: i64 = 3600;

/// `AssumeRole`: the caller's permission is judged before the role is looked up, so that nobody without it
/// learns which roles exist.
pub(crate) fn assume_role(
    cloud: &Cloud,
    caller: &Principal,
    request: &Request,
) -> Result<Value, Refusal> {
    let role_arn = request.require("RoleArn")?;
    let session = request.require("RoleSessionName")?;
    check_session_name(session)?;
    let policy = policy(request.parameter("Policy"))?;
    let external_id = request.parameter("ExternalId");
    check_external_id(external_id)?;
    let (account, role_name) = split_role_arn(role_arn)?;
    let asked = request
        .parameter("DurationSeconds")
        .map(seconds)
        .transpose()?;

    let action = "sts:AssumeRole";
    let denied = |message: &str| permission::refusal(caller, action, "NoPermission", message);
    if caller.kind == Kind::Root {
        return Err(denied("Roles may not be assumed by root accounts."));
    }
    let resource = Resource {
        account: account.to_owned(),
        arn: role_arn.to_owned(),
        name: format!("role/{role_name}"),
    };
    let registry = cloud.registry.read();
    let refusal =
        || denied("You are not authorized to do this action. You should be authorized by RAM.");
    if !registry.permits(caller, action, &resource) {
        return Err(refusal());
    }
    let role = registry.role(role_arn).cloned().ok_or_else(no_such_role)?;
    let trust = registry.trust(role_arn);
    if !trust
        .is_some_and(|trust| trust.admits_principal(&caller.arn(), &caller.account, external_id))
    {
        return Err(refusal());
    }
    drop(registry);
    let lifetime = duration(asked, &role)?;
    if caller.session().is_some() && lifetime.as_secs() > MAX_CHAINED {
        return Err(bad_duration());
    }
    let principal = Principal {
        account: account.to_owned(),
        kind: Kind::Session {
            role: role_name.to_owned(),
            session: session.to_owned(),
        },
        limits: policy,
    };
    Ok(issue(cloud, principal, lifetime))
}

fn check_external_id(id: Option<&str>) -> Result<(), Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    match id {
        Some(id) if !(2..=1224).contains(&id.len()) || !id.bytes().all(good) => Err(invalid(
            "ExternalId",
            "The parameter ExternalId is wrongly formed.",
        )),
        _ => Ok(()),
    }
}
