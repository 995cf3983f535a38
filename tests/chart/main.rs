//! The chart: what Helm makes of it, what a real API server says of that, and the operator under the permissions that it
//! gives.
//!
//! `make chart-files` writes anew what is generated here: the chart's README and `golden/`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests fail as tests do"
)]

mod admitted;
mod aggregation;
mod by_hand;
mod escalation;
mod facts;
mod first_secret;
mod generated;
mod golden;
mod helm;
mod identity;
mod life;
mod lifecycle;
mod neighbours;
mod newcomer;
mod notes;
mod objects;
mod policies;
mod protection;
mod readme;
mod registry;
mod release;
mod rendering;
mod requests;
mod schema;
mod switches;
mod unbound;
mod versions;

// The world of the end-to-end tests, in which the operator runs as the chart installs it.
#[allow(dead_code, reason = "more than is used here")]
#[path = "../e2e"]
mod end_to_end {
    pub mod actions;
    pub mod cloud;
    pub mod examples;
    pub mod grants;
    pub mod kubectl;
    pub mod operator;
    pub mod roles;
    pub mod scene;
    pub mod snapshot;
    pub mod user;
    pub mod wait;
    pub mod world;
}

#[allow(dead_code, reason = "more than is used here")]
#[path = "../pages/mod.rs"]
mod pages;
