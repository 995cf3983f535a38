//! Objects that others name: Secrets with credentials, `ConfigMaps` and Secrets with certificates,
//! `ServiceAccounts`, and Secrets that stand in a target's place. Each is watched by name, metadata
//! only, and read once per change.

mod read;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use kube_runtime::watcher::{self, Event};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::dependency::{Named, NamedKind};
use super::external_cloud_secret::ownership::SecretFacts;
use super::resume;
use super::store::cloud::annotations;
use super::watch::watch_failed;
use crate::secret_bytes::SecretBytes;

/// How many objects are watched, for each watch is a connection; the others are looked at now and
/// then.
const MOST_WATCHES: usize = 100;
/// How many of them one namespace may have, so that it leaves some to others.
const MOST_WATCHES_OF_ONE: usize = 25;
/// The most bytes of one object that are kept between two reads.
const MOST_CACHED: usize = 32 << 10;
/// How often an object beyond that is looked at.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// How long something stays known that was asked for and that nobody is noted to need: whoever asks
/// notes it at the end of a reconcile, which takes less.
const RECENTLY: Duration = Duration::from_mins(1);
/// How long one watch lasts before it is renewed: shorter than load balancers cut idle ones.
pub const WATCH_SECONDS: u32 = 200;

/// What a Secret or a `ConfigMap` holds.
pub type Content = Arc<BTreeMap<String, SecretBytes>>;

/// The objects that are named by somebody.
pub struct NamedObjects {
    client: Client,
    changes: mpsc::UnboundedSender<Named>,
    known: Mutex<HashMap<Named, Entry>>,
}

/// The longest annotation that is kept, which anybody may fill: longer than any role's ARN.
const LONGEST_ANNOTATION: usize = 253;

/// What is known of a `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its UID.
    pub uid: String,
    annotations: Annotations,
}

/// Those annotations that some cloud reads, and that have a value.
type Annotations = BTreeMap<&'static str, String>;

/// What is known of an object.
#[derive(Debug, Clone)]
struct Meta {
    facts: SecretFacts,
    annotations: Annotations,
}

struct Entry {
    meta: Option<Meta>,
    content: Option<Content>,
    task: AbortHandle,
    /// It is watched, and not only looked at now and then.
    watched: bool,
    asked: Instant,
}

// === impl NamedObjects ===

impl NamedObjects {
    /// Nothing yet; what changes is sent to `changes`.
    pub fn new(client: Client, changes: mpsc::UnboundedSender<Named>) -> Arc<Self> {
        Arc::new(Self {
            client,
            changes,
            known: Mutex::default(),
        })
    }

    /// The metadata of `named`, or nothing if there is no such object.
    ///
    /// # Errors
    /// The API server's.
    pub async fn metadata(self: &Arc<Self>, named: &Named) -> kube::Result<Option<SecretFacts>> {
        Ok(self.meta(named).await?.map(|meta| meta.facts))
    }

    /// What is known of the `ServiceAccount` `named`, or nothing if there is no such one.
    ///
    /// # Errors
    /// The API server's.
    pub async fn account(self: &Arc<Self>, named: &Named) -> kube::Result<Option<AccountFacts>> {
        Ok(self.meta(named).await?.map(|meta| AccountFacts {
            uid: meta.facts.uid.into(),
            annotations: meta.annotations,
        }))
    }

    async fn meta(self: &Arc<Self>, named: &Named) -> kube::Result<Option<Meta>> {
        if let Some(entry) = self.lock().get_mut(named) {
            entry.asked = Instant::now();
            return Ok(entry.meta.clone());
        }
        let meta = read::metadata(&self.client, named).await?;
        let meta = meta.as_ref().map(Meta::new);
        let mut known = self.lock();
        if !known.contains_key(named) {
            let watched = has_room(&known, named);
            let task = tokio::spawn(Arc::clone(self).follow(named.clone(), watched)).abort_handle();
            known.insert(
                named.clone(),
                Entry {
                    meta: meta.clone(),
                    content: None,
                    task,
                    watched,
                    asked: Instant::now(),
                },
            );
        }
        Ok(meta)
    }

    /// What the Secret or the `ConfigMap` `named` holds, or nothing if there is no such object.
    ///
    /// # Errors
    /// The API server's.
    pub async fn content(self: &Arc<Self>, named: &Named) -> kube::Result<Option<Content>> {
        if self.metadata(named).await?.is_none() {
            return Ok(None);
        }
        if let Some(content) = self
            .lock()
            .get(named)
            .and_then(|entry| entry.content.clone())
        {
            return Ok(Some(content));
        }
        let Some((meta, content)) = read::whole(&self.client, named).await? else {
            return Ok(None);
        };
        let meta = Meta::new(&meta);
        // Where the watch knows of another version, it has spoken since: this one is used once and
        // not kept, for no other event may come.
        let current = |entry: &&mut Entry| {
            let known = entry
                .meta
                .as_ref()
                .map(|known| &known.facts.resource_version);
            known == Some(&meta.facts.resource_version)
        };
        let size: usize = content.values().map(SecretBytes::len).sum();
        if size > MOST_CACHED {
            // Whoever keeps what stores need beside large data has it read anew each time.
            return Ok(Some(content));
        }
        if let Some(entry) = self.lock().get_mut(named).filter(current) {
            entry.content = Some(Arc::clone(&content));
        }
        Ok(Some(content))
    }

    /// Stops following what `needed` does not need any more, and watches others in its place.
    pub fn retain(self: &Arc<Self>, needed: impl Fn(&Named) -> bool) {
        let mut known = self.lock();
        known.retain(|named, entry| {
            let keep = needed(named) || entry.asked.elapsed() < RECENTLY;
            if !keep {
                entry.task.abort();
            }
            keep
        });
        let polled = known.iter().filter(|(_, entry)| !entry.watched);
        let polled: Vec<Named> = polled.map(|(named, _)| named.clone()).collect();
        for named in polled {
            if !has_room(&known, &named) {
                continue;
            }
            if let Some(entry) = known.get_mut(&named) {
                entry.task.abort();
                let task = tokio::spawn(Arc::clone(self).follow(named, true));
                entry.task = task.abort_handle();
                entry.watched = true;
            }
        }
    }

    /// Stops following everything.
    pub fn end(&self) {
        for (_, entry) in self.lock().drain() {
            entry.task.abort();
        }
    }

    async fn follow(self: Arc<Self>, named: Named, watched: bool) {
        match (watched, named.kind) {
            (true, NamedKind::Secret) => self.watch::<Secret>(named).await,
            (true, NamedKind::ConfigMap) => self.watch::<ConfigMap>(named).await,
            (true, NamedKind::ServiceAccount) => self.watch::<ServiceAccount>(named).await,
            (false, _) => self.poll(named).await,
        }
    }

    async fn watch<K>(&self, named: Named)
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &named.namespace);
        let config = watcher::Config::default()
            .fields(&format!("metadata.name={}", named.name))
            .timeout(WATCH_SECONDS);
        let events = resume::watch(api, config);
        pin_mut!(events);
        let mut listed = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(found)) => self.changed(&named, Some(&found.metadata)),
                Ok(Event::Delete(_)) => self.changed(&named, None),
                Ok(Event::Init) => listed = None,
                Ok(Event::InitApply(found)) => listed = Some(found.metadata),
                Ok(Event::InitDone) => self.changed(&named, listed.take().as_ref()),
                Err(error) => watch_failed("an object by name", &error),
            }
        }
    }

    async fn poll(&self, named: Named) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Ok(meta) = read::metadata(&self.client, &named).await {
                self.changed(&named, meta.as_ref());
            }
        }
    }

    fn changed(&self, named: &Named, meta: Option<&ObjectMeta>) {
        let meta = meta.map(Meta::new);
        let version = |meta: &Meta| (meta.facts.uid.clone(), meta.facts.resource_version.clone());
        {
            let mut known = self.lock();
            let Some(entry) = known.get_mut(named) else {
                return;
            };
            if entry.meta.as_ref().map(version) == meta.as_ref().map(version) {
                return;
            }
            entry.meta = meta;
            entry.content = None;
        }
        // The receiver is gone only when the process is stopping.
        let _ = self.changes.send(named.clone());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Named, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether one more may be watched: of all namespaces together, and of its own.
fn has_room(known: &HashMap<Named, Entry>, named: &Named) -> bool {
    let watched = || known.iter().filter(|(_, entry)| entry.watched);
    let here = watched().filter(|(other, _)| other.namespace == named.namespace);
    watched().count() < MOST_WATCHES && here.count() < MOST_WATCHES_OF_ONE
}

// === impl AccountFacts ===

impl AccountFacts {
    /// An account of the UID `uid` with these annotations.
    pub fn new<'a>(
        uid: &str,
        annotations: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
    ) -> Self {
        let set = |(name, value): (_, Option<&str>)| Some((name, value?.to_owned()));
        Self {
            uid: uid.to_owned(),
            annotations: annotations.into_iter().filter_map(set).collect(),
        }
    }

    /// Its annotation `name`, if it has one with a value.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

// === impl Meta ===

impl Meta {
    fn new(meta: &ObjectMeta) -> Self {
        let annotation = |name: &'static str| {
            let value = meta.annotations.as_ref()?.get(name)?.trim();
            let kept = (1..=LONGEST_ANNOTATION).contains(&value.len());
            kept.then(|| (name, value.to_owned()))
        };
        Self {
            facts: SecretFacts::new(meta),
            annotations: annotations().filter_map(annotation).collect(),
        }
    }
}
