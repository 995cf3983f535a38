//! The custom resources, as types.
