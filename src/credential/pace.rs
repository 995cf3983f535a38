//! How fast one account's token service is called: a share of its quota, whoever asks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::budget::Budget;
use crate::provider::{CallError, Class, Detail};

/// What the STS of Alibaba Cloud allows one account, calls a second ("Limits" of its documentation).
const STS_QUOTA: f64 = 100.0;
/// How long an exchange waits for its turn. Whoever would wait longer is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Those who are told to come again come somewhere in this time.
const SPREAD: Duration = Duration::from_secs(10);
/// How many accounts are remembered that ask for nothing.
const MOST_IDLE: usize = 1_000;

/// The budgets of the accounts' token services.
#[derive(Debug)]
pub struct Pace {
    share: f64,
    budgets: Mutex<HashMap<String, Budget>>,
}

// === impl Pace ===

impl Pace {
    /// `share` is the part of each account's quota that is used; 0 means all that is wanted.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            budgets: Mutex::default(),
        }
    }

    /// Waits until `account` may be called once more. `spread` is a number that tells those apart who
    /// wait for the same.
    ///
    /// # Errors
    /// [`Class::Throttled`] with a hint, when that is too far away.
    pub async fn turn(&self, account: &str, spread: u64) -> Result<(), CallError> {
        let turn = self.reserve(account, spread, Instant::now())?;
        sleep_until(turn).await;
        Ok(())
    }

    /// Takes in that the token service said it was too much.
    pub fn throttled(&self, account: &str, hint: Option<Duration>) {
        let now = Instant::now();
        if let Some(budget) = self.budgets().get_mut(account) {
            budget.throttled(hint.unwrap_or(Duration::from_secs(1)), now);
        }
    }

    fn reserve(&self, account: &str, spread: u64, now: Instant) -> Result<Instant, CallError> {
        let mut budgets = self.budgets();
        if budgets.len() > MOST_IDLE {
            budgets.retain(|_, budget| !budget.is_fresh(now));
        }
        let full = (self.share > 0.0).then_some(STS_QUOTA * self.share);
        let budget = budgets
            .entry(account.to_owned())
            .or_insert_with(|| Budget::new(full, now));
        let turn = budget.next(now);
        let wait = turn.saturating_duration_since(now);
        if wait > LONGEST_WAIT {
            let millis = u64::try_from(SPREAD.as_millis()).unwrap_or(u64::MAX);
            let later = wait + Duration::from_millis(spread % millis);
            let detail = Detail::Fixed("too many sessions begin at once; it is tried again");
            let error = CallError::new(Class::Throttled, "SessionsPaced").with_detail(detail);
            return Err(error.with_retry_after(Some(later)));
        }
        budget.take(1, now);
        Ok(turn)
    }

    fn budgets(&self) -> MutexGuard<'_, HashMap<String, Budget>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_of_one_account_begin_at_its_pace_and_the_rest_comes_again() {
        let pace = Pace::new(0.2);
        let start = Instant::now();
        let turns: Vec<_> = (0..300).map(|n| pace.reserve("1", n, start)).collect();
        let served: Vec<_> = turns.iter().flatten().collect();
        assert!((100..=104).contains(&served.len()), "{}", served.len());
        let first_second = served
            .iter()
            .filter(|at| ***at < start + Duration::from_secs(1));
        assert!(first_second.count() <= 23);
        for error in turns.iter().filter_map(|turn| turn.as_ref().err()) {
            assert_eq!(error.class, Class::Throttled);
            assert!(error.retry_after >= Some(LONGEST_WAIT));
        }
        assert!(pace.turn("2", 0).await.is_ok(), "another account");
        assert_eq!(Instant::now(), start);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_share_nobody_waits() {
        let pace = Pace::new(0.0);
        let start = Instant::now();
        for n in 0..10_000 {
            pace.turn("1", n).await.unwrap();
        }
        assert_eq!(Instant::now(), start);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_the_account_back() {
        let pace = Pace::new(0.0);
        pace.turn("1", 0).await.unwrap();
        pace.throttled("1", Some(Duration::from_secs(3)));
        let start = Instant::now();
        pace.turn("1", 0).await.unwrap();
        assert!(Instant::now() >= start + Duration::from_secs(3));
    }
}
