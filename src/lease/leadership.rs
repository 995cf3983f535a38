//! Whether this process leads: asked immediately before everything that only a leader may do.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::view::DEADLINE;
use crate::clock::Clock;

/// Whether this process leads. Cloning shares it; asking is cheap.
#[derive(Clone)]
pub struct Leadership(Option<Arc<Election>>);

struct Election {
    clock: Arc<dyn Clock>,
    renewed: Mutex<Option<Renewal>>,
    ended: Notify,
}

/// When the last renewal that worked was sent.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// By the clock that always runs forward, but stands still while the machine sleeps.
    pub at: Instant,
    /// By the wall clock.
    pub wall: Timestamp,
}

/// This process does not lead, so that what it wanted to do was not begun or not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process does not lead")]
pub struct NotLeading;

// === impl Leadership ===

impl Leadership {
    /// Nobody leads yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Some(Arc::new(Election {
            clock,
            renewed: Mutex::default(),
            ended: Notify::new(),
        })))
    }

    /// That of a program without others beside it.
    pub const fn always() -> Self {
        Self(None)
    }

    /// Whether this process leads at this moment.
    pub fn is_leading_now(&self) -> bool {
        self.0.as_ref().is_none_or(|election| election.is_on())
    }

    /// Does `work` for as long as this process leads; what is under way then is dropped.
    ///
    /// # Errors
    /// [`NotLeading`]; `work` may have been done in part, or in full.
    pub async fn while_leading<T>(&self, work: impl Future<Output = T>) -> Result<T, NotLeading> {
        let Some(election) = &self.0 else {
            return Ok(work.await);
        };
        let (mut ended, mut work) = (pin!(election.ended.notified()), pin!(work));
        poll_fn(|context| {
            // Each time, and first: the process may have been stopped for a while before this.
            if ended.as_mut().poll(context).is_ready() || !election.is_on() {
                return Poll::Ready(Err(NotLeading));
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// A renewal worked.
    pub(super) fn renewed(&self, renewal: Renewal) {
        if let Some(election) = &self.0 {
            *election.renewal() = Some(renewal);
        }
    }

    /// This process leads no more; whatever is under way is dropped.
    pub(super) fn end(&self) {
        if let Some(election) = &self.0 {
            *election.renewal() = None;
            election.ended.notify_waiters();
        }
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leadership")
            .field(&self.is_leading_now())
            .finish()
    }
}

// === impl Election ===

impl Election {
    /// Both clocks have to agree, for one stands still while the machine sleeps and the other may be
    /// set.
    fn is_on(&self) -> bool {
        let Some(renewal) = *self.renewal() else {
            return false;
        };
        let wall = Duration::try_from(self.clock.now().duration_since(renewal.wall));
        // A wall clock that was set back says nothing.
        renewal.at.elapsed() < DEADLINE && wall.unwrap_or_default() < DEADLINE
    }

    fn renewal(&self) -> MutexGuard<'_, Option<Renewal>> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
