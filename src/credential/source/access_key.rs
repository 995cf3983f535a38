//! Access keys: credentials that are material themselves and are never exchanged.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::Material;
use crate::credential::Credentials;
use crate::digest::{Digest, DigestKey};

/// An access key as it stands in Secrets or in the operator's environment.
#[derive(Clone)]
pub struct AccessKey {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
    /// The session token, for temporary keys.
    pub token: Option<SecretString>,
}

// === impl AccessKey ===

impl AccessKey {
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        let token = self.token.as_ref().map(ExposeSecret::expose_secret);
        Material::new("accessKey")
            .part(&self.id)
            .part(self.secret.expose_secret())
            .optional(token)
            .digest(key)
    }

    /// The key as credentials whose end nobody knows.
    pub(in crate::credential) fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: self.id.clone(),
            access_key_secret: self.secret.clone(),
            security_token: self.token.clone(),
            expires_at: None,
        }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("temporary", &self.token.is_some())
            .finish_non_exhaustive()
    }
}
