//! Roles that another identity enters: one hop, and a chain of them where the other one is a hop too.

use std::sync::Arc;

use super::Material;
use crate::credential::{Assume, Identity, TokenService};
use crate::digest::{Digest, DigestKey};

/// A role that `base` enters with STS's `AssumeRole`.
///
/// Its credentials end with this hop alone; renewing them needs usable ones of `base`, which are an
/// identity of their own, cached and shared as such.
#[derive(Debug, Clone)]
pub struct AssumedRole {
    /// Who enters the role.
    pub base: Arc<Identity>,
    /// The role.
    pub role_arn: String,
    /// What the role's owner asks callers to say: 2 to 1224 of `[A-Za-z0-9_+=,.@:/-]`.
    pub external_id: Option<String>,
    /// The name of the session: 2 to 64 of `[A-Za-z0-9.@_-]`.
    pub session_name: String,
    /// How long credentials shall live, in seconds; absent: an hour.
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the role's.
    pub policy: Option<String>,
    /// The STS that is called.
    pub sts: TokenService,
}

// === impl AssumedRole ===

impl AssumedRole {
    /// What the token service is asked for.
    pub(in crate::credential) fn request(&self) -> Assume<'_> {
        Assume {
            sts: &self.sts,
            role_arn: &self.role_arn,
            external_id: self.external_id.as_deref(),
            session_name: &self.session_name,
            duration_seconds: self.duration_seconds,
            policy: self.policy.as_deref(),
        }
    }

    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        let base = self.base.id().0;
        let duration = self.duration_seconds.map(|seconds| seconds.to_string());
        Material::new("assumeRole")
            .bytes(base.as_bytes())
            .part(&self.role_arn)
            .optional(self.external_id.as_deref())
            .part(&self.session_name)
            .optional(duration.as_deref())
            .optional(self.policy.as_deref())
            .sts(&self.sts)
            .digest(key)
    }
}
