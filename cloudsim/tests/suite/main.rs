//! The simulator from outside: over its wire, as a client meets it.

mod authentication;
mod fault;
mod ledger;
mod oos;
mod program;
mod support;
mod token;
