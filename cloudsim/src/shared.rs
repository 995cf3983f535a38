//! State that many requests share.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A lock that outlives a panic of its holder: one bad request must not take the whole simulator down.
/// Its guards are not `Send`, so none can be held across an await.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(RwLock<T>);

// === impl Shared ===

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
