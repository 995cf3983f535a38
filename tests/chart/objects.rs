//! Which objects each switch adds and takes away, and that it leaves the others as they are.

use std::collections::{BTreeMap, BTreeSet};

use devcluster::Binary;
use serde_json::{Value, json};

use super::helm::Helm;

/// The objects by kind, namespace and name.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |object: &Value| {
        let meta = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = text(&meta["namespace"]).replace(super::helm::NAMESPACE, "");
        let name = text(&meta["name"]).replacen("external-cloud-secrets", "xcs", 1);
        format!("{} {place}/{name}", text(&object["kind"]))
    };
    let named = objects.into_iter().map(|object| (name(&object), object));
    named.collect()
}

/// What is only in the first.
fn beyond(some: &BTreeMap<String, Value>, others: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let only = some.keys().filter(|name| !others.contains_key(*name));
    only.cloned().collect()
}

const BOUND: [&str; 4] = [
    "ClusterRole /xcs",
    "ClusterRoleBinding /xcs",
    "Role /xcs-own",
    "RoleBinding /xcs-own",
];
const AGGREGATED: [&str; 3] = [
    "ClusterRole /xcs-view",
    "ClusterRole /xcs-edit",
    "ClusterRole /xcs-admin",
];
const POLICIES: [&str; 4] = [
    "ValidatingAdmissionPolicy /xcs-tokens",
    "ValidatingAdmissionPolicyBinding /xcs-tokens",
    "ValidatingAdmissionPolicy /xcs-secrets",
    "ValidatingAdmissionPolicyBinding /xcs-secrets",
];
const PROTECT: [&str; 2] = [
    "ValidatingAdmissionPolicy /xcs-protect",
    "ValidatingAdmissionPolicyBinding /xcs-protect",
];
const DEFINITIONS: [&str; 3] = [
    "CustomResourceDefinition /externalcloudsecrets.cloudsecrets.dev",
    "CustomResourceDefinition /cloudsecretstores.cloudsecrets.dev",
    "CustomResourceDefinition /clustercloudsecretstores.cloudsecrets.dev",
];

#[tokio::test]
async fn a_switch_takes_its_objects_away_or_adds_them_and_leaves_the_others() {
    let roles = [&BOUND[..], &AGGREGATED].concat();
    let account = json!([{ "namespace": "shop", "name": "shop" }]);
    let table: &[(Value, &[&str], &[&str])] = &[
        (json!({ "rbac": { "create": false } }), &roles, &[]),
        (json!({ "rbac": { "aggregate": false } }), &AGGREGATED, &[]),
        (
            json!({ "rbac": { "create": false }, "identity": { "serviceAccounts": account } }),
            &roles,
            &[],
        ),
        (
            json!({ "identity": { "serviceAccounts": account } }),
            &[],
            &[
                "Role shop/xcs-release-tokens",
                "RoleBinding shop/xcs-release-tokens",
            ],
        ),
        (
            json!({ "identity": { "anyServiceAccount": true } }),
            &[],
            &[
                "ClusterRole /xcs-release-tokens",
                "ClusterRoleBinding /xcs-release-tokens",
            ],
        ),
        (
            json!({ "admissionPolicies": { "enabled": false } }),
            &POLICIES,
            &[],
        ),
        (
            json!({ "admissionPolicies": { "protectSecrets": true } }),
            &[],
            &PROTECT,
        ),
        (
            json!({ "admissionPolicies": { "enabled": false, "protectSecrets": true } }),
            &POLICIES,
            &PROTECT,
        ),
        (json!({ "crds": { "install": false } }), &DEFINITIONS, &[]),
        (
            json!({ "podDisruptionBudget": { "enabled": false } }),
            &["PodDisruptionBudget /xcs"],
            &[],
        ),
        (
            json!({ "metrics": { "service": { "enabled": false } } }),
            &["Service /xcs-metrics"],
            &[],
        ),
        (
            json!({ "metrics": { "service": { "enabled": false }, "podMonitor": { "enabled": true } } }),
            &["Service /xcs-metrics"],
            &["PodMonitor /xcs"],
        ),
        (
            json!({ "metrics": { "serviceMonitor": { "enabled": true } } }),
            &[],
            &["ServiceMonitor /xcs"],
        ),
        (
            json!({ "metrics": { "prometheusRule": { "enabled": true } } }),
            &[],
            &["PrometheusRule /xcs"],
        ),
        (
            json!({ "metrics": { "dashboard": { "enabled": true } } }),
            &[],
            &["ConfigMap /xcs-dashboard"],
        ),
        (
            json!({ "networkPolicy": { "enabled": true } }),
            &[],
            &["NetworkPolicy /xcs"],
        ),
    ];
    let helm = Helm::new(Binary::Helm4).await;
    let all = by_name(helm.objects(&json!({})));
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    for (values, taken, added) in table {
        let left = by_name(helm.objects(values));
        assert_eq!(beyond(&all, &left), names(taken), "{values} takes away");
        assert_eq!(beyond(&left, &all), names(added), "{values} adds");
        for (name, object) in &all {
            assert!(
                left.get(name).is_none_or(|left| left == object),
                "{values} changes {name}"
            );
        }
    }
}

#[tokio::test]
async fn an_account_that_is_there_already_is_bound_runs_and_is_held_to_the_policies() {
    let helm = Helm::new(Binary::Helm4).await;
    for (values, name, made) in [
        (json!({ "create": false, "name": "theirs" }), "theirs", 0),
        (json!({ "name": "ours" }), "ours", 1),
    ] {
        let values = json!({ "serviceAccount": values });
        let objects = helm.objects(&values);
        let of = |kind: &str| -> Vec<&Value> {
            let of = objects.iter().filter(|object| object["kind"] == kind);
            of.collect()
        };
        let accounts = of("ServiceAccount");
        assert_eq!(accounts.len(), made, "{values}");
        assert!(accounts.iter().all(|one| one["metadata"]["name"] == name));
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            let subject = json!({
                "kind": "ServiceAccount", "name": name, "namespace": super::helm::NAMESPACE,
            });
            let bindings = of(kind);
            assert_eq!(bindings.len(), 1, "{values}: {kind}");
            assert_eq!(bindings[0]["subjects"], json!([subject]), "{values}");
        }
        let pod = &of("Deployment")[0]["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], name, "{values}");
        let user = format!("system:serviceaccount:{}:{name}", super::helm::NAMESPACE);
        let policies = of("ValidatingAdmissionPolicy");
        assert_eq!(policies.len(), 2);
        for policy in policies {
            assert!(policy["spec"].to_string().contains(&user), "{values}");
        }
    }
}
