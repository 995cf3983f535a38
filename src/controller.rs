//! The controllers: they loop over objects, and only when something changed.

pub mod dependency;
pub mod external_cloud_secret;
pub mod managed;
pub mod store;
