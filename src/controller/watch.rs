//! The watches: what they see goes into caches, and wakes whoever depends on it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::caches::{Caches, store_id};
use super::context::{Changes, Context, fingerprint};
use super::dependency::{Dependency, Dependent, Named};
use super::external_cloud_secret::ownership::SecretFacts;
use super::managed::Concerned;
use super::named::WATCH_SECONDS;
use super::objects::{Arrived, prune};
use super::run::Guarded;
use super::scope::{self, Events};
use crate::api::{CloudSecretStore, ClusterCloudSecretStore, StoreKind, names};
use crate::refresh::ObjectKey;

/// How often what nobody needs any more is let go.
const SWEEP: Duration = Duration::from_mins(1);

/// Is told when a cache was filled.
#[derive(Clone)]
pub struct Filled(watch::Sender<BTreeSet<&'static str>>);

// === impl Filled ===

impl Filled {
    /// Nothing is filled yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(BTreeSet::new()))
    }

    pub(super) fn done(&self, what: &'static str) {
        self.0.send_if_modified(|filled| filled.insert(what));
    }

    /// Whether all of `wanted` are filled.
    pub fn all(&self, wanted: &[&'static str]) -> bool {
        let filled = self.0.borrow();
        wanted.iter().all(|what| filled.contains(what))
    }

    pub(super) async fn wait(&self, wanted: &[&'static str]) {
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

/// What has to be filled before the operator is ready, and before objects are reconciled.
pub const ALL: [&str; 5] = [
    "secrets",
    "namespaces",
    "stores",
    "cluster stores",
    "external cloud secrets",
];

/// How many objects one page of a list holds: a page is in memory as a whole, decoded and not.
const PAGE: u32 = 250;

fn config() -> watcher::Config {
    watcher::Config::default()
        .timeout(WATCH_SECONDS)
        .page_size(PAGE)
}

/// Watches the managed Secrets.
pub async fn secrets(caches: Arc<Caches>) {
    let label = format!("{}={}", names::MANAGED_LABEL, names::MANAGED_VALUE);
    let config = config().labels(&label);
    let events: Events<PartialObjectMeta<Secret>> = caches.scope.watch(&caches.client, &config);
    follow(unmanaged(events), "secrets", &caches.filled, |event| {
        let changed = caches.managed.observe(event);
        let Some(context) = caches.context() else {
            return;
        };
        for Concerned { secret, writer } in changed {
            let dependents = context.dependencies.of(&Dependency::Target(secret.clone()));
            let owner = caches.managed.get(&secret);
            let owner = owner.and_then(|known| owner_of(&secret, &known));
            for dependent in concerned(dependents, owner, writer) {
                context.wake_one(dependent);
            }
        }
    })
    .await;
}

/// Whom a Secret concerns: those who want it, save the one who left it so, and its owner, who may not want
/// it any more: it may be what a rename, or a late write of another process, left.
fn concerned(
    mut dependents: Vec<Dependent>,
    owner: Option<ObjectKey>,
    writer: Option<ObjectKey>,
) -> Vec<Dependent> {
    let (owner, writer) = (owner.map(Dependent::Object), writer.map(Dependent::Object));
    let surplus = owner.filter(|owner| !dependents.contains(owner));
    dependents.retain(|one| Some(one) != writer.as_ref());
    dependents.extend(surplus);
    dependents
}

/// The object beside a Secret that it names as its owner.
fn owner_of(secret: &ObjectKey, known: &SecretFacts) -> Option<ObjectKey> {
    let (namespace, name) = known.owner.as_deref()?.split_once('/')?;
    (namespace == &*secret.namespace).then(|| secret.beside(name))
}

/// Watches the labels of namespaces.
pub async fn namespaces(caches: Arc<Caches>) {
    let events = if caches.scope.cluster_stores {
        caches.scope.watch_namespaces(&caches.client, &config())
    } else {
        // Only the conditions of cluster stores ask for labels.
        scope::nothing()
    };
    let mut changes = Changes::default();
    follow(unmanaged(events), "namespaces", &caches.filled, |event| {
        caches.namespaces.observe(event);
        let version = |namespace: &PartialObjectMeta<Namespace>| fingerprint(namespace.labels());
        let changed = changes.observe(event, ResourceExt::name_any, version);
        let Some(context) = caches.context() else {
            return;
        };
        for name in changed {
            context.wake(&Dependency::Namespace(name));
        }
    })
    .await;
}

/// Watches the stores of namespaces.
pub async fn stores(caches: Arc<Caches>, writer: Writer<Guarded<CloudSecretStore>>) {
    let watched = caches.scope.watch(&caches.client, &config());
    follow_stores(caches, watched, writer, StoreKind::CloudSecretStore).await;
}

/// Watches the stores of the cluster, where those are served.
pub async fn cluster_stores(caches: Arc<Caches>, writer: Writer<Guarded<ClusterCloudSecretStore>>) {
    let watched = if caches.scope.cluster_stores {
        scope::watch(Api::all(caches.client.clone()), config())
    } else {
        scope::nothing()
    };
    follow_stores(caches, watched, writer, StoreKind::ClusterCloudSecretStore).await;
}

async fn follow_stores<K>(
    caches: Arc<Caches>,
    watched: Events<Guarded<K>>,
    writer: Writer<Guarded<K>>,
    kind: StoreKind,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let what = match kind {
        StoreKind::CloudSecretStore => "stores",
        StoreKind::ClusterCloudSecretStore => "cluster stores",
    };
    let (mut changes, mut requests) = (Changes::default(), Changes::default());
    let events = pruned(watched).reflect(writer);
    follow(events, what, &caches.filled, |event| {
        let id = |store: &Guarded<K>| store_id(kind, store);
        let version =
            |store: &Guarded<K>| fingerprint(&(store.meta().uid.clone(), store.meta().generation));
        let changed = changes.observe(event, id, version);
        let asked = requests.observe(event, id, |store| {
            fingerprint(&store.annotations().get(names::REFRESH_ANNOTATION))
        });
        let Some(context) = caches.context() else {
            return;
        };
        // A refresh lets in by turns those who read through a store: here only the store is told.
        for store in asked {
            let _ = context.wakers.stores.send(store);
        }
        for store in changed {
            // The store itself is looked at too: when it is gone, nobody else notices.
            let _ = context.wakers.stores.send(store.clone());
            context.wake(&Dependency::Store(store));
        }
    })
    .await;
}

/// Watches the objects.
pub async fn objects(caches: Arc<Caches>) {
    let events: Events<Arrived> = caches.scope.watch(&caches.client, &config());
    follow(events, "external cloud secrets", &caches.filled, |event| {
        let changed = caches.objects.observe(event);
        let Some(context) = caches.context() else {
            return;
        };
        for object in changed {
            if caches.objects.get(&object).is_none() {
                // A reconcile that runs now may note the object again; the one after it finds nothing
                // and forgets it for good.
                context.forget(&object);
            }
            let _ = context.wakers.objects.send(object);
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
                let needed =
                    |named: &Named| context.dependencies.has(&Dependency::Named(named.clone()));
                context.named.retain(needed);
                context.credentials.retain(&context.hub.identities());
                let now = Instant::now();
                context.refreshes.sweep(now);
                context.cluster_refreshes.sweep(now);
                context.events.sweep(now);
            }
        }
    }
}

async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    what: &'static str,
    filled: &Filled,
    mut seen: impl FnMut(&Event<K>),
) {
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

/// Keeps what managers note of themselves out of the caches.
fn unmanaged<K: Resource + Clone>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    events.modify(|object| object.managed_fields_mut().clear())
}

/// Keeps what nobody reads out of the caches.
fn pruned<K>(
    events: impl Stream<Item = watcher::Result<Event<Guarded<K>>>>,
) -> impl Stream<Item = watcher::Result<Event<Guarded<K>>>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    events.modify(prune)
}

pub(super) fn watch_failed(what: &'static str, error: &watcher::Error) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Who wants a Secret, whose it is, who left it as it is, and whom it concerns.
    type Case<'a> = (
        &'a [&'a str],
        Option<&'a str>,
        Option<&'a str>,
        &'a [&'a str],
    );

    #[test]
    fn a_secret_concerns_who_wants_it_and_who_left_it_behind() {
        let key = |name| ObjectKey::new("shop", name);
        let object = |name| Dependent::Object(key(name));
        let table: [Case<'_>; 6] = [
            (&["a"], Some("a"), None, &["a"]),
            (&["a"], Some("a"), Some("a"), &[]),
            (&["a", "b"], Some("a"), Some("a"), &["b"]),
            (&["a", "b"], Some("a"), None, &["a", "b"]),
            // It was written just before its object got another target.
            (&[], Some("a"), Some("a"), &["a"]),
            (&["b"], Some("a"), Some("a"), &["b", "a"]),
        ];
        for (wanted, owner, writer, expected) in table {
            let wanted = wanted.iter().copied().map(object).collect();
            let woken = concerned(wanted, owner.map(key), writer.map(key));
            let expected: Vec<_> = expected.iter().copied().map(object).collect();
            assert_eq!(woken, expected);
        }
    }
}
