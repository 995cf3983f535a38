//! Rows that may share a batch: one identity at one address and one quota, with what is due and wanted,
//! and its batches in flight. Choosing the next batch is pure.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Origin;
use super::line::{Lane, Link};
use super::rounds::Rounds;
use super::row::{LineId, Place, ReaderId, Row, RowId};
use super::search::Search;
use crate::credential::IdentityId;
use crate::provider::Quota;

/// How many of the rows that are due next are looked at to top a batch up.
const LOOK_AHEAD: usize = 64;
/// How long what is wanted waits for company while another batch is under way: objects that are
/// created one after the other share their calls.
const COMPANY: Duration = Duration::from_millis(10);

/// The rows of one call.
pub(super) type Batch = Vec<RowId>;

/// Rows of one reader whose next calls use up one quota.
#[derive(Debug)]
pub(super) struct Group {
    pub origin: Arc<Origin>,
    pub reader: ReaderId,
    /// What the calls for its rows are counted by.
    pub quota: Quota,
    pub line: LineId,
    pub rows: usize,
    /// Resting rows by due time.
    pub queue: BTreeSet<(Instant, RowId)>,
    /// Rows that are wanted or due, by lane.
    pub lanes: [Rounds; Lane::ALL.len()],
    pub parts: VecDeque<Batch>,
    pub in_flight: usize,
    pub searches: Vec<Search>,
    /// The endpoint answers nobody: a failed batch says nothing about its rows, and one batch at a
    /// time is enough to see when that ends.
    pub dark: bool,
    /// When the last call that was answered had been sent.
    pub answered: Option<Instant>,
    /// How many reads of single rows left after that and were not answered.
    pub silent: u32,
    /// Since when the rows in the fast lane, fewer than a batch, have waited for company.
    alone_since: Option<Instant>,
    /// Where it stands in its line.
    pub link: Link,
    route: Arc<str>,
}

// === impl Group ===

impl Group {
    pub fn new(origin: Arc<Origin>, reader: ReaderId, quota: Quota, line: LineId) -> Self {
        let route = Arc::from(origin.provider.route());
        Self {
            route,
            reader,
            quota,
            origin,
            line,
            rows: 0,
            queue: BTreeSet::new(),
            lanes: Default::default(),
            parts: VecDeque::new(),
            in_flight: 0,
            searches: Vec::new(),
            dark: false,
            answered: None,
            silent: 0,
            alone_since: None,
            link: Link::default(),
        }
    }

    pub fn identity(&self) -> IdentityId {
        self.origin.identity.id()
    }

    /// The way to the host that it calls.
    pub fn route(&self) -> &Arc<str> {
        &self.route
    }

    /// When something is wanted or due: now, where something waits already.
    pub fn wanted(&self, now: Instant) -> Option<Instant> {
        let waits = !self.parts.is_empty() || self.lanes.iter().any(|lane| !lane.is_empty());
        if waits {
            return Some(now);
        }
        self.queue.first().map(|(due, _)| *due)
    }

    pub fn lane(&mut self, lane: Lane) -> &mut Rounds {
        &mut self.lanes[lane.index()]
    }

    /// Until when the fast lane waits for company. Nothing waits that fills a batch or is read singly, and
    /// nothing while no other batch is under way.
    pub fn waits_for_company(
        &mut self,
        rows: &HashMap<RowId, Box<Row>>,
        now: Instant,
    ) -> Option<Instant> {
        let (wanted, most) = (self.lane(Lane::Fast).len(), self.most());
        if wanted == 0 || wanted >= most || self.in_flight == 0 {
            self.alone_since = None;
            return None;
        }
        let until = *self.alone_since.get_or_insert(now) + COMPANY;
        let next = self.lane(Lane::Fast).next().and_then(|id| rows.get(&id));
        let sociable = next.is_some_and(|row| sociable(&self.origin, row, now));
        (sociable && until > now).then_some(until)
    }

    /// Where the next part of a batch that failed is, whose first row is `admitted`.
    pub fn next_part(&self, mut admitted: impl FnMut(RowId) -> bool) -> Option<usize> {
        let first = |part: &Batch| part.first().is_none_or(|row| admitted(*row));
        self.parts.iter().position(first)
    }

    /// The next part of a batch that failed, whose first row is `admitted`.
    pub fn take_part(
        &mut self,
        rows: &HashMap<RowId, Box<Row>>,
        mut admitted: impl FnMut(RowId) -> bool,
    ) -> Option<Batch> {
        while let Some(at) = self.next_part(&mut admitted) {
            let mut part = self.parts.remove(at)?;
            part.retain(|id| is_in(rows, *id, Lane::Fast));
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    }

    /// Takes the next batch: the row whose turn it is in `lane`, and with it what is wanted, due, or
    /// due so soon that a fetch now satisfies its slot. None means that nothing is left in the lane.
    pub fn take(
        &mut self,
        lane: Lane,
        rows: &HashMap<RowId, Box<Row>>,
        now: Instant,
    ) -> Option<Batch> {
        let most = self.most();
        let origin = Arc::clone(&self.origin);
        let sociable = |id: RowId| rows.get(&id).is_some_and(|row| sociable(&origin, row, now));
        let first = loop {
            let id = self.lane(lane).pop_if(|_| true)?;
            if is_in(rows, id, lane) {
                break id;
            }
        };
        let mut taken = vec![first];
        if !sociable(first) {
            return Some(taken);
        }
        for lane in Lane::ALL {
            while taken.len() < most {
                // A row may have come to a lane twice, and counts once.
                let gone = |id: RowId| !is_in(rows, id, lane) || taken.contains(&id);
                let next = self.lanes[lane.index()].pop_if(|id| gone(id) || sociable(id));
                match next {
                    Some(id) if gone(id) => {}
                    Some(id) => taken.push(id),
                    None => break,
                }
            }
        }
        let soon: Vec<(Instant, RowId)> = self.queue.iter().take(LOOK_AHEAD).copied().collect();
        for (due, id) in soon {
            let early = rows.get(&id).is_some_and(|row| row.is_early(due, now));
            if taken.len() < most && early && sociable(id) {
                self.queue.remove(&(due, id));
                taken.push(id);
            }
        }
        Some(taken)
    }

    /// The most rows of a batch.
    pub fn most(&self) -> usize {
        self.origin.provider.capabilities().batch.max(1)
    }

    /// Takes out the rows whose time has come.
    pub fn take_due(&mut self, now: Instant) -> Vec<RowId> {
        let mut due = Vec::new();
        while let Some((time, id)) = self.queue.pop_first() {
            if time > now {
                self.queue.insert((time, id));
                break;
            }
            due.push(id);
        }
        due
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
    pub fn give_up(&mut self, rows: &HashMap<RowId, Box<Row>>, now: Instant) -> Vec<RowId> {
        self.searches.clear();
        let mut all: BTreeSet<RowId> = self.parts.drain(..).flatten().collect();
        all.retain(|id| rows.contains_key(id));
        for lane in Lane::ALL {
            let waiting = self.lanes[lane.index()].drain();
            all.extend(waiting.filter(|id| is_in(rows, *id, lane)));
        }
        all.extend(self.take_due(now));
        all.into_iter().collect()
    }
}

/// Whether a row may share a batch.
fn sociable(origin: &Origin, row: &Row, now: Instant) -> bool {
    row.sociable(now) && origin.provider.batchable(&row.key.asked())
}

/// Whether a row still waits in `lane`: it may be gone, or was moved to a more urgent one.
pub(super) fn is_in(rows: &HashMap<RowId, Box<Row>>, id: RowId, lane: Lane) -> bool {
    let place = match lane {
        Lane::Fast => Place::Queued,
        Lane::Retry | Lane::Periodic => Place::Ripe,
    };
    rows.get(&id).is_some_and(|row| row.place == place)
}
