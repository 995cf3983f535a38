//! Stores: what they resolve to, who may use them, and their status.

pub mod admission;
pub mod reconcile;
pub mod resolve;
pub mod view;
