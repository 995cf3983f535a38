//! The custom resources, as types, with their names, conditions and intervals.
//!
//! Types and pure functions only: no client, no clock, no I/O. The doc comments of types and fields
//! are what `kubectl explain` shows.

pub mod auth;
pub mod condition;
pub mod external_cloud_secret;
pub mod interval;
pub mod names;
pub mod provider;
pub mod reference;
pub mod schema;
pub mod store;

pub use auth::{AccessKeyAuth, AuthSpec, OperatorAuth, RrsaAuth};
pub use condition::{ConditionStatus, Reason, set_condition};
pub use external_cloud_secret::{
    CreationPolicy, DataEntry, EntryStatus, ExternalCloudSecret, ExternalCloudSecretSpec,
    ExternalCloudSecretStatus, RemoteRef, SourceRef, Target,
};
pub use provider::{Network, OosSpec, ProviderSpec};
pub use reference::{SecretKeyRef, ServiceAccountRef, StoreKind, StoreRef};
pub use store::{
    CloudSecretStore, CloudSecretStoreSpec, ClusterCloudSecretStore, ClusterCloudSecretStoreSpec,
    LimitsSpec, StoreCondition, StoreStatus,
};
