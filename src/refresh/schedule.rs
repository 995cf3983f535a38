//! When a reference is due: wall-clock slots, so that a restart, a second process or a forced
//! fetch never moves the rhythm. Pure arithmetic; the time is passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A fetch this part of the interval before a slot satisfies the slot.
const EARLY_PART: u32 = 10;

/// The slots of one row: `k × interval + phase` since the Unix epoch, for every whole `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    interval: Duration,
    phase: Duration,
}

// === impl Slots ===

impl Slots {
    /// Slots of `interval`, which is at least a millisecond, with a phase taken from `hash`: rows
    /// with different hashes spread evenly over the interval.
    pub fn new(interval: Duration, hash: u64) -> Self {
        let interval = interval.max(Duration::from_millis(1));
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        Self {
            interval,
            phase: Duration::from_millis(hash % millis),
        }
    }

    /// How long before a slot a fetch may happen and still satisfy it.
    pub fn early(&self) -> Duration {
        self.interval / EARLY_PART
    }

    /// The first slot after `time`.
    pub fn next_after(&self, time: Timestamp) -> Timestamp {
        let interval = self.interval.as_nanos().cast_signed();
        let phase = self.phase.as_nanos().cast_signed();
        let passed = (time.as_nanosecond() - phase).div_euclid(interval);
        let next = (passed + 1) * interval + phase;
        Timestamp::from_nanosecond(next).unwrap_or(Timestamp::MAX)
    }

    /// The first slot that a fetch at `time` does not satisfy.
    pub fn next_after_fetch(&self, time: Timestamp) -> Timestamp {
        let early = SignedDuration::try_from(self.early()).unwrap_or(SignedDuration::ZERO);
        self.next_after(time.checked_add(early).unwrap_or(time))
    }
}

/// How long from `now` until `then`; zero when it has passed.
pub fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn slots(interval: u64, hash: u64) -> Slots {
        Slots::new(Duration::from_millis(interval), hash)
    }

    #[test]
    fn a_fetch_shortly_before_a_slot_satisfies_it_and_moves_nothing() {
        let slots = slots(1_000, 300);
        assert_eq!(slots.next_after_fetch(at(10_250)), at(11_300));
        assert_eq!(
            slots.next_after_fetch(at(10_200)),
            at(11_300),
            "exactly a tenth before"
        );
        assert_eq!(
            slots.next_after_fetch(at(10_199)),
            at(10_300),
            "a little too early"
        );
    }

    #[test]
    fn a_late_fetch_keeps_the_rhythm() {
        assert_eq!(slots(1_000, 300).next_after_fetch(at(10_800)), at(11_300));
    }

    #[test]
    fn a_slot_that_has_passed_is_no_time_away() {
        assert_eq!(until(at(5), at(3)), Duration::ZERO);
        assert_eq!(until(at(3), at(5)), Duration::from_millis(2));
    }

    proptest! {
        #[test]
        fn slots_are_whole_intervals_apart(interval in 1_u64..10_000_000, hash: u64, time in 0_i64..4_000_000_000_000) {
            let slots = slots(interval, hash);
            let next = slots.next_after(at(time));
            prop_assert!(next > at(time));
            prop_assert!(until(at(time), next) <= Duration::from_millis(interval));
            let after = slots.next_after(next);
            prop_assert_eq!(until(next, after), Duration::from_millis(interval));
        }

        #[test]
        fn a_fetch_on_time_is_followed_by_the_very_next_slot(interval in 100_u64..10_000_000, hash: u64, time in 0_i64..4_000_000_000_000) {
            let slots = slots(interval, hash);
            let slot = slots.next_after(at(time));
            prop_assert_eq!(slots.next_after_fetch(slot), slots.next_after(slot));
        }
    }
}
