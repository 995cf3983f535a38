//! What a row has for a while only. There may be very many rows, and at rest they have none of it, so it
//! is kept apart and its memory comes back.

use std::sync::Arc;

use tokio::time::Instant;

use super::row::{Failure, Held, Row};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Passing {
    failure: Option<Failure>,
    /// The last value, for a few seconds, while somebody may want it.
    value: Option<Arc<Held>>,
    /// Until when the row travels alone, because a batch failed for its sake.
    alone_until: Option<Instant>,
}

// === impl Passing ===

impl Passing {
    fn is_over(&self) -> bool {
        let Self {
            failure,
            value,
            alone_until,
        } = self;
        failure.is_none() && value.is_none() && alone_until.is_none()
    }
}

// === impl Row ===

impl Row {
    /// The streak of failures that its last read is one of.
    pub fn failure(&self) -> Option<&Failure> {
        self.passing.as_ref()?.failure.as_ref()
    }

    pub fn failure_mut(&mut self) -> Option<&mut Failure> {
        self.passing.as_mut()?.failure.as_mut()
    }

    pub fn take_failure(&mut self) -> Option<Failure> {
        self.alter(|passing| passing.failure.take())?
    }

    pub fn set_failure(&mut self, failure: Failure) {
        self.passing().failure = Some(failure);
    }

    /// The last value, if it was kept and not kept too long.
    pub fn value(&self) -> Option<&Arc<Held>> {
        self.passing.as_ref()?.value.as_ref()
    }

    pub fn keep_value(&mut self, held: Arc<Held>) {
        self.passing().value = Some(held);
    }

    pub fn drop_value(&mut self) {
        self.drop_value_if(|_| true);
    }

    pub fn drop_value_if(&mut self, old: impl FnOnce(&Held) -> bool) {
        self.alter(|passing| passing.value.take_if(|held| old(held)));
    }

    /// Keeps it out of batches until then.
    pub fn keep_alone(&mut self, until: Instant) {
        self.passing().alone_until = Some(until);
    }

    /// Lets it into batches again.
    pub fn rejoin(&mut self) {
        self.alter(|passing| passing.alone_until = None);
    }

    /// Whether the row may leave in a batch with others at `now`.
    pub fn sociable(&self, now: Instant) -> bool {
        let until = self
            .passing
            .as_ref()
            .and_then(|passing| passing.alone_until);
        until.is_none_or(|until| until <= now)
    }

    fn passing(&mut self) -> &mut Passing {
        self.passing.get_or_insert_default()
    }

    /// Takes something away, and the rest when there is none.
    fn alter<T>(&mut self, act: impl FnOnce(&mut Passing) -> T) -> Option<T> {
        let passing = self.passing.as_mut()?;
        let taken = act(passing);
        if passing.is_over() {
            self.passing = None;
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::digest::{DigestKey, Domain};
    use crate::provider::{CallError, Class, Fetched, RemoteKey};
    use crate::refresh::reference::KeptKey;
    use crate::refresh::row::GroupId;

    #[test]
    fn a_row_has_nothing_apart_once_everything_has_passed() {
        let digest = DigestKey::new(&[7; 32]).digest(Domain::Phase, &[]);
        let mut row = Row::new(GroupId(1), KeptKey::new(RemoteKey::named("a")), digest);
        let now = Instant::now();
        let total = Arc::new(AtomicUsize::new(0));
        let fetched = Fetched::new("canary-passing".to_owned().into(), None);
        row.keep_value(Arc::new(Held::new(fetched, digest, now, &total)));
        row.keep_alone(now);
        row.set_failure(Failure {
            error: Arc::new(CallError::new(Class::NotFound, "Gone")),
            count: 1,
            at: now,
            over: false,
        });

        row.rejoin();
        row.drop_value_if(|held| held.sent < now);
        assert!(row.value().is_some(), "it is not older");
        row.drop_value();
        assert_eq!(total.load(Ordering::Relaxed), 0, "its bytes count no more");
        assert!(row.passing.is_some());
        assert!(row.take_failure().is_some());
        assert!(row.passing.is_none());
        assert!(row.failure().is_none() && row.sociable(now));
    }
}
