//! Why the demo ends early: one text for the person who watches.

/// The reason.
#[derive(Debug)]
pub struct Failure(pub String);

/// What most of the demo gives.
pub type Result<T> = std::result::Result<T, Failure>;

// === impl Failure ===

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
