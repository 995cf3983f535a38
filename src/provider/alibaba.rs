//! Alibaba Cloud: OOS Parameter Store, KMS Secrets Manager, and STS behind every identity.
//!
//! All calls go through [`Gateway`], which signs, sends and decodes; the files beside it only know
//! parameters and answers.

pub mod ca;
mod call;
pub mod code;
pub mod endpoint;
mod kms;
mod oos;
pub mod sign;
mod sts;

pub use call::Gateway;
pub use endpoint::Network;
pub use kms::{Kms, KmsConfig, KmsInstance};
pub use oos::{Oos, OosConfig, Parameters};
pub use sts::{AssumeRoleWithOidc, Sts};
