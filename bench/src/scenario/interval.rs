//! Unchanged values: what an interval costs.

use std::time::Duration;

use super::{INTERVAL, INTERVAL_TEXT, INTERVALS, Stage};
use crate::failure::Result;
use crate::operator::Operator;
use crate::population::{Population, Store};
use crate::report::Steady;
use crate::stats::{number, percentile, rounded};
use crate::tell;
use crate::world::World;

/// Has everything refreshed at the interval and waits until that is routine: the first slots are uneven, because some
/// were satisfied by the first reads, and events come at their own slow pace.
///
/// # Errors
/// If there is no rest.
pub async fn settle(stage: &mut Stage<'_>) -> Result<()> {
    let Stage {
        world,
        population,
        operator,
    } = stage;
    world.set_interval(population, INTERVAL_TEXT).await?;
    operator.during(world.converged(population)).await?;
    tokio::time::sleep(INTERVAL * 2).await;
    operator.during(world.quiet()).await
}

/// Makes populations and waits until they are routine.
///
/// # Errors
/// If there is no rest.
pub async fn converge(
    world: &World,
    populations: &[&Population],
    operator: &mut Operator,
) -> Result<()> {
    for population in populations {
        world.make(population).await?;
    }
    for population in populations {
        operator.during(world.converged(population)).await?;
    }
    tokio::time::sleep(INTERVAL * 2).await;
    operator.during(world.quiet()).await
}

/// Measures an operator that has nothing to do but to look.
///
/// # Errors
/// If something ends.
pub async fn steady(stage: &mut Stage<'_>) -> Result<Steady> {
    let Stage {
        world,
        population,
        operator,
    } = stage;
    let before = world.writes().await?;
    let cpu = operator.cpu()?;
    world.cloud.admin.reset_ledger().await?;
    let samples = operator.memory(INTERVAL * INTERVALS).await?;
    let (calls, refreshes) = world.cloud.calls(Store::Kms).await?;
    let cpu = operator.cpu()?.saturating_sub(cpu);
    let writes = world.writes().await?.since(&before);
    tell::progress(&format!(
        "steady: {calls} calls for {refreshes} values in {INTERVALS} intervals, {:.2} CPU seconds; {}",
        cpu.as_secs_f64(),
        if writes.total() == 0 {
            "no write".to_owned()
        } else {
            writes.to_string()
        }
    ));
    let per_10k = cpu.as_secs_f64() * 10_000.0 / number(refreshes.max(1));
    let peak = percentile(&samples, 100);
    Ok(Steady {
        interval_s: INTERVAL.as_secs(),
        intervals: u64::from(INTERVALS),
        references: population.values().len() as u64,
        cloud_calls_per_interval: Some(per_interval(calls)),
        api_writes: Some(writes.total()),
        cpu_seconds_per_10k_refreshes: Some(rounded(per_10k, 3)),
        rss_mib: percentile(&samples, 50).map(|mib| rounded(mib, 1)),
        rss_peak_mib: peak.map(|mib| rounded(mib, 1)),
    })
}

/// Counts the reads of several stores at the same time, per interval.
///
/// # Errors
/// If the cloud is gone.
pub async fn reads<const STORES: usize>(
    world: &World,
    stores: [Store; STORES],
) -> Result<[f64; STORES]> {
    let time: Duration = INTERVAL * INTERVALS;
    world.cloud.admin.reset_ledger().await?;
    tokio::time::sleep(time).await;
    let mut found = [0.0; STORES];
    for (store, found) in stores.iter().zip(&mut found) {
        let (calls, values) = world.cloud.calls(*store).await?;
        let name = store.name();
        tell::progress(&format!(
            "{name}: {calls} calls for {values} values in {INTERVALS} intervals"
        ));
        *found = per_interval(calls);
    }
    Ok(found)
}

/// To the nearest whole call: one that falls just before or after the edge of what is counted is a third of one.
fn per_interval(calls: u64) -> f64 {
    rounded(number(calls) / f64::from(INTERVALS), 0)
}
