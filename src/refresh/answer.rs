//! What answers mean for the rows that asked. Pure, like the rest of the table.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::CallFailure;
use super::departure::Departure;
use super::group::Batch;
use super::ladder::{NextTry, next_try};
use super::row::{Failure, GroupId, Held, Place, RowId, Seen};
use super::schedule::until;
use super::search::Fared;
use super::table::{KEEP, Now, Table};
use crate::provider::{CallError, Class};

/// How long a row that made a batch fail travels alone.
const ALONE: Duration = Duration::from_hours(1);

/// What a departure cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// Calls beyond the first.
    pub more: u32,
    /// The cloud said that it was too much, and for how long.
    pub throttled: Option<Duration>,
}

/// What came back for a batch: an answer for each of its rows, or one failure for all.
pub(super) type BatchResult = Result<Vec<Result<Arc<Held>, CallError>>, CallFailure>;

// === impl Table ===

impl Table {
    /// Takes in what came back for a batch.
    pub fn arrive(&mut self, departure: Departure, result: BatchResult, spent: Spent, now: Now) {
        let Departure {
            group: group_id,
            origin,
            batch,
            sent,
            asked,
            learns,
            namespace,
            probe,
            knocks,
            ..
        } = departure;
        self.pay(group_id, spent, now.at);
        self.in_flight -= 1;
        self.shares.came_back(&namespace);
        if let Some(group) = self.groups.get_mut(&group_id) {
            group.in_flight -= 1;
            if let Some(reader) = self.readers.get_mut(&group.reader) {
                reader.in_flight -= 1;
            }
        }
        for id in &batch {
            if let Some(row) = self.rows.get_mut(id) {
                row.place = Place::Resting;
            }
        }
        // What is alone in its call may need another next time.
        let alone = batch.len() == 1;
        let moved = alone && batch.iter().any(|row| self.rehome(*row, now));
        let identity = origin.identity.id();
        match &result {
            Ok(_) if probe => self.end_probe(identity, true, now.at),
            Err(CallFailure::Call(error)) if probe => {
                self.end_probe(identity, proves_identity(error.class), now.at);
            }
            Ok(_) | Err(_) => {}
        }
        let accepted = match &result {
            Ok(_) => true,
            Err(CallFailure::Call(error)) => proves_identity(error.class),
            Err(CallFailure::Identity(_)) => false,
        };
        match result {
            Err(CallFailure::Identity(error)) => {
                self.identity_failed(identity, &batch, error, probe, sent, now);
            }
            Err(CallFailure::Call(error)) => {
                self.call_failed(group_id, &batch, Arc::new(error), sent, now);
            }
            Ok(answers) => {
                self.heard(group_id, sent, now.at);
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.was_answered(sent);
                }
                for row in batch.iter().filter(|_| learns) {
                    self.learned(*row, asked, now);
                }
                for (row, answer) in batch.iter().zip(answers) {
                    self.row_answered(group_id, *row, alone, answer, sent, now);
                }
            }
        }
        if knocks {
            self.end_knock(group_id, now);
        }
        for row in &batch {
            self.ask_again(*row, now);
        }
        if probe {
            self.note_identity(identity, now.at);
        }
        if accepted && let Some(account) = origin.identity.account() {
            self.learn_account(identity, account, now.at);
        }
        if moved && let Some(row) = batch.first().and_then(|row| self.rows.get(row)) {
            self.note(row.group, now.at);
        }
        self.note_with_others(group_id, now.at);
        self.let_go(&namespace, now.at);
        self.drop_group(group_id, now.at);
    }

    /// A call failed as a whole: for its endpoint's sake, or for its own.
    fn call_failed(
        &mut self,
        group: GroupId,
        batch: &Batch,
        error: Arc<CallError>,
        sent: Instant,
        now: Now,
    ) {
        if error.class != Class::Unavailable || error.of_the_key {
            self.heard(group, sent, now.at);
        } else if self.unheard(group, batch, &error, sent, now) {
            for row in batch {
                self.wait_for_endpoint(*row, &error, sent, now);
            }
            return;
        }
        self.batch_failed(group, batch, error, sent, now);
    }

    /// Takes what a call cost from the budgets.
    fn pay(&mut self, group: GroupId, spent: Spent, now: Instant) {
        let Some(group) = self.groups.get_mut(&group) else {
            return;
        };
        if let Some(reader) = self.readers.get_mut(&group.reader) {
            reader.spend(spent.more, now);
        }
        if let Some(line) = self.lines.get_mut(&group.line) {
            line.moved = Some(now);
            line.budget.take(spent.more, now);
            if let Some(hint) = spent.throttled {
                line.budget.throttled(hint, now);
            }
        }
    }

    fn row_answered(
        &mut self,
        group: GroupId,
        row: RowId,
        alone: bool,
        answer: Result<Arc<Held>, CallError>,
        sent: Instant,
        now: Now,
    ) {
        match answer {
            Ok(held) => {
                self.succeed(row, held, now);
                self.settle(group, row, Some(Fared::Well), now);
            }
            // A batch's word that a name is missing is not enough: it is read singly first.
            Err(error) if error.class == Class::NotFound && !alone => {
                self.keep_alone(row, now.at);
                self.part(group, vec![row]);
            }
            Err(error) => {
                self.fail(row, &Arc::new(error), sent, now);
                self.settle(group, row, Some(Fared::Refused), now);
            }
        }
    }

    pub(super) fn keep_alone(&mut self, row: RowId, now: Instant) {
        if let Some(row) = self.rows.get_mut(&row) {
            row.keep_alone(now + ALONE);
        }
    }

    fn succeed(&mut self, id: RowId, held: Arc<Held>, now: Now) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        if let Some(failure) = row.take_failure() {
            row.epoch += 1;
            if failure.error.class == Class::NotFound {
                // It did no batch any harm; it was only not there.
                row.rejoin();
            }
        }
        let version = held.fetched.version.as_deref();
        let known = row.seen.take();
        let changed = known
            .as_ref()
            .is_some_and(|seen| seen.digest != held.digest);
        if known
            .as_ref()
            .is_some_and(|seen| seen.caveat != held.fetched.caveat)
        {
            row.epoch += 1;
        }
        row.seen = Some(Seen {
            digest: held.digest,
            version: known
                .and_then(|seen| seen.version)
                .filter(|known| version == Some(&**known))
                .or_else(|| version.map(Arc::from)),
            caveat: held.fetched.caveat,
        });
        row.fetched = Some(now.at);
        for subscriber in row.subscribers.as_slice() {
            let differs = subscriber.applied != Some(held.digest);
            if differs || subscriber.seen_epoch != row.epoch {
                self.wakes.insert(subscriber.object);
            }
        }
        let wanted = row.waiters().next().is_some() || !row.is_applied(held.digest);
        row.drop_value();
        if wanted && held.sent + KEEP > now.at {
            row.keep_value(Arc::clone(&held));
            self.keeping.insert((held.sent + KEEP, id));
        }
        row.scheduled = Some(row.interval);
        let slot = row.slots().next_after_fetch(now.wall);
        let rotation = held
            .fetched
            .rotation
            .as_ref()
            .and_then(|rotation| rotation.next);
        let rotated = rotation.and_then(|next| row.after_rotation(next, now.wall));
        let rotated = rotated.filter(|rotated| *rotated < slot);
        row.exact = rotated.is_some();
        let due = rotated.unwrap_or(slot);
        self.set_due(id, Some(now.at + until(now.wall, due)), now.at);
        if changed {
            self.forget_siblings(id, held.sent);
        }
        self.answer_waiters(id, held.sent, &Ok(held), now.at);
    }

    /// A rotation moves several stages of a secret at once. When one is seen to have changed, objects
    /// that need others too read them anew, instead of a value of before the rotation.
    fn forget_siblings(&mut self, id: RowId, sent: Instant) {
        let Some(row) = self.rows.get(&id) else {
            return;
        };
        let sibling = |other: &&RowId| {
            let other = self.rows.get(*other);
            other.is_some_and(|other| other.group == row.group && other.key.is_sibling_of(&row.key))
        };
        let objects = row.subscribers.as_slice().iter();
        let objects = objects.filter_map(|subscriber| self.objects.get(&subscriber.object));
        let siblings = objects.flat_map(|object| &object.rows).filter(sibling);
        for sibling in siblings.copied().collect::<Vec<RowId>>() {
            if let Some(row) = self.rows.get_mut(&sibling) {
                row.drop_value_if(|held| held.sent < sent);
            }
        }
    }

    /// Takes in a failed read of a row.
    pub(super) fn fail(&mut self, id: RowId, error: &Arc<CallError>, sent: Instant, now: Now) {
        let failures = self.blame(id, error, sent, now);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.place = Place::Resting;
        row.exact = false;
        row.scheduled = Some(row.interval);
        let due = match next_try(error, failures, row.interval.into()) {
            NextTry::NextSlot => {
                let slot = row.slots().next_after_fetch(now.wall);
                Some(now.at + until(now.wall, slot))
            }
            NextTry::After(wait) => Some(now.at + wait),
            NextTry::OnChange => None,
        };
        self.set_due(id, due, now.at);
    }

    /// Notes a failure and answers those who wait for the row; says how many there were in a row.
    pub(super) fn blame(
        &mut self,
        id: RowId,
        error: &Arc<CallError>,
        sent: Instant,
        now: Now,
    ) -> u32 {
        // Its next call is another read, for which nothing was learned yet.
        self.learned.remove(&id);
        let Some(row) = self.rows.get_mut(&id) else {
            return 1;
        };
        row.drop_value();
        let old = row.take_failure();
        let failure = if let Some(mut old) = old.filter(|old| same_kind(&old.error, error)) {
            old.count = old.count.saturating_add(1);
            old.at = now.at;
            old.over = false;
            old
        } else {
            row.epoch += 1;
            Failure {
                error: Arc::clone(error),
                count: 1,
                at: now.at,
                over: false,
            }
        };
        for subscriber in row.subscribers.as_slice() {
            if subscriber.seen_epoch != row.epoch {
                self.wakes.insert(subscriber.object);
            }
        }
        let answer = Err(Arc::clone(&failure.error));
        let failures = failure.count;
        row.set_failure(failure);
        self.answer_waiters(id, sent, &answer, now.at);
        failures
    }

    /// Sends for a row again that somebody wants read later than it was.
    fn ask_again(&mut self, id: RowId, now: Now) {
        let Some(row) = self.rows.get(&id) else {
            return;
        };
        let resting = row.place == Place::Resting;
        let Some(waiter) = row.waiters().next().filter(|_| resting) else {
            return;
        };
        if let Some((error, until)) = self.parked(row.group) {
            self.fail_parked(id, &error, until, now.at, now);
        } else if let Some(error) = self.out_of_reach(row.group, now.at) {
            self.wait_for_endpoint(id, &error, now.at, now);
        } else if let Some(object) = self.objects.get(&waiter) {
            let namespace = Arc::clone(&object.key.namespace);
            self.hurry(id, &namespace, now.at);
        }
    }
}

/// Whether two failures tell the same story. A cloud that does not answer does so in many ways.
pub(super) fn same_kind(one: &CallError, other: &CallError) -> bool {
    let passing = matches!(one.class, Class::Unavailable | Class::Throttled);
    one.class == other.class && (passing || one.code() == other.code())
}

/// Whether an answer of this class shows that the cloud accepted the identity.
fn proves_identity(class: Class) -> bool {
    matches!(
        class,
        Class::NotFound | Class::Denied | Class::Invalid | Class::Throttled
    )
}
