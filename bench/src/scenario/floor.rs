//! The floor, on a fresh server for each concurrency, beside an idle cloud.

use futures::future::try_join_all;

use crate::failure::Result;
use crate::floor;
use crate::operator::Program;
use crate::population::Population;
use crate::report::Floor;
use crate::stats::rounded;
use crate::tell;
use crate::world::World;

/// Objects written at once.
const CONCURRENCIES: [u16; 3] = [16, 32, 64];

/// Measures each, and gives the best.
///
/// # Errors
/// Whatever does not come up, and the first write that is refused.
pub async fn floor(program: &Program, population: &Population) -> Result<Floor> {
    let mut best: Option<(f64, u16)> = None;
    // Starting takes longer than measuring; those that wait for their turn do nothing.
    let populations = [population];
    let worlds = CONCURRENCIES.map(|_| World::start(program, &populations));
    let worlds = try_join_all(worlds).await?;
    for (world, at_once) in worlds.into_iter().zip(CONCURRENCIES) {
        world.make(population).await?;
        let seconds = floor::measure(&world, population, usize::from(at_once)).await?;
        tell::progress(&format!("floor: {seconds:.2} s, {at_once} at once"));
        if best.is_none_or(|(fastest, _)| seconds < fastest) {
            best = Some((seconds, at_once));
        }
    }
    Ok(Floor {
        seconds: best.map(|(seconds, _)| rounded(seconds, 3)),
        concurrency: best.map(|(_, at_once)| u64::from(at_once)),
    })
}
