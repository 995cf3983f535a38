//! A Kubernetes operator that keeps Secrets in step with cloud secret stores.
//!
//! Two loops meet in this crate. The [`refresh`] hub loops over *references* (what the clouds are
//! asked, when, and how often); the [`controller`]s loop over *objects* and run only when something
//! changed. Decisions are pure functions over gathered facts; the edges (HTTP, the API server,
//! files, time) are passed in.

pub mod api;
pub mod app;
pub mod args;
mod backoff;
mod budget;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod credential;
pub mod digest;
pub mod http;
pub mod lease;
pub mod metrics;
pub mod provider;
pub mod refresh;
pub mod secret_bytes;
pub mod server;
pub mod telemetry;
