//! Batches that failed as a whole: finding the rows to blame, without blaming their neighbours.
//!
//! A refused batch is halved until the culprit is alone; one that failed unclearly is sent again
//! row by row. Where nobody is answered it is the endpoint, and no more is searched until somebody
//! is.

use std::sync::Arc;

use tokio::time::Instant;

use super::group::{Batch, Group};
use super::row::{GroupId, Place, RowId};
use super::table::{Now, Table};
use crate::provider::{CallError, Class};

/// So many reads of single rows without any answer, searches apart, mean that the endpoint gives
/// none.
const SILENCE: u32 = 8;

/// A running search through the rows of one batch.
#[derive(Debug)]
pub(super) struct Search {
    rows: Batch,
    /// Rows that were not answered alone, or in a part that was answered, so far.
    pending: Batch,
    failed: Vec<RowId>,
    answered: bool,
    refused: bool,
    error: Arc<CallError>,
    sent: Instant,
}

/// How one row of a search fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fared {
    /// It was read.
    Well,
    /// It was answered with an error.
    Refused,
    /// It got no answer, or none that made sense.
    Unanswered,
}

// === impl Search ===

#[cfg(test)]
impl Search {
    pub fn check(&self, table: &Table) {
        assert!(!self.pending.is_empty(), "a search has ended");
        for row in &self.pending {
            assert_ne!(table.rows[row].place, Place::Resting, "nobody looks for it");
        }
    }
}

// === impl Table ===

impl Table {
    /// Takes in the failure of a whole batch.
    pub(super) fn batch_failed(
        &mut self,
        group_id: GroupId,
        batch: &Batch,
        error: Arc<CallError>,
        sent: Instant,
        now: Now,
    ) {
        let Some(group) = self.groups.get_mut(&group_id) else {
            return;
        };
        let answered = !matches!(error.class, Class::Unavailable | Class::Protocol);
        let refused = answered && error.class != Class::Throttled;
        let was_dark = group.dark;
        if answered {
            group.was_answered(sent);
        } else if batch.len() == 1 && !group.is_searched(batch) && !group.has_answered(sent) {
            group.silent += 1;
            group.dark |= group.silent >= SILENCE;
        }
        if batch.len() > 1 && (refused || (!answered && !group.dark)) {
            // Rows that were dropped meanwhile are not looked for.
            let mut batch = batch.clone();
            batch.retain(|row| self.rows.contains_key(row));
            group.search(&batch, &error, refused, sent);
            let size = if refused { batch.len().div_ceil(2) } else { 1 };
            for part in batch.chunks(size.max(1)) {
                self.part(group_id, part.to_vec());
            }
            return;
        }
        let fared = if answered {
            Fared::Refused
        } else {
            Fared::Unanswered
        };
        for row in batch {
            self.fail(*row, &error, sent, now);
        }
        for row in batch {
            self.settle(group_id, *row, Some(fared), now);
        }
        if was_dark && error.class == Class::Unavailable {
            self.give_up(group_id, &error, now);
        }
    }

    /// The endpoint is still dark: whoever waits for it is told, instead of waiting for a turn that
    /// may take a deadline each.
    fn give_up(&mut self, group_id: GroupId, error: &Arc<CallError>, now: Now) {
        let rows = match self.groups.get_mut(&group_id) {
            Some(group) => group.give_up(&self.rows, now.at),
            None => Vec::new(),
        };
        for row in rows {
            self.fail(row, error, now.at, now);
        }
    }

    /// Sends rows by themselves, before anything else of their group.
    pub(super) fn part(&mut self, group: GroupId, rows: Batch) {
        for id in &rows {
            if let Some(row) = self.rows.get_mut(id) {
                row.place = Place::Queued;
                let due = row.due;
                if let Some(group) = self.groups.get_mut(&group)
                    && let Some(due) = due
                {
                    group.queue.remove(&(due, *id));
                }
            }
        }
        if let Some(group) = self.groups.get_mut(&group) {
            group.parts.push_back(rows);
        }
    }

    /// Tells the search that looks at `row`, if there is one, how the row fared; nothing when it was
    /// dropped.
    pub(super) fn settle(&mut self, group_id: GroupId, row: RowId, fared: Option<Fared>, now: Now) {
        let Some(group) = self.groups.get_mut(&group_id) else {
            return;
        };
        let Some(at) = group.searches.iter().position(|s| s.pending.contains(&row)) else {
            return;
        };
        let search = &mut group.searches[at];
        search.pending.retain(|other| *other != row);
        search.answered |= matches!(fared, Some(Fared::Well | Fared::Refused));
        if matches!(fared, Some(Fared::Refused | Fared::Unanswered)) {
            search.failed.push(row);
        }
        if !search.pending.is_empty() {
            return;
        }
        let search = group.searches.swap_remove(at);
        if !search.answered && !group.has_answered(search.sent) {
            self.darken(group_id, now);
        } else if search.failed.is_empty() && search.refused {
            // Each is read alone and not together: as long as that is so, they travel apart.
            for row in search.rows {
                self.keep_alone(row, now.at);
            }
        } else {
            for row in search.failed {
                self.keep_alone(row, now.at);
            }
        }
    }

    /// The endpoint answers nobody: the other searches would only find the same.
    fn darken(&mut self, group_id: GroupId, now: Now) {
        let Some(group) = self.groups.get_mut(&group_id) else {
            return;
        };
        group.dark = true;
        for search in std::mem::take(&mut group.searches) {
            let mut queued = search.pending;
            let place = |id: &RowId| self.rows.get(id).map(|row| row.place);
            queued.retain(|id| place(id) == Some(Place::Queued));
            if let Some(group) = self.groups.get_mut(&group_id) {
                group.drop_parts(&queued);
            }
            for row in queued {
                self.fail(row, &search.error, search.sent, now);
            }
        }
    }
}

// === impl Group ===

impl Group {
    /// Starts a search through `batch`, or goes on with the one that `batch` is a part of.
    fn search(&mut self, batch: &Batch, error: &Arc<CallError>, refused: bool, sent: Instant) {
        let part = |search: &&mut Search| batch.iter().any(|row| search.pending.contains(row));
        if let Some(search) = self.searches.iter_mut().find(part) {
            search.refused |= refused;
            search.answered |= refused;
        } else if !batch.is_empty() {
            self.searches.push(Search {
                rows: batch.clone(),
                pending: batch.clone(),
                failed: Vec::new(),
                answered: refused,
                refused,
                error: Arc::clone(error),
                sent,
            });
        }
    }

    fn is_searched(&self, batch: &Batch) -> bool {
        let searched = |search: &Search| batch.iter().any(|row| search.pending.contains(row));
        self.searches.iter().any(searched)
    }

    fn drop_parts(&mut self, rows: &Batch) {
        for part in &mut self.parts {
            part.retain(|row| !rows.contains(row));
        }
        self.parts.retain(|part| !part.is_empty());
    }
}
