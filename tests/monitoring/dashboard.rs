//! The dashboard's queries, and the rules, in the Prometheus that scraped the operator.

use devcluster::Binary;
use external_cloud_secrets::metrics::FAMILIES;
use serde_json::{Value, json};

use super::chart::helm::{Helm, find};
use super::recording::recording;
use super::server::JOB;

/// The dashboard, as Grafana gets it.
async fn dashboard() -> Value {
    let dashboard = json!({ "enabled": true, "annotations": { "folder": "Platform" } });
    let values = json!({ "metrics": { "dashboard": dashboard } });
    let objects = Helm::new(Binary::Helm4).await.objects(&values);
    let map = find(&objects, "ConfigMap", "").unwrap();
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"]["folder"], "Platform");
    let text = map["data"]["external-cloud-secrets.json"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}

/// The queries by their panels' titles.
fn queries(dashboard: &Value) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            found.push((
                panel["title"].as_str().unwrap(),
                target["expr"].as_str().unwrap(),
            ));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_has_an_answer() {
    let seen = recording().await;
    let dashboard = dashboard().await;
    let queries = queries(&dashboard);
    assert!(queries.len() > 20, "{}", queries.len());
    let (start, end) = (seen.start.to_string(), seen.end.to_string());
    for (title, query) in queries {
        let query = query
            .replace("$job", JOB)
            .replace("$__rate_interval", "10s");
        assert!(!query.contains('$'), "{title}: {query}");
        let range = [
            ("query", &*query),
            ("start", &start),
            ("end", &end),
            ("step", "0.5"),
        ];
        let found = seen.server.data("query_range", &range).await["result"].clone();
        let samples = found.as_array().unwrap().iter();
        let samples = samples.flat_map(|series| series["values"].as_array().unwrap());
        let numbers = samples.filter(|sample| sample[1] != "NaN").count();
        assert!(numbers > 0, "{title}: {query} has no answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variable_of_the_dashboard_finds_the_job() {
    let seen = recording().await;
    let dashboard = dashboard().await;
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let queries = variables.iter().filter(|one| one["type"] == "query");
    let queries: Vec<&Value> = queries.map(|one| &one["query"]).collect();
    assert_eq!(queries.len(), 1, "{queries:?}");
    // Grafana's own function, which asks for the values of a label in series.
    let text = queries[0]
        .as_str()
        .or(queries[0]["query"].as_str())
        .unwrap();
    let arguments = text
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'));
    let (series, label) = arguments.unwrap().rsplit_once(',').unwrap();
    let (start, end) = (seen.start.to_string(), seen.end.to_string());
    let within = [("match[]", series), ("start", &start), ("end", &end)];
    let path = format!("label/{}/values", label.trim());
    let found = seen.server.data(&path, &within).await;
    assert!(found.as_array().unwrap().contains(&json!(JOB)), "{found}");
}

#[tokio::test]
async fn every_family_is_on_the_dashboard() {
    let dashboard = dashboard().await;
    let queries: String = queries(&dashboard)
        .iter()
        .map(|(_, query)| *query)
        .collect();
    let absent: Vec<&str> = FAMILIES
        .iter()
        .map(|family| family.name)
        .filter(|name| !queries.contains(name))
        .collect();
    assert_eq!(absent, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_the_rules_and_the_labels_of_objects_are_their_own() {
    let seen = recording().await;
    let groups = seen.server.data("rules", &[]).await["groups"].clone();
    let rules = groups[0]["rules"].as_array().unwrap();
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    // What stood in the object's own place is found there, and not in the operator's.
    let end = seen.end.to_string();
    let window = format!("{}s", seen.end - seen.start);
    for (namespace, found) in [(&*seen.namespace, true), ("secrets-system", false)] {
        let series = format!("cloudsecrets_object_unhealthy{{namespace=\"{namespace}\"}}");
        let window = window.split('.').next().unwrap();
        let query = format!("last_over_time({series}[{window}s])");
        let query = [("query", &*query), ("time", &end)];
        let answer = seen.server.data("query", &query).await["result"].clone();
        assert_eq!(!answer.as_array().unwrap().is_empty(), found, "{namespace}");
    }
}
