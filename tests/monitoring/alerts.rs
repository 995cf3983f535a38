//! Each alert fires in the state that it tells of, after its time, and clears when that is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::recording::{Recording, recording};
use super::series::{State, input};
use super::server::{JOB, Monitoring};

/// How many minutes all is well before a state, and after it.
const BEFORE: usize = 10;
const AFTER: usize = 30;

/// An alert with its labels apart from `severity`.
type Alert = (&'static str, Vec<(&'static str, String)>);

/// A state, and what fires in it after how many minutes.
struct Case {
    state: &'static str,
    /// For how many minutes it lasts.
    lasts: usize,
    /// Series that are left out: to see what they are good for, or because they are many of a kind.
    without: Option<fn(&str) -> bool>,
    fires: Vec<(Alert, usize)>,
}

// === impl Case ===

impl Case {
    /// A state that lasts for two hours.
    fn of(state: &'static str, fires: Vec<(Alert, usize)>) -> Self {
        Self {
            state,
            lasts: 120,
            without: None,
            fires,
        }
    }
}

/// An alert about an object.
fn object(alert: &'static str, namespace: &str, name: &str) -> Alert {
    let labels = vec![
        ("namespace", namespace.to_owned()),
        ("name", name.to_owned()),
    ];
    (alert, labels)
}

/// An alert about a kind of objects.
fn kind(alert: &'static str) -> Alert {
    (alert, vec![("kind", "ExternalCloudSecret".to_owned())])
}

/// The name of the authority that expires.
fn authority(seen: &Recording) -> String {
    let page = &seen.states["expiring"][0].text;
    let family = "cloudsecrets_authority_expiry_timestamp_seconds{authority=\"";
    let rest = page.split(family).nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// What fires for an object whose key is not there.
fn typo(seen: &Recording) -> Vec<(Alert, usize)> {
    let here = |alert| object(alert, &seen.namespace, "typo");
    vec![
        (here("CloudSecretsObjectNotReady"), 10),
        (here("CloudSecretsObjectNotFresh"), 60),
    ]
}

/// A crowd of suspended objects elsewhere has no alerts, and takes none from the one that fails here.
fn suspended(seen: &Recording) -> Case {
    Case::of("suspended", typo(seen))
}

/// A crowd of objects elsewhere, some of which have no alert, takes none from the one that fails here.
fn crowded(seen: &Recording) -> Case {
    let (alert, mut labels) = kind("CloudSecretsObjectsWithoutAlert");
    labels.push(("namespace", seen.crowd.clone()));
    Case {
        without: Some(|series| series.contains("name=\"crowd-")),
        ..Case::of(
            "crowded",
            [typo(seen), vec![((alert, labels), 10)]].concat(),
        )
    }
}

/// What is to fire in which state.
fn cases(seen: &Recording) -> Vec<Case> {
    let here = |alert, name| object(alert, &seen.namespace, name);
    let store = |alert, name| -> Alert {
        let (_, mut labels) = here(alert, name);
        labels.push(("kind", "CloudSecretStore".to_owned()));
        (alert, labels)
    };
    let bare = |alert| -> Alert { (alert, Vec::new()) };
    let stale = "CloudSecretsObjectNotFresh";
    let shared = || -> Alert {
        let name = ("name", format!("{}-far", seen.namespace));
        let kind = ("kind", "ClusterCloudSecretStore".to_owned());
        ("CloudSecretsStoreUnreachable", vec![name, kind])
    };
    let out = || {
        vec![
            (store("CloudSecretsStoreUnreachable", "far"), 5),
            (shared(), 5),
            (here(stale, "db"), 60),
        ]
    };
    vec![
        Case::of("pair", vec![]),
        Case::of("not ready", typo(seen)),
        Case::of("not fresh", vec![(here(stale, "db"), 60)]),
        // A store's alert is in the place of those of its objects.
        Case::of(
            "store not ready",
            vec![(store("CloudSecretsStoreNotReady", "bare"), 10)],
        ),
        Case::of("out of reach", out()),
        Case {
            without: Some(|series| series.starts_with("cloudsecrets_unhealthy_object_stores")),
            ..Case::of(
                "out of reach",
                [
                    out(),
                    vec![(here(stale, "far-a"), 60), (here(stale, "far-b"), 60)],
                ]
                .concat(),
            )
        },
        suspended(seen),
        crowded(seen),
        Case::of(
            "parked",
            vec![
                (bare("CloudSecretsIdentitiesParked"), 15),
                (here(stale, "other"), 60),
            ],
        ),
        Case::of("overdue", vec![(bare("CloudSecretsRefreshesOverdue"), 5)]),
        Case::of(
            "expiring",
            vec![(
                (
                    "CloudSecretsAuthorityExpires",
                    vec![("authority", authority(seen))],
                ),
                60,
            )],
        ),
        Case::of(
            "throttled",
            vec![
                (bare("CloudSecretsBudgetsSlowed"), 60),
                (object(stale, &seen.throttled, "db"), 60),
            ],
        ),
        Case::of(
            "undecodable",
            vec![(kind("CloudSecretsUndecodableObjects"), 10)],
        ),
        Case::of("no leader", vec![(bare("CloudSecretsNoLeader"), 2)]),
        Case::of("many leaders", vec![(bare("CloudSecretsManyLeaders"), 2)]),
        Case::of(
            "down",
            vec![(
                ("CloudSecretsOperatorDown", vec![("job", JOB.to_owned())]),
                5,
            )],
        ),
        // It fires for as long as the increase is in its window.
        Case {
            lasts: 14,
            ..Case::of(
                "panicked",
                vec![(kind("CloudSecretsReconcilesPanicked"), 0)],
            )
        },
    ]
}

/// One test of `promtool` for a case: before each alert's time, at it, at the state's end and after it.
fn test(case: &Case, seen: &Recording, alerts: &BTreeMap<String, Value>) -> Value {
    let before = format!("before {}", case.state);
    let before = seen.states.get(&before).unwrap_or(&seen.states["healthy"]);
    let after = format!("after {}", case.state);
    let after = seen.states.get(&after).unwrap_or(&seen.states["healthy"]);
    let spans: [(&State, usize); 3] = [
        (before, BEFORE),
        (&seen.states[case.state], case.lasts),
        (after, AFTER),
    ];
    let mut series = input(&spans, seen.start);
    if let Some(without) = case.without {
        let all = series.len();
        series.retain(|one| !without(one["series"].as_str().unwrap()));
        assert!(series.len() < all, "all series are kept in {}", case.state);
    }
    let mut minutes = BTreeSet::from([
        BEFORE - 1,
        BEFORE + case.lasts - 1,
        BEFORE + case.lasts + AFTER - 1,
    ]);
    for (_, wait) in &case.fires {
        minutes.extend([BEFORE + wait - 1, BEFORE + wait]);
    }
    let mut checks = Vec::new();
    for minute in minutes {
        let on = (BEFORE..BEFORE + case.lasts).contains(&minute);
        for (name, rule) in alerts {
            let firing = case
                .fires
                .iter()
                .filter(|((alert, _), wait)| alert == name && on && minute >= BEFORE + wait);
            let expected: Vec<Value> = firing
                .map(|((_, labels), _)| expected(rule, labels))
                .collect();
            checks.push(json!({ "eval_time": format!("{minute}m"), "alertname": name, "exp_alerts": expected }));
        }
    }
    json!({ "name": case.state, "interval": "1m", "input_series": series, "alert_rule_test": checks })
}

/// What stands before a store's name: nothing for a cluster store.
const OF_NAMESPACE: &str = "{{ with $labels.namespace }}{{ . }}/{{ end }}";

/// A firing alert with these labels, as its rule says.
fn expected(rule: &Value, labels: &[(&str, String)]) -> Value {
    let mut all = rule["labels"].as_object().unwrap().clone();
    let mut annotations = rule["annotations"].to_string();
    for (name, value) in labels {
        all.insert((*name).to_owned(), value.clone().into());
        if *name == "namespace" {
            annotations = annotations.replace(OF_NAMESPACE, &format!("{value}/"));
        }
        annotations = annotations.replace(&format!("{{{{ $labels.{name} }}}}"), value);
    }
    annotations = annotations.replace(OF_NAMESPACE, "");
    assert!(
        !annotations.contains("{{"),
        "not every label is known: {annotations}"
    );
    let annotations: Value = serde_json::from_str(&annotations).unwrap();
    json!({ "exp_labels": all, "exp_annotations": annotations })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_fires_and_clears_on_what_an_operator_showed() {
    let seen = recording().await;
    let monitoring = Monitoring::of_the_chart().await;
    let named = |rule: &Value| (rule["alert"].as_str().unwrap().to_owned(), rule.clone());
    let alerts: BTreeMap<String, Value> = monitoring.alerts().map(named).collect();
    let cases = cases(seen);
    let fired: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| &case.fires)
        .map(|((name, _), _)| *name)
        .collect();
    assert!(
        fired.iter().copied().eq(alerts.keys().map(String::as_str)),
        "{fired:?}"
    );

    let dir = TempDir::new().unwrap();
    let rules = dir.path().join("rules.yml");
    fs::write(&rules, monitoring.rules.to_string()).unwrap();
    let tests: Vec<Value> = cases.iter().map(|case| test(case, seen, &alerts)).collect();
    let suite = json!({ "rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests });
    let path = dir.path().join("tests.yml");
    fs::write(&path, suite.to_string()).unwrap();
    let tool = devcluster::prometheus().await.unwrap().tool;
    for (verb, path) in [("check", &rules), ("test", &path)] {
        let output = Command::new(&tool)
            .args([verb, "rules"])
            .arg(path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {verb} rules: {said}");
    }
}
