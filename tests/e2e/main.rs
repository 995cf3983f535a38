//! The operator as a process of its own, against a real API server and simulated clouds.

#![allow(clippy::unwrap_used, clippy::panic)]

mod actions;
mod alibaba_identities;
mod counting;
mod drift;
mod endpoint;
mod faults;
mod identity;
mod interruption;
mod operator;
mod outage;
mod ownership;
mod rotation;
mod scene;
mod snapshot;
mod tenancy;
mod wait;
mod world;
