//! What is watched all the time, by a leader and by who stands by: it is warm when a term begins.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use kube::{Client, Resource, ResourceExt};
use kube_runtime::reflector;
use kube_runtime::reflector::store::Writer;

use super::census::{Cache, KeptObjects, Served};
use super::class::Class;
use super::context::{Context, Namespaces, Stores};
use super::dependency::StoreId;
use super::managed::ManagedSecrets;
use super::objects::Objects;
use super::run::Guarded;
use super::scope::Scope;
use super::watch::Filled;
use crate::api::{CloudSecretStore, ClusterCloudSecretStore, StoreKind};
use crate::metrics::Census;

/// The caches, and who is told what changes in them.
pub struct Caches {
    /// The API server.
    pub client: Client,
    /// The namespaces that are watched.
    pub scope: Scope,
    /// The class of what this operator serves, and hence counts.
    class: Class,
    /// The objects.
    pub objects: Arc<Objects>,
    /// The stores.
    pub stores: Stores,
    /// The Secrets with our label.
    pub managed: Arc<ManagedSecrets>,
    /// Namespace labels.
    pub namespaces: Arc<Namespaces>,
    /// What was filled so far.
    pub filled: Filled,
    /// That of the term, while this process leads.
    serving: Mutex<Weak<Context>>,
}

/// The filling ends of the caches.
pub struct Writers {
    /// The stores of namespaces.
    pub namespaced: Writer<Guarded<CloudSecretStore>>,
    /// The stores of the cluster.
    pub cluster: Writer<Guarded<ClusterCloudSecretStore>>,
}

// === impl Caches ===

impl Caches {
    /// Empty ones of what is behind `client` in `scope`, of which the operator of `class` serves its
    /// own.
    pub fn new(client: Client, scope: Scope, class: Class) -> (Arc<Self>, Writers) {
        let (namespaced, namespaced_writer) = reflector::store();
        let (cluster, cluster_writer) = reflector::store();
        let caches = Self {
            client,
            scope,
            class,
            objects: Arc::default(),
            stores: Stores {
                namespaced,
                cluster,
            },
            managed: Arc::default(),
            namespaces: Arc::default(),
            filled: Filled::new(),
            serving: Mutex::default(),
        };
        let writers = Writers {
            namespaced: namespaced_writer,
            cluster: cluster_writer,
        };
        (Arc::new(caches), writers)
    }

    /// From now on `context` is told what changes, and first of all that everything did.
    pub fn serve(&self, context: &Arc<Context>) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(context);
        for (object, _) in self.objects.all() {
            let _ = context.wakers.objects.send(object);
        }
        for store in self.stores.namespaced.state() {
            let id = store_id(StoreKind::CloudSecretStore, &*store);
            let _ = context.wakers.stores.send(id);
        }
        for store in self.stores.cluster.state() {
            let id = store_id(StoreKind::ClusterCloudSecretStore, &*store);
            let _ = context.wakers.stores.send(id);
        }
    }

    /// Whom to tell, while this process leads. It is let go at once: a term ends when nobody holds
    /// its context any more.
    pub fn context(&self) -> Option<Arc<Context>> {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.upgrade()
    }

    /// Those who count what is in the caches, stores first.
    pub fn census(&self) -> [Box<dyn Census>; 3] {
        let (stores, class) = (self.stores.clone(), self.class.clone());
        let served = Served { stores, class };
        [
            Box::new(Cache(self.stores.namespaced.clone(), served.clone())),
            Box::new(Cache(self.stores.cluster.clone(), served.clone())),
            Box::new(KeptObjects(Arc::clone(&self.objects), served)),
        ]
    }
}

/// The store's name among stores.
pub fn store_id<K: Resource>(kind: StoreKind, store: &K) -> StoreId {
    StoreId {
        kind,
        namespace: store.namespace().unwrap_or_default(),
        name: store.name_any(),
    }
}
