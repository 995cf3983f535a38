//! STS 2015-04-01: who is calling, and tokens for credentials.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::{Kind, Principal, provider_arn};
use crate::cloud::Cloud;
use crate::jwt::{self, Token};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::seed::{OidcProvider, Role};
use crate::service::oos::date;

mod chain;

pub(crate) use chain::assume_role;

const MIN_DURATION: i64 = 900;
const DEFAULT_DURATION: i64 = 3600;
const MAX_POLICY: usize = 2048;
const MAX_TOKEN: usize = 20_000;

/// `GetCallerIdentity`: needs no permission.
pub(crate) fn get_caller_identity(principal: &Principal) -> Value {
    let account = &principal.account;
    let id = pseudo_id(&principal.arn());
    match &principal.kind {
        Kind::Root => json!({
            "IdentityType": "Account",
            "AccountId": account,
            "PrincipalId": account,
            "UserId": account,
            "Arn": principal.arn(),
        }),
        Kind::User { .. } => json!({
            "IdentityType": "RAMUser",
            "AccountId": account,
            "PrincipalId": id,
            "UserId": id,
            "Arn": principal.arn(),
        }),
        Kind::Session { role, session } => json!({
            "IdentityType": "AssumedRoleUser",
            "AccountId": account,
            "PrincipalId": format!("{id}:{session}"),
            "RoleId": id,
            "Arn": format!("acs:ram::{account}:assumed-role/{role}/{session}"),
        }),
    }
}

/// `AssumeRoleWithOIDC`: unsigned; the token is the proof.
///
/// The token is judged before the role is looked up, so that nobody without a good token learns which roles
/// exist.
pub(crate) async fn assume_role_with_oidc(
    cloud: &Cloud,
    request: &Request,
) -> Result<Value, Refusal> {
    let role_arn = request.require("RoleArn")?;
    let provider_arn = request.require("OIDCProviderArn")?;
    let token = request.require("OIDCToken")?;
    let session = request.require("RoleSessionName")?;
    check_session_name(session)?;
    let limits = policy(request.parameter("Policy"))?;
    let (account, role_name) = split_role_arn(role_arn)?;
    let asked = request
        .parameter("DurationSeconds")
        .map(seconds)
        .transpose()?;
    if !(4..=MAX_TOKEN).contains(&token.len()) {
        return Err(jwt::invalid(
            "The OIDCToken must have 4 to 20000 characters.",
        ));
    }

    let provider = cloud.registry.read().provider(provider_arn).cloned();
    let provider = provider.ok_or_else(|| {
        Refusal::new(
            403,
            "AuthenticationFail.NoPermission",
            "No such OIDC Provider registered.",
        )
    })?;
    let token = Token::verify(token, &provider, &cloud.key_sets, cloud.now()).await?;

    let role = cloud.registry.read().role(role_arn).cloned();
    let role = role.ok_or_else(no_such_role)?;
    if !trusts(&role, account, provider_arn, &token)
        && !trusts_by_policy(cloud, role_arn, provider_arn, &token, &provider)
    {
        return Err(Refusal::new(
            403,
            "AuthenticationFail.NoPermission",
            "This operation is forbidden by the trust policy of the role.",
        ));
    }
    let lifetime = duration(asked, &role)?;
    let kind = Kind::Session {
        role: role_name.to_owned(),
        session: session.to_owned(),
    };
    let principal = Principal {
        account: account.to_owned(),
        kind,
        limits,
    };
    let mut answer = issue(cloud, principal, lifetime);
    answer["OIDCTokenInfo"] = json!({
        "Subject": token.subject,
        "Issuer": provider.issuer,
        "ClientIds": provider.client_ids.join(","),
        "ExpirationTime": date(token.expires),
        "IssuanceTime": token.issued.map(date),
        "VerificationInfo": "Success",
    });
    Ok(answer)
}

/// Makes credentials and says them as both ways of assuming a role do.
fn issue(cloud: &Cloud, principal: Principal, lifetime: SignedDuration) -> Value {
    let now = cloud.now();
    let expires = now + cloud.credential_lifetime().unwrap_or(lifetime);
    let arn = principal.arn();
    let session = principal.session().unwrap_or_default().to_owned();
    let (key_id, key) = cloud.registry.write().issue(principal, now, expires);
    json!({
        "Credentials": {
            "AccessKeyId": key_id,
            "AccessKeySecret": key.secret,
            "SecurityToken": key.temporary.map(|temporary| temporary.token),
            "Expiration": date(expires),
        },
        "AssumedRoleUser": {
            "Arn": format!("{arn}/{session}"),
            "AssumedRoleId": format!("{}:{session}", pseudo_id(&arn)),
        },
    })
}

fn trusts(role: &Role, account: &str, provider: &str, token: &Token) -> bool {
    role.trust.iter().any(|trust| {
        provider_arn(account, &trust.provider) == provider
            && trust.subjects.contains(&token.subject)
            && token
                .audiences
                .iter()
                .any(|audience| trust.audiences.contains(audience))
    })
}

/// The same by the role's trust policy, where it has one.
fn trusts_by_policy(
    cloud: &Cloud,
    role: &str,
    provider_arn: &str,
    token: &Token,
    provider: &OidcProvider,
) -> bool {
    let mut facts = vec![
        ("oidc:iss", provider.issuer.as_str()),
        ("oidc:sub", token.subject.as_str()),
    ];
    let audiences = token.audiences.iter();
    facts.extend(audiences.map(|audience| ("oidc:aud", audience.as_str())));
    let registry = cloud.registry.read();
    registry
        .trust(role)
        .is_some_and(|trust| trust.admits_token(provider_arn, &facts))
}

fn no_such_role() -> Refusal {
    Refusal::new(
        404,
        "EntityNotExist.Role",
        "The specified role does not exist.",
    )
}

fn check_session_name(name: &str) -> Result<(), Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".@_-".contains(&byte);
    if (2..=64).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(invalid(
        "RoleSessionName",
        "The parameter RoleSessionName is wrongly formed.",
    ))
}

/// The policy of a session, which can only narrow what the role may do.
fn policy(text: Option<&str>) -> Result<Option<Arc<Policy>>, Refusal> {
    let Some(text) = text else {
        return Ok(None);
    };
    if text.len() > MAX_POLICY {
        return Err(invalid(
            "PolicySize",
            "The size of the policy must be at most 2048.",
        ));
    }
    let policy = serde_json::from_str(text)
        .map_err(|_| "it is not JSON")
        .and_then(|document| Policy::read(&document));
    policy.map(|policy| Some(Arc::new(policy))).map_err(|why| {
        invalid(
            "PolicyGrammar",
            &format!("The policy is wrongly formed: {why}."),
        )
    })
}

fn split_role_arn(arn: &str) -> Result<(&str, &str), Refusal> {
    let parts = arn
        .strip_prefix("acs:ram::")
        .and_then(|rest| rest.split_once(":role/"));
    parts
        .filter(|(account, name)| !account.is_empty() && !name.is_empty())
        .ok_or_else(|| invalid("RoleArn", "The parameter RoleArn is wrongly formed."))
}

fn seconds(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| bad_duration())
}

fn duration(asked: Option<i64>, role: &Role) -> Result<SignedDuration, Refusal> {
    let longest = role.max_session_duration.as_secs();
    let seconds = asked.unwrap_or_else(|| DEFAULT_DURATION.min(longest));
    if (MIN_DURATION..=longest).contains(&seconds) {
        return Ok(SignedDuration::from_secs(seconds));
    }
    Err(bad_duration())
}

fn bad_duration() -> Refusal {
    invalid(
        "DurationSeconds",
        "The Min/Max value of DurationSeconds is 15min/MaxSessionDuration.",
    )
}

fn invalid(what: &str, message: &str) -> Refusal {
    Refusal::new(400, format!("InvalidParameter.{what}"), message)
}

/// A number such as the cloud gives to users and roles, always the same for the same ARN.
fn pseudo_id(arn: &str) -> String {
    let digits = Sha256::digest(arn)
        .into_iter()
        .take(17)
        .map(|byte| char::from(b'0' + byte % 10));
    std::iter::once('3').chain(digits).collect()
}
