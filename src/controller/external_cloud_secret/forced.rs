//! Refreshes that people ask for, of an object or of a whole store: when the object is read anew.
//! What comes too soon waits for its turn and is never lost.

use std::time::Duration;

use tokio::time::Instant;

use crate::controller::context::fingerprint;

/// The shortest time between two forced reads of one object.
const PAUSE: Duration = Duration::from_secs(10);

/// How far ahead turns are given out. Whoever finds none asks again after this long.
pub const HORIZON: Duration = Duration::from_mins(5);

/// The forced reads of one object.
#[derive(Debug, Default, Clone)]
pub struct Forced {
    /// When the last one began.
    began: Option<Instant>,
    /// The turn that the next one has taken.
    turn: Option<Instant>,
    under_way: Option<UnderWay>,
    /// The last request that was carried out, which status may not say yet.
    done: Option<String>,
}

/// A forced read that has begun. It stays what it is whatever is asked meanwhile, so that new requests
/// cannot make it begin again and again.
#[derive(Debug, Clone)]
struct UnderWay {
    request: Option<String>,
    swept: bool,
    anew: u64,
}

/// What is asked of an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// The request on the object itself that status does not say was carried out.
    pub request: Option<&'a str>,
    /// The refresh of a store has come to the object, which took its turn for it.
    pub swept: bool,
    /// The object was never seen before: it is read anyway.
    pub new: bool,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is asked.
    Rest,
    /// Something is, and its turn comes after this long.
    Wait(Duration),
    /// Its turn has come; the number tells it from every other forced read of the object.
    Read(u64),
}

// === impl Step ===

impl Step {
    /// Which forced read is to be made.
    pub fn reads(self) -> Option<u64> {
        match self {
            Self::Read(anew) => Some(anew),
            Self::Rest | Self::Wait(_) => None,
        }
    }

    /// When the object is looked at again, for a forced read that has just ended.
    pub fn until_next(self) -> Option<Duration> {
        self.reads().map(|_| Duration::ZERO).or(self.wait())
    }

    /// How long the next one waits.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::Wait(wait) => Some(wait),
            Self::Rest | Self::Read(_) => None,
        }
    }
}

// === impl Forced ===

impl Forced {
    /// What to do about `ask`; `take` takes the namespace's next turn, if it is within [`HORIZON`].
    pub fn step(
        &mut self,
        ask: Ask<'_>,
        now: Instant,
        take: impl FnOnce() -> Option<Instant>,
    ) -> Step {
        if let Some(under_way) = &self.under_way {
            return Step::Read(under_way.anew);
        }
        let request = ask
            .request
            .filter(|request| self.done.as_deref() != Some(*request));
        if request.is_none() && !ask.swept {
            return Step::Rest;
        }
        let rested = self.began.map(|began| began + PAUSE);
        if let Some(rested) = rested.filter(|rested| *rested > now) {
            return Step::Wait(rested - now);
        }
        if !ask.swept && !ask.new {
            self.turn = self.turn.or_else(take);
            match self.turn {
                None => return Step::Wait(HORIZON),
                Some(turn) if turn > now => return Step::Wait(turn - now),
                Some(_) => {}
            }
        }
        self.turn = None;
        self.began = Some(now);
        let anew = fingerprint(&(now, request));
        self.under_way = Some(UnderWay {
            request: request.map(str::to_owned),
            swept: ask.swept,
            anew,
        });
        Step::Read(anew)
    }

    /// The values were read, or could not be: what was asked was carried out. Says whether a store's
    /// refresh was part of it.
    pub fn end(&mut self) -> bool {
        let Some(ended) = self.under_way.take() else {
            return false;
        };
        self.done = ended.request.or(self.done.take());
        ended.swept
    }

    /// Nothing can be read: the request stays, and its turn is taken anew.
    pub fn give_up(&mut self) {
        self.under_way = None;
    }

    /// The last request that was carried out by this process.
    pub fn done(&self) -> Option<&str> {
        self.done.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::turns::Turns;

    const SECOND: Duration = Duration::from_secs(1);

    fn asked(request: &str) -> Ask<'_> {
        Ask {
            request: Some(request),
            ..Ask::default()
        }
    }

    const SWEPT: Ask<'_> = Ask {
        request: None,
        swept: true,
        new: false,
    };

    #[tokio::test(start_paused = true)]
    async fn an_object_is_read_once_in_ten_seconds_and_the_last_request_counts() {
        let (mut forced, start) = (Forced::default(), Instant::now());
        let free = || Some(start);
        let Step::Read(first) = forced.step(asked("1"), start, free) else {
            panic!("not at once")
        };
        let again = forced.step(asked("2"), start + SECOND, free);
        assert_eq!(again, Step::Read(first), "what has begun goes on");
        assert!(!forced.end());
        assert_eq!(forced.done(), Some("1"));
        let later = start + 2 * SECOND;
        assert_eq!(forced.step(asked("1"), later, free), Step::Rest);
        assert_eq!(
            forced.step(asked("3"), later, free),
            Step::Wait(8 * SECOND),
            "the second request went under, for nobody asks for it any more"
        );
        let Step::Read(second) = forced.step(asked("3"), start + 10 * SECOND, free) else {
            panic!("not in its turn")
        };
        assert_ne!(first, second);
        forced.end();
        assert_eq!(forced.done(), Some("3"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_taken_once_however_often_one_looks() {
        let turns = Turns::bursts(SECOND, 1);
        let start = Instant::now();
        turns.take(start);
        let mut forced = Forced::default();
        for request in ["1", "2", "3"] {
            let step = forced.step(asked(request), start, || Some(turns.take(start)));
            assert_eq!(step, Step::Wait(SECOND));
        }
        assert_eq!(turns.take(start), start + 2 * SECOND);
        let step = forced.step(asked("3"), start + SECOND, || unreachable!());
        assert!(matches!(step, Step::Read(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_turn_asks_again_later_and_is_not_forgotten() {
        let (mut forced, start) = (Forced::default(), Instant::now());
        assert_eq!(forced.step(asked("1"), start, || None), Step::Wait(HORIZON));
        let later = start + HORIZON;
        let step = forced.step(asked("1"), later, || Some(later));
        assert!(matches!(step, Step::Read(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_object_takes_no_turn() {
        let mut forced = Forced::default();
        let new = Ask {
            new: true,
            ..asked("1")
        };
        let step = forced.step(new, Instant::now(), || unreachable!());
        assert!(matches!(step, Step::Read(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_serves_a_stores_refresh_and_the_objects_own() {
        let (mut forced, start) = (Forced::default(), Instant::now());
        let both = Ask {
            swept: true,
            ..asked("1")
        };
        let step = forced.step(both, start, || unreachable!());
        assert!(matches!(step, Step::Read(_)));
        assert!(forced.end());
        assert_eq!(forced.done(), Some("1"));
        assert_eq!(
            forced.step(SWEPT, start, || unreachable!()),
            Step::Wait(PAUSE)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stores_refresh_that_comes_while_one_is_read_is_another() {
        let (mut forced, start) = (Forced::default(), Instant::now());
        forced.step(asked("1"), start, || Some(start));
        let swept = Ask {
            swept: true,
            ..asked("1")
        };
        forced.step(swept, start + SECOND, || unreachable!());
        assert!(!forced.end(), "its values may be older than the request");
        let step = forced.step(SWEPT, start + SECOND, || unreachable!());
        assert_eq!(step, Step::Wait(9 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_begin_is_not_lost() {
        let (mut forced, start) = (Forced::default(), Instant::now());
        forced.step(asked("1"), start, || Some(start));
        forced.give_up();
        assert_eq!(forced.done(), None);
        let step = forced.step(asked("1"), start + SECOND, || unreachable!());
        assert_eq!(step, Step::Wait(9 * SECOND));
    }
}
