//! The one HTTP client all clouds are called with.
