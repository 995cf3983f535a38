//! Stores: what they resolve to, who may use them, and their status.

pub mod admission;
