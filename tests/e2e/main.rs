//! The operator as a process of its own, against a real API server and simulated clouds.

mod drift;
mod operator;
mod rotation;
mod scene;
mod snapshot;
mod wait;
mod world;
