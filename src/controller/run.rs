//! The work queues of a term: from wakes to reconciles.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};
use kube_runtime::controller::{self, Action, Controller};
use kube_runtime::reflector::{ObjectRef, Store};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::caches::{Caches, store_id};
use super::context::Context;
use super::dependency::{Dependent, Named, StoreId};
use super::external_cloud_secret;
use super::gate::{Gate, Ticket};
use super::guard::{self, Outcome, guarded};
use super::store;
use super::watch::ALL;
use crate::api::StoreKind;
use crate::refresh::ObjectKey;

/// Reconciles of one kind at once. They wait for the API server only, so this bounds the requests
/// to it, not the calls to clouds.
const AT_ONCE: u16 = 64;

/// An object that may not be decodable: one broken object does not hide the others.
pub type Guarded<K> = DeserializeGuard<K>;

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
    woken: mpsc::UnboundedReceiver<StoreId>,
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    let (to_namespaced, namespaced_woken) = mpsc::unbounded_channel();
    let (to_cluster, cluster_woken) = mpsc::unbounded_channel();
    let (namespaced, cluster) = (
        context.stores.namespaced.clone(),
        context.stores.cluster.clone(),
    );
    let of_namespaces = of_kind(
        Arc::clone(&context),
        namespaced,
        StoreKind::CloudSecretStore,
        namespaced_woken,
        shutdown.clone(),
    );
    let of_the_cluster = of_kind(
        context,
        cluster,
        StoreKind::ClusterCloudSecretStore,
        cluster_woken,
        shutdown,
    );
    // The wakes never end, and the others end with the signal.
    tokio::select! {
        () = split_stores(woken, to_namespaced, to_cluster) => {}
        _ = futures::future::join(of_namespaces, of_the_cluster) => {}
    }
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
    reader: Store<Guarded<K>>,
    kind: StoreKind,
    woken: mpsc::UnboundedReceiver<StoreId>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let woken = receive(woken).map(|store| ObjectRef::new(&store.name).within(&store.namespace));
    Controller::for_stream(stream::pending(), reader)
        .with_config(controller::Config::default().concurrency(AT_ONCE))
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown)
        .run(
            move |store: Arc<Guarded<K>>, context: Arc<Context>| async move {
                let id = store_id(kind, &*store);
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
    caches: Arc<Caches>,
    (woken, hub): (
        mpsc::UnboundedReceiver<ObjectKey>,
        mpsc::UnboundedReceiver<ObjectKey>,
    ),
    shutdown: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    tokio::select! {
        () = caches.filled.wait(&ALL) => {}
        () = shutdown.clone() => return,
    }
    let gate = Arc::new(Gate::default());
    let admitted = gate.admitted(receive(woken), receive(hub));
    let begun = Arc::clone(&gate);
    Controller::for_stream(stream::pending(), gate.tickets())
        .with_config(controller::Config::default().concurrency(AT_ONCE))
        .reconcile_on(admitted)
        .graceful_shutdown_on(shutdown)
        .run(
            move |ticket: Arc<Ticket>, context: Arc<Context>| {
                let key = ObjectKey::new(&ticket.namespace().unwrap_or_default(), &ticket.name_any());
                begun.begun(&key);
                async move {
                    Ok::<_, std::convert::Infallible>(reconcile_object(&context, key).await)
                }
            },
            |_, _, _| Action::await_change(),
            Arc::clone(&context),
        )
        .for_each(|result| {
            let key = |namespace: Option<String>, name: &str| {
                ObjectKey::new(&namespace.unwrap_or_default(), name)
            };
            match result {
                Ok((object, action)) => gate.ended(&key(object.namespace, &object.name), &action),
                Err(controller::Error::ObjectNotFound(object)) => {
                    // It was to come again by itself, and was woken and done with before.
                    let object = key(object.namespace, &object.name);
                    gate.begun(&object);
                    let _ = context.wakers.objects.send(object);
                }
                Err(_) => {}
            }
            std::future::ready(())
        })
        .await;
}

async fn reconcile_object(context: &Context, key: ObjectKey) -> Action {
    const KIND: &str = "ExternalCloudSecret";
    let Some((key, kept)) = context.objects.get(&key) else {
        context.forget(&key);
        return Action::await_change();
    };
    let object = match kept.object() {
        Some(object) => object,
        // Whose it is cannot be told.
        None if context.resolver.rules.class.is_named() => return Action::await_change(),
        None => {
            tracing::warn!(object = %key, "object cannot be decoded and is left alone");
            context.metrics.reconciled(KIND, "undecodable");
            return Action::await_change();
        }
    };
    let outcome = guarded(
        &context.pressure,
        external_cloud_secret::reconcile::reconcile(context, &key, &object),
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

fn receive<T>(receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?, receiver))
    })
}
