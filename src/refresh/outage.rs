//! Endpoints that answer nobody: nothing is sent but one call now and then, and whatever comes due is
//! told so. The first answer lets everything go again, spread over time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::group::{Batch, is_in};
use super::line::Lane;
use super::park::HASTE;
use super::row::{GroupId, Place, Row, RowId};
use super::table::{Now, Table};
use super::turn::namespace_of;
use crate::provider::CallError;

/// So many calls without a good answer, one after the other, are an outage.
const SILENT_CALLS: u32 = 5;
/// And they are for so many references, where there are as many: one that fails for its own sake is no
/// outage.
const SILENT_ROWS: usize = 3;
/// How often an endpoint in an outage is called.
const KNOCKS: Duration = Duration::from_secs(5);
/// How often it is called when that has lasted for long.
const LATE_KNOCKS: Duration = Duration::from_secs(30);
/// What is long.
const LONG: Duration = Duration::from_mins(5);
/// The longest that a row waits after an outage.
const LONGEST_SPREAD: Duration = Duration::from_secs(30);

/// One host, whoever calls it.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    pub groups: BTreeSet<GroupId>,
    /// Calls without an answer in a row, and the first row of each of the first of them.
    silent: u32,
    silent_rows: BTreeSet<RowId>,
    /// When the last call that was answered had been sent.
    answered: Option<Instant>,
    outage: Option<Outage>,
}

/// A time in which an endpoint answers nobody.
#[derive(Debug)]
struct Outage {
    error: Arc<CallError>,
    since: Instant,
    /// When the next call goes out to see whether it is over.
    until: Instant,
    knocking: bool,
    /// When the last call came back without an answer.
    tried: Instant,
    /// Rows that came due meanwhile, by group. Some may be gone, or were read by the call that ends
    /// the outage.
    waiting: BTreeMap<GroupId, BTreeSet<RowId>>,
    /// The row that was asked last to find out. Groups, and the rows of each, take turns, for the fault
    /// may be one's own.
    asked: Option<(GroupId, RowId)>,
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether it answers nobody.
    pub fn is_out(&self) -> bool {
        self.outage.is_some()
    }

    /// Whether the one call is under way that finds out.
    pub fn is_knocking(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.knocking)
    }

    /// The failure of what may not leave now.
    fn holds_back(&self, now: Instant) -> Option<Arc<CallError>> {
        let outage = self.outage.as_ref()?;
        (outage.knocking || outage.until > now).then(|| Arc::clone(&outage.error))
    }
}

// === impl Table ===

impl Table {
    /// Why nobody is answered at `host`, if that is so.
    pub fn outage(&self, host: &str) -> Option<Arc<CallError>> {
        let outage = self.endpoints.get(host)?.outage.as_ref()?;
        Some(Arc::clone(&outage.error))
    }

    /// Where nobody is answered, and since when.
    pub fn hosts_out(&self) -> BTreeSet<(Arc<str>, Instant)> {
        let out = |(host, endpoint): (&Arc<str>, &Endpoint)| {
            let outage = endpoint.outage.as_ref()?;
            Some((Arc::clone(host), outage.since))
        };
        self.endpoints.iter().filter_map(out).collect()
    }

    /// The failure that a group's rows have for their endpoint's sake, while nothing may leave.
    pub(super) fn out_of_reach(&self, group: GroupId, now: Instant) -> Option<Arc<CallError>> {
        let host = self.groups.get(&group)?.route();
        self.endpoints.get(host)?.holds_back(now)
    }

    /// Takes in that a call sent at `sent` was answered, with whatever.
    pub(super) fn heard(&mut self, group: GroupId, sent: Instant, now: Instant) {
        let Some(host) = self.host_of(group) else {
            return;
        };
        let Some(endpoint) = self.endpoints.get_mut(&host) else {
            return;
        };
        endpoint.silent = 0;
        endpoint.silent_rows.clear();
        endpoint.answered = endpoint.answered.max(Some(sent));
        if endpoint.outage.as_ref().is_some_and(|o| sent >= o.since) {
            self.end_outage(&host, now);
        }
    }

    /// Takes in that a call got no answer. Says whether that is the endpoint's failure: then the rows
    /// wait for it.
    pub(super) fn unheard(
        &mut self,
        group: GroupId,
        batch: &Batch,
        error: &Arc<CallError>,
        sent: Instant,
        now: Now,
    ) -> bool {
        let Some(host) = self.host_of(group) else {
            return false;
        };
        let rows = |id: &GroupId| self.groups.get(id).map_or(0, |group| group.rows);
        let there = self.endpoints.get(&host).into_iter();
        let rows: usize = there.flat_map(|e| &e.groups).map(rows).sum();
        let Some(endpoint) = self.endpoints.get_mut(&host) else {
            return false;
        };
        if endpoint.outage.is_some() {
            return true;
        }
        if endpoint.answered >= Some(sent) {
            return false;
        }
        endpoint.silent += 1;
        if endpoint.silent_rows.len() < SILENT_ROWS {
            endpoint.silent_rows.extend(batch.first());
        }
        let few = endpoint.silent_rows.len() < rows.min(SILENT_ROWS);
        if endpoint.silent < SILENT_CALLS || few {
            return false;
        }
        endpoint.outage = Some(Outage {
            error: Arc::clone(error),
            since: now.at,
            until: now.at + KNOCKS,
            knocking: false,
            tried: now.at,
            waiting: BTreeMap::new(),
            asked: batch.first().map(|row| (group, *row)),
        });
        self.outages += 1;
        for id in self.groups_at(&host) {
            self.wait_group(id, error, now);
        }
        true
    }

    /// What is wanted or due in the group waits for its endpoint.
    pub(super) fn wait_group(&mut self, id: GroupId, error: &Arc<CallError>, now: Now) {
        let rows = match self.groups.get_mut(&id) {
            Some(group) => group.give_up(&self.rows, now.at),
            None => Vec::new(),
        };
        for row in rows {
            self.wait_for_endpoint(row, error, now.at, now);
        }
        self.note(id, now.at);
    }

    /// A failure of the row for its endpoint's sake: it is due when that answers again.
    pub(super) fn wait_for_endpoint(
        &mut self,
        id: RowId,
        error: &Arc<CallError>,
        sent: Instant,
        now: Now,
    ) {
        self.blame(id, error, sent, now);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.place = Place::Resting;
        row.scheduled = Some(row.interval);
        let group = row.group;
        let route = self.groups.get(&group).map(|group| group.route().clone());
        let endpoint = route.and_then(|route| self.endpoints.get_mut(&route));
        if let Some(outage) = endpoint.and_then(|endpoint| endpoint.outage.as_mut()) {
            outage.waiting.entry(group).or_default().insert(id);
        }
        self.put_due(id, None);
    }

    /// Lets the next call that finds out go now, because a person asked, or a second after the last.
    pub(super) fn hasten_knock(&mut self, group: GroupId, now: Instant) {
        let Some(host) = self.host_of(group) else {
            return;
        };
        let endpoint = self.endpoints.get_mut(&host);
        if let Some(outage) = endpoint.and_then(|endpoint| endpoint.outage.as_mut())
            && !outage.knocking
        {
            outage.until = outage.until.min(now.max(outage.tried + HASTE));
        }
    }

    /// Wants one row of each endpoint whose time has come. Its call finds out how the endpoint is.
    pub(super) fn knock(&mut self, now: Instant) {
        let due = |endpoint: &Endpoint| {
            let outage = endpoint.outage.as_ref();
            outage.is_some_and(|outage| !outage.knocking && outage.until <= now)
        };
        let hosts: Vec<Arc<str>> = self
            .endpoints
            .iter()
            .filter(|(_, endpoint)| due(endpoint))
            .map(|(host, _)| Arc::clone(host))
            .collect();
        for host in hosts {
            // Somebody may be waiting for a row there already.
            if self.groups_at(&host).iter().any(|id| self.has_wanted(*id)) {
                continue;
            }
            match self.knocker(&host, now) {
                Some((row, namespace)) => self.hurry(row, &namespace, now),
                None => self.put_off(&host, now),
            }
        }
    }

    /// When the next endpoint is to be called, if no call wants it before.
    pub(super) fn next_knock(&self) -> Option<Instant> {
        let outages = self.endpoints.values().filter_map(|e| e.outage.as_ref());
        outages.filter(|o| !o.knocking).map(|o| o.until).min()
    }

    /// Marks the call that finds out as under way; says whether it is one.
    pub(super) fn starts_knock(&mut self, group: GroupId, batch: &Batch, now: Instant) -> bool {
        let Some(host) = self.host_of(group) else {
            return false;
        };
        let endpoint = self.endpoints.get_mut(&host);
        let Some(outage) = endpoint.and_then(|endpoint| endpoint.outage.as_mut()) else {
            return false;
        };
        outage.knocking = true;
        outage.asked = batch.first().map(|row| (group, *row));
        self.note_host(&host, now);
        true
    }

    /// The call is back. Unless it was answered, the next goes out later, and whoever asked meanwhile
    /// is told.
    pub(super) fn end_knock(&mut self, group: GroupId, now: Now) {
        let Some(host) = self.host_of(group) else {
            return;
        };
        self.put_off(&host, now.at);
        let endpoint = self.endpoints.get(&host);
        let Some(error) = endpoint.and_then(|endpoint| endpoint.holds_back(now.at)) else {
            return;
        };
        for id in self.groups_at(&host) {
            self.wait_group(id, &error, now);
        }
    }

    fn put_off(&mut self, host: &Arc<str>, now: Instant) {
        let endpoint = self.endpoints.get_mut(host);
        if let Some(outage) = endpoint.and_then(|endpoint| endpoint.outage.as_mut()) {
            outage.knocking = false;
            outage.tried = now;
            let late = now.saturating_duration_since(outage.since) >= LONG;
            outage.until = now + if late { LATE_KNOCKS } else { KNOCKS };
        }
    }

    /// The endpoint answers: what waited is due again, each row somewhere in the time after.
    fn end_outage(&mut self, host: &Arc<str>, now: Instant) {
        let endpoint = self.endpoints.get_mut(host);
        let Some(outage) = endpoint.and_then(|endpoint| endpoint.outage.take()) else {
            return;
        };
        self.outages += 1;
        for id in outage.waiting.into_values().flatten() {
            let waiting = |row: &&mut Box<Row>| row.waits_for_endpoint();
            let Some(row) = self.rows.get_mut(&id).filter(waiting) else {
                continue;
            };
            if let Some(failure) = row.failure_mut() {
                failure.over = true;
            }
            let spread = (Duration::from(row.interval) / 4)
                .min(LONGEST_SPREAD)
                .max(Duration::from_millis(1));
            let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
            let wait = Duration::from_millis(row.hash() % millis.max(1));
            self.put_due(id, Some(now + wait));
        }
        self.note_host(host, now);
    }

    /// A row that may find out how `host` is, and the namespace that wants it: one that waits, or the
    /// one that is due next in a group where none does.
    fn knocker(&self, host: &str, now: Instant) -> Option<(RowId, Arc<str>)> {
        let endpoint = self.endpoints.get(host)?;
        let outage = endpoint.outage.as_ref()?;
        let asked = outage.asked;
        let later = asked.map_or(0, |(GroupId(group), _)| group + 1);
        let (before, after): (Vec<GroupId>, Vec<GroupId>) =
            endpoint.groups.iter().partition(|GroupId(id)| *id < later);
        let mut turns = after.into_iter().chain(before);
        turns.find_map(|id| {
            if self.is_held_back(id, now) {
                return None;
            }
            let waiting = || outage.waiting.get(&id).into_iter().flatten().copied();
            let waits = |row: &RowId| {
                self.rows
                    .get(row)
                    .is_some_and(|row| row.waits_for_endpoint())
            };
            let later = |row: &RowId| asked.is_none_or(|(group, last)| group != id || *row > last);
            let next = waiting().filter(later).chain(waiting()).find(waits);
            let resting = self.groups.get(&id)?.queue.first().map(|(_, row)| *row);
            let row = next.or(resting)?;
            let namespace = namespace_of(self.rows.get(&row)?, &self.objects)?;
            Some((row, Arc::clone(namespace)))
        })
    }

    /// Whether somebody waits for a row of the group.
    fn has_wanted(&self, group: GroupId) -> bool {
        self.groups.get(&group).is_some_and(|group| {
            let waits = |lane: Lane| {
                let mut rows = group.lanes[lane.index()].iter();
                rows.any(|row| is_in(&self.rows, row, lane))
            };
            let mut parts = group.parts.iter().flatten();
            Lane::ALL.into_iter().any(waits) || parts.next().is_some()
        })
    }

    fn note_host(&mut self, host: &Arc<str>, now: Instant) {
        for id in self.groups_at(host) {
            self.note(id, now);
        }
    }

    fn groups_at(&self, host: &str) -> Vec<GroupId> {
        let endpoint = self.endpoints.get(host);
        endpoint
            .into_iter()
            .flat_map(|e| &e.groups)
            .copied()
            .collect()
    }

    fn host_of(&self, group: GroupId) -> Option<Arc<str>> {
        Some(self.groups.get(&group)?.route().clone())
    }
}
