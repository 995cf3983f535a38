//! Alibaba Cloud: OOS Parameter Store, and STS behind every identity.
//!
//! All calls go through [`Gateway`], which signs, sends and decodes; the files beside it only know
//! parameters and answers.

mod call;
pub mod code;
pub mod endpoint;
mod oos;
pub mod sign;
mod sts;

pub use call::Gateway;
pub use endpoint::Network;
pub use oos::{Oos, OosConfig};
pub use sts::{AssumeRole, AssumeRoleWithOidc, Caller, Sts};
