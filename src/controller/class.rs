//! Which of several operators in a cluster serves a store or an object. Pure.
//!
//! A store names its operator by `spec.controller`, and an object belongs to the operator of the store
//! that its first entry is read from; where that store is missing, of the next that is there. Where
//! none is there, it belongs to the operator without a class. So any two operators agree on whose an
//! object is, and only that one writes about it.

use crate::api::{ExternalCloudSecretSpec, StoreRef};

/// What tells operators apart: a name, or that there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class(Option<String>);

// === impl Class ===

impl Class {
    /// The class of the operator that serves an object. `class` knows that of each store, and nothing
    /// of one that is missing.
    pub fn of_object(
        spec: &ExternalCloudSecretSpec,
        class: impl Fn(&StoreRef) -> Option<Self>,
    ) -> Self {
        spec.stores().find_map(class).unwrap_or_default()
    }

    /// Whether it has a name.
    pub fn is_named(&self) -> bool {
        self.0.is_some()
    }
}

impl From<Option<String>> for Class {
    fn from(name: Option<String>) -> Self {
        Self(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DataEntry, SourceRef};

    fn store(name: &str) -> StoreRef {
        StoreRef {
            kind: None,
            name: name.into(),
        }
    }

    /// An object with the store `s` for entries that name none.
    fn object(entries: &[Option<&str>]) -> ExternalCloudSecretSpec {
        let entry = |source: Option<&str>| DataEntry {
            secret_key: "a".into(),
            source_ref: source.map(|name| SourceRef {
                store_ref: store(name),
            }),
            ..DataEntry::default()
        };
        ExternalCloudSecretSpec {
            secret_store_ref: Some(store("s")),
            data: entries.iter().copied().map(entry).collect(),
            ..ExternalCloudSecretSpec::default()
        }
    }

    #[test]
    fn an_object_belongs_to_the_class_of_the_first_store_that_is_there() {
        let named = |name: &str| Class(Some(name.to_owned()));
        let class = |store: &StoreRef| match &*store.name {
            "s" => Some(Class(None)),
            "of-a" => Some(named("a")),
            "of-b" => Some(named("b")),
            _ => None,
        };
        let table: [(&[Option<&str>], Option<&str>); 6] = [
            (&[None], None),
            (&[Some("of-a"), None], Some("a")),
            (&[None, Some("of-a")], None),
            (&[Some("of-b"), Some("of-a")], Some("b")),
            (&[Some("missing"), Some("of-a")], Some("a")),
            (&[Some("missing")], None),
        ];
        for (entries, expected) in table {
            let expected = Class(expected.map(str::to_owned));
            let class = Class::of_object(&object(entries), class);
            assert_eq!(class, expected, "{entries:?}");
        }
    }
}
