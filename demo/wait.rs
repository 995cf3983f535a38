//! Waiting with a bound.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

const POLL: Duration = Duration::from_millis(100);

/// Asks `probe` until it gives something; its errors say what is still missing.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> std::result::Result<T, String>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match probe().await {
            Ok(found) => return Ok(found),
            Err(reason) if start.elapsed() > limit => {
                let seconds = limit.as_secs();
                return Err(Failure(format!(
                    "{what}: not within {seconds} s; last seen: {reason}"
                )));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Watches one object until `condition` holds, and says when that was seen.
pub async fn seen<K>(
    what: &str,
    limit: Duration,
    api: Api<K>,
    name: &str,
    condition: impl Condition<K>,
) -> Result<Instant>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    match tokio::time::timeout(limit, await_condition(api, name, condition)).await {
        Ok(Ok(_)) => Ok(Instant::now()),
        Ok(Err(error)) => Err(Failure(format!("{what}: {error}"))),
        Err(_) => Err(Failure(format!("{what}: not within {} s", limit.as_secs()))),
    }
}
