//! How a row gets from one group of its reader to another: what its next call is counted by may change
//! with each call, and with time.

use jiff::Timestamp;
use tokio::time::Instant;

use super::Origin;
use super::row::{Place, RowId};
use super::table::{Now, Table};
use super::turn::namespace_of;
use crate::provider::{Quota, RemoteKey};

// === impl Table ===

impl Table {
    /// Puts a row that is in no lane into the group of its next call; says whether it was in another.
    pub(super) fn rehome(&mut self, id: RowId, now: Now) -> bool {
        let Some(row) = self.rows.get(&id) else {
            return false;
        };
        let old = row.group;
        let Some(from) = self.groups.get(&old) else {
            return false;
        };
        let learned = self.learned.contains_key(&id);
        let quota = next_quota(&from.origin, &row.key.asked(), learned, now.wall);
        if from.quota.name == quota.name {
            return false;
        }
        let new = self.group_of(from.reader, quota, now.at);
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
    pub(super) fn rehome_waiting(&mut self, id: RowId, now: Now) -> bool {
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
                self.hurry(id, &namespace, now.at);
            }
        } else {
            self.set_due(id, Some(now.at), now.at);
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
        if row.waiters().next().is_none() {
            self.set_due(id, Some(now.at), now.at);
        }
    }
}

/// What the next call for `key` is counted by as of `now`, where something may have been `learned` for it.
pub(super) fn next_quota(origin: &Origin, key: &RemoteKey, learned: bool, now: Timestamp) -> Quota {
    let provider = &origin.provider;
    let detour = provider.detour(key, learned, now);
    detour.map_or_else(|| provider.quota(), |detour| detour.quota)
}
