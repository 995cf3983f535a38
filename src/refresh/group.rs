//! Rows that may share a batch: one identity at one address, with its queue, its fast lane and its
//! batches in flight. Choosing the next batch is pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::Origin;
use super::row::{Row, RowId};

/// How many of the rows that are due next are looked at to top a batch up.
const LOOK_AHEAD: usize = 64;

/// Why a batch leaves, which decides what its failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Rows that were due or wanted.
    Refresh,
    /// Part of a batch that was refused as a whole, cut until the culprit is alone.
    Halve,
    /// One row of a batch that failed without a refusal, tried alone to spare its neighbours.
    Isolate,
}

/// A batch to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub rows: Vec<RowId>,
    pub purpose: Purpose,
}

/// A running search for the rows that made a whole batch fail without a refusal.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub left: usize,
    pub succeeded: bool,
    pub failed: Vec<RowId>,
}

/// Rows of one origin.
#[derive(Debug)]
pub(super) struct Group {
    pub origin: Arc<Origin>,
    pub rows: usize,
    pub queue: BTreeSet<(Instant, RowId)>,
    pub fast: FastLane,
    pub parts: VecDeque<Batch>,
    pub in_flight: usize,
    /// Until when nothing leaves, because the cloud asked for it.
    pub paused_until: Option<Instant>,
    pub search: Option<Search>,
    /// The endpoint answers nobody, so a failed batch says nothing about its rows.
    pub dark: bool,
    /// What is noted for the group in the agenda.
    pub noted: Option<Instant>,
}

/// Rows that somebody waits for, served round-robin by namespace.
#[derive(Debug, Default)]
pub(super) struct FastLane {
    turns: VecDeque<Arc<str>>,
    waiting: BTreeMap<Arc<str>, VecDeque<RowId>>,
}

// === impl FastLane ===

impl FastLane {
    pub fn push(&mut self, namespace: &Arc<str>, row: RowId) {
        let queue = self.waiting.entry(Arc::clone(namespace)).or_default();
        if queue.is_empty() {
            self.turns.push_back(Arc::clone(namespace));
        }
        queue.push_back(row);
    }

    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    pub fn clear(&mut self) -> Vec<RowId> {
        self.turns.clear();
        std::mem::take(&mut self.waiting)
            .into_values()
            .flatten()
            .collect()
    }

    /// The next row by turn, if `wanted` takes it; otherwise it keeps its turn.
    fn pop_if(&mut self, wanted: impl FnOnce(RowId) -> bool) -> Option<RowId> {
        let namespace = self.turns.front()?;
        let queue = self.waiting.get_mut(namespace)?;
        let row = *queue.front()?;
        if !wanted(row) {
            return None;
        }
        queue.pop_front();
        let namespace = self.turns.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        Some(row)
    }
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
            search: None,
            dark: false,
            noted: None,
        }
    }

    /// When the group has something to send, if it may.
    pub fn next_time(&self, now: Instant, most_in_flight: usize) -> Option<Instant> {
        if self.in_flight >= most_in_flight {
            return None;
        }
        let wanted = if self.parts.is_empty() && self.fast.is_empty() {
            self.queue.first().map(|(due, _)| *due)
        } else {
            Some(now)
        };
        wanted.map(|time| self.paused_until.map_or(time, |paused| time.max(paused)))
    }

    /// Takes the next batch: parts of a failed one first, then the fast lane, then what is due,
    /// topped up with rows that are due so soon that a fetch now satisfies their slot.
    pub fn take(&mut self, rows: &HashMap<RowId, Row>, now: Instant) -> Option<Batch> {
        if let Some(part) = self.parts.pop_front() {
            return Some(part);
        }
        let provider = Arc::clone(&self.origin);
        let most = provider.provider.capabilities().batch.max(1);
        let sociable = |id: RowId| {
            rows.get(&id)
                .is_some_and(|row| row.sociable(now) && provider.provider.batchable(&row.key))
        };
        let mut taken = Vec::new();
        while taken.len() < most {
            let alone = taken.is_empty();
            let gone = |id: &RowId| !rows.contains_key(id);
            let Some(row) = self.fast.pop_if(|id| alone || gone(&id) || sociable(id)) else {
                break;
            };
            if gone(&row) {
                continue;
            }
            self.forget_due(rows, row);
            taken.push(row);
            if !sociable(row) {
                return Some(Batch {
                    rows: taken,
                    purpose: Purpose::Refresh,
                });
            }
        }
        let soon: Vec<(Instant, RowId)> = self.queue.iter().take(LOOK_AHEAD).copied().collect();
        for (due, id) in soon {
            if taken.len() >= most {
                break;
            }
            let Some(row) = rows.get(&id) else { continue };
            let early = if row.failure.is_some() {
                now
            } else {
                now + row.slots().early()
            };
            let overdue = due <= now;
            if taken.is_empty() && overdue && !sociable(id) {
                self.queue.remove(&(due, id));
                return Some(Batch {
                    rows: vec![id],
                    purpose: Purpose::Refresh,
                });
            }
            let due_enough = overdue || (!taken.is_empty() && due <= early);
            if due_enough && sociable(id) {
                self.queue.remove(&(due, id));
                taken.push(id);
            }
        }
        (!taken.is_empty()).then_some(Batch {
            rows: taken,
            purpose: Purpose::Refresh,
        })
    }

    /// Removes a row's due time from the queue, because it leaves early.
    pub fn forget_due(&mut self, rows: &HashMap<RowId, Row>, id: RowId) {
        if let Some(due) = rows.get(&id).and_then(|row| row.due) {
            self.queue.remove(&(due, id));
        }
    }
}
