//! Tencent Cloud: Secrets Manager (SSM), and STS behind every identity.

pub mod endpoint;

pub use crate::provider::endpoint::Network;
pub use endpoint::Site;
