//! The `ExternalCloudSecret`s of the cluster, as their watch shows them. There may be very many, and
//! each is rarely looked at, so each is kept packed.
//!
//! A status that this process wrote is put into the cache at once, so that the next reconcile of the
//! object sees it, and nothing else has to remember it until the watch shows it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube_runtime::reflector::store::Writer;
use kube_runtime::reflector::{self, ObjectRef, Store};
use kube_runtime::watcher::Event;
use serde::{Deserialize, Deserializer};

use super::context::fingerprint;
use super::packed::Packed;
use crate::api::{ExternalCloudSecret, names};
use crate::refresh::ObjectKey;

/// An object as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its place, by which the cache and the work queue find it. As it arrives, its resource version
    /// too, by which the watch knows how far it is.
    place: ObjectMeta,
    key: ObjectKey,
    /// Differs when the object changed otherwise than in its status.
    identity: u64,
    /// Its resource version: of one resource they are numbers that grow (KEP-5504).
    version: Option<u64>,
    /// The object, if it can be decoded.
    object: Option<Packed>,
}

/// The objects of the cluster.
pub struct Objects {
    cache: Store<Kept>,
    writer: Mutex<Writer<Kept>>,
}

// === impl Kept ===

impl Kept {
    fn new(meta: &ObjectMeta, object: Option<&ExternalCloudSecret>) -> Self {
        let asked = meta.annotations.as_ref();
        let asked = asked.and_then(|all| all.get(names::REFRESH_ANNOTATION));
        let identity = (&meta.uid, meta.generation, asked, &meta.finalizers);
        let version = meta.resource_version.as_ref();
        let place = ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectMeta::default()
        };
        Self {
            key: ObjectKey::new(
                place.namespace.as_deref().unwrap_or_default(),
                place.name.as_deref().unwrap_or_default(),
            ),
            identity: fingerprint(&identity),
            version: version.and_then(|version| version.parse().ok()),
            object: object.and_then(Packed::new),
            place,
        }
    }

    /// The same as the cache holds it, with the key of what was `known` of it, which others hold too.
    fn at_rest(mut self, known: Option<&Self>) -> Self {
        self.place.resource_version = None;
        if let Some(known) = known {
            self.key = known.key.clone();
        }
        self
    }

    /// Which object it is.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The object, less what [`pruned`] takes away; nothing if it cannot be decoded.
    pub fn object(&self) -> Option<ExternalCloudSecret> {
        self.object.as_ref()?.unpack()
    }
}

impl<'de> Deserialize<'de> for Kept {
    /// Packs an object as it arrives: not even a page of a list is held unpacked.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // One broken object does not hide the others.
        let mut object = DeserializeGuard::<ExternalCloudSecret>::deserialize(deserializer)?;
        prune(&mut object);
        Ok(Self::new(object.meta(), object.0.as_ref().ok()))
    }
}

impl Resource for Kept {
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
        &self.place
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.place
    }
}

// === impl Objects ===

impl Objects {
    /// Takes in an event of the watch and returns the objects that changed otherwise than in their
    /// status, those that are new and those that are gone.
    pub fn observe(&self, event: &Event<Kept>) -> Vec<ObjectKey> {
        let mut writer = self.lock();
        match event {
            Event::Apply(shown) => {
                let known = self.get(&shown.key);
                let newer = known.as_deref();
                let newer = newer.filter(|known| known.version > shown.version);
                // What was written last may be newer than what the watch is about to show.
                let kept = Kept {
                    identity: shown.identity,
                    ..newer.unwrap_or(shown).clone()
                };
                writer.apply_watcher_event(&Event::Apply(kept.at_rest(known.as_deref())));
                let same = known.is_some_and(|known| known.identity == shown.identity);
                Vec::from_iter((!same).then(|| shown.key.clone()))
            }
            Event::Delete(gone) => {
                writer.apply_watcher_event(event);
                vec![gone.key.clone()]
            }
            Event::Init => {
                writer.apply_watcher_event(event);
                Vec::new()
            }
            Event::InitApply(listed) => {
                let known = self.get(&listed.key);
                let kept = listed.clone().at_rest(known.as_deref());
                writer.apply_watcher_event(&Event::InitApply(kept));
                Vec::new()
            }
            Event::InitDone => {
                let before = self.cache.state();
                // A list is believed although it may be older: the API server may be a restored one.
                writer.apply_watcher_event(event);
                self.differing(&before)
            }
        }
    }

    /// Takes in an object as a write of its status left it, so that the next look at it sees at least
    /// that. What changed otherwise is for the watch to say.
    pub fn wrote(&self, mut object: ExternalCloudSecret) {
        prune(&mut object);
        let kept = Kept::new(&object.metadata, Some(&object));
        let mut writer = self.lock();
        let known = self.get(&kept.key);
        let Some(known) = known.filter(|known| known.version < kept.version) else {
            // It is gone, or the watch was faster.
            return;
        };
        let kept = Kept {
            identity: known.identity,
            ..kept
        };
        writer.apply_watcher_event(&Event::Apply(kept.at_rest(Some(&known))));
    }

    /// What is kept of the object `key`, if it is there.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Kept>> {
        let place = ObjectRef::new(&key.name).within(&key.namespace);
        self.cache.get(&place)
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<Kept>> {
        self.cache.state()
    }

    /// The cache, for the work queue.
    pub fn cache(&self) -> Store<Kept> {
        self.cache.clone()
    }

    /// Those that are new, gone or differ from `before`.
    fn differing(&self, before: &[Arc<Kept>]) -> Vec<ObjectKey> {
        let before: HashMap<&ObjectKey, u64> = before
            .iter()
            .map(|kept| (&kept.key, kept.identity))
            .collect();
        let gone = before.keys().filter(|key| self.get(key).is_none());
        let gone: Vec<ObjectKey> = gone.map(|key| (*key).clone()).collect();
        let now = self.cache.state();
        let changed = now
            .iter()
            .filter(|kept| before.get(&kept.key) != Some(&kept.identity));
        gone.into_iter()
            .chain(changed.map(|kept| kept.key.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Writer<Kept>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Objects {
    fn default() -> Self {
        let (cache, writer) = reflector::store();
        Self {
            cache,
            writer: Mutex::new(writer),
        }
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
