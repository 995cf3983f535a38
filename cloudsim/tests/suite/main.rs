//! The simulator from outside: over its wire, as a client meets it.

// A test that cannot go on may say so by a panic; clippy knows that of test functions, not of their helpers.
#![allow(clippy::unwrap_used, missing_docs)]

mod authentication;
mod catalog;
mod chain;
mod fault;
mod instance;
mod kms;
mod ledger;
mod metadata;
mod oos;
mod program;
mod support;
mod token;
