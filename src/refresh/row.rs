//! One reference at rest: what is known of it, who needs it, when it is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::schedule::Slots;
use crate::digest::Digest;
use crate::provider::{CallError, Fetched, RemoteKey};

/// Names a row for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RowId(pub(super) u64);

/// Names an object that needs rows, for the life of its subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectId(pub(super) u64);

/// Names an (identity, address) pair whose rows may share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupId(pub(super) u64);

/// What a row remembers of its last good answer. Never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The keyed digest of the value.
    pub digest: Digest,
    /// The version the cloud reported.
    pub version: Option<Arc<str>>,
}

/// A streak of failures.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The first error of its kind in the streak, so that messages stay the same.
    pub error: Arc<CallError>,
    /// Failures in a row.
    pub count: u32,
    /// When the last one was answered.
    pub at: Instant,
    /// It is the identity that failed, so it ends when the identity works again.
    pub parked: bool,
}

/// What one object wants of one row.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub object: ObjectId,
    pub interval: Duration,
    /// The digest that is in the object's Secret.
    pub applied: Option<Digest>,
    /// The row's epoch when the object last looked.
    pub seen_epoch: u32,
}

/// A fetched value on its way into Secrets. Its bytes count against the hub's bound until the last
/// holder lets go.
#[derive(Debug)]
pub struct Held {
    /// The value and its version.
    pub fetched: Fetched,
    /// The keyed digest of the value.
    pub digest: Digest,
    /// When the call that brought it was sent.
    pub(super) sent: Instant,
    total: Arc<AtomicUsize>,
}

/// Where a row is between its fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Waiting for its due time.
    Resting,
    /// In the fast lane.
    Queued,
    /// Part of a batch that has left, and whether it is wanted again when that is back.
    InFlight { sent: Instant, again: bool },
}

/// One distinct (identity, address, key, version, stage).
#[derive(Debug)]
pub(super) struct Row {
    pub group: GroupId,
    pub key: Arc<RemoteKey>,
    pub hash: u64,
    pub seen: Option<Seen>,
    pub failure: Option<Failure>,
    /// Moves when the outcome changes its kind; subscribers that have not seen it are woken.
    pub epoch: u32,
    /// When it was last read well.
    pub fetched: Option<Timestamp>,
    /// The slots its due time was taken from.
    pub scheduled: Option<Slots>,
    /// When it is due; absent when only a change can help.
    pub due: Option<Instant>,
    pub place: Place,
    /// Until when it travels alone, because a batch failed for its sake.
    pub single_until: Option<Instant>,
    /// The last value, for a few seconds, while somebody may want it.
    pub value: Option<Arc<Held>>,
    pub subscribers: Vec<Subscriber>,
    pub waiters: Vec<ObjectId>,
}

// === impl Held ===

impl Held {
    pub(super) fn new(
        fetched: Fetched,
        digest: Digest,
        sent: Instant,
        total: &Arc<AtomicUsize>,
    ) -> Self {
        total.fetch_add(fetched.value.len(), Ordering::Relaxed);
        Self {
            fetched,
            digest,
            sent,
            total: Arc::clone(total),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total
            .fetch_sub(self.fetched.value.len(), Ordering::Relaxed);
    }
}

// === impl Row ===

impl Row {
    pub fn new(group: GroupId, key: Arc<RemoteKey>, hash: u64) -> Self {
        Self {
            group,
            key,
            hash,
            seen: None,
            failure: None,
            epoch: 0,
            fetched: None,
            scheduled: None,
            due: None,
            place: Place::Resting,
            single_until: None,
            value: None,
            subscribers: Vec::new(),
            waiters: Vec::new(),
        }
    }

    /// The shortest interval anybody asked for.
    pub fn interval(&self) -> Duration {
        self.subscribers
            .iter()
            .map(|s| s.interval)
            .min()
            .unwrap_or(Duration::from_secs(3_600))
    }

    pub fn slots(&self) -> Slots {
        Slots::new(self.interval(), self.hash)
    }

    /// Whether the row may leave in a batch with others at `now`.
    pub fn sociable(&self, now: Instant) -> bool {
        self.single_until.is_none_or(|until| until <= now)
    }

    pub fn subscriber(&mut self, object: ObjectId) -> Option<&mut Subscriber> {
        let at = self
            .subscribers
            .binary_search_by_key(&object, |s| s.object)
            .ok()?;
        self.subscribers.get_mut(at)
    }

    /// Adds or replaces a subscriber; keeps what it had seen.
    pub fn subscribe(&mut self, object: ObjectId, interval: Duration, applied: Option<Digest>) {
        match self.subscribers.binary_search_by_key(&object, |s| s.object) {
            Ok(at) => {
                self.subscribers[at].interval = interval;
                // What was applied is forgotten only for something newer.
                let known = self.subscribers[at].applied;
                self.subscribers[at].applied = applied.or(known);
            }
            Err(at) => {
                let seen_epoch = self.epoch;
                let subscriber = Subscriber {
                    object,
                    interval,
                    applied,
                    seen_epoch,
                };
                self.subscribers.insert(at, subscriber);
            }
        }
    }

    pub fn unsubscribe(&mut self, object: ObjectId) {
        if let Ok(at) = self.subscribers.binary_search_by_key(&object, |s| s.object) {
            self.subscribers.remove(at);
        }
        self.waiters.retain(|waiter| *waiter != object);
    }
}
