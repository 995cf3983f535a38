//! What the person who waits reads: progress on standard error, results on standard output.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the bench talks to its user"
)]

use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Says what goes on, with the seconds since the first word.
pub fn progress(text: &str) {
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("[{seconds:>4} s] {text}");
}

/// Shows a result.
pub fn result(text: &str) {
    println!("{text}");
}

/// Says why nothing came of it.
pub fn failure(text: &str) {
    eprintln!("bench: failed: {text}");
}
