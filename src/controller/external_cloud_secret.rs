//! The controller of `ExternalCloudSecret`s. It runs when something changed and reads top to bottom:
//!
//! ```text
//! gather (reads)  →  plan::due (pure)  →  hub (values)  →  plan::settle (pure)  →  apply (the only writes)
//! ```

pub mod apply;
mod failover;
pub mod forced;
pub mod gather;
pub mod inputs;
pub mod memory;
pub mod ownership;
pub mod place;
pub mod plan;
pub mod problem;
pub mod property;
pub mod reconcile;
mod refusal;
pub mod render;
pub mod report;
pub mod request;
pub mod status;
mod write;
