//! What tenants do in a scene besides making objects: foreign Secrets, cluster stores, access keys.

use std::time::Duration;

use std::collections::BTreeMap;

use external_cloud_secrets::api::{CloudSecretStore, ClusterCloudSecretStore, StoreStatus};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::scene::Scene;
use super::wait::{SOON, until};

impl Scene<'_> {
    /// Makes a Secret with these members of `metadata` and `type`, and the value `theirs` under `own`.
    pub async fn foreign(&self, name: &str, metadata: Value, type_: &str) -> Secret {
        let mut secret =
            json!({ "metadata": metadata, "type": type_, "stringData": { "own": "theirs" } });
        secret["metadata"]["name"] = name.into();
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let api = self.secrets();
        api.create(&PostParams::default(), &secret).await.unwrap()
    }

    /// Makes or replaces a Secret of text.
    pub async fn put_secret(&self, name: &str, values: &[(&str, &str)]) {
        let values: BTreeMap<_, _> = values.iter().copied().collect();
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": self.namespace },
            "stringData": values,
        });
        self.apply(&secret).await.unwrap();
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, name: &str) {
        let api = self.secrets();
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A token of a ServiceAccount of the scene for Alibaba Cloud's STS, made by the cluster's owner.
    pub async fn token(&self, account: &str) -> String {
        self.token_for(account, "sts.aliyuncs.com").await
    }

    /// A token of a ServiceAccount for another audience.
    pub async fn token_for(&self, account: &str, audience: &str) -> String {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let request = json!({ "metadata": {}, "spec": { "audiences": [audience] } });
        let request: TokenRequest = serde_json::from_value(request).unwrap();
        let params = PostParams::default();
        let made = api
            .create_token_request(account, &params, &request)
            .await
            .unwrap();
        made.status.unwrap().token
    }

    /// Sets annotations of a ServiceAccount; `null` removes one.
    pub async fn annotate(&self, account: &str, annotations: Value) {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let params = PatchParams::default();
        api.patch(account, &params, &patch).await.unwrap();
    }

    /// The warnings of root keys in the scene's namespace.
    pub async fn root_key_warnings(&self) -> Vec<Event> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = api.list(&ListParams::default()).await.unwrap();
        let mut warnings = all.items;
        warnings.retain(|event| event.reason.as_deref() == Some("RootAccessKey"));
        warnings
    }

    /// Deletes a ServiceAccount.
    pub async fn delete_service_account(&self, name: &str) {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the Secret of an object with another name holds `value`, and returns it.
    pub async fn wait_named(&self, object: &str, secret: &str, key: &str, value: &str) -> Secret {
        until(&format!("Secret {secret}"), SOON, async || {
            match self.value(secret, key).await {
                Some(found) if found == value => Ok(self.secret(secret).await.unwrap()),
                other => Err(format!("{other:?}; {:?}", self.conditions(object).await)),
            }
        })
        .await
    }

    /// Waits until a Secret is gone.
    pub async fn wait_gone(&self, name: &str) {
        until("the Secret's end", SOON, async || {
            match self.secret(name).await {
                None => Ok(()),
                Some(_) => Err(name.to_owned()),
            }
        })
        .await;
    }

    /// Sets a label of the scene's namespace; `null` removes it.
    pub async fn label(&self, name: &str, value: Value) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({ "metadata": { "labels": { name: value } } }));
        let params = PatchParams::default();
        api.patch(&self.namespace, &params, &patch).await.unwrap();
    }

    /// A cluster store `NAMESPACE-name`.
    pub fn cluster_store(&self, name: &str, auth: Value, conditions: Value) -> Value {
        let mut store = self.store(&self.cluster_name(name), auth);
        store["kind"] = "ClusterCloudSecretStore".into();
        store["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace");
        store["spec"]["conditions"] = conditions;
        store
    }

    /// The name of this scene's cluster store `name`.
    pub fn cluster_name(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// An object that reads `keys`, which are whole names, from a store.
    pub fn reading(&self, name: &str, (kind, store): (&str, &str), keys: &[(&str, &str)]) -> Value {
        let mut object = self.object(name, "1h", keys);
        object["spec"]["secretStoreRef"] = json!({ "kind": kind, "name": store });
        for (entry, (_, key)) in object["spec"]["data"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .zip(keys)
        {
            entry["remoteRef"]["key"] = (*key).into();
        }
        object
    }

    /// An object `name` that reads the parameter `db` through a store `name` of its own.
    pub async fn through(&self, name: &str, auth: Value) {
        self.apply(&self.store(name, auth)).await.unwrap();
        let place = ("CloudSecretStore", name);
        let object = self.reading(name, place, &[("password", &self.key("db"))]);
        self.apply(&object).await.unwrap();
    }

    /// `spec.auth` of a store that reads with the access key in the Secret `name`.
    pub fn access_key(&self, name: &str) -> Value {
        let part = |key: &str| json!({ "name": name, "key": key });
        json!({
            "accessKey": { "accessKeyIdSecretRef": part("id"), "accessKeySecretSecretRef": part("secret") },
            "stsEndpoint": self.cloud.url(),
        })
    }

    /// The object's condition, if it has it.
    pub async fn condition_if_any(&self, name: &str, type_: &str) -> Option<Condition> {
        let object = self.objects().get(name).await.unwrap();
        let conditions = object.status.unwrap_or_default().conditions;
        conditions.into_iter().find(|found| found.type_ == type_)
    }

    /// Waits for a condition of a store (a cluster store where `kind` says so); returns its message.
    pub async fn wait_store(&self, kind: &str, name: &str, status: &str, reason: &str) -> String {
        self.wait_store_is(SOON, (kind, name), "Ready", status, reason)
            .await
    }

    /// Waits for any condition of a store; returns its message.
    pub async fn wait_store_is(
        &self,
        limit: Duration,
        (kind, name): (&str, &str),
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        let what = format!("{kind} {name}: {type_}={status}/{reason}");
        until(&what, limit, async || {
            let (generation, seen) = self.store_status(kind, name).await;
            let ready = seen.conditions.iter().find(|found| found.type_ == type_);
            let wanted = |c: &&Condition| {
                c.status == status && c.reason == reason && c.observed_generation == generation
            };
            match ready.filter(wanted) {
                Some(found) => Ok(found.message.clone()),
                None => Err(seen),
            }
        })
        .await
    }

    pub async fn store_status(&self, kind: &str, name: &str) -> (Option<i64>, StoreStatus) {
        let (meta, status) = if kind == "CloudSecretStore" {
            let api: Api<CloudSecretStore> = Api::namespaced(self.client.clone(), &self.namespace);
            let store = api.get(name).await.unwrap();
            (store.metadata, store.status)
        } else {
            let api: Api<ClusterCloudSecretStore> = Api::all(self.client.clone());
            let store = api.get(name).await.unwrap();
            (store.metadata, store.status)
        };
        (meta.generation, status.unwrap_or_default())
    }
}
