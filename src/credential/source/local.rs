//! Sources on the operator's own machine: its role, a profile in a file, and a URL beside it. They
//! come from the operator's flags and environment, never from a tenant.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::Material;
use crate::digest::{Digest, DigestKey};
use crate::provider::endpoint::Endpoint;

/// The role of the instance that the operator runs on, from its metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRole {
    /// The role's name; absent: whichever the instance has.
    pub role_name: Option<String>,
}

/// A profile in a credentials file, which is read anew at each exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Where the file is.
    pub path: PathBuf,
    /// The profile's name.
    pub name: String,
    /// The STS that is called where the profile names a role.
    pub sts: Endpoint,
    /// The name of the session where the profile gives none.
    pub session_name: String,
}

/// A URL that answers with credentials, asked anew at each exchange.
#[derive(Clone)]
pub struct CredentialsUri {
    /// The URL. It is as secret as what it gives: anybody who knows it may ask.
    pub url: SecretString,
}

// === impl InstanceRole ===

impl InstanceRole {
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        Material::new("instanceRole")
            .optional(self.role_name.as_deref())
            .digest(key)
    }
}

// === impl Profile ===

impl Profile {
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        Material::new("profile")
            .part(&self.path.to_string_lossy())
            .part(&self.name)
            .part(self.sts.as_str())
            .part(&self.session_name)
            .digest(key)
    }
}

// === impl CredentialsUri ===

impl CredentialsUri {
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        Material::new("credentialsUri")
            .part(self.url.expose_secret())
            .digest(key)
    }
}

impl fmt::Debug for CredentialsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsUri")
    }
}
