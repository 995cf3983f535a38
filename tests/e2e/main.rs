//! The operator as a process of its own, against a real API server and simulated clouds.

#![allow(clippy::unwrap_used, clippy::panic)]

mod operator;
mod rotation;
mod scene;
mod wait;
mod world;
