//! Who we are to a cloud: identities, where their credentials come from, and the cache between.
//!
//! A configured identity that fails stays failed: nothing here falls back to a wider one.

mod alibaba;
mod cache;
mod callers;
mod cloud;
mod environment;
mod exchange;
mod files;
mod identity;
mod issued;
mod pace;
mod session;
mod source;
mod surroundings;
mod tencent;

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::digest::Digest;

pub use alibaba::{Alibaba, CredentialsUri, Profile};
pub use cache::{CredentialCache, OnRenewal};
pub use callers::Callers;
pub use cloud::{Action, Assume, CLOUDS, Caller, Cloud, CloudRef, OwnSession, TokenService};
pub use environment::{Environment, EnvironmentError};
pub use exchange::{Exchange, Exchanger, TokenMinter};
pub use files::{DiskFiles, Files};
pub use identity::Identity;
pub(crate) use issued::{AlibabaIssued, Issued, TencentIssued, TencentKey};
pub use session::session_name;
pub use source::{
    AccessKey, AssumedRole, Audience, InstanceRole, ServiceAccount, Source, Subject, WebIdentity,
};
pub use surroundings::{Metadata, Surroundings};
pub use tencent::Tencent;

/// Names an identity: the keyed digest of all its material. Two stores share credentials or values
/// only if these are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityId(pub Digest);

/// What a signed call needs.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id: not secret, but not logged either.
    pub access_key_id: String,
    /// The secret the signature is made with.
    pub access_key_secret: SecretString,
    /// The session token of temporary credentials.
    pub security_token: Option<SecretString>,
    /// When they end; absent for long-lived keys.
    pub expires_at: Option<Timestamp>,
}

// === impl Credentials ===

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("temporary", &self.security_token.is_some())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
