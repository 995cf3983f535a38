//! The operator's own identity on Tencent Cloud, as its environment describes it.
//!
//! What is configured is told from variables and flags alone, before anything is tried. A source that
//! is configured and broken is an error that names it; above all, the role of the node is never tried
//! in its place.

use super::Tencent;
use crate::credential::cloud::{CloudRef, OwnSession, TokenService};
use crate::credential::environment::{Environment, EnvironmentError, broken};
use crate::credential::{Cloud, InstanceRole, Source, Subject, WebIdentity};
use crate::provider::endpoint::is_region;

const KEY: [&str; 3] = [
    "TENCENTCLOUD_SECRET_ID",
    "TENCENTCLOUD_SECRET_KEY",
    "TENCENTCLOUD_TOKEN",
];
const REGION: &str = "TKE_REGION";
const PROVIDER_ID: &str = "TKE_PROVIDER_ID";
const ROLE_ARN: &str = "TKE_ROLE_ARN";
const TOKEN_FILE: &str = "TKE_WEB_IDENTITY_TOKEN_FILE";

/// Everything that is read.
pub(super) const KEPT: [&str; 7] = [
    KEY[0],
    KEY[1],
    KEY[2],
    REGION,
    PROVIDER_ID,
    ROLE_ARN,
    TOKEN_FILE,
];

/// What to do where none is configured.
const ABSENT: EnvironmentError = EnvironmentError::Absent(
    "TKE_ROLE_ARN, TKE_PROVIDER_ID and TKE_WEB_IDENTITY_TOKEN_FILE in its Pod, or see \
     docs/identities-tencent.md for what else may be one",
);

/// The operator's own identity: the first of these that is configured.
///
/// 1. An access key in `TENCENTCLOUD_SECRET_ID`, `_SECRET_KEY` and `_TOKEN`.
/// 2. The role of a token file, by the variables that TKE sets: `TKE_ROLE_ARN`, `TKE_PROVIDER_ID`,
///    `TKE_WEB_IDENTITY_TOKEN_FILE`, and `TKE_REGION`, which may be absent. One of them is enough to
///    say that this is meant.
/// 3. The instance's role, where `instance` says that it is enabled.
///
/// # Errors
/// What is missing or broken of that one, or that none is configured.
pub(super) fn operator(
    own: &Environment,
    session: &OwnSession<'_>,
    instance: bool,
) -> Result<Source, EnvironmentError> {
    if let Some(key) = own.access_key(KEY)? {
        return Ok(Source::AccessKey(key));
    }
    let token = [REGION, PROVIDER_ID, ROLE_ARN, TOKEN_FILE];
    if token.iter().any(|name| own.get(name).is_some()) {
        let role_arn = own
            .get(ROLE_ARN)
            .ok_or(EnvironmentError::Missing(ROLE_ARN))?;
        if Tencent.role_account(role_arn).is_none() {
            let problem = "is not the ARN it should be, qcs::cam::uin/UIN:roleName/NAME";
            return Err(broken(ROLE_ARN, problem));
        }
        return with_role(own, role_arn, None, session).map(Source::WebIdentity);
    }
    if instance {
        return Ok(Source::InstanceRole(InstanceRole {
            cloud: CloudRef(&Tencent),
            role_name: None,
        }));
    }
    Err(ABSENT)
}

/// A store's role, entered with the operator's own token file.
///
/// # Errors
/// What is missing or broken.
pub(super) fn with_role(
    own: &Environment,
    role_arn: &str,
    provider_id: Option<&str>,
    session: &OwnSession<'_>,
) -> Result<WebIdentity, EnvironmentError> {
    let provider_id = match provider_id {
        Some(name) => name,
        None => provider(own)?,
    };
    let path = own.path(TOKEN_FILE)?;
    Ok(WebIdentity {
        role_arn: role_arn.to_owned(),
        provider: provider_id.to_owned(),
        subject: Subject::TokenFile {
            path: path.ok_or(EnvironmentError::Missing(TOKEN_FILE))?,
        },
        sts: sts(own, session)?,
        session_name: session.name.to_owned(),
        duration_seconds: None,
        policy: None,
    })
}

/// The OIDC provider that the cluster is registered as.
///
/// # Errors
/// When it is missing or cannot be one's name.
pub(super) fn provider(own: &Environment) -> Result<&str, EnvironmentError> {
    let name = own.get(PROVIDER_ID);
    let name = name.ok_or(EnvironmentError::Missing(PROVIDER_ID))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.len() <= 128 && name.chars().all(allowed) {
        return Ok(name);
    }
    Err(broken(PROVIDER_ID, "is not the name of an OIDC provider"))
}

/// The token service of the operator's own identity: the store's, told the region `TKE_REGION` where
/// that is set.
///
/// # Errors
/// When that is no region.
pub(super) fn sts(
    own: &Environment,
    session: &OwnSession<'_>,
) -> Result<TokenService, EnvironmentError> {
    let sts = session.sts.clone();
    match own.get(REGION) {
        None => Ok(sts),
        Some(region) if is_region(region) => Ok(Tencent.sts(sts.endpoint, region)),
        Some(_) => Err(broken(REGION, "is not a region, such as ap-guangzhou")),
    }
}

#[cfg(test)]
mod tests;
