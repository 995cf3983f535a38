//! Both kinds of stores as one.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use crate::api::{
    AuthSpec, CloudSecretStore, ClusterCloudSecretStore, LimitsSpec, ProviderSpec, SecretKeyRef,
    StoreCondition, StoreKind, StoreStatus,
};
use crate::controller::class::Class;
use crate::controller::dependency::StoreId;
use crate::controller::external_cloud_secret::request::refresh_request;

/// A store of either kind.
#[derive(Debug, Clone)]
pub enum AnyStore {
    /// Usable in its own namespace.
    Namespaced(Arc<CloudSecretStore>),
    /// Usable where its conditions say.
    Cluster(Arc<ClusterCloudSecretStore>),
}

// === impl AnyStore ===

impl AnyStore {
    /// Which store it is.
    pub fn id(&self) -> StoreId {
        let meta = self.meta();
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let (kind, namespace) = match self {
            Self::Namespaced(_) => (StoreKind::CloudSecretStore, text(&meta.namespace)),
            Self::Cluster(_) => (StoreKind::ClusterCloudSecretStore, String::new()),
        };
        StoreId {
            kind,
            namespace,
            name: text(&meta.name),
        }
    }

    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Namespaced(store) => &store.metadata,
            Self::Cluster(store) => &store.metadata,
        }
    }

    /// What events about it name.
    pub fn reference(&self) -> ObjectReference {
        match self {
            Self::Namespaced(store) => store.object_ref(&()),
            Self::Cluster(store) => store.object_ref(&()),
        }
    }

    /// `spec.provider`.
    pub fn provider(&self) -> &ProviderSpec {
        match self {
            Self::Namespaced(store) => &store.spec.provider,
            Self::Cluster(store) => &store.spec.provider,
        }
    }

    /// The same store with another `spec.provider`.
    #[must_use]
    pub fn with_provider(&self, provider: ProviderSpec) -> Self {
        let mut store = self.clone();
        match &mut store {
            Self::Namespaced(store) => Arc::make_mut(store).spec.provider = provider,
            Self::Cluster(store) => Arc::make_mut(store).spec.provider = provider,
        }
        store
    }

    /// `spec.auth`.
    pub fn auth(&self) -> &AuthSpec {
        match self {
            Self::Namespaced(store) => &store.spec.auth,
            Self::Cluster(store) => &store.spec.auth,
        }
    }

    /// Whether it reads with an access key that each consumer's namespace has for itself.
    pub fn has_key_of_consumer(&self) -> bool {
        let of_consumer = |reference: &SecretKeyRef| reference.from_consumer == Some(true);
        self.auth().access_key.as_ref().is_some_and(|key| {
            let token = key.security_token_secret_ref.as_ref();
            of_consumer(&key.access_key_id_secret_ref)
                || of_consumer(&key.access_key_secret_secret_ref)
                || token.is_some_and(of_consumer)
        })
    }

    /// `spec.limits`.
    pub fn limits(&self) -> Option<&LimitsSpec> {
        match self {
            Self::Namespaced(store) => store.spec.limits.as_ref(),
            Self::Cluster(store) => store.spec.limits.as_ref(),
        }
    }

    /// `spec.suspend`.
    pub fn suspended(&self) -> bool {
        match self {
            Self::Namespaced(store) => store.spec.suspend,
            Self::Cluster(store) => store.spec.suspend,
        }
        .unwrap_or_default()
    }

    /// The operator that serves it.
    pub fn class(&self) -> Class {
        let controller = match self {
            Self::Namespaced(store) => &store.spec.controller,
            Self::Cluster(store) => &store.spec.controller,
        };
        controller.clone().into()
    }

    /// `spec.conditions` of a cluster store.
    pub fn conditions(&self) -> Option<&[StoreCondition]> {
        match self {
            Self::Namespaced(_) => None,
            Self::Cluster(store) => Some(&store.spec.conditions),
        }
    }

    /// The refresh it asks for of everything that is read through it.
    pub fn refresh_request(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Namespaced(store) => refresh_request(&**store),
            Self::Cluster(store) => refresh_request(&**store),
        }
    }

    /// Its status.
    pub fn status(&self) -> StoreStatus {
        match self {
            Self::Namespaced(store) => store.status.clone(),
            Self::Cluster(store) => store.status.clone(),
        }
        .unwrap_or_default()
    }
}
