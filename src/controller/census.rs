//! Counts the objects in the caches by condition, for metrics.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube_runtime::reflector::Store;

use super::class::Class;
use super::context::Stores;
use super::dependency::StoreId;
use super::objects::Objects;
use crate::api::{CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret};
use crate::metrics::{Census, Counted, Counts};

/// The objects, which are kept packed.
pub struct KeptObjects(pub Arc<Objects>, pub Served);

/// A kind whose objects have conditions.
pub trait Conditioned: Sized {
    /// The kind's name.
    const KIND: &'static str;
    /// The conditions in the object's status.
    fn conditions(&self) -> &[Condition];
    /// Whether the object is this operator's and not that of another class.
    fn is_served(&self, served: &Served) -> bool;
    /// The stores that it reads through.
    fn stores(&self) -> BTreeSet<StoreId> {
        BTreeSet::new()
    }
}

/// What is needed to tell whose an object is.
#[derive(Clone)]
pub struct Served {
    /// The stores.
    pub stores: Stores,
    /// The operator's class.
    pub class: Class,
}

/// One kind's cache.
pub struct Cache<K: kube::Resource<DynamicType = ()> + 'static>(
    pub Store<DeserializeGuard<K>>,
    pub Served,
);

impl Conditioned for ExternalCloudSecret {
    const KIND: &'static str = "ExternalCloudSecret";
    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
    fn is_served(&self, served: &Served) -> bool {
        served.stores.serve(self, &served.class)
    }
    fn stores(&self) -> BTreeSet<StoreId> {
        let namespace = self.namespace().unwrap_or_default();
        let stores = self.spec.stores();
        stores.map(|store| StoreId::of(store, &namespace)).collect()
    }
}

impl Conditioned for CloudSecretStore {
    const KIND: &'static str = "CloudSecretStore";
    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
    fn is_served(&self, served: &Served) -> bool {
        Class::from(self.spec.controller.clone()) == served.class
    }
}

impl Conditioned for ClusterCloudSecretStore {
    const KIND: &'static str = "ClusterCloudSecretStore";
    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
    fn is_served(&self, served: &Served) -> bool {
        Class::from(self.spec.controller.clone()) == served.class
    }
}

impl<K> Census for Cache<K>
where
    K: Conditioned + kube::Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    fn count(&self, counts: &mut Counts<'_>) {
        for object in self.0.state() {
            count(object.0.as_ref().ok(), &self.1, counts);
        }
    }
}

impl Census for KeptObjects {
    fn count(&self, counts: &mut Counts<'_>) {
        for (_, kept) in self.0.all() {
            count(kept.object().as_ref(), &self.1, counts);
        }
    }
}

/// Counts one object of a kind, or one of it that cannot be decoded.
fn count<K>(object: Option<&K>, served: &Served, counts: &mut Counts<'_>)
where
    K: Conditioned + kube::Resource,
{
    let Some(object) = object else {
        // Whose it is cannot be told: the operator without a class tells of it.
        if !served.class.is_named() {
            counts.undecodable(K::KIND);
        }
        return;
    };
    if !object.is_served(served) {
        return;
    }
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let counted = Counted {
        kind: K::KIND,
        namespace: &namespace,
        name: &name,
        conditions: object.conditions(),
    };
    counts.object(&counted, || {
        let path = |store: &StoreId| {
            let (kind, namespace) = (store.kind.as_str(), &store.namespace);
            format!("{kind}/{namespace}/{}", store.name)
        };
        object.stores().iter().map(path).collect()
    });
}
