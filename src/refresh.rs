//! The refresh hub: it loops over *references*, so that a hundred objects which name one secret
//! cost one call.
//!
//! One row stands for each distinct (identity, address, key, version, stage). Rows come due at
//! wall-clock slots and leave in batches; objects say what they need, are woken when what they have
//! applied is no longer what was fetched, and then join their rows to get the values. The hub
//! remembers digests, never values, apart from the few seconds in which objects collect them.
//!
//! The table behind it (`table.rs`) is pure: it is told the time and the answers, and says what to
//! send next. [`Hub`] is the thin shell that really waits and calls.

mod account;
mod answer;
mod backlog;
mod call;
#[cfg(test)]
mod check;
mod departure;
mod detour;
mod figures;
mod group;
mod hub;
mod join;
mod ladder;
mod line;
mod outage;
mod park;
mod passing;
mod reader;
mod reclaim;
mod reference;
mod rounds;
mod row;
mod schedule;
mod search;
mod share;
mod subscribe;
mod subscriber;
mod table;
#[cfg(test)]
mod tests;
mod turn;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub use call::{CallFailure, CallObserver, Caller};
pub use hub::{Hub, HubFigures};
pub use row::{Held, Seen};
pub use table::Limits;

use crate::credential::Identity;
use crate::digest::Digest;
use crate::provider::{CallError, Provider, RemoteKey};

/// Where a reference is read: a provider and the identity that reads.
pub struct Origin {
    /// The store to ask.
    pub provider: Arc<dyn Provider>,
    /// Who asks.
    pub identity: Arc<Identity>,
}

/// What a store allows less of than the operator does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreLimits {
    /// Calls a second.
    pub per_second: Option<u32>,
    /// Calls at once.
    pub in_flight: Option<usize>,
}

/// What one entry of an object needs.
#[derive(Debug, Clone)]
pub struct Need {
    /// Where to read.
    pub origin: Arc<Origin>,
    /// What to read.
    pub key: RemoteKey,
    /// The store that it is read through.
    pub store: Arc<str>,
    /// What that store allows.
    pub limits: StoreLimits,
    /// How often.
    pub interval: Duration,
    /// The digest of the value that the object's Secret holds, as far as known.
    pub applied: Option<Digest>,
}

/// The most regions that one entry may be read in.
pub const MOST_REGIONS: u8 = 3;

/// The object that needs rows. Many tables hold its key, so they share what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<ObjectName>);

/// What an [`ObjectKey`] is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its namespace, by which the fast lane is fair.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// 0 for the object itself; what it needs of the n-th other region is subscribed apart.
    rank: u8,
}

/// What is known of one reference without asking.
#[derive(Debug, Clone)]
pub enum View {
    /// It was not read yet.
    Unknown,
    /// The last due read worked.
    Fresh(Seen),
    /// The last due read failed, first with this error.
    Failed(Arc<CallError>),
}

/// How an object joins its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Join {
    /// Read even what was read or failed a moment ago, because a person asked: the hash of the
    /// request. Once answered in full, the same request is an ordinary one.
    pub anew: Option<u64>,
    /// Read what failed again, although its time has not come: the object changed.
    pub retry: bool,
}

/// What an object gets for joining its rows.
#[derive(Debug)]
pub enum Joined {
    /// The answers, in the order of the object's needs.
    Ready(Vec<Result<Arc<Held>, Arc<CallError>>>),
    /// Calls are under way; the object is woken when the last has come back.
    Pending,
}

// === impl Origin ===

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Origin({:?} as {:?})",
            self.provider.address(),
            self.identity.id()
        )
    }
}

// === impl ObjectKey ===

impl ObjectKey {
    /// The key of `namespace/name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(Arc::new(ObjectName {
            namespace: namespace.into(),
            name: name.into(),
            rank: 0,
        }))
    }

    /// The key of what has the name `name` in the same namespace.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        let same = *self.name == *name;
        if same && self.rank == 0 {
            return self.clone();
        }
        Self(Arc::new(ObjectName {
            namespace: Arc::clone(&self.namespace),
            name: if same {
                Arc::clone(&self.name)
            } else {
                name.into()
            },
            rank: 0,
        }))
    }

    /// The same object where it asks its `rank`-th other region. Whatever wakes that wakes the object.
    #[must_use]
    pub fn elsewhere(&self, rank: u8) -> Self {
        let name = ObjectName::clone(self);
        Self(Arc::new(ObjectName { rank, ..name }))
    }
}

impl Deref for ObjectKey {
    type Target = ObjectName;

    fn deref(&self) -> &ObjectName {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
