//! Identities that failed: what they read waits, and one probe at a time finds out whether they
//! work again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::same_kind;
use super::group::{Batch, Group};
use super::ladder::{NextTry, next_try};
use super::row::{GroupId, Place, RowId};
use super::table::{Now, Table};
use crate::credential::IdentityId;
use crate::provider::CallError;

/// How long an identity waits whose failure only a change can end. Such a change gives it another
/// name, except where it is made in the cloud.
const HOPELESS: Duration = Duration::from_hours(1);

/// How often an identity or an endpoint is tried for those who ask.
pub(super) const HASTE: Duration = Duration::from_secs(1);

/// One identity: where it reads, and whether it may.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub groups: BTreeSet<GroupId>,
    pub park: Option<Park>,
}

/// An identity that failed.
#[derive(Debug)]
pub(super) struct Park {
    /// The first error of its kind in the streak.
    pub error: Arc<CallError>,
    pub failures: u32,
    /// When a probe may go out. All rows that failed for the identity's sake are due then.
    pub until: Instant,
    pub probing: bool,
    /// When the last call failed that found out.
    tried: Instant,
    /// When the probe would have gone out, had nobody asked for it earlier. Rows are due then.
    pub hastened: Option<Instant>,
}

// === impl Table ===

impl Table {
    /// Takes in that an identity got no credentials, or had them refused.
    pub(super) fn identity_failed(
        &mut self,
        identity: IdentityId,
        batch: &Batch,
        error: CallError,
        probe: bool,
        sent: Instant,
        now: Now,
    ) {
        let Some(standing) = self.identities.get_mut(&identity) else {
            return;
        };
        // A call that left before the identity was parked tells nothing new.
        let old = standing.park.take();
        let (park, news) = match old {
            Some(old) if !probe => (old, false),
            // A probe that somebody asked for takes nothing from those who wait for the next.
            Some(old) if old.hastened.is_some() => {
                let mut park = old.resumed(now.at);
                if !same_kind(&park.error, &error) {
                    park.error = Arc::new(error);
                }
                (park, true)
            }
            old => (Park::after(old, error, now.at), true),
        };
        let (error, until) = (Arc::clone(&park.error), park.until);
        standing.park = Some(park);
        for row in batch {
            self.fail_parked(*row, &error, until, sent, now);
        }
        if news {
            self.hold_back(identity, &error, until, now);
        }
    }

    /// The failure of the group's identity and the time of its next probe, if it is parked.
    pub(super) fn parked(&self, group: GroupId) -> Option<(Arc<CallError>, Instant)> {
        let identity = self.groups.get(&group)?.identity();
        let park = self.identities.get(&identity)?.park.as_ref()?;
        Some((Arc::clone(&park.error), park.until))
    }

    /// Whether a call of the group would have to wait for the probe of another.
    pub(super) fn is_held_back(&self, group: GroupId, now: Instant) -> bool {
        let identity = self.groups.get(&group).map(Group::identity);
        identity
            .and_then(|identity| self.identities.get(&identity)?.park.as_ref())
            .is_some_and(|park| park.probing || park.until > now)
    }

    /// Marks the probe of a parked identity as under way; says whether it is one.
    pub(super) fn starts_probe(&mut self, identity: IdentityId) -> bool {
        let park = self.identities.get_mut(&identity);
        let Some(park) = park.and_then(|standing| standing.park.as_mut()) else {
            return false;
        };
        park.probing = true;
        true
    }

    /// The probe is back. Where the identity works, what waited for it leaves: it is due already.
    pub(super) fn end_probe(&mut self, identity: IdentityId, works: bool, now: Instant) {
        let Some(standing) = self.identities.get_mut(&identity) else {
            return;
        };
        let Some(park) = standing.park.take() else {
            return;
        };
        if !works {
            standing.park = Some(park.resumed(now));
        } else if let Some(due) = park.hastened {
            self.release(identity, due, now);
        }
    }

    /// Lets the identity's probe go out now, because a person asked for something it reads, or a second
    /// after the last.
    pub(super) fn hasten_probe(&mut self, group: GroupId, now: Instant) {
        let Some(identity) = self.groups.get(&group).map(Group::identity) else {
            return;
        };
        let standing = self.identities.get_mut(&identity);
        let Some(park) = standing.and_then(|standing| standing.park.as_mut()) else {
            return;
        };
        let soon = now.max(park.tried + HASTE);
        if !park.probing && park.until > soon {
            park.hastened = Some(park.until);
            park.until = soon;
            self.note_identity(identity, now);
        }
    }

    /// Makes due what waited for a probe at `due`.
    fn release(&mut self, identity: IdentityId, due: Instant, now: Instant) {
        for id in self.groups_of(identity) {
            let Some(group) = self.groups.get(&id) else {
                continue;
            };
            let waiting = group.queue.iter().filter(|(time, _)| *time == due);
            let waiting: Vec<RowId> = waiting.map(|(_, row)| *row).collect();
            for row in waiting {
                self.set_due(row, Some(now), now);
            }
        }
    }

    /// A failure of the row for its identity's sake: it is due with the next probe.
    pub(super) fn fail_parked(
        &mut self,
        id: RowId,
        error: &Arc<CallError>,
        until: Instant,
        sent: Instant,
        now: Now,
    ) {
        self.blame(id, error, sent, now);
        if let Some(row) = self.rows.get_mut(&id) {
            row.place = Place::Resting;
        }
        self.set_due(id, Some(until), now.at);
    }

    /// Looks at all the identity's groups again.
    pub(super) fn note_identity(&mut self, identity: IdentityId, now: Instant) {
        for group in self.groups_of(identity) {
            self.note(group, now);
        }
    }

    /// Whatever is wanted or due under a failed identity is answered: it has the same failure.
    fn hold_back(
        &mut self,
        identity: IdentityId,
        error: &Arc<CallError>,
        until: Instant,
        now: Now,
    ) {
        for id in self.groups_of(identity) {
            self.hold_back_group(id, error, until, now);
        }
    }

    /// What has come due in a group since its identity was parked has the identity's failure too.
    /// Says whether the group is held back.
    pub(super) fn hold_back_due(&mut self, id: GroupId, now: Now) -> bool {
        if let Some(error) = self.out_of_reach(id, now.at) {
            self.wait_group(id, &error, now);
            return true;
        }
        let Some((error, until)) = self.parked(id).filter(|(_, until)| *until > now.at) else {
            return false;
        };
        self.hold_back_group(id, &error, until, now);
        true
    }

    fn hold_back_group(&mut self, id: GroupId, error: &Arc<CallError>, until: Instant, now: Now) {
        let rows = match self.groups.get_mut(&id) {
            Some(group) => group.give_up(&self.rows, now.at),
            None => Vec::new(),
        };
        for row in rows {
            self.fail_parked(row, error, until, now.at, now);
        }
        self.note(id, now.at);
    }

    pub(super) fn groups_of(&self, identity: IdentityId) -> Vec<GroupId> {
        let groups = self.identities.get(&identity).map(|s| &s.groups);
        groups.into_iter().flatten().copied().collect()
    }
}

// === impl Park ===

impl Park {
    fn after(old: Option<Self>, error: CallError, now: Instant) -> Self {
        let failures = old.as_ref().map_or(0, |old| old.failures).saturating_add(1);
        let wait = match next_try(&error, failures, Duration::ZERO) {
            NextTry::After(wait) => wait,
            NextTry::NextSlot => Duration::from_mins(1),
            NextTry::OnChange => HOPELESS,
        };
        let first = old.map(|old| old.error);
        Self {
            error: first
                .filter(|first| same_kind(first, &error))
                .unwrap_or_else(|| Arc::new(error)),
            failures,
            until: now + wait,
            tried: now,
            probing: false,
            hastened: None,
        }
    }

    /// The park after a probe that changed nothing: the next goes out when it would have.
    fn resumed(self, now: Instant) -> Self {
        Self {
            until: self.hastened.unwrap_or(self.until).max(now),
            tried: now,
            probing: false,
            hastened: None,
            ..self
        }
    }
}
