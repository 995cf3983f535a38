//! Stores: what they resolve to, who may use them, and their status.

mod access_key;
pub mod admission;
pub mod alibaba;
mod ca_bundle;
pub mod cloud;
pub mod glob;
pub mod identity;
pub mod reachability;
pub mod reconcile;
mod reference;
pub mod resolve;
pub mod root_key;
pub mod sweep;
mod tencent;
pub mod view;
