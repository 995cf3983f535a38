//! How fast one account's token service is called: a share of its quota, whoever asks.
//!
//! Half of it is for identities that were accepted before, so that those which are refused again and
//! again, or whoever makes many of them, keep nobody from renewing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::IdentityId;
use super::cloud::{Action, TokenService};
use crate::budget::Budget;
use crate::provider::{CallError, Class, Detail};

/// How long an exchange waits for its turn. Whoever would wait longer is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Those who are told to come again come somewhere in this time.
const SPREAD: Duration = Duration::from_secs(10);
/// How many budgets are remembered that nobody uses.
const MOST_IDLE: usize = 1_000;
/// How many accepted identities are remembered; beyond, all are forgotten.
const MOST_ACCEPTED: usize = 100_000;

/// The budgets of the accounts' token services.
#[derive(Debug)]
pub(super) struct Pace {
    share: f64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    budgets: HashMap<Account, Budget>,
    accepted: HashSet<IdentityId>,
}

/// A token service, an account there, what its calls are counted as, and whether its identities were
/// accepted before.
type Account = (String, String, &'static str, bool);

/// Who asks for a session, and where.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    who: IdentityId,
    host: &'a str,
    account: &'a str,
    /// What it asks for.
    pub action: &'static Action,
}

// === impl Asker ===

impl<'a> Asker<'a> {
    /// The identity `who`, which asks `sts` for the role `role_arn` by `action`.
    pub fn new(
        who: IdentityId,
        role_arn: &'a str,
        sts: &'a TokenService,
        action: &'static Action,
    ) -> Self {
        Self {
            who,
            host: sts.endpoint.host(),
            account: sts.cloud().role_account(role_arn).unwrap_or_default(),
            action,
        }
    }
}

// === impl Pace ===

impl Pace {
    /// `share` is the part of each account's quota that is used; 0 means all that is wanted.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            state: Mutex::default(),
        }
    }

    /// Waits until the account may be called once more.
    ///
    /// # Errors
    /// [`Class::Throttled`] with a hint, when that is too far away.
    pub async fn turn(&self, asker: &Asker<'_>) -> Result<(), CallError> {
        let turn = self.reserve(asker, Instant::now())?;
        sleep_until(turn).await;
        Ok(())
    }

    /// Takes in how the call ended: well, unless there is an error.
    pub fn note(&self, asker: &Asker<'_>, error: Option<&CallError>) {
        let mut state = self.state();
        match error {
            None => {
                if state.accepted.len() >= MOST_ACCEPTED {
                    state.accepted.clear();
                }
                state.accepted.insert(asker.who);
            }
            Some(error) if error.class == Class::Throttled => {
                let hint = error.retry_after.unwrap_or(Duration::from_secs(1));
                let now = Instant::now();
                // Anybody can ask for a role of any account: who was never accepted slows down nobody
                // who was.
                let known = state.accepted.contains(&asker.who);
                for accepted in [false, true].into_iter().take(1 + usize::from(known)) {
                    if let Some(budget) = state.budgets.get_mut(&account(asker, accepted)) {
                        budget.throttled(hint, now);
                    }
                }
            }
            Some(error) if matches!(error.class, Class::Denied | Class::Unauthenticated) => {
                state.accepted.remove(&asker.who);
            }
            Some(_) => {}
        }
    }

    fn reserve(&self, asker: &Asker<'_>, now: Instant) -> Result<Instant, CallError> {
        let mut state = self.state();
        if state.budgets.len() > MOST_IDLE {
            state.budgets.retain(|_, budget| !budget.is_fresh(now));
        }
        let account = account(asker, state.accepted.contains(&asker.who));
        let full = (self.share > 0.0).then_some(asker.action.quota * self.share / 2.0);
        let budget = state.budgets.entry(account);
        let budget = budget.or_insert_with(|| Budget::new(full, now));
        let turn = budget.next(now);
        let wait = turn.saturating_duration_since(now);
        if wait > LONGEST_WAIT {
            let millis = u64::try_from(SPREAD.as_millis()).unwrap_or(u64::MAX);
            let spread = asker.who.0.leading_u64() % millis;
            let detail = Detail::Fixed("too many sessions begin at once; it is tried again");
            let error = CallError::new(Class::Throttled, "SessionsPaced").with_detail(detail);
            return Err(error.with_retry_after(Some(wait + Duration::from_millis(spread))));
        }
        budget.take(1, now);
        Ok(turn)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn account(asker: &Asker<'_>, accepted: bool) -> Account {
    let Asker { host, account, .. } = asker;
    let counted_as = asker.action.counted_as;
    (host.to_string(), account.to_string(), counted_as, accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{DigestKey, Domain};

    const ACTION: Action = Action {
        name: "AssumeRole",
        counted_as: "sts",
        quota: 100.0,
    };

    fn asker(n: u32, account: &'static str) -> Asker<'static> {
        let key = DigestKey::new(&[1; 32]);
        Asker {
            who: IdentityId(key.digest(Domain::Identity, &[&n.to_be_bytes()])),
            host: "sts.cn-hangzhou.aliyuncs.com",
            account,
            action: &ACTION,
        }
    }

    fn throttled(seconds: u64) -> CallError {
        let hint = Duration::from_secs(seconds);
        CallError::new(Class::Throttled, "Throttling.User").with_retry_after(Some(hint))
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_of_one_account_begin_at_its_pace_and_the_rest_comes_again() {
        let pace = Pace::new(0.2);
        let start = Instant::now();
        let turns: Vec<_> = (0..300)
            .map(|n| pace.reserve(&asker(n, "1"), start))
            .collect();
        let served: Vec<_> = turns.iter().flatten().collect();
        assert!((50..=52).contains(&served.len()), "{}", served.len());
        let second = start + Duration::from_secs(1);
        assert!(served.iter().filter(|at| ***at < second).count() <= 11);
        for error in turns.iter().filter_map(|turn| turn.as_ref().err()) {
            assert_eq!(error.class, Class::Throttled);
            assert!(error.retry_after >= Some(LONGEST_WAIT));
        }
        assert!(pace.turn(&asker(1, "2")).await.is_ok(), "another account");
        assert_eq!(Instant::now(), start);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_accepted_does_not_wait_for_those_who_were_not() {
        let pace = Pace::new(0.2);
        let known = asker(1_000, "1");
        pace.turn(&known).await.unwrap();
        pace.note(&known, None);
        let crowd: Vec<_> = (0..300)
            .map(|n| pace.reserve(&asker(n, "1"), Instant::now()))
            .collect();
        assert!(crowd.iter().any(Result::is_err));
        let before = Instant::now();
        pace.turn(&known).await.unwrap();
        assert_eq!(Instant::now(), before);
        let refused = CallError::new(Class::Denied, "NoPermission");
        pace.note(&known, Some(&refused));
        assert!(pace.reserve(&known, Instant::now()).is_err(), "no longer");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_share_nobody_waits() {
        let pace = Pace::new(0.0);
        let start = Instant::now();
        for n in 0..10_000 {
            pace.turn(&asker(n, "1")).await.unwrap();
        }
        assert_eq!(Instant::now(), start);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_the_account_back() {
        let pace = Pace::new(0.0);
        pace.turn(&asker(1, "1")).await.unwrap();
        pace.note(&asker(1, "1"), Some(&throttled(3)));
        let start = Instant::now();
        pace.turn(&asker(2, "1")).await.unwrap();
        assert!(Instant::now() >= start + Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn actions_that_are_counted_apart_are_paced_apart() {
        const RARE: Action = Action {
            name: "AssumeRoleWithWebIdentity",
            counted_as: "AssumeRoleWithWebIdentity",
            quota: 20.0,
        };
        let pace = Pace::new(0.2);
        let start = Instant::now();
        let rare = |n| Asker {
            action: &RARE,
            ..asker(n, "1")
        };
        let turns: Vec<_> = (0..300).map(|n| pace.reserve(&rare(n), start)).collect();
        let served = turns.iter().flatten().count();
        assert!((10..=12).contains(&served), "{served} in 5 s at 2 a second");
        assert_eq!(pace.reserve(&asker(1, "1"), start).ok(), Some(start));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_one_who_was_never_accepted_slows_down_nobody_who_was() {
        let pace = Pace::new(0.2);
        let known = asker(1, "1");
        pace.turn(&known).await.unwrap();
        pace.note(&known, None);
        // Its budget exists from here on.
        pace.turn(&known).await.unwrap();
        let start = Instant::now();
        let stranger = asker(2, "1");
        pace.turn(&stranger).await.unwrap();
        pace.note(&stranger, Some(&throttled(4)));
        pace.turn(&known).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        pace.note(&known, Some(&throttled(4)));
        pace.turn(&known).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(4), "its own");
    }
}
