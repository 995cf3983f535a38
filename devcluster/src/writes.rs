//! The write requests that an API server has counted.

use crate::bootstrap::get;
use crate::cluster::Cluster;
use crate::error::Error;
use std::collections::BTreeMap;
use std::fmt;

const VERBS: [&str; 6] = [
    "POST",
    "PUT",
    "PATCH",
    "APPLY",
    "DELETE",
    "DELETECOLLECTION",
];

/// What one count is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// The API server's verb: `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE` or `DELETECOLLECTION`.
    pub verb: String,
    /// The resource, with its subresource: `secrets`, `serviceaccounts/token`.
    pub resource: String,
    /// The HTTP status code of the answer.
    pub code: String,
}

/// Counts of write requests, refused ones included, since the API server started. Leases are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    counts: BTreeMap<Write, u64>,
}

// === impl Writes ===

impl Writes {
    /// Reads the counts from the text of the API server's `/metrics`.
    pub fn parse(metrics: &str) -> Self {
        let mut counts = BTreeMap::new();
        for line in metrics.lines() {
            let Some((labels, value)) = line
                .strip_prefix("apiserver_request_total{")
                .and_then(|rest| rest.rsplit_once("} "))
            else {
                continue;
            };
            // None of these labels can hold a comma or a quotation mark.
            let label = |name: &str| {
                labels.split(',').find_map(|pair| {
                    pair.strip_prefix(name)?
                        .strip_prefix("=\"")?
                        .strip_suffix('"')
                })
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else {
                continue;
            };
            if !VERBS.contains(&verb) || resource == "leases" {
                continue;
            }
            let resource = match label("subresource") {
                None | Some("") => resource.to_owned(),
                Some(subresource) => format!("{resource}/{subresource}"),
            };
            let write = Write {
                verb: verb.to_owned(),
                resource,
                code: label("code").unwrap_or_default().to_owned(),
            };
            *counts.entry(write).or_default() += count(value);
        }
        Self { counts }
    }

    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let added = |(write, count): (&Write, &u64)| {
            let added =
                count.saturating_sub(earlier.counts.get(write).copied().unwrap_or_default());
            (added > 0).then(|| (write.clone(), added))
        };
        Self {
            counts: self.counts.iter().filter_map(added).collect(),
        }
    }

    /// Without some resources, named as in [`Write::resource`].
    #[must_use]
    pub fn without(&self, resources: &[&str]) -> Self {
        let keep = |write: &Write| !resources.contains(&write.resource.as_str());
        Self {
            counts: self
                .counts
                .iter()
                .filter(|(write, _)| keep(write))
                .map(|(w, c)| (w.clone(), *c))
                .collect(),
        }
    }

    /// The writes to one resource, named as in [`Write::resource`].
    pub fn of(&self, resource: &str) -> u64 {
        self.counts
            .iter()
            .filter(|(write, _)| write.resource == resource)
            .map(|(_, count)| count)
            .sum()
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Each count.
    pub fn iter(&self) -> impl Iterator<Item = (&Write, u64)> {
        self.counts.iter().map(|(write, count)| (write, *count))
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (write, count)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(
                f,
                "{separator}{count} {} {} ({})",
                write.verb, write.resource, write.code
            )?;
        }
        Ok(())
    }
}

// Prometheus prints large whole numbers as `1.234567e+06`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter is whole and not negative"
)]
fn count(value: &str) -> u64 {
    value.trim().parse::<f64>().map_or(0, |value| value as u64)
}

// === impl Cluster ===

impl Cluster {
    /// The write requests that the API server has counted so far, by whoever made them.
    ///
    /// A test that asserts "no write" needs a cluster of its own, or a filter by resource.
    pub async fn writes(&self) -> Result<Writes, Error> {
        Ok(Writes::parse(&get(&self.client()?, "/metrics").await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"
# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 7
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="serviceaccounts",scope="resource",subresource="token",verb="POST",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 1.5e+06
"#;

    #[test]
    fn only_writes_that_are_not_leases_are_counted() {
        let writes = Writes::parse(METRICS);
        assert_eq!(writes.total(), 5);
        assert_eq!(writes.of("secrets"), 3);
        assert_eq!(writes.of("serviceaccounts/token"), 2);
        assert_eq!(
            writes.without(&["secrets"]).to_string(),
            "2 POST serviceaccounts/token (201)"
        );
    }

    #[test]
    fn a_difference_holds_only_what_was_added() {
        let earlier = Writes::parse(METRICS);
        let later = Writes::parse(&METRICS.replace("} 3", "} 4"));
        assert_eq!(later.since(&earlier).total(), 1);
        assert_eq!(earlier.since(&earlier).to_string(), "");
    }
}
