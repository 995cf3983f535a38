//! From a store's spec to an origin: the provider to ask and the identity that asks.
//!
//! The rules of who may use what are here: a namespaced store's references stay in its namespace,
//! the operator's own identity is for those it is allowed to, audiences come from a list, and every
//! final URL passes the endpoint policy before anything is signed.

use std::sync::Arc;

use super::alibaba;
use super::cloud::side;
use super::view::AnyStore;
use crate::api::provider::exactly_one;
use crate::controller::class::Class;
use crate::controller::dependency::Notes;
use crate::controller::named::NamedObjects;
use crate::controller::scope::Scope;
use crate::credential::{Environment, TokenService};
use crate::digest::DigestKey;
use crate::provider::Edge;
use crate::provider::endpoint::EndpointPolicy;
use crate::provider::registry::{self, Place};
use crate::refresh::Origin;

/// What the operator's administrator allows stores to do.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Which final URLs may be called.
    pub endpoints: EndpointPolicy,
    /// Which audiences tokens may be made for.
    pub audiences: Vec<String>,
    /// Whether namespaced stores may use the operator's own identity.
    pub store_ambient: bool,
    /// Whether cluster stores may.
    pub cluster_store_ambient: bool,
    /// Whether stores, and the operator itself, may use the role of the instance.
    pub instance_role: bool,
    /// What is said about roles on Alibaba Cloud.
    pub alibaba: alibaba::Settings,
    /// The cluster's name in session names.
    pub cluster_name: String,
    /// The operator's own namespace.
    pub operator_namespace: String,
    /// The namespaces that are served.
    pub scope: Scope,
    /// The class of stores that are served, and of the objects that read through them.
    pub class: Class,
}

/// Resolves stores.
pub struct Resolver {
    /// What is allowed.
    pub rules: Rules,
    /// The operator's own identity variables.
    pub environment: Environment,
    /// What calls need from outside.
    pub edge: Edge,
    /// The key of identities.
    pub key: DigestKey,
    /// Secrets, `ConfigMaps` and `ServiceAccounts` that stores name.
    pub named: Arc<NamedObjects>,
}

/// One resolution: the store, who asks, and what was looked at on the way.
pub(super) struct Resolution<'a, 'n> {
    pub(super) resolver: &'a Resolver,
    pub(super) store: &'a AnyStore,
    pub(super) consumer: Option<&'a str>,
    pub(super) notes: &'a mut Notes<'n>,
}

/// Why a store does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The spec cannot work as it stands.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Something it names is not there.
    #[error("{field}: {problem}")]
    Missing {
        /// The field that names it.
        field: String,
        /// What is missing.
        problem: String,
    },
    /// The API server could not be asked; it passes.
    #[error("the API server could not be asked about {0}")]
    Unasked(String),
}

// === impl StoreError ===

impl StoreError {
    /// The same about the `i`-th of a store's other regions.
    #[must_use]
    pub fn of_failover(mut self, i: usize) -> Self {
        if let Self::Invalid { field, .. } | Self::Missing { field, .. } = &mut self
            && let Some(rest) = field.strip_prefix("spec.provider.kms")
        {
            *field = format!("spec.provider.kms.failover[{i}]{rest}");
        }
        self
    }
}

// === impl Resolver ===

impl Resolver {
    /// The origin that `store` means for a consumer in the namespace `consumer`; without one, for the
    /// store's own status. Everything whose change may change the answer is added to `notes`.
    ///
    /// # Errors
    /// Why it does not resolve.
    pub async fn origin(
        &self,
        store: &AnyStore,
        consumer: Option<&str>,
        notes: &mut Notes<'_>,
    ) -> Result<Option<Origin>, StoreError> {
        let place = registry::place(store.provider())
            .ok_or_else(|| invalid("spec.provider", exactly_one()))?;
        let sts = self.sts(store, &place)?;
        let mut resolution = Resolution {
            resolver: self,
            store,
            consumer,
            notes,
        };
        let spec = resolution.provider().await?;
        let (policy, edge) = (&self.rules.endpoints, self.edge.clone());
        let provider = registry::build(&spec, sts.endpoint.clone(), policy, edge)
            .map_err(|error| invalid(format!("spec.provider.{}", place.field), error.to_string()))?
            .ok_or_else(|| invalid("spec.provider", exactly_one()))?;
        let identity = resolution.identity(&place, &sts).await?;
        Ok(identity.map(|identity| Origin { provider, identity }))
    }

    /// The STS of `store`: its `stsEndpoint`, else the one of its region and network.
    ///
    /// # Errors
    /// Why the final URL is refused.
    pub fn sts(&self, store: &AnyStore, place: &Place) -> Result<TokenService, StoreError> {
        let named = store.auth().sts_endpoint.as_deref();
        let endpoint = registry::sts(&self.rules.endpoints, named, place)
            .map_err(|error| invalid("spec.auth.stsEndpoint", error.to_string()))?;
        Ok(side(place.cloud).cloud().sts(endpoint, &place.region))
    }
}

pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        field: field.into(),
        problem: problem.into(),
    }
}

pub(super) fn missing(field: impl Into<String>, problem: impl Into<String>) -> StoreError {
    StoreError::Missing {
        field: field.into(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
