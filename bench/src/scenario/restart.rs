//! A process that is killed and started again at once.

use std::time::Duration;

use super::{INTERVAL, KMS_BATCH, Stage};
use crate::failure::Result;
use crate::operator::Operator;
use crate::population::Store;
use crate::report::Restart;
use crate::stats::rounded;
use crate::tell;

/// How long it is watched, from the kill.
const WATCHED: Duration = Duration::from_secs(60);

/// Kills the operator, starts another and counts. The other one is at work afterwards.
///
/// # Errors
/// If the other one ends.
pub async fn restart(stage: Stage<'_>) -> Result<(Stage<'_>, Restart)> {
    let Stage {
        world,
        population,
        operator,
    } = stage;
    let before = world.writes().await?;
    world.cloud.admin.reset_ledger().await?;
    let killed = tokio::time::Instant::now();
    operator.kill();
    let mut operator = Operator::start(&world.setup)?;
    let ready = operator.ready(WATCHED).await?.map(|_| killed.elapsed());
    tokio::time::sleep_until(killed + WATCHED).await;
    operator.check()?;
    let (calls, values) = world.cloud.calls(Store::Kms).await?;
    let writes = world.writes().await?.since(&before);
    let rounds = WATCHED.as_secs() / INTERVAL.as_secs();
    let due = rounds * population.values().len() as u64 / KMS_BATCH;
    tell::progress(&format!(
        "restart: {calls} calls for {values} values ({due} calls are due), ready after {ready:.2?}; {}",
        if writes.total() == 0 {
            "no write".to_owned()
        } else {
            writes.to_string()
        }
    ));
    let restart = Restart {
        cloud_calls_60s: Some(calls),
        due_60s: due,
        api_writes_60s: Some(writes.total()),
        ready_s: ready.map(|ready| rounded(ready.as_secs_f64(), 3)),
    };
    let stage = Stage {
        world,
        population,
        operator,
    };
    Ok((stage, restart))
}
