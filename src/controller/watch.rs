//! The watches: what they see goes into caches, and wakes whoever depends on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::context::{Changes, Context, fingerprint};
use super::dependency::{Dependency, Named};
use super::named::WATCH_SECONDS;
use super::run::Guarded;
use super::scope::{self, Events};
use crate::api::names;

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

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Watches the managed Secrets.
pub async fn secrets(context: Arc<Context>, filled: Filled) {
    let label = format!("{}={}", names::MANAGED_LABEL, names::MANAGED_VALUE);
    let scope = &context.resolver.rules.scope;
    let config = config().labels(&label);
    let events: Events<PartialObjectMeta<Secret>> = scope.watch(&context.client, &config);
    follow(events, "secrets", &filled, |event| {
        for secret in context.managed.observe(event) {
            context.wake(&Dependency::Target(secret));
        }
    })
    .await;
}

/// Watches the labels of namespaces.
pub async fn namespaces(context: Arc<Context>, filled: Filled) {
    let scope = &context.resolver.rules.scope;
    let events = if scope.cluster_stores {
        scope.watch_namespaces(&context.client, &config())
    } else {
        // Only the conditions of cluster stores ask for labels.
        scope::nothing()
    };
    let mut changes = Changes::default();
    follow(events, "namespaces", &filled, |event| {
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
                context.memories.sweep();
                let now = Instant::now();
                context.refreshes.sweep(now);
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
) where
    K: Resource<DynamicType = ()> + Clone,
{
    let events = events.modify(|object| {
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

/// Keeps what nobody reads out of the caches: most of an object's memory is its metadata.
pub(super) fn pruned<K>(
    events: impl Stream<Item = watcher::Result<Event<Guarded<K>>>>,
) -> impl Stream<Item = watcher::Result<Event<Guarded<K>>>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    events.modify(|object| {
        object.managed_fields_mut().clear();
        object
            .annotations_mut()
            .retain(|name, _| name.starts_with(names::PREFIX));
    })
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
