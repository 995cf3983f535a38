//! Rows that may share a batch: one identity at one address, with its queue, its fast lane and its
//! batches in flight. Choosing the next batch is pure.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::Origin;
use super::lane::FastLane;
use super::row::{Row, RowId};
use super::search::Search;
use crate::credential::IdentityId;

/// How many of the rows that are due next are looked at to top a batch up.
const LOOK_AHEAD: usize = 64;

/// The rows of one call.
pub(super) type Batch = Vec<RowId>;

/// Rows of one origin.
#[derive(Debug)]
pub(super) struct Group {
    pub origin: Arc<Origin>,
    pub rows: usize,
    /// Resting rows by due time.
    pub queue: BTreeSet<(Instant, RowId)>,
    pub fast: FastLane,
    pub parts: VecDeque<Batch>,
    pub in_flight: usize,
    /// Until when nothing leaves, because the cloud asked for it.
    pub paused_until: Option<Instant>,
    pub searches: Vec<Search>,
    /// The endpoint answers nobody: a failed batch says nothing about its rows, and one batch at a
    /// time is enough to see when that ends.
    pub dark: bool,
    /// When the last call that was answered had been sent.
    pub answered: Option<Instant>,
    /// How many reads of single rows left after that and were not answered.
    pub silent: u32,
    /// What is noted for the group in the agenda.
    pub noted: Option<Instant>,
}

// === impl Group ===

impl Group {
    pub fn new(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            rows: 0,
            queue: BTreeSet::new(),
            fast: FastLane::default(),
            parts: VecDeque::new(),
            in_flight: 0,
            paused_until: None,
            searches: Vec::new(),
            dark: false,
            answered: None,
            silent: 0,
            noted: None,
        }
    }

    pub fn identity(&self) -> IdentityId {
        self.origin.identity.id()
    }

    /// When the group has something to send, if it may.
    pub fn next_time(&self, now: Instant, most_in_flight: usize) -> Option<Instant> {
        let most = if self.dark { 1 } else { most_in_flight };
        if self.in_flight >= most {
            return None;
        }
        let wanted = if self.parts.is_empty() && self.fast.is_empty() {
            self.queue.first().map(|(due, _)| *due)
        } else {
            // It keeps the place in the agenda that it got when it was first wanted.
            Some(self.noted.map_or(now, |noted| noted.min(now)))
        };
        wanted.map(|time| self.paused_until.map_or(time, |paused| time.max(paused)))
    }

    /// Takes the next batch: parts of a failed one first, then the fast lane, then what is due,
    /// topped up with rows that are due so soon that a fetch now satisfies their slot. None means
    /// that nothing is wanted or due.
    pub fn take(&mut self, rows: &HashMap<RowId, Box<Row>>, now: Instant) -> Option<Batch> {
        while let Some(mut part) = self.parts.pop_front() {
            part.retain(|id| rows.contains_key(id));
            if !part.is_empty() {
                return Some(part);
            }
        }
        let provider = Arc::clone(&self.origin.provider);
        let most = provider.capabilities().batch.max(1);
        let sociable = |id: RowId| {
            rows.get(&id)
                .is_some_and(|row| row.sociable(now) && provider.batchable(&row.key))
        };
        let gone = |id: RowId| !rows.contains_key(&id);
        let mut taken = Vec::new();
        while taken.len() < most {
            let alone = taken.is_empty();
            let Some(row) = self.fast.pop_if(|id| alone || gone(id) || sociable(id)) else {
                break;
            };
            if gone(row) {
                continue;
            }
            taken.push(row);
            if !sociable(row) {
                return Some(taken);
            }
        }
        let soon: Vec<(Instant, RowId)> = self.queue.iter().take(LOOK_AHEAD).copied().collect();
        for (due, id) in soon {
            if taken.len() >= most {
                break;
            }
            let Some(row) = rows.get(&id) else {
                self.queue.remove(&(due, id));
                continue;
            };
            let overdue = due <= now;
            if taken.is_empty() && !overdue {
                break;
            }
            if !sociable(id) {
                if taken.is_empty() {
                    self.queue.remove(&(due, id));
                    return Some(vec![id]);
                }
                continue;
            }
            if overdue || (row.failure.is_none() && due <= now + row.slots().early()) {
                self.queue.remove(&(due, id));
                taken.push(id);
            }
        }
        (!taken.is_empty()).then_some(taken)
    }

    /// Notes that a call sent at `sent` was answered, with whatever.
    pub fn was_answered(&mut self, sent: Instant) {
        self.answered = self.answered.max(Some(sent));
        self.dark = false;
        self.silent = 0;
    }

    /// Whether anything sent at `sent` or later was answered.
    pub fn has_answered(&self, sent: Instant) -> bool {
        self.answered >= Some(sent)
    }

    /// Takes out every row that is wanted or due.
    pub fn give_up(&mut self, now: Instant) -> Vec<RowId> {
        self.searches.clear();
        let mut rows: Vec<RowId> = self.parts.drain(..).flatten().collect();
        rows.extend(self.fast.drain());
        while let Some((due, id)) = self.queue.pop_first() {
            if due > now {
                self.queue.insert((due, id));
                break;
            }
            rows.push(id);
        }
        rows
    }
}
