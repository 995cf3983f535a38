//! A real API server takes every object that is rendered, with each of its fields.

use std::collections::BTreeSet;

use devcluster::{Binary, Cluster, Options};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::end_to_end::wait::{SOON, until};
use super::generated::root;
use super::golden::sets;
use super::helm::{Helm, NAMESPACE, find};

async fn refusal(client: &kube::Client, object: &Value) -> Option<String> {
    let types: kube::core::TypeMeta = serde_json::from_value(object.clone()).unwrap();
    let gvk: GroupVersionKind = (&types).try_into().unwrap();
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("chart")
        .dry_run()
        .validation_strict()
        .force();
    let refused = api.patch(name, &params, &Patch::Apply(object)).await.err();
    refused.map(|error| format!("{} {name}: {error}", types.kind))
}

#[tokio::test]
async fn a_real_api_server_takes_every_object() {
    // Of our own: a cluster that exists may have other definitions of the Prometheus Operator's kinds.
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let monitors = root().join("tests/chart/prometheus-operator");
    cluster.apply_crd_dir(&monitors).await.unwrap();
    let client = cluster.client().unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in [NAMESPACE, "shop", "payments", "123", "null"] {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let params = PatchParams::apply("chart");
        let patch = Patch::Apply(&namespace);
        namespaces.patch(name, &params, &patch).await.unwrap();
    }
    let helm = Helm::new(Binary::Helm4).await;
    let mut refused = Vec::new();
    let mut tried = 0;
    let mut kinds = BTreeSet::new();
    for (set, values) in sets() {
        for object in helm.objects(&values) {
            tried += 1;
            kinds.insert(object["kind"].as_str().unwrap().to_owned());
            let refusal = refusal(&client, &object).await;
            refused.extend(refusal.map(|refusal| format!("{set}: {refusal}")));
        }
    }
    assert_eq!(refused, Vec::<String>::new());
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        assert!(kinds.contains(kind), "{kind} is in no set");
    }
    assert!(tried > 100, "{tried}");
}

#[tokio::test]
async fn the_pods_are_taken_where_only_restricted_ones_are() {
    let cluster = devcluster::shared().await;
    let client = cluster.client().unwrap();
    let namespace = cluster.namespace("restricted").await.unwrap();
    let enforce =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let params = PatchParams::default();
    let enforce = Patch::Merge(&enforce);
    let name = namespace.name();
    namespaces.patch(name, &params, &enforce).await.unwrap();
    // Whoever makes a Pod needs its ServiceAccount, which a controller makes.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace.name());
    until("the ServiceAccount default", SOON, async || {
        accounts.get("default").await
    })
    .await;
    let helm = Helm::new(Binary::Helm4).await;
    for (set, values) in sets() {
        let objects = helm.objects(&values);
        let template = find(&objects, "Deployment", "").unwrap()["spec"]["template"].clone();
        let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "spec": template["spec"] });
        pod["metadata"] = json!({ "name": "operator", "namespace": namespace.name() });
        pod["spec"]["serviceAccountName"] = "default".into();
        pod["spec"]
            .as_object_mut()
            .unwrap()
            .remove("priorityClassName");
        let refused = refusal(&client, &pod).await;
        // The one set that asks for the node's network gets what it asks for.
        let asks = values["hostNetwork"] == true;
        assert_eq!(refused.is_some(), asks, "{set}: {refused:?}");
    }
}
