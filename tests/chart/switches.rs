//! Each switch of the chart's permissions, with the operator running as the chart installs it: what is not granted is neither
//! needed nor possible.

use std::collections::BTreeSet;

use devcluster::{Binary, OPERATOR};
use http::Method;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use super::end_to_end::grants::{Grant, Rules, allowed, table};
use super::end_to_end::operator::Operator;
use super::end_to_end::scene::Scene;
use super::end_to_end::wait::{SOON, until};
use super::release::{HOME, Release};
use super::requests::{answer, token};

const AUDIENCE: &[&str] = &["sts.aliyuncs.com"];

/// A request: method, path and body, and the status code that answers it.
pub type Asked = (Method, String, Value, u16);

/// What the operator may do under one setting of the switches.
pub struct Permissions {
    /// Everywhere.
    pub everywhere: BTreeSet<Grant>,
    /// In the served namespace, besides.
    pub served: BTreeSet<Grant>,
    /// In its own namespace, besides.
    pub own: BTreeSet<Grant>,
}

fn together<'g>(parts: impl IntoIterator<Item = &'g BTreeSet<Grant>>) -> BTreeSet<Grant> {
    parts.into_iter().flatten().cloned().collect()
}

/// The rules for its own namespace, with the Lease of this name.
pub fn own(rules: &Rules, lease: &str) -> BTreeSet<Grant> {
    let named = |rule: &PolicyRule| PolicyRule {
        resource_names: rule.resource_names.as_ref().map(|_| vec![lease.to_owned()]),
        ..rule.clone()
    };
    let rules: Vec<_> = rules.operator_namespace.iter().map(named).collect();
    table(&rules, &[])
}

/// The API server's word for it: exactly these permissions, in each place.
pub async fn are_all(release: &Release, case: &str, scene: &Scene<'_>, expected: &Permissions) {
    let client = release.world.account.client().unwrap();
    let Permissions {
        everywhere,
        served,
        own,
    } = expected;
    for (namespace, expected) in [
        ("default", everywhere.clone()),
        (&*scene.namespace, together([everywhere, served])),
        (HOME, together([everywhere, own])),
    ] {
        let found = allowed(client.clone(), namespace).await;
        assert_eq!(found, expected, "{case}: in {namespace}");
    }
}

/// How many requests the API server has refused so far, whoever made them, for want of a permission or by a policy.
pub async fn refusals(release: &Release) -> u64 {
    let client = release.world.cluster.client().unwrap();
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = client.request_text(request).await.unwrap();
    // RBAC never denies; it has no opinion of what it does not allow.
    let counted = [
        r#"authorization_attempts_total{result="no-opinion"}"#,
        r#"apiserver_request_total{code="422","#,
    ];
    let refused = |line: &&str| counted.iter().any(|of| line.starts_with(of));
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    metrics.lines().filter(refused).map(count).sum()
}

/// The operator starts, and a Secret arrives, is repaired, follows its value, and is renamed; nothing is refused meanwhile.
pub async fn is_enough(release: &Release, case: &str, scene: &Scene<'_>) -> Operator {
    // The first question, whether its namespace is there, it may not be allowed to ask.
    let namespace = format!("/api/v1/namespaces/{HOME}");
    let client = release.world.account.client().unwrap();
    let (asked, _) = answer(&client, Method::GET, &namespace, &Value::Null).await;
    let before = refusals(release).await + u64::from(asked == 403);
    let operator = release.operator(case).await;
    let name = format!("db-{case}");
    scene.put(&name, "canary-old");
    let object = scene.object(&name, "8000h", &[("password", &name)]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled(&name).await;
    let spoil = json!({ "stringData": { "password": "spoilt" } });
    scene.edit_secret(&name, &spoil).await;
    scene.wait_value(&name, "password", "canary-old").await;
    scene.put(&name, "canary-new");
    scene.refresh(&name, "1").await;
    scene.wait_value(&name, "password", "canary-new").await;
    // Under another name, which ends the first.
    let mut object = object;
    let renamed = format!("{name}-renamed");
    object["spec"]["target"] = json!({ "name": renamed });
    scene.apply(&object).await.unwrap();
    scene.wait_value(&renamed, "password", "canary-new").await;
    until("the end of the old Secret", SOON, async || {
        match scene.secret(&name).await {
            None => Ok(()),
            Some(old) => Err(old.metadata),
        }
    })
    .await;
    assert_eq!(refusals(release).await, before, "{case}");
    operator
}

/// The answers to requests made as the operator.
pub async fn answers(release: &Release, case: &str, requests: &[Asked]) {
    let client = release.world.account.client().unwrap();
    for (method, path, body, expected) in requests {
        let (code, said) = answer(&client, method.clone(), path, body).await;
        assert_eq!(code, *expected, "{case}: {method} {path}: {said}");
    }
}

pub fn make_token(namespace: &str, account: &str, code: u16) -> Asked {
    let (path, body) = token(namespace, account, AUDIENCE);
    (Method::POST, path, body, code)
}

pub fn get(path: &str, code: u16) -> Asked {
    (Method::GET, path.to_owned(), Value::Null, code)
}

pub fn accounts(scene: &Scene<'_>) -> Value {
    json!([{ "namespace": scene.namespace, "name": "reader" }])
}

const CLUSTER_STORES: &str = "/apis/cloudsecrets.dev/v1alpha1/clustercloudsecretstores";
pub const ALL_SECRETS: &str = "/api/v1/secrets";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_the_whole_cluster_has_what_it_needs_and_nothing_else() {
    let release = Release::new(Binary::Helm4).await;
    let scene = Scene::new(&release.world, "shop").await;
    let shop = scene.namespace.clone();
    let rules = Rules::read();
    let reader = table(&rules.tokens, &["reader"]);

    let case = "default";
    let permissions = Permissions {
        everywhere: table(&rules.cluster, &[]),
        served: BTreeSet::new(),
        own: own(&rules, "external-cloud-secrets"),
    };
    are_all(&release, case, &scene, &permissions).await;
    let requests = [make_token(&shop, "reader", 403), get(ALL_SECRETS, 200)];
    answers(&release, case, &requests).await;

    let case = "service-accounts";
    release.upgrade(&json!({ "identity": { "serviceAccounts": accounts(&scene) } }));
    let permissions = Permissions {
        served: reader.clone(),
        ..permissions
    };
    are_all(&release, case, &scene, &permissions).await;
    let operator = is_enough(&release, case, &scene).await;
    let conditions = json!([{ "namespaces": [&shop] }]);
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["namespace"] = shop.as_str().into();
    let store = scene.cluster_store("all", auth, conditions);
    scene.apply(&store).await.unwrap();
    let kind = "ClusterCloudSecretStore";
    let name = scene.cluster_name("all");
    scene.wait_store(kind, &name, "True", "StoreReady").await;
    let requests = [
        make_token(&shop, "reader", 200),
        make_token(&shop, "default", 403),
        make_token("kube-system", "default", 403),
        get(CLUSTER_STORES, 200),
        get(ALL_SECRETS, 200),
    ];
    answers(&release, case, &requests).await;
    operator.stop();

    let case = "without-cluster-stores";
    release.upgrade(&json!({
        "clusterStores": false, "clusterName": "test",
        "identity": { "serviceAccounts": accounts(&scene) },
    }));
    let permissions = Permissions {
        everywhere: table(&rules.watched_namespace, &[]),
        ..permissions
    };
    are_all(&release, case, &scene, &permissions).await;
    let operator = is_enough(&release, case, &scene).await;
    let requests = [
        get(CLUSTER_STORES, 403),
        get("/api/v1/namespaces/kube-system", 403),
    ];
    answers(&release, case, &requests).await;
    operator.stop();

    let case = "any-service-account";
    release.upgrade(&json!({ "identity": { "anyServiceAccount": true } }));
    let any = table(&rules.tokens, &[]);
    let permissions = Permissions {
        everywhere: together([&table(&rules.cluster, &[]), &any]),
        served: BTreeSet::new(),
        own: own(&rules, "external-cloud-secrets"),
    };
    are_all(&release, case, &scene, &permissions).await;
    let operator = is_enough(&release, case, &scene).await;
    let requests = [make_token("kube-system", "default", 200)];
    answers(&release, case, &requests).await;
    operator.stop();

    let case = "class";
    release.upgrade(&json!({
        "controllerClass": "a", "identity": { "serviceAccounts": accounts(&scene) },
    }));
    let permissions = Permissions {
        everywhere: table(&rules.cluster, &[]),
        served: reader,
        own: own(&rules, "external-cloud-secrets-a"),
    };
    are_all(&release, case, &scene, &permissions).await;
    let mut store = scene.store("oos", scene.rrsa("reader"));
    store["spec"]["controller"] = "a".into();
    scene.apply(&store).await.unwrap();
    let operator = is_enough(&release, case, &scene).await;
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases");
    let requests = [
        get(&format!("{leases}/external-cloud-secrets-a"), 200),
        get(&format!("{leases}/external-cloud-secrets"), 403),
    ];
    answers(&release, case, &requests).await;
    operator.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_some_namespaces_has_what_it_needs_there_and_nothing_elsewhere() {
    let release = Release::new(Binary::Helm4).await;
    let scene = Scene::new(&release.world, "shop").await;
    let outside = Scene::new(&release.world, "outside").await;
    let shop = scene.namespace.clone();
    let rules = Rules::read();
    let reader = table(&rules.tokens, &["reader"]);
    let watched = table(&rules.watched_namespace, &[]);
    let elsewhere = format!("/api/v1/namespaces/{}/secrets", outside.namespace);
    let here = format!("/api/v1/namespaces/{shop}/secrets");

    let case = "some-namespaces";
    release.upgrade(&json!({
        "clusterName": "test", "watchNamespaces": [&shop], "clusterStores": false,
        "identity": { "serviceAccounts": accounts(&scene) },
    }));
    let permissions = Permissions {
        everywhere: BTreeSet::new(),
        served: together([&watched, &reader]),
        own: own(&rules, "external-cloud-secrets"),
    };
    are_all(&release, case, &scene, &permissions).await;
    let operator = is_enough(&release, case, &scene).await;
    let requests = [
        get(&here, 200),
        get(&elsewhere, 403),
        get(ALL_SECRETS, 403),
        get(CLUSTER_STORES, 403),
        make_token(&shop, "default", 403),
        make_token(&outside.namespace, "reader", 403),
    ];
    answers(&release, case, &requests).await;
    operator.stop();

    let case = "some-namespaces-and-cluster-stores";
    release.upgrade(&json!({
        "clusterName": "test", "watchNamespaces": [&shop],
        "identity": { "anyServiceAccount": true },
    }));
    let labels = table(&rules.namespace_labels, &[&shop]);
    let any = table(&rules.tokens, &[]);
    let permissions = Permissions {
        everywhere: together([&table(&rules.cluster_stores, &[]), &labels]),
        served: together([&watched, &any]),
        ..permissions
    };
    are_all(&release, case, &scene, &permissions).await;
    let operator = is_enough(&release, case, &scene).await;
    let conditions = json!([{ "namespaces": [&shop] }]);
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["fromConsumer"] = true.into();
    let store = scene.cluster_store("own", auth, conditions);
    scene.apply(&store).await.unwrap();
    let kind = "ClusterCloudSecretStore";
    let name = scene.cluster_name("own");
    scene.wait_store(kind, &name, "True", "StoreReady").await;
    let requests = [
        get(CLUSTER_STORES, 200),
        get(&elsewhere, 403),
        get(&format!("/api/v1/namespaces/{shop}"), 200),
        get("/api/v1/namespaces", 403),
        make_token(&shop, "default", 200),
        make_token(&outside.namespace, "reader", 403),
        make_token("kube-system", "default", 403),
    ];
    answers(&release, case, &requests).await;
    operator.stop();
}

#[tokio::test]
async fn the_operator_is_called_what_these_tests_call_it() {
    let helm = super::helm::Helm::new(Binary::Helm4).await;
    let objects = helm.objects(&json!({}));
    let account = super::helm::find(&objects, "ServiceAccount", OPERATOR);
    assert!(account.is_some());
}
