//! What answers mean: for the rows, for the batch they travelled in, and for the identity that
//! asked. Pure, like the rest of the table.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::CallFailure;
use super::group::{Batch, Purpose, Search};
use super::ladder::{NextTry, next_try};
use super::row::{Failure, GroupId, Held, Place, RowId, Seen};
use super::schedule::until;
use super::table::{Departure, KEEP, Now, Park, Table};
use crate::credential::IdentityId;
use crate::provider::{CallError, Class};

/// How long a row that made a batch fail travels alone.
const ALONE: Duration = Duration::from_secs(3_600);

/// What came back for a batch: an answer for each of its rows, or one failure for all.
pub(super) type BatchResult = Result<Vec<Result<Arc<Held>, CallError>>, CallFailure>;

// === impl Table ===

impl Table {
    /// Takes in what came back for a batch.
    pub fn arrive(&mut self, departure: Departure, result: BatchResult, now: Now) {
        let Departure {
            group: group_id,
            origin,
            batch,
            sent,
            ..
        } = departure;
        self.in_flight -= 1;
        if let Some(group) = self.groups.get_mut(&group_id) {
            group.in_flight -= 1;
        }
        let identity = origin.identity.id();
        if let Some(park) = self.parked.get_mut(&identity) {
            park.probing = false;
        }
        let again = self.land(&batch.rows);
        match result {
            Err(CallFailure::Identity(error)) => {
                for row in &batch.rows {
                    self.fail(*row, &error, sent, true, now);
                }
                self.end_search(group_id, &batch, false, now.at);
                self.park(identity, error, now);
            }
            Err(CallFailure::Call(error)) => {
                if proves_identity(error.class) {
                    self.unpark(identity, now);
                }
                self.whole_batch_failed(group_id, &batch, &error, sent, now);
            }
            Ok(answers) => {
                self.unpark(identity, now);
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.dark = false;
                }
                self.end_search(group_id, &batch, true, now.at);
                for (row, answer) in batch.rows.iter().zip(answers) {
                    self.row_answered(group_id, *row, &batch, answer, sent, now);
                }
            }
        }
        for (row, namespace) in again {
            self.hurry(row, &namespace, now.at);
        }
        self.note(group_id, now.at);
        self.drop_group(group_id);
    }

    /// Brings rows back from a call; returns those that are wanted again at once.
    fn land(&mut self, rows: &[RowId]) -> Vec<(RowId, Arc<str>)> {
        let mut wanted = Vec::new();
        for id in rows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            let again = matches!(row.place, Place::InFlight { again: true, .. });
            row.place = Place::Resting;
            let waiter = row
                .waiters
                .last()
                .and_then(|waiter| self.objects.get(waiter));
            if let Some(object) = waiter.filter(|_| again) {
                wanted.push((*id, Arc::clone(&object.key.namespace)));
            }
        }
        wanted
    }

    fn row_answered(
        &mut self,
        group: GroupId,
        row: RowId,
        batch: &Batch,
        answer: Result<Arc<Held>, CallError>,
        sent: Instant,
        now: Now,
    ) {
        let alone = batch.rows.len() == 1;
        match answer {
            Ok(held) => self.succeed(row, held, now),
            // A batch's word that a name is missing is not enough: it is read singly first.
            Err(error) if error.class == Class::NotFound && !alone => {
                self.part(group, vec![row], Purpose::Halve);
            }
            Err(error) => {
                if alone && batch.purpose == Purpose::Halve {
                    self.keep_alone(row, now.at);
                }
                self.fail(row, &error, sent, false, now);
            }
        }
    }

    fn whole_batch_failed(
        &mut self,
        group_id: GroupId,
        batch: &Batch,
        error: &CallError,
        sent: Instant,
        now: Now,
    ) {
        let rows = &batch.rows;
        let refused = matches!(
            error.class,
            Class::NotFound | Class::Denied | Class::Invalid
        );
        let Some(group) = self.groups.get_mut(&group_id) else {
            return;
        };
        if refused {
            group.dark = false;
        }
        if error.class == Class::Throttled {
            let wait = match next_try(error, 1, Duration::ZERO) {
                NextTry::After(wait) => wait,
                NextTry::NextSlot | NextTry::OnChange => Duration::ZERO,
            };
            group.paused_until = Some(now.at + wait);
        }
        if rows.len() > 1 && refused {
            let (front, back) = rows.split_at(rows.len() / 2);
            self.part(group_id, front.to_vec(), Purpose::Halve);
            self.part(group_id, back.to_vec(), Purpose::Halve);
            return;
        }
        let unclear = matches!(error.class, Class::Unavailable | Class::Protocol);
        if rows.len() > 1 && unclear && !group.dark && group.search.is_none() {
            group.search = Some(Search {
                left: rows.len(),
                ..Search::default()
            });
            for row in rows {
                self.part(group_id, vec![*row], Purpose::Isolate);
            }
            return;
        }
        self.end_search(group_id, batch, !unclear, now.at);
        for row in rows {
            if batch.purpose == Purpose::Halve && refused {
                self.keep_alone(*row, now.at);
            }
            self.fail(*row, error, sent, false, now);
        }
    }

    /// Notes how one row of a search fared. Only when others were answered meanwhile is a row that
    /// was not to blame; when nobody was, it is the endpoint.
    fn end_search(&mut self, group_id: GroupId, batch: &Batch, answered: bool, now: Instant) {
        if batch.purpose != Purpose::Isolate {
            return;
        }
        let Some(group) = self.groups.get_mut(&group_id) else {
            return;
        };
        let Some(search) = group.search.as_mut() else {
            return;
        };
        search.left = search.left.saturating_sub(batch.rows.len());
        search.succeeded |= answered;
        if !answered {
            search.failed.extend(&batch.rows);
        }
        if search.left > 0 {
            return;
        }
        let Some(search) = group.search.take() else {
            return;
        };
        group.dark = !search.succeeded;
        if search.succeeded {
            for row in search.failed {
                self.keep_alone(row, now);
            }
        }
    }

    fn part(&mut self, group: GroupId, rows: Vec<RowId>, purpose: Purpose) {
        for id in &rows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.place = Place::Queued;
            let due = row.due;
            if let (Some(group), Some(due)) = (self.groups.get_mut(&group), due) {
                group.queue.remove(&(due, *id));
            }
        }
        if let Some(group) = self.groups.get_mut(&group) {
            group.parts.push_back(Batch { rows, purpose });
        }
    }

    fn keep_alone(&mut self, row: RowId, now: Instant) {
        if let Some(row) = self.rows.get_mut(&row) {
            row.single_until = Some(now + ALONE);
        }
    }

    fn succeed(&mut self, id: RowId, held: Arc<Held>, now: Now) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.place = Place::Resting;
        if row.failure.take().is_some() {
            row.epoch += 1;
        }
        let version = held.fetched.version.as_deref().map(Arc::from);
        row.seen = Some(Seen {
            digest: held.digest,
            version,
        });
        row.fetched = Some(now.wall);
        let mut unapplied = false;
        for subscriber in &row.subscribers {
            let differs = subscriber.applied != Some(held.digest);
            unapplied |= differs;
            if differs || subscriber.seen_epoch != row.epoch {
                self.wakes.insert(subscriber.object);
            }
        }
        if unapplied {
            row.value = Some(Arc::clone(&held));
            self.keeping.insert((now.at + KEEP, id));
        }
        let slots = row.slots();
        row.scheduled = Some(slots);
        let due = now.at + until(now.wall, slots.next_after_fetch(now.wall));
        let sent = held.sent;
        self.set_due(id, Some(due), now.at);
        self.answer_waiters(id, sent, &Ok(held));
    }

    fn fail(&mut self, id: RowId, error: &CallError, sent: Instant, parked: bool, now: Now) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.place = Place::Resting;
        row.value = None;
        let same = |old: &CallError| old.class == error.class && old.code() == error.code();
        let failure = match row.failure.take().filter(|old| same(&old.error)) {
            Some(old) => Failure {
                count: old.count.saturating_add(1),
                at: now.at,
                parked,
                ..old
            },
            None => {
                row.epoch += 1;
                Failure {
                    error: Arc::new(error.clone()),
                    count: 1,
                    at: now.at,
                    parked,
                }
            }
        };
        for subscriber in &row.subscribers {
            if subscriber.seen_epoch != row.epoch {
                self.wakes.insert(subscriber.object);
            }
        }
        let slots = row.slots();
        let due = match next_try(error, failure.count, row.interval()) {
            NextTry::NextSlot => Some(now.at + until(now.wall, slots.next_after_fetch(now.wall))),
            NextTry::After(wait) => Some(now.at + wait),
            NextTry::OnChange => None,
        };
        let answer = Err(Arc::clone(&failure.error));
        row.scheduled = Some(slots);
        row.failure = Some(failure);
        self.set_due(id, due, now.at);
        self.answer_waiters(id, sent, &answer);
    }

    /// Parks an identity: what is due or wanted under it fails with it, and one probe goes out when
    /// its time has come.
    fn park(&mut self, identity: IdentityId, error: CallError, now: Now) {
        let failures = self.parked.get(&identity).map_or(0, |park| park.failures) + 1;
        let wait = match next_try(&error, failures, Duration::ZERO) {
            NextTry::After(wait) => wait,
            NextTry::NextSlot => Duration::from_secs(60),
            NextTry::OnChange => ALONE,
        };
        let first = match self.parked.remove(&identity) {
            Some(old) if old.error.code() == error.code() => old.error,
            _ => Arc::new(error.clone()),
        };
        let until = now.at + wait;
        let park = Park {
            error: first,
            failures,
            until,
            probing: false,
        };
        self.parked.insert(identity, park);
        let groups: Vec<GroupId> = self.groups_of(identity);
        for group_id in groups {
            let Some(group) = self.groups.get_mut(&group_id) else {
                continue;
            };
            group.search = None;
            let mut rows: Vec<RowId> = group.parts.drain(..).flat_map(|part| part.rows).collect();
            rows.extend(group.fast.clear());
            rows.extend(
                group
                    .queue
                    .iter()
                    .take_while(|(due, _)| *due <= now.at)
                    .map(|(_, id)| *id),
            );
            for row in rows {
                // Whatever waits for the row is answered: the probe is the identity's, not theirs.
                self.fail(row, &error, now.at, true, now);
            }
            let parked: Vec<RowId> = self.parked_rows(group_id);
            for row in parked {
                self.set_due(row, Some(until), now.at);
            }
            self.note(group_id, now.at);
        }
    }

    /// The identity works: what failed for its sake is due at once.
    fn unpark(&mut self, identity: IdentityId, now: Now) {
        if self.parked.remove(&identity).is_none() {
            return;
        }
        for group in self.groups_of(identity) {
            for row in self.parked_rows(group) {
                self.set_due(row, Some(now.at), now.at);
            }
            self.note(group, now.at);
        }
    }

    fn groups_of(&self, identity: IdentityId) -> Vec<GroupId> {
        let belongs = |group: &super::group::Group| group.origin.identity.id() == identity;
        self.groups
            .iter()
            .filter(|(_, group)| belongs(group))
            .map(|(id, _)| *id)
            .collect()
    }

    fn parked_rows(&self, group: GroupId) -> Vec<RowId> {
        let parked = |row: &super::row::Row| {
            row.group == group
                && row.place == Place::Resting
                && row.failure.as_ref().is_some_and(|failure| failure.parked)
        };
        self.rows
            .iter()
            .filter(|(_, row)| parked(row))
            .map(|(id, _)| *id)
            .collect()
    }
}

/// Whether an answer of this class shows that the cloud accepted the identity.
fn proves_identity(class: Class) -> bool {
    matches!(
        class,
        Class::NotFound | Class::Denied | Class::Invalid | Class::Throttled
    )
}
