//! Turns: how often something may be done, in bursts and then at a steady pace.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out turns: so many at once, and from then on one every so often.
#[derive(Debug)]
pub struct Turns {
    pace: Duration,
    /// How far turns may be ahead of the pace.
    ahead: Duration,
    /// When the turn after the last one would be at the pace alone.
    next: Mutex<Option<Instant>>,
}

/// Turns that each of many, such as a namespace, has of its own, so that none takes another's.
#[derive(Debug)]
pub struct KeyedTurns {
    pace: Duration,
    burst: u32,
    known: Mutex<HashMap<String, Turns>>,
}

// === impl Turns ===

impl Turns {
    /// One turn every `pace`.
    pub fn every(pace: Duration) -> Self {
        Self::bursts(pace, 1)
    }

    /// `burst` turns at once, and one more every `pace`.
    pub fn bursts(pace: Duration, burst: u32) -> Self {
        Self {
            pace,
            ahead: pace * burst.saturating_sub(1),
            next: Mutex::default(),
        }
    }

    /// Takes the next turn and says when it is.
    pub fn take(&self, now: Instant) -> Instant {
        let mut next = self.lock();
        let turn = self.turn(*next, now);
        *next = Some(next.map_or(turn, |next| next.max(turn)) + self.pace);
        turn
    }

    /// Takes the next turn, if it is within `horizon`, and says when it is.
    pub fn take_within(&self, horizon: Duration, now: Instant) -> Option<Instant> {
        let near = self.turn(*self.lock(), now) <= now + horizon;
        near.then(|| self.take(now))
    }

    /// Takes the next turn, if it is now.
    pub fn take_now(&self, now: Instant) -> bool {
        let free = self.is_free(now);
        if free {
            self.take(now);
        }
        free
    }

    /// Whether the next turn is now.
    pub fn is_free(&self, now: Instant) -> bool {
        self.turn(*self.lock(), now) <= now
    }

    /// Whether nothing is left of the turns that were taken.
    fn is_rested(&self, now: Instant) -> bool {
        self.lock().is_none_or(|next| next <= now)
    }

    fn turn(&self, next: Option<Instant>, now: Instant) -> Instant {
        let early = next.and_then(|next| next.checked_sub(self.ahead));
        early.map_or(now, |turn| turn.max(now))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl KeyedTurns ===

impl KeyedTurns {
    /// `burst` turns at once for each, and one more every `pace`.
    pub fn bursts(pace: Duration, burst: u32) -> Self {
        Self {
            pace,
            burst,
            known: Mutex::default(),
        }
    }

    /// Takes `key`'s next turn, if it is within `horizon`, and says when it is. Whoever goes without
    /// using its turn has moved those after it no further than that.
    pub fn take_within(&self, key: &str, horizon: Duration, now: Instant) -> Option<Instant> {
        self.with(key, |turns| turns.take_within(horizon, now))
    }

    /// Takes `key`'s next turn, if it is now.
    pub fn take_now(&self, key: &str, now: Instant) -> bool {
        self.with(key, |turns| turns.take_now(now))
    }

    /// Whether `key`'s next turn is now.
    pub fn is_free(&self, key: &str, now: Instant) -> bool {
        self.with(key, |turns| turns.is_free(now))
    }

    /// Forgets those that have all their turns again.
    pub fn sweep(&self, now: Instant) {
        self.lock().retain(|_, turns| !turns.is_rested(now));
    }

    fn with<T>(&self, key: &str, act: impl FnOnce(&Turns) -> T) -> T {
        let mut known = self.lock();
        if let Some(turns) = known.get(key) {
            return act(turns);
        }
        let turns = known.entry(key.to_owned());
        act(turns.or_insert_with(|| Turns::bursts(self.pace, self.burst)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Turns>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_a_steady_pace() {
        let turns = Turns::every(SECOND);
        let now = Instant::now();
        assert_eq!(
            [turns.take(now), turns.take(now), turns.take(now)],
            [now, now + SECOND, now + 2 * SECOND]
        );
        let later = now + Duration::from_mins(1);
        assert_eq!(turns.take(later), later, "unused turns are not saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_had_at_once_and_again_after_a_rest() {
        let turns = Turns::bursts(SECOND, 3);
        let now = Instant::now() + Duration::from_hours(1);
        let taken: Vec<_> = (0..5).map(|_| turns.take(now)).collect();
        assert_eq!(taken, [now, now, now, now + SECOND, now + 2 * SECOND]);
        let rested = now + 5 * SECOND;
        assert!(turns.is_rested(rested));
        for _ in 0..3 {
            assert!(turns.take_now(rested));
        }
        assert!(!turns.take_now(rested), "no more than a burst is saved up");
        assert!(
            turns.take_now(rested + SECOND),
            "what was refused is not taken"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_takes_no_turn_of_another_and_is_forgotten_when_it_rests() {
        let turns = KeyedTurns::bursts(SECOND, 2);
        let now = Instant::now();
        let horizon = 100 * SECOND;
        let taken = (0..1_000).filter(|_| turns.take_within("greedy", horizon, now).is_some());
        assert_eq!(
            taken.count(),
            102,
            "no turn is given out beyond the horizon"
        );
        assert!(turns.take_now("modest", now));
        assert!(!turns.is_free("greedy", now));
        turns.sweep(now + 2 * SECOND);
        let known: Vec<String> = turns.lock().keys().cloned().collect();
        assert_eq!(known, ["greedy"]);
    }
}
