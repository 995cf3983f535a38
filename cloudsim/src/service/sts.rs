//! STS 2015-04-01: who is calling, and tokens for credentials.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::{Kind, Principal, provider_arn};
use crate::cloud::Cloud;
use crate::jwt::{self, Token};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::seed::{OidcProvider, Role};
use crate::service::oos::date;

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
    check_policy(request.parameter("Policy"))?;
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
    let role = role.ok_or_else(|| {
        Refusal::new(
            404,
            "EntityNotExist.Role",
            "The specified role does not exist.",
        )
    })?;
    if !trusts(&role, account, provider_arn, &token) {
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
    };
    Ok(issue(cloud, principal, lifetime, &token, &provider))
}

fn issue(
    cloud: &Cloud,
    principal: Principal,
    lifetime: SignedDuration,
    token: &Token,
    provider: &OidcProvider,
) -> Value {
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
        "OIDCTokenInfo": {
            "Subject": token.subject,
            "Issuer": provider.issuer,
            "ClientIds": provider.client_ids.join(","),
            "ExpirationTime": date(token.expires),
            "IssuanceTime": token.issued.map(date),
            "VerificationInfo": "Success",
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

fn check_policy(policy: Option<&str>) -> Result<(), Refusal> {
    match policy {
        None => Ok(()),
        Some(policy) if policy.len() > MAX_POLICY => Err(invalid(
            "PolicySize",
            "The size of the policy must be at most 2048.",
        )),
        // A policy that is taken and not obeyed would widen what a session may do, unnoticed.
        Some(_) => Err(invalid(
            "PolicyGrammar",
            "This server does not evaluate session policies.",
        )),
    }
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
