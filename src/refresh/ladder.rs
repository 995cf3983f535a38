//! How long to wait after a failure: one table, read by rows and by parked identities.

use std::time::Duration;

use crate::backoff::doubling;
use crate::provider::{CallError, Class};

/// The longest wait that a cloud may ask for: a slip on its side shall not stop us for days.
const LONGEST_HINT: Duration = Duration::from_mins(15);

/// When a failed read may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// At the row's next slot, as if it had worked.
    NextSlot,
    /// After this long.
    After(Duration),
    /// Not before something about the reference or its identity changes.
    OnChange,
}

/// When to try again after `failures` failures in a row (at least one), the last being `error`,
/// for a reference that is refreshed every `interval`.
pub fn next_try(error: &CallError, failures: u32, interval: Duration) -> NextTry {
    const MINUTE: Duration = Duration::from_mins(1);
    let (first, most) = match error.class {
        Class::NotFound => return NextTry::NextSlot,
        Class::Invalid => return NextTry::OnChange,
        Class::Unauthenticated => (Duration::from_secs(30), 15 * MINUTE),
        Class::Denied | Class::Protocol => (MINUTE, interval.max(30 * MINUTE)),
        Class::Throttled => (Duration::from_secs(1), MINUTE),
        Class::Unavailable => (Duration::from_secs(5), 5 * MINUTE),
    };
    let own = doubling(first, most, failures);
    let hint = error.retry_after.unwrap_or_default().min(LONGEST_HINT);
    NextTry::After(own.max(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn after(class: Class, failures: u32, interval: Duration) -> NextTry {
        next_try(&CallError::new(class, "x"), failures, interval)
    }

    fn seconds(n: u64) -> NextTry {
        NextTry::After(Duration::from_secs(n))
    }

    #[test]
    fn each_class_has_its_first_wait_and_its_ceiling() {
        let table = [
            (Class::NotFound, NextTry::NextSlot, NextTry::NextSlot),
            (Class::Unauthenticated, seconds(30), seconds(900)),
            (Class::Denied, seconds(60), seconds(3_600)),
            (Class::Throttled, seconds(1), seconds(60)),
            (Class::Unavailable, seconds(5), seconds(300)),
            (Class::Invalid, NextTry::OnChange, NextTry::OnChange),
            (Class::Protocol, seconds(60), seconds(3_600)),
        ];
        assert_eq!(table.map(|row| row.0), Class::ALL);
        for (class, first, ceiling) in table {
            assert_eq!(after(class, 1, HOUR), first, "{class:?}, first failure");
            assert_eq!(
                after(class, 1_000_000, HOUR),
                ceiling,
                "{class:?}, many failures"
            );
        }
    }

    #[test]
    fn waits_double() {
        let waits = [1, 2, 3, 4].map(|n| after(Class::Unavailable, n, HOUR));
        assert_eq!(waits, [5, 10, 20, 40].map(seconds));
    }

    #[test]
    fn a_short_interval_does_not_make_denied_reads_frequent() {
        assert_eq!(
            after(Class::Denied, 50, Duration::from_secs(10)),
            seconds(1_800)
        );
    }

    #[test]
    fn the_clouds_hint_is_a_lower_bound() {
        let error = CallError::new(Class::Throttled, "Throttling.User")
            .with_retry_after(Some(Duration::from_secs(7)));
        assert_eq!(next_try(&error, 1, HOUR), seconds(7));
        assert_eq!(next_try(&error, 5, HOUR), seconds(16));
    }

    #[test]
    fn an_absurd_hint_is_cut() {
        let error = CallError::new(Class::Throttled, "x").with_retry_after(Some(Duration::MAX));
        assert_eq!(next_try(&error, 1, HOUR), seconds(900));
    }
}
