//! What the API server shows while things are measured: one watch of Secrets and one of objects, the same beside the
//! bare client and beside the operator, so that it costs both the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use kube::api::{ListParams, Request, WatchEvent, WatchParams};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::failure::{Failure, Result};
use crate::population::{self, NAMESPACES};

const SECRETS: &str = "/api/v1/secrets";
/// The collection of objects in the whole cluster.
pub const OBJECTS: &str = "/apis/cloudsecrets.dev/v1alpha1/externalcloudsecrets";
const LOOK: Duration = Duration::from_millis(20);

/// A Secret, as last seen.
#[derive(Debug, Clone)]
pub struct SecretSeen {
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen to change.
    pub last: Timestamp,
    /// What it holds, decoded.
    pub data: BTreeMap<String, String>,
}

/// An object, as last seen.
#[derive(Debug, Clone)]
pub struct ObjectSeen {
    /// Its UID.
    pub uid: String,
    /// Whether its status is about its spec as it is now.
    pub current: bool,
    /// Whether it says that its Secret is there.
    pub ready: bool,
    /// Whether it says that its last refresh worked.
    pub fresh: bool,
    /// When it last changed.
    pub last: Timestamp,
}

/// Everything seen so far, by `namespace/name`, of the tenants' namespaces.
#[derive(Debug, Default)]
pub struct Seen {
    /// The Secrets.
    pub secrets: HashMap<String, SecretSeen>,
    /// The objects.
    pub objects: HashMap<String, ObjectSeen>,
    /// Every content that a Secret ever had, in order.
    pub history: Vec<(String, BTreeMap<String, String>)>,
    lost: Option<String>,
}

/// The watches. They end with this value.
#[derive(Debug)]
pub struct Observer {
    seen: Arc<Mutex<Seen>>,
    _watches: JoinSet<()>,
}

/// What is read of an object or a Secret; the rest is skipped.
#[derive(Debug, Clone, Deserialize)]
struct Watched {
    metadata: Meta,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
    uid: String,
    resource_version: String,
    generation: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Deserialize)]
struct Listed {
    metadata: ListMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}

// === impl Observer ===

impl Observer {
    /// Starts to watch a cluster in which there is nothing to see yet.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn start(client: &Client) -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let mut watches = JoinSet::new();
        for collection in [SECRETS, OBJECTS] {
            let request = Request::new(collection).list(&ListParams::default().limit(1))?;
            let listed: Listed = client.request(request).await?;
            let version = listed.metadata.resource_version;
            watches.spawn(follow(
                client.clone(),
                collection,
                version,
                Arc::clone(&seen),
            ));
        }
        Ok(Self {
            seen,
            _watches: watches,
        })
    }

    /// Looks at what was seen so far.
    ///
    /// # Errors
    /// If a watch was lost, after which nothing can be said.
    pub fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> Result<T> {
        let mut seen = lock(&self.seen);
        match &seen.lost {
            Some(reason) => Err(Failure(format!("a watch was lost: {reason}"))),
            None => Ok(look(&mut seen)),
        }
    }

    /// Looks until there is something; a failure says what is still missing.
    ///
    /// # Errors
    /// If nothing came within `limit`.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&Seen) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            match self.look(|seen| look(seen))? {
                Ok(found) => return Ok(found),
                Err(missing) if start.elapsed() > limit => {
                    let seconds = limit.as_secs();
                    return Err(Failure(format!(
                        "{what}: not within {seconds} s; last seen: {missing}"
                    )));
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// Follows one collection for ever: a watch that ends is taken up where it ended.
async fn follow(
    client: Client,
    collection: &'static str,
    mut version: String,
    seen: Arc<Mutex<Seen>>,
) {
    let tenants: Vec<String> = (0..NAMESPACES).map(population::namespace).collect();
    loop {
        let end = watch(&client, collection, &mut version, |event, object| {
            if !tenants.contains(&object.metadata.namespace) {
                return;
            }
            let mut seen = lock(&seen);
            match (collection, event) {
                (SECRETS, Change::Gone) => seen.forget_secret(&object),
                (SECRETS, Change::There) => seen.note_secret(&object),
                (_, Change::Gone) => seen.forget_object(&object),
                (_, Change::There) => seen.note_object(&object),
            }
        })
        .await;
        if let Err(Failure(reason)) = end {
            lock(&seen).lost = Some(format!("{collection}: {reason}"));
            return;
        }
    }
}

enum Change {
    There,
    Gone,
}

async fn watch(
    client: &Client,
    collection: &str,
    version: &mut String,
    mut seen: impl FnMut(Change, Watched),
) -> Result<()> {
    let request = Request::new(collection).watch(&WatchParams::default(), version)?;
    let events = client.request_events::<Watched>(request).await?;
    futures::pin_mut!(events);
    while let Some(event) = events.try_next().await? {
        let (change, object) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (Change::There, object),
            WatchEvent::Deleted(object) => (Change::Gone, object),
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(Failure(status.message)),
        };
        version.clone_from(&object.metadata.resource_version);
        seen(change, object);
    }
    Ok(())
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Seen ===

impl Seen {
    fn note_secret(&mut self, object: &Watched) {
        let (key, now) = (object.metadata.key(), Timestamp::now());
        let data = object.decoded();
        let entry = self.secrets.entry(key.clone()).or_insert(SecretSeen {
            first: now,
            last: now,
            data: BTreeMap::new(),
        });
        entry.last = now;
        entry.data.clone_from(&data);
        self.history.push((key, data));
    }

    fn forget_secret(&mut self, object: &Watched) {
        let key = object.metadata.key();
        self.secrets.remove(&key);
        self.history.push((key, BTreeMap::new()));
    }

    fn note_object(&mut self, object: &Watched) {
        let condition = |kind: &str| {
            let mut conditions = object.status.conditions.iter();
            conditions.any(|c| c.kind == kind && c.status == "True")
        };
        let seen = ObjectSeen {
            uid: object.metadata.uid.clone(),
            current: object.status.observed_generation == object.metadata.generation,
            ready: condition("Ready"),
            fresh: condition("Fresh"),
            last: Timestamp::now(),
        };
        self.objects.insert(object.metadata.key(), seen);
    }

    fn forget_object(&mut self, object: &Watched) {
        self.objects.remove(&object.metadata.key());
    }
}

// === impl Watched ===

impl Watched {
    fn decoded(&self) -> BTreeMap<String, String> {
        let decode = |(name, value): (&String, &String)| {
            let bytes = STANDARD.decode(value).unwrap_or_default();
            (name.clone(), String::from_utf8_lossy(&bytes).into_owned())
        };
        self.data.iter().map(decode).collect()
    }
}

// === impl Meta ===

impl Meta {
    fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
