//! Where the credentials of an identity come from: one file per kind of source, all of them data.

mod access_key;
mod assumed_role;
mod instance_role;
mod web_identity;

use super::alibaba::{CredentialsUri, Profile};
use super::cloud::{CloudRef, TokenService};
use crate::digest::{Digest, DigestKey, Domain};

pub use access_key::AccessKey;
pub use assumed_role::AssumedRole;
pub use instance_role::InstanceRole;
pub use web_identity::{Audience, ServiceAccount, Subject, WebIdentity};

/// Where the credentials of an identity come from: exactly one place.
#[derive(Debug, Clone)]
pub enum Source {
    /// A long-lived access key, or temporary credentials that somebody else renews.
    AccessKey(AccessKey),
    /// A token of the cluster, exchanged for the credentials of a role.
    WebIdentity(WebIdentity),
    /// A role that another identity enters.
    AssumedRole(AssumedRole),
    /// The role of the machine that the operator runs on.
    InstanceRole(InstanceRole),
    /// A profile in a file of the operator's own.
    Profile(Profile),
    /// A URL that the operator's environment names.
    CredentialsUri(CredentialsUri),
}

/// The parts of an identity's material, in an encoding that sets absent ones apart from empty ones.
pub(super) struct Material<'a>(Vec<&'a [u8]>);

// === impl Source ===

impl Source {
    /// The keyed digest of all the material.
    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        match self {
            Self::AccessKey(source) => source.digest(key),
            Self::WebIdentity(source) => source.digest(key),
            Self::AssumedRole(source) => source.digest(key),
            Self::InstanceRole(source) => source.digest(key),
            Self::Profile(source) => source.digest(key),
            Self::CredentialsUri(source) => source.digest(key),
        }
    }

    /// The number of the cloud account whose quotas are used, where the material tells.
    pub(super) fn account(&self) -> Option<&str> {
        match self {
            Self::WebIdentity(source) => source.sts.cloud().role_account(&source.role_arn),
            Self::AssumedRole(source) => source.sts.cloud().role_account(&source.role_arn),
            Self::AccessKey(_)
            | Self::InstanceRole(_)
            | Self::Profile(_)
            | Self::CredentialsUri(_) => None,
        }
    }

    /// The kind in metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::AccessKey(_) => "accessKey",
            Self::WebIdentity(source) => source.sts.cloud().token_kind(),
            Self::AssumedRole(_) => "assumeRole",
            Self::InstanceRole(_) => "instanceRole",
            Self::Profile(_) => "profile",
            Self::CredentialsUri(_) => "credentialsUri",
        }
    }
}

// === impl Material ===

impl<'a> Material<'a> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self(vec![kind.as_bytes()])
    }

    pub(super) fn part(mut self, part: &'a str) -> Self {
        self.0.push(part.as_bytes());
        self
    }

    /// The cloud, its token service, and the region that this is told.
    fn sts(self, sts: &'a TokenService) -> Self {
        let told = self.part(sts.endpoint.as_str());
        match &sts.region {
            Some(region) => told.part(region).cloud(sts.cloud),
            None => told,
        }
    }

    fn cloud(self, cloud: CloudRef) -> Self {
        self.part(cloud.0.name())
    }

    pub(super) fn bytes(mut self, part: &'a [u8]) -> Self {
        self.0.push(part);
        self
    }

    pub(super) fn optional(self, part: Option<&'a str>) -> Self {
        match part {
            Some(part) => self.part("some").part(part),
            None => self.part("none").part(""),
        }
    }

    pub(super) fn digest(&self, key: &DigestKey) -> Digest {
        key.digest(Domain::Identity, &self.0)
    }
}
