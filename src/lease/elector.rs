//! Does what the view of the Lease says is to be done.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::leadership::{Leadership, Renewal};
use super::record::{Claim, ClaimError, LeaseStore};
use super::view::{Action, CALL, View};
use crate::clock::Clock;

/// Takes part in the election. Each of its futures may be dropped at any time.
pub struct Elector {
    store: Arc<dyn LeaseStore>,
    leadership: Leadership,
    clock: Arc<dyn Clock>,
    began: Instant,
    view: View,
    /// Since when nobody led before this process did.
    unled_since: Option<Timestamp>,
    /// A call failed, and the log says so.
    failing: bool,
}

/// A time of leading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Since when nobody did what was due, as far as that is known.
    pub unled_since: Option<Timestamp>,
}

// === impl Elector ===

impl Elector {
    /// Stands for election as `me`, a name that no other process ever has, and tells `leadership`.
    pub fn new(
        store: Arc<dyn LeaseStore>,
        leadership: Leadership,
        clock: Arc<dyn Clock>,
        me: String,
    ) -> Self {
        Self {
            store,
            leadership,
            clock,
            began: Instant::now(),
            view: View::new(me),
            unled_since: None,
            failing: false,
        }
    }

    /// Waits until this process leads.
    pub async fn lead(&mut self) -> Term {
        while !self.view.leads() {
            self.step(|| None).await;
        }
        tracing::info!(holder = self.view.me(), "leading");
        let unled_since = self.unled_since;
        Term { unled_since }
    }

    /// Goes on leading; returns when this process leads no more. `overdue` says since when something
    /// is due and not done, for a successor to know.
    pub async fn hold(&mut self, overdue: impl Fn() -> Option<Timestamp>) {
        while self.view.leads() {
            self.step(&overdue).await;
        }
    }

    /// Gives the Lease back, if it is ours, once nothing is written any more. `overdue` is as in
    /// [`hold`](Self::hold); who does not lead any more tells what it would have begun with.
    pub async fn release(&mut self, overdue: Option<Timestamp>) {
        self.leadership.end();
        if self.view.is_unsure() {
            self.look().await;
        }
        if self.view.is_unsure() || !self.view.is_ours() {
            return;
        }
        let overdue = if self.view.leads() {
            overdue
        } else {
            self.unled_since()
        };
        let claim = Claim {
            holder: None,
            ..self.claim(self.clock.now(), overdue)
        };
        let version = self.view.lease().map(|lease| lease.version.clone());
        let written = timeout(CALL, self.store.write(version.as_deref(), &claim)).await;
        if let Ok(Ok(_)) = written {
            tracing::info!(holder = self.view.me(), "the Lease is given back");
        } else {
            tracing::warn!("the Lease was not given back, and is free when it ends");
        }
    }

    async fn step(&mut self, overdue: impl Fn() -> Option<Timestamp>) {
        match self.view.decide(self.began.elapsed()) {
            Action::Wait(time) => tokio::time::sleep(time).await,
            Action::Look => self.look().await,
            Action::StepDown => {
                tracing::warn!(holder = self.view.me(), "leading no more, standing by");
                self.step_down();
            }
            Action::Take => {
                self.unled_since = self.unled_since();
                // A successor has to make up for what this process may not get to.
                self.claim_it(self.unled_since).await;
            }
            Action::Renew => self.claim_it(overdue()).await,
        }
    }

    async fn look(&mut self) {
        self.view.begins();
        let limit = self.view.limit(self.began.elapsed());
        let read = timeout(limit, self.store.read()).await;
        let now = self.began.elapsed();
        match read {
            Ok(Ok(lease)) => {
                self.view.saw(lease, now);
                self.works();
            }
            Ok(Err(reason)) => self.fails(&reason),
            Err(_) => self.fails("no answer in time"),
        }
    }

    async fn claim_it(&mut self, overdue: Option<Timestamp>) {
        let sent = Renewal {
            at: Instant::now(),
            wall: self.clock.now(),
        };
        let at = sent.at.duration_since(self.began);
        let claim = self.claim(sent.wall, overdue);
        let version = self.view.lease().map(|lease| lease.version.clone());
        let limit = self.view.limit(at);
        self.view.begins();
        let written = timeout(limit, self.store.write(version.as_deref(), &claim)).await;
        let now = self.began.elapsed();
        match written {
            Ok(Ok(lease)) => {
                self.view.wrote(lease, at, now);
                self.leadership.renewed(sent);
                self.works();
            }
            Ok(Err(ClaimError::Refused)) => self.view.refused(now),
            Ok(Err(ClaimError::Failed(reason))) => self.fails(&reason),
            Err(_) => self.fails("no answer in time"),
        }
    }

    /// The Lease with our name in it.
    fn claim(&self, now: Timestamp, overdue: Option<Timestamp>) -> Claim {
        let before = self.view.lease();
        let acquired = before.filter(|_| self.view.leads() && self.view.is_ours());
        let changes = before.is_some() && !self.view.is_ours();
        let transitions = before.map_or(0, |lease| lease.transitions);
        Claim {
            holder: Some(self.view.me().to_owned()),
            acquired: acquired.and_then(|lease| lease.acquired).or(Some(now)),
            renewed: now,
            transitions: transitions.saturating_add(i32::from(changes)),
            overdue,
        }
    }

    /// Since when nobody led: since the last renewal, or since what was overdue then. It is no later
    /// than this process saw that renewal, whatever the other's clock showed.
    fn unled_since(&self) -> Option<Timestamp> {
        let lease = self.view.lease()?;
        let age = self.began.elapsed().saturating_sub(self.view.since());
        let now = self.clock.now();
        let seen = now.checked_sub(age).unwrap_or(now);
        let renewed = lease.renewed?.min(seen);
        Some(
            lease
                .overdue
                .map_or(renewed, |overdue| overdue.min(renewed)),
        )
    }

    fn step_down(&mut self) {
        self.leadership.end();
        self.view.stepped_down();
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the Lease can be read and written again");
        }
    }

    fn fails(&mut self, reason: &str) {
        self.view.failed(self.began.elapsed());
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(reason, "the Lease cannot be read or written");
        }
    }
}
