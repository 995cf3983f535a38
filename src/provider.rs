//! Where values come from: one small trait, whose primitive is the batch.
//!
//! A provider makes calls and understands answers. It never caches, retries, limits or logs a
//! value: the [`refresh`](crate::refresh) hub does these once, for every provider.

pub mod alibaba;
mod edge;
pub mod endpoint;
mod error;
pub(crate) mod hex;
pub mod registry;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

pub use edge::{Edge, Random};
pub use error::{CallError, Class, Detail};

use crate::credential::Credentials;
use crate::secret_bytes::SecretBytes;

/// The whole normalised `provider` block of a store as one canonical string: final endpoint,
/// region, kind of parameter. Equal addresses mean that the same question gets the same answer.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Arc<str>);

/// What one read names, in the provider's own terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteKey {
    /// The name of the secret or parameter.
    pub key: String,
    /// An explicit version.
    pub version: Option<String>,
    /// A stage label, where the cloud has them.
    pub stage: Option<String>,
}

/// A value that arrived whole.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The value, decoded.
    pub value: SecretBytes,
    /// The version the cloud says it is.
    pub version: Option<String>,
}

/// What the cloud said to one key of a batch.
pub type Answer = Result<Fetched, CallError>;

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The most keys one call may carry; 1 where the cloud has no batch call.
    pub batch: usize,
}

/// One configured secret store of a cloud: an [`Address`] and the calls it understands.
pub trait Provider: Send + Sync + 'static {
    /// The provider's name in the API and in metrics, such as `oos`.
    fn name(&self) -> &'static str;

    /// What makes this store's answers different from another's.
    fn address(&self) -> &Address;

    /// The host that is called; calls to one host share limits.
    fn host(&self) -> &str;

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether `key` may travel in a batch. A key that may not is fetched alone.
    fn batchable(&self, key: &RemoteKey) -> bool;

    /// The cloud's name for the call that reads `count` keys, for the metrics label.
    fn action(&self, keys: &[RemoteKey]) -> &'static str;

    /// Reads `keys` in one call: at most [`Capabilities::batch`] distinct keys, all of them
    /// [`batchable`](Self::batchable) unless it is exactly one.
    ///
    /// Answers come in the order of `keys`, one for each. A name in a batch's "missing" list is
    /// answered with [`Class::NotFound`]; a name that the answer does not mention at all is
    /// [`Class::Protocol`].
    ///
    /// # Errors
    /// An outer error means that the call was refused or failed as a whole and blames no key.
    /// Neither kind of error ever holds a value, a credential or text from a body.
    fn fetch<'a>(
        &'a self,
        credentials: &'a Credentials,
        keys: &'a [RemoteKey],
    ) -> BoxFuture<'a, Result<Vec<Answer>, CallError>>;

    /// Asks the cloud who we are there, the cheapest proof that credentials work.
    fn check<'a>(&'a self, credentials: &'a Credentials) -> BoxFuture<'a, Result<(), CallError>>;
}

// === impl Address ===

impl Address {
    /// An address from `name=value` pairs, in the order given.
    pub fn new(provider: &str, parts: &[(&str, &str)]) -> Self {
        let part = |(name, value): &(&str, &str)| format!(";{name}={}:{value}", value.len());
        let parts: Vec<String> = parts.iter().map(part).collect();
        Self(format!("{provider}{}", parts.concat()).into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl RemoteKey ===

impl RemoteKey {
    /// A key without version or stage.
    pub fn named(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            version: None,
            stage: None,
        }
    }
}
