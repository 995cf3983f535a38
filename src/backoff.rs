//! Waits that double, by which everything that is tried again is spaced.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How long to wait after `failures` failures in a row (at least one): `first`, doubling up to
/// `most`.
pub fn doubling(first: Duration, most: Duration, failures: u32) -> Duration {
    let steps = usize::try_from(failures.saturating_sub(1))
        .unwrap_or(usize::MAX)
        .min(64);
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(most)
        .with_factor(2.0)
        .without_max_times()
        .build()
        .nth(steps)
        .unwrap_or(most)
}
