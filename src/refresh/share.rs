//! How many calls of one namespace may be under way: as many as there is room for others still, so that
//! no tenant takes the last, by however many identities and hosts that hang.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::row::GroupId;
use super::table::Table;

/// Batches in flight at once while no more values may be held.
const WHILE_FULL: usize = 4;

/// The namespaces with calls under way, or that wait because of these.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<Arc<str>, Share>);

#[derive(Debug, Default)]
struct Share {
    in_flight: usize,
    /// Groups in which something of the namespace waits for one of its calls to come back.
    waiting: BTreeSet<GroupId>,
    /// Where the next turn of a waiting group begins.
    next: u64,
}

// === impl Shares ===

impl Shares {
    /// Whether another call of `namespace` may leave while there is room for `room` calls. If not,
    /// `group` is remembered.
    pub fn admits(&mut self, namespace: &Arc<str>, group: GroupId, room: usize) -> bool {
        let Some(share) = self.0.get_mut(namespace) else {
            return true;
        };
        let admitted = share.admits(room);
        if !admitted {
            share.waiting.insert(group);
        }
        admitted
    }

    /// A group to look at again, of the namespace with the fewest calls that may send now.
    pub fn next(&mut self, room: usize) -> Option<GroupId> {
        let waits = |share: &Share| !share.waiting.is_empty() && share.admits(room);
        let shares = self.0.iter_mut().filter(|(_, share)| waits(share));
        let (namespace, share) = shares.min_by_key(|(_, share)| share.in_flight)?;
        let later = share.waiting.range(GroupId(share.next)..).next();
        let id = *later.or(share.waiting.first())?;
        share.waiting.remove(&id);
        share.next = id.0 + 1;
        let namespace = Arc::clone(namespace);
        self.drop_idle(&namespace);
        Some(id)
    }

    /// Whether something of the group waits for a call of its namespace to come back.
    pub fn holds_back(&self, group: GroupId) -> bool {
        self.0.values().any(|share| share.waiting.contains(&group))
    }

    pub fn sent(&mut self, namespace: &Arc<str>) {
        let share = self.0.entry(Arc::clone(namespace)).or_default();
        share.in_flight += 1;
    }

    pub fn came_back(&mut self, namespace: &Arc<str>) {
        if let Some(share) = self.0.get_mut(namespace) {
            share.in_flight -= 1;
        }
        self.drop_idle(namespace);
    }

    fn drop_idle(&mut self, namespace: &Arc<str>) {
        let idle = |share: &Share| share.in_flight == 0 && share.waiting.is_empty();
        if self.0.get(namespace).is_some_and(idle) {
            self.0.remove(namespace);
        }
    }

    #[cfg(test)]
    pub fn in_flight(&self) -> impl Iterator<Item = usize> {
        self.0.values().map(|share| share.in_flight)
    }
}

// === impl Share ===

impl Share {
    /// Whoever has nothing under way is never held back.
    fn admits(&self, room: usize) -> bool {
        self.in_flight == 0 || self.in_flight < room
    }
}

// === impl Table ===

impl Table {
    /// How many more batches may leave. A full hub still sends some, so that what waits for its last
    /// value gets it.
    pub(super) fn room(&self) -> usize {
        let most = self.limits.in_flight.max(1);
        let most = if self.is_full() {
            most.min(WHILE_FULL)
        } else {
            most
        };
        most.saturating_sub(self.in_flight)
    }
}
