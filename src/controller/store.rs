//! Stores: what they resolve to, who may use them, and their status.

pub mod admission;
mod alibaba;
mod ca_bundle;
pub mod glob;
pub mod identity;
pub mod reachability;
pub mod reconcile;
mod reference;
pub mod resolve;
pub mod root_key;
pub mod sweep;
pub mod view;
