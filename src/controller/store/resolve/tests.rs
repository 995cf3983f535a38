//! The rules hold by themselves, also for a store that the API server's own rules did not see.

use std::collections::BTreeSet;

use kube::{Client, Config};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::alibaba::DEFAULT_AUDIENCE;
use super::*;
use crate::api::StoreKind;
use crate::clock::SystemClock;
use crate::controller::dependency::{Dependencies, Dependency, Dependent};
use crate::http::{HttpClient, HttpOptions};

/// A resolver without a cluster: whoever looks something up fails with [`StoreError::Unasked`].
fn resolver(store_ambient: bool) -> Resolver {
    let http = HttpClient::new(HttpOptions::default()).unwrap();
    let nowhere = Config::new("http://127.0.0.1:9".parse().unwrap());
    let (changes, _) = mpsc::unbounded_channel();
    Resolver {
        rules: Rules {
            endpoints: EndpointPolicy::default(),
            audiences: vec![DEFAULT_AUDIENCE.to_owned()],
            store_ambient,
            cluster_store_ambient: true,
            instance_role: false,
            alibaba: alibaba::Settings::default(),
            cluster_name: "test".to_owned(),
            operator_namespace: "home".to_owned(),
            scope: Scope::default(),
            class: Class::default(),
        },
        environment: Environment::new([]),
        edge: Edge {
            http,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::new()),
        },
        key: DigestKey::new(&[1; 32]),
        named: NamedObjects::new(Client::try_from(nowhere).unwrap(), changes),
    }
}

fn store(kind: StoreKind, auth: &Value) -> AnyStore {
    store_of(kind, &json!({ "oos": { "region": "cn-hangzhou" } }), auth)
}

fn store_of(kind: StoreKind, provider: &Value, auth: &Value) -> AnyStore {
    let spec = json!({ "provider": provider, "auth": auth, "conditions": [] });
    let mut store = json!({ "metadata": { "name": "s" }, "spec": spec });
    store["apiVersion"] = "cloudsecrets.dev/v1alpha1".into();
    store["kind"] = kind.as_str().into();
    match kind {
        StoreKind::CloudSecretStore => {
            store["metadata"]["namespace"] = "shop".into();
            AnyStore::Namespaced(Arc::new(serde_json::from_value(store).unwrap()))
        }
        StoreKind::ClusterCloudSecretStore => {
            AnyStore::Cluster(Arc::new(serde_json::from_value(store).unwrap()))
        }
    }
}

fn rrsa(reference: Value) -> Value {
    json!({ "rrsa": {
        "roleArn": "acs:ram::1:role/shop",
        "oidcProviderArn": "acs:ram::1:oidc-provider/ack",
        "serviceAccountRef": reference,
    } })
}

fn access_key(id: &Value, secret: &Value) -> Value {
    json!({ "accessKey": { "accessKeyIdSecretRef": id, "accessKeySecretSecretRef": secret } })
}

/// What `resolver` says about a store, and what it looked at on the way.
async fn origin(resolver: &Resolver, store: &AnyStore) -> Result<Option<Origin>, StoreError> {
    let index = Dependencies::default();
    let mut notes = Notes::of(&index, Dependent::Store(store.id()));
    resolver.origin(store, None, &mut notes).await
}

async fn judge(resolver: &Resolver, store: &AnyStore) -> (StoreError, BTreeSet<Dependency>) {
    let index = Dependencies::default();
    let mut notes = Notes::of(&index, Dependent::Store(store.id()));
    let judged = resolver.origin(store, Some("shop"), &mut notes).await;
    (judged.unwrap_err(), notes.into_needs())
}

#[tokio::test]
async fn a_namespaced_store_never_looks_outside_its_namespace() {
    let resolver = resolver(true);
    let own = json!({ "name": "ak", "key": "id" });
    let table = [
        rrsa(json!({ "name": "shop", "namespace": "kube-system" })),
        rrsa(json!({ "name": "shop", "fromConsumer": true })),
        rrsa(json!({ "name": "shop", "namespace": "shop", "fromConsumer": true })),
        access_key(
            &json!({ "name": "ak", "key": "id", "namespace": "home" }),
            &own,
        ),
        access_key(
            &json!({ "name": "ak", "key": "id", "fromConsumer": true }),
            &own,
        ),
    ];
    for auth in table {
        let store = store(StoreKind::CloudSecretStore, &auth);
        let (error, looked_at) = judge(&resolver, &store).await;
        assert!(
            matches!(&error, StoreError::Invalid { problem, .. } if problem.contains("its own namespace only")),
            "{auth}: {error}"
        );
        assert_eq!(looked_at, BTreeSet::new(), "{auth}");
    }
    // What it may look at is in its namespace, although it says nothing of one.
    for auth in [rrsa(json!({ "name": "a" })), access_key(&own, &own)] {
        let store = store(StoreKind::CloudSecretStore, &auth);
        let (error, looked_at) = judge(&resolver, &store).await;
        assert!(matches!(error, StoreError::Unasked(_)), "{auth}: {error}");
        let place = |dependency: &Dependency| match dependency {
            Dependency::Named(named) => named.namespace.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(looked_at.iter().map(place).collect::<Vec<_>>(), ["shop"]);
    }
}

#[tokio::test]
async fn a_cluster_store_says_whose_namespace_it_means() {
    let resolver = resolver(true);
    for (reference, expected) in [
        (json!({ "name": "a" }), None),
        (
            json!({ "name": "a", "namespace": "x", "fromConsumer": true }),
            None,
        ),
        (json!({ "name": "a", "fromConsumer": false }), None),
        (json!({ "name": "a", "namespace": "x" }), Some("x")),
        (json!({ "name": "a", "fromConsumer": true }), Some("shop")),
    ] {
        let store = store(StoreKind::ClusterCloudSecretStore, &rrsa(reference.clone()));
        let (error, looked_at) = judge(&resolver, &store).await;
        let asked = looked_at.iter().next().map(|dependency| match dependency {
            Dependency::Named(named) => named.namespace.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(asked, expected, "{reference}");
        assert_eq!(
            matches!(error, StoreError::Invalid { .. }),
            expected.is_none(),
            "{reference}"
        );
    }
}

/// A store of a dedicated instance with these fields beside its host.
fn instance(kind: StoreKind, with: &Value) -> AnyStore {
    let mut instance = json!({ "endpoint": "kst-x.cryptoservice.kms.aliyuncs.com" });
    json_patch::merge(&mut instance, with);
    let provider = json!({ "kms": { "region": "cn-hangzhou", "instance": instance } });
    store_of(kind, &provider, &json!({ "instanceRole": {} }))
}

#[tokio::test]
async fn certificates_are_read_where_the_store_may_read_and_watched_there() {
    let (own, cluster) = (
        StoreKind::CloudSecretStore,
        StoreKind::ClusterCloudSecretStore,
    );
    let reference = |more: Value| {
        let mut reference = json!({ "name": "ca", "key": "ca.crt" });
        json_patch::merge(&mut reference, &more);
        json!({ "caBundleRef": reference })
    };
    let secret = json!({ "kind": "Secret", "namespace": "shop" });
    let map = json!({ "kind": "ConfigMap", "namespace": "ops" });
    for (kind, reference, expected) in [
        (own, reference(json!({})), Some("ConfigMap shop/ca")),
        (own, reference(secret), Some("Secret shop/ca")),
        (own, reference(map.clone()), None),
        (cluster, reference(map), Some("ConfigMap ops/ca")),
        (cluster, reference(json!({})), None),
    ] {
        let store = instance(kind, &reference);
        let (error, looked_at) = judge(&resolver(true), &store).await;
        let named = |dependency: &Dependency| match dependency {
            Dependency::Named(named) => named.to_string(),
            other => panic!("{other:?}"),
        };
        let looked_at: Vec<String> = looked_at.iter().map(named).collect();
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(looked_at, expected, "{reference}");
        match (error, expected.first()) {
            (StoreError::Unasked(what), Some(expected)) => assert_eq!(what, *expected),
            (StoreError::Invalid { field, problem }, None) => {
                assert_eq!(field, "spec.provider.kms.instance.caBundleRef");
                assert!(problem.contains("namespace"), "{problem}");
            }
            (other, _) => panic!("{reference}: {other}"),
        }
    }
}

#[tokio::test]
async fn certificates_in_two_places_are_refused_before_anything_is_looked_up() {
    let reference = json!({ "name": "ca", "key": "ca.crt" });
    let both = json!({ "caBundle": "canary", "caBundleRef": reference });
    let store = instance(StoreKind::CloudSecretStore, &both);
    let (error, looked_at) = judge(&resolver(true), &store).await;
    assert!(
        matches!(&error, StoreError::Invalid { problem, .. } if problem.contains("caBundle or caBundleRef")),
        "{error}"
    );
    assert_eq!(looked_at, BTreeSet::new());
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_before_anything_is_looked_up() {
    let account = json!({ "name": "shop" });
    let mut audience = rrsa(account.clone());
    audience["rrsa"]["audience"] = "https://kubernetes.default.svc".into();
    let mut blank = rrsa(account.clone());
    blank["rrsa"]["audience"] = "".into();
    let mut evil = rrsa(account.clone());
    evil["stsEndpoint"] = "https://sts.evil.com".into();
    let file = json!({ "rrsa": { "roleArn": "acs:ram::1:role/shop" } });
    let mut two = rrsa(account);
    two["operator"] = json!({});
    for (auth, field) in [
        (audience, "spec.auth.rrsa.audience"),
        (blank, "spec.auth.rrsa.audience"),
        (evil, "spec.auth.stsEndpoint"),
        (file, "spec.auth.rrsa without serviceAccountRef"),
        (json!({ "operator": {} }), "spec.auth.operator"),
        (json!({ "instanceRole": {} }), "spec.auth.instanceRole"),
        (two, "spec.auth"),
        (json!({}), "spec.auth"),
        (
            json!({ "assumeRole": { "roleArn": "acs:ram::1:role/shop" } }),
            "spec.auth",
        ),
    ] {
        let store = store(StoreKind::CloudSecretStore, &auth);
        let (error, looked_at) = judge(&resolver(false), &store).await;
        assert!(
            matches!(&error, StoreError::Invalid { field: f, .. } if f == field),
            "{auth}: {error}"
        );
        assert_eq!(looked_at, BTreeSet::new(), "{auth}");
    }
}

#[tokio::test]
async fn an_operator_without_an_identity_lends_none() {
    for auth in [
        json!({ "operator": {} }),
        json!({ "rrsa": { "roleArn": "acs:ram::1:role/shop" } }),
    ] {
        let store = store(StoreKind::ClusterCloudSecretStore, &auth);
        let (error, _) = judge(&resolver(false), &store).await;
        assert!(
            matches!(&error, StoreError::Missing { problem, .. } if problem.contains("ALIBABA_CLOUD_")),
            "{auth}: {error}"
        );
    }
}

#[tokio::test]
async fn an_instance_role_is_for_stores_that_may_use_what_is_the_operators_own() {
    let auth = json!({ "instanceRole": {} });
    let mut enabled = resolver(false);
    enabled.rules.instance_role = true;
    let (error, _) = judge(&enabled, &store(StoreKind::CloudSecretStore, &auth)).await;
    assert!(
        error.to_string().contains("--store-ambient-credentials"),
        "{error}"
    );
    let cluster_store = store(StoreKind::ClusterCloudSecretStore, &auth);
    let found = origin(&enabled, &cluster_store).await;
    let identity = &found.unwrap().unwrap().identity;
    assert_eq!(identity.kind(), "instanceRole");
    let (error, _) = judge(&resolver(true), &cluster_store).await;
    let end = "have the operator run with --enable-instance-role";
    assert!(error.to_string().ends_with(end), "{error}");
    let namespaced = store(StoreKind::CloudSecretStore, &auth);
    let (error, _) = judge(&resolver(false), &namespaced).await;
    let end = "--enable-instance-role and --store-ambient-credentials";
    assert!(error.to_string().ends_with(end), "{error}");
}

#[tokio::test]
async fn a_role_is_entered_by_the_source_beside_it() {
    let mut resolver = resolver(false);
    resolver.rules.instance_role = true;
    let identity = async |external_id: &str| {
        let role = json!({ "roleArn": "acs:ram::2:role/readers", "externalId": external_id });
        let auth = json!({ "operator": {}, "assumeRole": role });
        let store = store(StoreKind::ClusterCloudSecretStore, &auth);
        let found = origin(&resolver, &store).await;
        found.unwrap().unwrap().identity
    };
    let (one, same, other) = (
        identity("x1").await,
        identity("x1").await,
        identity("x2").await,
    );
    assert_eq!((one.kind(), one.account()), ("assumeRole", Some("2")));
    assert_eq!(one.first().kind(), "instanceRole");
    assert_eq!(one.id(), same.id());
    assert_ne!(one.id(), other.id());
    assert_eq!(one.first().id(), other.first().id());
}

#[tokio::test]
async fn an_identity_of_another_cloud_is_refused_by_its_field() {
    let on_oos = json!({ "oos": { "region": "cn-hangzhou" } });
    let on_ssm = json!({ "ssm": { "region": "ap-guangzhou" } });
    let (ram, cam) = ("acs:ram::1:role/shop", "qcs::cam::uin/1:roleName/shop");
    let token = |role: &str| json!({ "webIdentity": { "roleArn": role, "providerId": "cls-1" } });
    let hop = |role: &str| json!({ "operator": {}, "assumeRole": { "roleArn": role } });
    let both = json!({ "rrsa": { "roleArn": ram }, "webIdentity": { "roleArn": cam } });
    for (provider, auth, field, part) in [
        (
            &on_ssm,
            rrsa(json!({ "name": "a" })),
            "spec.auth.rrsa",
            "webIdentity",
        ),
        (&on_oos, token(cam), "spec.auth.webIdentity", "takes rrsa"),
        (&on_ssm, both, "spec.auth.rrsa", "spec.provider.ssm"),
        (
            &on_ssm,
            token(ram),
            "spec.auth.webIdentity.roleArn",
            "qcs::cam::uin/",
        ),
        (
            &on_ssm,
            hop(ram),
            "spec.auth.assumeRole.roleArn",
            "Tencent Cloud",
        ),
        (
            &on_oos,
            hop(cam),
            "spec.auth.assumeRole.roleArn",
            "acs:ram::",
        ),
    ] {
        let store = store_of(StoreKind::ClusterCloudSecretStore, provider, &auth);
        let (error, looked_at) = judge(&resolver(true), &store).await;
        assert!(
            matches!(&error, StoreError::Invalid { field: f, problem } if f == field && problem.contains(part)),
            "{auth}: {error}"
        );
        assert_eq!(looked_at, BTreeSet::new(), "{auth}");
    }
}

#[tokio::test]
async fn the_role_of_a_node_is_another_identity_on_each_cloud() {
    let mut resolver = resolver(false);
    resolver.rules.instance_role = true;
    let mut ids = BTreeSet::new();
    for provider in [
        json!({ "oos": { "region": "cn-hangzhou" } }),
        json!({ "ssm": { "region": "ap-guangzhou" } }),
    ] {
        for auth in [json!({ "instanceRole": {} }), json!({ "operator": {} })] {
            let store = store_of(StoreKind::ClusterCloudSecretStore, &provider, &auth);
            let found = origin(&resolver, &store).await.unwrap().unwrap();
            assert_eq!(found.identity.kind(), "instanceRole");
            ids.insert(found.identity.id());
        }
    }
    assert_eq!(ids.len(), 2);
}
