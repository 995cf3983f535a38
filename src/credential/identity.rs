//! Identities: all the material that decides who we are to a cloud, and the name it goes by.
//!
//! An identity is data. It mints no token, reads no file and calls nobody.

use std::sync::Arc;

use super::{Credentials, IdentityId, Source};
use crate::digest::{DigestKey, Domain};

/// Material and the [`IdentityId`] it comes to.
#[derive(Debug)]
pub struct Identity {
    id: IdentityId,
    source: Source,
}

// === impl Identity ===

impl Identity {
    /// The identity that `source` makes, named by a digest of all of it.
    pub fn new(source: Source, key: &DigestKey) -> Self {
        let id = IdentityId(source.digest(key));
        Self { id, source }
    }

    /// The same, where `site` knows nothing of what another site of the cloud knows: what it says of the
    /// identity holds for it alone.
    pub fn at(site: Option<&str>, source: Source, key: &DigestKey) -> Self {
        let alone = Self::new(source, key);
        let id = site.map_or(alone.id, |site| {
            let parts = [site.as_bytes(), alone.id.0.as_bytes()];
            IdentityId(key.digest(Domain::Identity, &parts))
        });
        Self { id, ..alone }
    }

    /// Its name. Credentials and values are shared only between equal ones.
    pub fn id(&self) -> IdentityId {
        self.id
    }

    /// Where its credentials come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The identity whose credentials are needed to get this one's.
    pub fn base(&self) -> Option<&Arc<Self>> {
        match &self.source {
            Source::AssumedRole(role) => Some(&role.base),
            _ => None,
        }
    }

    /// The identity that everything begins with: the base of its base, and so on.
    pub fn first(self: &Arc<Self>) -> &Arc<Self> {
        let mut first = self;
        while let Some(base) = first.base() {
            first = base;
        }
        first
    }

    /// The number of the cloud account whose quotas it uses, where the material tells.
    pub fn account(&self) -> Option<&str> {
        self.source.account()
    }

    /// The kind of its source in metrics, such as `rrsa`.
    pub fn kind(&self) -> &'static str {
        self.source.kind()
    }

    /// Its credentials, where they are part of the material.
    pub(super) fn fixed(&self) -> Option<Credentials> {
        match &self.source {
            Source::AccessKey(key) => Some(key.credentials()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
