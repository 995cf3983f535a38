//! The `ExternalCloudSecret`s of the cluster, as their watch shows them. There may be very many, and
//! each is rarely looked at, so each is kept packed.
//!
//! A status that this process wrote is put into the cache at once, so that the next reconcile of the
//! object sees it, and nothing else has to remember it until the watch shows it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube_runtime::watcher::Event;
use serde::{Deserialize, Deserializer};

use super::context::fingerprint;
use super::packed::Packed;
use crate::api::{ExternalCloudSecret, names};
use crate::refresh::ObjectKey;

/// An object as it arrives.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Its place and its resource version, by which the watch knows how far it is.
    meta: ObjectMeta,
    kept: Kept,
}

/// An object as it is kept. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Differs when the object changed otherwise than in its status.
    identity: u64,
    /// Its resource version: of one resource they are numbers that grow (KEP-5504).
    version: u64,
    /// The object, if it can be decoded.
    object: Option<Packed>,
}

/// The objects of the cluster.
#[derive(Debug, Default)]
pub struct Objects(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    all: HashMap<ObjectKey, Kept>,
    /// A list that has begun; it takes the place of `all` when it is complete.
    listed: Option<HashMap<ObjectKey, Kept>>,
    /// Whether a list was complete.
    complete: bool,
}

// === impl Arrived ===

impl Arrived {
    fn new(meta: &ObjectMeta, object: Option<&ExternalCloudSecret>) -> Self {
        let asked = meta.annotations.as_ref();
        let asked = asked.and_then(|all| all.get(names::REFRESH_ANNOTATION));
        let identity = (&meta.uid, meta.generation, asked, &meta.finalizers);
        let version = meta.resource_version.as_ref();
        let version = version.and_then(|version| version.parse().ok());
        Self {
            kept: Kept {
                identity: fingerprint(&identity),
                version: version.unwrap_or_default(),
                object: object.and_then(Packed::new),
            },
            meta: ObjectMeta {
                name: meta.name.clone(),
                namespace: meta.namespace.clone(),
                resource_version: meta.resource_version.clone(),
                ..ObjectMeta::default()
            },
        }
    }

    fn key(&self) -> ObjectKey {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        ObjectKey::new(&text(&self.meta.namespace), &text(&self.meta.name))
    }
}

impl<'de> Deserialize<'de> for Arrived {
    /// Packs an object as it arrives: not even a page of a list is held unpacked.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // One broken object does not hide the others.
        let mut object = DeserializeGuard::<ExternalCloudSecret>::deserialize(deserializer)?;
        prune(&mut object);
        Ok(Self::new(object.meta(), object.0.as_ref().ok()))
    }
}

impl Resource for Arrived {
    type DynamicType = ();
    type Scope = <ExternalCloudSecret as Resource>::Scope;

    fn kind(dynamic: &()) -> Cow<'_, str> {
        ExternalCloudSecret::kind(dynamic)
    }

    fn group(dynamic: &()) -> Cow<'_, str> {
        ExternalCloudSecret::group(dynamic)
    }

    fn version(dynamic: &()) -> Cow<'_, str> {
        ExternalCloudSecret::version(dynamic)
    }

    fn plural(dynamic: &()) -> Cow<'_, str> {
        ExternalCloudSecret::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

// === impl Kept ===

impl Kept {
    /// The object, less what [`prune`] takes away; nothing if it cannot be decoded.
    pub fn object(&self) -> Option<ExternalCloudSecret> {
        self.object.as_ref()?.unpack()
    }
}

// === impl Objects ===

impl Objects {
    /// Takes in an event of the watch and returns the objects that changed otherwise than in their
    /// status, those that are new and those that are gone.
    pub fn observe(&self, event: &Event<Arrived>) -> Vec<ObjectKey> {
        let mut known = self.lock();
        match event {
            Event::Apply(shown) => {
                let (key, kept) = (shown.key(), shown.kept.clone());
                let Some(before) = known.all.get_mut(&key) else {
                    known.all.insert(key.clone(), kept);
                    return vec![key];
                };
                let same = before.identity == kept.identity;
                before.identity = kept.identity;
                // What was written last may be newer than what the watch is about to show.
                if before.version <= kept.version {
                    *before = kept;
                }
                Vec::from_iter((!same).then_some(key))
            }
            Event::Delete(gone) => {
                let key = gone.key();
                known.all.remove(&key);
                vec![key]
            }
            Event::Init => {
                known.listed = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(listed) => {
                let key = listed.key();
                // Whoever holds a key of the object holds the same one.
                let key = known
                    .all
                    .get_key_value(&key)
                    .map_or(key, |(key, _)| key.clone());
                if let Some(all) = known.listed.as_mut() {
                    all.insert(key, listed.kept.clone());
                }
                Vec::new()
            }
            Event::InitDone => known.relist(),
        }
    }

    /// Takes in an object as a write of its status left it, so that the next look at it sees at least
    /// that. What changed otherwise is for the watch to say.
    pub fn wrote(&self, mut object: ExternalCloudSecret) {
        prune(&mut object);
        let written = Arrived::new(&object.metadata, Some(&object));
        let mut known = self.lock();
        // Else it is gone, or the watch was faster.
        if let Some(known) = known.all.get_mut(&written.key())
            && known.version < written.kept.version
        {
            *known = Kept {
                identity: known.identity,
                ..written.kept
            };
        }
    }

    /// The object `key`, if it is there, and the key that whoever remembers it should hold.
    pub fn get(&self, key: &ObjectKey) -> Option<(ObjectKey, Kept)> {
        let known = self.lock();
        let (key, kept) = known.all.get_key_value(key)?;
        Some((key.clone(), kept.clone()))
    }

    /// All objects.
    pub fn all(&self) -> Vec<(ObjectKey, Kept)> {
        let known = self.lock();
        let all = known.all.iter();
        all.map(|(key, kept)| (key.clone(), kept.clone())).collect()
    }

    /// Whether all objects are here.
    pub fn are_complete(&self) -> bool {
        self.lock().complete
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Known ===

impl Known {
    /// Replaces everything by a complete list; returns what differs from before. A list is believed
    /// although it may be older: the API server may be a restored one.
    fn relist(&mut self) -> Vec<ObjectKey> {
        self.complete = true;
        let listed = self.listed.take().unwrap_or_default();
        let before = std::mem::replace(&mut self.all, listed);
        let gone = before.keys().filter(|key| !self.all.contains_key(*key));
        let changed = self.all.iter().filter(|(key, kept)| {
            let before = before.get(*key).map(|before| before.identity);
            before != Some(kept.identity)
        });
        gone.chain(changed.map(|(key, _)| key)).cloned().collect()
    }
}

/// Takes away what nobody reads: most of an object's memory is its metadata.
pub fn prune<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = object.meta_mut().annotations.as_mut() {
        annotations.retain(|name, _| name.starts_with(names::PREFIX));
    }
}

#[cfg(test)]
mod tests;
