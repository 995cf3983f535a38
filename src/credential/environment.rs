//! The operator's own identity on Alibaba Cloud, as its environment describes it.
//!
//! The environment is passed in. A set of variables that is incomplete or broken is an error that
//! names the variable; nothing else is tried instead.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::chain;
use super::session::is_session_name;
use super::{Rrsa, Subject};
use crate::provider::alibaba::endpoint::{self, Network};
use crate::provider::endpoint::{Endpoint, EndpointError, EndpointPolicy};

const ROLE_ARN: &str = "ALIBABA_CLOUD_ROLE_ARN";
const PROVIDER_ARN: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const TOKEN_FILE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";
const STS_ENDPOINT: &str = "ALIBABA_CLOUD_STS_ENDPOINT";
const STS_REGION: &str = "ALIBABA_CLOUD_STS_REGION";
const VPC_ENDPOINT: &str = "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED";
const SESSION_NAME: &str = "ALIBABA_CLOUD_ROLE_SESSION_NAME";

/// Everything that is kept, beside what the [`chain`] reads.
const KEPT: [&str; 7] = [
    ROLE_ARN,
    PROVIDER_ARN,
    TOKEN_FILE,
    STS_ENDPOINT,
    STS_REGION,
    VPC_ENDPOINT,
    SESSION_NAME,
];

/// The variables of the operator's environment that concern its identity.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, SecretString>);

/// What a store says about the STS its identities use.
#[derive(Debug, Clone, Copy)]
pub struct StsChoice<'a> {
    /// The store's `stsEndpoint`, which wins over everything else.
    pub endpoint: Option<&'a str>,
    /// The store's region.
    pub region: &'a str,
    /// The store's network.
    pub network: Network,
}

/// Why the operator's own identity cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// No variable is set.
    #[error(
        "the operator has no identity of its own: set ALIBABA_CLOUD_ROLE_ARN, \
         ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE in its Pod, or see \
         docs/identities-alibaba.md for what else may be one"
    )]
    Absent,
    /// Some variables are set and this one is not.
    #[error("the operator's own identity is incomplete: {0} is not set")]
    Missing(&'static str),
    /// A variable cannot be what it says.
    #[error("the operator's own identity is broken: {name} {problem}")]
    Broken {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The STS endpoint is refused.
    #[error("{name}: {error}")]
    Endpoint {
        /// The variable or field that names it.
        name: &'static str,
        /// Why.
        error: EndpointError,
    },
}

// === impl Environment ===

impl Environment {
    /// An environment of these variables. Blank ones count as not set.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = variables
            .into_iter()
            .filter(|(name, _)| KEPT.contains(&&**name) || chain::KEPT.contains(&&**name))
            .map(|(name, value)| (name, SecretString::from(value.trim())));
        let mut set: BTreeMap<String, SecretString> = ours.collect();
        set.retain(|_, value| !value.expose_secret().is_empty());
        Self(set)
    }

    /// The operator's own role and token file, if any of their variables is set. `session_name` is
    /// the session's name where `ALIBABA_CLOUD_ROLE_SESSION_NAME` gives none.
    ///
    /// # Errors
    /// What is missing or broken.
    pub(super) fn rrsa(
        &self,
        sts: &StsChoice<'_>,
        session_name: &str,
        policy: &EndpointPolicy,
    ) -> Result<Option<Rrsa>, EnvironmentError> {
        let identity = [ROLE_ARN, PROVIDER_ARN, TOKEN_FILE];
        if identity.iter().all(|name| self.get(name).is_none()) {
            return Ok(None);
        }
        let role_arn = self.arn(ROLE_ARN, ":role/")?;
        let provider_arn = self.provider_arn()?;
        let rrsa = self.with_role(role_arn, provider_arn, sts, session_name, policy)?;
        Ok(Some(rrsa))
    }

    /// The OIDC provider that the operator's environment names.
    ///
    /// # Errors
    /// When it is missing or broken.
    pub fn provider_arn(&self) -> Result<&str, EnvironmentError> {
        self.arn(PROVIDER_ARN, ":oidc-provider/")
    }

    /// A store's role, entered with the operator's own token file.
    ///
    /// # Errors
    /// What is missing or broken.
    pub fn with_role(
        &self,
        role_arn: &str,
        provider_arn: &str,
        sts: &StsChoice<'_>,
        session_name: &str,
        policy: &EndpointPolicy,
    ) -> Result<Rrsa, EnvironmentError> {
        let session_name = self.get(SESSION_NAME).unwrap_or(session_name);
        if !is_session_name(session_name) {
            let problem = "must be 2 to 64 letters, digits, dots, @, _ or -";
            return Err(broken(SESSION_NAME, problem));
        }
        Ok(Rrsa {
            role_arn: role_arn.to_owned(),
            provider_arn: provider_arn.to_owned(),
            subject: Subject::TokenFile {
                path: self.token_file()?,
            },
            sts: self.sts(sts, policy)?,
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
    pub fn sts(
        &self,
        choice: &StsChoice<'_>,
        policy: &EndpointPolicy,
    ) -> Result<Endpoint, EnvironmentError> {
        let StsChoice {
            endpoint,
            region,
            network,
        } = *choice;
        let (name, found) = match (endpoint, self.get(STS_ENDPOINT), self.get(STS_REGION)) {
            (None, Some(url), _) if url.contains("://") => (
                STS_ENDPOINT,
                endpoint::sts(policy, Some(url), region, network),
            ),
            (None, Some(host), _) => {
                let url = format!("https://{host}");
                (
                    STS_ENDPOINT,
                    endpoint::sts(policy, Some(&url), region, network),
                )
            }
            (None, None, Some(region)) => {
                let network = self.network()?;
                (STS_REGION, endpoint::sts(policy, None, region, network))
            }
            _ => (
                "stsEndpoint",
                endpoint::sts(policy, endpoint, region, network),
            ),
        };
        found.map_err(|error| EnvironmentError::Endpoint { name, error })
    }

    fn token_file(&self) -> Result<PathBuf, EnvironmentError> {
        self.path(TOKEN_FILE)?
            .ok_or(EnvironmentError::Missing(TOKEN_FILE))
    }

    pub(super) fn path(&self, name: &'static str) -> Result<Option<PathBuf>, EnvironmentError> {
        match self.get(name).map(PathBuf::from) {
            Some(path) if !path.is_absolute() => Err(broken(name, "must be an absolute path")),
            path => Ok(path),
        }
    }

    fn network(&self) -> Result<Network, EnvironmentError> {
        if self.switch(VPC_ENDPOINT)? {
            Ok(Network::Vpc)
        } else {
            Ok(Network::Public)
        }
    }

    /// A variable that is `true`, or `false` like one that is not set.
    pub(super) fn switch(&self, name: &'static str) -> Result<bool, EnvironmentError> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            Some("true") => Ok(true),
            None | Some("false") => Ok(false),
            Some(_) => Err(broken(name, "must be true or false")),
        }
    }

    fn arn(&self, name: &'static str, kind: &str) -> Result<&str, EnvironmentError> {
        let arn = self.get(name).ok_or(EnvironmentError::Missing(name))?;
        if arn.starts_with("acs:ram::") && arn.contains(kind) {
            Ok(arn)
        } else {
            Err(broken(
                name,
                "is not the ARN it should be, acs:ram::ACCOUNT:...",
            ))
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

pub(super) fn broken(name: &'static str, problem: &'static str) -> EnvironmentError {
    EnvironmentError::Broken { name, problem }
}

#[cfg(test)]
mod tests;
