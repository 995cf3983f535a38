//! Waiting with a bound.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

const POLL: Duration = Duration::from_millis(10);

/// Asks `probe` until it gives something; its errors say what is still missing.
///
/// # Errors
/// If nothing came within `limit`, with what was missing last.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> std::result::Result<T, String>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(found) => return Ok(found),
            Err(missing) if start.elapsed() > limit => {
                let seconds = limit.as_secs();
                return Err(Failure(format!(
                    "{what}: not within {seconds} s; last seen: {missing}"
                )));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
