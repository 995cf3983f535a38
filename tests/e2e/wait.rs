//! Waiting for something to become so, with a bound.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once.
pub const SOON: Duration = Duration::from_secs(40);

/// Asks `probe` until it gives something, and returns that.
///
/// # Panics
/// When nothing came within `limit`; the message shows the last reason.
pub async fn until<T, E: Debug>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(found) => return found,
            Err(reason) if start.elapsed() > limit => {
                panic!("{what}: not within {limit:?}; last seen: {reason:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
