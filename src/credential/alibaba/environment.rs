//! The operator's own identity on Alibaba Cloud, as its environment describes it: a role and a token
//! file, and where STS is.

use std::path::PathBuf;

use super::{Alibaba, chain};
use crate::credential::cloud::{OwnSession, TokenService};
use crate::credential::environment::{Environment, EnvironmentError, broken};
use crate::credential::session::is_session_name;
use crate::credential::{Subject, WebIdentity};
use crate::provider::alibaba::endpoint::{self, Network};

const ROLE_ARN: &str = "ALIBABA_CLOUD_ROLE_ARN";
const PROVIDER_ARN: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const TOKEN_FILE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";
const STS_ENDPOINT: &str = "ALIBABA_CLOUD_STS_ENDPOINT";
const STS_REGION: &str = "ALIBABA_CLOUD_STS_REGION";
const VPC_ENDPOINT: &str = "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED";
const SESSION_NAME: &str = "ALIBABA_CLOUD_ROLE_SESSION_NAME";

/// Everything that is read, here and in the [`chain`].
pub(super) const KEPT: [&str; 16] = [
    ROLE_ARN,
    PROVIDER_ARN,
    TOKEN_FILE,
    STS_ENDPOINT,
    STS_REGION,
    VPC_ENDPOINT,
    SESSION_NAME,
    chain::KEY[0],
    chain::KEY[1],
    chain::KEY[2],
    chain::FILE,
    chain::PROFILE,
    chain::URI,
    chain::METADATA_ROLE,
    chain::METADATA_DISABLED,
    chain::V1_DISABLED,
];

/// The operator's own role and token file, if any of their variables is set. The session is called
/// what `ALIBABA_CLOUD_ROLE_SESSION_NAME` says, else what the store says.
///
/// # Errors
/// What is missing or broken.
pub(super) fn rrsa(
    own: &Environment,
    session: &OwnSession<'_>,
) -> Result<Option<WebIdentity>, EnvironmentError> {
    let identity = [ROLE_ARN, PROVIDER_ARN, TOKEN_FILE];
    if identity.iter().all(|name| own.get(name).is_none()) {
        return Ok(None);
    }
    let role_arn = arn(own, ROLE_ARN, ":role/")?;
    with_role(own, role_arn, None, session).map(Some)
}

/// A store's role, entered with the operator's own token file.
///
/// # Errors
/// What is missing or broken.
pub(super) fn with_role(
    own: &Environment,
    role_arn: &str,
    provider_arn: Option<&str>,
    session: &OwnSession<'_>,
) -> Result<WebIdentity, EnvironmentError> {
    let provider_arn = match provider_arn {
        Some(arn) => arn,
        None => arn(own, PROVIDER_ARN, ":oidc-provider/")?,
    };
    let session_name = own.get(SESSION_NAME).unwrap_or(session.name);
    if !is_session_name(session_name) {
        let problem = "must be 2 to 64 letters, digits, dots, @, _ or -";
        return Err(broken(SESSION_NAME, problem));
    }
    Ok(WebIdentity {
        role_arn: role_arn.to_owned(),
        provider: provider_arn.to_owned(),
        subject: Subject::TokenFile {
            path: token_file(own)?,
        },
        sts: sts(own, session)?,
        session_name: session_name.to_owned(),
        duration_seconds: None,
        policy: None,
    })
}

/// Where STS is for the operator's own identity: the store's `stsEndpoint`, else
/// `ALIBABA_CLOUD_STS_ENDPOINT` (a host or a URL), else the host of `ALIBABA_CLOUD_STS_REGION`
/// (in VPCs with `ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED=true`), else the store's region's.
///
/// # Errors
/// What is broken, or why the final URL is refused.
pub(super) fn sts(
    own: &Environment,
    session: &OwnSession<'_>,
) -> Result<TokenService, EnvironmentError> {
    let policy = session.policy;
    let (name, found) = match (own.get(STS_ENDPOINT), own.get(STS_REGION)) {
        _ if session.named => return Ok(session.sts.clone()),
        (Some(url), _) if url.contains("://") => (STS_ENDPOINT, policy.check(url, &endpoint::STS)),
        (Some(host), _) => {
            let url = format!("https://{host}");
            (STS_ENDPOINT, policy.check(&url, &endpoint::STS))
        }
        (None, Some(region)) => {
            let network = network(own)?;
            (STS_REGION, endpoint::sts(policy, None, region, network))
        }
        (None, None) => return Ok(session.sts.clone()),
    };
    let found = found.map_err(|error| EnvironmentError::Endpoint { name, error })?;
    Ok(TokenService::new(&Alibaba, found))
}

fn token_file(own: &Environment) -> Result<PathBuf, EnvironmentError> {
    let path = own.path(TOKEN_FILE)?;
    path.ok_or(EnvironmentError::Missing(TOKEN_FILE))
}

fn network(own: &Environment) -> Result<Network, EnvironmentError> {
    if own.switch(VPC_ENDPOINT)? {
        Ok(Network::Vpc)
    } else {
        Ok(Network::Public)
    }
}

fn arn<'e>(
    own: &'e Environment,
    name: &'static str,
    kind: &str,
) -> Result<&'e str, EnvironmentError> {
    let arn = own.get(name).ok_or(EnvironmentError::Missing(name))?;
    if arn.starts_with("acs:ram::") && arn.contains(kind) {
        Ok(arn)
    } else {
        Err(broken(
            name,
            "is not the ARN it should be, acs:ram::ACCOUNT:...",
        ))
    }
}

#[cfg(test)]
mod tests;
