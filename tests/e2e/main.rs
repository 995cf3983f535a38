//! The operator as a process of its own, against a real API server and simulated clouds.

#![allow(clippy::unwrap_used, clippy::panic)]

mod canary;
mod isolation;
mod leaks;
mod operator;
mod proxy;
mod rotation;
mod scene;
mod service;
mod wait;
mod world;
