//! One identity at one address: what all its groups share, whichever quotas their calls use, and how a
//! row gets from one of them to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::group::Group;
use super::row::{GroupId, Place, ReaderId, RowId};
use super::table::{Now, Table};
use super::turn::namespace_of;
use super::{Origin, StoreLimits};
use crate::budget::Budget;
use crate::provider::{Quota, RemoteKey};

/// One identity at one address.
#[derive(Debug)]
pub(super) struct Reader {
    /// The first that named it, which stays: what its provider has learned is needed again.
    pub origin: Arc<Origin>,
    /// Its groups, by the names of their quotas. Most have one.
    pub groups: Vec<(&'static str, GroupId)>,
    pub in_flight: usize,
    /// What the stores that read here allow, by store.
    limits: BTreeMap<Arc<str>, Limited>,
    /// The tightest rate of them.
    own: Option<Budget>,
}

/// What one store allows, and how many objects read through it.
#[derive(Debug, Default)]
struct Limited {
    limits: StoreLimits,
    objects: usize,
}

// === impl Reader ===

impl Reader {
    pub fn new(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            groups: Vec::new(),
            in_flight: 0,
            limits: BTreeMap::new(),
            own: None,
        }
    }

    /// Whether another batch may be in flight, of which there are at most `most_in_flight`.
    pub fn is_free(&self, most_in_flight: usize) -> bool {
        let stores = self.limits.values().filter_map(|l| l.limits.in_flight);
        let most = stores.min().unwrap_or(most_in_flight).min(most_in_flight);
        self.in_flight < most
    }

    /// When the stores that read here let the next call leave: now, or later.
    pub fn allowed(&mut self, now: Instant) -> Instant {
        self.own.as_mut().map_or(now, |own| own.next(now))
    }

    /// Notes that a call leaves.
    pub fn spend(&mut self, calls: u32, now: Instant) {
        if let Some(own) = &mut self.own {
            own.take(calls, now);
        }
    }

    /// Takes in that one more object reads through a store, which allows this.
    pub fn limit(&mut self, store: &Arc<str>, limits: StoreLimits, now: Instant) {
        let limited = self.limits.entry(Arc::clone(store)).or_default();
        limited.objects += 1;
        if std::mem::replace(&mut limited.limits, limits) != limits {
            self.tighten(now);
        }
    }

    /// Takes in that one object less reads through a store.
    pub fn unlimit(&mut self, store: &Arc<str>, now: Instant) {
        let Some(limited) = self.limits.get_mut(store) else {
            return;
        };
        limited.objects -= 1;
        if limited.objects == 0 {
            self.limits.remove(store);
            self.tighten(now);
        }
    }

    fn tighten(&mut self, now: Instant) {
        let rates = self.limits.values().filter_map(|l| l.limits.per_second);
        let rate = rates.min().map(f64::from);
        self.own = rate.map(|rate| Budget::new(Some(rate), now));
    }
}

// === impl Table ===

impl Table {
    /// Notes every group of a reader, for what they share has changed.
    pub(super) fn note_all(&mut self, id: ReaderId, now: Instant) {
        let groups = self.readers.get(&id).map(|reader| reader.groups.clone());
        for (_, group) in groups.into_iter().flatten() {
            self.note(group, now);
        }
    }

    /// Notes the group, after a call of it left or came back, and those that share what that took.
    pub(super) fn note_with_others(&mut self, id: GroupId, now: Instant) {
        let reader = self.groups.get(&id).map(|group| group.reader);
        let alone = |reader: &Reader| reader.groups.len() == 1;
        match reader.and_then(|id| Some((id, self.readers.get(&id)?))) {
            Some((reader, shared)) if !alone(shared) => self.note_all(reader, now),
            _ => self.note(id, now),
        }
    }

    /// Puts a row that is in no lane into the group of its next call; says whether it was in another.
    pub(super) fn rehome(&mut self, id: RowId, now: Instant) -> bool {
        let Some(row) = self.rows.get(&id) else {
            return false;
        };
        let old = row.group;
        let Some(from) = self.groups.get(&old) else {
            return false;
        };
        let quota = next_quota(&from.origin, &row.key.asked());
        if from.quota.name == quota.name {
            return false;
        }
        let new = self.group_of(from.reader, quota, now);
        let Some(row) = self.rows.get_mut(&id) else {
            return false;
        };
        row.group = new;
        let due = row.due.filter(|_| row.place == Place::Resting);
        if let Some(from) = self.groups.get_mut(&old) {
            from.rows -= 1;
            if let Some(due) = due {
                from.queue.remove(&(due, id));
            }
        }
        if let Some(to) = self.groups.get_mut(&new) {
            to.rows += 1;
            to.queue.extend(due.map(|due| (due, id)));
        }
        true
    }

    /// The same for a row that was about to leave, which then waits in the same way where it belongs.
    pub(super) fn rehome_waiting(&mut self, id: RowId, now: Instant) -> bool {
        let Some(place) = self.rows.get(&id).map(|row| row.place) else {
            return false;
        };
        if !self.rehome(id, now) {
            return false;
        }
        let Some(row) = self.rows.get_mut(&id) else {
            return true;
        };
        row.place = Place::Resting;
        if place == Place::Queued {
            let namespace = namespace_of(row, &self.objects).cloned();
            if let Some(namespace) = namespace {
                self.hurry(id, &namespace, now);
            }
        } else {
            self.set_due(id, Some(now), now);
        }
        true
    }

    /// Takes in that something was learned about a row by a call sent at `sent`: it goes on at once.
    pub(super) fn learned(&mut self, id: RowId, sent: Instant, now: Now) {
        // It may have been dropped meanwhile.
        let Some(row) = self.rows.get(&id) else {
            return;
        };
        self.learned.insert(id, sent);
        // Whoever waits for it has it sent for as soon as its call is back.
        if row.waiters.is_empty() {
            self.set_due(id, Some(now.at), now.at);
        }
    }

    /// The reader of `origin`.
    pub(super) fn reader_id(&mut self, origin: &Arc<Origin>) -> ReaderId {
        let name = (origin.identity.id(), origin.provider.address().clone());
        if let Some(id) = self.reader_ids.get(&name) {
            return *id;
        }
        let id = ReaderId(self.fresh_id());
        self.reader_ids.insert(name, id);
        self.readers.insert(id, Reader::new(Arc::clone(origin)));
        id
    }

    /// The group of the reader `id` whose calls are counted by `quota`.
    pub(super) fn group_of(&mut self, id: ReaderId, quota: Quota, now: Instant) -> GroupId {
        let group_id = GroupId(self.fresh_id());
        let Some(reader) = self.readers.get_mut(&id) else {
            return group_id;
        };
        let known = reader.groups.iter().find(|(name, _)| *name == quota.name);
        if let Some((_, group)) = known {
            return *group;
        }
        reader.groups.push((quota.name, group_id));
        let origin = Arc::clone(&reader.origin);
        let line = self.line_id(origin.identity.id(), &quota, now);
        let group = Group::new(Arc::clone(&origin), id, quota, line);
        let endpoint = self.endpoints.entry(group.route().clone()).or_default();
        endpoint.groups.insert(group_id);
        self.groups.insert(group_id, group);
        self.enter_line(group_id, line);
        let standing = self.identities.entry(origin.identity.id()).or_default();
        standing.groups.insert(group_id);
        group_id
    }

    /// Takes a group that was dropped from its reader, which goes with its last.
    pub(super) fn leave_reader(&mut self, id: GroupId, group: &Group) {
        let Some(reader) = self.readers.get_mut(&group.reader) else {
            return;
        };
        reader.groups.retain(|(_, other)| *other != id);
        if reader.groups.is_empty() {
            let address = reader.origin.provider.address().clone();
            self.reader_ids.remove(&(group.identity(), address));
            self.readers.remove(&group.reader);
        }
    }
}

/// What the next call for `key` is counted by.
pub(super) fn next_quota(origin: &Origin, key: &RemoteKey) -> Quota {
    let provider = &origin.provider;
    let detour = provider.detour(key);
    detour.map_or_else(|| provider.quota(), |detour| detour.quota)
}
