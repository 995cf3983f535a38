//! New objects, on a server as fresh as the floor's: from the operator's start until all is written.

use super::{KMS_BATCH, Stage};
use crate::failure::Result;
use crate::floor::last;
use crate::operator::Operator;
use crate::population::{Population, Store};
use crate::report::{Cold, Floor};
use crate::stats::{number, rounded};
use crate::tell;
use crate::world::World;

/// What an operator's start may cost beside the writes.
const START_SECONDS: f64 = 1.0;

/// Starts the operator on a world in which the objects are already, and leaves it at work.
///
/// # Errors
/// If it does not converge.
pub async fn cold<'w>(
    world: &'w World,
    population: &'w Population,
    floor: &Floor,
) -> Result<(Stage<'w>, Cold)> {
    world.make(population).await?;
    let before = world.writes().await?;
    world.cloud.admin.reset_ledger().await?;
    let mut operator = Operator::start(&world.setup)?;
    operator.during(world.converged(population)).await?;
    let cpu = operator.cpu()?;
    let (calls, _) = world.cloud.calls(Store::Kms).await?;
    let writes = world.writes().await?.since(&before);
    let ended = world.observer.look(|seen| last(seen, population))?;
    let seconds = ended.duration_since(operator.started).as_secs_f64();
    let objects = number(population.members.len() as u64);
    let ratio = floor.seconds.map(|floor| (seconds - START_SECONDS) / floor);
    let full = population.values().len() as u64 / KMS_BATCH;
    tell::progress(&format!(
        "cold: {seconds:.2} s, {calls} calls (full batches: {full}); {writes}"
    ));
    let cold = Cold {
        seconds: Some(rounded(seconds, 3)),
        ratio_to_floor: ratio.map(|ratio| rounded(ratio, 3)),
        cloud_calls: Some(calls),
        api_writes_per_object: Some(rounded(number(writes.total()) / objects, 3)),
        cpu_seconds: Some(rounded(cpu.as_secs_f64(), 2)),
    };
    let stage = Stage {
        world,
        population,
        operator,
    };
    Ok((stage, cold))
}
