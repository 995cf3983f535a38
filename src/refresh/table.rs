//! The hub's state, and what is known of an object's rows.
//!
//! Nothing here waits, calls or reads a clock. Who needs what is in [`subscribe`](super::subscribe),
//! joining in [`join`](super::join), changes of group in [`detour`](super::detour), what answers mean in
//! [`answer`](super::answer), [`search`](super::search), [`park`](super::park) and
//! [`outage`](super::outage), whose turn it is in [`turn`](super::turn), and what leaves then in
//! [`departure`](super::departure).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashTable;
use jiff::Timestamp;
use tokio::time::Instant;

use super::group::Group;
use super::join::Waiting;
use super::line::Line;
use super::outage::Endpoint;
use super::park::Standing;
use super::reader::Reader;
use super::row::{GroupId, LineId, ObjectId, Place, ReaderId, Row, RowId};
use super::schedule::Gap;
use super::share::Shares;
use super::{ObjectKey, View};
use crate::credential::IdentityId;
use crate::digest::{Digest, DigestKey};
use crate::provider::Address;

/// How long after its call was sent a fetched value is shared with objects that join later.
pub(super) const KEEP: Duration = Duration::from_secs(5);

/// One moment on both clocks: slots are wall-clock, waiting is monotonic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub wall: Timestamp,
    pub at: Instant,
}

/// The hub's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Batches of one group in flight at once, where there are budgets.
    pub in_flight_per_group: usize,
    /// Batches in flight at once.
    pub in_flight: usize,
    /// Bytes of values that wait to be applied; a full hub takes few new batches.
    pub held_bytes: usize,
    /// The part of an account's documented quotas that is used; 0 means that there are no budgets.
    pub quota_share: f64,
}

/// What shares a budget: the account, the quota's name, and what the cloud counts it by.
pub(super) type LineKey = (Arc<str>, &'static str, Arc<str>);

/// What an object is subscribed to.
#[derive(Debug)]
pub(super) struct Object {
    pub key: ObjectKey,
    pub rows: Vec<RowId>,
    /// The stores with limits that it reads through, and where.
    pub limited: Vec<(ReaderId, Arc<str>)>,
    pub waiting: Option<Box<Waiting>>,
    /// The last request to read anew that was answered in full.
    pub handled: Option<u64>,
}

/// The rows, who needs them, and what is due.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) key: DigestKey,
    pub(super) limits: Limits,
    pub(super) rows: HashMap<RowId, Box<Row>>,
    pub(super) groups: HashMap<GroupId, Group>,
    pub(super) objects: HashMap<ObjectId, Object>,
    pub(super) identities: HashMap<IdentityId, Standing>,
    pub(super) endpoints: HashMap<Arc<str>, Endpoint>,
    pub(super) lines: HashMap<LineId, Line>,
    pub(super) line_ids: HashMap<LineKey, LineId>,
    /// The accounts of identities whose material does not tell.
    pub(super) accounts: HashMap<IdentityId, Arc<str>>,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) in_flight: usize,
    pub(super) shares: Shares,
    /// Rows whose value is kept for late joiners, in the order in which it expires.
    pub(super) keeping: BTreeSet<(Instant, RowId)>,
    /// Objects to wake, collected until the shell takes them.
    pub(super) wakes: BTreeSet<ObjectId>,
    /// Joins whose answers are complete, in the order in which they go out of date.
    pub(super) collecting: BTreeSet<(Instant, ObjectId)>,
    pub(super) object_ids: HashMap<ObjectKey, ObjectId>,
    /// By the digest of the reference, which is in the row: kept twice, it would be most of this.
    pub(super) row_ids: HashTable<RowId>,
    pub(super) readers: HashMap<ReaderId, Reader>,
    pub(super) reader_ids: HashMap<(IdentityId, Address), ReaderId>,
    /// Rows of which something was learned for the read that is to follow, and when that was asked.
    pub(super) learned: HashMap<RowId, Instant>,
    /// When each line has something to send. A time may have gone stale; it is checked again.
    pub(super) agenda: BTreeSet<(Instant, u64, LineId)>,
    /// How often an endpoint went out of reach or came back.
    pub(super) outages: u64,
    /// When nobody did this work before.
    pub(super) gap: Option<Gap>,
    last_id: u64,
}

// === impl Limits ===

impl Limits {
    /// With this part of the quotas, none to be as fast as the cloud, and this many bytes for values.
    pub fn new(quota_share: f64, held_bytes: usize) -> Self {
        Self {
            held_bytes,
            quota_share,
            ..Self::default()
        }
    }

    /// How many batches of one group may be in flight at once, of `most` rows each. Where no quota says how many
    /// calls may be made, more: above all of calls that read one value.
    pub fn in_flight_of(&self, most: usize) -> usize {
        let times = if self.quota_share > 0.0 {
            1
        } else if most == 1 {
            8
        } else {
            2
        };
        self.in_flight_per_group * times
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_per_group: 8,
            in_flight: 512,
            held_bytes: 16 << 20,
            quota_share: 0.2,
        }
    }
}

// === impl Table ===

impl Table {
    pub fn new(key: DigestKey, limits: Limits) -> Self {
        Self {
            key,
            limits,
            rows: HashMap::new(),
            groups: HashMap::new(),
            objects: HashMap::new(),
            identities: HashMap::new(),
            endpoints: HashMap::new(),
            lines: HashMap::new(),
            line_ids: HashMap::new(),
            accounts: HashMap::new(),
            held: Arc::default(),
            in_flight: 0,
            shares: Shares::default(),
            keeping: BTreeSet::new(),
            wakes: BTreeSet::new(),
            collecting: BTreeSet::new(),
            object_ids: HashMap::new(),
            row_ids: HashTable::new(),
            readers: HashMap::new(),
            reader_ids: HashMap::new(),
            learned: HashMap::new(),
            agenda: BTreeSet::new(),
            outages: 0,
            gap: None,
            last_id: 0,
        }
    }

    /// What is known of the object's rows, in the order of its needs, and marks it as seen.
    pub fn look(&mut self, object: &ObjectKey) -> Vec<View> {
        let Some((id, rows)) = self.rows_of(object) else {
            return Vec::new();
        };
        let view = |row: &mut Box<Row>| {
            let epoch = row.epoch;
            if let Some(subscriber) = row.subscribers.get_mut(id) {
                subscriber.seen_epoch = epoch;
            }
            match (row.failure(), &row.seen) {
                (Some(failure), _) => View::Failed(Arc::clone(&failure.error)),
                (None, Some(seen)) => View::Fresh(seen.clone()),
                (None, None) => View::Unknown,
            }
        };
        rows.iter()
            .map(|row| self.rows.get_mut(row).map_or(View::Unknown, view))
            .collect()
    }

    /// Whether a value was read that is not in the object's Secret.
    pub fn behind(&self, object: &ObjectKey) -> bool {
        let id = self.object_ids.get(object);
        let Some((id, entry)) = id.and_then(|id| Some((*id, self.objects.get(id)?))) else {
            return false;
        };
        let rows = entry.rows.iter().filter_map(|row| self.rows.get(row));
        let mut seen = rows.filter_map(|row| Some((row, row.seen.as_ref()?.digest)));
        seen.any(|(row, digest)| row.applied(id) != Some(digest))
    }

    /// Notes what is in the object's Secret now, in the order of its needs.
    pub fn applied(&mut self, object: &ObjectKey, digests: &[Option<Digest>]) {
        let Some((id, rows)) = self.rows_of(object) else {
            return;
        };
        let filling = self.held.load(Ordering::Relaxed) > self.limits.held_bytes / 2;
        for (row, digest) in rows.iter().zip(digests) {
            let Some(row) = self.rows.get_mut(row) else {
                continue;
            };
            if let Some(subscriber) = row.subscribers.get_mut(id) {
                subscriber.applied = *digest;
            }
            // A value that everybody has is a convenience; where room is short, it goes.
            if filling && row.value().is_some_and(|v| row.is_applied(v.digest)) {
                row.drop_value();
            }
        }
    }

    /// The objects that were woken since the last call.
    pub fn take_wakes(&mut self) -> Vec<ObjectKey> {
        let wakes = std::mem::take(&mut self.wakes);
        wakes
            .iter()
            .filter_map(|id| self.objects.get(id))
            .map(|o| o.key.elsewhere(0))
            .collect()
    }

    /// Gives a row a new due time.
    pub(super) fn set_due(&mut self, id: RowId, due: Option<Instant>, now: Instant) {
        if let Some(group) = self.put_due(id, due) {
            self.note(group, now);
        }
    }

    /// Gives a row a new due time; its group, which is returned, is to be noted.
    pub(super) fn put_due(&mut self, id: RowId, due: Option<Instant>) -> Option<GroupId> {
        let row = self.rows.get_mut(&id)?;
        let old = std::mem::replace(&mut row.due, due);
        let resting = row.place == Place::Resting;
        let group_id = row.group;
        if let Some(group) = self.groups.get_mut(&group_id) {
            if let Some(old) = old {
                group.queue.remove(&(old, id));
            }
            if let Some(due) = due.filter(|_| resting) {
                group.queue.insert((due, id));
            }
        }
        Some(group_id)
    }

    pub(super) fn rows_of(&self, object: &ObjectKey) -> Option<(ObjectId, Vec<RowId>)> {
        let id = *self.object_ids.get(object)?;
        Some((id, self.objects.get(&id)?.rows.clone()))
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
