//! What must hold of the table at any time, for tests.

use super::hub::Hub;
use super::line::Lane;
use super::row::{Place, Row, RowId};
use super::table::Table;

// === impl Hub ===

impl Hub {
    pub(super) fn check_empty(&self) {
        let table = self.lock();
        table.check();
        assert!(table.rows.is_empty() && table.row_ids.is_empty());
        assert!(table.groups.is_empty() && table.learned.is_empty());
        assert!(table.readers.is_empty() && table.reader_ids.is_empty());
        assert!(table.objects.is_empty() && table.object_ids.is_empty());
        assert!(table.identities.is_empty() && table.endpoints.is_empty());
        assert_eq!(table.in_flight, 0);
    }

    pub(super) fn check(&self) {
        self.lock().check();
    }
}

// === impl Table ===

impl Table {
    pub(super) fn check(&self) {
        for (id, row) in &self.rows {
            self.check_row(*id, row);
        }
        let mut in_flight = 0;
        for (id, group) in &self.groups {
            in_flight += group.in_flight;
            let rows = self.rows.values().filter(|row| row.group == *id).count();
            assert_eq!(group.rows, rows);
            assert!(rows > 0 || group.in_flight > 0, "an idle group is dropped");
            for lane in &group.lanes {
                assert_eq!(lane.len(), lane.iter().count());
            }
            for (due, row) in &group.queue {
                let row = &self.rows[row];
                assert!(row.due == Some(*due) && row.place == Place::Resting && row.group == *id);
            }
            self.lines[&group.line].check(*id, &group.link);
            assert!(self.endpoints[group.route()].groups.contains(id));
            let standing = &self.identities[&group.identity()];
            assert!(standing.groups.contains(id));
            for search in &group.searches {
                search.check(self);
            }
        }
        assert_eq!(self.in_flight, in_flight);
        let read: usize = self.readers.values().map(|reader| reader.in_flight).sum();
        assert_eq!(self.in_flight, read);
        for (id, reader) in &self.readers {
            assert!(!reader.groups.is_empty(), "an idle reader is dropped");
            for (quota, group) in &reader.groups {
                let group = &self.groups[group];
                assert_eq!((group.reader, group.quota.name), (*id, *quota));
            }
        }
        let known = |row: &RowId| self.rows.contains_key(row);
        assert!(self.learned.keys().all(known));
        assert_eq!(self.shares.in_flight().sum::<usize>(), in_flight);
        for (id, line) in &self.lines {
            let noted = self.agenda.iter().filter(|(.., line)| line == id);
            assert!(noted.map(|(time, ..)| *time).eq(line.noted));
        }
        let lined: usize = self.lines.values().map(|line| line.groups.len()).sum();
        let hosted: usize = self.endpoints.values().map(|e| e.groups.len()).sum();
        assert_eq!((lined, hosted), (self.groups.len(), self.groups.len()));
        let lines = self.lines.keys();
        assert!(
            self.agenda
                .iter()
                .all(|(.., id)| self.lines.contains_key(id))
        );
        assert_eq!(lines.len(), self.line_ids.len());
        let groups: usize = self.identities.values().map(|s| s.groups.len()).sum();
        assert_eq!(
            (groups, self.reader_ids.len()),
            (self.groups.len(), self.readers.len())
        );
        assert_eq!(self.row_ids.len(), self.rows.len());
        assert_eq!(self.object_ids.len(), self.objects.len());
        self.check_waiting();
    }

    fn check_row(&self, id: RowId, row: &Row) {
        let group = &self.groups[&row.group];
        assert!(
            !row.subscribers.as_slice().is_empty(),
            "a row that nobody needs is dropped"
        );
        let shortest = row.subscribers.as_slice().iter().map(|s| s.interval).min();
        assert_eq!(Some(row.interval), shortest);
        let queued = group.queue.iter().filter(|(_, row)| *row == id).count();
        let in_lane = |lane: Lane| group.lanes[lane.index()].iter().any(|row| row == id);
        let fast = usize::from(in_lane(Lane::Fast));
        let ripe = usize::from(in_lane(Lane::Retry) || in_lane(Lane::Periodic));
        let parts = group
            .parts
            .iter()
            .flatten()
            .filter(|row| **row == id)
            .count();
        // A row that left a lane by another way keeps its place there until its turn.
        let (due, wanted) = match row.place {
            Place::Resting => (usize::from(row.due.is_some()), 0),
            Place::Ripe => (0, ripe),
            Place::Queued => (0, fast + parts),
            Place::InFlight => (0, 0),
        };
        assert_eq!(queued, due, "{:?}", row.place);
        let waits = matches!(row.place, Place::Ripe | Place::Queued);
        assert_eq!(wanted > 0, waits, "{:?}", row.place);
        let hopeless = row.failure().is_some();
        assert!(
            row.due.is_some() || row.place != Place::Resting || hopeless,
            "a row is lost"
        );
        if row.place == Place::Resting {
            assert!(
                row.waiters().next().is_none(),
                "somebody waits for a row that nobody fetches"
            );
        }
    }

    fn check_waiting(&self) {
        for (id, object) in &self.objects {
            let Some(waiting) = &object.waiting else {
                continue;
            };
            let rows = object.rows.iter().filter(|row| !waiting.has(**row));
            let mut open: Vec<_> = rows.collect();
            open.sort_unstable();
            open.dedup();
            assert_eq!(waiting.left(), open.len());
            assert!(
                open.iter()
                    .all(|row| self.rows[row].waiters().any(|waiter| waiter == *id))
            );
        }
    }
}
