//! Where values come from: one small trait, whose primitive is the batch.
//!
//! A provider makes calls and understands answers. It never caches, retries, limits or logs a
//! value: the [`refresh`](crate::refresh) hub does these once, for every provider.

pub mod alibaba;
pub mod code;
mod config;
mod decode;
mod edge;
pub mod endpoint;
mod error;
pub(crate) mod hex;
pub mod registry;
pub mod tencent;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use config::ConfigError;
pub use edge::{Edge, Random};
pub use error::{CallError, Class, Detail, Name};

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
    /// When the cloud itself will change it, as far as it says.
    pub rotation: Option<Rotation>,
    /// Why it may not be what was meant.
    pub caveat: Option<Caveat>,
}

/// Why a value may not be the one that was meant: what people should know who read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caveat {
    /// A fixed version was read, for the secret's kind may not be asked about.
    KindHidden,
    /// A fixed version was read, for the secret's versions may not be listed.
    VersionsHidden,
}

/// How the cloud rotates a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Whether it rotates by itself.
    pub automatic: bool,
    /// When it rotates next.
    pub next: Option<Timestamp>,
    /// How long lies between two rotations.
    pub interval: Option<Duration>,
}

/// Which names [`Provider::list`] gives: those that meet everything that is said here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The hierarchy or prefix that names start with.
    pub path: Option<String>,
    /// Tags that must all be there, with these values.
    pub tags: BTreeMap<String, String>,
}

/// One name of a list, and its value where the cloud's list call brings values along.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What to read it by.
    pub key: RemoteKey,
    /// The value, if the list brought it.
    pub answer: Option<Answer>,
}

/// Something about a provider that people should hear of once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The batch call was given up for single reads, for an hour at least.
    BatchWithdrawn,
    /// Our clock is so far off the cloud's that calls are dated by the cloud's.
    ClockOff,
}

/// What the cloud said to one key of a batch.
pub type Answer = Result<Fetched, CallError>;

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The most keys one call may carry; 1 where the cloud has no batch call.
    pub batch: usize,
}

/// What a cloud counts calls by, and how many it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The name of the calls that are counted together.
    pub name: &'static str,
    /// What they are counted by besides the account: a region, or a host of one's own.
    pub scope: String,
    /// Calls a second of one account; absent where there is no limit.
    pub per_second: Option<u32>,
}

/// A call for a key that is no plain read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detour {
    /// The quota that it uses up.
    pub quota: Quota,
    /// It reads nothing yet: [`Provider::learn`] is to be called, and then this is asked again.
    pub learns: bool,
}

/// One configured secret store of a cloud: an [`Address`] and the calls it understands.
pub trait Provider: Send + Sync + 'static {
    /// The provider's name in the API and in metrics, such as `oos`.
    fn name(&self) -> &'static str;

    /// What makes this store's answers different from another's.
    fn address(&self) -> &Address;

    /// The host that is called. What calls are counted by is [`quota`](Self::quota).
    fn host(&self) -> &str;

    /// The way to the host: the host, and by whom it is trusted where that is not the system. What
    /// goes wrong on one way says nothing of another.
    fn route(&self) -> &str {
        self.host()
    }

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// The quota that [`fetch`](Self::fetch) uses up, but for keys that need a
    /// [`detour`](Self::detour).
    fn quota(&self) -> Quota;

    /// The next call for `key`, if that is not a plain read: where something is to be learned first, such
    /// as which version is the newest, or where it is read under a quota of its own. What it is may be
    /// another after each call, and after a while. Such keys are not [`batchable`](Self::batchable).
    fn detour(&self, _key: &RemoteKey) -> Option<Detour> {
        None
    }

    /// Learns what [`detour`](Self::detour) says is to be learned about `key`, by one call. What it is
    /// stays here until it was used.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch), about `key`.
    fn learn<'a>(
        &'a self,
        _credentials: &'a Credentials,
        _key: &'a RemoteKey,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        async { Ok(()) }.boxed()
    }

    /// How many calls [`fetch`](Self::fetch) made beyond one each, since this was asked last.
    fn take_more_calls(&self) -> u32 {
        0
    }

    /// Whether `key` may travel in a batch. A key that may not is fetched alone.
    fn batchable(&self, key: &RemoteKey) -> bool;

    /// The cloud's name for the next call for `keys`, for the metrics label.
    fn action(&self, keys: &[RemoteKey]) -> &'static str;

    /// The spelling of `key` that stands for all that mean the same, so that they share one row.
    fn canonical(&self, key: RemoteKey) -> RemoteKey {
        key
    }

    /// Reads `keys` in one call: at most [`Capabilities::batch`] distinct keys, all of them
    /// [`batchable`](Self::batchable) unless it is exactly one. What was to be learned and was not is
    /// learned on the way.
    ///
    /// Answers come in the order of `keys`, one for each. A name in a batch's "missing" list is
    /// answered with [`Class::NotFound`]; a name that the answer does not mention at all is
    /// [`Class::Protocol`].
    ///
    /// A provider whose batch call turns out not to work reads the keys singly before it answers,
    /// says [`Notice::BatchWithdrawn`] and has a [`Capabilities::batch`] of 1 from then on; it takes
    /// more keys than that from those who had not yet noticed.
    ///
    /// # Errors
    /// An outer error means that the call was refused or failed as a whole and blames no key.
    /// Neither kind of error ever holds a value, a credential or text from a body.
    fn fetch<'a>(
        &'a self,
        credentials: &'a Credentials,
        keys: &'a [RemoteKey],
    ) -> BoxFuture<'a, Result<Vec<Answer>, CallError>>;

    /// Names what there is that meets `selection`, all pages of it, in the cloud's order and without
    /// duplicates. What the cloud filters too generously is filtered again here.
    ///
    /// # Errors
    /// The first page's that failed: a list is whole or an error. [`Class::Invalid`] with code
    /// `NoList` where the cloud has no list call.
    fn list<'a>(
        &'a self,
        _credentials: &'a Credentials,
        _selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Listed>, CallError>> {
        let detail = Detail::Fixed("this provider cannot list");
        let error = CallError::new(Class::Invalid, "NoList").with_detail(detail);
        async move { Err(error) }.boxed()
    }

    /// What people should hear of and nobody asked for yet. Each is given once.
    fn take_notice(&self) -> Option<Notice> {
        None
    }

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

// === impl Fetched ===

impl Fetched {
    /// A value of which nothing is known but its version.
    pub fn new(value: SecretBytes, version: Option<String>) -> Self {
        Self {
            value,
            version,
            rotation: None,
            caveat: None,
        }
    }
}

// === impl Caveat ===

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KindHidden => "ssm:DescribeSecret is denied, so the version SSM_Current is read",
            Self::VersionsHidden => {
                "ssm:ListSecretVersionIds is denied, so the version SSM_Current is read and not the newest"
            }
        })
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
