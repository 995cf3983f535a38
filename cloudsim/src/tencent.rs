//! Tencent Cloud: Secrets Manager (SSM), STS and the metadata service of CVM, beside Alibaba Cloud on the same port.
//!
//! A request is Tencent's if it has an `X-TC-` header or is signed with TC3-HMAC-SHA256, or if its path is that
//! of the CVM metadata service about roles; the `Host` says nothing. Which service it is for says the scope of
//! the signature, and the version of an unsigned call.

mod action;
mod authentication;
mod call;
mod cam;
mod gateway;
mod language;
mod metadata;
mod seed;
mod ssm;
mod state;
mod store;
mod sts;
mod tc3;

pub(crate) use gateway::{answer, is_asked};
pub use seed::{
    Account, KeyEncoding, Metadata, OidcProvider, Role, Secret, SecretState, SecretType, Settings,
    SshKeyPair, Tencent, UnknownVersion, User, Version, WebTrust,
};
pub(crate) use state::{At, State};
pub use state::{SecretInfo, VersionInfo};
