//! The watches and work queues: from events to reconciles.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::core::DeserializeGuard;
use kube::{Api, Resource, ResourceExt};
use kube_runtime::controller::{self, Action, Controller};
use kube_runtime::reflector::{ObjectRef, Store};
use kube_runtime::watcher::{self, Event};
use kube_runtime::{Predicate, WatchStreamExt, predicates};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::context::{Changes, Context, fingerprint};
use super::dependency::{Dependency, Dependent, Named, StoreId};
use super::external_cloud_secret;
use super::guard::{self, Outcome, guarded};
use super::scope::{self, Events};
use super::store;
use super::watch::{FIRST, Filled, config, pruned, watch_failed};
use crate::api::{
    CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret, StoreKind, names,
};
use crate::refresh::ObjectKey;

/// Reconciles of one kind at once. They wait for the API server only, so this bounds the requests
/// to it, not the calls to clouds.
const AT_ONCE: u16 = 64;

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
    let scope = &context.resolver.rules.scope;
    let namespaced = of_kind(
        Arc::clone(&context),
        (scope.watch(&context.client, &config()), namespaced),
        (StoreKind::CloudSecretStore, "stores"),
        namespaced_woken,
        filled.clone(),
        shutdown.clone(),
    );
    let watched = if scope.cluster_stores {
        scope::watch(Api::all(context.client.clone()), config())
    } else {
        scope::nothing()
    };
    let cluster = of_kind(
        Arc::clone(&context),
        (watched, cluster),
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
    (watched, (reader, writer)): (Events<Guarded<K>>, Cached<K>),
    (kind, what): (StoreKind, &'static str),
    woken: mpsc::UnboundedReceiver<StoreId>,
    filled: Filled,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let watching = Arc::clone(&context);
    let id = move |meta: &Guarded<K>| StoreId {
        kind,
        namespace: meta.namespace().unwrap_or_default(),
        name: meta.name_any(),
    };
    let changes = Mutex::new(Changes::default());
    let events = pruned(watched)
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(event) => {
                let version = |store: &Guarded<K>| {
                    fingerprint(&(store.meta().uid.clone(), store.meta().generation))
                };
                let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
                for store in changes.observe(event, id, version) {
                    // The store itself is looked at too: when a list came in pages, it was announced
                    // before the cache held it, and when it is gone, nobody else notices.
                    let _ = watching.wakers.stores.send(store.clone());
                    watching.wake(&Dependency::Store(store));
                }
                if matches!(event, Event::InitDone) {
                    filled.done(what);
                }
            }
            Err(error) => watch_failed(what, error),
        });
    let events = told(events).touched_objects().predicate_filter(
        predicates::generation.combine(|store: &_| Some(asked(store))),
        <_>::default(),
    );
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
            Arc::clone(&context),
        )
        .for_each(|result| {
            if let Err(controller::Error::ObjectNotFound(gone)) = result {
                let namespace = gone.namespace.unwrap_or_default();
                let name = gone.name;
                let gone = StoreId {
                    kind,
                    namespace,
                    name,
                };
                context.sweeps.forget(&gone);
                context.dependencies.remove(&Dependent::Store(gone));
            }
            std::future::ready(())
        })
        .await;
}

async fn reconcile_store(context: &Context, id: &StoreId) -> Action {
    let Some(store) = context.store(id) else {
        return Action::await_change();
    };
    if store.class() != context.resolver.rules.class {
        context.sweeps.forget(id);
        return Action::await_change();
    }
    let outcome = guarded(
        &context.pressure,
        store::reconcile::reconcile(context, &store),
    )
    .await;
    context
        .metrics
        .reconciled(id.kind.as_str(), outcome.as_str());
    match outcome {
        Outcome::Ended(ended) => ended.action(),
        Outcome::Busy(wait) => Action::requeue(wait),
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
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    tokio::select! {
        () = filled.wait(&FIRST) => {}
        () = shutdown.clone() => return,
    }
    let scope = &context.resolver.rules.scope;
    let watched = scope.watch(&context.client, &config());
    let watching = Arc::clone(&context);
    let objects = reader.clone();
    let events = pruned(watched)
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(Event::Delete(object)) => {
                let key = key_of(object);
                forget(&watching, &key);
                // A reconcile that runs now may note the object again; the one after it finds
                // nothing and forgets it for good.
                let _ = watching.wakers.objects.send(key);
            }
            Ok(Event::InitDone) => {
                let known: BTreeSet<ObjectKey> =
                    objects.state().iter().map(|o| key_of(o)).collect();
                let remembered = watching.memories.objects();
                for gone in remembered.iter().filter(|key| !known.contains(key)) {
                    forget(&watching, gone);
                    let _ = watching.wakers.objects.send(gone.clone());
                }
                // Objects were announced page by page while the cache still held the old list: now
                // that it holds the new one, all are looked at. A settled one costs no call.
                for key in known {
                    let _ = watching.wakers.objects.send(key);
                }
                filled.done("external cloud secrets");
            }
            Ok(Event::Apply(object)) => {
                if let Some(version) = object.resource_version() {
                    watching.memories.shown(&key_of(object), &version);
                }
            }
            Ok(_) => {}
            Err(error) => watch_failed("external cloud secrets", error),
        });
    let watched = predicates::generation
        .combine(|object: &_| Some(asked(object)))
        .combine(predicates::finalizers);
    let events = told(events)
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
            Arc::clone(&context),
        )
        .for_each(|result| {
            if let Err(controller::Error::ObjectNotFound(gone)) = result {
                let namespace = gone.namespace.unwrap_or_default();
                forget(&context, &ObjectKey::new(&namespace, &gone.name));
            }
            std::future::ready(())
        })
        .await;
}

async fn reconcile_object(context: &Context, object: &Guarded<ExternalCloudSecret>) -> Action {
    const KIND: &str = "ExternalCloudSecret";
    let key = key_of(object);
    let object = match &object.0 {
        Ok(object) => object,
        // Whose it is cannot be told.
        Err(_) if context.resolver.rules.class.is_named() => return Action::await_change(),
        Err(invalid) => {
            // The error's text may quote the object, which may hold anything.
            let _ = invalid;
            tracing::warn!(object = %key, "object cannot be decoded and is left alone");
            context.metrics.reconciled(KIND, "undecodable");
            return Action::await_change();
        }
    };
    let outcome = guarded(
        &context.pressure,
        external_cloud_secret::reconcile::reconcile(context, object),
    )
    .await;
    context.metrics.reconciled(KIND, outcome.as_str());
    if let Outcome::Busy(wait) = outcome {
        return Action::requeue(wait);
    }
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

/// Keeps failures of a watch, which waits by itself, from the work queue, which would wait once more.
fn told<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    events.filter(|event| std::future::ready(event.is_ok()))
}

/// Tells requests for a refresh apart.
fn asked<K: Resource>(object: &K) -> u64 {
    fingerprint(&object.annotations().get(names::REFRESH_ANNOTATION))
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
