//! Alerts and the dashboard, on series that a real operator produced in the states that they tell of.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod alerts;
mod dashboard;
mod leaders;
mod recording;
mod runbooks;
mod series;
mod server;
mod states;

// The world of the end-to-end tests, in which the operator runs, and Helm, which renders the rules.
#[allow(dead_code, reason = "more than is used here")]
#[path = "../e2e"]
mod end_to_end {
    pub mod actions;
    pub mod cloud;
    pub mod operator;
    pub mod road;
    pub mod roles;
    pub mod scene;
    pub mod snapshot;
    pub mod user;
    pub mod wait;
    pub mod world;
}

#[allow(dead_code, reason = "more than is used here")]
#[path = "../chart"]
mod chart {
    pub mod generated;
    pub mod helm;
}
