//! How an object collects the values of all its rows: at once from what was read a moment ago, or
//! by the fast lane. An object never waits inside its reconcile; it is woken and asks again.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::row::{Held, ObjectId, Place, RowId};
use super::table::{KEEP, Now, Table};
use super::{Join, Joined, ObjectKey};
use crate::provider::CallError;

/// One row's answer to a join.
pub(super) type JoinAnswer = Result<Arc<Held>, Arc<CallError>>;

/// A join whose calls are under way, or whose answers wait to be collected.
#[derive(Debug)]
pub(super) struct Waiting {
    request: Join,
    /// Answers of calls sent before this do not count.
    since: Instant,
    answers: HashMap<RowId, JoinAnswer>,
    left: usize,
}

/// What a row offers to a join.
enum Offer {
    Answer(JoinAnswer),
    /// A call that is under way, or in the fast lane, will bring it.
    Awaited,
    /// It has to be asked.
    Wanted,
}

// === impl Table ===

impl Table {
    /// Joins the object's rows, or collects the answers of an earlier join.
    pub fn join(&mut self, object: &ObjectKey, request: Join, now: Now) -> Joined {
        let Some((id, rows)) = self.rows_of(object) else {
            return Joined::Ready(Vec::new());
        };
        let same = |waiting: &Waiting| waiting.request.anew == request.anew;
        let running = self
            .objects
            .get(&id)
            .and_then(|o| o.waiting.as_ref())
            .is_some_and(same);
        if !running {
            let waiting = self.start_join(id, &rows, request, now.at);
            if let Some(object) = self.objects.get_mut(&id) {
                object.waiting = Some(waiting);
            }
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
                    row.waiters.retain(|waiter| *waiter != id);
                }
            }
        }
    }

    /// Hands a row's answer to those who wait for it, save those who want a later one.
    pub(super) fn answer_waiters(&mut self, id: RowId, sent: Instant, answer: &JoinAnswer) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let waiters = std::mem::take(&mut row.waiters);
        let mut later = Vec::new();
        for object in waiters {
            let Some(entry) = self.objects.get_mut(&object) else {
                continue;
            };
            let Some(waiting) = entry.waiting.as_mut() else {
                continue;
            };
            if sent < waiting.since {
                later.push(object);
            } else if waiting.answers.insert(id, answer.clone()).is_none() {
                waiting.left -= 1;
                if waiting.left == 0 {
                    self.wakes.insert(object);
                }
            }
        }
        if let Some(row) = self.rows.get_mut(&id) {
            row.waiters = later;
        }
    }

    /// Puts a resting row into the fast lane.
    pub(super) fn hurry(&mut self, id: RowId, namespace: &Arc<str>, now: Instant) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        match &mut row.place {
            Place::Queued => return,
            Place::InFlight { again, .. } => {
                *again = true;
                return;
            }
            Place::Resting => row.place = Place::Queued,
        }
        let (group_id, due) = (row.group, row.due);
        if let Some(group) = self.groups.get_mut(&group_id) {
            if let Some(due) = due {
                group.queue.remove(&(due, id));
            }
            group.fast.push(namespace, id);
        }
        self.note(group_id, now);
    }

    fn start_join(&mut self, id: ObjectId, rows: &[RowId], request: Join, now: Instant) -> Waiting {
        let since = match request.anew {
            Some(_) => now,
            None => now.checked_sub(KEEP).unwrap_or(now),
        };
        let mut waiting = Waiting {
            request,
            since,
            answers: HashMap::new(),
            left: 0,
        };
        let namespace = self
            .objects
            .get(&id)
            .map(|object| Arc::clone(&object.key.namespace));
        let mut distinct = rows.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for row_id in distinct {
            match self.offer(row_id, request, since, now) {
                Offer::Answer(answer) => {
                    waiting.answers.insert(row_id, answer);
                    continue;
                }
                Offer::Awaited => {}
                Offer::Wanted => {
                    if let Some(namespace) = &namespace {
                        self.hurry(row_id, namespace, now);
                    }
                }
            }
            waiting.left += 1;
            if let Some(row) = self.rows.get_mut(&row_id)
                && !row.waiters.contains(&id)
            {
                row.waiters.push(id);
            }
        }
        waiting
    }

    fn offer(&self, id: RowId, request: Join, since: Instant, now: Instant) -> Offer {
        let Some(row) = self.rows.get(&id) else {
            return Offer::Wanted;
        };
        let identity = self
            .groups
            .get(&row.group)
            .map(|group| group.origin.identity.id());
        if let Some(park) = identity.and_then(|id| self.parked.get(&id))
            && (park.probing || park.until > now)
        {
            return Offer::Answer(Err(Arc::clone(&park.error)));
        }
        if let Some(failure) = &row.failure
            && (!request.retry || failure.at >= since)
        {
            return Offer::Answer(Err(Arc::clone(&failure.error)));
        }
        if let Some(held) = row.value.as_ref().filter(|held| held.sent >= since) {
            return Offer::Answer(Ok(Arc::clone(held)));
        }
        match row.place {
            Place::Queued => Offer::Awaited,
            Place::InFlight { sent, .. } if sent >= since => Offer::Awaited,
            Place::InFlight { .. } | Place::Resting => Offer::Wanted,
        }
    }

    fn collect(&mut self, id: ObjectId, rows: &[RowId]) -> Joined {
        let Some(object) = self.objects.get_mut(&id) else {
            return Joined::Ready(Vec::new());
        };
        let Some(waiting) = object.waiting.take_if(|waiting| waiting.left == 0) else {
            return Joined::Pending;
        };
        Joined::Ready(
            rows.iter()
                .filter_map(|row| waiting.answers.get(row).cloned())
                .collect(),
        )
    }
}
