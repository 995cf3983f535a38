//! Why there is no image.

use std::fmt;
use std::path::Path;

/// The reason, for the user.
#[derive(Debug)]
pub struct Failure(pub String);

/// What can fail for a reason that the user is told.
pub type Result<T> = std::result::Result<T, Failure>;

// === impl Failure ===

impl Failure {
    /// Says what could not be done with which file.
    pub fn io(what: &str, path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |error| Self(format!("cannot {what} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
