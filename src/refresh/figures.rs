//! What the table looks like at one moment, for metrics and for liveness.

use std::time::Duration;

use tokio::time::Instant;

use super::HubFigures;
use super::park::Standing;
use super::rounds::Rounds;
use super::table::Table;

// === impl Table ===

impl Table {
    /// The table's figures, less the bytes held.
    pub fn figures(&self, now: Instant) -> HubFigures {
        let mut figures = HubFigures {
            rows: self.rows.len(),
            ..HubFigures::default()
        };
        let parked = |standing: &&Standing| standing.park.is_some();
        figures.parked = self.identities.values().filter(parked).count();
        // What waits for others' calls to come back stands still with all of them only.
        let room = self.room();
        let any_moved = self.lines.values().filter_map(|line| line.moved).max();
        for (id, group) in &self.groups {
            let parts: usize = group.parts.iter().map(Vec::len).sum();
            let lanes: usize = group.lanes.iter().map(Rounds::len).sum();
            let overdue = group.queue.iter().take_while(|(due, _)| *due <= now);
            figures.due += parts + lanes + overdue.count();
            let ripe = group.lanes.iter().flat_map(Rounds::iter);
            let ripe = ripe.filter_map(|id| self.rows.get(&id)?.due);
            let first = ripe.chain(group.queue.first().map(|(due, _)| *due)).min();
            let late = first.map(|due| now.saturating_duration_since(due));
            let late = late.unwrap_or_default();
            figures.oldest_overdue = figures.oldest_overdue.max(late);
            // What waits for its budget is no stall, however small that is.
            let line = self.lines.get(&group.line);
            if let Some(line) = line.filter(|line| line.noted.is_none_or(|time| time <= now)) {
                let starved = late > Duration::ZERO && (room == 0 || self.shares.holds_back(*id));
                let moved = if starved { any_moved } else { line.moved };
                let still = moved.map(|at| now.saturating_duration_since(at));
                figures.stalled = figures.stalled.max(late.min(still.unwrap_or(late)));
            }
        }
        figures.outages = self.endpoints.values().filter(|e| e.is_out()).count();
        figures.slowed = self
            .lines
            .values()
            .filter(|l| l.budget.is_slowed(now))
            .count();
        figures
    }
}
