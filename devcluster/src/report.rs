//! The one way in which the library tells a person what it is doing: a line on standard error.

use std::fmt;
use std::io::Write;

/// Writes one line. It bypasses the capture of `cargo test` on purpose: a first build takes minutes and must be seen.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "devcluster: {line}");
}
