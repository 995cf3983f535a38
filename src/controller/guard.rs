//! What surrounds every reconcile: a deadline, a net for panics, and a failure ladder of its own.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use super::external_cloud_secret::reconcile::{Ended, Failed};
use crate::backoff::doubling;

/// How long one reconcile may take. It waits for the API server only, never for a cloud.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How a guarded reconcile ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran to its end.
    Ended(Ended),
    /// It failed and is tried again.
    Failed(Failed),
    /// It did not end in time.
    TimedOut,
    /// It panicked.
    Panicked,
}

// === impl Outcome ===

impl Outcome {
    /// The name in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ended(ended) => ended.as_str(),
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed out",
            Self::Panicked => "panicked",
        }
    }
}

/// Runs `reconcile`, whatever it does.
pub async fn guarded(reconcile: impl Future<Output = Result<Ended, Failed>>) -> Outcome {
    let netted = AssertUnwindSafe(reconcile).catch_unwind();
    match tokio::time::timeout(DEADLINE, netted).await {
        Ok(Ok(Ok(ended))) => Outcome::Ended(ended),
        Ok(Ok(Err(failed))) => Outcome::Failed(failed),
        Ok(Err(_panic)) => Outcome::Panicked,
        Err(_elapsed) => Outcome::TimedOut,
    }
}

/// How long to wait after `failures` failures in a row: a second, doubling to five minutes.
pub fn wait(failures: u32) -> Duration {
    doubling(Duration::from_secs(1), Duration::from_mins(5), failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reconcile_that_hangs_or_panics_ends_all_the_same() {
        let hangs = guarded(std::future::pending()).await;
        assert!(matches!(hangs, Outcome::TimedOut));
        let panics = guarded(async { panic!("canary-panic") }).await;
        assert!(matches!(panics, Outcome::Panicked));
        assert!(!format!("{panics:?}").contains("canary"));
    }

    #[test]
    fn waits_double_to_five_minutes() {
        let waits = [1, 2, 3, 9, 10, 1_000].map(|failures| wait(failures).as_secs());
        assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    }
}
