//! Stores: what they resolve to, who may use them, and their status.

pub mod account_role;
pub mod admission;
pub mod glob;
pub mod identity;
pub mod reconcile;
pub mod resolve;
pub mod root_key;
pub mod view;
