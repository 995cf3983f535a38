//! A strict simulator of the clouds that external-cloud-secrets reads from.
//!
//! It speaks the clouds' own wire protocols on one port: requests are told apart by the clouds' own headers
//! and parameters, so vendor SDKs can be pointed at it. It verifies every signature and every token with code
//! of its own. It never shares code with the operator, and its logs and its ledger never hold a value or a
//! credential.
//!
//! ```no_run
//! # async fn example() -> Result<(), cloudsim::Error> {
//! let seed = "accounts: [{id: '1000000000000001', parameters: [{name: /shop/db, versions: [one]}]}]";
//! let simulator = cloudsim::Simulator::start(seed, cloudsim::Options::default()).await?;
//! simulator.put_parameter("/shop/db", "two")?;
//! println!("{}", simulator.url());
//! # Ok(())
//! # }
//! ```

mod account;
mod admin;
mod answer;
mod authentication;
mod client;
mod cloud;
mod connection;
mod fault;
mod gateway;
mod hidden;
mod instance;
mod issuer;
mod jwks;
mod jwt;
mod ledger;
mod metadata;
mod nonce;
mod parameter;
mod pattern;
mod permission;
mod policy;
mod quota;
mod random;
mod refusal;
mod request;
mod secret;
mod seed;
mod server;
mod service;
mod shared;
mod signature;
mod simulator;
pub mod tencent;

pub use admin::{AccessKeySpec, ParameterSpec, SecretVersionSpec};
pub use client::{Admin, AdminError, TencentAdmin};
pub use cloud::{Clock, CloudError, ParameterInfo, SecretInfo};
pub use fault::{ActiveFault, Effect, Fault, Match};
pub use hidden::Hidden;
pub use instance::{InstanceOptions, KmsInstance};
pub use issuer::{Claims, Issuer, IssuerError};
pub use jwks::{Jwk, Jwks};
pub use ledger::{Call, Filter, Group, LedgerView, Second};
pub use seed::{
    AccessKey, Account, AttachedPolicy, Batch, CredentialsState, CredentialsUri, DataType,
    KeyState, KmsKey, KmsSettings, Metadata, OidcProvider, Parameter, ParameterType, Role,
    RoleTrust, Rotation, Rule, Secret, SecretPolicy, SecretType, SecretVersion, Seed, SeedError,
    Trust, TrustStatement, User,
};
pub use server::Options;
pub use simulator::{Error, Simulator, Tencent as SimulatedTencent};
