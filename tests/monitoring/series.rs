//! What was scraped in a row of states, as the input of `promtool test rules`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::server::JOB;

/// One page of metrics, as one replica served it.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// The replica.
    pub pod: String,
    /// The page.
    pub text: String,
}

/// What was scraped of all replicas in one state.
pub type State = Vec<Scrape>;

/// The samples of a page by their series, with the labels that Prometheus adds.
fn samples(scrape: &Scrape) -> impl Iterator<Item = (String, f64)> + '_ {
    let lines = scrape.text.lines();
    // Buckets are many, and no alert is about them.
    let wanted = |line: &&str| line.starts_with("cloudsecrets_") && !line.contains("_bucket{");
    lines.filter(wanted).map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (labelled(series, &scrape.pod), value.parse().unwrap())
    })
}

/// A series with its target's labels, of which its own take the place (`honorLabels`) even where they are empty.
fn labelled(series: &str, pod: &str) -> String {
    let (name, own) = series.split_once('{').unwrap_or((series, "}"));
    let own = own.strip_suffix('}').unwrap();
    let own = own.trim_end_matches('"').split("\",");
    let own: Vec<(&str, &str)> = own.filter_map(|label| label.split_once("=\"")).collect();
    let has_namespace = own.iter().any(|(name, _)| *name == "namespace");
    let target = [
        ("job", JOB),
        ("pod", pod),
        (
            "namespace",
            if has_namespace { "" } else { "secrets-system" },
        ),
    ];
    let all = own.iter().chain(&target);
    let all: Vec<String> = all
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    format!("{name}{{{}}}", all.join(","))
}

/// The series of these states, each of which lasts so many minutes, with a sample a minute.
///
/// The clock of `promtool` begins at 0 and that of the scrapes at `start`, so times are shifted by that.
pub fn input(states: &[(&State, usize)], start: f64) -> Vec<Value> {
    let minutes = states
        .iter()
        .flat_map(|(state, minutes)| std::iter::repeat_n(*state, *minutes));
    let minutes: Vec<BTreeMap<String, f64>> = minutes
        .map(|state| state.iter().flat_map(samples).collect())
        .collect();
    let names: BTreeSet<&String> = minutes.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .map(|name| {
            let shift = if name.contains("_timestamp_seconds{") {
                start
            } else {
                0.0
            };
            let mut before = None;
            let values: Vec<String> = minutes
                .iter()
                .map(|samples| {
                    let now = samples.get(name).map(|value| value - shift);
                    let text = match (before, now) {
                        (_, Some(value)) => value.to_string(),
                        // As Prometheus marks a series that a scrape no longer has.
                        (Some(_), None) => "stale".to_owned(),
                        (None, None) => "_".to_owned(),
                    };
                    before = now;
                    text
                })
                .collect();
            json!({ "series": name, "values": values.join(" ") })
        })
        .collect()
}

#[test]
fn a_series_has_its_targets_labels_unless_it_has_its_own() {
    for (series, expected) in [
        (
            "cloudsecrets_leader",
            r#"cloudsecrets_leader{job="external-cloud-secrets",pod="p",namespace="secrets-system"}"#,
        ),
        (
            r#"x{kind="a",namespace="shop"}"#,
            r#"x{kind="a",namespace="shop",job="external-cloud-secrets",pod="p"}"#,
        ),
        (
            r#"x{kind="a",namespace="",reason="r"}"#,
            r#"x{kind="a",reason="r",job="external-cloud-secrets",pod="p"}"#,
        ),
    ] {
        assert_eq!(labelled(series, "p"), expected);
    }
}

#[test]
fn a_series_that_ends_is_marked_as_such_and_times_are_shifted() {
    let page = |text: &str| {
        let (pod, text) = ("p".to_owned(), text.to_owned());
        vec![Scrape { pod, text }]
    };
    let (first, second) = (
        page("cloudsecrets_expiry_timestamp_seconds 110\n"),
        page("cloudsecrets_leader 1\n"),
    );
    let values: Vec<_> = input(&[(&first, 1), (&second, 2)], 100.0)
        .iter()
        .map(|series| series["values"].clone())
        .collect();
    assert_eq!(values, ["10 stale _", "_ 1 1"]);
}
