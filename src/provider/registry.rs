//! Which cloud and which provider a store's `spec.provider` means: one line per kind.

use std::sync::Arc;

use super::alibaba::{self, Kms, KmsConfig, KmsInstance, Oos, OosConfig, Parameters};
use super::endpoint::{Endpoint, EndpointError, EndpointPolicy, Network};
use super::tencent::{self, Site, Ssm, SsmConfig};
use super::{ConfigError, Edge, Provider};
use crate::api::{self, ProviderSpec};

/// What every provider says about its place, which the identity's token service follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The field of `spec.provider`, for messages.
    pub field: &'static str,
    /// The region.
    pub region: String,
    /// The cloud.
    pub cloud: Cloud,
}

/// A cloud, and what of a place only it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Alibaba Cloud, in one of its networks.
    Alibaba(Network),
    /// Tencent Cloud, on one of its sites, in one of its networks.
    Tencent(Site, Network),
}

/// Where the provider of `spec` is.
pub fn place(spec: &ProviderSpec) -> Option<Place> {
    let (field, region, cloud) = match (&spec.oos, &spec.kms, &spec.ssm) {
        (Some(oos), None, None) => {
            let cloud = Cloud::Alibaba(network(oos.network()));
            ("oos", &oos.region, cloud)
        }
        (None, Some(kms), None) => {
            let cloud = Cloud::Alibaba(network(kms.network()));
            ("kms", &kms.region, cloud)
        }
        (None, None, Some(ssm)) => {
            let cloud = Cloud::Tencent(site(ssm.site()), network(ssm.network()));
            ("ssm", &ssm.region, cloud)
        }
        _ => return None,
    };
    Some(Place {
        field,
        region: region.clone(),
        cloud,
    })
}

/// The token service of `place`: the one at the URL `named`, else its region's.
///
/// # Errors
/// Why the final URL is refused.
pub fn sts(
    policy: &EndpointPolicy,
    named: Option<&str>,
    place: &Place,
) -> Result<Endpoint, EndpointError> {
    match place.cloud {
        Cloud::Alibaba(network) => alibaba::endpoint::sts(policy, named, &place.region, network),
        Cloud::Tencent(site, network) => {
            tencent::endpoint::sts(policy, named, &place.region, (site, network))
        }
    }
}

/// The same store in each of its other regions, in the order in which they stand in for the first.
pub fn elsewhere(spec: &ProviderSpec) -> Vec<ProviderSpec> {
    let of = |kms| ProviderSpec {
        kms: Some(kms),
        ..ProviderSpec::default()
    };
    let others = spec.kms.iter().flat_map(api::KmsSpec::elsewhere);
    others.map(of).collect()
}

/// The provider that `spec` describes. `sts` is where its identities are asked about.
///
/// # Errors
/// What is wrong with its endpoint or its certificates.
pub fn build(
    spec: &ProviderSpec,
    sts: Endpoint,
    policy: &EndpointPolicy,
    edge: Edge,
) -> Result<Option<Arc<dyn Provider>>, ConfigError> {
    Ok(match (&spec.oos, &spec.kms, &spec.ssm) {
        (Some(oos), None, None) => {
            let config = OosConfig {
                region: oos.region.clone(),
                network: network(oos.network()),
                endpoint: oos.endpoint.clone(),
                parameters: match oos.parameters() {
                    api::Parameters::Secret => Parameters::Secret,
                    api::Parameters::Plain => Parameters::Plain,
                },
            };
            Some(Arc::new(Oos::new(config, sts, policy, edge)?))
        }
        (None, Some(kms), None) => {
            let config = KmsConfig {
                region: kms.region.clone(),
                network: network(kms.network()),
                endpoint: kms.endpoint.clone(),
                instance: kms.instance.as_ref().map(|instance| KmsInstance {
                    endpoint: instance.endpoint.clone(),
                    ca_bundle: instance.ca_bundle.clone(),
                }),
            };
            Some(Arc::new(Kms::new(config, sts, policy, edge)?))
        }
        (None, None, Some(ssm)) => {
            let place = (site(ssm.site()), network(ssm.network()));
            let config = SsmConfig {
                region: ssm.region.clone(),
                place,
                endpoint: ssm.endpoint.clone(),
            };
            Some(Arc::new(Ssm::new(config, sts, policy, edge)?))
        }
        _ => None,
    })
}

fn site(site: api::Site) -> Site {
    match site {
        api::Site::China => Site::China,
        api::Site::International => Site::International,
    }
}

fn network(network: api::Network) -> Network {
    match network {
        api::Network::Public => Network::Public,
        api::Network::Vpc => Network::Vpc,
    }
}
