//! Whether the batch call works here. Pure: it is told the time.

use jiff::{SignedDuration, Timestamp};

/// How long a refusal of the batch call is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// What is known of the batch call at one endpoint, for one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Support {
    /// Whether the call is there until it is refused; otherwise it has to prove itself.
    assumed: bool,
    state: State,
    /// Whether people were told that it does not work.
    told: bool,
    /// Whether they are to be told.
    to_tell: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Works,
    Refused { at: Timestamp },
}

// === impl Support ===

impl Support {
    /// Nothing is known; the call is `assumed` to be there or not.
    pub fn new(assumed: bool) -> Self {
        Self {
            assumed,
            state: State::Unknown,
            told: false,
            to_tell: false,
        }
    }

    /// Whether keys may travel together.
    pub fn usable(&self, now: Timestamp) -> bool {
        match self.current(now) {
            State::Works => true,
            State::Unknown => self.assumed,
            State::Refused { .. } => false,
        }
    }

    /// Whether the next single read should try the batch call. It says so once: until somebody
    /// reports that it [`worked`](Self::worked), it counts as refused, so that a call which hangs is
    /// not tried again and again.
    pub fn take_probe(&mut self, now: Timestamp) -> bool {
        let due = !self.assumed && self.current(now) == State::Unknown;
        if due {
            self.state = State::Refused { at: now };
        }
        due
    }

    /// The batch call answered.
    pub fn worked(&mut self) {
        self.state = State::Works;
        self.told = false;
    }

    /// The batch call was refused and single reads are not.
    pub fn refused(&mut self, now: Timestamp) {
        let used = self.assumed || self.state == State::Works;
        self.state = State::Refused { at: now };
        self.to_tell |= used && !self.told;
        self.told |= used;
    }

    /// Whether people are to be told that the batch call was given up. It says so once.
    pub fn take_withdrawal(&mut self) -> bool {
        std::mem::take(&mut self.to_tell)
    }

    /// The state, an old refusal being forgotten, and one from the future too: the clock was put back.
    fn current(&self, now: Timestamp) -> State {
        match self.state {
            State::Refused { at } if now < at || now.duration_since(at) >= REMEMBERED => {
                State::Unknown
            }
            state => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + n * 60).unwrap()
    }

    #[test]
    fn a_refusal_is_remembered_for_an_hour_and_told_once() {
        let mut support = Support::new(true);
        assert!(support.usable(minute(0)));
        support.refused(minute(0));
        support.refused(minute(1));
        assert!(support.take_withdrawal());
        assert!(!support.take_withdrawal());
        assert!(!support.usable(minute(60)));
        assert!(support.usable(minute(61)));
        support.refused(minute(61));
        assert!(
            !support.take_withdrawal(),
            "that it still does not work is no news"
        );
        support.worked();
        support.refused(minute(200));
        assert!(support.take_withdrawal());
    }

    #[test]
    fn what_is_not_assumed_proves_itself_once_an_hour() {
        let mut support = Support::new(false);
        assert!(!support.usable(minute(0)));
        assert!(support.take_probe(minute(0)));
        assert!(!support.take_probe(minute(1)), "one probe at a time");
        support.refused(minute(1));
        assert!(!support.take_withdrawal(), "it never was in use");
        assert!(!support.take_probe(minute(60)));
        assert!(support.take_probe(minute(61)));
        support.worked();
        assert!(support.usable(minute(62)));
        assert!(!support.take_probe(minute(300)));
        support.refused(minute(300));
        assert!(support.take_withdrawal());
    }

    #[test]
    fn what_is_assumed_needs_no_probe() {
        let mut support = Support::new(true);
        assert!(!support.take_probe(minute(0)));
        support.refused(minute(0));
        assert!(!support.take_probe(minute(90)));
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_prolong_a_refusal() {
        let mut support = Support::new(true);
        support.refused(minute(10_000));
        assert!(support.usable(minute(0)));
    }
}
