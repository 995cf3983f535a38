//! One line in front of each budget: which group's turn it is. New and wanted rows go before retries,
//! those before periodic ones, and inside a lane the namespaces take turns.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::row::GroupId;
use crate::budget::Budget;

/// One turn in so many goes to the last lane first, so that no lane starves another.
const LAST_FIRST: u64 = 8;

/// The kinds of rows that wait for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody waits for it: it is new, changed, drifted, or a person asked.
    Fast,
    /// It failed, and its wait is over.
    Retry,
    /// Its slot has come.
    Periodic,
}

/// The groups that share a budget, and their turns.
#[derive(Debug)]
pub(super) struct Line {
    pub budget: Budget,
    pub groups: BTreeSet<GroupId>,
    /// When each group's next row is due.
    pub timers: BTreeSet<(Instant, GroupId)>,
    /// What the line is noted for in the agenda.
    pub noted: Option<Instant>,
    /// When something left or came back last.
    pub moved: Option<Instant>,
    /// Its place among lines that are noted for the same time.
    pub order: u64,
    /// The groups that have something in a lane, by the turn that the namespace in front of each had
    /// last. That may have gone stale; it is checked again.
    ready: [BTreeSet<(u64, GroupId)>; Lane::ALL.len()],
    /// Groups with parts of failed batches, which take every other turn.
    parts: BTreeSet<GroupId>,
    /// Where the next turn of a part begins.
    last_part: GroupId,
    /// The last turn of each namespace.
    served: HashMap<Arc<str>, u64>,
    turn: u64,
}

/// Where a group stands in its line.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub timer: Option<Instant>,
    ready: [Option<u64>; Lane::ALL.len()],
}

/// What is to leave next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Parts of a batch that failed.
    Part(GroupId),
    /// A batch that begins in a lane.
    Lane(Lane, GroupId),
}

// === impl Lane ===

impl Lane {
    /// Every lane, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Retry, Self::Periodic];
    const BACKWARDS: [Self; 3] = [Self::Periodic, Self::Retry, Self::Fast];

    pub fn index(self) -> usize {
        self as usize
    }
}

// === impl Link ===

impl Link {
    /// Whether a lane of the group has its turn to come.
    pub fn is_ready(&self) -> bool {
        self.ready.iter().any(Option::is_some)
    }
}

// === impl Line ===

impl Line {
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            groups: BTreeSet::new(),
            timers: BTreeSet::new(),
            noted: None,
            moved: None,
            order: 0,
            ready: Default::default(),
            parts: BTreeSet::new(),
            last_part: GroupId(0),
            served: HashMap::new(),
            turn: 0,
        }
    }

    /// Puts a group where it belongs: at `timer` with what is not due yet, and into each lane where a
    /// namespace is in front.
    pub fn place(
        &mut self,
        id: GroupId,
        link: &mut Link,
        timer: Option<Instant>,
        parts: bool,
        fronts: [Option<&Arc<str>>; Lane::ALL.len()],
    ) {
        if link.timer != timer {
            if let Some(old) = std::mem::replace(&mut link.timer, timer) {
                self.timers.remove(&(old, id));
            }
            self.timers.extend(timer.map(|time| (time, id)));
        }
        if parts {
            self.parts.insert(id);
        } else {
            self.parts.remove(&id);
        }
        for (lane, front) in fronts.into_iter().enumerate() {
            let turn = front.map(|namespace| self.last_turn(namespace));
            if link.ready[lane] == turn {
                continue;
            }
            if let Some(old) = std::mem::replace(&mut link.ready[lane], turn) {
                self.ready[lane].remove(&(old, id));
            }
            self.ready[lane].extend(turn.map(|turn| (turn, id)));
        }
        if self.ready.iter().all(BTreeSet::is_empty) {
            // Nobody waits for a turn: nobody can be passed over.
            self.served.clear();
        }
    }

    /// Takes a group out of its lanes and timers.
    pub fn withdraw(&mut self, id: GroupId, link: &mut Link) {
        self.place(id, link, None, false, [None; 3]);
    }

    /// Whose turn it is.
    pub fn next_turn(&self) -> Option<Turn> {
        let lanes = self.ready.iter().any(|lane| !lane.is_empty());
        if !lanes || self.turn.is_multiple_of(2) {
            let later = self.parts.range(self.last_part..).next();
            if let Some(id) = later.or(self.parts.first()) {
                return Some(Turn::Part(*id));
            }
        }
        let last_first = self.turn % LAST_FIRST == LAST_FIRST - 1;
        let order = if last_first {
            Lane::BACKWARDS
        } else {
            Lane::ALL
        };
        order.into_iter().find_map(|lane| {
            let (_, id) = self.ready[lane.index()].first()?;
            Some(Turn::Lane(lane, *id))
        })
    }

    /// Whether the turn that `link` stands for is still that of `namespace`, which may have been
    /// served elsewhere meanwhile.
    pub fn is_up_to_date(&self, link: &Link, lane: Lane, namespace: &Arc<str>) -> bool {
        link.ready[lane.index()] == Some(self.last_turn(namespace))
    }

    /// Notes that a namespace has had its turn.
    pub fn serve(&mut self, namespace: Option<&Arc<str>>) {
        self.turn += 1;
        if let Some(namespace) = namespace {
            self.served.insert(Arc::clone(namespace), self.turn);
        }
    }

    /// Notes that a group has had its turn with a part.
    pub fn serve_part(&mut self, group: GroupId, namespace: Option<&Arc<str>>) {
        self.last_part = GroupId(group.0 + 1);
        self.serve(namespace);
    }

    /// When something may leave, if nothing happens before.
    pub fn next_time(&mut self, now: Instant) -> Option<Instant> {
        let wanted = if self.next_turn().is_some() {
            // It keeps the place in the agenda that it got when something was first wanted.
            Some(self.noted.map_or(now, |noted| noted.min(now)))
        } else {
            self.timers.first().map(|(due, _)| *due)
        };
        let allowed = self.budget.next(now);
        wanted.map(|time| {
            if allowed > now {
                time.max(allowed)
            } else {
                time
            }
        })
    }

    fn last_turn(&self, namespace: &Arc<str>) -> u64 {
        self.served.get(namespace).copied().unwrap_or_default()
    }
}

#[cfg(test)]
impl Line {
    /// Whether the line knows the group exactly as `link` says.
    pub fn check(&self, id: GroupId, link: &Link) {
        let timers = self.timers.iter().filter(|(_, group)| *group == id);
        assert!(timers.map(|(time, _)| *time).eq(link.timer));
        for (lane, turn) in self.ready.iter().zip(link.ready) {
            let turns = lane.iter().filter(|(_, group)| *group == id);
            assert!(turns.map(|(turn, _)| *turn).eq(turn));
        }
        assert!(self.groups.contains(&id));
    }
}
