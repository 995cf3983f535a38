//! How objects point at stores, Secrets, ConfigMaps and ServiceAccounts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validation;

/// Names a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct StoreRef {
    /// The kind of the store. Default: CloudSecretStore, which must be in this object's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "StoreKind")]
    pub kind: Option<StoreKind>,

    /// The store's metadata.name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::SUBDOMAIN)
    )]
    pub name: String,
}

/// The kinds of store.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum StoreKind {
    /// A store for its own namespace.
    #[default]
    CloudSecretStore,
    /// A store for the namespaces that its conditions admit.
    ClusterCloudSecretStore,
}

/// Names one key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct SecretKeyRef {
    /// The Secret's metadata.name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::SUBDOMAIN)
    )]
    pub name: String,

    /// The key inside the Secret, at most 253 characters.
    #[schemars(length(min = 1, max = 253), regex(pattern = validation::SECRET_KEY))]
    pub key: String,

    /// The Secret's namespace. Only on a cluster store, which takes either this or fromConsumer.
    /// A namespaced store always reads its own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = validation::LABEL)
    )]
    pub namespace: Option<String>,

    /// Reads the Secret in the namespace of the object that uses the store, so that each namespace
    /// has an identity of its own. Only on a cluster store, in place of namespace. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_consumer: Option<bool>,
}

/// Names one key of a ConfigMap or a Secret that holds certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct CaBundleRef {
    /// The kind of object that holds them. Default: ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaBundleKind")]
    pub kind: Option<CaBundleKind>,

    /// The object's metadata.name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::SUBDOMAIN)
    )]
    pub name: String,

    /// The key inside the object, at most 253 characters.
    #[schemars(length(min = 1, max = 253), regex(pattern = validation::SECRET_KEY))]
    pub key: String,

    /// The object's namespace. Only on a cluster store, where it is required. A namespaced store
    /// always reads its own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = validation::LABEL)
    )]
    pub namespace: Option<String>,
}

/// The kinds of objects that may hold certificates.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum CaBundleKind {
    /// A ConfigMap.
    #[default]
    ConfigMap,
    /// A Secret.
    Secret,
}

/// Names a ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct ServiceAccountRef {
    /// The ServiceAccount's metadata.name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::SUBDOMAIN)
    )]
    pub name: String,

    /// The ServiceAccount's namespace. Only on a cluster store, which takes either this or
    /// fromConsumer. A namespaced store always uses its own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = validation::LABEL)
    )]
    pub namespace: Option<String>,

    /// Uses the ServiceAccount of this name in the namespace of the object that uses the store, so
    /// that each namespace has an identity of its own. Only on a cluster store, in place of
    /// namespace. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_consumer: Option<bool>,
}

// === impl StoreRef ===

impl StoreRef {
    /// The kind, with the default applied.
    pub fn kind(&self) -> StoreKind {
        self.kind.unwrap_or_default()
    }
}

// === impl CaBundleRef ===

impl CaBundleRef {
    /// The kind, with the default applied.
    pub fn kind(&self) -> CaBundleKind {
        self.kind.unwrap_or_default()
    }
}

// === impl StoreKind ===

impl StoreKind {
    /// The kind as it stands in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudSecretStore => "CloudSecretStore",
            Self::ClusterCloudSecretStore => "ClusterCloudSecretStore",
        }
    }
}
