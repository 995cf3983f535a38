//! What holds for secrets of KMS in particular, end to end.

mod arn;
mod batch;
mod faults;
mod identity;
mod instance;
mod mixture;
mod own_identity;
mod probe;
mod rotation;
pub mod secrecy;
mod temporary_key;
mod values;
mod withdrawal;
