//! The library: clusters, the public issuer, the operator's account, CRDs and counts.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use devcluster::{Cluster, KUBERNETES_VERSION, Options};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

const RULES: &str = r#"
cluster:
  - {apiGroups: [""], resources: [secrets], verbs: [get, list]}
operatorNamespace:
  - {apiGroups: [""], resources: [configmaps], verbs: [create]}
tokens:
  - {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
"#;

const CRD: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: owners.devcluster.test}
spec:
  group: devcluster.test
  scope: Namespaced
  names: {plural: owners, singular: owner, kind: Owner}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
";

fn owners(client: Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("devcluster.test", "v1", "Owner");
    Api::namespaced_with(
        client,
        namespace,
        &ApiResource::from_gvk_with_plural(&kind, "owners"),
    )
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: named(name),
        ..ConfigMap::default()
    }
}

async fn create_account(client: &Client, namespace: &str, name: &str) -> Api<ServiceAccount> {
    let accounts = Api::namespaced(client.clone(), namespace);
    let account = ServiceAccount {
        metadata: named(name),
        ..ServiceAccount::default()
    };
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    accounts
}

fn token_request(audience: &str) -> TokenRequest {
    let spec = TokenRequestSpec {
        audiences: vec![audience.to_owned()],
        expiration_seconds: Some(600),
        ..TokenRequestSpec::default()
    };
    TokenRequest {
        spec,
        ..TokenRequest::default()
    }
}

/// What anyone on the machine can read, given the CA.
async fn anonymous(cluster: &Cluster, url: &str) -> Value {
    let ca = reqwest::Certificate::from_pem(cluster.ca_pem()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()
        .unwrap();
    client
        .get(url)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap()
        .json()
        .await
        .unwrap()
}

#[tokio::test]
async fn it_answers_readyz_and_the_pinned_version() {
    let cluster = devcluster::shared().await;
    let client = cluster.client().unwrap();
    let ready = client
        .request_text(http::Request::get("/readyz").body(Vec::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(ready, "ok");
    let version = client.apiserver_version().await.unwrap().git_version;
    // Binaries of the user's choice are the user's choice.
    if std::env::var_os("KUBEBUILDER_ASSETS").is_none()
        && std::env::var_os("USE_EXISTING_CLUSTER").is_none()
    {
        assert_eq!(version, KUBERNETES_VERSION);
    }
}

#[tokio::test]
async fn a_requested_token_verifies_against_the_anonymous_keys_of_the_issuer() {
    let cluster = devcluster::shared().await;
    let namespace = cluster.namespace("issuer").await.unwrap();
    let accounts = create_account(&cluster.client().unwrap(), namespace.name(), "shop").await;
    let request = token_request("sts.aliyuncs.com");
    let answer = accounts
        .create_token_request("shop", &PostParams::default(), &request)
        .await
        .unwrap();
    let token = answer.status.unwrap().token;

    let discovery = anonymous(
        cluster,
        &format!("{}/.well-known/openid-configuration", cluster.issuer()),
    )
    .await;
    assert_eq!(discovery["issuer"], cluster.issuer());
    let keys = anonymous(cluster, discovery["jwks_uri"].as_str().unwrap()).await;

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let json = |text: &str| serde_json::from_slice::<Value>(&decode(text)).unwrap();
    let (header, claims) = signed
        .split_once('.')
        .map(|(header, claims)| (json(header), json(claims)))
        .unwrap();
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["iss"], cluster.issuer());
    assert_eq!(claims["aud"], json!(["sts.aliyuncs.com"]));
    assert_eq!(
        claims["sub"],
        format!("system:serviceaccount:{namespace}:shop")
    );
    let key = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .unwrap();
    let part = |name: &str| decode(key[name].as_str().unwrap());
    ring::signature::RsaPublicKeyComponents {
        n: part("n"),
        e: part("e"),
    }
    .verify(
        &ring::signature::RSA_PKCS1_2048_8192_SHA256,
        signed.as_bytes(),
        &decode(signature),
    )
    .unwrap();
}

#[tokio::test]
async fn parallel_clusters_have_ports_of_their_own_and_leave_nothing_behind() {
    let (one, two) = tokio::join!(
        Cluster::start(Options::new(false)),
        Cluster::start(Options::new(false))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.server(), two.server());
    for cluster in [&one, &two] {
        cluster.client().unwrap().apiserver_version().await.unwrap();
    }
    let dir = one.ca_path().parent().unwrap().to_path_buf();
    assert!(dir.exists());
    one.stop().await;
    drop(two);
    assert!(!dir.exists());
}

#[tokio::test]
async fn an_api_server_comes_back_on_its_port_with_its_data() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let client = cluster.client().unwrap();
    let maps = Api::<ConfigMap>::namespaced(client, "default");
    let before = cluster.writes().await.unwrap();
    maps.create(&PostParams::default(), &config_map("kept"))
        .await
        .unwrap();
    let added = cluster.writes().await.unwrap().since(&before);
    assert_eq!(added.of("configmaps"), 1, "{added}");

    cluster.stop_apiserver().await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_secs(2), maps.get("kept"))
            .await
            .is_ok_and(|got| got.is_err())
    );
    cluster.start_apiserver().await.unwrap();
    maps.get("kept").await.unwrap();
    cluster.check().await.unwrap();
}

#[tokio::test]
async fn a_full_etcd_takes_no_write_until_it_is_drained() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client().unwrap(), "default");
    let make = async |name: &str| {
        let map = json!({ "metadata": { "name": name } });
        let map: ConfigMap = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await
    };
    make("before").await.unwrap();
    cluster.fill_etcd().await.unwrap();
    let refused = make("meanwhile").await.unwrap_err().to_string();
    assert!(refused.contains("space exceeded"), "{refused}");
    maps.get("before").await.unwrap();
    cluster.drain_etcd().await.unwrap();
    make("after").await.unwrap();
}

#[tokio::test]
async fn the_operator_can_do_what_its_rules_say_and_no_more() {
    let cluster = devcluster::shared().await;
    let (home, tenant) = (
        cluster.namespace("operator").await.unwrap(),
        cluster.namespace("tenant").await.unwrap(),
    );
    let operator = cluster.install_operator(RULES, home.name()).await.unwrap();
    let client = operator.client().unwrap();
    assert_eq!(client.default_namespace(), home.name());

    Api::<Secret>::all(client.clone())
        .list(&ListParams::default())
        .await
        .unwrap();
    let create = PostParams::default();
    Api::namespaced(client.clone(), home.name())
        .create(&create, &config_map("mine"))
        .await
        .unwrap();
    let refused = Api::namespaced(client.clone(), tenant.name())
        .create(&create, &config_map("theirs"))
        .await;
    assert!(refused.is_err());

    for name in ["shop", "other"] {
        create_account(&cluster.client().unwrap(), tenant.name(), name).await;
    }
    operator
        .grant_tokens(tenant.name(), &["shop"])
        .await
        .unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client, tenant.name());
    // The authorizer of the API server hears of a Role a moment after it is made.
    let mut granted = Err(None);
    for _ in 0..100 {
        let wanted = token_request("a");
        let request = accounts.create_token_request("shop", &create, &wanted);
        granted = request.await.map_err(Some);
        if granted.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    granted.unwrap();
    assert!(
        accounts
            .create_token_request("other", &create, &token_request("a"))
            .await
            .is_err()
    );

    let dir = tempfile::tempdir().unwrap();
    let path = operator.kubeconfig(dir.path()).unwrap();
    let kubectl = devcluster::kubectl().await.unwrap();
    let output = Command::new(kubectl)
        .args(["auth", "whoami", "-o", "name"])
        .env("KUBECONFIG", path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Creates a `ConfigMap` owned by `owner`, deletes the owner by `delete`, and waits for the map to go.
async fn assert_collected(maps: &Api<ConfigMap>, owner: Value, delete: impl AsyncFnOnce()) {
    let mut dependent = config_map("dependent");
    dependent.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
    maps.create(&PostParams::default(), &dependent)
        .await
        .unwrap();
    delete().await;
    let started = Instant::now();
    while maps.get_opt("dependent").await.unwrap().is_some() {
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "it is not collected"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_new_kind_owns_goes_soon_after_its_owner() {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let client = cluster.client().unwrap();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    let create = PostParams::default();

    // An old kind first: then the garbage collector has read the kinds, and reads them again only 30 s later.
    let owner = maps.create(&create, &config_map("owner")).await.unwrap();
    let reference = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid });
    let delete = async || {
        maps.delete("owner", &DeleteParams::default())
            .await
            .unwrap();
    };
    assert_collected(&maps, reference, delete).await;

    cluster.apply_crds(CRD).await.unwrap();
    let owners = owners(client, "default");
    let owner = json!({ "apiVersion": "devcluster.test/v1", "kind": "Owner", "metadata": { "name": "owner" } });
    let owner = owners
        .create(&create, &serde_json::from_value(owner).unwrap())
        .await
        .unwrap();
    let reference = json!({ "apiVersion": "devcluster.test/v1", "kind": "Owner", "name": "owner", "uid": owner.metadata.uid });
    let delete = async || {
        owners
            .delete("owner", &DeleteParams::default())
            .await
            .unwrap();
    };
    assert_collected(&maps, reference, delete).await;
}

#[tokio::test]
async fn definitions_in_the_options_are_served_when_it_is_ready() {
    let options = Options {
        crds: Some(CRD.to_owned()),
        ..Options::new(true)
    };
    let cluster = Cluster::start(options).await.unwrap();
    owners(cluster.client().unwrap(), "default")
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(cluster.process_ids().await.len(), 3);
    cluster.check().await.unwrap();
    // Installing them again changes nothing.
    let before = cluster.process_ids().await;
    cluster.apply_crds(CRD).await.unwrap();
    assert_eq!(cluster.process_ids().await, before);
}
