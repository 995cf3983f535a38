//! Counts of objects, made anew at each scrape.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Metrics;
use super::places::Places;
use crate::api::condition::{FRESH, REACHABLE, READY, Reason};

/// What the caches hold at the moment of a scrape.
pub trait Census: Send + Sync {
    /// Counts the objects into `objects`.
    fn count(&self, objects: &mut Counts<'_>);
}

/// Where a [`Census`] counts to. Stores are counted before the objects that read through them.
pub struct Counts<'a> {
    metrics: &'a Metrics,
    /// Objects that are not healthy, by kind: many objects take no place of their store.
    unhealthy: HashMap<&'static str, Places<Rank, Unhealthy>>,
    /// Stores that are not healthy, as `KIND/NAMESPACE/NAME`.
    failing: HashSet<String>,
}

/// An object of any kind, as it is counted.
pub struct Counted<'a> {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace; empty for what has none.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What its status says.
    pub conditions: &'a [Condition],
}

/// Which objects of a namespace have a series before others. Those that have failed for longer go first, so that
/// none loses its series, and with it the time that its alert has waited, to one that fails anew.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// A store that it reads through fails, which has an alert in the place of the object's.
    explained: bool,
    since: Timestamp,
    name: String,
}

/// An object that is not healthy.
struct Unhealthy {
    /// The types and reasons of its conditions.
    conditions: Vec<(String, String)>,
    stores: Vec<String>,
}

/// The most objects of one kind that are shown not to be healthy.
const MOST_UNHEALTHY: usize = 1_000;

/// The most stores of one object that are shown.
const MOST_STORES: usize = 8;

// === impl Counts ===

impl<'a> Counts<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            unhealthy: HashMap::new(),
            failing: HashSet::new(),
        }
    }

    /// Counts an object that reads through `stores`, which are `KIND/NAMESPACE/NAME`.
    pub fn object(&mut self, object: &Counted<'_>, stores: impl FnOnce() -> Vec<String>) {
        let &Counted {
            kind,
            namespace,
            name,
            conditions,
        } = object;
        for Condition {
            type_,
            status,
            reason,
            ..
        } in conditions
        {
            let labels = [kind, namespace, type_, status, reason];
            self.metrics.objects.with_label_values(&labels).inc();
        }
        let suspended = Reason::Suspended.as_str();
        if conditions.iter().any(|one| one.reason == suspended) {
            return;
        }
        let wrong = conditions.iter().filter(|one| is_wrong(one));
        let Some(since) = wrong.clone().map(|one| one.last_transition_time.0).min() else {
            return;
        };
        if kind.ends_with("Store") {
            self.failing.insert(format!("{kind}/{namespace}/{name}"));
        }
        let mut stores = stores();
        stores.sort_by_cached_key(|store| !self.failing.contains(store));
        let rank = Rank {
            explained: stores
                .first()
                .is_some_and(|store| self.failing.contains(store)),
            since,
            name: name.to_owned(),
        };
        stores.truncate(MOST_STORES);
        let conditions = wrong.map(|one| (one.type_.clone(), one.reason.clone()));
        let conditions = conditions.collect();
        let unhealthy = Unhealthy { conditions, stores };
        let places = self.unhealthy.entry(kind);
        let places = places.or_insert_with(|| Places::new(MOST_UNHEALTHY));
        if let Some((namespace, rank)) = places.offer(namespace, rank, unhealthy)
            && !rank.explained
        {
            let labels = [kind, &*namespace];
            self.metrics.omitted.with_label_values(&labels).inc();
        }
    }

    /// Shows those that have a place.
    pub(super) fn finish(self) {
        let metrics = self.metrics;
        for (kind, places) in self.unhealthy {
            for (namespace, Rank { name, .. }, unhealthy) in places.into_all() {
                let (namespace, name) = (&*namespace, &*name);
                for (condition, reason) in &unhealthy.conditions {
                    let labels = [kind, namespace, name, condition, reason];
                    metrics.unhealthy.with_label_values(&labels).set(1);
                }
                for store in &unhealthy.stores {
                    let labels = [namespace, name, store];
                    metrics.unhealthy_stores.with_label_values(&labels).set(1);
                }
            }
        }
    }

    /// Tells when a private authority expires.
    pub fn authority(&mut self, name: &str, expiry: Timestamp) {
        let gauge = self.metrics.authorities.with_label_values(&[name]);
        gauge.set(expiry.as_second());
    }

    /// Counts an object that cannot be decoded.
    pub fn undecodable(&mut self, kind: &str) {
        self.metrics.undecodable.with_label_values(&[kind]).inc();
    }
}

/// Whether an alert may be about it.
fn is_wrong(condition: &Condition) -> bool {
    condition.status != "True" && [READY, FRESH, REACHABLE].contains(&&*condition.type_)
}

#[cfg(test)]
mod tests;
