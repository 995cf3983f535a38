//! The custom resources, as types, with their names, conditions and intervals.
//!
//! Types and pure functions only: no client, no clock, no I/O. The doc comments of types and fields
//! are what `kubectl explain` shows.

#![allow(
    clippy::doc_markdown,
    reason = "`kubectl explain` shows doc comments as they are, back-ticks included"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "print columns and rules come one attribute each, and may have parts in common"
)]

pub mod auth;
pub mod condition;
pub mod external_cloud_secret;
pub mod interval;
pub mod names;
pub mod provider;
pub mod reference;
pub mod schema;
pub mod store;
pub mod validation;

pub use auth::{
    AccessKeyAuth, AssumeRoleAuth, AuthSpec, InstanceRoleAuth, OperatorAuth, RrsaAuth,
    WebIdentityAuth,
};
pub use condition::{ConditionStatus, Reason, set_condition};
pub use external_cloud_secret::{
    CreationPolicy, DataEntry, EntryStatus, ExternalCloudSecret, ExternalCloudSecretSpec,
    ExternalCloudSecretStatus, RemoteRef, SourceRef, Target,
};
pub use provider::{
    KmsFailoverSpec, KmsInstanceSpec, KmsSpec, Network, OosSpec, Parameters, ProviderSpec, Site,
    SsmSpec,
};
pub use reference::{
    CaBundleKind, CaBundleRef, SecretKeyRef, ServiceAccountRef, StoreKind, StoreRef,
};
pub use store::{
    CloudSecretStore, CloudSecretStoreSpec, ClusterCloudSecretStore, ClusterCloudSecretStoreSpec,
    LimitsSpec, StoreCondition, StoreStatus,
};
