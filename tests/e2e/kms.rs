//! What holds for secrets of KMS in particular, end to end.

mod batch;
mod identity;
mod mixture;
mod probe;
mod rotation;
mod temporary_key;
mod values;
mod withdrawal;
