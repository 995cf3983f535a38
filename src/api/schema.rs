//! The custom resource definitions as they are installed.
