//! `protectSecrets`: what an `ExternalCloudSecret` owns goes with it or with its namespace, and not otherwise.

use devcluster::{Binary, Cluster, OPERATOR, Options};
use external_cloud_secrets::cli::crds::crds_yaml;
use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::end_to_end::operator::RBAC;
use super::end_to_end::wait::{SOON, until};
use super::generated::chart;
use super::helm::Helm;
use super::policies::{NEIGHBOUR, expect, guarded};
use super::release::install;
use super::requests::{answer, secret};

const STOPPED: Option<&str> = Some("an ExternalCloudSecret owns this Secret");

/// The reference of a Secret to the object that owns it.
pub fn owner(name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": "cloudsecrets.dev/v1alpha1", "kind": "ExternalCloudSecret",
        "name": name, "uid": uid, "controller": true,
    }])
}

/// A managed Secret with these owners.
fn owned(name: &str, owners: Value) -> Value {
    let mut one = secret(name, "Opaque", true);
    one["metadata"]["ownerReferences"] = owners;
    one
}

/// Makes an object; its path, and the reference to it.
async fn object(admin: &Client, namespace: &str, name: &str) -> (String, Value) {
    let objects =
        format!("/apis/cloudsecrets.dev/v1alpha1/namespaces/{namespace}/externalcloudsecrets");
    let object = json!({
        "apiVersion": "cloudsecrets.dev/v1alpha1", "kind": "ExternalCloudSecret",
        "metadata": { "name": name },
        "spec": { "secretStoreRef": { "name": "oos" }, "data": [{ "secretKey": "a", "remoteRef": { "key": "a" } }] },
    });
    let request = http::Request::post(&objects)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&object).unwrap());
    let made: Value = admin.request(request.unwrap()).await.unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap();
    (format!("{objects}/{name}"), owner(name, uid))
}

#[tokio::test]
async fn protected_secrets_go_with_their_owner_or_their_namespace_and_not_otherwise() {
    let guarded = guarded().await;
    let cluster = &guarded.cluster;
    let place = cluster.namespace("protected").await.unwrap();
    let admin = guarded.admin();
    let core = format!("/api/v1/namespaces/{}", place.name());
    let all = format!("{core}/secrets");
    let (first, reference) = object(&admin, place.name(), "db").await;
    for name in ["ours", "owned"] {
        let one = owned(name, reference.clone());
        expect(&admin, (Method::POST, &all, &one), None).await;
    }
    let ours = format!("{all}/ours");
    expect(&admin, (Method::DELETE, &ours, &Value::Null), STOPPED).await;
    let together = format!("{all}?labelSelector=cloudsecrets.dev/managed=true");
    expect(&admin, (Method::DELETE, &together, &Value::Null), STOPPED).await;
    // It is about deletion: whoever may write Secrets may write these.
    let patch = json!({ "stringData": { "password": "canary-new" } });
    expect(&admin, (Method::PATCH, &ours, &patch), None).await;

    // The garbage collector.
    expect(&admin, (Method::DELETE, &first, &Value::Null), None).await;
    is_gone(&admin, &ours).await;
    is_gone(&admin, &format!("{all}/owned")).await;

    // An orphan is nobody's.
    let (second, reference) = object(&admin, place.name(), "orphaning").await;
    let orphan = owned("orphan", reference);
    expect(&admin, (Method::POST, &all, &orphan), None).await;
    let orphan = format!("{all}/orphan");
    expect(&admin, (Method::DELETE, &orphan, &Value::Null), STOPPED).await;
    let let_go =
        json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan" });
    expect(&admin, (Method::DELETE, &second, &let_go), None).await;
    is_gone(&admin, &second).await;
    expect(&admin, (Method::DELETE, &orphan, &Value::Null), None).await;

    // The namespace's end.
    let (_, reference) = object(&admin, place.name(), "last").await;
    let last = owned("last", reference);
    expect(&admin, (Method::POST, &all, &last), None).await;
    place.delete(cluster).await.unwrap();
    is_gone(&admin, &core).await;
}

#[tokio::test]
async fn what_only_looks_like_a_protected_secret_can_be_deleted() {
    let guarded = guarded().await;
    let place = guarded.cluster.namespace("lookalikes").await.unwrap();
    let admin = guarded.admin();
    let all = format!("/api/v1/namespaces/{}/secrets", place.name());
    let reference = object(&admin, place.name(), "db").await.1;
    let with = |field: &str, value: Value| {
        let mut owners = reference.clone();
        owners[0][field] = value;
        owners
    };
    let mut of_a_release = secret("of-a-release", "helm.sh/release.v1", true);
    of_a_release["metadata"]["labels"]["owner"] = "helm".into();
    let mut unlabelled = owned("unlabelled", reference.clone());
    unlabelled["metadata"]["labels"] = json!({});
    for one in [
        secret("theirs", "Opaque", false),
        secret("labelled", "Opaque", true),
        of_a_release,
        unlabelled,
        owned("not-controlled", with("controller", false.into())),
        owned("of-another-kind", with("kind", "CloudSecretStore".into())),
        owned(
            "of-another-group",
            with("apiVersion", "example.com/v1".into()),
        ),
    ] {
        expect(&admin, (Method::POST, &all, &one), None).await;
        let path = format!("{all}/{}", one["metadata"]["name"].as_str().unwrap());
        let (code, said) = answer(&admin, Method::DELETE, &path, &Value::Null).await;
        // The garbage collector may have been here first, for owners that are not there.
        assert!(code == 200 || code == 404, "{path}: {said}");
    }
}

#[tokio::test]
async fn another_operator_deletes_what_is_protected_only_where_it_is_named() {
    let guarded = guarded().await;
    let cluster = &guarded.cluster;
    let place = cluster.namespace("shared").await.unwrap();
    let all = format!("/api/v1/namespaces/{}/secrets", place.name());
    let ours = format!("{all}/ours");
    let admin = guarded.admin();
    let reference = object(&admin, place.name(), "db").await.1;
    let one = owned("ours", reference);
    expect(&admin, (Method::POST, &all, &one), None).await;
    for (home, stopped) in [("stranger", STOPPED), (NEIGHBOUR, None)] {
        let account = cluster.install_operator(RBAC, home).await.unwrap();
        let client = account.client().unwrap();
        expect(&client, (Method::DELETE, &ours, &Value::Null), stopped).await;
    }
}

#[tokio::test]
async fn an_operator_of_some_namespaces_protects_what_is_in_these() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    cluster.apply_crds(&crds_yaml().unwrap()).await.unwrap();
    let (shop, outside) = (
        cluster.namespace("shop").await.unwrap(),
        cluster.namespace("outside").await.unwrap(),
    );
    let helm = Helm::of(Binary::Helm4, &cluster).await;
    let values = json!({
        "crds": { "install": false }, "clusterName": "test", "watchNamespaces": [shop.name()],
        "admissionPolicies": { "protectSecrets": true },
    });
    let said = install(&helm, OPERATOR, &chart(), &values, &[]);
    assert!(said.success, "{}", said.err);
    let admin = cluster.client().unwrap();
    let make = async |namespace: &str| {
        let all = format!("/api/v1/namespaces/{namespace}/secrets");
        let one = owned("ours", owner("db", "0"));
        answer(&admin, Method::POST, &all, &one).await;
        format!("{all}/ours")
    };
    until("the policy", SOON, async || {
        let path = make(shop.name()).await;
        match answer(&admin, Method::DELETE, &path, &Value::Null).await {
            (422, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let path = make(outside.name()).await;
    expect(&admin, (Method::DELETE, &path, &Value::Null), None).await;
}

async fn is_gone(client: &Client, path: &str) {
    let limit = std::time::Duration::from_secs(60);
    until("the end", limit, async || {
        match answer(client, Method::GET, path, &Value::Null).await {
            (404, _) => Ok(()),
            other => Err(other),
        }
    })
    .await;
}
