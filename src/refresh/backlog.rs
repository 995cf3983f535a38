//! What a successor would have to make up for. Pure, like the rest of the table.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::row::Row;
use super::schedule::Gap;
use super::table::{Now, Table};

/// How long after the start what was missed before it counts as not done. Then it is under way, and
/// overdue where it is late.
const MAKING_UP: SignedDuration = SignedDuration::from_mins(2);
/// What is overdue for longer, because a cloud lets nothing through, is not told: everything else
/// would be read again for its sake.
const LONGEST: Duration = Duration::from_hours(1);
/// A row's slot is later than what is told of it.
const BEFORE: Duration = Duration::from_secs(1);

// === impl Table ===

impl Table {
    /// Since when something is due and not done. What failed is known by its object's condition.
    pub fn backlog(&self, now: Now) -> Option<Timestamp> {
        let begins = self.recent_gap(now);
        let rows = self.rows.values().filter(|row| row.failure().is_none());
        let open = rows.filter_map(|row| self.open_since(row, now)).min();
        [begins.map(|gap| gap.since), open]
            .into_iter()
            .flatten()
            .min()
    }

    /// The gap before the start, as long as it is being made up for.
    pub(super) fn recent_gap(&self, now: Now) -> Option<Gap> {
        let recent = |gap: &Gap| now.wall.duration_since(gap.until) < MAKING_UP;
        self.gap.filter(recent)
    }

    fn open_since(&self, row: &Row, now: Now) -> Option<Timestamp> {
        let ago = |at| {
            let age = now.at.saturating_duration_since(at).min(LONGEST);
            now.wall.checked_sub(age).ok()
        };
        let slot = match row.due.filter(|due| *due <= now.at) {
            // Of a slot that was missed before the start, only the turn to make up for it is noted.
            Some(_) if row.fetched.is_none() && self.recent_gap(now).is_some() => {
                return Some(self.gap?.since);
            }
            Some(due) => ago(due)?,
            // Read, and on its way into a Secret.
            None => {
                let held = row.value()?;
                let fetched = row.fetched.filter(|_| !row.is_applied(held.digest))?;
                row.slots().satisfied_by(ago(fetched)?)
            }
        };
        slot.checked_sub(BEFORE).ok()
    }
}
