//! The `external-cloud-secrets` binary.

fn main() {}
