//! The refresh hub.
