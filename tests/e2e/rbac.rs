//! What the operator may do in the cluster, and what it may not: exactly the chart's rules.

use std::collections::BTreeSet;

use kube::api::GetParams;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::grants::{self, Grant, Rules, table};
use super::scene::Scene;
use super::world::World;

/// What the API server says the operator may do in `namespace`.
async fn allowed(world: &World, namespace: &str) -> BTreeSet<Grant> {
    grants::allowed(world.account.client().unwrap(), namespace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_do_exactly_what_the_file_says() {
    let world = World::shared().await;
    let rules = Rules::read();
    let everywhere = table(&rules.cluster, &[]);
    let scene = Scene::new(world, "granted").await;
    let bare = world.cluster.namespace("bare").await.unwrap();
    assert_eq!(allowed(world, bare.name()).await, everywhere);
    let tokens = table(&rules.tokens, &["reader", "reader"]);
    let expected: BTreeSet<_> = everywhere.union(&tokens).cloned().collect();
    let names = |grants: BTreeSet<Grant>| -> BTreeSet<Grant> {
        let once = |mut grant: Grant| {
            grant.2.dedup();
            grant
        };
        grants.into_iter().map(once).collect()
    };
    assert_eq!(
        names(allowed(world, &scene.namespace).await),
        names(expected)
    );
    let own = table(&rules.operator_namespace, &[]);
    let expected: BTreeSet<_> = everywhere.union(&own).cloned().collect();
    assert_eq!(allowed(world, world.account.namespace()).await, expected);
    // Nothing is granted by a star.
    let starred = |grant: &&Grant| grant.1.contains('*') || grant.3 == "*" || grant.0 == "*";
    assert_eq!(
        everywhere.iter().chain(&tokens).chain(&own).find(starred),
        None
    );
}

#[test]
fn an_operator_of_some_namespaces_has_the_same_permissions_where_it_has_any() {
    let rules = Rules::read();
    let parts = [
        rules.watched_namespace,
        rules.cluster_stores,
        rules.namespace_labels,
    ];
    let narrow: BTreeSet<Grant> = parts.iter().flat_map(|part| table(part, &[])).collect();
    assert_eq!(narrow, table(&rules.cluster, &[]));
}

/// The status code of a request made as the operator.
async fn answer(world: &World, method: &Method, path: &str, body: &Value) -> u16 {
    let client = world.account.client().unwrap();
    let kind = match *method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let body = if body.is_null() {
        Vec::new()
    } else {
        serde_json::to_vec(body).unwrap()
    };
    let mut request = kube::core::Request::new(path)
        .get("x", &GetParams::default())
        .unwrap();
    *request.uri_mut() = path.parse().unwrap();
    *request.method_mut() = method.clone();
    *request.body_mut() = body;
    let kind = HeaderValue::from_static(kind);
    request.headers_mut().insert(CONTENT_TYPE, kind);
    match client.request::<Value>(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

/// A request, and what it sends.
type Attempt = (Method, String, Value);

fn attempts(entries: &[(Method, &str, Value)], prefix: &str) -> Vec<Attempt> {
    let attempt = |(method, path, body): &(Method, &str, Value)| {
        (method.clone(), format!("{prefix}{path}"), body.clone())
    };
    entries.iter().map(attempt).collect()
}

fn named(kind: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": "x" } })
}

fn token() -> Value {
    json!({ "metadata": {}, "spec": { "audiences": ["sts.aliyuncs.com"] } })
}

fn label() -> Value {
    json!({ "metadata": { "labels": { "team": "x" } } })
}

/// What users wrote, and its definitions.
fn on_our_kinds(scene: &Scene<'_>) -> Vec<Attempt> {
    let suspend = json!({ "spec": { "suspend": true } });
    let finalizer = json!({ "metadata": { "finalizers": ["cloudsecrets.dev/x"] } });
    let object = scene.object("y", "1h", &[("a", "b")]);
    let own = [
        (Method::PATCH, "externalcloudsecrets/db", suspend.clone()),
        (Method::PATCH, "externalcloudsecrets/db", finalizer),
        (Method::DELETE, "externalcloudsecrets/db", Value::Null),
        (Method::PATCH, "cloudsecretstores/oos", suspend),
        (Method::DELETE, "cloudsecretstores/oos", Value::Null),
        (Method::DELETE, "cloudsecretstores", Value::Null),
        (Method::POST, "externalcloudsecrets", object),
    ];
    let place = format!(
        "/apis/cloudsecrets.dev/v1alpha1/namespaces/{}/",
        scene.namespace
    );
    let mut all = attempts(&own, &place);
    let definitions = [
        (Method::GET, "", Value::Null),
        (
            Method::PATCH,
            "/externalcloudsecrets.cloudsecrets.dev",
            label(),
        ),
        (
            Method::DELETE,
            "/externalcloudsecrets.cloudsecrets.dev",
            Value::Null,
        ),
    ];
    let place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    all.extend(attempts(&definitions, place));
    all
}

/// Everything else in a tenant's namespace.
fn in_a_namespace(scene: &Scene<'_>) -> Vec<Attempt> {
    let core = [
        (Method::POST, "/serviceaccounts/default/token", token()),
        (Method::POST, "/serviceaccounts", named("ServiceAccount")),
        (Method::PATCH, "/serviceaccounts/reader", label()),
        (Method::POST, "/configmaps", named("ConfigMap")),
        (Method::PATCH, "/configmaps/x", label()),
        (Method::DELETE, "/configmaps/x", Value::Null),
        (Method::GET, "/pods", Value::Null),
        (Method::POST, "/pods", named("Pod")),
        (Method::GET, "/pods/x/log", Value::Null),
        (Method::POST, "/pods/x/exec", Value::Null),
        (Method::GET, "/events", Value::Null),
        (Method::DELETE, "/secrets", Value::Null),
        (Method::PUT, "/secrets/x", named("Secret")),
        (Method::PATCH, "", label()),
        (Method::DELETE, "", Value::Null),
    ];
    let mut all = attempts(&core, &format!("/api/v1/namespaces/{}", scene.namespace));
    let workloads = [(Method::GET, "/deployments", Value::Null)];
    all.extend(attempts(
        &workloads,
        &format!("/apis/apps/v1/namespaces/{}", scene.namespace),
    ));
    all
}

/// The cluster, and the operator's own rights.
fn on_the_cluster(scene: &Scene<'_>) -> Vec<Attempt> {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "escalation" },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "User", "name": scene.world.account.user(), "apiGroup": group }],
    });
    let rbac = [
        (Method::POST, "/clusterrolebindings", binding),
        (Method::GET, "/clusterroles", Value::Null),
        (Method::GET, "/namespaces/kube-system/roles", Value::Null),
    ];
    let mut all = attempts(&rbac, &format!("/apis/{group}/v1"));
    let home = scene.world.account.namespace();
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{home}/leases");
    let other_lease = format!("{leases}/somebody-elses");
    let core = [
        (Method::POST, "/api/v1/namespaces", named("Namespace")),
        (
            Method::POST,
            "/api/v1/namespaces/kube-system/serviceaccounts/default/token",
            token(),
        ),
        (Method::GET, "/api/v1/nodes", Value::Null),
        (Method::GET, &*other_lease, Value::Null),
        (Method::PATCH, &*other_lease, label()),
        (
            Method::DELETE,
            &*format!("{leases}/external-cloud-secrets"),
            Value::Null,
        ),
        (Method::GET, &*leases, Value::Null),
        (
            Method::GET,
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            Value::Null,
        ),
        (Method::GET, "/metrics", Value::Null),
    ];
    all.extend(attempts(&core, ""));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_cannot_reach_beyond_its_rules() {
    let world = World::shared().await;
    let scene = Scene::new(world, "beyond").await;
    scene
        .apply(&scene.object("db", "1h", &[("a", "db")]))
        .await
        .unwrap();
    let all = [
        on_our_kinds(&scene),
        in_a_namespace(&scene),
        on_the_cluster(&scene),
    ]
    .concat();
    let mut allowed = Vec::new();
    for (method, path, body) in &all {
        let code = answer(world, method, path, body).await;
        if code != 403 {
            allowed.push(format!("{method} {path}: {code}"));
        }
    }
    assert!(allowed.is_empty(), "{allowed:#?}");
    // The same requests work where they are granted.
    let own = format!("/api/v1/namespaces/{}", scene.namespace);
    let granted = format!("{own}/serviceaccounts/reader/token");
    assert_eq!(answer(world, &Method::POST, &granted, &token()).await, 200);
    assert_eq!(
        answer(world, &Method::GET, &format!("{own}/secrets"), &Value::Null).await,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_cannot_pass_for_anybody_else() {
    let world = World::shared().await;
    for (header, name) in [
        ("impersonate-user", "system:admin"),
        (
            "impersonate-user",
            "system:serviceaccount:kube-system:default",
        ),
    ] {
        let client = world.account.client().unwrap();
        let mut request = kube::core::Request::new("/api/v1/nodes")
            .get("x", &GetParams::default())
            .unwrap();
        let name = HeaderValue::from_static(name);
        request.headers_mut().insert(header, name);
        let refused = client.request::<Value>(request).await;
        match refused {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 403);
                assert!(status.message.contains("impersonate"), "{}", status.message);
            }
            other => panic!("{other:?}"),
        }
    }
}
