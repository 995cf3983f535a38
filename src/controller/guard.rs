//! What surrounds every reconcile: a deadline, a net for panics, and a failure ladder of its own.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use super::external_cloud_secret::reconcile::{Ended, Failed};
use super::pressure::Pressure;
use crate::backoff::doubling;

/// How long one reconcile may take. It waits for the API server only, never for a cloud.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How a guarded reconcile ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran to its end.
    Ended(Ended),
    /// The API server has too many requests; it is tried again after this long. That is no failure of
    /// the object's.
    Busy(Duration),
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
            Self::Busy(_) => "busy",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed out",
            Self::Panicked => "panicked",
        }
    }
}

/// Runs `reconcile`, whatever it does, unless the API server wants no more writes at the moment.
pub async fn guarded(
    pressure: &Pressure,
    reconcile: impl Future<Output = Result<Ended, Failed>>,
) -> Outcome {
    if let Some(wait) = pressure.wait() {
        return Outcome::Busy(wait);
    }
    let netted = AssertUnwindSafe(reconcile).catch_unwind();
    match tokio::time::timeout(DEADLINE, netted).await {
        Ok(Ok(Ok(ended))) => Outcome::Ended(ended),
        Ok(Ok(Err(failed))) => match pressure.wait() {
            Some(wait) => Outcome::Busy(wait),
            None => Outcome::Failed(failed),
        },
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
    use std::sync::Arc;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn a_reconcile_that_hangs_or_panics_ends_all_the_same() {
        let calm = Pressure::new(Arc::new(Metrics::new().unwrap()));
        let hangs = guarded(&calm, std::future::pending()).await;
        assert!(matches!(hangs, Outcome::TimedOut));
        let panics = guarded(&calm, async { panic!("canary-panic") }).await;
        assert!(matches!(panics, Outcome::Panicked));
        assert!(!format!("{panics:?}").contains("canary"));
    }

    #[test]
    fn waits_double_to_five_minutes() {
        let waits = [1, 2, 3, 9, 10, 1_000].map(|failures| wait(failures).as_secs());
        assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    }
}
