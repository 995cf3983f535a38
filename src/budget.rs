//! How fast one account may be called: a share of the quota that the cloud documents, slowed down
//! where the cloud says that it is too much. Pure; the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// A burst holds this part of a second's calls, so that no second sees much more than its share.
const BURST: f64 = 0.1;
/// What a refusal leaves of the rate.
const CUT: f64 = 0.5;
/// The slowest, as a part of the full rate.
const SLOWEST: f64 = 1.0 / 64.0;
/// From the slowest to the full rate in this time.
const RECOVERY: Duration = Duration::from_mins(1);
/// Refusals of calls that were sent together count once.
const SAME_CUT: Duration = Duration::from_secs(1);

/// The calls of one kind that one account may make.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Calls a second, unless there is no limit.
    full: Option<f64>,
    /// Calls a second at the moment.
    rate: f64,
    /// Calls that may leave now. Less than nothing where more left than may.
    tokens: f64,
    /// When rate and tokens were reckoned.
    at: Instant,
    cut: Option<Instant>,
    paused_until: Option<Instant>,
}

// === impl Budget ===

impl Budget {
    /// A budget of `full` calls a second; without one only the cloud's own hints hold it back.
    pub fn new(full: Option<f64>, now: Instant) -> Self {
        let full = full.map(|full| full.max(f64::MIN_POSITIVE));
        let rate = full.unwrap_or_default();
        Self {
            full,
            rate,
            tokens: burst(rate),
            at: now,
            cut: None,
            paused_until: None,
        }
    }

    /// When the next call may leave: now, or later.
    pub fn next(&mut self, now: Instant) -> Instant {
        self.reckon(now);
        let paused = self.paused_until.unwrap_or(now).max(now);
        let missing = 1.0 - self.tokens;
        if self.full.is_none() || missing <= 0.0 {
            return paused;
        }
        // A token that is short by less than the clock can tell must not cost another turn.
        let wait = Duration::from_secs_f64((missing / self.rate).min(3600.0));
        paused.max(now + wait + Duration::from_micros(1))
    }

    /// Whether a call that leaves now keeps no other waiting.
    pub fn is_ample(&mut self, now: Instant) -> bool {
        self.next(now) <= now && (self.full.is_none() || self.tokens >= 2.0)
    }

    /// Notes `calls` calls, whether they could be had or not.
    pub fn take(&mut self, calls: u32, now: Instant) {
        self.reckon(now);
        self.tokens -= f64::from(calls);
    }

    /// The cloud says that it is too much: half as fast, and not before `hint`.
    pub fn throttled(&mut self, hint: Duration, now: Instant) {
        self.reckon(now);
        let again = self.cut.is_some_and(|cut| now < cut + SAME_CUT);
        if let Some(full) = self.full
            && !again
        {
            self.rate = (self.rate * CUT).max(full * SLOWEST);
            self.tokens = self.tokens.min(0.0);
            self.cut = Some(now);
        }
        self.paused_until = self.paused_until.max(Some(now + hint));
    }

    /// Whether the cloud has asked for less.
    pub fn is_slowed(&self, now: Instant) -> bool {
        let paused = self.paused_until.is_some_and(|until| until > now);
        paused || self.full.is_some_and(|full| self.rate_at(now) < full)
    }

    /// Whether it is as it was when it was made.
    pub fn is_fresh(&mut self, now: Instant) -> bool {
        self.reckon(now);
        !self.is_slowed(now)
            && self
                .full
                .is_none_or(|full| self.tokens >= burst(full) - 0.5)
    }

    fn reckon(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let rate = self.rate_at(now);
        self.at = self.at.max(now);
        if self.full.is_some() {
            self.tokens = (self.tokens + passed * self.rate).min(burst(rate));
            self.rate = rate;
        } else {
            self.tokens = 0.0;
        }
    }

    fn rate_at(&self, now: Instant) -> f64 {
        let full = self.full.unwrap_or_default();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.rate + full * passed / RECOVERY.as_secs_f64()).min(full)
    }
}

/// The most calls that leave at once.
fn burst(rate: f64) -> f64 {
    (rate * BURST).max(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// When calls leave in `time` if more are always wanted.
    fn leave(budget: &mut Budget, start: Instant, time: Duration) -> Vec<Duration> {
        let mut now = start;
        let mut left = Vec::new();
        loop {
            now = budget.next(now);
            if now >= start + time {
                return left;
            }
            budget.take(1, now);
            left.push(now - start);
        }
    }

    #[test]
    fn no_second_sees_much_more_than_its_share() {
        let start = Instant::now();
        let mut budget = Budget::new(Some(90.0), start);
        let left = leave(&mut budget, start, SECOND * 10);
        assert!((890..=912).contains(&left.len()), "{}", left.len());
        for (i, first) in left.iter().enumerate() {
            let within = left[i..].iter().take_while(|at| **at < *first + SECOND);
            assert!(within.count() <= 100);
        }
    }

    #[test]
    fn an_idle_budget_lets_a_call_leave_at_once() {
        let start = Instant::now();
        for full in [Some(0.01), Some(1.0), Some(1e6), None] {
            let mut budget = Budget::new(full, start);
            assert_eq!(budget.next(start), start, "{full:?}");
        }
    }

    #[test]
    fn a_refusal_halves_the_rate_and_a_minute_without_any_restores_it() {
        let start = Instant::now();
        let mut budget = Budget::new(Some(100.0), start);
        budget.throttled(Duration::ZERO, start);
        budget.throttled(Duration::ZERO, start + SECOND / 2);
        assert!(budget.is_slowed(start + SECOND / 2));
        let slow = leave(&mut budget, start + SECOND, SECOND).len();
        assert!((48..=60).contains(&slow), "{slow}");
        let later = start + Duration::from_mins(2);
        let fast = leave(&mut budget, later, SECOND).len();
        assert!((100..=111).contains(&fast), "{fast}");
        assert!(!budget.is_slowed(later + SECOND));
    }

    #[test]
    fn the_clouds_hint_holds_with_a_quota_and_without() {
        let start = Instant::now();
        for full in [Some(100.0), None] {
            let mut budget = Budget::new(full, start);
            budget.throttled(SECOND * 7, start);
            assert!(budget.next(start) >= start + SECOND * 7, "{full:?}");
            budget.throttled(SECOND, start + SECOND);
            assert!(budget.next(start) >= start + SECOND * 7, "the longer one");
        }
    }

    #[test]
    fn calls_that_left_without_asking_are_waited_for() {
        let start = Instant::now();
        let mut budget = Budget::new(Some(10.0), start);
        budget.take(21, start);
        assert!(budget.next(start) >= start + SECOND * 2);
    }

    #[test]
    fn refusals_never_stop_an_account_for_good() {
        let start = Instant::now();
        let mut budget = Budget::new(Some(100.0), start);
        for n in 0..1_000 {
            budget.throttled(Duration::ZERO, start + SECOND * 2 * n);
        }
        let now = start + SECOND * 2_000;
        assert!(budget.next(now) <= now + SECOND);
    }

    proptest! {
        #[test]
        fn whatever_happens_the_rate_is_kept(
            full in 1_u32..500,
            acts in prop::collection::vec((0_u32..2_000, prop::bool::weighted(0.05)), 1..300),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(Some(f64::from(full)), start);
            let (mut now, mut calls) = (start, 0_u32);
            for (millis, throttled) in acts {
                now += Duration::from_millis(millis.into());
                if throttled {
                    budget.throttled(Duration::from_millis(10), now);
                } else if budget.next(now) <= now {
                    budget.take(1, now);
                    calls += 1;
                }
            }
            let most = (now - start).as_secs_f64() * f64::from(full) + burst(f64::from(full));
            prop_assert!(f64::from(calls) <= most + 1.0);
        }
    }
}
