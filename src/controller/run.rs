//! The watches and work queues: from events to reconciles.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, pin_mut, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::controller::{self, Action, Controller};
use kube_runtime::reflector::{ObjectRef, Store};
use kube_runtime::watcher::{self, Event, watcher};
use kube_runtime::{Predicate, WatchStreamExt, predicates};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::context::{Changes, Context, fingerprint};
use super::dependency::{Dependency, Dependent, Named, StoreId};
use super::external_cloud_secret;
use super::guard::{self, Outcome, guarded};
use super::named::WATCH_SECONDS;
use super::store;
use crate::api::{
    CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret, StoreKind, names,
};
use crate::refresh::ObjectKey;

/// Reconciles of one kind at once. They wait for the API server only, so this bounds the requests
/// to it, not the calls to clouds.
const AT_ONCE: u16 = 64;
/// How often what nobody needs any more is let go.
const SWEEP: Duration = Duration::from_secs(60);

/// An object that may not be decodable: one broken object does not hide the others.
pub type Guarded<K> = DeserializeGuard<K>;

/// A cache and its filling end.
pub type Cached<K> = (
    Store<Guarded<K>>,
    kube_runtime::reflector::store::Writer<Guarded<K>>,
);

/// Where wakes arrive.
pub struct Woken {
    /// Objects, from changes of what they depend on.
    pub objects: mpsc::UnboundedReceiver<ObjectKey>,
    /// Objects, from the hub.
    pub hub: mpsc::UnboundedReceiver<ObjectKey>,
    /// Stores.
    pub stores: mpsc::UnboundedReceiver<StoreId>,
    /// Objects watched by name that changed.
    pub named: mpsc::UnboundedReceiver<Named>,
}

/// Is told when a cache was filled.
#[derive(Clone)]
pub struct Filled(watch::Sender<BTreeSet<&'static str>>);

// === impl Filled ===

impl Filled {
    /// Nothing is filled yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(BTreeSet::new()))
    }

    fn done(&self, what: &'static str) {
        self.0.send_if_modified(|filled| filled.insert(what));
    }

    /// Whether all of `wanted` are filled.
    pub fn all(&self, wanted: &[&'static str]) -> bool {
        let filled = self.0.borrow();
        wanted.iter().all(|what| filled.contains(what))
    }

    async fn wait(&self, wanted: &[&'static str]) {
        let mut filled = self.0.subscribe();
        // The sender lives as long as this.
        let _ = filled
            .wait_for(|filled| wanted.iter().all(|what| filled.contains(what)))
            .await;
    }
}

impl Default for Filled {
    fn default() -> Self {
        Self::new()
    }
}

/// What has to be filled before objects are reconciled.
pub const FIRST: [&str; 4] = ["secrets", "namespaces", "stores", "cluster stores"];
/// What has to be filled before the operator is ready.
pub const ALL: [&str; 5] = [
    "secrets",
    "namespaces",
    "stores",
    "cluster stores",
    "external cloud secrets",
];

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Watches the managed Secrets.
pub async fn secrets(context: Arc<Context>, client: Client, filled: Filled) {
    let api: Api<PartialObjectMeta<Secret>> = Api::all(client);
    let label = format!("{}={}", names::MANAGED_LABEL, names::MANAGED_VALUE);
    let events = watcher(api, config().labels(&label));
    follow(events, "secrets", &filled, |event| {
        for secret in context.managed.observe(event) {
            context.wake(&Dependency::Target(secret));
        }
    })
    .await;
}

/// Watches the labels of namespaces.
pub async fn namespaces(context: Arc<Context>, client: Client, filled: Filled) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client);
    let mut changes = Changes::default();
    follow(watcher(api, config()), "namespaces", &filled, |event| {
        context.namespaces.observe(event);
        let version = |namespace: &PartialObjectMeta<Namespace>| fingerprint(namespace.labels());
        for name in changes.observe(event, ResourceExt::name_any, version) {
            context.wake(&Dependency::Namespace(name));
        }
    })
    .await;
}

/// Passes on changes of objects that are watched by name, and lets go of those, and of credentials,
/// that nobody needs.
pub async fn named(context: Arc<Context>, mut changed: mpsc::UnboundedReceiver<Named>) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            changed = changed.recv() => match changed {
                Some(named) => context.wake(&Dependency::Named(named)),
                None => return,
            },
            _ = sweep.tick() => {
                let needed = |named: &Named| {
                    !context.dependencies.of(&Dependency::Named(named.clone())).is_empty()
                };
                context.named.retain(needed);
                context.credentials.retain(&context.hub.identities());
            }
        }
    }
}

async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    what: &'static str,
    filled: &Filled,
    mut seen: impl FnMut(&Event<K>),
) where
    K: Resource<DynamicType = ()> + Clone,
{
    let events = events.default_backoff().modify(|object| {
        object.managed_fields_mut().clear();
    });
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                seen(&event);
                if matches!(event, Event::InitDone) {
                    filled.done(what);
                }
            }
            Err(error) => watch_failed(what, &error),
        }
    }
}

/// Reconciles `CloudSecretStore`s and `ClusterCloudSecretStore`s until `shutdown`.
pub async fn stores(
    context: Arc<Context>,
    (namespaced, cluster): (Cached<CloudSecretStore>, Cached<ClusterCloudSecretStore>),
    woken: mpsc::UnboundedReceiver<StoreId>,
    filled: Filled,
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    let (to_namespaced, namespaced_woken) = mpsc::unbounded_channel();
    let (to_cluster, cluster_woken) = mpsc::unbounded_channel();
    let split = split_stores(woken, to_namespaced, to_cluster);
    let namespaced = of_kind(
        Arc::clone(&context),
        namespaced,
        (StoreKind::CloudSecretStore, "stores"),
        namespaced_woken,
        filled.clone(),
        shutdown.clone(),
    );
    let cluster = of_kind(
        context,
        cluster,
        (StoreKind::ClusterCloudSecretStore, "cluster stores"),
        cluster_woken,
        filled,
        shutdown,
    );
    tokio::join!(split, namespaced, cluster);
}

async fn split_stores(
    mut woken: mpsc::UnboundedReceiver<StoreId>,
    namespaced: mpsc::UnboundedSender<StoreId>,
    cluster: mpsc::UnboundedSender<StoreId>,
) {
    while let Some(store) = woken.recv().await {
        let to = match store.kind {
            StoreKind::CloudSecretStore => &namespaced,
            StoreKind::ClusterCloudSecretStore => &cluster,
        };
        if to.send(store).is_err() {
            return;
        }
    }
}

async fn of_kind<K>(
    context: Arc<Context>,
    (reader, writer): Cached<K>,
    (kind, what): (StoreKind, &'static str),
    woken: mpsc::UnboundedReceiver<StoreId>,
    filled: Filled,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let api: Api<Guarded<K>> = Api::all(context.client.clone());
    let watching = Arc::clone(&context);
    let id = move |meta: &Guarded<K>| StoreId {
        kind,
        namespace: meta.namespace().unwrap_or_default(),
        name: meta.name_any(),
    };
    let changes = Mutex::new(Changes::default());
    let events = pruned(watcher(api, config()))
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(event) => {
                let version = |store: &Guarded<K>| {
                    fingerprint(&(store.meta().uid.clone(), store.meta().generation))
                };
                let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
                for store in changes.observe(event, id, version) {
                    watching.wake(&Dependency::Store(store));
                }
                if matches!(event, Event::InitDone) {
                    filled.done(what);
                }
            }
            Err(error) => watch_failed(what, error),
        });
    let events = events
        .touched_objects()
        .predicate_filter(predicates::generation, <_>::default());
    let woken = receive(woken).map(|store| ObjectRef::new(&store.name).within(&store.namespace));
    Controller::for_stream(events, reader)
        .with_config(controller::Config::default().concurrency(AT_ONCE))
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown)
        .run(
            move |guarded: Arc<Guarded<K>>, context: Arc<Context>| async move {
                let id = StoreId {
                    kind,
                    namespace: guarded.namespace().unwrap_or_default(),
                    name: guarded.name_any(),
                };
                Ok::<_, std::convert::Infallible>(reconcile_store(&context, &id).await)
            },
            |_, _, _| Action::await_change(),
            context,
        )
        .for_each(|_| async {})
        .await;
}

async fn reconcile_store(context: &Context, id: &StoreId) -> Action {
    let Some(store) = context.store(id) else {
        context.dependencies.remove(&Dependent::Store(id.clone()));
        return Action::await_change();
    };
    let outcome = guarded(store::reconcile::reconcile(context, &store)).await;
    context
        .metrics
        .reconciled(id.kind.as_str(), outcome.as_str());
    match outcome {
        Outcome::Ended(ended) => ended.action(),
        failed => {
            tracing::warn!(kind = id.kind.as_str(), name = id.name, outcome = ?failed, "store not reconciled");
            Action::requeue(Duration::from_secs(10))
        }
    }
}

/// Reconciles `ExternalCloudSecret`s until `shutdown`, once everything they look at is known.
pub async fn external_cloud_secrets(
    context: Arc<Context>,
    (reader, writer): Cached<ExternalCloudSecret>,
    (woken, hub): (
        mpsc::UnboundedReceiver<ObjectKey>,
        mpsc::UnboundedReceiver<ObjectKey>,
    ),
    filled: Filled,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) {
    filled.wait(&FIRST).await;
    let api: Api<Guarded<ExternalCloudSecret>> = Api::all(context.client.clone());
    let watching = Arc::clone(&context);
    let objects = reader.clone();
    let events = pruned(watcher(api, config()))
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(Event::Delete(object)) => forget(&watching, &key_of(object)),
            Ok(Event::InitDone) => {
                let known: BTreeSet<ObjectKey> =
                    objects.state().iter().map(|o| key_of(o)).collect();
                let remembered = watching.memories.objects();
                remembered
                    .iter()
                    .filter(|key| !known.contains(key))
                    .for_each(|key| forget(&watching, key));
                filled.done("external cloud secrets");
            }
            Ok(_) => {}
            Err(error) => watch_failed("external cloud secrets", error),
        });
    let asked = |object: &Guarded<ExternalCloudSecret>| {
        Some(fingerprint(
            &object.annotations().get(names::REFRESH_ANNOTATION),
        ))
    };
    let watched = predicates::generation
        .combine(asked)
        .combine(predicates::finalizers);
    let events = events
        .touched_objects()
        .predicate_filter(watched, <_>::default());
    let woken = stream::select(receive(woken), receive(hub))
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace));
    Controller::for_stream(events, reader)
        .with_config(controller::Config::default().concurrency(AT_ONCE))
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown)
        .run(
            |object: Arc<Guarded<ExternalCloudSecret>>, context: Arc<Context>| async move {
                Ok::<_, std::convert::Infallible>(reconcile_object(&context, &object).await)
            },
            |_, _, _| Action::await_change(),
            context,
        )
        .for_each(|_| async {})
        .await;
}

async fn reconcile_object(context: &Context, object: &Guarded<ExternalCloudSecret>) -> Action {
    const KIND: &str = "ExternalCloudSecret";
    let key = key_of(object);
    let object = match &object.0 {
        Ok(object) => object,
        Err(invalid) => {
            // The error's text may quote the object, which may hold anything.
            let _ = invalid;
            tracing::warn!(object = %key, "object cannot be decoded and is left alone");
            context.metrics.reconciled(KIND, "undecodable");
            return Action::await_change();
        }
    };
    let outcome = guarded(external_cloud_secret::reconcile::reconcile(context, object)).await;
    context.metrics.reconciled(KIND, outcome.as_str());
    let uid = object.uid().unwrap_or_default();
    let failures = context.memories.with(&key, &uid, |memory| {
        let failed = !matches!(outcome, Outcome::Ended(_));
        memory.failures = if failed {
            memory.failures.saturating_add(1)
        } else {
            0
        };
        memory.failures
    });
    match outcome {
        Outcome::Ended(ended) => ended.action(),
        failed => {
            tracing::warn!(object = %key, failures, outcome = ?failed, "object not reconciled");
            Action::requeue(guard::wait(failures))
        }
    }
}

fn forget(context: &Context, key: &ObjectKey) {
    context.hub.unsubscribe(key);
    context.memories.forget(key);
    context.dependencies.remove(&Dependent::Object(key.clone()));
}

fn key_of(object: &Guarded<ExternalCloudSecret>) -> ObjectKey {
    ObjectKey::new(&object.namespace().unwrap_or_default(), &object.name_any())
}

fn receive<T>(receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?, receiver))
    })
}

/// Keeps what nobody reads out of the caches: most of an object's memory is its metadata.
fn pruned<K>(
    events: impl Stream<Item = watcher::Result<Event<Guarded<K>>>>,
) -> impl Stream<Item = watcher::Result<Event<Guarded<K>>>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    events.default_backoff().modify(|object| {
        object.managed_fields_mut().clear();
        object
            .annotations_mut()
            .remove("kubectl.kubernetes.io/last-applied-configuration");
    })
}

fn watch_failed(what: &'static str, error: &watcher::Error) {
    // The error's own text may quote an answer that could not be decoded.
    let reason = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => super::reason(error),
        watcher::Error::WatchError(status) => format!("{} ({})", status.code, status.reason),
        watcher::Error::NoResourceVersion => "a list without resource version".to_owned(),
    };
    tracing::warn!(what, reason, "watch failed, it is tried again");
}
