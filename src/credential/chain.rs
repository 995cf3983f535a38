//! Which identity is the operator's own: the first source that is configured, and no other.
//!
//! What is configured is told from variables and flags alone, before anything is tried. A source that
//! is configured and broken is an error that names it; the next is never tried in its place, and the
//! answer does not depend on what worked before.

use secrecy::SecretString;

use super::environment::broken;
use super::surroundings::is_role_name;
use super::{
    AccessKey, CredentialsUri, Environment, EnvironmentError, InstanceRole, Metadata, Profile,
    Source, StsChoice,
};
use crate::provider::endpoint::EndpointPolicy;

const KEY_ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const KEY_SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const KEY_TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
const FILE: &str = "ALIBABA_CLOUD_CREDENTIALS_FILE";
const PROFILE: &str = "ALIBABA_CLOUD_PROFILE";
const URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
const METADATA_ROLE: &str = "ALIBABA_CLOUD_ECS_METADATA";
const METADATA_DISABLED: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";
const V1_DISABLED: &str = "ALIBABA_CLOUD_IMDSV1_DISABLED";

/// The variables that are read here.
pub(super) const KEPT: [&str; 9] = [
    KEY_ID,
    KEY_SECRET,
    KEY_TOKEN,
    FILE,
    PROFILE,
    URI,
    METADATA_ROLE,
    METADATA_DISABLED,
    V1_DISABLED,
];

// === impl Environment ===

impl Environment {
    /// The operator's own identity: the first of these that is configured.
    ///
    /// 1. An access key in `ALIBABA_CLOUD_ACCESS_KEY_ID`, `_SECRET` and `_SECURITY_TOKEN`.
    /// 2. RRSA, by `ALIBABA_CLOUD_ROLE_ARN`, `_OIDC_PROVIDER_ARN` and `_OIDC_TOKEN_FILE`.
    /// 3. The profile `ALIBABA_CLOUD_PROFILE` of the file `ALIBABA_CLOUD_CREDENTIALS_FILE`.
    /// 4. The instance's role, where `instance_role` says that it is enabled.
    /// 5. `ALIBABA_CLOUD_CREDENTIALS_URI`.
    ///
    /// `session_name` is the session's name where the environment gives none.
    ///
    /// # Errors
    /// What is missing or broken of that one, or that none is configured.
    pub fn operator(
        &self,
        sts: &StsChoice<'_>,
        session_name: &str,
        instance_role: bool,
        policy: &EndpointPolicy,
    ) -> Result<Source, EnvironmentError> {
        if let Some(key) = self.access_key()? {
            return Ok(Source::AccessKey(key));
        }
        if let Some(rrsa) = self.rrsa(sts, session_name, policy)? {
            return Ok(Source::Rrsa(rrsa));
        }
        if let Some(path) = self.path(FILE)? {
            return Ok(Source::Profile(Profile {
                path,
                name: self.get(PROFILE).unwrap_or("default").to_owned(),
                sts: self.sts(sts, policy)?,
                session_name: session_name.to_owned(),
            }));
        }
        if instance_role && !self.switch(METADATA_DISABLED)? {
            return self.instance_role(None).map(Source::InstanceRole);
        }
        if let Some(uri) = self.get(URI) {
            let known = ["http://", "https://"];
            if !known.iter().any(|scheme| uri.starts_with(scheme)) {
                return Err(broken(URI, "must be a URL of http or https"));
            }
            let url = SecretString::from(uri);
            return Ok(Source::CredentialsUri(CredentialsUri { url }));
        }
        Err(EnvironmentError::Absent)
    }

    /// The instance's role: the one of this name, else of `ALIBABA_CLOUD_ECS_METADATA`, else
    /// whichever the instance has.
    ///
    /// # Errors
    /// When `ALIBABA_CLOUD_ECS_METADATA_DISABLED` forbids it, or the name cannot be one.
    pub fn instance_role(&self, name: Option<&str>) -> Result<InstanceRole, EnvironmentError> {
        if self.switch(METADATA_DISABLED)? {
            return Err(broken(METADATA_DISABLED, "forbids instance roles"));
        }
        let name = name.or_else(|| self.get(METADATA_ROLE));
        if name.is_some_and(|name| !is_role_name(name)) {
            return Err(broken(METADATA_ROLE, "is not the name of a role"));
        }
        Ok(InstanceRole {
            role_name: name.map(str::to_owned),
        })
    }

    /// How the metadata service at `url` is asked.
    ///
    /// # Errors
    /// When `ALIBABA_CLOUD_IMDSV1_DISABLED` is neither true nor false.
    pub fn metadata(&self, url: &str) -> Result<Metadata, EnvironmentError> {
        Ok(Metadata {
            url: url.trim_end_matches('/').to_owned(),
            allow_v1: !self.switch(V1_DISABLED)?,
        })
    }

    fn access_key(&self) -> Result<Option<AccessKey>, EnvironmentError> {
        let (id, secret) = (self.get(KEY_ID), self.get(KEY_SECRET));
        let token = self.get(KEY_TOKEN);
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Some(AccessKey {
                id: id.to_owned(),
                secret: SecretString::from(secret),
                token: token.map(SecretString::from),
            })),
            (None, None) if token.is_none() => Ok(None),
            (None, _) => Err(EnvironmentError::Missing(KEY_ID)),
            (_, None) => Err(EnvironmentError::Missing(KEY_SECRET)),
        }
    }
}

#[cfg(test)]
mod tests;
