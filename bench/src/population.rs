//! The objects that are measured, and what the cloud holds for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Objects are spread over this many namespaces, as tenants are.
pub const NAMESPACES: usize = 10;
/// The keys of a Secret.
const KEYS: [&str; 4] = ["user", "password", "token", "url"];

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Twenty references to a call.
    Kms,
    /// Ten references to a call.
    Oos,
    /// One reference to a call.
    Ssm,
}

/// One object.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its namespace.
    pub namespace: String,
    /// Its name, and that of its Secret.
    pub name: String,
    /// The key in the Secret and the reference behind it.
    pub entries: Vec<(&'static str, String)>,
}

/// Objects of one kind.
#[derive(Debug, Clone)]
pub struct Population {
    /// The objects.
    pub members: Vec<Member>,
    /// Where their values are.
    pub store: Store,
    /// How often they are read, as in a spec.
    pub interval: &'static str,
}

// === impl Store ===

impl Store {
    /// The object's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::Oos => "oos",
            Self::Ssm => "ssm",
        }
    }

    /// The region that is read.
    pub fn region(self) -> &'static str {
        match self {
            Self::Kms | Self::Oos => "cn-hangzhou",
            Self::Ssm => "ap-guangzhou",
        }
    }
}

// === impl Member ===

impl Member {
    /// The object's namespace and name.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What its Secret holds where some references have another value than their first.
    pub fn data(&self, changed: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let value = |reference: &String| {
            let changed = changed.get(reference).cloned();
            changed.unwrap_or_else(|| first_value(reference))
        };
        let entries = self.entries.iter();
        entries
            .map(|(key, reference)| ((*key).to_owned(), value(reference)))
            .collect()
    }
}

// === impl Population ===

impl Population {
    /// Objects of four keys, each of which names a reference of its own.
    pub fn distinct(prefix: &str, store: Store, objects: usize, interval: &'static str) -> Self {
        Self::new(prefix, store, objects, interval, |name| {
            let reference = |key: &&'static str| (*key, reference(store, &format!("{name}/{key}")));
            KEYS.iter().map(reference).collect()
        })
    }

    /// Objects of one key, which all name the same reference.
    pub fn shared(prefix: &str, store: Store, objects: usize, interval: &'static str) -> Self {
        let one = reference(store, prefix);
        Self::new(prefix, store, objects, interval, |_| {
            vec![(KEYS[0], one.clone())]
        })
    }

    fn new(
        prefix: &str,
        store: Store,
        objects: usize,
        interval: &'static str,
        entries: impl Fn(&str) -> Vec<(&'static str, String)>,
    ) -> Self {
        let member = |number: usize| {
            let name = format!("{prefix}-{number:05}");
            Member {
                namespace: namespace(number % NAMESPACES),
                entries: entries(&name),
                name,
            }
        };
        Self {
            members: (0..objects).map(member).collect(),
            store,
            interval,
        }
    }

    /// The object of a member.
    pub fn object(&self, member: &Member) -> Value {
        let entry = |(key, reference): &(&str, String)| json!({ "secretKey": key, "remoteRef": { "key": reference } });
        json!({
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "ExternalCloudSecret",
            "metadata": { "name": member.name, "namespace": member.namespace },
            "spec": {
                "secretStoreRef": { "kind": "ClusterCloudSecretStore", "name": self.store.name() },
                "refreshInterval": self.interval,
                "data": member.entries.iter().map(entry).collect::<Vec<_>>(),
            },
        })
    }

    /// What the cloud holds at the start, each reference once.
    pub fn values(&self) -> BTreeMap<&str, String> {
        let entries = self.members.iter().flat_map(|member| &member.entries);
        entries
            .map(|(_, reference)| (&**reference, first_value(reference)))
            .collect()
    }

    /// So many members, spread evenly.
    pub fn sample(&self, count: usize) -> impl Iterator<Item = &Member> {
        let step = (self.members.len() / count.max(1)).max(1);
        self.members.iter().step_by(step).take(count)
    }
}

/// The name of a tenant's namespace.
pub fn namespace(number: usize) -> String {
    format!("tenant-{number}")
}

/// What a reference holds at first. It is recognisable wherever it should not be.
fn first_value(reference: &str) -> String {
    format!("canary-1-of-{reference}")
}

/// What a reference holds after a change.
pub fn second_value(reference: &str) -> String {
    format!("canary-2-of-{reference}")
}

fn reference(store: Store, name: &str) -> String {
    match store {
        Store::Kms => format!("bench/{name}"),
        Store::Oos => format!("/bench/{name}"),
        // Its names have no hierarchy.
        Store::Ssm => format!("bench-{}", name.replace('/', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_objects_name_four_references_each_and_shared_ones_one_together() {
        let distinct = Population::distinct("a", Store::Kms, 25, "1h");
        assert_eq!(distinct.values().len(), 100);
        let namespaces: std::collections::BTreeSet<_> =
            distinct.members.iter().map(|m| &m.namespace).collect();
        assert_eq!(namespaces.len(), NAMESPACES);
        let shared = Population::shared("b", Store::Kms, 25, "1h");
        assert_eq!(shared.values().len(), 1);
    }

    #[test]
    fn a_changed_reference_changes_one_key_of_its_member() {
        let population = Population::distinct("a", Store::Oos, 1, "1h");
        let member = &population.members[0];
        let (key, reference) = &member.entries[1];
        let changed = BTreeMap::from([(reference.clone(), second_value(reference))]);
        let (before, after) = (member.data(&BTreeMap::new()), member.data(&changed));
        let differing: Vec<_> = before.keys().filter(|k| before[*k] != after[*k]).collect();
        assert_eq!(differing, [key]);
    }

    #[test]
    fn a_sample_is_spread_over_all_and_never_larger_than_asked() {
        let population = Population::distinct("a", Store::Kms, 1_000, "1h");
        let sample: Vec<_> = population.sample(100).collect();
        assert_eq!(sample.len(), 100);
        assert_eq!(sample[99].name, "a-00990");
        assert_eq!(
            Population::distinct("a", Store::Kms, 5, "1h")
                .sample(100)
                .count(),
            5
        );
    }
}
