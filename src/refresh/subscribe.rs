//! Who needs what: objects come and go, and rows and groups with them.

use std::sync::Arc;

use tokio::time::Instant;

use super::detour::next_quota;
use super::group::Group;
use super::reference::{self, KeptKey};
use super::row::{GroupId, ObjectId, Place, Row, RowId};
use super::schedule::until;
use super::table::{Now, Object, Table};
use super::{Need, ObjectKey, StoreLimits};
use crate::provider::Class;

// === impl Table ===

impl Table {
    /// Replaces what `object` needs. Says whether these are other rows than before; a new object's
    /// are. Rows that nobody needs any more are dropped.
    pub fn subscribe(&mut self, object: &ObjectKey, needs: Vec<Need>, now: Now) -> bool {
        let (id, known) = self.object_id(object);
        let mut rows = Vec::with_capacity(needs.len());
        let mut limited = Vec::new();
        for need in needs {
            let row_id = self.row_id(&need, now);
            let group = self.rows.get(&row_id).map(|row| row.group);
            if let Some(group) = group.and_then(|group| self.groups.get(&group)) {
                let place = (group.reader, Arc::clone(&need.store));
                if need.limits != StoreLimits::default() && !limited.contains(&place) {
                    self.limit(place.0, &need.store, need.limits, now.at);
                    limited.push(place);
                }
            }
            let Some(row) = self.rows.get_mut(&row_id) else {
                continue;
            };
            let mut interval = need.interval;
            // Two entries that name one row are one subscription: the shorter interval rules.
            if let Some(twin) = row.subscribers.get(id).filter(|_| rows.contains(&row_id)) {
                interval = interval.min(twin.interval.into());
            }
            row.subscribe(id, interval, need.applied);
            rows.push(row_id);
        }
        for row in &rows {
            self.reschedule(*row, now);
        }
        let Some(entry) = self.objects.get_mut(&id) else {
            return false;
        };
        let limits = std::mem::replace(&mut entry.limited, limited);
        self.unlimit(&limits, now.at);
        let Some(entry) = self.objects.get_mut(&id) else {
            return false;
        };
        if entry.rows == rows {
            return !known;
        }
        let old = std::mem::replace(&mut entry.rows, rows.clone());
        entry.waiting = None;
        self.leave(id, old.iter().filter(|row| !rows.contains(row)), now);
        true
    }

    /// Forgets `object` and every row that only it needed.
    pub fn unsubscribe(&mut self, object: &ObjectKey, now: Now) {
        let Some(id) = self.object_ids.remove(object) else {
            return;
        };
        let Some(entry) = self.objects.remove(&id) else {
            return;
        };
        self.unlimit(&entry.limited, now.at);
        self.leave(id, entry.rows.iter(), now);
    }

    /// Drops a group without rows; one with a call in flight goes when that is back.
    pub(super) fn drop_group(&mut self, id: GroupId, now: Instant) {
        let idle = |group: &Group| group.rows == 0 && group.in_flight == 0;
        if !self.groups.get(&id).is_some_and(idle) {
            return;
        }
        self.leave_line(id, now);
        let Some(group) = self.groups.remove(&id) else {
            return;
        };
        if let Some(endpoint) = self.endpoints.get_mut(group.route()) {
            endpoint.groups.remove(&id);
            if endpoint.groups.is_empty() {
                self.outages += u64::from(endpoint.is_out());
                self.endpoints.remove(group.route());
            }
        }
        self.leave_reader(id, &group);
        let identity = group.identity();
        if let Some(standing) = self.identities.get_mut(&identity) {
            standing.groups.remove(&id);
            if standing.groups.is_empty() {
                self.identities.remove(&identity);
            }
        }
    }

    /// Makes a row due at its next slot, if its interval is not the one it was scheduled by:
    /// subscribing again moves nothing, and neither does it make a failed row's wait shorter.
    fn reschedule(&mut self, id: RowId, now: Now) {
        let gap = self.recent_gap(now);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let waits = |class| class != Class::NotFound;
        if row.place != Place::Resting
            || row.scheduled == Some(row.interval)
            || row.failure().is_some_and(|f| waits(f.error.class))
        {
            return;
        }
        let is_new = row.scheduled.replace(row.interval).is_none();
        if row.due.is_some_and(|due| due <= now.at) {
            return;
        }
        let slots = row.slots();
        let age = row.fetched.map(|at| now.at.saturating_duration_since(at));
        let fetched = age.and_then(|age| now.wall.checked_sub(age).ok());
        // A shorter interval may say that the row is late already. That is no reason to hurry:
        // many rows may have got it at once.
        let missed = gap.filter(|_| is_new && fetched.is_none());
        let slot = fetched
            .map(|at| slots.next_after_fetch(at))
            .filter(|slot| *slot > now.wall)
            .or_else(|| missed?.made_up(&slots))
            .unwrap_or_else(|| slots.next_after(now.wall));
        self.set_due(id, Some(now.at + until(now.wall, slot)), now.at);
    }

    fn object_id(&mut self, object: &ObjectKey) -> (ObjectId, bool) {
        if let Some(id) = self.object_ids.get(object) {
            return (*id, true);
        }
        let id = ObjectId(self.fresh_id());
        self.object_ids.insert(object.clone(), id);
        let entry = Object {
            key: object.clone(),
            rows: Vec::new(),
            limited: Vec::new(),
            waiting: None,
            handled: None,
        };
        self.objects.insert(id, entry);
        (id, false)
    }

    fn row_id(&mut self, need: &Need, now: Now) -> RowId {
        let digest = reference::digest(&self.key, &need.origin, &need.key);
        let row_of = |id: &RowId| self.rows.get(id).is_some_and(|row| row.digest == digest);
        if let Some(id) = self.row_ids.find(digest.leading_u64(), row_of) {
            return *id;
        }
        let reader = self.reader_id(&need.origin);
        // Of those that read alike, the first asks, and what it has learned counts.
        let origin = self
            .readers
            .get(&reader)
            .map(|reader| Arc::clone(&reader.origin));
        let origin = origin.as_ref().unwrap_or(&need.origin);
        let quota = next_quota(origin, &need.key, false, now.wall);
        let group_id = self.group_of(reader, quota, now.at);
        let id = RowId(self.fresh_id());
        let row = Row::new(group_id, KeptKey::new(need.key.clone()), digest);
        self.rows.insert(id, Box::new(row));
        let hash_of = |id: &RowId| self.rows.get(id).map_or(0, |row| row.hash());
        self.row_ids
            .insert_unique(digest.leading_u64(), id, hash_of);
        if let Some(group) = self.groups.get_mut(&group_id) {
            group.rows += 1;
        }
        id
    }

    fn leave<'a>(&mut self, object: ObjectId, rows: impl Iterator<Item = &'a RowId>, now: Now) {
        for id in rows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.unsubscribe(object);
            if row.subscribers.as_slice().is_empty() {
                self.drop_row(*id, now);
            } else {
                self.reschedule(*id, now);
            }
        }
    }

    fn drop_row(&mut self, id: RowId, now: Now) {
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        if let Ok(entry) = self.row_ids.find_entry(row.hash(), |known| *known == id) {
            entry.remove();
        }
        self.learned.remove(&id);
        let Some(group) = self.groups.get_mut(&row.group) else {
            return;
        };
        if let Some(due) = row.due {
            group.queue.remove(&(due, id));
        }
        group.rows -= 1;
        self.settle(row.group, id, None, now);
        self.note(row.group, now.at);
        self.drop_group(row.group, now.at);
    }
}
