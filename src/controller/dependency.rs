//! Who depends on what: an index both ways, so that a change wakes exactly those concerned.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};

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
    needs: BTreeSet<Dependency>,
}

/// The index.
#[derive(Debug, Default)]
pub struct Dependencies(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    needs: HashMap<Dependent, BTreeSet<Dependency>>,
    needed_by: HashMap<Dependency, BTreeSet<Dependent>>,
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
    pub fn set(&self, dependent: Dependent, needs: BTreeSet<Dependency>) {
        self.lock().set(dependent, needs);
    }

    /// Adds to what `dependent` depends on.
    pub fn add(&self, dependent: &Dependent, need: Dependency) {
        self.lock().add(dependent, need);
    }

    /// Forgets `dependent`.
    pub fn remove(&self, dependent: &Dependent) {
        self.lock().set(dependent.clone(), BTreeSet::new());
    }

    /// Those who depend on `dependency`.
    pub fn of(&self, dependency: &Dependency) -> Vec<Dependent> {
        let index = self.lock();
        index
            .needed_by
            .get(dependency)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
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
        self.index.add(&self.dependent, need.clone());
        self.needs.insert(need);
    }

    /// What was noted.
    #[cfg(test)]
    pub fn into_needs(self) -> BTreeSet<Dependency> {
        self.needs
    }

    /// Forgets what was noted by an earlier look and not by this one.
    pub fn finish(self) {
        self.index.set(self.dependent, self.needs);
    }
}

// === impl Index ===

impl Index {
    fn add(&mut self, dependent: &Dependent, need: Dependency) {
        let needed_by = self.needed_by.entry(need.clone()).or_default();
        needed_by.insert(dependent.clone());
        self.needs
            .entry(dependent.clone())
            .or_default()
            .insert(need);
    }

    fn set(&mut self, dependent: Dependent, needs: BTreeSet<Dependency>) {
        let old = self.needs.remove(&dependent).unwrap_or_default();
        for dependency in old.difference(&needs) {
            if let Some(all) = self.needed_by.get_mut(dependency) {
                all.remove(&dependent);
                if all.is_empty() {
                    self.needed_by.remove(dependency);
                }
            }
        }
        for dependency in needs.difference(&old) {
            self.needed_by
                .entry(dependency.clone())
                .or_default()
                .insert(dependent.clone());
        }
        if !needs.is_empty() {
            self.needs.insert(dependent, needs);
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
