//! How an object collects the values of all its rows: at once from what was read a moment ago, or
//! by the fast lane. An object never waits inside its reconcile; it is woken and asks again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::same_kind;
use super::row::{Failure, Held, ObjectId, Place, RowId};
use super::table::{KEEP, Now, Table};
use super::{Join, Joined, ObjectKey};
use crate::provider::CallError;

/// One row's answer to a join.
pub(super) type JoinAnswer = Result<Arc<Held>, Arc<CallError>>;

/// How long answers may wait to be collected before they are out of date.
const PATIENCE: Duration = Duration::from_mins(5);

/// A join whose calls are under way, or whose answers wait to be collected.
#[derive(Debug)]
pub(super) struct Waiting {
    request: Join,
    /// Answers of calls sent before this do not count.
    since: Instant,
    answers: HashMap<RowId, JoinAnswer>,
    left: usize,
    /// When the last answer came.
    complete: Instant,
    /// When it was joined first, and when it was last asked for what it has not.
    pub began: Instant,
    asked: Instant,
    /// Rows whose values were given back; they are asked again when nothing else is missing.
    given_back: Vec<RowId>,
}

/// What a row offers to a join.
enum Offer {
    Answer(JoinAnswer),
    /// A call that is under way, or wanted already, will bring it.
    Awaited,
    /// It has to be asked.
    Wanted,
}

// === impl Waiting ===

impl Waiting {
    /// Whether the join does for `request` too.
    fn serves(&self, request: Join) -> bool {
        self.request.anew == request.anew && (self.request.retry || !request.retry)
    }

    fn is_out_of_date(&self, now: Instant) -> bool {
        self.left == 0 && self.complete + PATIENCE <= now
    }

    /// Whether nothing is missing, or what is missing was given back.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Whether all that is missing was given back.
    fn is_to_ask_again(&self) -> bool {
        self.is_complete() && !self.given_back.is_empty()
    }

    /// Since when it has waited: for answers, or to be collected.
    pub fn idle_since(&self) -> Instant {
        if self.is_complete() {
            self.complete
        } else {
            self.asked
        }
    }

    /// How many bytes of values it holds.
    pub fn bytes(&self) -> usize {
        let values = self.answers.values().flatten();
        values.map(|held| held.fetched.value.len()).sum()
    }

    /// Lets go of its values; says of which rows.
    pub fn give_back(&mut self) -> Vec<RowId> {
        let values = self.answers.extract_if(|_, answer| answer.is_ok());
        let rows: Vec<RowId> = values.map(|(row, _)| row).collect();
        self.given_back.extend(&rows);
        rows
    }

    #[cfg(test)]
    pub fn has(&self, row: RowId) -> bool {
        self.answers.contains_key(&row) || self.given_back.contains(&row)
    }

    #[cfg(test)]
    pub fn left(&self) -> usize {
        self.left
    }

    /// Whether the answer to a call sent at `sent` counts. A failure always does, except to a person
    /// who asked for another try.
    fn takes(&self, sent: Instant, answer: &JoinAnswer) -> bool {
        sent >= self.since || (answer.is_err() && self.request.anew.is_none())
    }
}

// === impl Table ===

impl Table {
    /// Joins the object's rows, or collects the answers of an earlier join.
    pub fn join(&mut self, object: &ObjectKey, request: Join, now: Now) -> Joined {
        self.expire_joins(now.at);
        let Some((id, rows)) = self.rows_of(object) else {
            return Joined::Ready(Vec::new());
        };
        let Some(entry) = self.objects.get_mut(&id) else {
            return Joined::Ready(Vec::new());
        };
        let request = Join {
            // A request that was served is an ordinary one from then on.
            anew: request.anew.filter(|_| request.anew != entry.handled),
            ..request
        };
        let mut serves = entry.waiting.take_if(|waiting| waiting.serves(request));
        let waiting = match serves.take_if(|waiting| !waiting.is_to_ask_again()) {
            Some(waiting) => waiting,
            None => Box::new(self.start_join(id, &rows, request, serves, now)),
        };
        if let Some(entry) = self.objects.get_mut(&id) {
            entry.waiting = Some(waiting);
        }
        self.collect(id, &rows)
    }

    /// Gives up a join, so that its values are let go.
    pub fn cancel(&mut self, object: &ObjectKey) {
        let Some((id, rows)) = self.rows_of(object) else {
            return;
        };
        if self
            .objects
            .get_mut(&id)
            .and_then(|object| object.waiting.take())
            .is_some()
        {
            for row in rows {
                if let Some(row) = self.rows.get_mut(&row) {
                    row.set_waits(id, false);
                }
            }
        }
    }

    /// Lets go of answers that nobody collected; a later join asks again.
    pub(super) fn expire_joins(&mut self, now: Instant) {
        while let Some((time, id)) = self.collecting.pop_first() {
            if time > now {
                self.collecting.insert((time, id));
                return;
            }
            // The entry may be that of an earlier join.
            let old = |waiting: &mut Box<Waiting>| waiting.is_out_of_date(now);
            if let Some(object) = self.objects.get_mut(&id) {
                object.waiting.take_if(old);
            }
        }
    }

    /// Hands a row's answer to those who wait for it, save those who want a later one.
    pub(super) fn answer_waiters(
        &mut self,
        id: RowId,
        sent: Instant,
        answer: &JoinAnswer,
        now: Instant,
    ) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let all = row.subscribers.as_mut_slice().iter_mut();
        for subscriber in all.filter(|subscriber| subscriber.waits) {
            let object = subscriber.object;
            subscriber.waits = false;
            let entry = self.objects.get_mut(&object);
            let Some(waiting) = entry.and_then(|entry| entry.waiting.as_mut()) else {
                continue;
            };
            if !waiting.takes(sent, answer) {
                subscriber.waits = true;
            } else if waiting.answers.insert(id, answer.clone()).is_none() {
                waiting.left -= 1;
                waiting.complete = now;
                if waiting.left == 0 {
                    self.wakes.insert(object);
                    self.collecting.insert((now + PATIENCE, object));
                }
            }
        }
    }

    /// Begins a join, or goes on with `earlier`, which gave values back.
    fn start_join(
        &mut self,
        id: ObjectId,
        rows: &[RowId],
        request: Join,
        earlier: Option<Box<Waiting>>,
        now: Now,
    ) -> Waiting {
        let since = match request.anew {
            Some(_) => now.at,
            None => now.at.checked_sub(KEEP).unwrap_or(now.at),
        };
        let mut waiting = Waiting {
            request,
            since,
            began: earlier.as_ref().map_or(now.at, |earlier| earlier.began),
            answers: earlier.map(|earlier| earlier.answers).unwrap_or_default(),
            left: 0,
            complete: now.at,
            asked: now.at,
            given_back: Vec::new(),
        };
        let namespace = self
            .objects
            .get(&id)
            .map(|object| Arc::clone(&object.key.namespace));
        let mut distinct = rows.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        distinct.retain(|row| !waiting.answers.contains_key(row));
        for row_id in distinct {
            match self.offer(row_id, request, since, now) {
                Offer::Answer(answer) => {
                    waiting.answers.insert(row_id, answer);
                    continue;
                }
                Offer::Awaited => {
                    // Whoever wanted it first may be far from a turn.
                    if let Some(namespace) = &namespace {
                        self.want_too(row_id, namespace);
                    }
                }
                Offer::Wanted => {
                    if let Some(namespace) = &namespace {
                        self.hurry(row_id, namespace, now.at);
                    }
                }
            }
            waiting.left += 1;
            if let Some(row) = self.rows.get_mut(&row_id) {
                row.set_waits(id, true);
            }
        }
        waiting
    }

    fn offer(&mut self, id: RowId, request: Join, since: Instant, now: Now) -> Offer {
        if request.anew.is_some()
            && let Some(group) = self.rows.get(&id).map(|row| row.group)
        {
            self.hasten_probe(group, now.at);
            self.hasten_knock(group, now.at);
        }
        if let Some(error) = self.refuse_parked(id, now) {
            return Offer::Answer(Err(error));
        }
        if let Some(error) = self.refuse_out_of_reach(id, now) {
            return Offer::Answer(Err(error));
        }
        let Some(row) = self.rows.get(&id) else {
            return Offer::Wanted;
        };
        let last = |failed: &Failure| !request.retry || failed.at >= since;
        if let Some(failure) = row.failure()
            && request.anew.is_none()
            && last(failure)
        {
            return Offer::Answer(Err(Arc::clone(&failure.error)));
        }
        if let Some(held) = row.value().filter(|held| held.sent >= since) {
            return Offer::Answer(Ok(Arc::clone(held)));
        }
        match row.place {
            Place::Resting | Place::Ripe => Offer::Wanted,
            // Where a call that is under way left too early, the row is asked again after it.
            Place::Queued | Place::InFlight => Offer::Awaited,
        }
    }

    /// The failure of a row that has to wait for its identity. The row is given it too, so that the
    /// object is woken when the identity works again.
    fn refuse_parked(&mut self, id: RowId, now: Now) -> Option<Arc<CallError>> {
        let row = self.rows.get(&id)?;
        let (group, place) = (row.group, row.place);
        if !self.is_held_back(group, now.at) {
            return None;
        }
        let (error, until) = self.parked(group)?;
        let known = |failure: &Failure| same_kind(&failure.error, &error);
        if !row.failure().is_some_and(known) {
            if matches!(place, Place::Resting | Place::Ripe) {
                self.fail_parked(id, &error, until, now.at, now);
            } else {
                self.blame(id, &error, now.at, now);
            }
        } else if place == Place::Resting && row.due > Some(until) {
            // It is the probe that was just asked for.
            self.set_due(id, Some(until), now.at);
        }
        let failure = self.rows.get(&id)?.failure()?;
        Some(Arc::clone(&failure.error))
    }

    /// The failure of a row that has to wait for its endpoint.
    fn refuse_out_of_reach(&mut self, id: RowId, now: Now) -> Option<Arc<CallError>> {
        let row = self.rows.get(&id)?;
        let (group, place) = (row.group, row.place);
        let error = self.out_of_reach(group, now.at)?;
        let known = |failure: &Failure| same_kind(&failure.error, &error);
        if !row.failure().is_some_and(known) {
            match place {
                Place::Resting | Place::Ripe => self.wait_for_endpoint(id, &error, now.at, now),
                Place::Queued | Place::InFlight => {
                    self.blame(id, &error, now.at, now);
                }
            }
        }
        let failure = self.rows.get(&id)?.failure()?;
        Some(Arc::clone(&failure.error))
    }

    fn collect(&mut self, id: ObjectId, rows: &[RowId]) -> Joined {
        let Some(object) = self.objects.get_mut(&id) else {
            return Joined::Ready(Vec::new());
        };
        let Some(waiting) = object.waiting.take_if(|waiting| waiting.left == 0) else {
            return Joined::Pending;
        };
        if waiting.request.anew.is_some() {
            object.handled = waiting.request.anew;
        }
        Joined::Ready(
            rows.iter()
                .filter_map(|row| waiting.answers.get(row).cloned())
                .collect(),
        )
    }
}
