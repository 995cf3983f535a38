//! Wall-clock time, passed in so that no logic calls `now()` by itself.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time. Everything that depends on the wall clock takes one of these.
pub trait Clock: Send + Sync + 'static {
    /// The current wall-clock time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A wall clock that advances with tokio's (possibly paused) monotonic clock; for tests.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    epoch: Timestamp,
    start: Instant,
}

// === impl TokioClock ===

impl TokioClock {
    /// A clock that shows `epoch` at this moment.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self {
            epoch,
            start: Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed: Duration = self.start.elapsed();
        self.epoch.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
