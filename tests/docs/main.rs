//! The pages say what is true: reasons, flags, permissions, links, and manifests that a real API server takes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod commands;
mod flags;
mod links;
mod manifests;
mod reasons;

#[allow(dead_code, reason = "more than is used here")]
#[path = "../pages/mod.rs"]
mod pages;

/// The text of a file of the repository.
fn page(path: &str) -> String {
    std::fs::read_to_string(pages::repository().join(path)).unwrap()
}
