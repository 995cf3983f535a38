//! The operator as a process of its own, against a real API server and simulated clouds.

#![allow(clippy::unwrap_used, clippy::panic)]

mod actions;
mod endpoint;
mod identity;
mod operator;
mod ownership;
mod rotation;
mod scene;
mod tenancy;
mod wait;
mod world;
