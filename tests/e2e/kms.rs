//! What holds for secrets of KMS in particular, end to end.

mod batch;
mod rotation;
mod values;
