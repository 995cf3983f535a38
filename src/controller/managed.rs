//! The Secrets that carry our label, as facts from a metadata watch. No data is kept or even seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_runtime::watcher::Event;

use super::external_cloud_secret::ownership::SecretFacts;
use crate::refresh::ObjectKey;

/// The managed Secrets of the cluster.
#[derive(Debug, Default)]
pub struct ManagedSecrets(Mutex<Known>);

/// A Secret that the watch spoke of.
#[derive(Debug, PartialEq, Eq)]
pub struct Concerned {
    /// Which.
    pub secret: ObjectKey,
    /// The object that left it as it is, and knows that.
    pub writer: Option<ObjectKey>,
}

/// A write that was begun; its result stands in for the watch until the watch says something.
#[derive(Debug)]
pub struct Writing(u64);

#[derive(Debug, Default)]
struct Known {
    current: HashMap<ObjectKey, Arc<SecretFacts>>,
    /// By UID; most control one Secret.
    by_controller: HashMap<Arc<str>, Vec<ObjectKey>>,
    listed: Option<HashMap<ObjectKey, Arc<SecretFacts>>>,
    written: HashMap<ObjectKey, Written>,
    last: u64,
}

#[derive(Debug)]
struct Written {
    id: u64,
    writer: ObjectKey,
    /// What it came to, as soon as that is known.
    facts: Option<Arc<SecretFacts>>,
}

// === impl ManagedSecrets ===

impl ManagedSecrets {
    /// Takes in an event of the watch and returns the Secrets it concerns.
    pub fn observe<K: kube::ResourceExt>(&self, event: &Event<K>) -> Vec<Concerned> {
        let changed = |secret| Concerned {
            secret,
            writer: None,
        };
        let mut known = self.lock();
        match event {
            Event::Apply(shown) => {
                let secret = key_of(shown.meta());
                let facts = Arc::new(SecretFacts::new(shown.meta()));
                let written = known.written.remove(&secret);
                let same = |written: &Written| written.facts.as_ref() == Some(&facts);
                let writer = written.filter(same).map(|written| written.writer);
                known.put(secret.clone(), facts);
                vec![Concerned { secret, writer }]
            }
            Event::Delete(secret) => {
                let key = key_of(secret.meta());
                known.written.remove(&key);
                known.take(&key);
                vec![changed(key)]
            }
            Event::Init => {
                known.listed = Some(HashMap::new());
                Vec::new()
            }
            Event::InitApply(secret) => {
                if let Some(listed) = known.listed.as_mut() {
                    let facts = Arc::new(SecretFacts::new(secret.meta()));
                    listed.insert(key_of(secret.meta()), facts);
                }
                Vec::new()
            }
            Event::InitDone => known.relist().into_iter().map(changed).collect(),
        }
    }

    /// What is known of a Secret, the last write included.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<SecretFacts>> {
        let known = self.lock();
        let written = known.written.get(key);
        let written = written.and_then(|written| written.facts.as_ref());
        written.or_else(|| known.current.get(key)).cloned()
    }

    /// The Secrets whose controller has this UID.
    pub fn controlled_by(&self, uid: &str) -> Vec<(ObjectKey, Arc<SecretFacts>)> {
        let known = self.lock();
        let keys = known.by_controller.get(uid).into_iter().flatten();
        keys.filter_map(|key| Some((key.clone(), known.current.get(key)?.clone())))
            .collect()
    }

    /// Begins a write of the Secret `key` for the object `writer`, so that what the watch says from now on
    /// is newer than its result.
    pub fn begin(&self, key: &ObjectKey, writer: &ObjectKey) -> Writing {
        let mut known = self.lock();
        known.last += 1;
        let id = known.last;
        let written = Written {
            id,
            writer: writer.clone(),
            facts: None,
        };
        known.written.insert(key.clone(), written);
        Writing(id)
    }

    /// Ends a write with what the Secret is now.
    pub fn end(&self, key: &ObjectKey, writing: &Writing, facts: Option<SecretFacts>) {
        let mut known = self.lock();
        let facts = facts.map(Arc::new);
        match known.written.get_mut(key) {
            Some(written) if written.id == writing.0 && facts.is_some() => written.facts = facts,
            Some(written) if written.id == writing.0 => {
                known.written.remove(key);
            }
            // The watch, or a later write, has spoken since.
            Some(_) | None => {}
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().current.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Known ===

impl Known {
    fn put(&mut self, key: ObjectKey, facts: Arc<SecretFacts>) {
        self.take(&key);
        if let Some((uid, _)) = facts.controller.as_ref().filter(|(uid, _)| !uid.is_empty()) {
            let keys = self.by_controller.entry(Arc::clone(uid)).or_default();
            // A vector's own first step is four.
            keys.reserve_exact(1);
            keys.push(key.clone());
        }
        self.current.insert(key, facts);
    }

    fn take(&mut self, key: &ObjectKey) {
        let Some(facts) = self.current.remove(key) else {
            return;
        };
        let Some((uid, _)) = &facts.controller else {
            return;
        };
        if let Some(keys) = self.by_controller.get_mut(uid) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_controller.remove(uid);
            }
        }
    }

    /// Replaces everything by a complete list; returns what differs from before.
    fn relist(&mut self) -> Vec<ObjectKey> {
        let listed = self.listed.take().unwrap_or_default();
        self.written.clear();
        let gone = self
            .current
            .keys()
            .filter(|key| !listed.contains_key(*key))
            .cloned();
        let changed = listed
            .iter()
            .filter(|(key, facts)| self.current.get(*key) != Some(*facts));
        let concerned: Vec<ObjectKey> = gone.chain(changed.map(|(key, _)| key.clone())).collect();
        self.current.clear();
        self.by_controller.clear();
        for (key, facts) in listed {
            self.put(key, facts);
        }
        concerned
    }
}

fn key_of(meta: &ObjectMeta) -> ObjectKey {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    ObjectKey::new(&text(&meta.namespace), &text(&meta.name))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;

    use super::*;

    fn secret(version: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.namespace = Some("shop".into());
        secret.metadata.name = Some("db".into());
        secret.metadata.resource_version = Some(version.into());
        secret
    }

    fn writer() -> ObjectKey {
        ObjectKey::new("shop", "writer")
    }

    fn version(known: &ManagedSecrets) -> Option<String> {
        known
            .get(&ObjectKey::new("shop", "db"))
            .map(|facts| facts.resource_version.to_string())
    }

    #[test]
    fn a_write_stands_in_until_the_watch_speaks() {
        let known = ManagedSecrets::default();
        let key = ObjectKey::new("shop", "db");
        let writing = known.begin(&key, &writer());
        known.end(
            &key,
            &writing,
            Some(SecretFacts::new(&secret("5").metadata)),
        );
        assert_eq!(version(&known).as_deref(), Some("5"));
        known.observe(&Event::Delete(secret("6")));
        assert_eq!(version(&known), None);
    }

    #[test]
    fn a_write_that_the_watch_overtook_says_nothing() {
        let known = ManagedSecrets::default();
        let key = ObjectKey::new("shop", "db");
        let writing = known.begin(&key, &writer());
        known.observe(&Event::Apply(secret("5")));
        known.observe(&Event::Delete(secret("6")));
        known.end(
            &key,
            &writing,
            Some(SecretFacts::new(&secret("5").metadata)),
        );
        assert_eq!(
            version(&known),
            None,
            "it was deleted before the write's answer came"
        );
    }

    #[test]
    fn a_writer_knows_a_secret_until_somebody_else_writes_it() {
        let known = ManagedSecrets::default();
        let key = ObjectKey::new("shop", "db");
        let write = |version| {
            let facts = SecretFacts::new(&secret(version).metadata);
            known.end(&key, &known.begin(&key, &writer()), Some(facts));
        };
        let writer_of = |version| {
            let mut concerned = known.observe(&Event::Apply(secret(version)));
            assert_eq!(concerned.len(), 1);
            concerned.remove(0).writer
        };
        assert_eq!(writer_of("4"), None, "nothing was written");
        write("5");
        assert_eq!(writer_of("5"), Some(writer()));
        assert_eq!(writer_of("5"), None, "that was told");
        write("6");
        assert_eq!(writer_of("7"), None);
        let under_way = known.begin(&key, &writer());
        assert_eq!(writer_of("8"), None, "what it comes to is not known");
        known.end(&key, &under_way, None);
    }

    #[test]
    fn a_relist_reports_only_what_differs() {
        let known = ManagedSecrets::default();
        let list = |secrets: &[Secret]| {
            known.observe(&Event::<Secret>::Init);
            for secret in secrets {
                known.observe(&Event::InitApply(secret.clone()));
            }
            known.observe(&Event::<Secret>::InitDone)
        };
        assert_eq!(list(&[secret("1")]).len(), 1);
        assert_eq!(list(&[secret("1")]).len(), 0);
        assert_eq!(list(&[secret("2")]).len(), 1);
        assert_eq!(list(&[]).len(), 1);
        assert!(known.is_empty());
    }
}
