//! When credentials are renewed and how long they stay usable: a pure function of three times.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The schedule of one set of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    renew_at: Timestamp,
    usable_until: Timestamp,
}

// === impl Lifetime ===

impl Lifetime {
    /// The schedule of credentials received `now` that end at `end`.
    ///
    /// They are renewed a quarter of their life before the end, but no less than 3 and no more than
    /// 15 minutes, and up to a tenth of their life (`spread` from 0 to 1) earlier. They are used
    /// until a minute before the end. Lives too short for that keep half and a tenth.
    pub(super) fn new(now: Timestamp, end: Timestamp, spread: f64) -> Self {
        let life = Duration::try_from(end.duration_since(now)).unwrap_or_default();
        let lead = (life / 4).clamp(3 * MINUTE, 15 * MINUTE).min(life / 2);
        let jitter = (life / 10).mul_f64(spread.clamp(0.0, 1.0));
        let margin = MINUTE.min(life / 10);
        Self {
            renew_at: before(end, lead + jitter),
            usable_until: before(end, margin),
        }
    }

    pub(super) fn is_usable(&self, now: Timestamp) -> bool {
        now < self.usable_until
    }

    pub(super) fn renewal_is_due(&self, now: Timestamp) -> bool {
        now >= self.renew_at
    }

    /// Puts the next attempt off by an eighth of what is left, from a second to a minute, or for as
    /// long as the cloud asked for.
    pub(super) fn renewal_failed(&mut self, now: Timestamp, hint: Duration) {
        let left = Duration::try_from(self.usable_until.duration_since(now)).unwrap_or_default();
        let pause = (left / 8).clamp(SECOND, MINUTE).max(hint);
        self.renew_at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
    }
}

fn before(end: Timestamp, lead: Duration) -> Timestamp {
    let lead = SignedDuration::try_from(lead).unwrap_or(SignedDuration::MAX);
    end.checked_sub(lead).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn renewal_leads_by_a_quarter_within_bounds() {
        let table = [
            (3600, 0.0, 2700, 3540),
            (3600, 1.0, 2340, 3540),
            (900, 0.0, 675, 840),
            (43_200, 0.0, 42_300, 43_140),
            (600, 0.0, 420, 540),
            (10, 0.0, 5, 9),
        ];
        for (life, spread, renew, usable) in table {
            let lifetime = Lifetime::new(at(0), at(life), spread);
            let expected = Lifetime {
                renew_at: at(renew),
                usable_until: at(usable),
            };
            assert_eq!(lifetime, expected, "{life} s with {spread}");
        }
    }

    #[test]
    fn a_failed_renewal_waits_a_part_of_what_is_left() {
        let mut lifetime = Lifetime::new(at(0), at(3600), 0.0);
        lifetime.renewal_failed(at(2700), Duration::ZERO);
        assert_eq!(lifetime.renew_at, at(2760));
        lifetime.renewal_failed(at(3532), Duration::ZERO);
        assert_eq!(lifetime.renew_at, at(3533));
        lifetime.renewal_failed(at(2700), 2 * MINUTE);
        assert_eq!(lifetime.renew_at, at(2820));
    }
}
