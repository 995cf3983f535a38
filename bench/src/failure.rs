//! Why a measurement ends early: one text for the person who waits for it.

/// The reason.
#[derive(Debug)]
pub struct Failure(pub String);

/// What most of the bench gives.
pub type Result<T> = std::result::Result<T, Failure>;

// === impl Failure ===

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
