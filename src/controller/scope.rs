//! Which namespaces are served: all of them by one watch, or some by a watch for each.

mod together;

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, Resource};
use kube_runtime::watcher::{Config, Event};

use super::resume::Watched;
pub use super::resume::{Events, watch};
use together::{Begin, together};

/// The namespaces that are served.
#[derive(Debug, Clone)]
pub struct Scope {
    /// These; `None` stands for all.
    named: Option<BTreeSet<String>>,
    /// Whether `ClusterCloudSecretStore`s are served too.
    pub cluster_stores: bool,
}

// === impl Scope ===

impl Default for Scope {
    fn default() -> Self {
        Self::new([], true)
    }
}

impl Scope {
    /// The namespaces `named`, or all where none is.
    pub fn new(named: impl IntoIterator<Item = String>, cluster_stores: bool) -> Self {
        let named: BTreeSet<String> = named.into_iter().collect();
        Self {
            named: (!named.is_empty()).then_some(named),
            cluster_stores,
        }
    }

    /// Whether `namespace` is served.
    pub fn includes(&self, namespace: &str) -> bool {
        let named = self.named.as_ref();
        named.is_none_or(|named| named.contains(namespace))
    }

    /// Whether only some namespaces are served.
    pub fn is_narrow(&self) -> bool {
        self.named.is_some()
    }

    /// Watches the objects of a kind in the namespaces that are served.
    pub fn watch<K>(&self, client: &Client, config: &Config) -> Events<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Watched,
    {
        self.each(|namespace| match namespace {
            None => (Api::all(client.clone()), config.clone()),
            Some(name) => (Api::namespaced(client.clone(), name), config.clone()),
        })
    }

    /// Watches the metadata of the namespaces that are served.
    pub fn watch_namespaces(
        &self,
        client: &Client,
        config: &Config,
    ) -> Events<PartialObjectMeta<Namespace>> {
        self.each(|namespace| {
            let config = match namespace {
                None => config.clone(),
                Some(name) => config.clone().fields(&format!("metadata.name={name}")),
            };
            (Api::all(client.clone()), config)
        })
    }

    fn each<K: Resource<DynamicType = ()> + Watched>(
        &self,
        api: impl Fn(Option<&str>) -> (Api<K>, Config),
    ) -> Events<K> {
        let Some(named) = &self.named else {
            let (api, config) = api(None);
            return watch(api, config);
        };
        let begin = |name: &String| -> Begin<K> {
            let (api, config) = api(Some(name));
            Box::new(move || watch(api.clone(), config.clone()))
        };
        together(named.iter().map(begin).collect())
    }
}

/// Watches nothing: there is none of it.
pub fn nothing<K: Send + 'static>() -> Events<K> {
    let empty = [Ok(Event::Init), Ok(Event::InitDone)];
    stream::iter(empty).chain(stream::pending()).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_every_namespace() {
        let everywhere = Scope::new([], true);
        assert!(everywhere.includes("shop") && !everywhere.is_narrow());
        let narrow = Scope::new(["shop".to_owned()], true);
        assert!(narrow.includes("shop") && !narrow.includes("other") && narrow.is_narrow());
    }
}
