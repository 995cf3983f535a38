//! Which provider a store's `spec.provider` means: one line per kind.

use std::sync::Arc;

use super::alibaba::{Network, Oos, OosConfig};
use super::endpoint::{Endpoint, EndpointError, EndpointPolicy};
use super::{Edge, Provider};
use crate::api::{self, ProviderSpec};

/// What every provider says about its place: the region and network that the identity's token
/// service follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The field of `spec.provider`, for messages.
    pub field: &'static str,
    /// The region.
    pub region: String,
    /// The network.
    pub network: Network,
}

/// Where the provider of `spec` is.
pub fn place(spec: &ProviderSpec) -> Option<Place> {
    let oos = spec.oos.as_ref()?;
    Some(Place {
        field: "oos",
        region: oos.region.clone(),
        network: network(oos.network()),
    })
}

/// The provider that `spec` describes. `sts` is where its identities are asked about.
///
/// # Errors
/// What is wrong with its endpoint.
pub fn build(
    spec: &ProviderSpec,
    sts: Endpoint,
    policy: &EndpointPolicy,
    edge: Edge,
) -> Result<Option<Arc<dyn Provider>>, EndpointError> {
    let Some(oos) = &spec.oos else {
        return Ok(None);
    };
    let config = OosConfig {
        region: oos.region.clone(),
        network: network(oos.network()),
        endpoint: oos.endpoint.clone(),
    };
    Ok(Some(Arc::new(Oos::new(config, sts, policy, edge)?)))
}

fn network(network: api::Network) -> Network {
    match network {
        api::Network::Public => Network::Public,
        api::Network::Vpc => Network::Vpc,
    }
}
