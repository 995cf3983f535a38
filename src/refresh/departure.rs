//! How the next batch is found, and how it leaves.

use std::sync::Arc;

use tokio::time::Instant;

use super::Origin;
use super::group::Batch;
use super::row::{GroupId, Place};
use super::table::{KEEP, Now, Table};
use crate::provider::RemoteKey;

/// A batch that leaves now.
#[derive(Debug)]
pub(super) struct Departure {
    pub group: GroupId,
    pub origin: Arc<Origin>,
    pub batch: Batch,
    pub keys: Vec<RemoteKey>,
    pub sent: Instant,
    /// When the first call for what is read was sent.
    pub asked: Instant,
    /// It learns something about the one row, which is read afterwards.
    pub learns: bool,
    /// At whose turn it leaves.
    pub namespace: Arc<str>,
    /// It is the one call that finds out whether a parked identity works again.
    pub probe: bool,
    /// It is the one call that finds out whether an endpoint answers again.
    pub knocks: bool,
}

// === impl Table ===

impl Table {
    /// The next batch to send, if one may leave now.
    pub fn depart(&mut self, now: Now) -> Option<Departure> {
        self.expire(now.at);
        self.reclaim(now.at);
        self.knock(now.at);
        while self.room() > 0 {
            let due = self.agenda.first().filter(|(time, ..)| *time <= now.at);
            let Some((.., line_id)) = due.copied() else {
                // What remains waits for calls of its own namespace.
                let group = self.shares.next(self.room())?;
                self.note(group, now.at);
                continue;
            };
            self.ripen(line_id, now);
            let line = self.lines.get_mut(&line_id)?;
            let turn = line
                .next_turn()
                .filter(|_| line.budget.next(now.at) <= now.at);
            let departure = turn.and_then(|turn| self.take_turn(line_id, turn, now));
            if departure.is_some() {
                self.send_back(line_id, now.at);
                return departure;
            }
            self.note_line(line_id, now.at);
        }
        None
    }

    /// When [`depart`](Self::depart) is worth asking again, if nothing happens before. What is due
    /// and may not leave waits for an arrival.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        let due = self.agenda.first().map(|(time, ..)| *time);
        let knock = self.next_knock();
        let expiry = self.keeping.first().map(|(time, _)| *time);
        let stale = self.collecting.first().map(|(time, _)| *time);
        let later = |time: &Instant| *time > now;
        [due, knock, expiry, stale]
            .into_iter()
            .flatten()
            .filter(later)
            .min()
    }

    /// Sends `batch`, whose rows are in no lane any more, at the turn of `namespace`.
    pub(super) fn send(
        &mut self,
        group_id: GroupId,
        batch: Batch,
        namespace: Arc<str>,
        now: Now,
    ) -> Option<Departure> {
        let group = self.groups.get_mut(&group_id)?;
        group.in_flight += 1;
        self.in_flight += 1;
        if let Some(reader) = self.readers.get_mut(&group.reader) {
            reader.in_flight += 1;
        }
        self.shares.sent(&namespace);
        if let Some(line) = self.lines.get_mut(&group.line) {
            line.moved = Some(now.at);
        }
        let origin = Arc::clone(&group.origin);
        let mut keys = Vec::with_capacity(batch.len());
        for id in &batch {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            if let Some(due) = row.due {
                group.queue.remove(&(due, *id));
            }
            row.place = Place::InFlight;
            keys.push(row.key.asked());
        }
        let knocks = self.starts_knock(group_id, &batch, now.at);
        let probe = self.starts_probe(origin.identity.id());
        if probe {
            self.note_identity(origin.identity.id(), now.at);
        }
        self.note_with_others(group_id, now.at);
        let learned = batch.iter().filter_map(|id| self.learned.remove(id)).min();
        let learns = match keys.as_slice() {
            [key] => origin
                .provider
                .detour(key, learned.is_some(), now.wall)
                .is_some_and(|detour| detour.learns),
            _ => false,
        };
        Some(Departure {
            group: group_id,
            origin,
            batch,
            keys,
            sent: now.at,
            // Only what was learned last bears on how old the value is.
            asked: learned.filter(|_| !learns).unwrap_or(now.at),
            learns,
            namespace,
            probe,
            knocks,
        })
    }

    /// Drops values that were kept long enough.
    fn expire(&mut self, now: Instant) {
        self.expire_joins(now);
        while let Some((time, id)) = self.keeping.pop_first() {
            if time > now {
                self.keeping.insert((time, id));
                return;
            }
            // A newer value has an entry of its own.
            if let Some(row) = self.rows.get_mut(&id) {
                row.drop_value_if(|held| held.sent + KEEP <= now);
            }
        }
    }
}
