//! What the operator may do in the cluster, and what it may not: exactly the chart's rules.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::SelfSubjectRulesReview;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Api;
use kube::api::{GetParams, PostParams};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::operator::RBAC;
use super::scene::Scene;
use super::world::World;

/// One permission: group, resource, names and verb.
type Grant = (String, String, Vec<String>, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    cluster: Vec<PolicyRule>,
    operator_namespace: Vec<PolicyRule>,
    tokens: Vec<PolicyRule>,
}

fn grants(
    groups: &[String],
    resources: &[String],
    names: &[String],
    verbs: &[String],
) -> Vec<Grant> {
    let mut grants = Vec::new();
    for group in groups {
        for resource in resources {
            let grant = |verb: &String| {
                (
                    group.clone(),
                    resource.clone(),
                    names.to_vec(),
                    verb.clone(),
                )
            };
            grants.extend(verbs.iter().map(grant));
        }
    }
    grants
}

/// The permissions of `rules`, for these names where there are any.
fn table(rules: &[PolicyRule], names: &[&str]) -> BTreeSet<Grant> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let expand = |rule: &PolicyRule| {
        let some = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        grants(
            &some(&rule.api_groups),
            &some(&rule.resources),
            &names,
            &rule.verbs,
        )
    };
    rules.iter().flat_map(expand).collect()
}

/// What the API server says the operator may do in `namespace`, less what everybody may.
async fn allowed(world: &World, namespace: &str) -> BTreeSet<Grant> {
    let api: Api<SelfSubjectRulesReview> = Api::all(world.account.client().unwrap());
    let review = json!({ "metadata": {}, "spec": { "namespace": namespace } });
    let review: SelfSubjectRulesReview = serde_json::from_value(review).unwrap();
    let status = api
        .create(&PostParams::default(), &review)
        .await
        .unwrap()
        .status
        .unwrap();
    assert!(!status.incomplete, "{:?}", status.evaluation_error);
    let everybodys = ["authorization.k8s.io", "authentication.k8s.io"];
    let some = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let expand = |rule: &k8s_openapi::api::authorization::v1::ResourceRule| {
        let (groups, resources) = (some(&rule.api_groups), some(&rule.resources));
        grants(
            &groups,
            &resources,
            &some(&rule.resource_names),
            &rule.verbs,
        )
    };
    let grants = status.resource_rules.iter().flat_map(expand);
    grants
        .filter(|grant| !everybodys.contains(&&*grant.0))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_do_exactly_what_the_file_says() {
    let world = World::shared().await;
    let rules: Rules = serde_saphyr::from_str(RBAC).unwrap();
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

/// The status code of a request made as the operator.
async fn answer(world: &World, method: &Method, path: &str, body: Option<&Value>) -> u16 {
    let client = world.account.client().unwrap();
    let kind = match *method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(body).unwrap());
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

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_cannot_reach_beyond_its_rules() {
    let world = World::shared().await;
    let scene = Scene::new(world, "beyond").await;
    scene
        .apply(&scene.object("db", "1h", &[("a", "db")]))
        .await
        .unwrap();
    let own = |kind: &str| format!("/api/v1/namespaces/{}/{kind}", scene.namespace);
    let custom = |kind: &str| {
        format!(
            "/apis/cloudsecrets.dev/v1alpha1/namespaces/{}/{kind}",
            scene.namespace
        )
    };
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/externalcloudsecrets.cloudsecrets.dev";
    let named = |kind: &str, version: &str| json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x" } });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "escalation" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "User", "name": world.account.user(), "apiGroup": "rbac.authorization.k8s.io" }],
    });
    let suspend = json!({ "spec": { "suspend": true } });
    let label = json!({ "metadata": { "labels": { "team": "x" } } });
    let finalizer = json!({ "metadata": { "finalizers": ["cloudsecrets.dev/x"] } });
    let token = json!({ "metadata": {}, "spec": { "audiences": ["sts.aliyuncs.com"] } });
    let namespace = format!("/api/v1/namespaces/{}", scene.namespace);
    let kube_system = "/api/v1/namespaces/kube-system";
    let table: Vec<(Method, String, Option<Value>)> = vec![
        // Definitions, and what users wrote.
        (Method::PATCH, crd.into(), Some(label.clone())),
        (Method::DELETE, crd.into(), None),
        (Method::GET, crd.into(), None),
        (
            Method::PATCH,
            custom("externalcloudsecrets/db"),
            Some(suspend.clone()),
        ),
        (
            Method::PATCH,
            custom("externalcloudsecrets/db"),
            Some(finalizer),
        ),
        (Method::DELETE, custom("externalcloudsecrets/db"), None),
        (
            Method::PATCH,
            custom("cloudsecretstores/oos"),
            Some(suspend),
        ),
        (Method::DELETE, custom("cloudsecretstores/oos"), None),
        (Method::DELETE, custom("cloudsecretstores"), None),
        (
            Method::POST,
            custom("externalcloudsecrets"),
            Some(scene.object("y", "1h", &[("a", "b")])),
        ),
        // Tokens of those nobody granted.
        (
            Method::POST,
            own("serviceaccounts/default/token"),
            Some(token.clone()),
        ),
        (
            Method::POST,
            format!("{kube_system}/serviceaccounts/default/token"),
            Some(token.clone()),
        ),
        (
            Method::POST,
            own("serviceaccounts"),
            Some(named("ServiceAccount", "v1")),
        ),
        (
            Method::PATCH,
            own("serviceaccounts/reader"),
            Some(label.clone()),
        ),
        // Everything else in a namespace.
        (Method::GET, own("configmaps"), None),
        (
            Method::POST,
            own("configmaps"),
            Some(named("ConfigMap", "v1")),
        ),
        (Method::GET, own("pods"), None),
        (Method::POST, own("pods"), Some(named("Pod", "v1"))),
        (Method::GET, own("pods/x/log"), None),
        (Method::POST, own("pods/x/exec"), None),
        (
            Method::GET,
            format!("/apis/apps/v1/namespaces/{}/deployments", scene.namespace),
            None,
        ),
        (Method::GET, own("events"), None),
        (Method::DELETE, own("secrets"), None),
        (Method::PUT, own("secrets/x"), Some(named("Secret", "v1"))),
        // Namespaces and nodes.
        (Method::PATCH, namespace.clone(), Some(label)),
        (Method::DELETE, namespace, None),
        (
            Method::POST,
            "/api/v1/namespaces".into(),
            Some(named("Namespace", "v1")),
        ),
        (Method::GET, "/api/v1/nodes".into(), None),
        // Its own rights.
        (
            Method::POST,
            format!("{rbac}/clusterrolebindings"),
            Some(binding),
        ),
        (Method::GET, format!("{rbac}/clusterroles"), None),
        (
            Method::GET,
            format!("{rbac}/namespaces/{}/roles", scene.namespace),
            None,
        ),
        (
            Method::GET,
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations".into(),
            None,
        ),
        (Method::GET, "/metrics".into(), None),
    ];
    let mut allowed = Vec::new();
    for (method, path, body) in &table {
        let code = answer(world, method, path, body.as_ref()).await;
        if code != 403 {
            allowed.push(format!("{method} {path}: {code}"));
        }
    }
    assert!(allowed.is_empty(), "{allowed:#?}");
    // The same requests work where they are granted.
    let granted = own("serviceaccounts/reader/token");
    assert_eq!(
        answer(world, &Method::POST, &granted, Some(&token)).await,
        200
    );
    assert_eq!(
        answer(world, &Method::GET, &own("secrets"), None).await,
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
