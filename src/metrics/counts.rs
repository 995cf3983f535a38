//! Counts of objects, made anew at each scrape.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Metrics;

/// What the caches hold at the moment of a scrape.
pub trait Census: Send + Sync {
    /// Counts the objects into `objects`.
    fn count(&self, objects: &mut Counts<'_>);
}

/// Where a [`Census`] counts to.
pub struct Counts<'a> {
    metrics: &'a Metrics,
    /// Series of objects that are not healthy, by kind: many objects take no place of their store, whose outage explains them.
    unhealthy: HashMap<String, usize>,
    stores: usize,
}

/// The most series of the objects of one kind that are not healthy.
const MOST_UNHEALTHY: usize = 1_000;

/// The most series of the stores that these read through.
const MOST_STORES: usize = 4_000;

// === impl Counts ===

impl<'a> Counts<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            unhealthy: HashMap::new(),
            stores: 0,
        }
    }

    /// Counts one condition of one object, and says whether the object has a series of its own for it.
    pub fn condition(
        &mut self,
        kind: &str,
        (namespace, name): (&str, &str),
        condition: &str,
        status: &str,
        reason: &str,
    ) -> bool {
        let metrics = self.metrics;
        metrics
            .objects
            .with_label_values(&[kind, namespace, condition, status, reason])
            .inc();
        if status == "True" || !matches!(condition, "Ready" | "Fresh" | "Reachable") {
            return false;
        }
        let series = self.unhealthy.entry(kind.to_owned()).or_default();
        if *series >= MOST_UNHEALTHY {
            return false;
        }
        *series += 1;
        let labels = [kind, namespace, name, condition, reason];
        metrics.unhealthy.with_label_values(&labels).set(1);
        true
    }

    /// Tells of a store, as `KIND/NAMESPACE/NAME`, that an object with such a series reads through.
    pub fn reads_through(&mut self, (namespace, name): (&str, &str), store: &str) {
        if self.stores < MOST_STORES {
            self.stores += 1;
            let stores = &self.metrics.unhealthy_stores;
            stores.with_label_values(&[namespace, name, store]).set(1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::HubFigures;

    #[test]
    fn unhealthy_objects_are_bounded_and_go_with_the_object() {
        struct Objects(usize);
        impl Census for Objects {
            fn count(&self, counts: &mut Counts<'_>) {
                for i in 0..self.0 {
                    let place = ("shop", &*format!("o{i}"));
                    counts.condition("ExternalCloudSecret", place, "Fresh", "False", "Throttled");
                }
            }
        }
        let metrics = Metrics::new().unwrap();
        let series = |objects: usize| {
            let text = metrics
                .render(true, HubFigures::default(), &[&Objects(objects)])
                .unwrap();
            let text = String::from_utf8(text).unwrap();
            text.lines()
                .filter(|line| line.starts_with("cloudsecrets_object_unhealthy{"))
                .count()
        };
        assert_eq!(series(5_000), MOST_UNHEALTHY);
        assert_eq!(series(1), 1);
        assert_eq!(series(0), 0);
    }

    #[test]
    fn a_store_has_its_series_however_many_objects_its_outage_strikes() {
        struct Outage;
        impl Census for Outage {
            fn count(&self, counts: &mut Counts<'_>) {
                let mut count = |kind: &str, name: &str, condition: &str| {
                    let place = ("shop", name);
                    if counts.condition(kind, place, condition, "False", "ProviderUnavailable") {
                        counts.reads_through(place, "CloudSecretStore/shop/far");
                    }
                };
                for i in 0..5_000 {
                    count("ExternalCloudSecret", &format!("o{i}"), "Fresh");
                }
                count("CloudSecretStore", "far", "Reachable");
            }
        }
        let metrics = Metrics::new().unwrap();
        let text = metrics.render(true, HubFigures::default(), &[&Outage]);
        let text = String::from_utf8(text.unwrap()).unwrap();
        assert!(text.contains(r#"{condition="Reachable",kind="CloudSecretStore",name="far""#));
        let links = text
            .lines()
            .filter(|line| line.starts_with("cloudsecrets_unhealthy_object_stores{"));
        // One for each that has a series: the 1000 objects and, here, the store.
        assert_eq!(links.count(), MOST_UNHEALTHY + 1);
    }
}
