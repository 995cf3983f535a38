//! The operator as a process of its own, against a real API server and simulated clouds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests fail as tests do"
)]

mod counting;
mod drift;
mod faults;
mod interruption;
mod operator;
mod outage;
mod reference;
mod refusal;
mod road;
mod rotation;
mod scene;
mod snapshot;
mod suspension;
mod ten;
mod wait;
mod world;
