//! When a reference is due: wall-clock slots, so that a restart, a second process or a forced
//! fetch never moves the rhythm. Pure arithmetic; the time is passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A fetch this part of the interval before a slot satisfies the slot.
const EARLY_PART: u32 = 10;
/// The longest time over which missed slots are made up for.
const LONGEST_SPREAD: Duration = Duration::from_mins(1);

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

    /// The slot that a fetch at `time` satisfied.
    pub fn satisfied_by(&self, time: Timestamp) -> Timestamp {
        let next = self.next_after_fetch(time);
        next.checked_sub(self.interval).unwrap_or(time)
    }

    /// The first slot that a fetch at `time` does not satisfy.
    pub fn next_after_fetch(&self, time: Timestamp) -> Timestamp {
        let early = SignedDuration::try_from(self.early()).unwrap_or(SignedDuration::ZERO);
        self.next_after(time.checked_add(early).unwrap_or(time))
    }
}

/// A time in which nobody read anything, although it may have been due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When it began.
    pub since: Timestamp,
    /// When it was over.
    pub until: Timestamp,
}

// === impl Gap ===

impl Gap {
    /// When to make up for the slot that fell into the gap, if one did: soon, in the order in which
    /// the slots were, and over as long a time as they were missed in, up to a minute and half the
    /// interval, so that they neither come at once nor are late for long. A slot that comes before
    /// that does as well.
    pub fn made_up(&self, slots: &Slots) -> Option<Timestamp> {
        let missed = slots.next_after(self.since);
        if missed > self.until {
            return None;
        }
        let length = until(self.since, self.until).min(slots.interval);
        let place = until(self.since, missed).as_secs_f64() / length.as_secs_f64();
        let spread = length.min(slots.interval / 2).min(LONGEST_SPREAD);
        let turn = self.until.checked_add(spread.mul_f64(place.min(1.0)));
        Some(turn.unwrap_or(self.until).min(slots.next_after(self.until)))
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
    fn a_fetch_satisfies_the_slot_it_is_for() {
        let slots = slots(1_000, 300);
        for (fetch, slot) in [(10_250, 10_300), (10_300, 10_300), (11_199, 10_300)] {
            assert_eq!(slots.satisfied_by(at(fetch)), at(slot), "{fetch}");
        }
    }

    #[test]
    fn a_slot_in_a_gap_is_made_up_for_and_no_other() {
        let gap = |since, until| Gap {
            since: at(since),
            until: at(until),
        };
        let (hour, second) = (3_600_000, 1_000);
        let table = [
            ("before the gap", hour, gap(2_000, 60_000), 1_000, None),
            ("after it", hour, gap(2_000, 60_000), 61_000, None),
            ("at its end", hour, gap(0, 60_000), 60_000, Some(120_000)),
            ("in its middle", hour, gap(0, 60_000), 30_000, Some(90_000)),
            ("in a short one", hour, gap(0, 500), 250, Some(750)),
            (
                "in a long one",
                hour,
                gap(0, 2_000_000),
                1_000_000,
                Some(2_030_000),
            ),
            (
                "more than once, early",
                10 * second,
                gap(0, 25_000),
                1_000,
                Some(25_500),
            ),
            (
                "more than once, late",
                10 * second,
                gap(0, 25_000),
                8_000,
                Some(28_000),
            ),
            (
                "the next slot is as soon",
                10 * second,
                gap(0, 19_000),
                9_900,
                Some(19_900),
            ),
        ];
        for (case, interval, gap, phase, made_up) in table {
            assert_eq!(
                gap.made_up(&slots(interval, phase)),
                made_up.map(at),
                "{case}"
            );
        }
    }

    #[test]
    fn a_slot_that_has_passed_is_no_time_away() {
        assert_eq!(until(at(5), at(3)), Duration::ZERO);
        assert_eq!(until(at(3), at(5)), Duration::from_millis(2));
    }

    proptest! {
        #[test]
        fn what_is_made_up_for_is_spread_and_soon(interval in 100_u64..10_000_000, hash: u64, since in 0_i64..4_000_000_000_000, length in 0_i64..20_000_000) {
            let (slots, gap) = (slots(interval, hash), Gap { since: at(since), until: at(since + length) });
            let missed = slots.next_after(gap.since) <= gap.until;
            let made_up = gap.made_up(&slots);
            prop_assert_eq!(made_up.is_some(), missed);
            if let Some(time) = made_up {
                let late = until(gap.until, time);
                prop_assert!(time >= gap.until && late <= LONGEST_SPREAD && late <= Duration::from_millis(interval / 2 + 1));
                prop_assert!(time <= slots.next_after(gap.until));
            }
        }

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
