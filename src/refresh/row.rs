//! One reference at rest: what is known of it, who needs it, when it is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::passing::Passing;
use super::reference::KeptKey;
use super::schedule::Slots;
use super::subscriber::{Interval, Subscriber, Subscribers};
use crate::digest::Digest;
use crate::provider::{CallError, Caveat, Class, Fetched};

/// The shortest time between two reads of a row that nobody asks for: the floor of intervals.
const SOONEST: SignedDuration = SignedDuration::from_secs(10);

/// Names a row for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RowId(pub(super) u64);

/// Names an object that needs rows, for the life of its subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectId(pub(super) u64);

/// Names the rows of a reader that may share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupId(pub(super) u64);

/// Names an identity at an address, and all its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ReaderId(pub(super) u64);

/// Names the line of groups that share a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LineId(pub(super) u64);

/// What a row remembers of its last good answer. Never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The keyed digest of the value.
    pub digest: Digest,
    /// The version the cloud reported.
    pub version: Option<Arc<str>>,
    /// Why the value may not be the one that was meant.
    pub caveat: Option<Caveat>,
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
    /// What it failed for has ended: it may be read as early as a row that did not fail.
    pub over: bool,
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
    /// Due, in the retry or the periodic lane.
    Ripe,
    /// In the fast lane, or in a part of a batch that failed.
    Queued,
    /// In a batch that has left.
    InFlight,
}

/// One distinct (identity, address, key, version, stage). There may be very many, so it is small.
#[derive(Debug)]
pub(super) struct Row {
    pub group: GroupId,
    pub key: KeptKey,
    /// By which the reference is known.
    pub digest: Digest,
    pub seen: Option<Seen>,
    /// Moves when the outcome changes its kind; subscribers that have not seen it are woken.
    pub epoch: u32,
    /// When it was last read well.
    pub fetched: Option<Instant>,
    /// The shortest interval anybody asked for.
    pub interval: Interval,
    /// The interval that its due time was taken from.
    pub scheduled: Option<Interval>,
    /// When it is due; absent when only a change can help.
    pub due: Option<Instant>,
    /// It is due because of something that happens then: a read before that would not do.
    pub exact: bool,
    pub place: Place,
    pub subscribers: Subscribers,
    /// What it has for a while only.
    pub(super) passing: Option<Box<Passing>>,
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

    /// What is remembered of the value.
    pub fn seen(&self) -> Seen {
        Seen {
            digest: self.digest,
            version: self.fetched.version.as_deref().map(Arc::from),
            caveat: self.fetched.caveat,
        }
    }

    /// A value of no hub, for tests of what is made of values.
    #[cfg(test)]
    pub(crate) fn alone(value: &str, digest: Digest) -> Arc<Self> {
        let value = value.to_owned().into();
        let version = Some("1".to_owned());
        let fetched = Fetched::new(value, version);
        Arc::new(Self::new(fetched, digest, Instant::now(), &Arc::default()))
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
    pub fn new(group: GroupId, key: KeptKey, digest: Digest) -> Self {
        Self {
            group,
            key,
            digest,
            seen: None,
            epoch: 0,
            fetched: None,
            interval: Interval::MAX,
            scheduled: None,
            due: None,
            exact: false,
            place: Place::Resting,
            subscribers: Subscribers::None,
            passing: None,
        }
    }

    pub fn slots(&self) -> Slots {
        Slots::new(self.interval.into(), self.hash())
    }

    /// By which rows are spread.
    pub fn hash(&self) -> u64 {
        self.digest.leading_u64()
    }

    /// When the row is read once more because the cloud rotates it at `next`: 1 to 5 s later, rows
    /// spread over that time, and not within 10 s of now.
    pub fn after_rotation(&self, next: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let wait = SignedDuration::from_millis(1_000 + i64::try_from(self.hash() % 4_000).ok()?);
        let then = next.checked_add(wait).ok().filter(|then| *then > now)?;
        // A cloud that always says "at once" is not read more often than anybody may ask for.
        Some(then.max(now.checked_add(SOONEST).ok()?))
    }

    /// Whether its endpoint's silence is all it waits for.
    pub fn waits_for_endpoint(&self) -> bool {
        let silent = |failure: &Failure| failure.error.class == Class::Unavailable;
        self.place == Place::Resting && self.due.is_none() && self.failure().is_some_and(silent)
    }

    /// Whether a read at `now` would satisfy its next due time.
    pub fn is_early(&self, due: Instant, now: Instant) -> bool {
        let well = self.failure().is_none_or(|failure| failure.over);
        well && !self.exact && due <= now + self.slots().early()
    }

    /// Whether everybody who needs the row holds the value of `digest`.
    pub fn is_applied(&self, digest: Digest) -> bool {
        let applied = |subscriber: &Subscriber| subscriber.applied == Some(digest);
        self.subscribers.as_slice().iter().all(applied)
    }

    /// What the object holds of the row, as far as known.
    pub fn applied(&self, object: ObjectId) -> Option<Digest> {
        self.subscribers.get(object)?.applied
    }

    /// Adds or replaces a subscriber; keeps what it had seen.
    pub fn subscribe(&mut self, object: ObjectId, interval: Duration, applied: Option<Digest>) {
        let interval = Interval::from(interval);
        let before = if let Some(subscriber) = self.subscribers.get_mut(object) {
            // What this process applied is newer than what a status says, which may not have
            // been written.
            subscriber.applied = subscriber.applied.or(applied);
            std::mem::replace(&mut subscriber.interval, interval)
        } else {
            self.subscribers.add(Subscriber {
                object,
                interval,
                applied,
                seen_epoch: self.epoch,
                waits: false,
            });
            Interval::MAX
        };
        if interval <= self.interval {
            self.interval = interval;
        } else if before == self.interval {
            self.find_interval();
        }
    }

    pub fn unsubscribe(&mut self, object: ObjectId) {
        if let Some(left) = self.subscribers.remove(object)
            && left.interval == self.interval
        {
            self.find_interval();
        }
    }

    /// The objects that wait for its next answer.
    pub fn waiters(&self) -> impl Iterator<Item = ObjectId> {
        let waits = |subscriber: &&Subscriber| subscriber.waits;
        let waiting = self.subscribers.as_slice().iter().filter(waits);
        waiting.map(|subscriber| subscriber.object)
    }

    /// Notes whether one of its subscribers waits for its next answer.
    pub fn set_waits(&mut self, object: ObjectId, waits: bool) {
        if let Some(subscriber) = self.subscribers.get_mut(object) {
            subscriber.waits = waits;
        }
    }

    fn find_interval(&mut self) {
        let all = self.subscribers.as_slice();
        if let Some(shortest) = all.iter().map(|s| s.interval).min() {
            self.interval = shortest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::RemoteKey;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_row_at_rest_is_small() {
        assert!(size_of::<Row>() <= 192, "{} bytes", size_of::<Row>());
    }

    #[test]
    fn the_shortest_interval_rules_for_as_long_as_it_is_asked_for() {
        let digest =
            crate::digest::DigestKey::new(&[7; 32]).digest(crate::digest::Domain::Phase, &[]);
        let mut row = Row::new(GroupId(1), KeptKey::new(RemoteKey::named("a")), digest);
        let seconds = |row: &Row| Duration::from(row.interval).as_secs();
        row.subscribe(ObjectId(1), MINUTE, None);
        row.subscribe(ObjectId(2), Duration::from_secs(10), None);
        assert_eq!(seconds(&row), 10);
        row.subscribe(ObjectId(2), Duration::from_secs(90), None);
        assert_eq!(seconds(&row), 60);
        row.unsubscribe(ObjectId(1));
        assert_eq!(seconds(&row), 90);
    }
}
