//! The scenarios. Each measures from outside: the cloud's ledger, the API server's counters, what the observer saw and
//! what the kernel says of the process.

mod cold;
mod fast_lane;
mod floor;
mod idle;
mod interval;
mod outage;
mod restart;
mod rotate;

use std::time::Duration;

use crate::operator::Operator;
use crate::population::Population;
use crate::world::World;

pub use cold::cold;
pub use fast_lane::{fast_lane, newcomers};
pub use floor::floor;
pub use idle::idle;
pub use interval::{converge, reads, settle, steady};
pub use outage::outage;
pub use restart::restart;
pub use rotate::rotate;

/// How often values are read while that is measured.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// The same, as in a spec.
pub const INTERVAL_TEXT: &str = "10s";
/// An interval that does not come round while anything is measured.
pub const NEVER: &str = "24h";
/// How many intervals are counted.
pub const INTERVALS: u32 = 3;
/// How many references a call to KMS carries.
pub const KMS_BATCH: u64 = 20;
/// How many objects are looked at one by one.
pub const SAMPLE: usize = 100;

/// A world with objects in it and an operator at work.
pub struct Stage<'w> {
    /// The world.
    pub world: &'w World,
    /// The objects.
    pub population: &'w Population,
    /// The operator.
    pub operator: Operator,
}
