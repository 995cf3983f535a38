//! All metric families, in one table that the documentation is compared with.

mod counts;
mod places;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::provider::{Class, Notice};
use crate::refresh::{CallObserver, HubFigures};

pub use counts::{Census, Counted, Counts};

/// One metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The full name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The labels, in order.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Builds a [`Family`] a line.
macro_rules! families {
    ($($constant:ident $kind:literal $name:literal [$($label:literal),*] $help:literal)*) => {
        $(const $constant: Family =
            Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*
        /// Every family of this operator, apart from the `process_*` ones.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    BUILD "gauge" "cloudsecrets_build_info" ["version"] "The version that runs; always 1."
    LEADER "gauge" "cloudsecrets_leader" [] "1 while this process leads, 0 while it stands by."
    REFERENCES "gauge" "cloudsecrets_hub_references" [] "Distinct remote references that are kept fresh."
    DUE "gauge" "cloudsecrets_hub_due" [] "References that are due or wanted and were not sent yet."
    OVERDUE "gauge" "cloudsecrets_hub_oldest_overdue_seconds" [] "How long the oldest due reference has been waiting."
    HELD "gauge" "cloudsecrets_hub_value_bytes" [] "Bytes of fetched values that wait to be applied."
    PARKED "gauge" "cloudsecrets_hub_parked_identities" [] "Identities that failed and are probed."
    OUTAGES "gauge" "cloudsecrets_hub_outages" [] "Endpoints that answer nobody and are called now and then until they do."
    SLOWED "gauge" "cloudsecrets_hub_slowed_budgets" [] "Budgets of an account that are below its share, because the cloud asked for fewer calls."
    CALLS "counter" "cloudsecrets_cloud_calls_total" ["provider", "action", "class"] "Calls to clouds by how they ended; class is `ok` or an error class."
    CALL_SECONDS "histogram" "cloudsecrets_cloud_call_seconds" ["provider", "action"] "How long calls to clouds took."
    FALLBACKS "counter" "cloudsecrets_batch_fallbacks_total" ["provider"] "How often a batch call turned out not to work and single reads took its place."
    CLOCKS "counter" "cloudsecrets_clock_corrections_total" ["provider"] "How often calls were dated by the cloud's own time, because the clock here is off."
    RENEWALS "counter" "cloudsecrets_credential_renewals_total" ["source", "class"] "Credential exchanges by source and how they ended."
    SECRET_WRITES "counter" "cloudsecrets_secret_writes_total" ["fate"] "Writes of Secrets: created, updated, annotated, deleted, refused or failed."
    STATUS_WRITES "counter" "cloudsecrets_status_writes_total" ["kind", "fate"] "Writes of status: written or failed."
    RECONCILES "counter" "cloudsecrets_reconciles_total" ["kind", "result"] "Reconciles: done, waiting for the cloud, held up by a busy API server, failed, timed out or panicked."
    PRESSURE "counter" "cloudsecrets_api_refusals_total" [] "Writes that the API server refused because it had too many requests (429)."
    AUTHORITIES "gauge" "cloudsecrets_authority_expiry_timestamp_seconds" ["authority"] "When the first certificate of a private authority expires that endpoints are verified by: a region's of dedicated KMS instances, or a store's own by its digest; seconds since 1970."
    EVENTS "counter" "cloudsecrets_events_total" ["fate"] "Kubernetes events: published, failed or dropped because there were too many."
    OBJECTS "gauge" "cloudsecrets_objects" ["kind", "namespace", "condition", "status", "reason"] "Objects by condition."
    UNHEALTHY "gauge" "cloudsecrets_object_unhealthy" ["kind", "namespace", "name", "condition", "reason"] "1 for each object whose Ready, Fresh or Reachable condition is not true, unless it is suspended; of at most 1000 objects of a kind, gone with the object."
    UNHEALTHY_STORES "gauge" "cloudsecrets_unhealthy_object_stores" ["namespace", "name", "store"] "1 for each store, as `KIND/NAMESPACE/NAME`, that an object of `cloudsecrets_object_unhealthy` reads through; at most 8 of an object, first those that are not healthy."
    OMITTED "gauge" "cloudsecrets_object_unhealthy_omitted" ["kind", "namespace"] "Objects that are not in `cloudsecrets_object_unhealthy` because there are too many, less those that read through a store that is not healthy."
    UNDECODABLE "gauge" "cloudsecrets_undecodable_objects" ["kind"] "Objects in the cluster that cannot be decoded and are left alone."
}

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    scrape: Mutex<()>,
    leader: Gauge,
    references: Gauge,
    due: Gauge,
    overdue: Gauge,
    held: Gauge,
    parked: Gauge,
    outages: Gauge,
    slowed: Gauge,
    calls: IntCounterVec,
    call_seconds: HistogramVec,
    fallbacks: IntCounterVec,
    clocks: IntCounterVec,
    renewals: IntCounterVec,
    secret_writes: IntCounterVec,
    status_writes: IntCounterVec,
    reconciles: IntCounterVec,
    pressure: IntCounterVec,
    authorities: IntGaugeVec,
    events: IntCounterVec,
    objects: IntGaugeVec,
    unhealthy: IntGaugeVec,
    unhealthy_stores: IntGaugeVec,
    omitted: IntGaugeVec,
    undecodable: IntGaugeVec,
}

/// The kinds that are reconciled.
const KINDS: [&str; 3] = [
    "ExternalCloudSecret",
    "CloudSecretStore",
    "ClusterCloudSecretStore",
];

// === impl Metrics ===

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// When two families have one name, which a test excludes.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build = int_gauges(&registry, BUILD)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let metrics = Self {
            scrape: Mutex::new(()),
            leader: gauge(&registry, LEADER)?,
            references: gauge(&registry, REFERENCES)?,
            due: gauge(&registry, DUE)?,
            overdue: gauge(&registry, OVERDUE)?,
            held: gauge(&registry, HELD)?,
            parked: gauge(&registry, PARKED)?,
            outages: gauge(&registry, OUTAGES)?,
            slowed: gauge(&registry, SLOWED)?,
            calls: counters(&registry, CALLS)?,
            call_seconds: histograms(&registry, CALL_SECONDS)?,
            fallbacks: counters(&registry, FALLBACKS)?,
            clocks: counters(&registry, CLOCKS)?,
            renewals: counters(&registry, RENEWALS)?,
            secret_writes: counters(&registry, SECRET_WRITES)?,
            status_writes: counters(&registry, STATUS_WRITES)?,
            reconciles: counters(&registry, RECONCILES)?,
            pressure: counters(&registry, PRESSURE)?,
            authorities: int_gauges(&registry, AUTHORITIES)?,
            events: counters(&registry, EVENTS)?,
            objects: int_gauges(&registry, OBJECTS)?,
            unhealthy: int_gauges(&registry, UNHEALTHY)?,
            unhealthy_stores: int_gauges(&registry, UNHEALTHY_STORES)?,
            omitted: int_gauges(&registry, OMITTED)?,
            undecodable: int_gauges(&registry, UNDECODABLE)?,
            registry,
        };
        // Shown from the start, so that the first one is seen to be one.
        metrics.fallbacks.with_label_values(&["kms"]);
        metrics.pressure.with_label_values::<&str>(&[]);
        for kind in KINDS {
            metrics.reconciles.with_label_values(&[kind, "panicked"]);
        }
        Ok(metrics)
    }

    /// The text of `/metrics`, for a process that leads or does not.
    ///
    /// # Errors
    /// When the text cannot be encoded.
    pub fn render(
        &self,
        leads: bool,
        hub: HubFigures,
        census: &[&dyn Census],
    ) -> prometheus::Result<Vec<u8>> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.leader.set(count(usize::from(leads)));
        self.references.set(count(hub.rows));
        self.due.set(count(hub.due));
        self.overdue.set(hub.oldest_overdue.as_secs_f64());
        self.held.set(count(hub.held_bytes));
        self.parked.set(count(hub.parked));
        self.outages.set(count(hub.outages));
        self.slowed.set(count(hub.slowed));
        for gauges in [
            &self.authorities,
            &self.objects,
            &self.unhealthy,
            &self.unhealthy_stores,
            &self.omitted,
            &self.undecodable,
        ] {
            gauges.reset();
        }
        let mut counts = Counts::new(self);
        for census in census {
            census.count(&mut counts);
        }
        counts.finish();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// A credential exchange of `source` ended.
    pub fn renewed(&self, source: &str, result: Result<(), Class>) {
        self.renewals
            .with_label_values(&[source, class_label(result.err())])
            .inc();
    }

    /// A write of a Secret ended.
    pub fn secret_written(&self, fate: &str) {
        self.secret_writes.with_label_values(&[fate]).inc();
    }

    /// A write of a status ended.
    pub fn status_written(&self, kind: &str, fate: &str) {
        self.status_writes.with_label_values(&[kind, fate]).inc();
    }

    /// A reconcile ended.
    pub fn reconciled(&self, kind: &str, result: &str) {
        self.reconciles.with_label_values(&[kind, result]).inc();
    }

    /// The API server refused a write because it had too many requests.
    pub fn pressed(&self) {
        self.pressure.with_label_values::<&str>(&[]).inc();
    }

    /// An event ended.
    pub fn event(&self, fate: &str) {
        self.events.with_label_values(&[fate]).inc();
    }
}

impl CallObserver for Metrics {
    fn called(&self, provider: &str, action: &str, class: Option<Class>, took: Duration) {
        self.calls
            .with_label_values(&[provider, action, class_label(class)])
            .inc();
        let seconds: Histogram = self.call_seconds.with_label_values(&[provider, action]);
        seconds.observe(took.as_secs_f64());
    }

    fn noticed(&self, provider: &str, notice: Notice) {
        let counter = match notice {
            Notice::BatchWithdrawn => &self.fallbacks,
            Notice::ClockOff => &self.clocks,
        };
        counter.with_label_values(&[provider]).inc();
    }
}

fn class_label(class: Option<Class>) -> &'static str {
    class.map_or("ok", Class::as_str)
}

fn opts(family: Family) -> Opts {
    Opts::new(family.name, family.help)
}

fn gauge(registry: &Registry, family: Family) -> prometheus::Result<Gauge> {
    let gauge = GaugeVec::new(opts(family), family.labels)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge.with_label_values::<&str>(&[]))
}

fn counters(registry: &Registry, family: Family) -> prometheus::Result<IntCounterVec> {
    let counters = IntCounterVec::new(opts(family), family.labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn int_gauges(registry: &Registry, family: Family) -> prometheus::Result<IntGaugeVec> {
    let gauges = IntGaugeVec::new(opts(family), family.labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn histograms(registry: &Registry, family: Family) -> prometheus::Result<HistogramVec> {
    let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let opts = HistogramOpts::from(opts(family)).buckets(buckets);
    let histograms = HistogramVec::new(opts, family.labels)?;
    registry.register(Box::new(histograms.clone()))?;
    Ok(histograms)
}

/// Counts of things fit a float without loss for all practical sizes.
#[allow(clippy::cast_precision_loss)]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_exactly_these_families() {
        let page = include_str!("../docs/metrics.md");
        let documented: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `cloudsecrets_"))
            .collect();
        let expected: Vec<String> = FAMILIES
            .iter()
            .map(|family| {
                let labels: Vec<String> = family
                    .labels
                    .iter()
                    .map(|label| format!("`{label}`"))
                    .collect();
                let labels = labels.join(", ");
                format!(
                    "| `{}` | {} | {labels} | {} |",
                    family.name, family.kind, family.help
                )
            })
            .collect();
        assert_eq!(
            documented, expected,
            "docs/metrics.md and src/metrics.rs differ"
        );
    }
}
