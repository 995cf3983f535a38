//! Which identity is the operator's own: the first source that is configured, and no other.
//!
//! What is configured is told from variables and flags alone, before anything is tried. A source that
//! is configured and broken is an error that names it; the next is never tried in its place, and the
//! answer does not depend on what worked before.

use secrecy::SecretString;

use super::{Alibaba, CredentialsUri, Profile, environment};
use crate::credential::cloud::{CloudRef, OwnSession};
use crate::credential::environment::{Environment, EnvironmentError, broken};
use crate::credential::surroundings::{Metadata, is_role_name};
use crate::credential::{InstanceRole, Source};

pub(super) const KEY: [&str; 3] = [
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
];
pub(super) const FILE: &str = "ALIBABA_CLOUD_CREDENTIALS_FILE";
pub(super) const PROFILE: &str = "ALIBABA_CLOUD_PROFILE";
pub(super) const URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
pub(super) const METADATA_ROLE: &str = "ALIBABA_CLOUD_ECS_METADATA";
pub(super) const METADATA_DISABLED: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
pub(super) const V1_DISABLED: &str = "ALIBABA_CLOUD_IMDSV1_DISABLED";

/// What to do where none is configured.
const ABSENT: EnvironmentError = EnvironmentError::Absent(
    "ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE in \
     its Pod, or see docs/identities-alibaba.md for what else may be one",
);

/// The operator's own identity: the first of these that is configured.
///
/// 1. An access key in `ALIBABA_CLOUD_ACCESS_KEY_ID`, `_SECRET` and `_SECURITY_TOKEN`.
/// 2. RRSA, by `ALIBABA_CLOUD_ROLE_ARN`, `_OIDC_PROVIDER_ARN` and `_OIDC_TOKEN_FILE`.
/// 3. The profile `ALIBABA_CLOUD_PROFILE` of the file `ALIBABA_CLOUD_CREDENTIALS_FILE`.
/// 4. The instance's role, where `instance` says that it is enabled.
/// 5. `ALIBABA_CLOUD_CREDENTIALS_URI`.
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
    if let Some(rrsa) = environment::rrsa(own, session)? {
        return Ok(Source::WebIdentity(rrsa));
    }
    if let Some(path) = own.path(FILE)? {
        return Ok(Source::Profile(Profile {
            path,
            name: own.get(PROFILE).unwrap_or("default").to_owned(),
            sts: environment::sts(own, session)?,
            session_name: session.name.to_owned(),
        }));
    }
    if instance && !own.switch(METADATA_DISABLED)? {
        return instance_role(own, None).map(Source::InstanceRole);
    }
    if let Some(uri) = own.get(URI) {
        let known = ["http://", "https://"];
        if !known.iter().any(|scheme| uri.starts_with(scheme)) {
            return Err(broken(URI, "must be a URL of http or https"));
        }
        let url = SecretString::from(uri);
        return Ok(Source::CredentialsUri(CredentialsUri { url }));
    }
    Err(ABSENT)
}

/// The instance's role: the one of this name, else of `ALIBABA_CLOUD_ECS_METADATA`, else
/// whichever the instance has.
///
/// # Errors
/// When `ALIBABA_CLOUD_ECS_METADATA_DISABLED` forbids it, or the name cannot be one.
pub(super) fn instance_role(
    own: &Environment,
    name: Option<&str>,
) -> Result<InstanceRole, EnvironmentError> {
    if own.switch(METADATA_DISABLED)? {
        return Err(broken(METADATA_DISABLED, "forbids instance roles"));
    }
    let name = name.or_else(|| own.get(METADATA_ROLE));
    if name.is_some_and(|name| !is_role_name(name)) {
        return Err(broken(METADATA_ROLE, "is not the name of a role"));
    }
    Ok(InstanceRole {
        cloud: CloudRef(&Alibaba),
        role_name: name.map(str::to_owned),
    })
}

// === impl Environment ===

impl Environment {
    /// How metadata services are asked, all of them at `url` where there is one.
    ///
    /// # Errors
    /// When `ALIBABA_CLOUD_IMDSV1_DISABLED` is neither true nor false.
    pub fn metadata(&self, url: Option<&str>) -> Result<Metadata, EnvironmentError> {
        Ok(Metadata {
            url: url.map(|url| url.trim_end_matches('/').to_owned()),
            allow_v1: !self.switch(V1_DISABLED)?,
        })
    }
}

#[cfg(test)]
mod tests;
