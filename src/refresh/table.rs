//! The hub's state and what may be asked of it: subscribe, look, and take the next batch.
//!
//! Nothing here waits, calls or reads a clock. Joining is in [`join`](super::join), what answers
//! mean in [`answer`](super::answer).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::group::{Batch, Group};
use super::join::Waiting;
use super::row::{GroupId, ObjectId, Place, Row, RowId};
use super::schedule::until;
use super::{HubFigures, Need, ObjectKey, Origin, View};
use crate::credential::IdentityId;
use crate::digest::{Digest, DigestKey, Domain};
use crate::provider::{Address, CallError, RemoteKey};

/// One moment on both clocks: slots are wall-clock, waiting is monotonic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub wall: Timestamp,
    pub at: Instant,
}

/// The hub's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Batches of one group in flight at once.
    pub in_flight_per_group: usize,
    /// Batches in flight at once.
    pub in_flight: usize,
    /// Bytes of values that wait to be applied; a full hub takes no new batch.
    pub held_bytes: usize,
}

/// A batch that leaves now.
#[derive(Debug)]
pub(super) struct Departure {
    pub group: GroupId,
    pub origin: Arc<Origin>,
    pub batch: Batch,
    pub keys: Vec<RemoteKey>,
    pub sent: Instant,
}

/// An identity that failed: one probe goes out at a time, its rows wait.
#[derive(Debug)]
pub(super) struct Park {
    pub error: Arc<CallError>,
    pub failures: u32,
    pub until: Instant,
    pub probing: bool,
}

/// What an object is subscribed to.
#[derive(Debug)]
pub(super) struct Object {
    pub key: ObjectKey,
    pub rows: Vec<RowId>,
    pub waiting: Option<Waiting>,
}

/// The rows, who needs them, and what is due.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) key: DigestKey,
    pub(super) limits: Limits,
    pub(super) rows: HashMap<RowId, Row>,
    pub(super) groups: HashMap<GroupId, Group>,
    pub(super) objects: HashMap<ObjectId, Object>,
    pub(super) parked: HashMap<IdentityId, Park>,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) in_flight: usize,
    /// Rows whose value is kept for late joiners, in the order in which it expires.
    pub(super) keeping: BTreeSet<(Instant, RowId)>,
    /// Objects to wake, collected until the shell takes them.
    pub(super) wakes: BTreeSet<ObjectId>,
    object_ids: HashMap<ObjectKey, ObjectId>,
    row_ids: HashMap<(GroupId, Arc<RemoteKey>), RowId>,
    group_ids: HashMap<(IdentityId, Address), GroupId>,
    agenda: BTreeSet<(Instant, GroupId)>,
    last_id: u64,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_per_group: 8,
            in_flight: 512,
            held_bytes: 16 << 20,
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
            parked: HashMap::new(),
            held: Arc::default(),
            in_flight: 0,
            keeping: BTreeSet::new(),
            wakes: BTreeSet::new(),
            object_ids: HashMap::new(),
            row_ids: HashMap::new(),
            group_ids: HashMap::new(),
            agenda: BTreeSet::new(),
            last_id: 0,
        }
    }

    /// Replaces what `object` needs. Says whether these are other rows than before; a new object's
    /// are. Rows that nobody needs any more are dropped.
    pub fn subscribe(&mut self, object: &ObjectKey, needs: Vec<Need>, now: Now) -> bool {
        let id = self.object_id(object);
        let mut rows = Vec::with_capacity(needs.len());
        for need in needs {
            let row = self.row_id(&need);
            // Two entries that name one row are one subscription: the shorter interval rules.
            let repeated = rows.contains(&row);
            let Some(state) = self.rows.get_mut(&row) else {
                continue;
            };
            let known = state.subscriber(id).map(|s| s.interval);
            let interval = match known {
                Some(other) if repeated => other.min(need.interval),
                _ => need.interval,
            };
            state.subscribe(id, interval, need.applied);
            rows.push(row);
            self.reschedule(row, now);
        }
        let Some(entry) = self.objects.get_mut(&id) else {
            return false;
        };
        if entry.rows == rows {
            return false;
        }
        let old = std::mem::replace(&mut entry.rows, rows.clone());
        entry.waiting = None;
        self.leave(id, old.iter().filter(|row| !rows.contains(row)));
        true
    }

    /// Forgets `object` and every row that only it needed.
    pub fn unsubscribe(&mut self, object: &ObjectKey) {
        let Some(id) = self.object_ids.remove(object) else {
            return;
        };
        let Some(entry) = self.objects.remove(&id) else {
            return;
        };
        self.leave(id, entry.rows.iter());
    }

    /// What is known of the object's rows, in the order of its needs, and marks it as seen.
    pub fn look(&mut self, object: &ObjectKey) -> Vec<View> {
        let Some((id, rows)) = self.rows_of(object) else {
            return Vec::new();
        };
        let view = |row: &mut Row| {
            let epoch = row.epoch;
            if let Some(subscriber) = row.subscriber(id) {
                subscriber.seen_epoch = epoch;
            }
            match (&row.failure, &row.seen) {
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
    pub fn behind(&mut self, object: &ObjectKey) -> bool {
        let Some((id, rows)) = self.rows_of(object) else {
            return false;
        };
        rows.iter().any(|row| {
            let Some(row) = self.rows.get_mut(row) else {
                return false;
            };
            let seen = row.seen.as_ref().map(|seen| seen.digest);
            let applied = row.subscriber(id).and_then(|subscriber| subscriber.applied);
            seen.is_some() && seen != applied
        })
    }

    /// Notes what is in the object's Secret now, in the order of its needs.
    pub fn applied(&mut self, object: &ObjectKey, digests: &[Option<Digest>]) {
        let Some((id, rows)) = self.rows_of(object) else {
            return;
        };
        for (row, digest) in rows.iter().zip(digests) {
            if let Some(subscriber) = self.rows.get_mut(row).and_then(|row| row.subscriber(id)) {
                subscriber.applied = *digest;
            }
        }
    }

    /// The next batch to send, if one may leave now.
    pub fn depart(&mut self, now: Now) -> Option<Departure> {
        self.expire(now.at);
        loop {
            let full = self.held.load(Ordering::Relaxed) >= self.limits.held_bytes;
            if self.in_flight >= self.limits.in_flight || (full && self.in_flight > 0) {
                return None;
            }
            let (time, group) = *self.agenda.first()?;
            if time > now.at {
                return None;
            }
            // What was noted may have passed by: another group may be probing the identity.
            self.note(group, now.at);
            if self
                .groups
                .get(&group)
                .is_none_or(|g| g.noted.is_none_or(|time| time > now.at))
            {
                continue;
            }
            let batch = self
                .groups
                .get_mut(&group)
                .and_then(|g| g.take(&self.rows, now.at));
            if let Some(departure) = batch.and_then(|batch| self.send(group, batch, now)) {
                return Some(departure);
            }
            self.note(group, now.at);
            if self.agenda.first().is_some_and(|(_, next)| *next == group) {
                return None;
            }
        }
    }

    /// The table's figures, less the bytes held.
    pub fn figures(&self, now: Instant) -> HubFigures {
        let mut figures = HubFigures {
            rows: self.rows.len(),
            ..HubFigures::default()
        };
        figures.parked = self.parked.len();
        for group in self.groups.values() {
            let overdue = group.queue.iter().take_while(|(due, _)| *due <= now);
            figures.due += group.fast.len() + group.parts.len() + overdue.count();
            if let Some((due, _)) = group.queue.first() {
                let late = now.saturating_duration_since(*due);
                figures.oldest_overdue = figures.oldest_overdue.max(late);
            }
        }
        figures
    }

    /// The objects that were woken since the last call.
    pub fn take_wakes(&mut self) -> Vec<ObjectKey> {
        let wakes = std::mem::take(&mut self.wakes);
        wakes
            .iter()
            .filter_map(|id| self.objects.get(id))
            .map(|o| o.key.clone())
            .collect()
    }

    /// When [`depart`](Self::depart) is worth asking again, if nothing happens before.
    pub fn next_time(&self) -> Option<Instant> {
        let due = self.agenda.first().map(|(time, _)| *time);
        let expiry = self.keeping.first().map(|(time, _)| *time);
        [due, expiry].into_iter().flatten().min()
    }

    /// Writes the group's next time into the agenda.
    pub(super) fn note(&mut self, id: GroupId, now: Instant) {
        let most = self.limits.in_flight_per_group;
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let park = self.parked.get(&group.origin.identity.id());
        let next = match park {
            Some(park) if park.probing => None,
            Some(park) => group.next_time(now, 1).map(|time| time.max(park.until)),
            None => group.next_time(now, most),
        };
        if group.noted == next {
            return;
        }
        if let Some(old) = std::mem::replace(&mut group.noted, next) {
            self.agenda.remove(&(old, id));
        }
        if let Some(time) = next {
            self.agenda.insert((time, id));
        }
    }

    /// Gives a row a new due time.
    pub(super) fn set_due(&mut self, id: RowId, due: Option<Instant>, now: Instant) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
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
        self.note(group_id, now);
    }

    pub(super) fn rows_of(&self, object: &ObjectKey) -> Option<(ObjectId, Vec<RowId>)> {
        let id = *self.object_ids.get(object)?;
        Some((id, self.objects.get(&id)?.rows.clone()))
    }

    /// Makes a healthy row due at its next slot, if the interval is not the one it was scheduled by:
    /// subscribing again moves nothing.
    fn reschedule(&mut self, id: RowId, now: Now) {
        let Some(row) = self.rows.get(&id) else {
            return;
        };
        let slots = row.slots();
        if row.failure.is_some() || row.place != Place::Resting || row.scheduled == Some(slots) {
            return;
        }
        let slot = row
            .fetched
            .map_or(slots.next_after(now.wall), |at| slots.next_after_fetch(at));
        if let Some(row) = self.rows.get_mut(&id) {
            row.scheduled = Some(slots);
        }
        self.set_due(id, Some(now.at + until(now.wall, slot)), now.at);
    }

    fn send(&mut self, group_id: GroupId, mut batch: Batch, now: Now) -> Option<Departure> {
        batch.rows.retain(|row| self.rows.contains_key(row));
        let group = self.groups.get_mut(&group_id)?;
        if batch.rows.is_empty() {
            return None;
        }
        group.in_flight += 1;
        self.in_flight += 1;
        let origin = Arc::clone(&group.origin);
        if let Some(park) = self.parked.get_mut(&origin.identity.id()) {
            park.probing = true;
        }
        let mut keys = Vec::with_capacity(batch.rows.len());
        for id in &batch.rows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.place = Place::InFlight {
                sent: now.at,
                again: false,
            };
            keys.push(RemoteKey::clone(&row.key));
        }
        self.note(group_id, now.at);
        Some(Departure {
            group: group_id,
            origin,
            batch,
            keys,
            sent: now.at,
        })
    }

    /// Drops values that were kept long enough.
    fn expire(&mut self, now: Instant) {
        while let Some((time, id)) = self
            .keeping
            .first()
            .copied()
            .filter(|(time, _)| *time <= now)
        {
            self.keeping.remove(&(time, id));
            if let Some(row) = self.rows.get_mut(&id) {
                row.value = None;
            }
        }
    }

    fn object_id(&mut self, object: &ObjectKey) -> ObjectId {
        if let Some(id) = self.object_ids.get(object) {
            return *id;
        }
        let id = ObjectId(self.fresh_id());
        self.object_ids.insert(object.clone(), id);
        self.objects.insert(
            id,
            Object {
                key: object.clone(),
                rows: Vec::new(),
                waiting: None,
            },
        );
        id
    }

    fn row_id(&mut self, need: &Need) -> RowId {
        let origin = &need.origin;
        let address = origin.provider.address();
        let group = match self.group_ids.get(&(origin.identity.id(), address.clone())) {
            Some(id) => *id,
            None => {
                let id = GroupId(self.fresh_id());
                self.group_ids
                    .insert((origin.identity.id(), address.clone()), id);
                self.groups.insert(id, Group::new(Arc::clone(origin)));
                id
            }
        };
        let key = Arc::new(need.key.clone());
        if let Some(id) = self.row_ids.get(&(group, Arc::clone(&key))) {
            return *id;
        }
        let id = RowId(self.fresh_id());
        let parts = reference_parts(origin, &need.key);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let hash = self.key.digest(Domain::Phase, &parts);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        self.rows.insert(
            id,
            Row::new(group, Arc::clone(&key), u64::from_be_bytes(first)),
        );
        self.row_ids.insert((group, key), id);
        if let Some(group) = self.groups.get_mut(&group) {
            group.rows += 1;
        }
        id
    }

    fn leave<'a>(&mut self, object: ObjectId, rows: impl Iterator<Item = &'a RowId>) {
        for id in rows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.unsubscribe(object);
            if row.subscribers.is_empty() {
                self.drop_row(*id);
            }
        }
    }

    fn drop_row(&mut self, id: RowId) {
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        self.row_ids.remove(&(row.group, Arc::clone(&row.key)));
        let Some(group) = self.groups.get_mut(&row.group) else {
            return;
        };
        if let Some(due) = row.due {
            group.queue.remove(&(due, id));
        }
        group.rows -= 1;
        if group.rows == 0 {
            self.drop_group(row.group);
        }
    }

    /// Drops a group without rows; one with a call in flight goes when that is back.
    pub(super) fn drop_group(&mut self, id: GroupId) {
        let idle = |group: &Group| group.rows == 0 && group.in_flight == 0;
        if !self.groups.get(&id).is_some_and(idle) {
            return;
        }
        let Some(group) = self.groups.remove(&id) else {
            return;
        };
        if let Some(noted) = group.noted {
            self.agenda.remove(&(noted, id));
        }
        let identity = group.origin.identity.id();
        self.group_ids
            .remove(&(identity, group.origin.provider.address().clone()));
        if !self
            .groups
            .values()
            .any(|other| other.origin.identity.id() == identity)
        {
            self.parked.remove(&identity);
        }
    }

    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// What makes a reference: the parts that its digests cover besides the value.
pub(super) fn reference_parts(origin: &Origin, key: &RemoteKey) -> Vec<Vec<u8>> {
    let optional = |part: &Option<String>| match part {
        Some(text) => format!("={text}").into_bytes(),
        None => Vec::new(),
    };
    vec![
        origin.identity.id().0.as_bytes().to_vec(),
        origin.provider.address().as_str().as_bytes().to_vec(),
        key.key.clone().into_bytes(),
        optional(&key.version),
        optional(&key.stage),
    ]
}

/// How long a fetched value is kept for objects that join a little later.
pub(super) const KEEP: Duration = Duration::from_secs(5);
