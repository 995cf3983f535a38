//! Tencent Cloud: Secrets Manager (SSM), and STS behind every identity.
//!
//! All calls go through [`Gateway`], which signs, sends and decodes; the files beside it only know
//! requests and answers.

mod call;
pub mod code;
pub mod endpoint;
pub mod sign;
mod ssm;
mod sts;

pub use crate::provider::endpoint::Network;
pub use call::{Api, Gateway};
pub use endpoint::Site;
pub use ssm::{Ssm, SsmConfig};
pub use sts::{AssumeRole, AssumeRoleWithWebIdentity, Caller, Sts};
