//! The hub under a paused clock, in front of a cloud that does as it is told.

mod batches;
mod bounds;
mod failures;
mod identities;
mod joins;
mod random;
mod slots;
mod wakes;
mod world;

use std::time::Duration;

use super::*;
use crate::provider::Class;
