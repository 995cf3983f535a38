//! Every alert says how bad it is and links to an entry of `docs/alerts.md`, which has no others.

use serde_json::{Value, json};

use devcluster::Binary;

use super::chart::generated::{read, root};
use super::chart::helm::{Helm, find};
use super::server::Monitoring;

#[tokio::test]
async fn every_alert_has_its_entry_and_every_entry_its_alert() {
    let page = read(&root().join("docs/alerts.md"));
    let entries: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|title| title.starts_with("CloudSecrets"))
        .collect();
    let monitoring = Monitoring::of_the_chart().await;
    let names = monitoring
        .alerts()
        .map(|rule| rule["alert"].as_str().unwrap());
    assert_eq!(entries, names.collect::<Vec<_>>());
    for rule in monitoring.alerts() {
        let name = rule["alert"].as_str().unwrap();
        let link = format!("docs/alerts.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], link);
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["warning", "critical"].contains(&severity), "{name}");
        for part in ["summary", "description"] {
            assert!(rule["annotations"][part].is_string(), "{name}: {part}");
        }
    }
}

#[tokio::test]
async fn the_values_reach_the_rules() {
    let rule = json!({
        "enabled": true, "alertLabels": { "team": "platform" }, "selector": "cluster=\"c\"", "notFreshFor": "3h",
        "overdueSeconds": 7, "runbookUrl": "https://runbooks.example.com/xcs",
    });
    let values = json!({ "metrics": { "prometheusRule": rule } });
    let objects = Helm::new(Binary::Helm4).await.objects(&values);
    let rules = &find(&objects, "PrometheusRule", "").unwrap()["spec"]["groups"][0]["rules"];
    let rules = rules.as_array().unwrap();
    let of = |name: &str| rules.iter().find(|rule| rule["alert"] == name).unwrap();
    assert_eq!(of("CloudSecretsObjectNotFresh")["for"], "3h");
    assert_eq!(
        of("CloudSecretsRefreshesOverdue")["expr"],
        "max(cloudsecrets_hub_oldest_overdue_seconds{cluster=\"c\"}) > 7"
    );
    let bare = |rule: &Value| {
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        rule["labels"]["team"] == "platform"
            && rule["labels"]["severity"].is_string()
            && !rule["expr"].to_string().contains("job=")
            && url.starts_with("https://runbooks.example.com/xcs#")
    };
    assert!(rules.iter().all(bare), "{rules:?}");
}
