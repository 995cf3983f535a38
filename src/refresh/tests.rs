//! The hub under a paused clock, in front of a cloud that does as it is told.

#![allow(clippy::unchecked_time_subtraction)]

mod batches;
mod bounds;
mod budgets;
mod cloud;
mod company;
mod detours;
mod failures;
mod identities;
mod joins;
mod outages;
mod random;
mod shares;
mod slots;
mod stepwise;
mod takeover;
mod wakes;
mod world;

use std::time::Duration;

use super::*;
use crate::provider::Class;
