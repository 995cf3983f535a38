//! The operator's own environment, as far as it concerns its identities.
//!
//! The environment is passed in, and what its variables mean is each cloud's to say. A set of
//! variables that is incomplete or broken is an error that names the variable; nothing else is tried
//! instead.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::AccessKey;
use super::cloud::CLOUDS;
use crate::provider::endpoint::EndpointError;

/// The variables of the operator's environment that concern its identities.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, SecretString>);

/// Why the operator's own identity cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// No variable is set.
    #[error("the operator has no identity of its own: set {0}")]
    Absent(&'static str),
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
        let read = |name: &str| CLOUDS.iter().any(|cloud| cloud.variables().contains(&name));
        let ours = variables
            .into_iter()
            .filter(|(name, _)| read(name))
            .map(|(name, value)| (name, SecretString::from(value.trim())));
        let mut set: BTreeMap<String, SecretString> = ours.collect();
        set.retain(|_, value| !value.expose_secret().is_empty());
        Self(set)
    }

    /// The variable `name`, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(ExposeSecret::expose_secret)
    }

    /// A variable that is an absolute path.
    pub(super) fn path(&self, name: &'static str) -> Result<Option<PathBuf>, EnvironmentError> {
        match self.get(name).map(PathBuf::from) {
            Some(path) if !path.is_absolute() => Err(broken(name, "must be an absolute path")),
            path => Ok(path),
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

    /// The access key in three variables: its id, its secret, and the token of a temporary one.
    pub(super) fn access_key(
        &self,
        [id_in, secret_in, token_in]: [&'static str; 3],
    ) -> Result<Option<AccessKey>, EnvironmentError> {
        let (id, secret) = (self.get(id_in), self.get(secret_in));
        let token = self.get(token_in);
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Some(AccessKey {
                id: id.to_owned(),
                secret: SecretString::from(secret),
                token: token.map(SecretString::from),
            })),
            (None, None) if token.is_none() => Ok(None),
            (None, _) => Err(EnvironmentError::Missing(id_in)),
            (_, None) => Err(EnvironmentError::Missing(secret_in)),
        }
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
