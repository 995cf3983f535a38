//! What this process knows of the Lease, and what to do about it. Pure: the time is passed in, as
//! the time since the process began.

use std::time::Duration;

use super::record::Record;

/// How long nobody else takes the Lease over after a renewal.
pub const LEASE: Duration = Duration::from_secs(12);
/// How long a process leads after it sent its last renewal that worked. The rest of the Lease is
/// for requests that are under way then.
pub const DEADLINE: Duration = Duration::from_secs(8);
/// How long after a renewal the next one is due.
pub const RENEWAL: Duration = Duration::from_secs(4);
/// The longest that one call about the Lease may take.
pub const CALL: Duration = Duration::from_secs(3);
/// The time between two looks, and after a failed call.
pub const PACE: Duration = Duration::from_secs(1);

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read the Lease.
    Look,
    /// Write our name into it, or make it where there is none.
    Take,
    /// Write it again.
    Renew,
    /// Stop leading.
    StepDown,
    /// Nothing for this long.
    Wait(Duration),
}

/// What this process knows of the Lease.
#[derive(Debug, Clone)]
pub struct View {
    me: String,
    lease: Option<Record>,
    /// What is known may be out of date: nothing was seen yet, or a write was refused or not
    /// answered.
    unsure: bool,
    /// Since when the Lease looks like this.
    since: Duration,
    /// When it may be taken.
    free_at: Duration,
    /// When it was last seen.
    looked: Duration,
    /// No call is made before.
    not_before: Duration,
    /// When the last renewal that worked was sent, while this process leads.
    renewed: Option<Duration>,
}

// === impl View ===

impl View {
    /// Nothing is known; this process is called `me`, as no other ever is.
    pub fn new(me: String) -> Self {
        Self {
            me,
            lease: None,
            unsure: true,
            since: Duration::ZERO,
            free_at: Duration::ZERO,
            looked: Duration::ZERO,
            not_before: Duration::ZERO,
            renewed: None,
        }
    }

    /// The name of this process.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// The Lease as it was last seen.
    pub fn lease(&self) -> Option<&Record> {
        self.lease.as_ref()
    }

    /// Since when it looks like that.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Whether what is known may be out of date.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Whether this process has not stepped down since it took the Lease.
    pub fn leads(&self) -> bool {
        self.renewed.is_some()
    }

    /// Whether the Lease bears our name.
    pub fn is_ours(&self) -> bool {
        self.holder() == Some(&self.me)
    }

    /// Decides what to do at `now`.
    pub fn decide(&self, now: Duration) -> Action {
        match self.renewed {
            Some(renewed) => self.decide_leading(renewed, now),
            None => self.decide_standing_by(now),
        }
    }

    fn decide_leading(&self, renewed: Duration, now: Duration) -> Action {
        let end = renewed + DEADLINE;
        // A Lease that somebody deleted is nobody else's yet.
        let taken = !self.unsure && self.lease.is_some() && !self.is_ours();
        if now >= end || taken {
            return Action::StepDown;
        }
        let due = if self.unsure {
            self.not_before
        } else {
            self.not_before.max(renewed + RENEWAL)
        };
        if now < due {
            Action::Wait(due.min(end).saturating_sub(now))
        } else if self.unsure {
            Action::Look
        } else {
            Action::Renew
        }
    }

    fn decide_standing_by(&self, now: Duration) -> Action {
        if now < self.not_before {
            return Action::Wait(self.not_before.saturating_sub(now));
        }
        let next_look = self.looked + PACE;
        if self.unsure {
            Action::Look
        } else if now >= self.free_at {
            Action::Take
        } else if now >= next_look {
            Action::Look
        } else {
            Action::Wait(next_look.min(self.free_at).saturating_sub(now))
        }
    }

    /// How long a call that begins at `now` may take: a leader must not miss its own end.
    pub fn limit(&self, now: Duration) -> Duration {
        let left = |renewed: Duration| (renewed + DEADLINE).saturating_sub(now);
        self.renewed.map_or(CALL, |renewed| CALL.min(left(renewed)))
    }

    /// A call begins, which may change the Lease and never be answered.
    pub fn begins(&mut self) {
        self.unsure = true;
    }

    /// A look showed `lease`.
    pub fn saw(&mut self, lease: Option<Record>, now: Duration) {
        let renewal = |lease: &Record| (lease.holder.clone(), lease.acquired, lease.renewed);
        let news = self.lease.as_ref().map(renewal) != lease.as_ref().map(renewal);
        self.lease = lease;
        if news {
            self.since = now;
            let other = self.lease.as_ref().filter(|_| self.holder().is_some());
            match other.filter(|_| !self.is_ours()) {
                Some(other) => self.free_at = now + other.duration,
                // Whoever held a Lease that was deleted may still lead.
                None if self.lease.is_none() => {}
                None => self.free_at = now,
            }
        }
        self.unsure = false;
        self.looked = now;
        self.not_before = now;
    }

    /// A write that was sent at `sent` made `lease`: this process leads.
    pub fn wrote(&mut self, lease: Record, sent: Duration, now: Duration) {
        self.saw(Some(lease), now);
        self.renewed = Some(sent);
    }

    /// A write was refused, because the Lease is another than was known.
    pub fn refused(&mut self, now: Duration) {
        self.not_before = now;
    }

    /// A call failed, or was not answered.
    pub fn failed(&mut self, now: Duration) {
        self.not_before = now + PACE;
    }

    /// This process leads no more.
    pub fn stepped_down(&mut self) {
        self.renewed = None;
        self.unsure = true;
    }

    fn holder(&self) -> Option<&str> {
        self.lease.as_ref()?.holder.as_deref()
    }
}

#[cfg(test)]
mod tests;
