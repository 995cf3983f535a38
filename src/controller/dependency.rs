//! Who depends on what: an index both ways, so that a change wakes exactly those concerned.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{StoreKind, StoreRef};
use crate::refresh::ObjectKey;

/// A store, by kind and place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId {
    /// The kind.
    pub kind: StoreKind,
    /// The namespace; empty for cluster stores.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// What a Secret, a `ConfigMap` or a `ServiceAccount` is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named {
    /// What it is.
    pub kind: NamedKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The kinds of objects that are watched by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamedKind {
    /// A Secret with credentials or certificates, or one that stands in a target's place.
    Secret,
    /// A `ConfigMap` with certificates.
    ConfigMap,
    /// A `ServiceAccount` whose token is exchanged.
    ServiceAccount,
}

/// Something that somebody depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependency {
    /// A store.
    Store(StoreId),
    /// An object that is watched by name.
    Named(Named),
    /// The labels of a namespace.
    Namespace(String),
    /// Whether the host of an endpoint answers.
    Endpoint(String),
    /// The Secret that an object writes.
    Target(ObjectKey),
}

/// Somebody who depends on things.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependent {
    /// An `ExternalCloudSecret`.
    Object(ObjectKey),
    /// A store.
    Store(StoreId),
}

/// What one dependent looks at, noted before it looks: a change in between is a wake, not a loss.
#[derive(Debug)]
pub struct Notes<'a> {
    index: &'a Dependencies,
    dependent: Dependent,
    needs: BTreeSet<Arc<Dependency>>,
}

/// The index.
#[derive(Debug, Default)]
pub struct Dependencies(Mutex<Index>);

/// Both ways share what they name: with very many objects, most of it is known already.
#[derive(Debug, Default)]
struct Index {
    /// What each one needs, sorted: a handful.
    needs: HashMap<Arc<Dependent>, Vec<Arc<Dependency>>>,
    needed_by: HashMap<Arc<Dependency>, Users>,
}

/// Those who depend on one thing: of a Secret that is one, of a store it may be all objects.
#[derive(Debug)]
enum Users {
    One(Arc<Dependent>),
    Many(BTreeSet<Arc<Dependent>>),
}

// === impl StoreId ===

impl StoreId {
    /// The store that `reference` means in an object of `namespace`.
    pub fn of(reference: &StoreRef, namespace: &str) -> Self {
        let kind = reference.kind();
        let namespace = match kind {
            StoreKind::CloudSecretStore => namespace,
            StoreKind::ClusterCloudSecretStore => "",
        };
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: reference.name.clone(),
        }
    }
}

// === impl Dependencies ===

impl Dependencies {
    /// Replaces what `dependent` depends on.
    #[cfg(test)]
    pub fn set(&self, dependent: Dependent, needs: BTreeSet<Dependency>) {
        let needs = needs.into_iter().map(Arc::new).collect();
        self.lock().set(&dependent, needs);
    }

    /// Forgets `dependent`.
    pub fn remove(&self, dependent: &Dependent) {
        self.lock().set(dependent, BTreeSet::new());
    }

    /// Those who depend on `dependency`.
    pub fn of(&self, dependency: &Dependency) -> Vec<Dependent> {
        let index = self.lock();
        let users = index.needed_by.get(dependency);
        users.map_or_else(Vec::new, Users::all)
    }

    /// Whether somebody depends on `dependency`.
    pub fn has(&self, dependency: &Dependency) -> bool {
        self.lock().needed_by.contains_key(dependency)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Named ===

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            NamedKind::Secret => "Secret",
            NamedKind::ConfigMap => "ConfigMap",
            NamedKind::ServiceAccount => "ServiceAccount",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

// === impl Notes ===

impl<'a> Notes<'a> {
    /// Begins to note what `dependent` looks at.
    pub fn of(index: &'a Dependencies, dependent: Dependent) -> Self {
        let needs = BTreeSet::new();
        Self {
            index,
            dependent,
            needs,
        }
    }

    /// Notes `need`, which is about to be looked at.
    pub fn note(&mut self, need: Dependency) {
        let need = self.index.lock().add(&self.dependent, need);
        self.needs.insert(need);
    }

    /// What was noted.
    #[cfg(test)]
    pub fn into_needs(self) -> BTreeSet<Dependency> {
        let needs = self.needs.iter();
        needs.map(|need| Dependency::clone(need)).collect()
    }

    /// Forgets what was noted by an earlier look and not by this one.
    pub fn finish(self) {
        self.index.lock().set(&self.dependent, self.needs);
    }
}

// === impl Index ===

impl Index {
    /// Adds to what `dependent` needs; returns the need as it is kept.
    fn add(&mut self, dependent: &Dependent, need: Dependency) -> Arc<Dependency> {
        let dependent = kept(&self.needs, dependent.clone());
        let need = kept(&self.needed_by, need);
        let needs = self.needs.entry(Arc::clone(&dependent)).or_default();
        // Whoever needs it already is among its users.
        if let Err(at) = needs.binary_search(&need) {
            needs.insert(at, Arc::clone(&need));
            self.enlist(&need, &dependent);
        }
        need
    }

    fn set(&mut self, dependent: &Dependent, needs: BTreeSet<Arc<Dependency>>) {
        let dependent = kept(&self.needs, dependent.clone());
        let old = self.needs.remove(&dependent).unwrap_or_default();
        for dependency in old.iter().filter(|old| !needs.contains(*old)) {
            if let Some(users) = self.needed_by.get_mut(dependency)
                && users.strike(&dependent)
            {
                self.needed_by.remove(dependency);
            }
        }
        for dependency in &needs {
            if old.binary_search(dependency).is_err() {
                self.enlist(dependency, &dependent);
            }
        }
        if !needs.is_empty() {
            self.needs.insert(dependent, needs.into_iter().collect());
        }
    }

    fn enlist(&mut self, dependency: &Arc<Dependency>, dependent: &Arc<Dependent>) {
        if let Some(users) = self.needed_by.get_mut(dependency) {
            users.enlist(dependent);
        } else {
            let users = Users::One(Arc::clone(dependent));
            self.needed_by.insert(Arc::clone(dependency), users);
        }
    }
}

/// The key of `map` that equals `key`, else `key` itself.
fn kept<K: Hash + Eq, V>(map: &HashMap<Arc<K>, V>, key: K) -> Arc<K> {
    match map.get_key_value(&key) {
        Some((kept, _)) => Arc::clone(kept),
        None => Arc::new(key),
    }
}

// === impl Users ===

impl Users {
    fn all(&self) -> Vec<Dependent> {
        let clone = |user: &Arc<Dependent>| Dependent::clone(user);
        match self {
            Self::One(user) => vec![clone(user)],
            Self::Many(users) => users.iter().map(clone).collect(),
        }
    }

    fn enlist(&mut self, dependent: &Arc<Dependent>) {
        match self {
            Self::One(user) if user == dependent => {}
            Self::One(user) => {
                *self = Self::Many([Arc::clone(user), Arc::clone(dependent)].into());
            }
            Self::Many(users) => {
                users.insert(Arc::clone(dependent));
            }
        }
    }

    /// Takes `dependent` out; says whether nobody is left.
    fn strike(&mut self, dependent: &Dependent) -> bool {
        match self {
            Self::One(user) => **user == *dependent,
            Self::Many(users) => {
                users.remove(dependent);
                users.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> Dependent {
        Dependent::Object(ObjectKey::new("shop", name))
    }

    fn namespace(name: &str) -> Dependency {
        Dependency::Namespace(name.to_owned())
    }

    #[test]
    fn what_is_noted_counts_at_once_and_what_is_not_noted_again_is_forgotten() {
        let index = Dependencies::default();
        let mut notes = Notes::of(&index, object("a"));
        notes.note(namespace("x"));
        assert_eq!(index.of(&namespace("x")), [object("a")]);
        notes.finish();
        let mut notes = Notes::of(&index, object("a"));
        notes.note(namespace("y"));
        assert_eq!(
            index.of(&namespace("x")),
            [object("a")],
            "until the look is over"
        );
        notes.finish();
        assert!(index.of(&namespace("x")).is_empty());
        assert_eq!(index.of(&namespace("y")), [object("a")]);
    }

    #[test]
    fn a_change_concerns_exactly_those_who_depend_on_it() {
        let index = Dependencies::default();
        index.set(object("a"), [namespace("x"), namespace("y")].into());
        index.set(object("b"), [namespace("y")].into());
        assert_eq!(index.of(&namespace("x")), [object("a")]);
        assert_eq!(index.of(&namespace("y")), [object("a"), object("b")]);
        index.set(object("a"), [namespace("x")].into());
        assert_eq!(index.of(&namespace("y")), [object("b")]);
        index.remove(&object("a"));
        assert!(index.of(&namespace("x")).is_empty());
    }
}
