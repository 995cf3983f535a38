//! What all reconciles of one term share. It ends with the term: whoever leads again starts afresh, as
//! another process would.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use kube::core::DeserializeGuard;
use kube::{Client, Resource, ResourceExt};
use kube_runtime::reflector::{ObjectRef, Store};
use kube_runtime::watcher::Event;
use tokio::sync::{mpsc, oneshot};

use super::class::Class;
use super::dependency::{Dependencies, Dependency, Dependent, StoreId};
use super::event::Events;
use super::external_cloud_secret::memory::Memories;
use super::managed::ManagedSecrets;
use super::named::NamedObjects;
use super::objects::Objects;
use super::pressure::Pressure;
use super::store::resolve::Resolver;
use super::store::root_key::RootKeys;
use super::store::sweep::Sweeps;
use super::store::view::AnyStore;
use super::turns::{KeyedTurns, Turns};
use crate::api::{
    CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret, StoreKind, StoreRef,
};
use crate::clock::Clock;
use crate::credential::CredentialCache;
use crate::digest::DigestKey;
use crate::metrics::Metrics;
use crate::refresh::{Hub, ObjectKey};

/// What all reconciles of one term share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The values.
    pub hub: Arc<Hub>,
    /// The credentials the values are read with.
    pub credentials: CredentialCache,
    /// The key of all digests.
    pub key: DigestKey,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// How the API server bears what is written.
    pub pressure: Pressure,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is told to users.
    pub events: Events,
    /// The Secrets with our label.
    pub managed: Arc<ManagedSecrets>,
    /// Secrets, `ConfigMaps` and `ServiceAccounts` watched by name.
    pub named: Arc<NamedObjects>,
    /// Namespace labels.
    pub namespaces: Arc<Namespaces>,
    /// The objects.
    pub objects: Arc<Objects>,
    /// The stores.
    pub stores: Stores,
    /// From stores to origins.
    pub resolver: Resolver,
    /// Which stores read with a root key.
    pub root_keys: Arc<RootKeys>,
    /// Who depends on what.
    pub dependencies: Dependencies,
    /// What is remembered of objects.
    pub memories: Memories,
    /// Who is to be reconciled.
    pub wakers: Wakers,
    /// Turns for looking at Secrets after a start, and after a change.
    pub verifications: Turns,
    /// See `verifications`.
    pub looks: Turns,
    /// Turns for refreshes that people ask for.
    pub refreshes: KeyedTurns,
    /// Turns for refreshes of cluster stores, which tenants cannot ask for.
    pub cluster_refreshes: KeyedTurns,
    /// Refreshes of whole stores.
    pub sweeps: Sweeps,
    /// Dropped with this, hence when the last reconcile of the term has ended.
    pub alive: oneshot::Sender<()>,
}

/// The stores as they are watched. Cloning shares them.
#[derive(Clone)]
pub struct Stores {
    /// Of their own namespaces.
    pub namespaced: Store<DeserializeGuard<CloudSecretStore>>,
    /// Of the cluster.
    pub cluster: Store<DeserializeGuard<ClusterCloudSecretStore>>,
}

/// Where wakes go.
#[derive(Clone)]
pub struct Wakers {
    /// Objects.
    pub objects: mpsc::UnboundedSender<ObjectKey>,
    /// Stores.
    pub stores: mpsc::UnboundedSender<StoreId>,
}

/// The labels of namespaces.
#[derive(Debug, Default)]
pub struct Namespaces(Mutex<HashMap<String, BTreeMap<String, String>>>);

/// Notices which objects of a watch really changed.
#[derive(Debug)]
pub struct Changes<Key> {
    known: HashMap<Key, u64>,
    listed: Option<HashMap<Key, u64>>,
}

// === impl Context ===

impl Context {
    /// Wakes everybody who depends on `dependency`.
    pub fn wake(&self, dependency: &Dependency) {
        for dependent in self.dependencies.of(dependency) {
            self.wake_one(dependent);
        }
    }

    /// Wakes `dependent`.
    pub fn wake_one(&self, dependent: Dependent) {
        // The receivers are gone only when the process is stopping.
        let _ = match dependent {
            Dependent::Object(object) => self.wakers.objects.send(object).is_ok(),
            Dependent::Store(store) => self.wakers.stores.send(store).is_ok(),
        };
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, object: &ObjectKey) {
        self.hub.unsubscribe(object);
        self.memories.forget(object);
        self.dependencies.remove(&Dependent::Object(object.clone()));
    }

    /// Whether this operator serves `object`, and not one of another class.
    pub fn serves(&self, object: &ExternalCloudSecret) -> bool {
        self.stores.serve(object, &self.resolver.rules.class)
    }

    /// The store `id`, if it exists and can be decoded.
    pub fn store(&self, id: &StoreId) -> Option<AnyStore> {
        match id.kind {
            StoreKind::CloudSecretStore => {
                let store = self.stores.namespaced(id)?.0.as_ref().ok()?.clone();
                Some(AnyStore::Namespaced(Arc::new(store)))
            }
            StoreKind::ClusterCloudSecretStore => {
                let store = self.stores.cluster(id)?.0.as_ref().ok()?.clone();
                Some(AnyStore::Cluster(Arc::new(store)))
            }
        }
    }
}

// === impl Stores ===

impl Stores {
    /// Whether the operator of the class `own` serves `object`.
    pub fn serve(&self, object: &ExternalCloudSecret, own: &Class) -> bool {
        let namespace = object.namespace().unwrap_or_default();
        let class = |store: &StoreRef| self.class(&StoreId::of(store, &namespace));
        Class::of_object(&object.spec, class) == *own
    }

    /// The class of the store `id`, if it exists and can be decoded.
    fn class(&self, id: &StoreId) -> Option<Class> {
        let controller = match id.kind {
            StoreKind::CloudSecretStore => {
                let store = self.namespaced(id)?;
                store.0.as_ref().ok()?.spec.controller.clone()
            }
            StoreKind::ClusterCloudSecretStore => {
                let store = self.cluster(id)?;
                store.0.as_ref().ok()?.spec.controller.clone()
            }
        };
        Some(controller.into())
    }

    fn namespaced(&self, id: &StoreId) -> Option<Arc<DeserializeGuard<CloudSecretStore>>> {
        let place = ObjectRef::new(&id.name).within(&id.namespace);
        self.namespaced.get(&place)
    }

    fn cluster(&self, id: &StoreId) -> Option<Arc<DeserializeGuard<ClusterCloudSecretStore>>> {
        self.cluster.get(&ObjectRef::new(&id.name))
    }
}

// === impl Namespaces ===

impl Namespaces {
    /// Takes in an event of the watch.
    pub fn observe<K: ResourceExt>(&self, event: &Event<K>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Apply(namespace) | Event::InitApply(namespace) => {
                known.insert(namespace.name_any(), namespace.labels().clone());
            }
            Event::Delete(namespace) => {
                known.remove(&namespace.name_any());
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// The labels of `namespace`, if it was seen.
    pub fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).cloned()
    }
}

// === impl Changes ===

impl<Key> Default for Changes<Key> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            listed: None,
        }
    }
}

impl<Key: Clone + Eq + Hash> Changes<Key> {
    /// Takes in an event and returns the objects whose `version` is another than before, those that
    /// are new and those that are gone.
    pub fn observe<K: Resource>(
        &mut self,
        event: &Event<K>,
        key: impl Fn(&K) -> Key,
        version: impl Fn(&K) -> u64,
    ) -> Vec<Key> {
        match event {
            Event::Apply(object) => {
                let (key, version) = (key(object), version(object));
                let before = self.known.insert(key.clone(), version);
                if before == Some(version) {
                    Vec::new()
                } else {
                    vec![key]
                }
            }
            Event::Delete(object) => {
                let key = key(object);
                self.known.remove(&key);
                vec![key]
            }
            Event::Init => {
                self.listed = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                if let Some(listed) = self.listed.as_mut() {
                    listed.insert(key(object), version(object));
                }
                Vec::new()
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone = self
                    .known
                    .keys()
                    .filter(|key| !listed.contains_key(*key))
                    .cloned();
                let changed = listed
                    .iter()
                    .filter(|(key, new)| self.known.get(*key) != Some(*new));
                let all = gone.chain(changed.map(|(key, _)| key.clone())).collect();
                self.known = listed;
                all
            }
        }
    }
}

/// A short stand-in for something that can be compared.
pub fn fingerprint(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}
