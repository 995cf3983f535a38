//! README from the installation to the first Secret, and what one looks at afterwards.

use serde_json::{Value, json};

use super::end_to_end::wait::{SOON, until};
use super::newcomer::{HOME, Newcomer};
use super::pages::{Page, console};

/// The words of a line but for ages, which nobody foretells.
fn without_ages(line: &str) -> Vec<&str> {
    let is_age = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    line.split_whitespace()
        .filter(|word| !is_age(word))
        .collect()
}

/// The definitions of the Prometheus Operator's kinds, as far as they are there.
fn monitoring() -> Vec<Value> {
    let kinds = [
        ("PodMonitor", "podmonitors"),
        ("PrometheusRule", "prometheusrules"),
    ];
    let definition = |(kind, plural): (&str, &str)| {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let version = json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.monitoring.coreos.com") },
            "spec": {
                "group": "monitoring.coreos.com", "scope": "Namespaced", "versions": [version],
                "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
            },
        })
    };
    kinds.map(definition).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_secret_arrives_as_the_pages_say() {
    let newcomer = Newcomer::new().await;
    let readme = Page::read("README.md");
    let [install] = readme.all_commands("Install");
    newcomer.types(install).await;
    let operator = newcomer.operator("operator").await;

    let first = "A first Secret on ACK";
    newcomer
        .applies(readme.manifests_below(|heading| heading == first))
        .await;
    let fresh = "kubectl -n shop wait --for=condition=Fresh xcs/db --timeout=60s";
    newcomer.types(fresh).await;
    let [look] = readme.all_commands("A first Secret on ACK");
    let [(get, shown), (describe, nothing)] = &console(look)[..] else {
        panic!("{look}")
    };
    let printed = newcomer.types(get).await;
    let printed: Vec<Vec<&str>> = printed.lines().map(without_ages).collect();
    let shown: Vec<Vec<&str>> = shown.iter().map(|line| without_ages(line)).collect();
    assert_eq!(printed, shown);
    assert!(nothing.is_empty());
    let described = newcomer.types(describe).await;
    for key in ["password:", "user:"] {
        assert!(described.contains(key), "{described}");
    }

    let [annotate] = readme.all_commands("Status");
    newcomer.types(annotate).await;
    let object = ["-n", "shop", "get", "xcs", "db"];
    until("the refresh that was asked for", SOON, async || {
        let object = newcomer.kubectl.json(&object).await;
        let asked = &object["metadata"]["annotations"]["cloudsecrets.dev/refresh"];
        let done = asked.is_string() && object["status"]["lastHandledRefresh"] == *asked;
        if done { Ok(()) } else { Err(object) }
    })
    .await;

    let page = Page::read("docs/troubleshooting.md");
    let [look, refresh] = page.all_commands("Troubleshooting");
    let ours = [("NAMESPACE", "shop"), ("NAME", "db")];
    let seen = newcomer.types(&page.replaced(look, &ours)).await;
    for part in ["hangzhou", "Refreshed", "Last Handled Refresh"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    newcomer.types(&page.replaced(refresh, &ours)).await;

    newcomer.applies(monitoring()).await;
    newcomer
        .types("kubectl wait --for=condition=Established crd --all --timeout=60s")
        .await;
    let page = Page::read("docs/alerts.md");
    let [monitor] = page.all_commands("Alerts and the dashboard");
    newcomer.types(monitor).await;
    let words = [
        "-n",
        HOME,
        "get",
        "podmonitor,prometheusrule,configmap",
        "-o",
        "name",
    ];
    let made = newcomer.kubectl.print(&words).await;
    for kind in [
        "podmonitor.",
        "prometheusrule.",
        "configmap/external-cloud-secrets",
    ] {
        assert!(made.contains(kind), "{made}");
    }
    operator.stop();
}
