//! The simulator from outside: over its wire, as a client meets it.

// A test that cannot go on may say so by a panic; clippy knows that of test functions, not of their helpers.
#![allow(clippy::unwrap_used, missing_docs)]

mod authentication;
mod catalog;
mod chain;
mod fault;
mod instance;
mod kms;
mod kms_batch;
mod kms_gateway;
mod ledger;
mod metadata;
mod oos;
mod path;
mod program;
mod sharing;
mod support;
mod tencent;
mod tencent_gateway;
mod tencent_sts;
mod tencent_support;
mod token;
