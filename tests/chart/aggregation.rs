//! What users of a namespace may do with our kinds, by the roles that they have already.

use devcluster::{Binary, OPERATOR};
use k8s_openapi::api::authorization::v1::LocalSubjectAccessReview;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::end_to_end::wait::{SOON, until};
use super::helm::{Helm, objects};
use super::policies::guarded;

/// Whether the user `role` of a namespace may do this there.
async fn may(client: &kube::Client, namespace: &str, role: &str, verb: &str, kind: &str) -> bool {
    let review = json!({
        "metadata": { "namespace": namespace },
        "spec": {
            "user": role,
            "resourceAttributes": { "namespace": namespace, "verb": verb, "group": "cloudsecrets.dev", "resource": kind },
        },
    });
    let review: LocalSubjectAccessReview = serde_json::from_value(review).unwrap();
    let reviews: Api<LocalSubjectAccessReview> = Api::namespaced(client.clone(), namespace);
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.unwrap().status.unwrap().allowed
}

#[tokio::test]
async fn who_edits_makes_objects_who_administers_makes_stores_and_nobody_makes_cluster_stores() {
    let cluster = &guarded().await.cluster;
    let client = cluster.client().unwrap();
    let namespace = cluster.namespace("users").await.unwrap();
    for role in ["view", "edit", "admin"] {
        let binding = json!({
            "metadata": { "name": role },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role }],
        });
        let binding: RoleBinding = serde_json::from_value(binding).unwrap();
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace.name());
        let params = PostParams::default();
        bindings.create(&params, &binding).await.unwrap();
    }
    // A controller copies the rules into the roles.
    let ns = namespace.name();
    until("the aggregated roles", SOON, async || {
        let all = may(&client, ns, "admin", "create", "cloudsecretstores").await
            && may(&client, ns, "edit", "create", "externalcloudsecrets").await
            && may(&client, ns, "view", "get", "externalcloudsecrets").await
            && may(&client, ns, "admin", "create", "externalcloudsecrets").await;
        if all { Ok(()) } else { Err("not yet") }
    })
    .await;
    for (role, verb, kind, expected) in [
        ("view", "list", "externalcloudsecrets", true),
        ("view", "create", "externalcloudsecrets", false),
        ("view", "get", "cloudsecretstores", false),
        ("edit", "list", "externalcloudsecrets", true),
        ("edit", "patch", "externalcloudsecrets", true),
        ("edit", "delete", "externalcloudsecrets", true),
        ("edit", "create", "cloudsecretstores", false),
        ("admin", "delete", "externalcloudsecrets", true),
        ("admin", "patch", "cloudsecretstores", true),
        ("admin", "list", "cloudsecretstores", true),
        ("admin", "get", "clustercloudsecretstores", false),
        ("admin", "create", "clustercloudsecretstores", false),
        ("admin", "patch", "externalcloudsecrets/status", false),
    ] {
        let found = may(&client, ns, role, verb, kind).await;
        assert_eq!(found, expected, "{role}: {verb} {kind}");
    }
}

#[tokio::test]
async fn roles_of_users_are_a_switch() {
    let helm = Helm::new(Binary::Helm4).await;
    let said = helm.template(&json!({ "rbac": { "aggregate": false } }), &[]);
    let objects = objects(&said.out);
    let roles: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRole")
        .map(|object| &object["metadata"]["name"])
        .collect();
    assert_eq!(roles, [OPERATOR]);
    assert!(!said.out.contains("aggregate-to"));
}
