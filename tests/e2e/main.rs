//! The operator as a process of its own, against a real API server and simulated clouds.

mod operator;
mod rotation;
mod scene;
mod wait;
mod world;
