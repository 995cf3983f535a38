//! The role of the machine that the operator runs on. It comes from the operator's flags and
//! environment, or from a store that may use what is the operator's own.

use super::Material;
use crate::credential::CloudRef;
use crate::digest::{Digest, DigestKey};

/// The role of the instance that the operator runs on, from its metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRole {
    /// Whose instance it is.
    pub cloud: CloudRef,
    /// The role's name; absent: whichever the instance has.
    pub role_name: Option<String>,
}

// === impl InstanceRole ===

impl InstanceRole {
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        Material::new("instanceRole")
            .optional(self.role_name.as_deref())
            .cloud(self.cloud)
            .digest(key)
    }
}
