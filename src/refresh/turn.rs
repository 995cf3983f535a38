//! Whose turn it is: groups in their lines, and rows in their lanes as their time comes.

use std::sync::Arc;

use tokio::time::Instant;

use super::group::Batch;
use super::line::{Lane, Line, Turn};
use super::outage::Endpoint;
use super::row::{GroupId, LineId, Place, RowId};
use super::table::{Departure, LineKey, Now, Table};
use super::{Origin, StoreLimits};
use crate::budget::Budget;
use crate::credential::IdentityId;

/// How many lines without groups are kept for their budgets.
const SPARE_LINES: usize = 64;

// === impl Table ===

impl Table {
    /// Puts the group where it belongs in its line, and the line into the agenda.
    pub(super) fn note(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let Some(line) = self.lines.get_mut(&group.line) else {
            return;
        };
        let identity = self.identities.get(&group.identity());
        let probing = identity
            .and_then(|standing| standing.park.as_ref())
            .is_some_and(|park| park.probing);
        let endpoint = self.endpoints.get(group.route());
        let knocking = endpoint.is_some_and(Endpoint::is_knocking);
        let allowed = group.allowed(now);
        if probing || knocking || !group.is_free(self.limits.in_flight_per_group) {
            line.withdraw(id, &mut group.link);
        } else if allowed > now {
            line.withdraw(id, &mut group.link);
            let timer = group.wanted(now).map(|time| time.max(allowed));
            line.place(id, &mut group.link, timer, false, [None; 3]);
        } else {
            // Before a probe nothing leaves, but what comes due has failed with the identity.
            let timer = group.queue.first().map(|(due, _)| *due);
            let fronts = group.lanes.each_ref().map(|lane| lane.front());
            let parts = !group.parts.is_empty();
            line.place(id, &mut group.link, timer, parts, fronts);
        }
        let line = group.line;
        self.note_line(line, now);
    }

    /// Writes the line's next time into the agenda.
    pub(super) fn note_line(&mut self, id: LineId, now: Instant) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        let next = line.next_time(now);
        if line.noted == next {
            return;
        }
        if let Some(old) = std::mem::replace(&mut line.noted, next) {
            self.agenda.remove(&(old, id));
        }
        self.agenda.extend(next.map(|time| (time, id)));
    }

    /// Moves the rows whose time has come into the lanes of their groups.
    pub(super) fn ripen(&mut self, id: LineId, now: Now) {
        loop {
            let Some(line) = self.lines.get(&id) else {
                return;
            };
            let Some((_, group)) = line.timers.first().copied().filter(|(t, _)| *t <= now.at)
            else {
                return;
            };
            if !self.hold_back_due(group, now) {
                self.ripen_group(group, now.at);
            }
            self.note(group, now.at);
        }
    }

    fn ripen_group(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        for row_id in group.take_due(now) {
            let Some(row) = self.rows.get_mut(&row_id) else {
                continue;
            };
            let lane = match row.failure {
                Some(_) => Lane::Retry,
                None => Lane::Periodic,
            };
            row.place = Place::Ripe;
            let object = row.subscribers.first().map(|s| s.object);
            let object = object.and_then(|object| self.objects.get(&object));
            if let Some(object) = object {
                group.lane(lane).push(&object.key.namespace, row_id);
            }
        }
    }

    /// Lets the group whose turn it is send its next batch. None where the turn was none.
    pub(super) fn take_turn(&mut self, line_id: LineId, turn: Turn, now: Now) -> Option<Departure> {
        let (Turn::Part(id) | Turn::Lane(_, id)) = turn;
        if self.hold_back_due(id, now) {
            return None;
        }
        let (group, line) = (self.groups.get_mut(&id)?, self.lines.get_mut(&line_id)?);
        let batch: Option<Batch> = match turn {
            Turn::Part(_) => group.take_part(&self.rows),
            Turn::Lane(lane, _) => {
                let front = group.lanes[lane.index()].front().cloned();
                // The namespace may have had its turn in another group meanwhile.
                let stale = |ns: &Arc<str>| !line.is_up_to_date(&group.link, lane, ns);
                if front.as_ref().is_some_and(stale) {
                    self.note(id, now.at);
                    return None;
                }
                let batch = group.take(lane, &self.rows, now.at);
                line.serve(front.as_ref().filter(|_| batch.is_some()));
                batch
            }
        };
        let Some(batch) = batch else {
            self.note(id, now.at);
            return None;
        };
        line.budget.take(1, now.at);
        group.spend(1, now.at);
        self.send(id, batch, now)
    }

    /// The line of `origin`: who pays for its calls.
    pub(super) fn line_id(&mut self, origin: &Origin, now: Instant) -> LineId {
        let quota = origin.provider.quota();
        let identity = origin.identity.id();
        let account = match origin.identity.account() {
            Some(account) => Arc::from(account),
            None => self
                .accounts
                .get(&identity)
                .cloned()
                // Until the cloud has told, each identity has a budget of its own.
                .unwrap_or_else(|| Arc::from(format!("{identity:?}"))),
        };
        let key: LineKey = (account, quota.name, Arc::from(quota.scope));
        if let Some(id) = self.line_ids.get(&key) {
            return *id;
        }
        let id = LineId(self.fresh_id());
        let share = self.limits.quota_share;
        let full = quota.per_second.filter(|_| share > 0.0);
        let budget = Budget::new(full.map(|full| f64::from(full) * share), now);
        self.line_ids.insert(key, id);
        self.lines.insert(id, Line::new(budget));
        id
    }

    /// Notes whose the identity is: from now on it shares that account's budgets.
    pub fn learn_account(&mut self, identity: IdentityId, account: &str, now: Instant) {
        let known = self.accounts.get(&identity);
        if known.is_some_and(|known| **known == *account) {
            return;
        }
        self.accounts.insert(identity, Arc::from(account));
        for id in self.groups_of(identity) {
            let Some(origin) = self.groups.get(&id).map(|group| Arc::clone(&group.origin)) else {
                continue;
            };
            self.leave_line(id, now);
            let line = self.line_id(&origin, now);
            self.enter_line(id, line);
            self.note(id, now);
        }
    }

    pub(super) fn enter_line(&mut self, id: GroupId, line_id: LineId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.line = line_id;
        }
        if let Some(line) = self.lines.get_mut(&line_id) {
            line.groups.insert(id);
        }
    }

    /// Takes the group out of its line. A line without groups stays as long as its budget remembers
    /// something.
    pub(super) fn leave_line(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let line_id = group.line;
        let Some(line) = self.lines.get_mut(&line_id) else {
            return;
        };
        line.withdraw(id, &mut group.link);
        line.groups.remove(&id);
        self.note_line(line_id, now);
        // Most lines outlive their groups, for a budget must not be had twice; they are looked through
        // when there are many.
        if self.lines.len() > self.groups.len() + SPARE_LINES {
            let lines = &mut self.lines;
            lines.retain(|_, line| !line.groups.is_empty() || !line.budget.is_fresh(now));
            self.line_ids.retain(|_, id| lines.contains_key(id));
        }
    }

    /// Sets what the store `name` allows; absent, it allows what the operator does.
    pub(super) fn limit(
        &mut self,
        id: GroupId,
        name: &Arc<str>,
        limits: StoreLimits,
        now: Instant,
    ) {
        if let Some(group) = self.groups.get_mut(&id)
            && group.limit(name, limits, now)
        {
            self.note(id, now);
        }
    }

    /// Puts a resting or a ripe row into the fast lane.
    pub(super) fn hurry(&mut self, id: RowId, namespace: &Arc<str>, now: Instant) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        if !matches!(row.place, Place::Resting | Place::Ripe) {
            return;
        }
        row.place = Place::Queued;
        let (group_id, due) = (row.group, row.due);
        if let Some(group) = self.groups.get_mut(&group_id) {
            if let Some(due) = due {
                group.queue.remove(&(due, id));
            }
            group.lane(Lane::Fast).push(namespace, id);
        }
        self.note(group_id, now);
    }
}
