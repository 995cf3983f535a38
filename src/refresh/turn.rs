//! Whose turn it is: groups in their lines, and rows in their lanes as their time comes.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::departure::Departure;
use super::group::Batch;
use super::line::{Lane, Turn};
use super::outage::Endpoint;
use super::row::{GroupId, LineId, ObjectId, Place, Row, RowId};
use super::table::{Now, Object, Table};

// === impl Table ===

impl Table {
    /// Puts the group where it belongs in its line, and the line into the agenda.
    pub(super) fn note(&mut self, id: GroupId, now: Instant) {
        let room = self.room();
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let Some(line) = self.lines.get_mut(&group.line) else {
            return;
        };
        let Some(reader) = self.readers.get_mut(&group.reader) else {
            return;
        };
        let identity = self.identities.get(&group.identity());
        let probing = identity
            .and_then(|standing| standing.park.as_ref())
            .is_some_and(|park| park.probing);
        let endpoint = self.endpoints.get(group.route());
        let knocking = endpoint.is_some_and(Endpoint::is_knocking);
        let allowed = reader.allowed(now);
        let most = if group.dark {
            1
        } else {
            self.limits.in_flight_of(group.most())
        };
        // Where calls are few, what waits for one has company by itself.
        let company = group.waits_for_company(&self.rows, now);
        let company = company.filter(|_| line.budget.is_ample(now));
        if probing || knocking || !reader.is_free(most) {
            line.withdraw(id, &mut group.link);
        } else if allowed > now {
            let timer = group.wanted(now).map(|time| time.max(allowed));
            line.place(id, &mut group.link, timer, false, [None; 3]);
        } else {
            // Before a probe nothing leaves, but what comes due has failed with the identity.
            let due = group.queue.first().map(|(due, _)| *due);
            let timer = due.into_iter().chain(company).min();
            let shares = &mut self.shares;
            let mut admitted = |namespace: &&Arc<str>| shares.admits(namespace, id, room);
            let lanes = group.lanes.each_ref();
            let mut fronts = lanes.map(|lane| lane.front(&mut admitted));
            if company.is_some() {
                fronts[Lane::Fast.index()] = None;
            }
            let namespace = |row| namespace_of(self.rows.get(&row)?, &self.objects);
            let part = group.next_part(|row| namespace(row).as_ref().is_none_or(&mut admitted));
            let parts = part.is_some();
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
            self.agenda.remove(&(old, line.order, id));
        }
        self.agenda.extend(next.map(|time| (time, line.order, id)));
    }

    /// Puts a line that has had its turn behind those that are waiting.
    pub(super) fn send_back(&mut self, id: LineId, now: Instant) {
        let place = self.fresh_id();
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        if let Some(old) = line.noted.take() {
            self.agenda.remove(&(old, line.order, id));
        }
        line.order = place;
        self.note_line(id, now);
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
            let lane = match row.failure() {
                Some(_) => Lane::Retry,
                None => Lane::Periodic,
            };
            row.place = Place::Ripe;
            if let Some(namespace) = namespace_of(row, &self.objects) {
                group.lane(lane).push(namespace, row_id);
            }
        }
    }

    /// Lets the group whose turn it is send its next batch. None where the turn was none.
    pub(super) fn take_turn(&mut self, line_id: LineId, turn: Turn, now: Now) -> Option<Departure> {
        let (Turn::Part(id) | Turn::Lane(_, id)) = turn;
        if self.hold_back_due(id, now) {
            return None;
        }
        let room = self.room();
        let (group, line) = (self.groups.get_mut(&id)?, self.lines.get_mut(&line_id)?);
        let shares = &mut self.shares;
        let mut admitted = |namespace: &&Arc<str>| shares.admits(namespace, id, room);
        let namespace = |row| namespace_of(self.rows.get(&row)?, &self.objects);
        let (batch, namespace): (Option<Batch>, Option<Arc<str>>) = match turn {
            Turn::Part(_) => {
                let admitted = |row| namespace(row).as_ref().is_none_or(&mut admitted);
                let batch = group.take_part(&self.rows, admitted);
                let row = batch.as_ref().and_then(|batch| batch.first());
                let namespace = row.and_then(|row| namespace(*row));
                line.serve_part(id, namespace);
                (batch, namespace.cloned())
            }
            Turn::Lane(lane, _) => {
                let rounds = &mut group.lanes[lane.index()];
                let front = rounds.front(&mut admitted).cloned();
                // The namespace may have had its turn in another group meanwhile.
                let up_to_date = |ns: &Arc<str>| line.is_up_to_date(&group.link, lane, ns);
                let Some(front) = front.filter(up_to_date) else {
                    self.note(id, now.at);
                    return None;
                };
                rounds.prefer(&front);
                let batch = group.take(lane, &self.rows, now.at);
                line.serve(Some(&front).filter(|_| batch.is_some()));
                (batch, Some(front))
            }
        };
        let Some(batch) = batch else {
            self.note(id, now.at);
            return None;
        };
        // What is known of a row may have changed while it waited, and with it what its call costs.
        if let [row] = batch[..]
            && self.rehome_waiting(row, now)
        {
            self.note(id, now.at);
            self.drop_group(id, now.at);
            return None;
        }
        let group = self.groups.get(&id)?;
        self.lines.get_mut(&line_id)?.budget.take(1, now.at);
        if let Some(reader) = self.readers.get_mut(&group.reader) {
            reader.spend(1, now.at);
        }
        self.send(id, batch, namespace.unwrap_or_default(), now)
    }

    /// Lets a row that waits in the fast lane leave at the turn of another namespace too.
    pub(super) fn want_too(&mut self, id: RowId, namespace: &Arc<str>) {
        let Some(row) = self.rows.get(&id).filter(|row| row.place == Place::Queued) else {
            return;
        };
        let others = |object: &Object| object.key.namespace != *namespace;
        let mut waiters = row.waiters().filter_map(|waiter| self.objects.get(&waiter));
        if waiters.all(others)
            && let Some(group) = self.groups.get_mut(&row.group)
        {
            group.lane(Lane::Fast).push(namespace, id);
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

/// The namespace at whose turn a row leaves that nobody in particular waits for.
pub(super) fn namespace_of<'a>(
    row: &Row,
    objects: &'a HashMap<ObjectId, Object>,
) -> Option<&'a Arc<str>> {
    let object = row.subscribers.as_slice().first()?.object;
    Some(&objects.get(&object)?.key.namespace)
}
